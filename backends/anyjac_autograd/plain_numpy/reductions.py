"""NumPy's sums, means, extremes, orders and quantiles for autograd's boxes, with NumPy's signatures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import autograd.numpy as anp
import numpy as np

from anyjac_plugins.errors import NotSupportedError

from ..functions import elementwise
from ..functions.elementwise import astype
from ..linear_maps import innermost

Array = Any
Axis = Any
Function = Callable[..., Any]


def _masked(x: Array, where: Any, neutral: Any) -> Array:
    """Return the elements where they count, and elsewhere what changes no result."""
    return x if where is None or where is True else elementwise.where(where, x, np.asarray(neutral, x.dtype))


def _count(x: Array, axis: Axis, where: Any, keepdims: bool) -> Any:
    counted = np.broadcast_to(True if where is None else innermost(where), x.shape)
    return np.sum(counted, axis=axis, keepdims=keepdims)


def _array(x: Any) -> Array:
    return x if hasattr(x, "dtype") else anp.array(x)


def sum_(
    a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """Return sums along axes."""
    total = elementwise.sum_(_masked(_array(a), where, 0), axis=axis, dtype=dtype, keepdims=keepdims)
    return total if initial is None else total + initial


def prod(
    a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """Return products along axes."""
    product = elementwise.prod(_masked(_array(a), where, 1), axis=axis, dtype=dtype, keepdims=keepdims)
    return product if initial is None else product * initial


def mean(a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, where: Any = None) -> Array:
    """Return means along axes."""
    a = _array(a)
    a = a if dtype is None else astype(a, dtype)
    total = sum_(a, axis=axis, keepdims=keepdims, where=where)
    return total / np.asarray(_count(a, axis, where, keepdims), np.finfo(total.dtype).dtype)


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Array:
    """Return variances along axes."""
    a = _array(a)
    a = a if dtype is None else astype(a, dtype)
    centre = globals()["mean"](a, axis=axis, keepdims=True, where=where) if mean is None else mean
    deviation = _masked(a - centre, where, 0)
    squares = anp.sum(anp.real(deviation * anp.conj(deviation)), axis=axis, keepdims=keepdims)
    count = _count(a, axis, where, keepdims) - (ddof if correction is None else correction)
    return squares / np.asarray(count, squares.dtype)


def std(a: Any, *args: Any, **kwargs: Any) -> Array:
    """Return standard deviations along axes."""
    return anp.sqrt(var(a, *args, **kwargs))


def _extreme(reduce: Function, choose: Function, worst: float) -> Function:
    def extreme(a: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None, where: Any = None) -> Array:
        a = _array(a)
        if where is not None and where is not True and initial is None:
            raise NotSupportedError("an extreme of a traced array with where= needs initial=")
        found = reduce(_masked(a, where, worst), axis=axis, keepdims=keepdims)
        return found if initial is None else choose(found, initial)

    return extreme


max_ = _extreme(elementwise.max_, anp.maximum, -np.inf)
min_ = _extreme(elementwise.min_, anp.minimum, np.inf)


def ptp(a: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the distance of the greatest and the least element."""
    return max_(a, axis, keepdims) - min_(a, axis, keepdims)


def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Return weighted means along axes."""
    a = _array(a)
    if weights is None:
        result = mean(a, axis=axis, keepdims=keepdims)
        total: Any = np.full(np.shape(result), a.size / max(1, np.size(innermost(result))))
    else:
        weights = _array(weights)
        if weights.shape != a.shape:
            if not isinstance(axis, int) or weights.ndim != 1 or weights.shape[0] != a.shape[axis]:
                raise NotSupportedError("numpy.average of a traced array takes weights of its shape, or of one axis")
            weights = anp.reshape(weights, tuple(-1 if n == axis % a.ndim else 1 for n in range(a.ndim)))
        spread = weights * np.ones(a.shape)
        total = anp.sum(spread, axis=axis, keepdims=keepdims)
        result = anp.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, total) if returned else result


# ---- along one axis --------------------------------------------------------------------------------------------------


def _along(function: Function) -> Function:
    """Let a function along one axis take the flat array where no axis is given."""

    @functools.wraps(function)
    def along(a: Any, axis: int | None = None, dtype: Any = None) -> Array:
        a = _array(a)
        return function(anp.reshape(a, (-1,)) if axis is None else a, axis=0 if axis is None else axis, dtype=dtype)

    return along


cumsum = _along(elementwise.cumulative_sum)
cumprod = _along(elementwise.cumulative_prod)


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Array:
    """Sort along an axis."""
    a = anp.reshape(a, (-1,)) if axis is None else a
    axis = -1 if axis is None else axis
    return elementwise.take_along_axis(a, np.argsort(innermost(a), axis, kind or "stable"), axis=axis)


def partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None) -> Array:
    """Sort along an axis in part."""
    a = anp.reshape(a, (-1,)) if axis is None else a
    axis = -1 if axis is None else axis
    return elementwise.take_along_axis(a, np.argpartition(innermost(a), kth, axis), axis=axis)


def _rows(a: Array, axis: Axis) -> tuple[Array, tuple[int, ...]]:
    """Return `a` with the axes that are reduced in the last one, and the shape with them as ones."""
    axes = sorted(range(a.ndim) if axis is None else {int(n) % a.ndim for n in np.atleast_1d(axis)})
    kept = [n for n in range(a.ndim) if n not in axes]
    moved = anp.transpose(a, (*kept, *axes))
    ones = tuple(1 if n in axes else length for n, length in enumerate(a.shape))
    return anp.reshape(moved, (*(a.shape[n] for n in kept), -1)), ones


def quantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """Return quantiles along axes, between the neighbours in order that NumPy chooses."""
    if weights is not None:
        raise NotSupportedError("numpy.quantile of a traced array takes no weights")
    rows, ones = _rows(_array(a), axis)
    if np.isnan(innermost(rows)).any():
        raise NotSupportedError("numpy.quantile of a traced array with NaN among its elements has no derivative here")
    ordered = sort(rows, -1)
    places = np.asarray(np.quantile(np.arange(float(rows.shape[-1])), innermost(q), method=method))  # type: ignore[call-overload]
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, rows.shape[-1] - 1)
    dtype = np.quantile(np.ones(1, rows.dtype), innermost(q), method=method).dtype  # type: ignore[call-overload]
    part = (places - below).astype(dtype)
    found = (
        anp.moveaxis(ordered[..., below] * (1 - part) + ordered[..., above] * part, -1, 0)
        if places.ndim
        else (ordered[..., below] * (1 - part) + ordered[..., above] * part)
    )
    return anp.reshape(found, (*places.shape, *ones)) if keepdims else found


def percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Array:
    """Return percentiles along axes."""
    a = _array(a)
    return quantile(a, np.true_divide(innermost(q), a.dtype.type(100)), *args, **kwargs)


def median(a: Any, axis: Axis = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """Return medians along axes."""
    return quantile(a, 0.5, axis, keepdims=keepdims)


# ---- without NaN -----------------------------------------------------------------------------------------------------


def _without_nan(function: Function) -> Function:
    """Let a reduction look at the elements that are numbers alone."""

    def reduced(a: Any, *args: Any, **kwargs: Any) -> Array:
        a = _array(a)
        numbers = ~np.isnan(innermost(a))
        if kwargs.get("where", True) is not True:
            numbers = numbers & kwargs["where"]
        safe = elementwise.where(numbers, a, np.zeros((), a.dtype))
        return function(safe, *args, **{**kwargs, "where": numbers})

    return reduced


def _extreme_without_nan(function: Function, worst: float) -> Function:
    def extreme(a: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None, where: Any = None) -> Array:
        a = _array(a)
        numbers = ~np.isnan(innermost(a))
        if not numbers.any(axis).all():
            raise NotSupportedError("an extreme without NaN needs a number in each row of a traced array")
        safe = elementwise.where(numbers, a, np.asarray(worst, a.dtype))
        return function(safe, axis, keepdims, initial, where)

    return extreme


def _cumulated_without_nan(function: Function, neutral: float) -> Function:
    def cumulated(a: Any, *args: Any, **kwargs: Any) -> Array:
        a = _array(a)
        return function(elementwise.where(np.isnan(innermost(a)), np.asarray(neutral, a.dtype), a), *args, **kwargs)

    return cumulated


REDUCTIONS: Final[dict[Function, Function]] = {
    np.amax: max_,
    np.amin: min_,
    np.average: average,
    np.cumprod: cumprod,
    np.cumsum: cumsum,
    np.max: max_,
    np.mean: mean,
    np.median: median,
    np.min: min_,
    np.nancumprod: _cumulated_without_nan(cumprod, 1),
    np.nancumsum: _cumulated_without_nan(cumsum, 0),
    np.nanmax: _extreme_without_nan(max_, -np.inf),
    np.nanmean: _without_nan(mean),
    np.nanmin: _extreme_without_nan(min_, np.inf),
    np.nanprod: _without_nan(prod),
    np.nanstd: _without_nan(std),
    np.nansum: _without_nan(sum_),
    np.nanvar: _without_nan(var),
    np.partition: partition,
    np.percentile: percentile,
    np.prod: prod,
    np.ptp: ptp,
    np.quantile: quantile,
    np.sort: sort,
    np.std: std,
    np.sum: sum_,
    np.var: var,
}
"""NumPy's reductions, and functions along an axis."""
