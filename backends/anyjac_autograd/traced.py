"""Functions of the array API for autograd's boxes, as tables: name in the standard, differentiable function.

Compositions of primitives whose rules autograd has; no rules are added here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import array_api_compat.numpy as compat
import autograd.numpy as anp
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox

from anyjac_plugins.errors import NotSupportedError

from .differentiation import innermost

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
        "isinf",
        "isnan",
        "less",
        "less_equal",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "nonzero",
        "not_equal",
        "ones_like",
        "result_type",
        "round",
        "searchsorted",
        "sign",
        "signbit",
        "trunc",
        "unique_all",
        "unique_counts",
        "unique_inverse",
        "unique_values",
        "zeros_like",
    }
)
"""Functions whose result does not change with their arguments, almost everywhere: computed on plain values."""

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
    if np.dtype(dtype).kind not in "fc":
        return innermost(x).astype(dtype)
    return x.astype(dtype)


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    return x + np.zeros(shape, x.dtype)


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return tuple(broadcast_to(array, shape) for array in arrays)


def tril(x: Array, /, *, k: int = 0) -> Array:
    return anp.where(np.tri(x.shape[-2], x.shape[-1], k=k, dtype=bool), x, np.zeros((), x.dtype))


def triu(x: Array, /, *, k: int = 0) -> Array:
    return anp.where(np.tri(x.shape[-2], x.shape[-1], k=k - 1, dtype=bool), np.zeros((), x.dtype), x)


# ---- elementwise ---------------------------------------------------------------------------------------------------


def positive(x: Array, /) -> Array:
    return x * 1


def hypot(x1: Array, x2: Array, /) -> Array:
    return anp.sqrt(x1 * x1 + x2 * x2)


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Limit values; on a tie the derivative goes to `x`."""
    if min is not None:
        x = anp.where(innermost(x) < innermost(min), min, x)
    if max is not None:
        x = anp.where(innermost(x) > innermost(max), max, x)
    return x


def where(condition: Array, x1: Array, x2: Array, /) -> Array:
    return anp.where(innermost(condition), x1, x2)


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


def repeat(x: Array, repeats: int, /, *, axis: int | None = None) -> Array:
    if not isinstance(repeats, int):
        raise NotSupportedError("the backend 'autograd' has no derivative for 'repeat' with an array of counts")
    return anp.repeat(x, repeats, axis)


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    return anp.tile(x, repetitions)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    if axis is None and x.ndim != 1:
        raise ValueError(f"take needs an axis for an array of {x.ndim} dimensions")
    return _along(x, axis or 0, innermost(indices))


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    places = innermost(indices)
    index: list[Any] = list(np.ogrid[tuple(slice(n) for n in places.shape)])
    index[axis] = places
    return x[tuple(index)]


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    argsort: Function = vars(compat)["argsort"]
    order = argsort(np.asarray(innermost(x)), axis=axis, descending=descending, stable=stable)
    return take_along_axis(x, order, axis=axis)


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


def _only_axis(x: Array, axis: int | None, name: str) -> int:
    if axis is not None:
        return int(axis % x.ndim)
    if x.ndim != 1:
        raise ValueError(f"{name} needs an axis for an array of {x.ndim} dimensions")
    return 0


def _with_length(x: Array, axis: int, length: int) -> tuple[int, ...]:
    return (*x.shape[:axis], length, *x.shape[axis + 1 :])


# ---- linear algebra ------------------------------------------------------------------------------------------------


def matmul(x1: Array, x2: Array, /) -> Array:
    return anp.matmul(x1, x2)


def tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Array:
    return anp.tensordot(x1, x2, axes)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    return anp.sum(anp.conj(x1) * x2, axis=axis)


def outer(x1: Array, x2: Array, /) -> Array:
    return x1[:, None] * x2[None, :]


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    below, right = max(0, -offset), max(0, offset)
    index = np.arange(max(0, min(x.shape[-2] - below, x.shape[-1] - right)))
    return x[..., index + below, index + right]


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    return sum_(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def solve(x1: Array, x2: Array, /) -> Array:
    if x2.ndim == 1:
        return anp.linalg.solve(x1, broadcast_to(x2[:, None], (*x1.shape[:-1], 1)))[..., 0]
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    left = broadcast_to(x1, (*batch, *x1.shape[-2:]))
    return anp.linalg.solve(left, broadcast_to(x2, (*batch, *x2.shape[-2:])))


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    lower = anp.linalg.cholesky(x)
    return anp.conj(matrix_transpose(lower)) if upper else lower


def eigh(x: Array, /) -> Any:
    return compat.linalg.EighResult(*anp.linalg.eigh(x))


def slogdet(x: Array, /) -> Any:
    return compat.linalg.SlogdetResult(*anp.linalg.slogdet(x))


def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    if ord != 2:
        raise NotSupportedError(
            f"the backend 'autograd' has no derivative for 'vector_norm' with ord={ord}; only ord=2"
        )
    return anp.sqrt(anp.sum(anp.real(x * anp.conj(x)), axis=axis, keepdims=keepdims))


_SHARED_LINALG: dict[str, Callable[..., Any]] = {
    "matmul": matmul,
    "matrix_transpose": matrix_transpose,
    "tensordot": tensordot,
    "vecdot": vecdot,
}

MAIN: Final[dict[str, Callable[..., Any]]] = {
    **{standard: getattr(anp, name) for standard, name in ELEMENTWISE.items()},
    **_SHARED_LINALG,
    "asarray": asarray,
    "astype": astype,
    "broadcast_arrays": broadcast_arrays,
    "broadcast_to": broadcast_to,
    "clip": clip,
    "concat": concat,
    "cumulative_sum": cumulative_sum,
    "diff": diff,
    "expand_dims": expand_dims,
    "flip": flip,
    "hypot": hypot,
    "max": max_,
    "mean": mean,
    "min": min_,
    "moveaxis": moveaxis,
    "permute_dims": permute_dims,
    "positive": positive,
    "prod": prod,
    "repeat": repeat,
    "reshape": reshape,
    "roll": roll,
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
    "unstack": unstack,
    "var": var,
    "where": where,
}

LINALG: Final[dict[str, Callable[..., Any]]] = {
    **_SHARED_LINALG,
    "cholesky": cholesky,
    "det": anp.linalg.det,
    "diagonal": diagonal,
    "eigh": eigh,
    "inv": anp.linalg.inv,
    "outer": outer,
    "slogdet": slogdet,
    "solve": solve,
    "trace": trace,
    "vector_norm": vector_norm,
}
