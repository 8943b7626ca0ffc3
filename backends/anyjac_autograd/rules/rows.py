"""Batches: rows of arrays and containers, their axes and their indices, and rows whose zeros are not made yet.

Knows arrays alone, no rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.core import SparseObject
from autograd.extend import defvjp, primitive
from autograd.tracer import getval, isbox

from .table import Array, CannotBatchError, Rows

# ---- rows ------------------------------------------------------------------------------------------------------------


def row(batch: Rows, index: int) -> Any:
    """Return one row of a batch of arrays or containers."""
    if isinstance(batch, (tuple, list, dict)):
        return map_tree(lambda part: row(part, index), batch)
    if isinstance(batch, (RowsAtIndex, Part)):
        raise CannotBatchError
    taken = batch[index, ...]
    return taken if isbox(taken) else taken.copy()  # a rule may write to what it is given


def stacked(rows: Sequence[Any]) -> Rows:
    """Make a batch of single results."""
    first = rows[0]
    if isinstance(first, (tuple, list, dict)):
        return map_tree(lambda *parts: stacked(parts), *rows)
    if isinstance(getval(first), SparseObject):
        raise CannotBatchError
    if any(map(isbox, rows)):
        return anp.stack(list(rows))
    return np.stack([np.asarray(each) for each in rows])


def map_tree(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply `function` to the parts of one or several containers that are built alike."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: function(*(tree[key] for tree in trees)) for key in first}
    parts = [function(*parts) for parts in zip(*trees, strict=True)]
    return first._make(parts) if hasattr(first, "_make") else type(first)(parts)


# ---- axes and shapes -------------------------------------------------------------------------------------------------


def shifted(axis: Any, ndim: int) -> Any:
    """Return an axis, or several, as counted in the batch."""
    if isinstance(axis, (tuple, list)):
        return tuple(shifted(each, ndim) for each in axis)
    return int(axis) % max(ndim, 1) + 1


def aligned(batch: Array, ndim: int) -> Array:
    """Give each row of a batch as many axes as `ndim`, by ones in front, for broadcasting."""
    shape = anp.shape(batch)
    missing = ndim - len(shape) + 1
    return anp.reshape(batch, (shape[0], *(1,) * missing, *shape[1:])) if missing > 0 else batch


def repeated(array: Array, count: int) -> Array:
    """Make a batch of rows that are all the same."""
    if isbox(array):
        return anp.reshape(array, (1, *array.shape)) + np.zeros((count, *(1,) * array.ndim), array.dtype)
    plain = np.asarray(array)
    return np.broadcast_to(plain, (count, *plain.shape))


def flat(batch: Array) -> Array:
    """Flatten each row."""
    shape = anp.shape(batch)
    return anp.reshape(batch, (shape[0], math.prod(shape[1:])))


# ---- indices ---------------------------------------------------------------------------------------------------------


def batch_index(index: Any) -> tuple[Any, ...]:
    """Return the index that takes from each row of a batch what `index` takes from an array.

    Raises
    ------
    CannotBatchError
        If NumPy would not leave the axis of the batch in front, or the index is of an unusual kind.
    """
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.asarray(part) if isinstance(part, list) else part for part in parts)
    if not all(_is_plain(part) for part in parts):
        raise CannotBatchError
    if any(isinstance(part, np.ndarray) for part in parts):
        advanced = [k for k, part in enumerate(parts) if isinstance(part, np.ndarray | int | np.integer)]
        if advanced != list(range(advanced[0], advanced[-1] + 1)):
            raise CannotBatchError
    return (slice(None), *parts)


def _is_plain(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return part.dtype.kind in "iu" or (part.dtype.kind == "b" and part.ndim > 0)
    return not isinstance(part, bool) and (
        part is None or part is Ellipsis or isinstance(part, int | np.integer | slice)
    )


def positions(index: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return the positions, in the flattened array, of the elements that `index` takes, in their shape."""
    index = np.asarray(index, dtype=np.int64) if isinstance(index, list) and not index else index
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[index])


# ---- zeros that are not made yet -------------------------------------------------------------------------------------

_BASIC: Final = (int, slice, type(None), type(Ellipsis))


class RowsAtIndex:
    """A batch of rows at an index of larger arrays of zeros, which are not made yet."""

    __slots__ = ("index", "rows", "shape")

    def __init__(self, rows: Array, index: Any, shape: tuple[int, ...]):
        self.rows = rows
        self.index = index
        self.shape = shape

    def dense(self) -> Array:
        """Return the larger arrays."""
        if self._is_simple:
            result = np.zeros((len(self.rows), *self.shape), self.rows.dtype)
            result[batch_index(self.index)] = self.rows
            return result
        elements = positions(self.index, self.shape)
        rows = anp.broadcast_to(self.rows, (len(self.rows), *elements.shape))
        spread = scatter(flat(rows), elements.ravel(), math.prod(self.shape))
        return anp.reshape(spread, (len(self.rows), *self.shape))

    def add_to(self, total: np.ndarray[Any, Any]) -> bool:
        """Add the rows to a total in its memory, if the index is a simple one; return whether it is."""
        if self._is_simple:
            total[batch_index(self.index)] += self.rows
        return self._is_simple

    @property
    def _is_simple(self) -> bool:
        """Whether the index names each element once, and the rows are a plain array."""
        if isbox(self.rows):
            return False
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        return all(type(part) in _BASIC or isinstance(part, np.integer) for part in parts)


@primitive  # type: ignore[untyped-decorator]
def scatter(x: Array, elements: Array, size: int) -> Array:
    """Add the elements of the last axis to zeros, each at its index below `size`; those at the same index add up."""
    result = np.zeros((*x.shape[:-1], size), x.dtype)
    order = np.argsort(elements, kind="stable")
    ordered = elements[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    if len(first) == len(elements):
        result[..., elements] = x
    elif len(first):
        result[..., ordered[first]] = np.add.reduceat(x[..., order], first, axis=-1, dtype=x.dtype)
    return result


@primitive  # type: ignore[untyped-decorator]
def gather(x: Array, elements: Array, size: int) -> Array:
    """Take elements of the last axis, which has the length `size`."""
    return x[..., elements]


defvjp(scatter, lambda ans, x, elements, size: lambda g: gather(g, elements, size), argnums=(0,))
defvjp(gather, lambda ans, x, elements, size: lambda g: scatter(g, elements, size), argnums=(0,))


class Part:
    """A batch at an index of larger containers of zeros, which are not made yet."""

    __slots__ = ("index", "rows", "space")

    def __init__(self, rows: Rows, index: Any, space: Any):
        self.rows = rows
        self.index = index
        self.space = space

    def whole(self) -> Rows:
        """Return the containers."""
        count = _count(self.rows)
        whole = self.space._map(lambda space: np.zeros((count, *space.shape), space.dtype))
        if not isinstance(self.index, slice):
            return self.space._subval(whole, self.index, self.rows)
        for position, part in zip(range(*self.index.indices(len(whole))), self.rows, strict=True):
            whole = self.space._subval(whole, position, part)
        return whole


def _count(rows: Rows) -> int:
    while isinstance(rows, (tuple, list, dict)):
        rows = next(iter(rows.values() if isinstance(rows, dict) else rows))
    return len(rows)
