"""brainpy's Jacobians with respect to Variables, next to anyjac's of the same function on JAX.

The function takes nothing: it reads the point from Variables, is differentiated with respect to them, and keeps its
value in another Variable.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import anyjac

from . import operations
from .names import OURS, OURS_COMPILED, compiler
from .problems import Problem
from .timing import Thunk

Stateful = Callable[..., Callable[[], Any]]
"""From a function without arguments and its Variables to the function that computes its Jacobian."""


def contenders() -> dict[str, Callable[[Problem], Thunk]]:
    """Return brainpy's two contenders, and anyjac's."""
    bm: Any = import_module("brainpy.math")  # it ships no type information
    bm.enable_x64()
    jit = compiler()
    found = {
        "brainpy.math.jacrev": _calls(bm.TrainVar, bm.jacrev),
        "bm.jit(bm.jacrev)": _calls(bm.TrainVar, lambda *given: bm.jit(bm.jacrev(*given))),
        OURS: _calls(_variable, anyjac.jacrev),
    }
    return (
        found if jit is None else {**found, OURS_COMPILED: _calls(_variable, lambda *given: jit(anyjac.jacrev(*given)))}
    )


def _variable(value: Any) -> anyjac.TrainVar:
    return anyjac.TrainVar(value, backend="jax")


def _calls(variable: Callable[[Any], Any], transform: Stateful) -> Callable[[Problem], Thunk]:
    def make(problem: Problem) -> Thunk:
        function, variables, read = _in_variables(problem, variable)
        last = variable(function(read()))

        def step() -> Any:
            last.value = function(read())
            return last.value

        jacobian = transform(step, variables)
        return lambda: operations.wait_for_jax(_arrays(jacobian()))

    return make


def _in_variables(problem: Problem, variable: Callable[[Any], Any]) -> tuple[Any, Any, Callable[[], Any]]:
    """Return the function, the Variables in the structure of its point, and how their values are read."""
    ops = operations.of_jax()
    function, point = problem.make(ops), problem.placed(ops)
    if isinstance(point, dict):
        parts = {name: variable(value) for name, value in point.items()}
        return function, parts, lambda: {name: part.value for name, part in parts.items()}
    whole = variable(point)
    return function, whole, lambda: whole.value


def _arrays(blocks: Any) -> Any:
    """Take the arrays out of brainpy's own array type, which JAX cannot wait for."""
    if isinstance(blocks, dict):
        return {name: _arrays(block) for name, block in blocks.items()}
    return getattr(blocks, "value", blocks)
