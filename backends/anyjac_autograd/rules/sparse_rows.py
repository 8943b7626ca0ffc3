"""`SparseRows`: a batch of cotangents of which each row has few elements that are not zero.

Rows of an identity are sparse, and stay so through elementwise functions, shifts, slices and sums: the Jacobian of such
a function is computed in time proportional to the elements that are not zero. Knows arrays alone, no primitives.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

_AT_MOST: Final = 128
"""Most pairs of a row; with more, the dense form is faster."""

_UNSORTED: Final = 12
"""Pairs of a row up to which pairs of the same element are not added up."""


def keeps_zeros(factors: Array) -> bool:
    """Return whether zeros stay zeros when they are multiplied; an infinite factor makes NaN of them.

    Sparse rows have no zeros to multiply, so that what makes NaN of zeros is left to dense rows.
    """
    return bool(np.isfinite(factors).all())


class TooLargeError(Exception):
    """Raised where rows would have to be dense, and are too many to be dense at once."""


class SparseRows:
    """Rows as pairs of index and value; an element is the sum of the values of all its pairs.

    Parameters
    ----------
    index
        Shape ``(rows, pairs)``: positions in the flattened row, -1 for a pair that is none.
    value
        Shape ``(rows, pairs)``; zero where there is no pair.
    shape
        The shape of one row.
    limit
        How many elements the dense form may have; None for any number.
    """

    __slots__ = ("index", "limit", "shape", "value")

    def __init__(self, index: Array, value: Array, shape: tuple[int, ...], limit: int | None = None):
        self.index = index
        self.value = value
        self.shape = shape
        self.limit = limit

    @property
    def size(self) -> int:
        """Elements of one row."""
        return math.prod(self.shape)

    @property
    def pairs(self) -> int:
        """Pairs of one row."""
        return int(self.index.shape[1])

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.value.dtype

    def __len__(self) -> int:
        return len(self.index)

    # ---- other rows from these -------------------------------------------------------------------------------------

    def like(self, index: Array, value: Array, shape: tuple[int, ...] | None = None) -> SparseRows:
        """Return rows with other pairs and, if given, of another shape."""
        return SparseRows(index, value, self.shape if shape is None else shape, self.limit)

    def like_shape(self, shape: tuple[int, ...]) -> SparseRows:
        """Return the same rows in another shape of as many elements."""
        return SparseRows(self.index, self.value, shape, self.limit)

    def with_values(self, value: Array) -> SparseRows:
        """Return rows with other values at the same positions."""
        if (self.index < 0).any():
            value = np.where(self.index >= 0, value, np.zeros((), value.dtype))
        return self.like(self.index, value)

    def scaled(self, factors: Array) -> SparseRows:
        """Return rows with each element multiplied by its factor; `factors` has the shape of a row."""
        if not self.size:
            return self
        return self.with_values(self.value * factors.reshape(-1)[self.index])

    def moved(self, target: Array, shape: tuple[int, ...]) -> SparseRows:
        """Return rows of `shape` with each element where ``target[element]`` says; -1 leaves it out."""
        if not len(target):
            return self.like(np.full((len(self), 1), -1), np.zeros((len(self), 1), self.dtype), shape)
        index = np.where(self.index >= 0, target[self.index], -1)
        value = self.value
        left_out = np.asarray(index < 0)
        if left_out.any():
            value = np.where(left_out, np.zeros((), value.dtype), value)
            kept = np.flatnonzero(~left_out.all(axis=0)) if not left_out.all() else np.zeros(1, int)
            index, value = index[:, kept], value[:, kept]
        return self.like(index, value, shape)

    def taken(self, source: Array, shape: tuple[int, ...]) -> SparseRows | None:
        """Return rows of `shape` whose elements stand at ``source`` in these; None where one is taken twice."""
        target = np.full(self.size, -1)
        target[source.ravel()] = np.arange(source.size)
        return self.moved(target, shape) if np.count_nonzero(target >= 0) == source.size else None

    def joined(self, other: SparseRows) -> SparseRows | None:
        """Return the sum; None where it has too many pairs."""
        both = self.like(
            np.concatenate([self.index, other.index], axis=1), np.concatenate([self.value, other.value], axis=1)
        )
        if both.pairs > _UNSORTED:
            both = both._compacted()
        return both if both.is_worth_it else None

    def spread(self, targets: Array, factors: Array, shape: tuple[int, ...]) -> SparseRows | None:
        """Return rows of `shape` in which a pair becomes several at ``targets[element]``; None for too many."""
        several = targets.shape[1]
        if self.pairs * several > min(_AT_MOST, math.prod(shape) // 4):
            return None
        index = np.where(self.index[:, :, None] >= 0, targets[self.index], -1)
        value = self.value[:, :, None] * factors
        if (self.index < 0).any():
            value = np.where(index >= 0, value, np.zeros((), value.dtype))
        flattened = (len(self), self.pairs * several)
        return self.like(index.reshape(flattened), value.reshape(flattened), shape)

    def _compacted(self) -> SparseRows:
        """Add up the pairs of the same element."""
        order = np.argsort(self.index, axis=1, kind="stable")
        index = np.take_along_axis(self.index, order, axis=1)
        value = np.take_along_axis(self.value, order, axis=1)
        first = np.ones(index.shape, bool)
        first[:, 1:] = index[:, 1:] != index[:, :-1]
        first &= index >= 0
        pair = np.cumsum(first, axis=1) - 1
        pairs = max(1, int(pair.max(initial=-1)) + 1)
        there = index >= 0
        row = np.nonzero(there)[0]
        new_index = np.full((len(self), pairs), -1)
        new_value = np.zeros((len(self), pairs), value.dtype)
        new_index[row, pair[there]] = index[there]
        np.add.at(new_value, (row, pair[there]), value[there])
        return self.like(new_index, new_value)

    # ---- arrays from these -----------------------------------------------------------------------------------------

    @property
    def is_worth_it(self) -> bool:
        """Whether there are few pairs."""
        return self.pairs <= min(_AT_MOST, max(2, self.size // 4))

    @property
    def is_few(self) -> bool:
        """Whether a product with a matrix is faster pair by pair."""
        return self.pairs <= max(2, self.size // 16)

    def check_size(self, columns: int) -> None:
        """Refuse a dense array of so many columns that is larger than the limit.

        Raises
        ------
        TooLargeError
            If it is larger.
        """
        if self.limit is not None and len(self) * columns > self.limit:
            raise TooLargeError

    def dense(self) -> Array:
        """Return the rows as an array, if that is not larger than the limit."""
        self.check_size(self.size)
        return self.to_array()

    def to_array(self) -> Array:
        """Return the rows as an array."""
        result = np.zeros((len(self), self.size), self.dtype)
        if not self.size:
            return result.reshape(len(self), *self.shape)
        flat = result.reshape(-1)
        flat_index = np.maximum(self.index, 0) + np.arange(0, flat.size, self.size)[:, None]
        flat[flat_index[:, 0]] = self.value[:, 0]
        for pair in range(1, self.pairs):
            flat[flat_index[:, pair]] += self.value[:, pair]
        return result.reshape(len(self), *self.shape)

    def times(self, matrix: Array, dtype: Any) -> Array:
        """Return the product with a matrix that has as many rows as these have elements."""
        self.check_size(matrix.shape[1])
        product: Array | None = None
        for pair in range(self.pairs):
            index = self.index[:, pair]
            term = _rows_of(matrix, index) * self.value[:, pair, None]
            product = term if product is None else np.add(product, term, out=product)
        assert product is not None
        return product if product.dtype == dtype else product.astype(dtype)


def _rows_of(matrix: Array, index: Array) -> Array:
    """Take rows, without a copy where they are consecutive."""
    first, last = int(index[0]), int(index[-1])
    if first >= 0 and last - first + 1 == len(index) and np.array_equal(index, np.arange(first, last + 1)):
        return matrix[first : last + 1]
    return matrix[index]


def identity_rows(shape: tuple[int, ...], dtype: Any, start: int, stop: int, limit: int | None = None) -> SparseRows:
    """Return rows `start` to `stop` of the identity, each in `shape`."""
    return SparseRows(np.arange(start, stop)[:, None], np.ones((stop - start, 1), dtype), shape, limit)
