"""Functions of the array API that make arrays, and convert them. All take ``device``, which can only be the CPU.

Those that make an array out of nothing have MLX's default dtypes: float32, and int32 for whole numbers.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

import mlx.core as mx
import numpy as np

from anyjac_plugins import NotSupportedError

from .conversion import from_numpy
from .lifting import lift
from .tracing import Traced
from .variables import unwrap

Array = Any


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
    """Return an array of a number, a nested list, an array of NumPy's or MLX's; differentiable."""
    obj = unwrap(obj)
    if isinstance(obj, list | tuple) and _holds_array(obj):
        obj = _stack([asarray(item, dtype=dtype) for item in obj])
    if isinstance(obj, Traced):
        return obj if dtype is None or obj.dtype == dtype else astype(obj, dtype)
    if isinstance(obj, mx.array):
        converted = obj if dtype is None or obj.dtype == dtype else obj.astype(dtype)
        return mx.array(converted) if copy else converted
    if isinstance(obj, np.ndarray | np.generic):
        return from_numpy(obj, dtype)
    if isinstance(obj, list | tuple) and dtype is not None:  # MLX rounds the numbers in lists to 32 bits beforehand
        return from_numpy(np.asarray(obj), dtype)
    return mx.array(obj, dtype=dtype)


def _holds_array(obj: Any) -> bool:
    if isinstance(obj, list | tuple):
        return any(map(_holds_array, obj))
    return isinstance(obj, mx.array | np.ndarray | np.generic | Traced)


@lift
def _stack(arrays: list[mx.array]) -> mx.array:
    dtype = mx.result_type(*arrays)
    return mx.stack([array.astype(dtype) for array in arrays])


@lift
def astype(x: mx.array, dtype: mx.Dtype, /, *, copy: bool = True, device: Any = None) -> mx.array:
    """Return the array in another dtype."""
    return x.astype(dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> mx.array:
    """Return numbers at equal steps."""
    first, last = (0, start) if stop is None else (start, stop)
    return mx.arange(first, last, step, dtype=dtype)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> mx.array:
    """Return zeros."""
    return mx.zeros(shape, dtype=mx.float32 if dtype is None else dtype)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> mx.array:
    """Return ones."""
    return mx.ones(shape, dtype=mx.float32 if dtype is None else dtype)


def zeros_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> mx.array:
    """Return zeros in the shape of `x`."""
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype)


def ones_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> mx.array:
    """Return ones in the shape of `x`."""
    return ones(x.shape, dtype=x.dtype if dtype is None else dtype)


@lift
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> mx.array:
    """Return an array of one number; differentiable in it."""
    if not isinstance(fill_value, mx.array):
        return mx.full(shape, fill_value, dtype=dtype)
    # mlx.core.full gives another number under mlx.core.vmap
    converted = fill_value if dtype is None else fill_value.astype(dtype)
    return mx.broadcast_to(converted, (shape,) if isinstance(shape, int) else tuple(shape))


def full_like(x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Return an array of one number in the shape of `x`; differentiable in the number."""
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype)


def eye(n: int, m: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> mx.array:
    """Return ones on a diagonal."""
    return mx.eye(n, m, k, dtype=mx.float32 if dtype is None else dtype)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Array:
    """Return evenly spaced numbers; differentiable in both ends."""
    ends = [end for end in (start, stop) if isinstance(end, mx.array | Traced)]
    wide = mx.result_type(*(end.dtype for end in ends)) if ends else mx.float32 if dtype is None else dtype
    weights = mx.arange(num, dtype=wide) / max(num - 1 if endpoint else num, 1)
    values = start * (1 - weights) + stop * weights
    return values if dtype is None else astype(values, dtype)


@lift
def meshgrid(*arrays: mx.array, indexing: str = "xy") -> list[mx.array]:
    """Return the coordinates of a grid."""
    return list(mx.meshgrid(*arrays, indexing=indexing)) if arrays else []


def tril(x: Array, /, *, k: int = 0) -> Array:
    """Return the lower triangle, with zeros above diagonal `k`."""
    return _keep(x, _tri(x, k))


def triu(x: Array, /, *, k: int = 0) -> Array:
    """Return the upper triangle, with zeros below diagonal `k`."""
    return _keep(x, mx.logical_not(_tri(x, k - 1)))


def _tri(x: Array, k: int) -> mx.array:
    rows, columns = x.shape[-2:]
    return mx.arange(rows)[:, None] + k >= mx.arange(columns)[None, :]


@lift
def _keep(x: mx.array, mask: mx.array) -> mx.array:
    return mx.where(mask, x, mx.zeros_like(x))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> mx.array:
    """Return an array of another framework as one of MLX, of the same dtype."""
    return mx.array(x) if isinstance(x, mx.array) else from_numpy(np.from_dlpack(x))


def result_type(*arrays_and_dtypes: Any) -> mx.Dtype:
    """Return the dtype to which arrays, numbers and dtypes are promoted."""
    given = [unwrap(x) for x in arrays_and_dtypes]
    dtypes = [x if isinstance(x, mx.Dtype) else x.dtype for x in given if not isinstance(x, bool | int | float)]
    if not dtypes:
        raise NotSupportedError("result_type needs an array or a dtype among its arguments")
    found: mx.Dtype = mx.result_type(*dtypes)
    whole = not mx.issubdtype(found, mx.inexact)
    return mx.float32 if whole and builtins.any(isinstance(x, float) for x in given) else found


def can_cast(from_: Any, to: mx.Dtype, /) -> bool:
    """Return whether promotion leads from one dtype, or that of an array, to another."""
    return bool(mx.result_type(from_ if isinstance(from_, mx.Dtype) else from_.dtype, to) == to)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        arange, asarray, astype, can_cast, eye, from_dlpack, full, full_like, linspace, meshgrid, ones, ones_like,
        result_type, tril, triu, zeros, zeros_like,
    )
} | {"empty": zeros, "empty_like": zeros_like, "finfo": mx.finfo, "iinfo": mx.iinfo, "isdtype": mx.isdtype}  # fmt: skip
"""The functions of this module by their names in the array API."""
