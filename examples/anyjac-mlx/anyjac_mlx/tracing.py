"""Reverse mode for MLX: arrays that record operations, each of which `mlx.core.vjp` pulls back.

An operation is a function of lists of MLX arrays. `apply` runs it; where one of its arguments is traced, it is recorded
on the tape of the innermost differentiation among them. To pull a record back is an operation too, which an enclosing
differentiation records in its turn.

References
----------
.. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from anyjac_plugins import FlatFunction, Pullback
from anyjac_plugins.errors import NotSupportedError

Value = Any
"""An MLX array, or a traced one of an enclosing differentiation."""


Operation = Callable[[list[Any]], list[Any]]
Rule = Callable[[list[Value], list[Value]], list[Value]]


@dataclass(eq=False)
class Tape:
    """What was done in one differentiation; an inner one has a greater number than those around it."""

    number: int = field(default_factory=itertools.count().__next__)
    records: list[Record] = field(default_factory=list)


@dataclass(eq=False)
class Record:
    """One operation: a function of `inputs`, of which `parents` are those traced on this tape, and its results.

    `rule` gives the cotangents of the inputs from the inputs and the cotangents of the results; without one, MLX does.
    """

    function: Operation
    inputs: list[Value]
    parents: list[Traced | None]
    outputs: list[Traced]
    rule: Rule | None

    def pull(self, cotangents: list[Value]) -> list[Value]:
        """Return the cotangents of the inputs."""
        if self.rule is not None:
            return self.rule(self.inputs, cotangents)
        if not any(cotangent.size for cotangent in cotangents):  # MLX may not come back from sums over nothing
            return [mx.zeros(x.shape, dtype=x.dtype) for x in self.inputs]

        def pullback(arrays: list[Any]) -> list[Any]:
            count = len(self.inputs)
            pulled: list[Any] = mx.vjp(lambda *inputs: self.function(list(inputs)), arrays[:count], arrays[count:])[1]
            return pulled

        try:
            return run(pullback, [*self.inputs, *cotangents])
        except ValueError as error:
            if "Not implemented" not in str(error):
                raise
            raise NotSupportedError(f"MLX has no derivative for an operation of the function: {error}") from error


class Traced:
    """An array in a differentiated function; `namespace` gives it the operators of arrays."""

    __slots__ = ("tape", "value")
    __array_ufunc__ = None  # NumPy's scalars leave operators to this class

    def __init__(self, value: Value, tape: Tape) -> None:
        self.value = value
        self.tape = tape

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self.value.dtype

    @property
    def device(self) -> str:
        """The CPU, MLX's one device that has float64."""
        return "cpu"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.value.size)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __float__(self) -> float:
        raise TypeError("a traced array has no Python number; anyjac.stop_gradient makes a constant of it")

    __int__ = __complex__ = __index__ = __float__

    def __bool__(self) -> bool:
        return bool(untraced(self))

    def __repr__(self) -> str:
        return f"Traced({untraced(self)!r})"


def untraced(value: Value) -> Any:
    """Return the MLX array inside any number of traces."""
    while isinstance(value, Traced):
        value = value.value
    return value


def is_float(array: Value) -> bool:
    """Tell whether an array has a derivative."""
    return bool(mx.issubdtype(array.dtype, mx.inexact))


def run(function: Operation, inputs: list[Value], rule: Rule | None = None) -> list[Value]:
    """Run an operation on arrays, and record it on the innermost tape among them."""
    tapes = [x.tape for x in inputs if isinstance(x, Traced)]
    if not tapes:
        return function(inputs)
    tape = max(tapes, key=lambda tape: tape.number)
    parents = [x if isinstance(x, Traced) and x.tape is tape else None for x in inputs]
    inner = [x if parent is None else parent.value for x, parent in zip(inputs, parents, strict=True)]
    results = run(function, inner, rule)
    places = [place for place, result in enumerate(results) if is_float(result)]
    if any(mx.issubdtype(results[place].dtype, mx.complexfloating) for place in places):
        raise NotSupportedError("backend 'mlx' does not differentiate complex numbers: MLX has no complex128")
    for place in places:
        results[place] = Traced(results[place], tape)
    if places:
        tape.records.append(
            Record(lambda arrays: _chosen(function(arrays), places), inner, parents, _chosen(results, places), rule)
        )
    return results


def _chosen(items: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [items[place] for place in places]


def vjp(fun: FlatFunction, primals: Sequence[Value]) -> tuple[list[Value], Pullback, list[Value]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""
    tape = Tape()
    roots = [Traced(primal, tape) for primal in primals]
    outputs, aux = fun(*roots)

    def pullback(cotangents: Sequence[Value | None]) -> list[Value | None]:
        return evaluated(_backward(tape, roots, outputs, cotangents))

    return (
        evaluated([_outside(x, tape) for x in outputs]),
        pullback,
        evaluated([_outside(x, tape) for x in aux]),
    )


def evaluated(values: list[Value]) -> list[Value]:
    """Compute what is still to be computed: MLX could not do it in another thread than the one that asked for it."""
    mx.eval([x for x in values if isinstance(x, mx.array)])
    return values


def _outside(value: Value, tape: Tape) -> Value:
    return value.value if isinstance(value, Traced) and value.tape is tape else value


def _backward(
    tape: Tape, roots: Sequence[Traced], outputs: Sequence[Value], cotangents: Sequence[Value | None]
) -> list[Value | None]:
    arrived: dict[int, Value] = {}

    def arrive(at: Traced, cotangent: Value) -> None:
        before = arrived.get(id(at))
        arrived[id(at)] = cotangent if before is None else run(lambda pair: [pair[0] + pair[1]], [before, cotangent])[0]

    for output, cotangent in zip(outputs, cotangents, strict=True):
        if cotangent is not None and isinstance(output, Traced) and output.tape is tape:
            arrive(output, cotangent)
    for record in reversed(tape.records):
        if not any(id(output) in arrived for output in record.outputs):
            continue
        seeds = [_arrived_or_zeros(arrived, output) for output in record.outputs]
        for parent, cotangent in zip(record.parents, record.pull(seeds), strict=True):
            if parent is not None:
                arrive(parent, cotangent)
    return [arrived.get(id(root)) for root in roots]


def _arrived_or_zeros(arrived: dict[int, Value], output: Traced) -> Value:
    found = arrived.get(id(output))
    return mx.zeros(output.shape, dtype=output.dtype) if found is None else found
