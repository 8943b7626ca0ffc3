"""In which primitive NaN or infinity first appears: the recorded program, evaluated equation by equation.

It is followed back from where it was found to an equation that was given none; within calls (of compiled functions, of
functions with rules of their own) it is followed further. Where several ways end in different equations, nothing is
said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from anyjac_plugins import Array, FlatFunction, Pullback, Pushforward

from . import differentiation

CALLS = frozenset(
    {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"}
)
"""Primitives that do nothing but evaluate a program of their own."""


def origin(
    fun: FlatFunction,
    primals: Sequence[Array],
    number: int,
    cotangents: Sequence[Array | None] | None,
    tangents: Sequence[Array | None] | None,
    nan: bool,
) -> str | None:
    """Return the primitive that made a number which is not finite; see `anyjac_plugins.Backend.find_nonfinite`."""

    def results(*arrays: Array) -> Sequence[Array]:
        if cotangents is not None:
            _, pullback, _ = differentiation.vjp(fun, arrays)
            return [jnp.asarray(pullback(cotangents)[number])]
        if tangents is not None:
            return [jnp.asarray(differentiation.jvp(fun, arrays, tangents)[1][number])]
        return [fun(*arrays)[0][number]]

    derivative = cotangents is not None or tangents is not None
    return _primitive(results, primals, nan, "derivative" if derivative else "forward run")


def origin_in_map(
    linear_map: Pullback | Pushforward, vectors: Sequence[Array | None], number: int, nan: bool
) -> str | None:
    """Do the same for a linear map, which uses what the run before it has left."""
    given = [index for index, vector in enumerate(vectors) if vector is not None]

    def result(*arrays: Array) -> Sequence[Array]:
        filled: list[Array | None] = [None] * len(vectors)
        for index, array in zip(given, arrays, strict=True):
            filled[index] = array
        return [jnp.asarray(linear_map(filled)[number])]

    return _primitive(result, [vector for vector in vectors if vector is not None], nan, "derivative")


def _primitive(fun: Callable[..., Sequence[Array]], arguments: Sequence[Array], nan: bool, where: str) -> str | None:
    recorded = jax.make_jaxpr(fun)(*arguments)
    equation = _Program(recorded.jaxpr, recorded.consts, arguments, nan).origin(0)
    return None if equation is None else f"the primitive {equation.primitive.name!r} of the {where}"


class _Step(NamedTuple):
    """An equation that was evaluated, and what it was given."""

    equation: Any
    given: list[Any]


class _Program:
    """A program and the values of all its variables."""

    def __init__(self, jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any], nan: bool):
        self._jaxpr = jaxpr
        self._nan = nan
        self._made: dict[Any, _Step] = {}
        self._ends: dict[Any, Any] = {}
        values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))
        for equation in jaxpr.eqns:
            primitive: Any = equation.primitive
            given = [atom.val if isinstance(atom, Literal) else values[atom] for atom in equation.invars]
            asked = primitive.get_bind_params(equation.params)
            functions, parameters = asked if isinstance(asked, tuple) else ((), asked)  # a pair before JAX 0.10
            found = primitive.bind(*functions, *given, **parameters)
            results = found if primitive.multiple_results else [found]
            for variable, value in zip(equation.outvars, results, strict=True):
                values[variable] = value
                self._made[variable] = _Step(equation, given)

    def origin(self, result: int) -> Any:
        """Return the equation to which all ways from a result lead; None where there is no such equation."""
        return self._end_of(self._jaxpr.outvars[result])

    def _end_of(self, atom: Any) -> Any:
        if isinstance(atom, Literal) or atom not in self._made:
            return None
        if atom not in self._ends:
            self._ends[atom] = self._end_of_step(atom, *self._made[atom])
        return self._ends[atom]

    def _end_of_step(self, atom: Any, equation: Any, given: list[Any]) -> Any:
        faulty = [source for source, value in zip(equation.invars, given, strict=True) if _has(value, self._nan)]
        inner = _program_of(equation)
        if not faulty:
            if inner is None:
                return equation
            program = _Program(inner.jaxpr, inner.consts, given, self._nan)
            return program.origin(list(equation.outvars).index(atom))
        if inner is not None and len(faulty) > 1:
            return None  # which of them got to this result is not known
        found = [self._end_of(source) for source in faulty]
        return found[0] if all(each is found[0] for each in found) else None


def _program_of(equation: Any) -> ClosedJaxpr | None:
    """Return what an equation evaluates, if it does nothing else."""
    if equation.primitive.name not in CALLS:
        return None
    for parameter in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        program = equation.params.get(parameter)
        if isinstance(program, Jaxpr) and not program.constvars:
            program = ClosedJaxpr(program, [])
        if isinstance(program, ClosedJaxpr) and len(program.jaxpr.invars) == len(equation.invars):
            return program
    return None


def _has(value: Any, nan: bool) -> bool:
    """Tell whether an array holds a NaN, or an infinity."""
    array = value if hasattr(value, "dtype") else jnp.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return False
    return bool(jnp.any(jnp.isnan(array) if nan else jnp.isinf(array)))
