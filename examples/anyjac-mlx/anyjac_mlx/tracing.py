"""Recording: arrays that remember how they were computed, one record for each call of a function.

`mlx.core.vjp` wants the cotangents before it runs the function, and runs the function again for each of them. So a
differentiation keeps a record of its own instead: of each function that was called, which is a pure one of MLX's
arrays, and of its operands. Such a function may be run again by `mlx.core.vjp`; the user's is not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import mlx.core as mx

Array = Any
"""An array of MLX, or a `Traced` one around it."""

Operation = Callable[..., Sequence[mx.array]]
"""A pure function of MLX's arrays, without anything traced in its closure."""

_serials = itertools.count()


class Node:
    """One call in the record of a differentiation; a root, which is none, has neither operation nor parents.

    Attributes
    ----------
    serial
        Grows with time, so that a node comes after all that it was computed from.
    operation
        What was called.
    operands
        With what: arrays as they are outside this differentiation.
    parents
        For each operand that the differentiation traces, its position, and the `Traced` array that stood there.
    count
        Number of results.
    """

    __slots__ = ("count", "operands", "operation", "parents", "serial")

    def __init__(
        self,
        operation: Operation | None = None,
        operands: Sequence[Array] = (),
        parents: Sequence[tuple[int, Traced]] = (),
    ):
        self.serial = next(_serials)
        self.operation = operation
        self.operands = operands
        self.parents = parents
        self.count = 1


class Traced:
    """An array within a differentiation. Operators and methods are added in `array_methods`.

    Attributes
    ----------
    value
        The array outside this differentiation: MLX's, or one that an enclosing differentiation traces.
    level
        Number of the differentiation. An inner one has a greater number than those around it.
    node
        What made it.
    place
        Which of the node's results it is.
    """

    __slots__ = ("__weakref__", "level", "node", "place", "value")

    def __init__(self, value: Array, level: int, node: Node, place: int = 0):
        self.value = value
        self.level = level
        self.node = node
        self.place = place

    if TYPE_CHECKING:  # what `array_methods` adds

        def __getattr__(self, name: str) -> Any: ...

        def __getitem__(self, index: Any) -> Any: ...


def new_level() -> int:
    """Return the number of a new differentiation; none is used twice, so threads cannot be confused."""
    return next(_serials)


def record(operation: Operation, operands: Sequence[Array]) -> list[Array]:
    """Call an operation, and let every differentiation that traces one of the operands remember it."""
    level = max((x.level for x in operands if isinstance(x, Traced)), default=None)
    if level is None:
        return list(operation(*operands))
    values = list(operands)
    parents = []
    for position, operand in enumerate(operands):
        if isinstance(operand, Traced) and operand.level == level:
            values[position] = operand.value
            parents.append((position, operand))
    results = record(operation, values)
    node = Node(operation, values, parents)
    node.count = len(results)
    return [_traced(result, level, node, place) for place, result in enumerate(results)]


def _traced(result: Array, level: int, node: Node, place: int) -> Array:
    """Wrap a result; integers and bools have no derivative and stay constants."""
    return Traced(result, level, node, place) if mx.issubdtype(result.dtype, mx.inexact) else result


def innermost(array: Array) -> mx.array:
    """Return the array of MLX inside any number of differentiations."""
    while isinstance(array, Traced):
        array = array.value
    found: mx.array = array
    return found
