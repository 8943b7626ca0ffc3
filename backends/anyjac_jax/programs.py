"""Functions of flat arrays as programs: one run of the function under `jax.make_jaxpr`.

The function really runs, so that its side effects happen, and closures that have changed are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.extend.core.primitives import closed_call_p

from anyjac_plugins import Array, FlatFunction
from anyjac_plugins.interrupts import setting
from anyjac_plugins.tracebacks import innermost, module_of

from .own_code import CUSTOM_CALLS

NEEDS_VALUES = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)
"""The errors of JAX where a function asks for the values of traced arrays, as a branch on them does."""

get_opaque_trace_state: Callable[[], Any] = (
    core.get_opaque_trace_state
    if hasattr(core, "get_opaque_trace_state")
    else jax.core.get_opaque_trace_state  # before JAX 0.10
)

with jax.core.ensure_compile_time_eval():
    _OUTSIDE = get_opaque_trace_state()

_device: ContextVar[Any] = ContextVar("anyjac_jax_device", default=None)
_map: ContextVar[Any] = ContextVar("anyjac_jax_map", default=None)
"""The state of JAX's traces directly within a map whose operations are computed at once; None elsewhere."""


class Program(NamedTuple):
    """The computation of a function, recorded in one run.

    Attributes
    ----------
    jaxpr
        The computation, whose ``constvars`` are the arrays that the function found elsewhere.
    constants
        Those arrays, of this run.
    outputs
        How many of the results are outputs; the others are aux.
    """

    jaxpr: Jaxpr
    constants: list[Any]
    outputs: int

    def function(self, constants: Sequence[Any]) -> FlatFunction:
        """Return the program as a function of its inputs, with other `constants`, perhaps."""

        def run(*primals: Array) -> tuple[list[Array], list[Array]]:
            results = jax.core.eval_jaxpr(self.jaxpr, constants, *primals)
            return [*map(jnp.asarray, results[: self.outputs])], [*map(jnp.asarray, results[self.outputs :])]

        return run

    def input_shapes(self) -> list[Any]:
        """Return shapes and dtypes of the inputs."""
        return [variable.aval for variable in self.jaxpr.invars]

    @property
    def has_references(self) -> bool:
        """Whether the function found mutable arrays elsewhere, as `jax.new_ref` makes them."""
        return any(hasattr(variable.aval, "inner_aval") for variable in self.jaxpr.constvars)

    def output_shapes(self) -> list[Any]:
        """Return shapes and dtypes of the outputs."""
        return [atom.aval for atom in self.jaxpr.outvars[: self.outputs]]

    def constant_results(self) -> dict[int, int]:
        """Return which results are captured arrays as they are: index among the results, index of the constant."""
        positions = {variable: position for position, variable in enumerate(self.jaxpr.constvars)}
        return {
            index: positions[atom]
            for index, atom in enumerate(self.jaxpr.outvars)
            if not isinstance(atom, Literal) and atom in positions
        }


def trace(fun: FlatFunction, primals: Sequence[Array]) -> Program:
    """Run `fun` once, on abstract arrays like `primals`, and return what it computed.

    Raises
    ------
    jax.errors.JAXTypeError, jax.errors.JAXIndexError
        If the function needs values, which are not there.
    """
    count = 0
    failures: list[BaseException] = []

    def flat(*traced: Array) -> list[Array]:  # a new function each time, for JAX knows what it has traced before
        nonlocal count
        try:
            outputs, aux = fun(*traced)
        except BaseException as failure:  # raised below, when JAX has cleared away the trace, as on errors it does not
            failures.append(failure)
            return []
        count = len(outputs)
        return [*outputs, *aux]

    with setting(_device, _device_of(primals)):
        closed = jax.make_jaxpr(flat)(*primals)
    if failures:
        raise failures.pop()
    return Program(closed.jaxpr, list(closed.consts), count)


def bind(equation: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """Return the results of one equation of a program, computed from other `inputs` or recorded for them."""
    primitive: Any = equation.primitive
    asked = primitive.get_bind_params(equation.params)
    functions, parameters = asked if isinstance(asked, tuple) else ((), asked)  # a pair before JAX 0.9.2
    with equation.ctx.manager:
        results = primitive.bind(*functions, *inputs, **parameters)
    return list(results) if primitive.multiple_results else [results]


def without_rules(jaxpr: Any) -> Any:
    """Return a program that computes the same and calls functions without their derivative rules, which it drops."""
    return jaxpr.replace(eqns=[_without_rule(equation) for equation in jaxpr.eqns])


def _without_rule(equation: Any) -> Any:
    params = {name: _value_without_rules(value) for name, value in equation.params.items()}
    if equation.primitive in CUSTOM_CALLS:
        return equation.replace(primitive=closed_call_p, params={"call_jaxpr": params["call_jaxpr"]})
    return equation.replace(params=params)


def _value_without_rules(value: Any) -> Any:
    if isinstance(value, ClosedJaxpr):
        return ClosedJaxpr(without_rules(value.jaxpr), value.consts)
    if isinstance(value, Jaxpr):
        return without_rules(value)
    if isinstance(value, tuple):
        items = map(_value_without_rules, value)
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def mapped(fun: Callable[..., Sequence[Array]], arrays: Sequence[Array]) -> list[Array]:
    """Map a function over the first axis of arrays."""
    computes = outside_all_traces() or within_map()

    def row(*rows: Array) -> list[Array]:
        state = get_opaque_trace_state() if computes else None
        with setting(_map, state):
            return list(fun(*rows))

    with setting(_device, _device_of(arrays)):
        return list(jax.vmap(row)(*arrays))


def is_mapped(array: Array, rows: Sequence[Array]) -> bool:
    """Return whether an array belongs to the map that gave these rows."""
    traces = {id(row._trace) for row in rows if isinstance(row, jax.core.Tracer)}
    return isinstance(array, jax.core.Tracer) and id(array._trace) in traces


def within_map() -> bool:
    """Return whether JAX computes operations at once, for all rows of a map, rather than recording them."""
    state = _map.get()
    return state is not None and bool(get_opaque_trace_state() == state)


def _device_of(arrays: Sequence[Array]) -> Any:
    """Return the device of arrays; for traced ones, that of the arrays for which they stand."""
    return device_of_recorded() if isinstance(arrays[0], jax.core.Tracer) else arrays[0].device


def device_of_recorded() -> Any:
    """Return the device of the arrays that a program is being recorded for, or a map computed; None elsewhere."""
    return _device.get()


def may_differ(error: BaseException | None) -> bool:
    """Return whether an error may come of recording, since JAX raised the error or its cause."""
    while error is not None:
        if isinstance(error, NEEDS_VALUES) or _is_of_jax(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_of_jax(error: BaseException) -> bool:
    """Return whether JAX raised an error, by the innermost call of its traceback, or by the note of calls left out."""
    packages = {name.partition(".")[0] for name in (module_of(innermost(error)), type(error).__module__)}
    notes = getattr(error, "__notes__", ())
    return not packages.isdisjoint(("jax", "jaxlib")) or any("JAX_TRACEBACK_FILTERING" in note for note in notes)


def outside_all_traces() -> bool:
    """Return whether JAX computes operations at once, rather than recording them for a transformation of its own."""
    return bool(get_opaque_trace_state() == _OUTSIDE)
