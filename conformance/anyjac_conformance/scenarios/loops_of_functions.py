"""Scenarios: functions of many elements at once, and functions that are computed again in the pass back."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from anyjac import (
    OutputError,
    Variable,
    VariableWriteError,
    associative_scan,
    checkpoint,
    for_loop,
    fori_loop,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    map,
    scan,
    vjp,
    vmap,
)

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

X = np.array([1.0, 2.0, 4.0, -1.0, 3.0])
CUBES = np.diag(3 * 2.0 * X**2)


# ---- map -------------------------------------------------------------------------------------------------------------


def _cubes(lab: Lab, chunk_size: int | None) -> Any:
    w = Variable(lab.array(2.0))

    def cubes(x: Any) -> Any:
        return map(lambda x: {"cube": w * x**3}, x, chunk_size=chunk_size)["cube"]

    by_w, by_x = jacrev(cubes, w, 0)(lab.array(X))
    return cubes(lab.array(X)), by_w, by_x


for _size in (None, 1, 2, 5, 7):
    _name = "one after the other" if _size is None else f"in chunks of {_size}"
    scenario.add(Scenario(_name, "loops/map", partial(_cubes, chunk_size=_size), (2 * X**3, X**3, CUBES)))


@scenario("loops/map", answer=(np.array([1.0, 3.0, 7.0, 6.0, 9.0]), np.array(9.0)))
def elements_one_after_the_other_go_on_with_what_was_written(lab: Lab) -> Any:
    v = Variable(lab.array(0.0))

    def step(x: Any) -> Any:
        v.value = v + x
        return v.value

    return map(step, lab.array(X)), v.value


@scenario("loops/map", answer=Raises(VariableWriteError, "'v'"))
def a_write_in_chunks_is_refused(lab: Lab) -> Any:
    v = Variable(lab.array(1.0), name="v")

    def step(x: Any) -> Any:
        v.value = v + x
        return x

    return map(step, lab.array(X), chunk_size=2)


# ---- associative_scan ------------------------------------------------------------------------------------------------


def _after(first: Any, second: Any) -> Any:
    """Return the composition of two linear functions."""
    return {"a": first["a"] * second["a"], "b": second["a"] * first["b"] + second["b"]}


# s = a s + x, of which the last is the sum over i of a^(4 - i) x_i
POWERS = 0.5 ** np.arange(4, -1, -1)
LAST = np.array(np.sum(POWERS * X))
BY_A = np.array(np.sum(np.arange(4, -1, -1) * 0.5 ** np.arange(3, -2, -1) * X))


def _last_of_a_recurrence(lab: Lab, a: Any, x: Any) -> Any:
    xp = lab.xp
    return associative_scan(_after, {"a": a * xp.ones_like(x), "b": x})["b"][-1]


@scenario("loops/associative-scan", answer=(LAST, BY_A, POWERS))
def a_linear_recurrence(lab: Lab) -> Any:
    a = Variable(lab.array(0.5))
    (by_a, by_x), value = grad(lambda x: _last_of_a_recurrence(lab, a, x), a, 0, return_value=True)(lab.array(X))
    return value, by_a, by_x


@scenario("loops/associative-scan", answer=BY_A, requires=("forward",))
def a_linear_recurrence_in_forward_mode(lab: Lab) -> Any:
    return jacfwd(lambda a: _last_of_a_recurrence(lab, a, lab.array(X)))(lab.array(0.5))


@scenario("loops/associative-scan", answer=(np.cumsum(X), np.cumsum(X[::-1])[::-1]))
def running_sums_from_either_end(lab: Lab) -> Any:
    x = lab.array(X)
    return associative_scan(_sum, x), associative_scan(_sum, x, reverse=True)


@scenario("loops/associative-scan", answer=(np.cumsum([X, 2 * X], axis=1), np.cumsum([X, 2 * X], axis=1)))
def running_sums_along_an_axis_and_mapped(lab: Lab) -> Any:
    rows = lab.array(np.stack([X, 2 * X]))
    return associative_scan(_sum, rows, axis=1), vmap(lambda x: associative_scan(_sum, x))(rows)


@scenario("loops/associative-scan", answer=Raises(OutputError, "associative_scan", "structure"))
def another_structure_is_refused(lab: Lab) -> Any:
    return associative_scan(lambda a, b: (a, b), lab.array(X))


def _sum(a: Any, b: Any) -> Any:
    return a + b


# ---- checkpoint ------------------------------------------------------------------------------------------------------

# y = w^3 x^2 at w = 2, x = 3, while v counts
BY_W, BY_X = np.array(108.0), np.array(48.0)


class _Counting:
    """A function that reads a Variable and counts its calls in another one."""

    def __init__(self, lab: Lab):
        self.w, self.v = Variable(lab.array(2.0)), Variable(lab.array(0.0))

    def __call__(self, x: Any) -> Any:
        self.v.value = self.v + 1.0
        return self.w**3 * x**2


@scenario("loops/checkpoint", answer=(np.array(72.0), BY_W, BY_X, np.array(1.0)))
def gradients_and_one_write(lab: Lab) -> Any:
    f = _Counting(lab)
    (by_w, by_x), value = grad(checkpoint(f), f.w, 0, return_value=True)(lab.array(3.0))
    return value, by_w, by_x, f.v.value


@scenario("loops/checkpoint", answer=(BY_X, np.array(5.0)))
def a_pullback_sees_the_values_of_its_run(lab: Lab) -> Any:
    f = _Counting(lab)
    pull = vjp(checkpoint(f))(lab.array(3.0))
    f.w.value = lab.array(5.0)
    return pull(lab.array(1.0)), f.w.value


@scenario("loops/checkpoint", answer=np.array(16.0), requires=("nested",))
def second_derivatives(lab: Lab) -> Any:
    return hessian(checkpoint(_Counting(lab)))(lab.array(3.0))


@scenario("loops/checkpoint", answer=BY_X, requires=("forward",))
def forward_mode(lab: Lab) -> Any:
    return jacfwd(checkpoint(_Counting(lab)))(lab.array(3.0))


@scenario("loops/checkpoint", answer=(BY_X, np.array(1.0)))
def compiled_around_it(lab: Lab) -> Any:
    f = _Counting(lab)
    return jit(grad(checkpoint(f)))(lab.array(3.0)), f.v.value


# s = w s + x from 0: the last has the derivatives w^(4 - i) by x_i
def _stretches(lab: Lab, size: bool | int, reverse: bool) -> Any:
    w, s = Variable(lab.array(0.5)), Variable(lab.array(0.0))

    def step(x: Any) -> Any:
        s.value = w * s + x
        return s.value

    def run(x: Any) -> Any:
        s.value = lab.array(0.0)
        for_loop(step, x, checkpoint=size, reverse=reverse)
        return s.value

    by_w, by_x = grad(run, w, 0)(lab.array(X))
    return by_w, by_x, s.value


for _stretch in (True, 1, 2, 5, 9):
    for _reverse in (False, True):
        _rows = X[::-1] if _reverse else X
        _answer = (
            np.array(np.sum(np.arange(4, -1, -1) * 0.5 ** np.arange(3, -2, -1) * _rows)),
            POWERS[::-1] if _reverse else POWERS,
            np.array(np.sum(POWERS * _rows)),
        )
        _name = f"a loop in stretches of {_stretch}" + (" reversed" if _reverse else "")
        _observe = partial(_stretches, size=_stretch, reverse=_reverse)
        scenario.add(Scenario(_name, "loops/checkpoint", _observe, _answer))


@scenario("loops/checkpoint", answer=(np.array(80.0), np.array(80.0)))
def scan_and_fori_loop_in_stretches(lab: Lab) -> Any:
    x, rows = lab.array(2.0), lab.array(np.zeros(5))
    scanned = grad(lambda x: scan(lambda s, _: (s * x, None), x / x, rows, checkpoint=2)[0])(x)
    counted = grad(lambda x: fori_loop(0, 5, lambda _, s: s * x, x / x, checkpoint=True))(x)
    return scanned, counted
