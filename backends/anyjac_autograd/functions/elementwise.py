"""Functions of the array API for autograd's boxes, as tables: name in the standard, differentiable function.

Compositions of primitives whose rules autograd has, and one rule that it lacks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import array_api_compat.numpy
import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.numpy.numpy_vjps import unbroadcast_f

from ..linear_maps import innermost

compat: Any = array_api_compat.numpy  # much of it is made at run time, which type checkers do not see
Array = Any
Axis = int | tuple[int, ...] | None
Function = Callable[..., Any]

CONSTANT: Final = frozenset(
    {
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "bitwise_and",
        "bitwise_invert",
        "bitwise_left_shift",
        "bitwise_or",
        "bitwise_right_shift",
        "bitwise_xor",
        "can_cast",
        "ceil",
        "count_nonzero",
        "empty_like",
        "equal",
        "finfo",
        "floor",
        "floor_divide",
        "greater",
        "greater_equal",
        "iinfo",
        "isdtype",
        "isfinite",
        "isin",
        "isinf",
        "isnan",
        "less",
        "less_equal",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "matrix_rank",
        "nonzero",
        "not_equal",
        "ones_like",
        "result_type",
        "round",
        "searchsorted",
        "signbit",
        "trunc",
        "zeros_like",
    }
)
"""Functions whose result does not change with their arguments, almost everywhere: computed on plain values.

Among them are functions of integers, which are never boxes: they refuse a box's float like any other.
"""

ELEMENTWISE: Final = {
    # standard       autograd.numpy
    "abs": "abs",
    "acos": "arccos",
    "acosh": "arccosh",
    "add": "add",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "conj": "conj",
    "cos": "cos",
    "cosh": "cosh",
    "divide": "true_divide",
    "exp": "exp",
    "expm1": "expm1",
    "imag": "imag",
    "log": "log",
    "log10": "log10",
    "log1p": "log1p",
    "log2": "log2",
    "logaddexp": "logaddexp",
    "maximum": "maximum",
    "minimum": "minimum",
    "multiply": "multiply",
    "negative": "negative",
    "pow": "power",
    "real": "real",
    "reciprocal": "reciprocal",
    "remainder": "mod",
    "sin": "sin",
    "sinh": "sinh",
    "sqrt": "sqrt",
    "square": "square",
    "subtract": "subtract",
    "tan": "tan",
    "tanh": "tanh",
}


# ---- creation and dtype --------------------------------------------------------------------------------------------


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
    array = obj if isinstance(obj, ArrayBox) else anp.array(obj)
    return array if dtype is None else astype(array, dtype)


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    if np.dtype(dtype) == x.dtype:
        return x
    target = np.dtype(dtype)
    if target.kind not in "fc":
        return innermost(x).astype(target)
    if target.kind == "c":
        x = as_complex(x)
    if target.kind != "c" and x.dtype.kind == "c":
        x = anp.real(x)
    return x if x.dtype == target else x.astype(target)


def as_complex(x: Array) -> Array:
    """Return `x` as complex numbers of its own precision."""
    return x if anp.iscomplexobj(x) else x + np.zeros((), np.result_type(x.dtype, np.complex64))


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    shape = tuple(shape)
    if 0 in shape:
        return x + np.zeros(shape, x.dtype)
    np.broadcast_to(innermost(x), shape)  # its error, where the shapes do not fit
    return anp.broadcast_to(anp.reshape(x, (1,) * (len(shape) - x.ndim) + x.shape), shape)


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return tuple(broadcast_to(array, shape) for array in arrays)


def tril(x: Array, /, *, k: int = 0) -> Array:
    return anp.where(np.tri(x.shape[-2], x.shape[-1], k=k, dtype=bool), x, np.zeros((), x.dtype))


def triu(x: Array, /, *, k: int = 0) -> Array:
    return anp.where(np.tri(x.shape[-2], x.shape[-1], k=k - 1, dtype=bool), np.zeros((), x.dtype), x)


def full(shape: Any, fill_value: Array, *, dtype: Any = None, device: Any = None) -> Array:
    value = broadcast_to(fill_value, (shape,) if isinstance(shape, int) else tuple(shape))
    return value if dtype is None else astype(value, dtype)


def full_like(x: Array, /, fill_value: Array, *, dtype: Any = None, device: Any = None) -> Array:
    plain = innermost(x)
    value = fill_value if isinstance(fill_value, ArrayBox) else np.asarray(fill_value)
    return astype(broadcast_to(value, plain.shape), plain.dtype if dtype is None else dtype)


def linspace(
    start: Array, stop: Array, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Array:
    weights = np.linspace(0.0, 1.0, num, endpoint=endpoint)
    values = start * (1.0 - weights) + stop * weights
    return values if dtype is None else astype(values, dtype)


def meshgrid(*arrays: Array, indexing: str = "xy") -> tuple[Array, ...]:
    count = len(arrays)
    axes = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    shape = [arrays[axes.index(axis)].shape[0] for axis in range(count)]
    spread = []
    for array, own in zip(arrays, axes, strict=True):
        column = anp.reshape(array, tuple(-1 if axis == own else 1 for axis in range(count)))
        spread.append(broadcast_to(column, tuple(shape)))
    return tuple(spread)


# ---- elementwise ---------------------------------------------------------------------------------------------------


def positive(x: Array, /) -> Array:
    return x * 1


@primitive  # type: ignore[untyped-decorator]
def hypot(x1: Array, x2: Array, /) -> Array:
    """Return the length of the hypotenuse, whose square may be beyond the greatest number."""
    return np.hypot(x1, x2)


defvjp(
    hypot,
    lambda ans, x1, x2: unbroadcast_f(x1, lambda g: g * (x1 / ans)),
    lambda ans, x1, x2: unbroadcast_f(x2, lambda g: g * (x2 / ans)),
)


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Limit values; on a tie the derivative goes to `x`."""
    if min is not None:
        x = where(innermost(x) < innermost(min), min, x)
    if max is not None:
        x = where(innermost(x) > innermost(max), max, x)
    return x


def copysign(x1: Array, x2: Array, /) -> Array:
    """Give `x1` the sign of `x2`, by a factor of 1 or -1, which is constant almost everywhere."""
    plain1, plain2 = innermost(x1), innermost(x2)
    one = np.ones((), np.result_type(plain1, plain2))
    return x1 * (np.copysign(one, plain2) * np.copysign(one, plain1))


def sign(x: Array, /) -> Array:
    """Return the sign: constant almost everywhere for real numbers, ``x / abs(x)`` for complex ones."""
    if x.dtype.kind != "c":
        return compat.sign(innermost(x))
    zero = innermost(x) == 0
    return anp.where(zero, 0.0, x) / anp.where(zero, 1.0, anp.abs(anp.where(zero, 1.0, x)))


def where(condition: Array, x1: Array, x2: Array, /) -> Array:
    """Choose elements; boxes are broadcast beforehand, since autograd's own rule does not undo its broadcasting."""
    plain = innermost(condition)
    shape = np.broadcast_shapes(*(np.shape(innermost(x)) for x in (plain, x1, x2)))
    return anp.where(plain, *(broadcast_to(x, shape) if isinstance(x, ArrayBox) else x for x in (x1, x2)))


# ---- shapes --------------------------------------------------------------------------------------------------------


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    return anp.reshape(x, shape)


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    return anp.transpose(x, axes)


def matrix_transpose(x: Array, /) -> Array:
    return anp.swapaxes(x, -1, -2)


def expand_dims(x: Array, /, *, axis: int = 0) -> Array:
    return anp.expand_dims(x, axis)


def squeeze(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    axes = {a % x.ndim for a in np.atleast_1d(axis)}
    if any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"squeeze: axis {axis} of an array of shape {x.shape} is not of length 1")
    return anp.reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))


def moveaxis(x: Array, source: Any, destination: Any, /) -> Array:
    return anp.moveaxis(x, source, destination)


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    if axis is None:
        return anp.concatenate([anp.reshape(array, (-1,)) for array in arrays], 0)
    return anp.concatenate(list(arrays), axis)


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    return anp.stack(list(arrays), axis)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    return tuple(_along(x, axis, index) for index in range(x.shape[axis]))


def flip(x: Array, /, *, axis: Axis = None) -> Array:
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis)]
    return x[tuple(slice(None, None, -1) if a in axes else slice(None) for a in range(x.ndim))]


def roll(x: Array, /, shift: int | tuple[int, ...], *, axis: Axis = None) -> Array:
    if axis is None:
        return anp.roll(x, shift, None)
    axes = np.atleast_1d(axis)
    shifts = np.broadcast_to(shift, axes.shape)
    return functools.reduce(lambda y, pair: anp.roll(y, int(pair[0]), int(pair[1])), zip(shifts, axes, strict=True), x)


def repeat(x: Array, repeats: Any, /, *, axis: int | None = None) -> Array:
    if axis is None:
        x, axis = anp.reshape(x, (-1,)), 0
    counts = np.broadcast_to(innermost(repeats), x.shape[axis])
    return _along(x, axis, np.repeat(np.arange(x.shape[axis]), counts))


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    return anp.tile(x, repetitions)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    if axis is None and x.ndim != 1:
        raise ValueError(f"take needs an axis for an array of {x.ndim} dimensions")
    return _along(x, axis or 0, innermost(indices))


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    chosen = innermost(indices)
    index: list[Any] = list(np.ogrid[tuple(slice(n) for n in chosen.shape)])
    index[axis] = chosen
    return x[tuple(index)]


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    order = compat.argsort(np.asarray(innermost(x)), axis=axis, descending=descending, stable=stable)
    return take_along_axis(x, order, axis=axis)


def unique_all(x: Array, /) -> Any:
    """Return the distinct values, each from where it first occurs, so that derivatives go there."""
    found = compat.unique_all(np.asarray(innermost(x)))
    return found._replace(values=anp.reshape(x, (-1,))[found.indices])


def unique_values(x: Array, /) -> Array:
    return unique_all(x).values


def unique_counts(x: Array, /) -> Any:
    found = unique_all(x)
    return type(compat.unique_counts(np.zeros(1)))(found.values, found.counts)


def unique_inverse(x: Array, /) -> Any:
    found = unique_all(x)
    return type(compat.unique_inverse(np.zeros(1)))(found.values, found.inverse_indices)


def diff(x: Array, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Array:
    parts = [part for part in (prepend, x, append) if part is not None]
    y = x if len(parts) == 1 else anp.concatenate(parts, axis)
    for _ in range(n):
        y = _along(y, axis, slice(1, None)) - _along(y, axis, slice(None, -1))
    return y


def _along(x: Array, axis: int, index: Any) -> Array:
    return x[(slice(None),) * (axis % x.ndim) + (index,)]


# ---- reductions ----------------------------------------------------------------------------------------------------


def sum_(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    return anp.sum(x if dtype is None else astype(x, dtype), axis=axis, keepdims=keepdims)


def prod(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Multiply along axes, by way of repeated products so that zeros have the right derivative."""
    x = x if dtype is None else astype(x, dtype)
    axes = sorted(range(x.ndim) if axis is None else {a % x.ndim for a in np.atleast_1d(axis)})
    kept = [a for a in range(x.ndim) if a not in axes]
    count = int(np.prod([x.shape[a] for a in axes]))
    rows = anp.reshape(anp.transpose(x, [*axes, *kept]), (count, *(x.shape[a] for a in kept)))
    result = functools.reduce(lambda y, index: y * rows[index], range(count), np.ones((), x.dtype))
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else rows.shape[1:]
    return anp.reshape(result, shape) if count else np.ones(shape, x.dtype)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return anp.mean(x, axis=axis, keepdims=keepdims)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    count = x.size / max(1, anp.mean(x, axis=axis).size)
    deviation = x - anp.mean(x, axis=axis, keepdims=True)
    return anp.sum(anp.real(deviation * anp.conj(deviation)), axis=axis, keepdims=keepdims) / (count - correction)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    return anp.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def max_(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return anp.max(x, axis=axis, keepdims=keepdims)


def min_(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return anp.min(x, axis=axis, keepdims=keepdims)


def cumulative_sum(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    axis = _only_axis(x, axis, "cumulative_sum")
    y = anp.cumsum(x if dtype is None else astype(x, dtype), axis=axis)
    return anp.concatenate([np.zeros(_with_length(y, axis, 1), y.dtype), y], axis) if include_initial else y


def cumulative_prod(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Return cumulative products along an axis, by single products, so that zeros have the right derivative."""
    axis = _only_axis(x, axis, "cumulative_prod")
    x = x if dtype is None else astype(x, dtype)
    first = np.ones(_with_length(x, axis, 1), x.dtype)
    parts = [first]
    for index in range(x.shape[axis]):
        parts.append(parts[-1] * _along(x, axis, slice(index, index + 1)))
    return anp.concatenate(parts if include_initial else parts[1:] or [first[:0]], axis)


def _only_axis(x: Array, axis: int | None, name: str) -> int:
    if axis is not None:
        return int(axis % x.ndim)
    if x.ndim != 1:
        raise ValueError(f"{name} needs an axis for an array of {x.ndim} dimensions")
    return 0


def _with_length(x: Array, axis: int, length: int) -> tuple[int, ...]:
    return (*x.shape[:axis], length, *x.shape[axis + 1 :])


# ---- products ------------------------------------------------------------------------------------------------------


def matmul(x1: Array, x2: Array, /) -> Array:
    return anp.matmul(x1, x2)


def tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Array:
    return anp.tensordot(x1, x2, axes)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    return anp.sum(anp.conj(x1) * x2, axis=axis)


SHARED_WITH_LINALG: Final[dict[str, Function]] = {
    "matmul": matmul,
    "matrix_transpose": matrix_transpose,
    "tensordot": tensordot,
    "vecdot": vecdot,
}

MAIN: Final[dict[str, Callable[..., Any]]] = {
    **{standard: getattr(anp, name) for standard, name in ELEMENTWISE.items()},
    **SHARED_WITH_LINALG,
    "asarray": asarray,
    "astype": astype,
    "broadcast_arrays": broadcast_arrays,
    "broadcast_to": broadcast_to,
    "clip": clip,
    "concat": concat,
    "copysign": copysign,
    "cumulative_prod": cumulative_prod,
    "cumulative_sum": cumulative_sum,
    "diff": diff,
    "expand_dims": expand_dims,
    "flip": flip,
    "full": full,
    "full_like": full_like,
    "hypot": hypot,
    "linspace": linspace,
    "max": max_,
    "mean": mean,
    "meshgrid": meshgrid,
    "min": min_,
    "moveaxis": moveaxis,
    "permute_dims": permute_dims,
    "positive": positive,
    "prod": prod,
    "repeat": repeat,
    "reshape": reshape,
    "roll": roll,
    "sign": sign,
    "sort": sort,
    "squeeze": squeeze,
    "stack": stack,
    "std": std,
    "sum": sum_,
    "take": take,
    "take_along_axis": take_along_axis,
    "tile": tile,
    "tril": tril,
    "triu": triu,
    "unique_all": unique_all,
    "unique_counts": unique_counts,
    "unique_inverse": unique_inverse,
    "unique_values": unique_values,
    "unstack": unstack,
    "var": var,
    "where": where,
}
