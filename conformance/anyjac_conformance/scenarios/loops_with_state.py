"""Scenarios: Variables in loops and branches, from the first step to the last, and loops of no steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from anyjac import (
    NotSupportedError,
    StepLimitError,
    Variable,
    VariableWriteError,
    cond,
    for_loop,
    fori_loop,
    grad,
    hessian,
    ifelse,
    jacfwd,
    jacrev,
    jit,
    scan,
    switch,
    vmap,
    while_loop,
)

from ..answers import Either, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

ROWS = np.array([1.0, 2.0, 4.0])


def _compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, which runs as it is where the backend has refused to put off a choice."""

    def run(*args: Any) -> Any:
        try:
            return jit(f)(*args)
        except NotSupportedError:
            return f(*args)

    return run


# ---- what loops return ---------------------------------------------------------------------------------------------


# x' = 3 x + 2, x(0) = 1: x(n) = 2 3^n - 1
@scenario("loops/scan", answer=(np.array(53.0), np.array([1.0, 5.0, 17.0])))
def a_linear_recurrence(lab: Lab) -> Any:
    return scan(lambda x, _: (3.0 * x + 2.0, x), lab.array(1.0), length=3)


@scenario("loops/scan", answer=((np.array(0.0), np.array(7.0)), {"sum": np.array([7.0, 6.0, 4.0])}))
def from_the_last_row_with_results_in_the_order_of_the_rows(lab: Lab) -> Any:
    step = lambda c, x: ((x * 0.0, c[1] + x), {"sum": c[1] + x})  # noqa: E731
    return scan(step, (lab.array(3.0), lab.array(0.0)), lab.array(ROWS), reverse=True)


@scenario("loops/scan", answer=(None, (np.array([[2.0, 3.0], [5.0, 7.0]]), [np.array([1, 2])], None)))
def rows_of_a_tree_come_back_as_they_were(lab: Lab) -> Any:
    rows = (lab.array([[2.0, 3.0], [5.0, 7.0]]), [lab.array([1, 2], "int64")], None)
    return scan(lambda _, row: (None, row), None, rows)


@scenario("loops/scan", answer=[np.array(8.0)] * 3)
def any_number_of_steps_at_once(lab: Lab) -> Any:
    rows = lab.array(ROWS)
    return [scan(lambda s, x: (s + x, None), lab.array(1.0), rows, unroll=unroll)[0] for unroll in (1, 2, 10)]


@scenario(
    "loops/scan", answer=(np.array(2.0), np.array([True, False, False]), np.array([0, 1, 2]), np.array([1.5] * 3))
)
def results_are_arrays_and_numbers(lab: Lab) -> Any:
    step = lambda s, x: (s + 1, (x < 2.0, s * 1, 1.5))  # noqa: E731
    last, (flags, counts, numbers) = scan(step, lab.array(0, "int64"), lab.array(ROWS))
    float64 = lab.xp.float64
    return lab.xp.astype(last, float64) - 1.0, flags, counts, lab.xp.astype(numbers, float64)


@scenario("loops/scan", answer=(np.array([7.0, 7.0]), np.array([[1.0, 1.0], [3.0, 3.0], [7.0, 7.0]]), np.zeros(2)))
def what_was_returned_though_later_steps_write_in_place(lab: Lab) -> Any:
    init = lab.array([0.0, 0.0])

    def step(s: Any, x: Any) -> Any:
        s += x
        return s, s

    return *scan(step, init, lab.array(ROWS)), init


# q'' = -q, by exact steps: the phase is n h, the energy does not change
@scenario(
    "loops/for-loop",
    answer=(np.cos(0.1 * np.arange(1, 51)), np.full(50, 0.5), np.array(-50 * np.sin(0.1 * 50))),
)
def a_pendulum_keeps_its_energy(lab: Lab) -> Any:
    xp = lab.xp

    def swing(h: Any) -> Any:
        q, p = Variable(xp.ones_like(h)), Variable(xp.zeros_like(h))

        def step() -> Any:
            q.value, p.value = q * xp.cos(h) + p * xp.sin(h), p * xp.cos(h) - q * xp.sin(h)
            return q.value, 0.5 * (q**2 + p**2)

        return for_loop(step, length=50)

    h = lab.array(0.1)
    return *swing(h), grad(lambda h: swing(h)[0][-1])(h)


# Kick, drift, kick: p^2 + q^2 (1 - h^2 / 4) does not change. The determinant of the flow is one.
@scenario("loops/fori-loop", answer=(np.array(0.9975), np.array(1.0)))
def a_leapfrog_keeps_its_own_energy_and_the_volume(lab: Lab) -> Any:
    h = 0.1

    def run(state: Any) -> Any:
        def step(_: Any, state: Any) -> Any:
            q, p = state[0], state[1]
            p = p - 0.5 * h * q
            q = q + h * p
            return lab.xp.stack([q, p - 0.5 * h * q])

        return fori_loop(0, 100, step, state)

    begin = lab.array([1.0, 0.0])
    q, p = run(begin)[0], run(begin)[1]
    j = jacrev(run)(begin)
    return p**2 + (1 - h**2 / 4) * q**2, j[0, 0] * j[1, 1] - j[0, 1] * j[1, 0]


@scenario("loops/for-loop", answer=(np.array([11.0, 22.0, 44.0]), np.array([3.0, 3.0])))
def several_arrays_and_none(lab: Lab) -> Any:
    tens = lab.array(10 * ROWS)
    three = lab.array(3.0)
    return for_loop(lambda x, d: x + d["tens"], lab.array(ROWS), {"tens": tens}), for_loop(lambda: three, length=2)


@scenario("loops/fori-loop", answer=(np.array(120.0), np.array(7.0), np.array([3, 4, 5])))
def the_numbers_are_integers_in_order(lab: Lab) -> Any:
    seen = Variable(lab.array([0, 0, 0], "int64"))

    def note(i: Any, n: Any) -> Any:
        seen[n] = i
        return n + 1

    factorial = fori_loop(1, 6, lambda i, p: p * i, lab.array(1.0))
    nothing = fori_loop(5, 2, lambda i, p: p * i, lab.array(7.0))
    fori_loop(3, 6, note, lab.array(0, "int64"))
    return factorial, nothing, seen.value


# Newton's method: r = sqrt(x), dr/dx = 1 / (2 sqrt(x))
@scenario("loops/while-loop", answer=(np.array(2.0), np.array(0.25), np.array([2.0, 3.0, 4.0])))
def a_square_root_by_newton_s_method(lab: Lab) -> Any:
    def root(x: Any) -> Any:
        improve = lambda r: 0.5 * (r + x / r)  # noqa: E731
        return while_loop(lambda r: lab.xp.abs(r * r - x) > 1e-14 * x, improve, x, max_steps=60)

    each = lab.xp.stack([root(lab.array(x)) for x in (4.0, 9.0, 16.0)])
    return root(lab.array(4.0)), grad(root)(lab.array(4.0)), each


@scenario("loops/while-loop", answer=[np.array(9.0), np.array(8.0), np.array(4.0), np.array(4.0)])
def without_a_greatest_number_of_steps(lab: Lab) -> Any:
    double: Any = lambda limit: lambda x: while_loop(lambda x: x < limit, lambda x: 2.0 * x, x)  # noqa: E731
    first, second = lab.array(9.0), lab.array(1.0)
    return [double(5.0)(first), _compiled(double(5.0))(second), double(3.0)(second), double(4.0)(second)]


@scenario("loops/while-loop", answer=np.array(8.0), requires=("forward",))
def without_a_greatest_number_of_steps_in_forward_mode(lab: Lab) -> Any:
    return jacfwd(lambda x: while_loop(lambda x: x < 5.0, lambda x: 2.0 * x, x))(lab.array(1.0))


# Each example takes steps of its own: 1, 2, 4, 8 and 5
@scenario("loops/while-loop", answer=(np.array([8.0, 5.0, 6.0]), np.array([8.0, 1.0, 2.0])))
def each_example_of_a_map_ends_by_itself(lab: Lab) -> Any:
    double = lambda x: while_loop(lambda x: x < 5.0, lambda x: 2.0 * x, x, max_steps=4)  # noqa: E731
    x = lab.array([1.0, 5.0, 3.0])
    return vmap(double)(x), vmap(grad(double))(x)


@scenario("loops/while-loop", answer=[np.array(4.0), np.array(1.0), np.array(4.0), np.array(7.0)])
def as_many_steps_as_are_allowed(lab: Lab) -> Any:
    count: Any = lambda limit, most, x: while_loop(lambda x: x < limit, lambda x: x + 1.0, x, max_steps=most)  # noqa: E731
    one, seven = lab.array(1.0), lab.array(7.0)
    return [count(4.0, 3, one), count(1.0, 0, one), count(4.0, 100, one), count(4.0, 2, seven)]


def _limited(use: Callable[[Lab, Any, Any], Any], lab: Lab) -> Any:
    v = Variable(lab.array(1.0), name="v")

    def body(x: Any) -> Any:
        v.value = v + x
        return x + 1.0

    return use(lab, lambda x: while_loop(lambda x: x < 10.0, body, x, max_steps=3), v)


def _kept(lab: Lab, f: Any, v: Any) -> Any:
    try:
        f(lab.array(0.0))
    except StepLimitError as error:
        return {"names max_steps": "max_steps=3" in str(error), "v": v.value}
    raise AssertionError("the loop has taken more steps than it is allowed to")


scenario.add(
    Scenario(
        "more steps than are allowed are an error",
        "loops/while-loop",
        partial(_limited, _kept),
        {"names max_steps": True, "v": np.array(1.0)},
    )
)
# A recorded loop cannot raise an error, and has no numbers instead.
scenario.add(
    Scenario(
        "more steps than are allowed give no number in a derivative",
        "loops/while-loop",
        partial(_limited, lambda lab, f, v: lab.xp.isnan(grad(f, return_value=True)(lab.array(0.0))[1])),
        Either(Raises(StepLimitError, "max_steps=3"), np.array(True)),
    )
)
scenario.add(
    Scenario(
        "more steps than are allowed give no number where it is compiled",
        "loops/while-loop",
        partial(_limited, lambda lab, f, v: lab.xp.isnan(_compiled(f)(lab.array(0.0)))),
        Either(Raises(StepLimitError, "max_steps=3"), np.array(True)),
    )
)


# ---- branches ------------------------------------------------------------------------------------------------------


WAYS_TO_RUN: dict[str, Callable[[Any], Any]] = {"run": lambda f: f, "compiled": _compiled}


@scenario("loops/cond", answer=[(way, [4.0, -2.0], [4.0, -1.0]) for way in ("run", "compiled")])
def the_function_that_the_boolean_says(lab: Lab) -> Any:
    def f(x: Any) -> Any:
        return cond(x < 3.0, lambda x: x * x, lambda x: 1.0 - x, x)

    points = [lab.array(x) for x in (2.0, 3.0)]
    return [(way, *([float(run(g)(x)) for x in points] for g in (f, grad(f)))) for way, run in WAYS_TO_RUN.items()]


@scenario("loops/cond", answer=[np.array(1.0), np.array(-1.0), np.array(1.0), {"a": (np.array(2.0), None)}])
def booleans_of_python_and_of_variables_and_trees(lab: Lab) -> Any:
    flag = Variable(lab.array(True, "bool"))
    one, minus = lab.array(1.0), lab.array(-1.0)
    given = [cond(pred, lambda: one, lambda: minus) for pred in (True, False, flag)]
    tree = cond(flag.value, lambda t, k: {"a": (t["x"] * k, None)}, lambda t, k: {"a": (k, None)}, {"x": one}, 2.0)
    return [*given, tree]


@scenario("loops/cond", answer=(np.array([4.0, 5.0, 1.0]), np.array([4.0, 1.0, -1.0])))
def each_example_of_a_map_by_itself(lab: Lab) -> Any:
    f = lambda x: cond(x > 3.0, lambda x: x, lambda x: cond(x > 1.0, lambda x: x * x, lambda x: 2.0 - x, x), x)  # noqa: E731
    x = lab.array([2.0, 5.0, 1.0])
    return vmap(f)(x), vmap(grad(f))(x)


# The branch that is not taken has a derivative of infinity, which must not reach the result.
@scenario("loops/cond", answer=(np.array(0.0), np.array(0.0)))
def nothing_comes_from_the_other_branch(lab: Lab) -> Any:
    f = lambda x: cond(x > 0.0, lambda x: x**-0.5, lambda x: 0.0 * x, x)  # noqa: E731
    return grad(f)(lab.array(0.0)), _compiled(grad(f))(lab.array(0.0))


NUMBERS = (-7, 0, 1, 2, 9)


@scenario("loops/switch", answer={"run": [2.0, 2.0, 4.0, 8.0, 8.0], "compiled": [2.0, 2.0, 4.0, 8.0, 8.0]})
def numbers_past_the_ends_mean_the_ends(lab: Lab) -> Any:
    f = lambda n, x: switch(n, [lambda x: x, lambda x: x * x, lambda x: x**3], x)  # noqa: E731
    two = lab.array(2.0)
    numbers = [lab.array(n, "int64") for n in NUMBERS]
    return {way: [float(run(f)(n, two)) for n in numbers] for way, run in WAYS_TO_RUN.items()}


@scenario("loops/switch", answer=(np.array(2.0), np.array(6.0), np.array(2.0), np.array([2.0, 4.0, 8.0])))
def numbers_of_python_one_function_and_a_map(lab: Lab) -> Any:
    powers = [lambda x: x, lambda x: x * x, lambda x: x**3]
    two = lab.array(2.0)
    both = switch(1, [lambda x, y: x, lambda x, y: x * y], two, lab.array(3.0))
    numbers = lab.array([0, 1, 2], "int64")
    return switch(-1, powers, two), both, switch(3, powers[:1], two), vmap(lambda n: switch(n, powers, two))(numbers)


LIMITS = (10.0, 5.0, 2.0, 0.0)


@scenario("loops/ifelse", answer={"run": [1.0, 4.0, 5.0, 2.0], "compiled": [1.0, 4.0, 5.0, 2.0]})
def the_function_of_the_first_condition_that_holds(lab: Lab) -> Any:
    each = [lambda n=n: lab.array(n) for n in (1.0, 2.0, 3.0, 4.0, 5.0)]
    f = lambda x: ifelse([x > limit for limit in LIMITS], each)  # noqa: E731
    return {way: [float(run(f)(lab.array(x))) for x in (11.0, 1.0, -1.0, 6.0)] for way, run in WAYS_TO_RUN.items()}


@scenario("loops/ifelse", answer=[np.array(18.0), np.array(1.0), np.array(-4.0), np.array([18.0, 1.0, -4.0])])
def gradients_of_the_function_that_was_taken(lab: Lab) -> Any:
    powers = [lambda x: x, lambda x: x**2, lambda x: x**4]
    slope = grad(lambda x: ifelse([x >= 10.0, x >= 0.0], powers, x))
    points = [9.0, 11.0, -1.0]
    return [*(slope(lab.array(x)) for x in points), vmap(slope)(lab.array(points))]


@scenario("loops/ifelse", answer=np.array(5.0))
def without_conditions_the_only_function_runs(lab: Lab) -> Any:
    return ifelse([], [lambda x: x + 1.0], lab.array(4.0))


# ---- Variables -----------------------------------------------------------------------------------------------------


@scenario("loops/variables", answer=(np.array([3.0, 8.0, 20.0]), np.array(20.0), np.array(3)))
def what_a_step_writes_the_next_one_reads(lab: Lab) -> Any:
    v, count = Variable(lab.array(1.0)), Variable(lab.array(0, "int64"))

    def step(x: Any) -> Any:
        v.value = 2.0 * v + x
        count.value += 1
        return v.value

    return for_loop(step, lab.array(ROWS)), v.value, count.value


@scenario("loops/variables", answer=(np.array([[2.0], [4.0], [8.0]]), np.array([3.0, 2.0, 1.0]), np.array([8.0])))
def what_was_returned_of_one_that_is_written_in_place(lab: Lab) -> Any:
    v = Variable(lab.array([1.0]))

    def step(x: Any) -> Any:
        v.value += x
        return v.value

    results = for_loop(step, lab.array(ROWS))
    v.value = lab.array([1.0])
    return results, grad(lambda rows: lab.xp.sum(for_loop(step, rows)))(lab.array(ROWS)), v.value


# s = ((1 w + 1) w + 2) w + 4: ds/dw = 3 w^2 + 2 w + 2, ds/ds0 = w^3
@scenario("loops/variables", answer=({"w": np.array(18.0), "s": np.array(8.0)}, np.array(20.0), np.array(20.0)))
def read_and_written_ones_are_differentiated(lab: Lab) -> Any:
    w, s = Variable(lab.array(2.0)), Variable(lab.array(1.0))

    def run() -> Any:
        for_loop(lambda x: setattr(s, "value", w * s + x), lab.array(ROWS))
        return s.value

    gradient, value = grad(run, {"w": w, "s": s}, return_value=True)()
    return gradient, value, s.value


@scenario("loops/variables", answer=(np.array(12.0), np.array([4.0, 8.0])))
def every_derivative_stores_what_was_written_once(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))

    def run(x: Any) -> Any:
        for_loop(lambda: setattr(v, "value", x * v), length=2)
        return lab.xp.sum(v.value)

    return grad(run)(lab.array(2.0)), v.value


@scenario("loops/variables", answer=[(np.array(4.0),) * 2, (np.array(7.0),) * 2] * 2)
def one_that_is_written_in_a_later_step_alone(lab: Lab) -> Any:
    def run(limit: float, wrap: Callable[[Any], Any]) -> Any:
        v = Variable(lab.array(7.0), name="v")

        def step(x: Any) -> None:
            cond(x > limit, lambda: setattr(v, "value", x * 1.0), lambda: None)

        def all_steps(rows: Any) -> Any:
            for_loop(step, rows)
            return v.value

        return wrap(all_steps)(lab.array(ROWS)), v.value

    return [run(limit, wrap) for wrap in (lambda f: f, _compiled) for limit in (3.0, 9.0)]


@scenario("loops/variables", answer={"run": [[2.0, 10.0], [1.0, 12.0]], "compiled": [[2.0, 10.0], [1.0, 12.0]]})
def branches_that_write_different_ones_agree(lab: Lab) -> Any:
    def after(wrap: Callable[[Any], Any], flag: bool) -> list[float]:
        a, b = Variable(lab.array(1.0)), Variable(lab.array(10.0))

        def first() -> Any:
            a.value = a + 1.0
            return b.value

        def second() -> Any:
            b.value = b + 2.0 * a
            return a.value

        wrap(lambda flag: cond(flag, first, second))(lab.array(flag, "bool"))
        return [float(a.value), float(b.value)]

    return {way: [after(run, flag) for flag in (True, False)] for way, run in WAYS_TO_RUN.items()}


@scenario("loops/variables", answer=(np.array([1.0, 4.0, 16.0]), np.array([2.0, 4.0, 8.0])))
def one_that_is_made_in_a_step_lives_there(lab: Lab) -> Any:
    def step(x: Any) -> Any:
        own = Variable(x)
        own.value = own * x
        return own.value

    run: Any = lambda rows: for_loop(step, rows)  # noqa: E731
    rows = lab.array(ROWS)
    return run(rows), grad(lambda rows: lab.xp.sum(run(rows)))(rows)


@scenario("loops/variables", answer=(np.array(7.0), {"a": np.array([7.0, 14.0]), "n": np.array(3)}))
def a_tree_in_one_variable(lab: Lab) -> Any:
    v = Variable({"a": lab.array([0.0, 0.0]), "n": lab.array(0, "int64")})

    def step(s: Any, x: Any) -> Any:
        v.value = {"a": v.value["a"] + x * lab.array([1.0, 2.0]), "n": v.value["n"] + 1}
        return v.value["a"][0], None

    return scan(step, lab.array(0.0), lab.array(ROWS))[0], v.value


@scenario("loops/variables", answer=np.array([[1.0, 0.0], [1.0, 2.0]]))
def at_an_index_in_each_step(lab: Lab) -> Any:
    v = Variable(lab.array([[0.0, 0.0], [0.0, 0.0]]))

    def step(x: Any) -> None:
        v[1] += x * lab.array([1.0, 2.0])
        v[0, 0] = x

    for_loop(step, lab.array([0.0, 1.0]))
    return v.value


@scenario("loops/variables", answer=(np.array(9.0), np.array(3.0), np.array(12.0)))
def in_loops_in_loops(lab: Lab) -> Any:
    inner, outer = Variable(lab.array(0.0)), Variable(lab.array(0.0))

    def count(_: Any, nothing: None) -> None:
        inner.value = inner + 1.0

    def step() -> None:
        outer.value = outer + 1.0
        fori_loop(0, 3, count, None)

    for_loop(step, length=3)
    return inner.value, outer.value, inner.value + outer.value


@scenario("loops/variables", answer=[2.0, 6.0, 24.0])
def a_closed_over_number_that_changed_is_seen(lab: Lab) -> Any:
    scale = {"factor": 1.0}
    run: Any = lambda x: scan(lambda s, _: (s * scale["factor"], None), x, length=1)[0]  # noqa: E731
    x, found = lab.array(1.0), []
    for factor in (2.0, 3.0, 4.0):
        scale["factor"] = factor
        x = run(x)
        found.append(float(x))
    return found


@scenario("loops/variables", answer=(np.array(12.0), np.array(8.0), (np.array(3.0), np.array(3))))
def values_and_aux_data_of_a_derivative(lab: Lab) -> Any:
    v, count = Variable(lab.array(0.0)), Variable(lab.array(0, "int64"))

    def run(x: Any) -> Any:
        def step(i: Any, power: Any) -> Any:
            v.value = v + 1.0
            count.value += 1
            return power * x

        return fori_loop(0, 3, step, 1.0), (v.value, count.value)

    return grad(run, has_aux=True, return_value=True)(lab.array(2.0))


@scenario("loops/variables", answer=(np.array([2.0, 4.0]), np.array(6.0)))
def jacobians_in_the_steps(lab: Lab) -> Any:
    v = Variable(lab.array(0.0))

    def step(x: Any) -> Any:
        slope = jacrev(lambda y: y * y)(x)
        v.value = v + slope
        return slope

    return for_loop(step, lab.array([1.0, 2.0])), v.value


# d2/dw2 of sum over i of (w x_i)^2 = 2 sum x_i^2
@scenario("loops/variables", answer=(np.array(42.0), np.array(2.0)), requires=("nested",))
def second_derivatives_by_a_variable(lab: Lab) -> Any:
    w = Variable(lab.array(2.0))
    loss = lambda: lab.xp.sum(for_loop(lambda x: (w * x) ** 2, lab.array(ROWS)))  # noqa: E731
    return hessian(loss, w)(), w.value


@scenario("loops/variables", answer=Raises(VariableWriteError, "'v'", "float", "int64"))
def a_write_of_another_dtype_is_refused_by_name(lab: Lab) -> Any:
    v = Variable(lab.array(0, "int64"), name="v")

    def step(x: Any) -> None:
        v.value = v * 1.0 + x

    for_loop(step, lab.array([0.5], "float32"))
    return v.value


@scenario("loops/variables", answer=Raises(VariableWriteError, "the condition of while_loop", "'v'"))
def a_condition_that_writes_is_refused(lab: Lab) -> Any:
    v = Variable(lab.array(0.0), name="v")

    def condition(x: Any) -> Any:
        v.value = v + 1.0
        return x < 3.0

    return while_loop(condition, lambda x: x + 1.0, lab.array(0.0))


@scenario("loops/variables", answer=Raises(VariableWriteError, "'v'", "vmap"))
def a_write_in_a_loop_in_a_map_is_refused(lab: Lab) -> Any:
    v = Variable(lab.array(0.0), name="v")

    def step(x: Any) -> None:
        v.value = v + x

    return vmap(lambda row: for_loop(step, row))(lab.array([ROWS, ROWS]))


# ---- errors in the middle ------------------------------------------------------------------------------------------


class HaltedError(Exception):
    """The error that the functions below raise."""


def _loop_that_halts(lab: Lab, v: Variable, w: Variable, member: str) -> Any:
    def step(*_: Any) -> Any:
        v.value = v + 1.0
        w[0] = 7.0
        raise HaltedError

    def later() -> None:
        v.value = v + 2.0
        for_loop(step, length=2)

    return {
        "scan": lambda: scan(lambda c, _: (step(), None), lab.array(0.0), length=3),
        "for_loop": lambda: for_loop(step, length=3),
        "fori_loop": lambda: fori_loop(0, 3, step, None),
        "while_loop": lambda: while_loop(lambda _: v < 3.0, step, None),
        "cond": lambda: cond(v < 3.0, step, lambda: None),
        "switch": lambda: switch(lab.array(0, "int64"), [step]),
        "ifelse": lambda: ifelse([v < 3.0], [step, lambda: None]),
        "a loop in a loop": lambda: for_loop(later, length=2),
    }[member]


MEMBERS = ("scan", "for_loop", "fori_loop", "while_loop", "cond", "switch", "ifelse", "a loop in a loop")


def _after_halting(member: str, lab: Lab) -> Any:
    v, w = Variable(lab.array(1.0)), Variable(lab.array([2.0, 2.0]))
    halts = _loop_that_halts(lab, v, w, member)
    for wrap in (lambda f: f, lambda f: partial(grad(lambda x: f()), lab.array(1.0)), _compiled):
        try:
            wrap(halts)()
        except HaltedError:
            continue
        raise AssertionError("the error was swallowed")
    for_loop(lambda: setattr(v, "value", v + 1.0), length=2)  # and Variables go on
    return v.value, w.value


for _member in MEMBERS:
    scenario.add(
        Scenario(
            f"after an error in {_member}",
            "loops/restored",
            partial(_after_halting, _member),
            (np.array(3.0), np.array([2.0, 2.0])),
        )
    )


@scenario("loops/restored", answer=(np.array(1.0), np.array([2.0, 2.0])))
def after_an_interrupt_in_a_step(lab: Lab) -> Any:
    v, w = Variable(lab.array(1.0)), Variable(lab.array([2.0, 2.0]))

    def step(x: Any) -> None:
        v.value = v + x
        w[1] = x
        raise KeyboardInterrupt

    try:
        for_loop(step, lab.array(ROWS))
    except KeyboardInterrupt:
        return v.value, w.value
    raise AssertionError("the interrupt was swallowed")


@scenario("loops/restored", answer=(np.array(4.0), np.array(3.0)))
def a_failure_that_is_caught_loses_the_writes_of_its_loop_alone(lab: Lab) -> Any:
    v, w = Variable(lab.array(1.0)), Variable(lab.array(3.0))

    def fails() -> None:
        w.value = w * 9.0
        raise HaltedError

    def step() -> None:
        v.value = v + 1.0
        with contextlib.suppress(HaltedError):
            for_loop(fails, length=2)

    for_loop(step, length=3)
    return v.value, w.value


# ---- no steps ------------------------------------------------------------------------------------------------------


@scenario("loops/zero-steps", answer=((np.array(5.0), {"y": np.zeros((0, 2)), "n": np.zeros(0, int)}), np.array(1.0)))
def a_scan(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))

    def step(c: Any, x: Any) -> Any:
        v.value = v + c
        return c * 2.0, {"y": x["a"] * c, "n": x["n"] + 1}

    rows = {"a": lab.array(np.zeros((0, 2))), "n": lab.array(np.zeros(0), "int64")}
    return scan(step, lab.array(5.0), rows), v.value


@scenario("loops/zero-steps", answer=(np.zeros((0, 3), np.float32), np.array(1.0), [np.array(2.0), np.array(4)]))
def the_other_loops(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))

    def step(*carry: Any) -> Any:
        v.value = v + 1.0
        return lab.array([0.0, 0.0, 0.0], "float32")

    empty = for_loop(step, length=0)
    of_numbers = fori_loop(3, 3, lambda i, c: [step(), c][1], lab.array(2.0))
    of_condition = while_loop(lambda n: n < 3, lambda n: [step(), n][1], lab.array(4, "int64"))
    return empty, v.value, [of_numbers, of_condition]


@scenario("loops/zero-steps", answer=(np.array(1.0), np.array(0.0), np.zeros((0, 2))))
def derivatives(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    run: Any = lambda x, rows: scan(lambda c, r: (w * c, c * r), x, rows)  # noqa: E731
    rows = lab.array(np.zeros((0, 2)))
    total = lambda rows: lab.xp.sum(run(lab.array(1.0), rows)[1])  # noqa: E731
    of_w = grad(lambda: run(lab.array(2.0), rows)[0] + 0.0 * w, w)()
    return grad(lambda x: run(x, rows)[0])(lab.array(2.0)), of_w, grad(total)(rows)
