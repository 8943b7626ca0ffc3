"""Functions of the array API that choose elements, sort them and look for them.

Where elements are is known from their values; they are then taken from there, so that they are differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import mlx.core as mx
import numpy as np

from .conversion import to_numpy
from .lifting import lift
from .tracing import innermost
from .variables import unwrap

Array = Any


def take(x: mx.array, indices: mx.array, /, *, axis: int | None = None) -> mx.array:
    """Return the elements at some indices along an axis."""
    return mx.take(x, indices, axis=_axis(x, axis))


def take_along_axis(x: mx.array, indices: mx.array, /, *, axis: int = -1) -> mx.array:
    """Return the elements at indices that differ along the other axes."""
    return mx.take_along_axis(x, indices, axis=axis)


def _axis(x: Array, axis: int | None) -> int:
    if axis is None and x.ndim != 1:
        raise ValueError("an array of more than one axis needs axis=")
    return 0 if axis is None else axis


def sort(x: mx.array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> mx.array:
    """Return the elements in order."""
    ordered = mx.sort(x, axis=axis)
    return mx.flip(ordered, axis) if descending else ordered


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> mx.array:
    """Return the indices that put the elements in order, equal ones in the order in which they stand."""
    values = _values(x)
    if not descending:
        return mx.array(np.argsort(values, axis=axis, kind="stable"), dtype=mx.int64)
    backwards = np.flip(np.argsort(np.flip(values, axis), axis=axis, kind="stable"), axis)
    return mx.array(values.shape[axis] - 1 - backwards, dtype=mx.int64)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Return the index of the greatest element."""
    return mx.argmax(innermost(unwrap(x)), axis=axis, keepdims=keepdims).astype(mx.int64)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Return the index of the least element."""
    return mx.argmin(innermost(unwrap(x)), axis=axis, keepdims=keepdims).astype(mx.int64)


def nonzero(x: Array, /) -> tuple[mx.array, ...]:
    """Return the indices of the elements that are not zero, one array for each axis."""
    return tuple(mx.array(places, dtype=mx.int64) for places in np.nonzero(_values(x)))


def searchsorted(x1: Array, x2: Array, /, *, side: Any = "left", sorter: Array | None = None) -> mx.array:
    """Return where in `x1` to insert the elements of `x2`."""
    order = None if sorter is None else _values(sorter)
    return mx.array(np.searchsorted(_values(x1), _values(x2), side=side, sorter=order), dtype=mx.int64)


def _values(x: Array) -> np.ndarray[Any, Any]:
    return to_numpy(innermost(unwrap(x)))


# ---- unique values -------------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """What `unique_all` finds."""

    values: Array
    indices: mx.array
    inverse_indices: mx.array
    counts: mx.array


class UniqueCounts(NamedTuple):
    """What `unique_counts` finds."""

    values: Array
    counts: mx.array


class UniqueInverse(NamedTuple):
    """What `unique_inverse` finds."""

    values: Array
    inverse_indices: mx.array


def unique_all(x: Array, /) -> UniqueAll:
    """Find the values that occur, where each is first, how to put `x` together from them, and how often they occur."""
    x = unwrap(x)
    _, *found = np.unique(
        _values(x).ravel(), return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    indices, inverse, counts = (mx.array(numbers, dtype=mx.int64) for numbers in found)
    flat = _flat(x)
    return UniqueAll(_take(flat, indices, axis=0), indices, mx.reshape(inverse, x.shape), counts)


def unique_counts(x: Array, /) -> UniqueCounts:
    """Return the values that occur, and how often."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Array, /) -> UniqueInverse:
    """Return the values that occur, and how to put `x` together from them."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Array, /) -> Array:
    """Return the values that occur."""
    return unique_all(x).values


@lift
def _flat(x: mx.array) -> mx.array:
    return mx.reshape(x, (math.prod(x.shape),))


_take = lift(take)

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **{f.__name__: lift(f) for f in (sort, take, take_along_axis)},
    **{f.__name__: f for f in (argmax, argmin, argsort, nonzero, searchsorted)},
    **{f.__name__: f for f in (unique_all, unique_counts, unique_inverse, unique_values)},
}
"""The functions of this module by their names in the array API."""
