"""Reverse mode: back through the record of one run, each call by `mlx.core.vjp` of what was called.

A step back is itself recorded where an enclosing differentiation traces its operands: that is how transforms nest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import mlx.core as mx

from anyjac_plugins import FlatFunction, NotSupportedError, Pullback, TracerLeakError

from .tracing import Array, Node, Operation, Traced, new_level, record

MLX_REFUSES = (RuntimeError, ValueError, NotImplementedError)
"""What MLX raises for a function that it cannot differentiate, or map."""

_running: ContextVar[frozenset[int]] = ContextVar("anyjac_mlx_running", default=frozenset())
"""The levels of the differentiations around the current code."""


def is_running() -> bool:
    """Return whether a function is being differentiated around the current code."""
    return bool(_running.get())


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""
    _refuse_ended(primals)
    level = new_level()
    roots = [Node() for _ in primals]
    token = _running.set(_running.get() | {level})
    try:
        outputs, aux = fun(*(Traced(primal, level, root) for primal, root in zip(primals, roots, strict=True)))
    finally:
        _running.reset(token)
    pullback = RecordPullback(roots, [_traced_at(level, output) for output in outputs])
    untraced = [_untraced(level, x) for x in outputs], [_untraced(level, x) for x in aux]
    _refuse_ended([*untraced[0], *untraced[1]])
    return untraced[0], pullback, untraced[1]


def _refuse_ended(arrays: Sequence[Array]) -> None:
    for array in arrays:
        if isinstance(array, Traced) and array.level not in _running.get():
            raise TracerLeakError.of_ended_trace()


def _traced_at(level: int, array: Array) -> Traced | None:
    return array if isinstance(array, Traced) and array.level == level else None


def _untraced(level: int, array: Array) -> Array:
    """Take an array out of this differentiation; one that belongs to an enclosing one stays there."""
    return array.value if isinstance(array, Traced) and array.level == level else array


class RecordPullback:
    """Pulls cotangents back from the ends of a record to its roots."""

    def __init__(self, roots: Sequence[Node], ends: Sequence[Traced | None]):
        self._roots = roots
        self._ends = ends

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        return self._pull(cotangents, rows=False)

    def rows(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        """Pull back many cotangents at once: each one that is not None has a leading axis, and so has each result."""
        return self._pull(cotangents, rows=True)

    def _pull(self, cotangents: Sequence[Array | None], *, rows: bool) -> list[Array | None]:
        arrived: dict[Node, list[Array | None]] = {}
        for end, cotangent in zip(self._ends, cotangents, strict=True):
            if end is not None and cotangent is not None:
                _add(arrived, end, cotangent)
        for node in _latest_first(list(arrived)):
            if node.parents and node in arrived:
                for (_, parent), cotangent in zip(node.parents, _step(node, arrived.pop(node), rows), strict=True):
                    _add(arrived, parent, cotangent)
        return [arrived[root][0] if root in arrived else None for root in self._roots]


def _latest_first(ends: Sequence[Node]) -> list[Node]:
    """Return all nodes from which the ends were computed, each one before those from which it was."""
    found = set(ends)
    pending = list(ends)
    while pending:
        for _, parent in pending.pop().parents:
            if parent.node not in found:
                found.add(parent.node)
                pending.append(parent.node)
    return sorted(found, key=lambda node: -node.serial)


def _add(arrived: dict[Node, list[Array | None]], where: Traced, cotangent: Array) -> None:
    cotangents = arrived.setdefault(where.node, [None] * where.node.count)
    before = cotangents[where.place]
    cotangents[where.place] = cotangent if before is None else record(_sum, [before, cotangent])[0]


def _sum(x: mx.array, y: mx.array) -> list[mx.array]:
    return [x + y]


def _step(node: Node, cotangents: Sequence[Array | None], rows: bool) -> list[Array]:
    """Pull the cotangents of a call's results back to those operands that are traced."""
    assert node.operation is not None
    known = [place for place, cotangent in enumerate(cotangents) if cotangent is not None]
    positions = [position for position, _ in node.parents]
    step = _step_of(node.operation, len(node.operands), positions, known, rows)
    given = [*node.operands, *(cotangents[place] for place in known)]
    if any(array.dtype == mx.complex64 for array in given):
        raise NotSupportedError("backend 'mlx' has no derivatives by way of complex numbers")
    return record(step, given)


def _step_of(operation: Operation, count: int, positions: Sequence[int], known: Sequence[int], rows: bool) -> Operation:
    """Return the step back through an operation, as an operation of its operands and its results' cotangents."""

    def pull(operands: Sequence[mx.array], cotangents: Sequence[mx.array]) -> list[mx.array]:
        def moved(*moving: mx.array) -> list[mx.array]:
            values = list(operands)
            for position, x in zip(positions, moving, strict=True):
                values[position] = x
            results = operation(*values)
            return [results[place] + 0 for place in known]  # of one array returned twice MLX drops a cotangent

        _, gradients = mx.vjp(moved, [operands[position] for position in positions], list(cotangents))
        return gradients

    def step(*arrays: mx.array) -> list[mx.array]:
        operands, cotangents = arrays[:count], arrays[count:]
        try:
            return pull_rows(pull, operands, cotangents) if rows else pull(operands, cotangents)
        except MLX_REFUSES as error:
            raise NotSupportedError(f"MLX has no derivative for this: {error}") from error

    return step


def pull_rows(pull: Callable[..., list[mx.array]], operands: Any, cotangents: Sequence[mx.array]) -> list[mx.array]:
    """Pull back rows by MLX's vectorising map, or one by one where it has no rule for something."""
    try:
        return list(mx.vmap(lambda *row: pull(operands, row))(*cotangents))
    except MLX_REFUSES:
        rows = [pull(operands, [c[i] for c in cotangents]) for i in range(cotangents[0].shape[0])]
        return [mx.stack(list(column)) for column in zip(*rows, strict=True)]
