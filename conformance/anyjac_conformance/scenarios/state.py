"""Scenarios: Variables in calls. Writes, commits, errors, threads, and what must not be remembered."""

from __future__ import annotations

import contextlib
import functools
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from anyjac import (
    ConcurrencyError,
    DtypeError,
    OutputError,
    TracerLeakError,
    Variable,
    VariableWriteError,
    grad,
    jacrev,
)

from ..answers import Either, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()


# ---- writes --------------------------------------------------------------------------------------------------------


@scenario("variables/write-visible", answer=(np.array(6.0), np.array(12.0)))
def a_later_read_sees_it(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))

    def f(x: Any) -> Any:
        v.value = 2 * x
        return 3 * v.value

    return jacrev(f, return_value=True)(lab.array(2.0))


@scenario("variables/write-visible", answer=(np.array(2.0), [1.0, 4.0]), requires=("nested",))
def within_nested_functions_too(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))
    seen = []

    def outer(x: Any) -> Any:
        seen.append(float(v.value))
        v.value = lab.array(4.0)

        def inner(y: Any) -> Any:
            seen.append(float(v.value))
            return y * y / 2

        return jacrev(inner)(x)

    return 2 * jacrev(outer)(lab.array(3.0)), seen


@scenario("variables/committed-once", answer=(np.array(1.0), [np.array(1.0), np.array(3.0)]))
def outside_nothing_is_seen_before_the_end(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))
    seen: list[Any] = []

    def f(x: Any) -> Any:
        v.value = lab.array(2.0)
        lab.unnamed(lambda: seen.append(v.value))
        v.value = lab.array(3.0)
        return x

    return jacrev(f)(lab.array(1.0)), [*seen, v.value]


@scenario("variables/committed-once", answer=(np.array(1.0), np.array(1.0), np.array(2.0)))
def a_counter_counts_calls_not_rows(lab: Lab) -> Any:
    calls, last = Variable(lab.array(0, "int64")), Variable(lab.array(0.0))

    def f(x: Any) -> Any:
        calls.value += 1
        last.value = x[0] + x[1]
        return x * lab.xp.astype(calls.value, lab.xp.float64)

    jacobian = jacrev(f, chunk_size=1)(lab.array([1.0, 1.0]))
    return jacobian[0, 0] + 0.0, lab.xp.astype(calls.value, lab.xp.float64), last.value


@scenario("variables/no-tracer", answer=[np.array(6.0), np.array([1.0, 2.0]), {"a": np.array(9.0)}])
def written_values_are_plain(lab: Lab) -> Any:
    scalar, vector = Variable(lab.array(0.0)), Variable(lab.array([0.0, 0.0]))
    tree = Variable({"a": lab.array(0.0)})

    def f(x: Any) -> Any:
        scalar.value = 2 * x
        vector[0] = x - 2
        vector[1] = x - 1
        tree.value = {"a": x * x}
        return x

    jacrev(f)(lab.array(3.0))
    return [scalar.value, vector.value, tree.value]


@scenario("variables/no-tracer", answer=(np.array(2.0), np.array(9.0), np.array(6.0)), requires=("nested",))
def through_two_levels(lab: Lab) -> Any:
    of_inner, of_outer = Variable(lab.array(0.0)), Variable(lab.array(0.0))

    def inner(x: Any) -> Any:
        of_inner.value = x * x
        return x * x

    def outer(x: Any) -> Any:
        slope = jacrev(inner)(x)
        of_outer.value = slope
        return slope

    return jacrev(outer)(lab.array(3.0)), of_inner.value, of_outer.value


# d(sum of d(2 x)/dx)/dx = 0. A tape that was closed leaves plain arrays behind; a tracer must not be stored.
@scenario(
    "variables/no-tracer",
    answer=Either(Raises(TracerLeakError, "'state'", "trace"), (np.array(0.0), np.array(2.0))),
    requires=("grad",),
)
def a_write_that_would_commit_one_is_refused_by_name(lab: Lab) -> Any:
    state = Variable(lab.array(0.0), name="state")

    def f(x: Any) -> Any:
        state.value = x * 2
        return lab.xp.sum(jacrev(lambda y: y * y)(x))

    return lab.native_grad(lambda x: lab.xp.sum(jacrev(f)(x)))(lab.array(1.0)), state.value


def _write_inside(lab: Lab, transform: Callable[[Any], Any], x: Any) -> Any:
    state = Variable(lab.array(0.0), name="state")

    def f(x: Any) -> Any:
        state.value = x * 2
        return x * x

    return jacrev(lambda x: transform(f)(x))(x), state.value


@scenario(
    "variables/no-tracer",
    answer=Either(Raises(TracerLeakError, "'state'"), (np.array(2.0), np.array(6.0))),
    requires=("grad",),
)
def a_write_inside_the_framework_s_own_gradient_is_refused_by_name(lab: Lab) -> Any:
    return _write_inside(lab, lab.native_grad, lab.array(3.0))


@scenario("variables/no-tracer", answer=Raises(TracerLeakError, "'state'"), requires=("vmap",))
def a_write_inside_the_framework_s_own_map_is_refused_by_name(lab: Lab) -> Any:
    return _write_inside(lab, lab.native_vmap, lab.array([3.0, 4.0]))


@scenario("variables/entry", answer=(np.array(6.0), np.array(9.0)))
def the_jacobian_is_taken_at_entry(lab: Lab) -> Any:
    v = Variable(lab.array(3.0))

    def f() -> Any:
        v.value = v.value**2
        return v.value

    return jacrev(f, v)(), v.value


@scenario("variables/entry", answer={"v": np.array(0.0)})
def overwritten_by_a_constant_it_is_zero(lab: Lab) -> Any:
    v = Variable(lab.array(3.0))

    def f() -> Any:
        v.value = lab.array(5.0)
        return v * 2.0

    return jacrev(f, {"v": v})()


@scenario("variables/entry", answer=(np.array(1.0), np.array(3.0)))
def a_write_does_not_disconnect_what_was_read_before(lab: Lab) -> Any:
    v = Variable(lab.array(3.0))

    def f() -> Any:
        before = v.value
        v.value = lab.array(7.0)
        return before * 1.0

    return jacrev(f, v, return_value=True)()


@scenario("variables/shown", answer=(np.array(1.0), np.array(5.0), {"v": np.array(5.0), "n": np.array(1)}))
def value_and_aux_hold_written_values(lab: Lab) -> Any:
    v, n = Variable(lab.array(2.0)), Variable(lab.array(0, "int64"))

    def f(x: Any) -> Any:
        v.value = v + x
        n.value = n + 1
        return v.value, {"v": v.value, "n": n.value}

    return jacrev(f, has_aux=True, return_value=True)(lab.array(3.0))


@scenario("variables/shown", answer=(np.array(2.0), np.array(6.0)))
def a_variable_as_the_output_is_its_value(lab: Lab) -> Any:
    v = Variable(lab.array(0.0))

    def f(x: Any) -> Any:
        v.value = 2 * x
        return v

    return jacrev(f, return_value=True)(lab.array(3.0))


@scenario("variables/created-inside", answer=(np.array(4.0), np.array(4.0), np.array(2.0)))
def it_is_plain_afterwards(lab: Lab) -> Any:
    kept: list[Variable] = []

    def f(x: Any) -> Any:
        local = Variable(x)
        kept.append(local)
        local.value = local * x
        return local.value

    slope = jacrev(f)(lab.array(2.0))
    return slope, kept[0].value, jacrev(lambda: kept[0] * 2.0, kept[0])()


@scenario("variables/created-inside", answer=(np.array(2.0), np.array(9.0)), requires=("nested",))
def in_an_inner_call_too(lab: Lab) -> Any:
    kept: list[Variable] = []

    def inner(x: Any) -> Any:
        kept.append(Variable(x * x))
        return x * x

    return jacrev(lambda x: jacrev(inner)(x))(lab.array(3.0)), kept[0].value


# ---- errors --------------------------------------------------------------------------------------------------------


class HaltedError(Exception):
    """The error that the functions below raise."""


def _raises(v: Variable, x: Any) -> Any:
    v.value = v + x
    raise HaltedError


def _returns(result: Callable[[Any], Any]) -> Callable[[Variable, Any], Any]:
    def f(v: Variable, x: Any) -> Any:
        v.value = v + x
        v[0] = x[0]
        return result(x)

    return f


def _writes_wrongly(v: Variable, x: Any) -> Any:
    v.value = v + x
    v.value = x[:1]


def _inner_raises(v: Variable, x: Any) -> Any:
    v.value = v + x
    return jacrev(lambda y: _raises(v, y))(x)


FAILURES: dict[str, tuple[Callable[[Variable, Any], Any], type[Exception], dict[str, Any]]] = {
    "an exception in the function": (_raises, HaltedError, {}),
    "an exception in a nested call": (_inner_raises, HaltedError, {}),
    "a write of another shape": (_writes_wrongly, VariableWriteError, {}),
    "aux that is no pair": (_returns(lambda x: (x, 1, 2)), OutputError, {"has_aux": True}),
    "an integer output": (_returns(lambda x: x > 0), DtypeError, {}),
    "no output": (_returns(lambda x: None), OutputError, {}),
    "a real output that was promised holomorphic": (_returns(lambda x: x), DtypeError, {"holomorphic": True}),
    "an argument that is out of range": (_returns(lambda x: x), ValueError, {"argnums": 4}),
}


def _after_failure(f: Any, kind: type[Exception], settings: dict[str, Any], lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))
    raised = False
    try:
        jacrev(lambda x: f(v, x), **settings)(lab.array([5.0, 5.0]))
    except kind:
        raised = True
    usable = jacrev(lambda: v * 2.0, v)()
    return {"raised": raised, "value": v.value, "next jacobian": usable}


for _name, (_f, _kind, _settings) in FAILURES.items():
    scenario.add(
        Scenario(
            f"after {_name}",
            "variables/restored",
            functools.partial(_after_failure, _f, _kind, _settings),
            {"raised": True, "value": np.array([1.0, 2.0]), "next jacobian": np.diag([2.0, 2.0])},
            frozenset({"nested"} if _f is _inner_raises else {"complex"} if "holomorphic" in _settings else ()),
        )
    )


@scenario("variables/restored", answer=np.array([1.0, 2.0]))
def when_its_array_was_written_in_place(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        with contextlib.suppress(TypeError):  # where arrays are immutable
            v.value[0] = 5.0
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        jacrev(f)(lab.array(1.0))
    return v.value


@scenario("variables/restored", answer=(np.array(1.0), np.array([2.0, 2.0])))
def after_an_interrupt(lab: Lab) -> Any:
    v, w = Variable(lab.array(1.0)), Variable(lab.array([2.0, 2.0]))

    def f(x: Any) -> Any:
        v.value = x
        w[0] = x
        raise KeyboardInterrupt

    try:
        jacrev(f)(lab.array(5.0))
    except KeyboardInterrupt:
        return v.value, w.value
    raise AssertionError("the interrupt was swallowed")


@scenario("variables/restored", answer=(np.array(5.0), np.array(3.0)), requires=("nested",))
def an_inner_failure_that_is_caught_loses_only_the_inner_writes(lab: Lab) -> Any:
    v, w = Variable(lab.array(1.0)), Variable(lab.array(3.0))

    def inner(x: Any) -> Any:
        w.value = x * 9
        raise HaltedError

    def outer(x: Any) -> Any:
        v.value = x
        with contextlib.suppress(HaltedError):
            jacrev(inner)(x)
        return x * w.value

    jacrev(outer)(lab.array(5.0))
    return v.value, w.value


# ---- threads -------------------------------------------------------------------------------------------------------


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run(index: int) -> None:
        start.wait()
        try:
            work(index)
        except BaseException as error:  # raised below, in the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@scenario("variables/concurrent", answer=np.array(40))
def four_threads_lose_no_increment(lab: Lab) -> Any:
    count = Variable(lab.array(0, "int64"))

    def f(x: Any) -> Any:
        count.value += 1
        return x * x

    transform = jacrev(f, backend=lab.backend)

    def work(index: int) -> None:
        for _ in range(10):
            transform(lab.array(float(index)))

    _in_threads(4, work)
    return count.value


# f(x) = w x^3, with w a Variable of the thread: d2f/dx2 = 6 w x, d/dw = 6 x
@scenario(
    "variables/concurrent",
    answer=[(np.array(6.0 * n), np.array(6.0 * n * (n + 1))) for n in range(8)],
    requires=("nested",),
)
def nested_calls_in_threads_do_not_see_each_other(lab: Lab) -> Any:
    results: list[Any] = [None] * 8

    def nested(index: int) -> None:
        w = Variable(lab.array(index + 1.0))
        slope = jacrev(lambda y: w * y**3, backend=lab.backend)
        curvature = jacrev(slope, argnums=0, backend=lab.backend)
        of_w = jacrev(lambda x: curvature(x), w, backend=lab.backend)
        for _ in range(5):
            x = lab.array(float(index))
            results[index] = of_w(x), curvature(x)

    _in_threads(8, nested)
    return results


# A thread that runs when its end is waited for is outside of the call, and is told so after a few seconds.
@scenario("variables/threads", answer=(["ConcurrencyError", np.array(3.0)], np.array(2.0)))
def a_thread_that_the_function_starts_reads_no_constant(lab: Lab) -> Any:
    v, w = Variable(lab.array(2.0)), Variable(lab.array(3.0))
    seen: list[Any] = []

    def read() -> None:
        try:
            seen.append(v.value)
        except ConcurrencyError as error:
            seen.append(type(error).__name__)
        seen.append(w.value)

    def f() -> Any:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        return v * 2.0

    return seen, grad(f, v, backend=lab.backend)()


def _write_in_a_thread(lab: Lab, fails: bool) -> Any:
    used, untouched = Variable(lab.array(2.0)), Variable(lab.array(3.0))
    seen: list[str] = []

    def write(v: Variable) -> None:
        try:
            v.value = lab.array(7.0)
            seen.append("written")
        except ConcurrencyError as error:
            seen.append(type(error).__name__)

    def f() -> Any:
        used.value = used * 2.0
        for v in (used, untouched):
            thread = threading.Thread(target=write, args=(v,))
            thread.start()
            thread.join()
        if fails:
            raise HaltedError
        return used * 2.0

    slope = None
    with contextlib.suppress(HaltedError):
        slope = grad(f, used, backend=lab.backend)()
    return slope, seen, used.value, untouched.value


@scenario("variables/threads", answer=(np.array(4.0), ["ConcurrencyError", "written"], np.array(4.0), np.array(7.0)))
def a_thread_that_the_function_starts_writes_no_variable_of_the_call(lab: Lab) -> Any:
    return _write_in_a_thread(lab, fails=False)


@scenario("variables/threads", answer=(None, ["ConcurrencyError", "written"], np.array(2.0), np.array(7.0)))
def nor_does_it_where_the_call_fails(lab: Lab) -> Any:
    return _write_in_a_thread(lab, fails=True)


# ---- Variables that are replaced -----------------------------------------------------------------------------------


REPLACEMENTS: dict[str, Callable[[Any, Any], None]] = {
    "an_attribute": lambda model, x: setattr(model, "v", model.v + x),
    "an_item_of_a_list": lambda model, x: model.items.__setitem__(0, model.items[0] + x),
    "an_attribute_of_a_part": lambda model, x: setattr(model.part, "v", model.part.v + x),
}


def _replaced(replace: Callable[[Any, Any], None], lab: Lab) -> Any:
    class Model:
        def __init__(self) -> None:
            self.v = v
            self.items = [v]
            self.part = types.SimpleNamespace(v=v)

        def __call__(self, x: Any) -> Any:
            replace(self, x)
            return 2.0 * x

    v = Variable(lab.array(1.0), name="v")
    model = Model()
    try:
        jacrev(model)(lab.array(3.0))
    except VariableWriteError as error:
        there = model.v is v and model.items[0] is v and model.part.v is v
        told = ".value = ..." in str(error) and "'v'" in str(error)
        return {"named with the mend": told, "put back": there, "value": v.value}
    raise AssertionError("a Variable was replaced by an array, and nothing was said")


for _name, _replace in REPLACEMENTS.items():
    scenario.add(
        Scenario(
            f"{_name}_is_refused_and_put_back",
            "variables/replaced",
            functools.partial(_replaced, _replace),
            {"named with the mend": True, "put back": True, "value": np.array(1.0)},
        )
    )


# ---- nothing is remembered -----------------------------------------------------------------------------------------


@scenario("variables/nothing-stale", answer=[2.0, 3.0, 4.0, 5.0, 6.0])
def numbers_arrays_attributes_and_variables(lab: Lab) -> Any:
    class Model:
        scale: Any = 2.0

    model = Model()
    transform = jacrev(lambda x: model.scale * x)
    seen = []
    for new in (2.0, 3.0, lab.array(4.0), Variable(lab.array(5.0)), Variable(lab.array(6.0))):
        model.scale = new
        seen.append(float(transform(lab.array(1.0))))
    return seen


@scenario("variables/nothing-stale", answer=(np.array(2.0), np.array(3.0), np.array(2.0)))
def a_closed_over_name_and_a_branch(lab: Lab) -> Any:
    scale, positive = 2.0, True

    def f(x: Any) -> Any:
        return x * scale if positive else x * 2.0

    transform = jacrev(f)
    first = transform(lab.array(1.0))
    scale = 3.0
    second = transform(lab.array(1.0))
    positive = False
    return first, second, transform(lab.array(1.0))


@scenario("variables/nothing-stale", answer=(np.array(2.0), np.diag([2.0, 2.0]), np.array(20.0)))
def shapes_and_written_values(lab: Lab) -> Any:
    w = Variable(lab.array(2.0))
    transform = jacrev(lambda x: w * x)
    first, second = transform(lab.array(1.0)), transform(lab.array([1.0, 1.0]))
    w.value = lab.array(20.0)
    return first, second, transform(lab.array(1.0))
