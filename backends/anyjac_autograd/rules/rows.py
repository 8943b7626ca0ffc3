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
    if isinstance(batch, (Scattered, Part)):
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
    """Return one axis, or several, as counted in the batch."""
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
        places = [k for k, part in enumerate(parts) if isinstance(part, np.ndarray | int | np.integer)]
        if places != list(range(places[0], places[-1] + 1)):
            raise CannotBatchError
    return (slice(None), *parts)


def _is_plain(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return part.dtype.kind in "iu" or (part.dtype.kind == "b" and part.ndim > 0)
    return not isinstance(part, bool) and (
        part is None or part is Ellipsis or isinstance(part, int | np.integer | slice)
    )


def positions(index: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return, in the shape of what `index` takes, the places of the elements in the flattened array."""
    index = np.asarray(index, dtype=np.int64) if isinstance(index, list) and not index else index
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[index])


# ---- zeros that are not made yet -------------------------------------------------------------------------------------

_BASIC: Final = (int, slice, type(None), type(Ellipsis))


class Scattered:
    """A batch of rows that stand at an index of larger arrays of zeros, not made yet."""

    __slots__ = ("index", "rows", "shape")

    def __init__(self, rows: Array, index: Any, shape: tuple[int, ...]):
        self.rows = rows
        self.index = index
        self.shape = shape

    def dense(self) -> Array:
        """Make the arrays."""
        if self._is_simple:
            result = np.zeros((len(self.rows), *self.shape), self.rows.dtype)
            result[batch_index(self.index)] = self.rows
            return result
        places = positions(self.index, self.shape)
        rows = anp.broadcast_to(self.rows, (len(self.rows), *places.shape))
        spread = scattered(flat(rows), places.ravel(), math.prod(self.shape))
        return anp.reshape(spread, (len(self.rows), *self.shape))

    def add_to(self, total: np.ndarray[Any, Any]) -> bool:
        """Add in place, where that is simple; say whether it was."""
        if self._is_simple:
            total[batch_index(self.index)] += self.rows
        return self._is_simple

    @property
    def _is_simple(self) -> bool:
        """Whether the elements are different ones, of an array that can be written to."""
        if isbox(self.rows):
            return False
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        return all(type(part) in _BASIC or isinstance(part, np.integer) for part in parts)


@primitive  # type: ignore[untyped-decorator]
def scattered(x: Array, places: Array, size: int) -> Array:
    """Add the elements of the last axis to zeros, each in its place of `size`; several in one place add up."""
    result = np.zeros((*x.shape[:-1], size), x.dtype)
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    if len(first) == len(places):
        result[..., places] = x
    elif len(first):
        result[..., ordered[first]] = np.add.reduceat(x[..., order], first, axis=-1, dtype=x.dtype)
    return result


@primitive  # type: ignore[untyped-decorator]
def gathered(x: Array, places: Array, size: int) -> Array:
    """Take elements of the last axis, of which there are `size`."""
    return x[..., places]


defvjp(scattered, lambda ans, x, places, size: lambda g: gathered(g, places, size), argnums=(0,))
defvjp(gathered, lambda ans, x, places, size: lambda g: scattered(g, places, size), argnums=(0,))


class Part:
    """A batch that stands in one place of containers, beside zeros that are not made yet."""

    __slots__ = ("index", "rows", "space")

    def __init__(self, rows: Rows, index: Any, space: Any):
        self.rows = rows
        self.index = index
        self.space = space

    def whole(self) -> Rows:
        """Make the containers."""
        count = _count(self.rows)
        whole = self.space._map(lambda space: np.zeros((count, *space.shape), space.dtype))
        if not isinstance(self.index, slice):
            return self.space._subval(whole, self.index, self.rows)
        for place, part in zip(range(*self.index.indices(len(whole))), self.rows, strict=True):
            whole = self.space._subval(whole, place, part)
        return whole


def _count(rows: Rows) -> int:
    while isinstance(rows, (tuple, list, dict)):
        rows = next(iter(rows.values() if isinstance(rows, dict) else rows))
    return len(rows)
