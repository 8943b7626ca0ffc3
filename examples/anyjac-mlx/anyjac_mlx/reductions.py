"""Functions of the array API that combine the elements along axes: sums, means, extremes, truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import mlx.core as mx

from .lifting import lift

Axes = int | Sequence[int] | None

SAME: Final = ("all", "any", "max", "min", "mean")
"""Functions that MLX has under the name, and with the meaning, that the array API gives them."""


def _widened(x: mx.array, dtype: mx.Dtype | None) -> mx.array:
    """Return what is summed up: in the dtype asked for, and otherwise integers in 64 bits."""
    if dtype is None and mx.issubdtype(x.dtype, mx.inexact):
        return x
    if dtype is None:
        dtype = mx.uint64 if mx.issubdtype(x.dtype, mx.unsignedinteger) else mx.int64
    return x.astype(dtype)


def sum(x: mx.array, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> mx.array:
    """Add up."""
    return mx.sum(_widened(x, dtype), axis=axis, keepdims=keepdims)


def prod(x: mx.array, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> mx.array:
    """Multiply up."""
    return mx.prod(_widened(x, dtype), axis=axis, keepdims=keepdims)


def cumulative_sum(
    x: mx.array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> mx.array:
    """Add up along an axis, with every partial sum."""
    sums = mx.cumsum(_widened(x, dtype), axis=_only_axis(x, axis))
    return _with_initial(sums, _only_axis(x, axis), 0) if include_initial else sums


def cumulative_prod(
    x: mx.array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> mx.array:
    """Multiply up along an axis, with every partial product."""
    along = _only_axis(x, axis)
    products = _products_up_to(_widened(x, dtype), along)
    return _with_initial(products, along, 1) if include_initial else products


def _products_up_to(x: mx.array, axis: int) -> mx.array:
    """Multiply up in as many steps as the logarithm of the length; MLX's own derivative divides by the elements."""
    products = mx.moveaxis(x, axis, 0)
    reach = 1
    while reach < products.shape[0]:
        products = mx.concatenate([products[:reach], products[reach:] * products[:-reach]], axis=0)
        reach *= 2
    return mx.moveaxis(products, 0, axis)


def _only_axis(x: mx.array, axis: int | None) -> int:
    if axis is None and x.ndim != 1:
        raise ValueError("an array of more than one axis needs axis=")
    return 0 if axis is None else axis


def _with_initial(x: mx.array, axis: int, number: int) -> mx.array:
    shape = list(x.shape)
    shape[axis] = 1
    return mx.concatenate([mx.full(shape, number, dtype=x.dtype), x], axis=axis)


def var(x: mx.array, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> mx.array:
    """Return the variance, divided by the number of elements less `correction`."""
    deviations = x - mx.mean(x, axis=axis, keepdims=True)
    squares = mx.sum(mx.square(deviations), axis=axis, keepdims=keepdims)
    count = math.prod(x.shape) // max(math.prod(squares.shape), 1)
    return squares / (count - correction)


def std(x: mx.array, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> mx.array:
    """Return the standard deviation."""
    return mx.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def count_nonzero(x: mx.array, /, *, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """Count the elements that are not zero."""
    return mx.sum((x != 0).astype(mx.int64), axis=axis, keepdims=keepdims)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **{name: lift(getattr(mx, name)) for name in SAME},
    **{f.__name__: lift(f) for f in (count_nonzero, cumulative_prod, cumulative_sum, prod, std, sum, var)},
}
"""The functions of this module by their names in the array API."""
