"""The primitive in which NaN or infinity first appears, by evaluating the recorded program equation by equation.

A number that is not finite is followed back to an equation that was given finite numbers alone; into calls too, of
compiled functions and of functions with rules of their own. No primitive is named if several ways back end in different
equations. As a test, the results of the equation are replaced by finite numbers: if the number that was found does not
become finite, it comes from elsewhere, and no primitive is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from anyjac_plugins import Array, FlatFunction, LinearMap

from . import linear_maps
from .programs import bind

CALLS = frozenset(
    {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"}
)
"""Primitives that do nothing but evaluate a program of their own."""


def in_run(
    fun: FlatFunction,
    primals: Sequence[Array],
    number: int,
    index: tuple[int, ...],
    cotangents: Sequence[Array | None] | None,
    tangents: Sequence[Array | None] | None,
    nan: bool,
) -> str | None:
    """Return the primitive that made a number which is not finite; see `anyjac_plugins.Backend.find_nonfinite`."""

    def results(*arrays: Array) -> Sequence[Array]:
        if cotangents is not None:
            _, pullback, _ = linear_maps.vjp(fun, arrays)
            return [jnp.asarray(pullback(cotangents)[number])]
        if tangents is not None:
            return [jnp.asarray(linear_maps.jvp(fun, arrays, tangents)[1][number])]
        return [fun(*arrays)[0][number]]

    derivative = cotangents is not None or tangents is not None
    return _primitive(results, primals, index, nan, "derivative" if derivative else "forward run")


def in_map(
    linear_map: LinearMap,
    vectors: Sequence[Array | None],
    number: int,
    index: tuple[int, ...],
    nan: bool,
) -> str | None:
    """Do the same for a linear map, which uses numbers of the run before."""
    given = [position for position, vector in enumerate(vectors) if vector is not None]

    def result(*arrays: Array) -> Sequence[Array]:
        filled: list[Array | None] = [None] * len(vectors)
        for position, array in zip(given, arrays, strict=True):
            filled[position] = array
        return [jnp.asarray(linear_map(filled)[number])]

    return _primitive(result, [vector for vector in vectors if vector is not None], index, nan, "derivative")


def _primitive(
    fun: Callable[..., Sequence[Array]], arguments: Sequence[Array], index: tuple[int, ...], nan: bool, where: str
) -> str | None:
    recorded = jax.make_jaxpr(fun)(*arguments)
    path = _Program(recorded.jaxpr, recorded.consts, arguments, nan).source(0)
    if path is None:
        return None
    (mended,) = _evaluate(recorded.jaxpr, recorded.consts, arguments, path)
    if not bool(jnp.isfinite(mended[index])):
        return None
    return f"the primitive {path[-1].primitive.name!r} of the {where}"


Path = tuple[Any, ...]
"""An equation, after the equations of the calls that it is within, from the outermost."""


class _Step(NamedTuple):
    """An evaluated equation, and its inputs."""

    equation: Any
    given: list[Any]


class _Program:
    """A program and the values of all its variables."""

    def __init__(self, jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any], nan: bool):
        self._jaxpr = jaxpr
        self._nan = nan
        self._made: dict[Any, _Step] = {}
        self._ends: dict[Any, Path | None] = {}
        _evaluate(jaxpr, constants, arguments, (), self._keep)

    def _keep(self, equation: Any, given: list[Any]) -> None:
        for variable in equation.outvars:
            self._made[variable] = _Step(equation, given)

    def source(self, result: int) -> Path | None:
        """Return the equation to which all ways from a result lead; None where there is no such equation."""
        return self._end_of(self._jaxpr.outvars[result])

    def _end_of(self, atom: Any) -> Path | None:
        if isinstance(atom, Literal) or atom not in self._made:
            return None
        if atom not in self._ends:
            self._ends[atom] = self._end_of_step(atom, *self._made[atom])
        return self._ends[atom]

    def _end_of_step(self, atom: Any, equation: Any, given: list[Any]) -> Path | None:
        faulty = [source for source, value in zip(equation.invars, given, strict=True) if _has(value, self._nan)]
        inner = _program_of(equation)
        if not faulty:
            if inner is None:
                return (equation,)
            program = _Program(inner.jaxpr, inner.consts, given, self._nan)
            path = program.source(list(equation.outvars).index(atom))
            return None if path is None else (equation, *path)
        if inner is not None and len(faulty) > 1:
            return None  # which of them got to this result is not known
        found = [self._end_of(source) for source in faulty]
        return found[0] if all(each == found[0] for each in found) else None


def _evaluate(
    jaxpr: Jaxpr,
    constants: Sequence[Any],
    arguments: Sequence[Any],
    mended: Path,
    keep: Callable[[Any, list[Any]], None] | None = None,
) -> list[Any]:
    """Evaluate a program equation by equation, with finite numbers in the results of the equation `mended`."""
    values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))

    def value_of(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        given = list(map(value_of, equation.invars))
        if keep is not None:
            keep(equation, given)
        if not mended or equation is not mended[0]:
            results = bind(equation, given)
        elif len(mended) == 1:
            results = list(map(_finite, bind(equation, given)))
        else:
            inner = _program_of(equation)
            assert inner is not None  # the path leads into it
            results = _evaluate(inner.jaxpr, inner.consts, given, mended[1:])
        values.update(zip(equation.outvars, results, strict=True))
    return list(map(value_of, jaxpr.outvars))


def _finite(value: Any) -> Any:
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        return value
    return jnp.where(jnp.isfinite(value), value, jnp.ones_like(value))


def _program_of(equation: Any) -> ClosedJaxpr | None:
    """Return the program of an equation that does nothing but evaluate a program; None for others."""
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
    """Return whether an array holds a NaN, or an infinity."""
    array = value if hasattr(value, "dtype") else jnp.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return False
    return bool(jnp.any(jnp.isnan(array) if nan else jnp.isinf(array)))
