"""Scenarios: `jit`, on backends that compile, and on backends that run the function uncompiled."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from anyjac import InputTypeError, Variable, grad, jacrev, jit

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()

SQUARES = np.diag([2.0, 4.0])


# ---- results -------------------------------------------------------------------------------------------------------


@scenario("jit/results", answer=[SQUARES, SQUARES, np.diag([6.0, 8.0])])
def a_compiled_transform_in_three_calls(lab: Lab) -> Any:
    compiled = jit(jacrev(lambda x: x * x))
    return [compiled(lab.array(point)) for point in ([1.0, 2.0], [1.0, 2.0], [3.0, 4.0])]


@scenario(
    "jit/results",
    answer=(
        ({"w": np.array(2.0)}, (np.array(3.0), np.array(1.0))),
        np.array(11.0),
        {"text": "aux", "x": np.array(2.0)},
    ),
)
def a_compiled_transform_with_everything_that_it_packs(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    f = lambda x, y: (w * x + y, {"text": "aux", "x": x + 0.0})  # noqa: E731
    compiled = jit(jacrev(f, {"w": w}, (0, 1), has_aux=True, return_value=True))
    compiled(lab.array(1.0), lab.array(1.0))
    return compiled(lab.array(2.0), lab.array(5.0))


@scenario("jit/results", answer=(np.array(6.0), np.array(8.0), np.array([6.0, 9.0])))
def other_numbers_and_other_shapes(lab: Lab) -> Any:
    compiled = jit(lambda x, factor: x * factor)
    return compiled(lab.array(2.0), 3.0), compiled(lab.array(2.0), 4.0), compiled(lab.array([2.0, 3.0]), 3.0)


@scenario("jit/results", answer=[np.array(4.0), np.array(-2.0), np.array(2.0), np.array(4.0)])
def flags_and_text_are_what_they_are(lab: Lab) -> Any:
    compiled = jit(lambda x, how=False: -x if how is True else x * 1.0 if how == "once" else 2 * x)
    x = lab.array(2.0)
    return [compiled(x), compiled(x, True), compiled(x, how="once"), compiled(x)]


@scenario("jit/results", answer=[np.array([8.0, 0.0]), np.array([4.0, 0.0, 0.0]), np.array([8.0, 0.0])])
def static_numbers_are_good_for_branches_and_shapes(lab: Lab) -> Any:
    def f(x: Any, times: int, *, size: int) -> Any:
        for _ in range(times):
            x = 2.0 * x
        return lab.xp.concat([lab.xp.reshape(x, (1,)), lab.xp.zeros(size - 1, dtype=x.dtype)])

    compiled = jit(f, static_argnums=1, static_argnames="size")
    return [compiled(lab.array(1.0), times, size=size) for times, size in ((3, 2), (2, 3), (3, 2))]


@scenario("jit/results", answer=Raises(InputTypeError, "args[1]"))
def what_cannot_be_told_apart_is_refused(lab: Lab) -> Any:
    return jit(lambda x, other: x)(lab.array(1.0), {1, 2})


@scenario("jit/outputs", answer=[{"tree": (np.array(4.0), [None, "text"]), "number": 7}, None, "text"])
def trees_and_none_and_text(lab: Lab) -> Any:
    x = lab.array(2.0)
    tree = jit(lambda x: {"tree": (x * x, [None, "text"]), "number": 7})
    tree(x)
    return [tree(x), jit(lambda x: None)(x), jit(lambda x: "text")(x)]


# ---- Variables -----------------------------------------------------------------------------------------------------


@scenario("jit/variables", answer=([np.array(1.0), np.array(3.0), np.array(5.0)], np.array(7.0), np.array(6.0)))
def read_and_written_once_in_every_call(lab: Lab) -> Any:
    state, last = Variable(lab.array(1.0)), Variable(lab.array(0.0))

    def step(x: Any) -> Any:
        before = state.value * 1.0
        state.value = state + x
        last.value = 3 * x
        return before

    compiled = jit(step)
    return [compiled(lab.array(2.0)) for _ in range(3)], state.value, last.value


@scenario("jit/variables", answer=(np.array(15.0), np.array(20.0)))
def a_value_that_was_set_outside_is_seen(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))
    compiled = jit(lambda x: v * x)
    compiled(lab.array(5.0))
    v.value = lab.array(3.0)
    third = compiled(lab.array(5.0))
    v.value = lab.array(4.0)
    return third, compiled(lab.array(5.0))


@scenario("jit/variables", answer=(np.array(2.0), np.array(3.0), np.array([1.0, 2.0])))
def which_ones_are_written_may_depend_on_flags_and_shapes(lab: Lab) -> Any:
    counted, summed = Variable(lab.array(1.0)), Variable(lab.array(0.0))
    kept = Variable(lab.array(0.0), allow_reshape=True)

    def write(x: Any, counts: bool) -> Any:
        kept.value = x
        if counts:
            counted.value = counted + 1.0
        elif x.ndim:
            summed.value = lab.xp.sum(x)

    compiled = jit(write)
    for x, counts in ((1.0, True), (1.0, False), ([1.0, 2.0], False), ([1.0, 2.0], False)):
        compiled(lab.array(x), counts)
    return counted.value, summed.value, kept.value


class Flag(enum.IntEnum):
    """Numbers that are equal to plain ones, and are no plain ones."""

    ON = 1


KEYS: tuple[Any, ...] = (1, True, 1.0, Flag.ON, np.int64(1))
"""Keys that are equal, of different types."""


# x times the number of letters in the type's name, for each key there and back
@scenario("jit/keys", answer=[(type(key).__name__, np.array(2.0 * len(type(key).__name__))) for key in (*KEYS, *KEYS)])
def equal_keys_of_different_types(lab: Lab) -> Any:
    compiled = jit(lambda tree: {key: len(type(key).__name__) * x for key, x in tree.items()})
    found = [compiled({key: lab.array(2.0)}) for key in (*KEYS, *reversed(KEYS))]
    found[len(KEYS) :] = reversed(found[len(KEYS) :])
    return [(type(key).__name__, x) for each in found for key, x in each.items()]


@scenario("jit/keys", answer=[("int", np.array(4.0)), ("bool", np.array(4.0)), ("float", np.array(4.0))])
def of_the_derivative_too(lab: Lab) -> Any:
    compiled = jit(grad(lambda tree: next(iter(tree.values())) ** 2))
    found = [compiled({key: lab.array(2.0)}) for key in (1, True, 1.0)]
    return [(type(key).__name__, x) for each in found for key, x in each.items()]


@scenario("jit/keys", answer=[("int", np.array(2.0)), ("bool", np.array(-2.0)), ("int", np.array(2.0))])
def of_the_value_of_a_variable(lab: Lab) -> Any:
    v = Variable({1: lab.array(2.0)}, allow_reshape=True)
    compiled = jit(lambda: {key: -x if key is True else x * 1.0 for key, x in v.value.items()})
    found = []
    for key in (1, True, 1):
        v.value = {key: lab.array(2.0)}
        found.append(compiled())
    return [(type(key).__name__, x) for each in found for key, x in each.items()]


@scenario("jit/errors", answer=["ValueError", np.array(1.0), np.array(1.0), np.array(2.0), "ValueError", np.array(2.0)])
def every_variable_is_as_it_was_and_the_next_call_is_right(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))

    def step(x: Any, fails: bool) -> Any:
        before = v.value * 1.0
        v.value = v + x
        if fails:
            raise ValueError("no")
        return before

    compiled, seen = jit(step), []

    def fail() -> None:
        try:
            compiled(lab.array(5.0), True)
        except ValueError as error:
            seen.extend([type(error).__name__, v.value])

    fail()
    seen.extend([compiled(lab.array(1.0), False), v.value])
    fail()
    return seen


# ---- nested --------------------------------------------------------------------------------------------------------


# v x with v = 2 x + v: at v = 1, x = 3 the derivative of (1 + 2 x) x is 1 + 4 x = 13, and that for v is x
@scenario("jit/nested", answer=[((np.array(3.0), np.array(13.0)), np.array(7.0))] * 3)
def inside_a_transform_and_around_one(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))

    def f(x: Any) -> Any:
        v.value = v + 2 * x
        return v * x

    found = []
    for way in (jacrev(jit(f), v, 0), jit(jacrev(f, v, 0)), jit(jacrev(jit(f), v, 0))):
        v.value = lab.array(1.0)
        found.append((way(lab.array(3.0)), v.value))
    return found


@scenario("jit/nested", answer=[np.array(12.0), np.array(18.0)], requires=("nested",))
def a_compiled_second_derivative(lab: Lab) -> Any:
    compiled = jit(jacrev(jacrev(lambda x: x**3)))
    return [compiled(lab.array(x)) for x in (2.0, 3.0)]


@scenario("jit/method", answer=([np.array(1.0), np.array(12.0), np.array(2.0)], np.array(2.0), np.array(12.0)))
def each_object_has_its_own_variables(lab: Lab) -> Any:
    class Counter:
        def __init__(self, start: float) -> None:
            self.count = Variable(lab.array(start))

        @jit
        def add(self, x: Any) -> Any:
            self.count.value = self.count + x
            return self.count.value * 1.0

    one, two = Counter(0.0), Counter(10.0)
    return [one.add(lab.array(1.0)), two.add(lab.array(2.0)), one.add(lab.array(1.0))], one.count.value, two.count.value
