"""Nothing keeps a tracer, an argument, a result or a model alive after a call; reference counts alone free them."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.helpers.arrays import made
from tests.helpers.memory import Thing, collector_off
from tests.helpers.open_calls import assert_nothing_open, waiting_at
from tests.helpers.threads import PATIENCE_S, run_in_threads

import anyjac
from anyjac import Variable, jacrev
from anyjac.state import ownership

from .faulty import faulty
from .stateful import Model, assert_untraced, is_tracked


class Watch:
    """Weak references to objects that are to be gone."""

    def __init__(self) -> None:
        self._references: dict[str, weakref.ref[Any]] = {}

    def __call__(self, **objects: Any) -> None:
        self._references.update({name: weakref.ref(each) for name, each in objects.items()})

    def alive(self) -> list[str]:
        """Return the names of the objects that are still alive."""
        return [name for name, reference in self._references.items() if reference() is not None]

    def names(self) -> set[str]:
        """Return the names of all objects that were ever watched."""
        return set(self._references)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch objects while the garbage collector is off, so that a cycle through one of them would show."""
    with collector_off():
        yield Watch()


def watch_traced(backend: anyjac.Backend, watch: Watch, **tracers: Any) -> None:
    """Watch traced values; autograd's boxes have no room for weak references, see the test that counts its nodes."""
    assert all(is_tracked(backend, tracer) for tracer in tracers.values())
    if backend.name != "autograd":
        watch(**tracers)


def dropping(error: type[BaseException], call: Callable[[], Any]) -> None:
    """Make a call that must fail, and let the exception and its traceback go."""
    try:
        call()
    except error:
        return
    pytest.fail("nothing was raised")


# ---- arguments, results, traced values -----------------------------------------------------------------------------


def test_arguments_results_and_the_function_are_let_go(backend: anyjac.Backend, watch: Watch) -> None:
    def run() -> None:
        x, other, keyword = backend.asarray(np.array([1.0, 2.0])), Thing(), Thing()

        def f(x: Any, other: Any, *, keyword: Any) -> Any:
            y, made = x * x, Thing()
            watch_traced(backend, watch, traced_argument=x, traced_output=y)
            watch(made_in_function=made)
            return y, (made, y)

        slope, value, (made, array) = jacrev(f, has_aux=True, return_value=True)(x, other, keyword=keyword)
        watch(x=x, other=other, keyword=keyword, function=f)
        watch(slope=slope, value=value, aux_object=made, aux_array=array)

    run()
    assert watch.alive() == []


def test_results_do_not_hold_the_arguments(backend: anyjac.Backend, watch: Watch) -> None:
    def run() -> Any:
        x = backend.asarray(np.array([1.0, 2.0]))
        watch(x=x)
        return jacrev(lambda x: (x * x, x * 2.0), has_aux=True, return_value=True)(x)

    slope, value, aux = run()
    assert watch.alive() == []
    host = backend.to_numpy
    assert [host(each).tolist() for each in (slope, value, aux)] == [[[2, 0], [0, 4]], [1, 4], [2, 4]]


def test_traced_values_of_nested_calls_are_let_go_while_variables_live_on(
    backend: anyjac.Backend, watch: Watch
) -> None:
    v = Variable(backend.asarray(np.array([1.0, 2.0])))
    watch(value_before=v.value)

    def f(x: Any) -> Any:
        y = x * v
        watch_traced(backend, watch, argument=x, product=y, read=v.value)
        v.value = y * 1.0
        watch_traced(backend, watch, written=v.value)
        return y

    jacrev(jacrev(f, v), argnums=0)(backend.asarray(np.array([3.0, 4.0])))
    assert watch.alive() == []
    assert backend.to_numpy(v.value).tolist() == [3.0, 8.0]
    assert_untraced(v)


def _count_of_autograd_objects() -> int:
    from autograd.tracer import Box, Node

    return sum(issubclass(type(each), Box | Node) for each in gc.get_objects())


@pytest.mark.parametrize("fails", [False, True])
def test_the_boxes_and_nodes_of_autograd_are_let_go(watch: Watch, fails: bool) -> None:
    before = _count_of_autograd_objects()
    during: list[int] = []
    v = Variable(np.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        v.value = v * x
        during.append(_count_of_autograd_objects())
        if fails:
            raise ZeroDivisionError
        return v.value

    transform = jacrev(jacrev(f, v), argnums=0)
    if fails:
        dropping(ZeroDivisionError, lambda: transform(np.array([3.0, 4.0])))
    else:
        transform(np.array([3.0, 4.0]))
    assert during[0] > before
    assert _count_of_autograd_objects() == before


# ---- Variables and models ------------------------------------------------------------------------------------------


def test_a_model_and_its_transform_are_let_go(backend: anyjac.Backend, watch: Watch) -> None:
    class Walker:
        def __init__(self) -> None:
            self.w = Variable(backend.asarray(np.asarray(2.0)))

        def run(self, x: Any) -> Any:
            self.w.value = self.w + x
            return self.w * x

    def run() -> None:
        model = Walker()
        transform = jacrev(model.run, model.w, 0)
        transform(backend.asarray(np.asarray(1.0)))
        watch(model=model, variable=model.w, transform=transform)

    run()
    assert watch.alive() == []


def test_a_model_that_keeps_its_own_transform_can_be_collected(backend: anyjac.Backend, watch: Watch) -> None:
    def run() -> None:
        model = Model(backend)
        model.transform(backend.asarray(np.asarray(5.0)))
        watch(model=model, variable=model.a, transform=model.transform)

    run()
    gc.collect()  # the model and its transform refer to each other
    assert watch.alive() == []


def test_variables_made_in_a_call_are_let_go(backend: anyjac.Backend, watch: Watch) -> None:
    def f(x: Any) -> Any:
        local = Variable(x)
        watch(local=local)
        return local * x

    jacrev(jacrev(f))(backend.asarray(np.asarray(1.0)))
    assert watch.names() == {"local"}
    assert watch.alive() == []


def test_a_variable_that_a_call_replaces_is_let_go(backend: anyjac.Backend, watch: Watch) -> None:
    model = Thing()
    model.w = Variable(backend.asarray(np.asarray(1.0)))
    watch(replaced=model.w)

    def f(x: Any) -> Any:
        old, model.w = model.w, Variable(x * 2.0)
        return old * x

    jacrev(f)(backend.asarray(np.asarray(3.0)))
    assert watch.alive() == []
    assert float(model.w) == 6.0
    assert_untraced(model.w)


def test_reading_a_variable_after_a_call_never_gives_a_tracer(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    tree = Variable({"a": backend.asarray(np.asarray(1.0)), "b": [backend.asarray(np.asarray(2.0))]})
    kept: list[Variable] = []

    def inner(x: Any) -> Any:
        kept.append(Variable(x * v))
        v.value = v * x
        tree.value = {"a": tree["a"] * x, "b": [x]}
        return v.value * tree["a"]

    def outer(x: Any) -> Any:
        kept.append(Variable(x * 1.0))
        return jacrev(inner, v)(x) + v.value

    jacrev(outer, v, 0)(backend.asarray(np.asarray(2.0)))
    assert [float(each) for each in kept] == [2.0, 2.0]
    assert float(v) == 2.0
    assert_untraced(v, *kept)
    leaves = [tree["a"], tree["b"][0]]
    assert [float(leaf) for leaf in leaves] == [2.0, 2.0]
    assert not any(is_tracked(backend, leaf) for leaf in leaves)


def test_a_variable_made_in_a_call_that_failed_says_so_and_holds_nothing(backend: anyjac.Backend, watch: Watch) -> None:
    kept: list[Variable] = []

    def f(x: Any) -> Any:
        kept.append(Variable(x * 2.0))
        watch_traced(backend, watch, argument=x, held=kept[0].value)
        raise ZeroDivisionError

    dropping(ZeroDivisionError, lambda: jacrev(f)(backend.asarray(np.asarray(1.0))))
    assert watch.alive() == []
    with pytest.raises(anyjac.TracerLeakError, match="made inside a call that failed"):
        _ = kept[0].value
    assert repr(kept[0]) == "Variable(<expired>)"


# ---- failed calls --------------------------------------------------------------------------------------------------


def test_after_an_exception_that_was_dropped_nothing_is_left(backend: anyjac.Backend, watch: Watch) -> None:
    def run() -> None:
        v, other = Variable(backend.asarray(np.asarray(1.0))), Thing()
        x = backend.asarray(np.asarray(1.0))

        def f(x: Any, other: Any) -> Any:
            local, made, y = Thing(), Variable(x * 2.0), x * v
            v.value = y
            watch_traced(backend, watch, traced_argument=x, traced_product=y)
            watch(local=local, made=made)
            raise ZeroDivisionError

        dropping(ZeroDivisionError, lambda: jacrev(f, v, 0)(x, other))
        watch(variable=v, other=other, x=x, function=f)

    run()
    assert watch.names() >= {"local", "made", "variable", "other", "x", "function"}
    assert watch.alive() == []


@pytest.mark.parametrize("output", ["text", None, 3j])
def test_after_a_refused_output_nothing_is_left(backend: anyjac.Backend, watch: Watch, output: Any) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))

    def f(x: Any, other: Any) -> Any:
        v.value = v * x
        watch_traced(backend, watch, traced_argument=x, traced_variable=v.value)
        return output

    def run() -> None:
        other = Thing()
        watch(other=other)
        dropping(anyjac.OutputError, lambda: jacrev(f, v, 0)(backend.asarray(np.asarray(2.0)), other))

    run()
    assert watch.alive() == []


def test_an_exception_that_is_kept_holds_frames_but_no_open_call(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))

    def f(x: Any) -> Any:
        v.value = v * x
        raise ZeroDivisionError

    transform = jacrev(f, v, 0)
    with pytest.raises(ZeroDivisionError) as kept:
        transform(backend.asarray(np.asarray(2.0)))
    assert kept.value.__traceback__ is not None
    assert_nothing_open(v)
    assert float(v.value) == 1.0
    assert_untraced(v)


def test_faults_of_the_backend_leave_nothing_behind(backend: anyjac.Backend, watch: Watch) -> None:
    with faulty(backend) as broken:

        def run(number: int) -> bool:
            model, other = Model(broken), Thing()
            broken.calls, broken.fail_at = 0, number
            try:
                model.transform(backend.asarray(np.asarray(5.0)))
                return True
            except broken.error:
                return False
            finally:
                broken.fail_at = None
                watch(**{f"model_{number}": model, f"other_{number}": other})

        number = 0
        while not run(number):
            number += 7
        assert number > 50
        gc.collect()  # a Model and its transform refer to each other
        assert watch.alive() == []


# ---- what the library remembers ------------------------------------------------------------------------------------


def test_many_calls_do_not_grow_what_the_library_remembers(backend: anyjac.Backend) -> None:
    transform = jacrev(lambda x, v: x * v)
    before = dict(vars(transform))
    variables = [Variable(made(backend, number)) for number in range(20)]
    for variable in variables:
        transform(made(backend, 1.0), variable)
    assert_nothing_open(*variables)
    assert vars(transform) == before


def _count_of_objects() -> int:
    """Count objects, but for dead weak references: each `jax.vjp` with a constant as aux leaves one."""
    gc.collect()
    return sum(not (type(each) is weakref.ref and each() is None) for each in gc.get_objects())


def test_objects_do_not_grow_from_call_to_call(backend: anyjac.Backend) -> None:
    model, x = Model(backend), backend.asarray(np.asarray(5.0))

    def calls(count: int) -> int:
        for _ in range(count):
            model.transform(x)
        return _count_of_objects()

    calls(10)  # fills the framework's own caches
    before = calls(10)
    assert calls(40) - before < 40  # less than one object a call


def test_a_call_that_waits_long_does_not_pile_up_locks_at_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    v, owned = Variable(1.0), threading.Event()
    locks: set[int] = set()
    monkeypatch.setattr(ownership, "LOOK_AGAIN_S", 0.001)

    def hold(x: Any) -> Any:
        v.value = v + x
        owned.set()
        until = time.monotonic() + PATIENCE_S
        while not locks - {0}:
            assert time.monotonic() < until
            locks.add(waiting_at(v))
        for _ in range(100):  # time to look again a hundred times
            time.sleep(0.001)
            locks.add(waiting_at(v))
        return x

    def wait() -> float:
        assert owned.wait(PATIENCE_S)
        return float(jacrev(lambda x: v * x)(1.0))

    assert run_in_threads([lambda: jacrev(hold)(1.0), wait])[1] == 2.0
    assert max(locks) == 1
