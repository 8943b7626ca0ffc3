"""NumPy's products, differences, norms and decompositions for autograd's boxes, with NumPy's signatures."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox

from anyjac_plugins.errors import NotSupportedError

from ..functions import elementwise, fourier, linear_algebra
from ..functions.elementwise import astype
from ..linear_maps import innermost
from ..rules.rows import scatter

Array = Any
Axis = Any
Function = Callable[..., Any]


def _array(x: Any) -> Array:
    return x if isinstance(x, ArrayBox) else anp.array(x)


# ---- products --------------------------------------------------------------------------------------------------------


def vdot(a: Any, b: Any, /) -> Array:
    return anp.sum(anp.conj(anp.reshape(_array(a), (-1,))) * anp.reshape(_array(b), (-1,)))


def outer(a: Any, b: Any) -> Array:
    return anp.reshape(_array(a), (-1, 1)) * anp.reshape(_array(b), (1, -1))


def kron(a: Any, b: Any) -> Array:
    a, b = _array(a), _array(b)
    count = max(a.ndim, b.ndim)
    a_shape, b_shape = ((1,) * (count - x.ndim) + x.shape for x in (a, b))
    spread = anp.reshape(a, tuple(n for length in a_shape for n in (length, 1)))
    blocks = spread * anp.reshape(b, tuple(n for length in b_shape for n in (1, length)))
    return anp.reshape(blocks, tuple(n * m for n, m in zip(a_shape, b_shape, strict=True)))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = anp.moveaxis(_array(a), axisa, -1), anp.moveaxis(_array(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise NotSupportedError("numpy.cross of traced arrays takes vectors of three elements")
    return anp.moveaxis(linear_algebra.cross(a, b), -1, axisc)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Array:
    moved = anp.moveaxis(_array(a), (axis1, axis2), (-2, -1))
    return linear_algebra.trace(moved, offset=offset, dtype=dtype)


def convolve(a: Any, v: Any, mode: str = "full") -> Array:
    a, v = _array(a), _array(v)
    if a.size < v.size:
        a, v = v, a
    count = v.size
    whole = a.size + count - 1
    zeros = np.zeros(count - 1, a.dtype)
    padded = anp.concatenate([zeros, a, zeros], 0)
    full = anp.dot(padded[np.arange(whole)[:, None] + np.arange(count)], v[::-1])
    if mode in ("full", 2):
        return full
    if mode in ("same", 1):
        start = (count - 1) // 2
        return full[start : start + a.size]
    if mode in ("valid", 0):
        return full[count - 1 : a.size]
    raise ValueError(f"mode {mode!r} is none of 'full', 'same' and 'valid'")


def correlate(a: Any, v: Any, mode: str = "valid") -> Array:
    a, v = _array(a), _array(v)
    if a.size < v.size and mode not in ("full", 2):
        raise NotSupportedError("numpy.correlate of traced arrays takes the longer one first, or mode='full'")
    return convolve(a, anp.conj(v)[::-1], mode)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Array:
    numbers = np.asarray(innermost(x))
    return scatter(astype(_array(weights), np.float64), numbers, len(np.bincount(numbers, minlength=minlength)))


def multi_dot(arrays: Sequence[Any]) -> Array:
    return functools.reduce(anp.dot, arrays)


# ---- differences, interpolation, polynomials -------------------------------------------------------------------------


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    a = _array(a)

    def edge(value: Any) -> Any:
        if value is None or np.ndim(innermost(value)):
            return value
        shape = tuple(1 if each == axis % a.ndim else length for each, length in enumerate(a.shape))
        return value * np.ones(
            shape, np.result_type(innermost(value)) if isinstance(value, ArrayBox) else np.asarray(value).dtype
        )

    return elementwise.diff(a, axis=axis, n=n, prepend=edge(prepend), append=edge(append))


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    flat = anp.reshape(_array(ary), (-1,))
    ends = [
        None if each is None else astype(anp.reshape(_array(each), (-1,)), flat.dtype) for each in (to_begin, to_end)
    ]
    return anp.concatenate([part for part in (ends[0], flat[1:] - flat[:-1], ends[1]) if part is not None], 0)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Return differences along axes, as products with the matrix that NumPy's function is along each axis."""
    f = _array(f)
    axes = range(f.ndim) if axis is None else [operator.index(each) for each in np.atleast_1d(axis)]
    if any(isinstance(each, ArrayBox) for each in varargs):
        raise NotSupportedError("numpy.gradient of a traced array takes distances that are not traced")
    distances = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if len(distances) != len(axes):
        raise TypeError("numpy.gradient takes one distance, or one for each axis")
    found = []
    for each, distance in zip(axes, distances, strict=True):
        identity: Any = np.eye(f.shape[each], dtype=f.dtype)
        matrix = np.gradient(identity, distance, axis=0, edge_order=edge_order)  # type: ignore[call-overload]
        found.append(anp.moveaxis(anp.tensordot(matrix, f, [[1], [each]]), 0, each))
    return found[0] if len(found) == 1 else tuple(found)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    y = anp.moveaxis(_array(y), axis, -1)
    if x is None:
        widths: Any = dx
    else:
        x = _array(x)
        along = x if x.ndim == 1 else anp.moveaxis(x, axis, -1)
        widths = along[..., 1:] - along[..., :-1]
    return anp.sum(widths * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Array:
    if period is not None:
        raise NotSupportedError("numpy.interp of traced arrays takes no period")
    x, xp, fp = _array(x), _array(xp), _array(fp)
    known = np.asarray(innermost(xp))
    at = np.asarray(innermost(x))
    last = len(known) - 1
    if not last:
        raise NotSupportedError("numpy.interp of traced arrays needs two points")
    begin = np.clip(np.searchsorted(known, at, side="right") - 1, 0, last - 1)
    slope = (fp[begin + 1] - fp[begin]) / (xp[begin + 1] - xp[begin])
    inside = fp[begin] + slope * (x - xp[begin])
    lower = elementwise.where(at < known[0], fp[0] if left is None else left, inside)
    return elementwise.where(at > known[last], fp[last] if right is None else right, lower)


def polyval(p: Any, x: Any) -> Array:
    coefficients = p if isinstance(p, ArrayBox) else np.asarray(p)
    return functools.reduce(lambda y, coefficient: y * x + coefficient, coefficients, x * 0)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803  NumPy's name
    x = _array(x)
    powers = np.arange(len(x) if N is None else N)
    return anp.reshape(x, (-1, 1)) ** (powers if increasing else powers[::-1])


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    kind = np.result_type(*(end if isinstance(end, int | float) else _array(end).dtype for end in (start, stop)), 1.0)
    start, stop = (astype(_array(end), kind) for end in (start, stop))
    parts = np.linspace(0.0, 1.0, num, endpoint=endpoint)
    parts = parts.reshape(-1, *(1,) * max(start.ndim, stop.ndim)).astype(kind)
    values = anp.moveaxis(start * (1.0 - parts) + stop * parts, 0, axis)
    values = values if dtype is None else astype(values, dtype)
    return (values, (stop - start) / (num - 1 if endpoint else num)) if retstep else values


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None) -> Array:
    values = base ** linspace(start, stop, num, endpoint)
    return values if dtype is None else astype(values, dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Array:
    if np.any(np.asarray(innermost(start)) <= 0) or np.any(np.asarray(innermost(stop)) <= 0):
        raise NotSupportedError("numpy.geomspace of traced arrays takes positive ends")
    values = anp.exp(linspace(anp.log(start), anp.log(stop), num, endpoint))
    return astype(values, np.result_type(values.dtype, np.float64) if dtype is None else dtype)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Array:
    lower, upper = (min if a_min is None else a_min), (max if a_max is None else a_max)
    return elementwise.clip(_array(a), lower, upper)


def angle(z: Any, deg: bool = False) -> Array:
    found = anp.angle(z)
    return found * (180.0 / np.pi) if deg else found


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    values = np.asarray(innermost(x))
    if values.dtype.kind == "c":
        raise NotSupportedError("numpy.nan_to_num of traced complex numbers has no derivative here")
    replaced = np.nan_to_num(values, nan=nan, posinf=posinf, neginf=neginf)
    return elementwise.where(np.isfinite(values), x, replaced)


def full_like(a: Any, fill_value: Any, dtype: Any = None, *args: Any, shape: Any = None, **kwargs: Any) -> Array:
    like = np.asarray(innermost(a))
    value = fill_value if isinstance(fill_value, ArrayBox) else np.asarray(fill_value)
    shape = like.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    return astype(elementwise.broadcast_to(value, shape), like.dtype if dtype is None else dtype)


def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False) -> Any:
    flat = anp.reshape(ar, (-1,))
    _, index, inverse, counts = np.unique(innermost(ar), True, True, True)
    asked = ((return_index, index), (return_inverse, inverse), (return_counts, counts))
    values = flat[index]
    return (values, *(found for wanted, found in asked if wanted)) if any(wanted for wanted, _ in asked) else values


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Array:
    plain = np.asarray(innermost(p))
    return p + (np.unwrap(plain, discont, axis, period=period) - plain)


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Array:
    """Compute each function of the elements where its condition holds; of several conditions the last counts."""
    x = _array(x)
    conditions = np.asarray(innermost(condlist), bool)
    conditions = conditions[None] if conditions.ndim == x.ndim else conditions
    if len(funclist) == len(conditions) + 1:
        conditions = np.concatenate([conditions, ~conditions.any(0, keepdims=True)])
    if len(funclist) != len(conditions):
        raise ValueError(f"numpy.piecewise was given {len(funclist)} functions for {len(conditions)} conditions")
    result: Any = np.zeros(x.shape, x.dtype)
    for condition, function in zip(conditions, funclist, strict=True):
        if condition.any():
            values = function(x[condition], *args, **kw) if callable(function) else function
            numbers = np.maximum(np.cumsum(condition.ravel()) - 1, 0).reshape(condition.shape)
            spread = values[numbers] if np.ndim(innermost(values)) else values
            result = elementwise.where(condition, spread, result)
    return result


def apply_along_axis(func1d: Function, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Array:
    arr = anp.moveaxis(_array(arr), axis, -1)
    shape = arr.shape[:-1]
    results = [_array(func1d(arr[index], *args, **kwargs)) for index in np.ndindex(shape)]
    joined = anp.reshape(elementwise.stack(results), (*shape, *results[0].shape))
    moved = range(len(shape), joined.ndim)
    return anp.moveaxis(joined, list(moved), [axis % arr.ndim + n for n in range(len(moved))])


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Array:
    rows = _observations(m, rowvar)
    rows = rows if y is None else anp.concatenate([rows, _observations(y, rowvar)], 0)
    deviations = rows - anp.mean(rows, axis=1, keepdims=True)
    count = rows.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    return anp.squeeze(anp.dot(deviations, anp.conj(anp.transpose(deviations))) / count)


def _observations(m: Any, rowvar: bool) -> Array:
    rows = _array(m)
    rows = astype(rows, np.result_type(rows.dtype, np.float64))
    rows = anp.reshape(rows, (1, -1)) if rows.ndim < 2 else rows
    return rows if rowvar or rows.shape[0] == 1 else anp.transpose(rows)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Array:
    covariances = cov(x, y, rowvar)
    if not covariances.ndim:
        return covariances / covariances
    scales = anp.sqrt(anp.real(linear_algebra.diagonal(covariances)))
    return covariances / scales[:, None] / scales[None, :]


# ---- linear algebra --------------------------------------------------------------------------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    x = _array(x)
    if axis is None and ord is None:
        found = linear_algebra.vector_norm(anp.reshape(x, (-1,)))
        return anp.reshape(found, (1,) * x.ndim) if keepdims else found
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if len(axes) == 1:
        return linear_algebra.vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError("a norm is that of vectors or of matrices: give one axis or two")
    moved = anp.moveaxis(x, axes, (-2, -1))
    found = linear_algebra.matrix_norm(moved, ord="fro" if ord is None else ord)
    kept = tuple(1 if n in {each % x.ndim for each in axes} else length for n, length in enumerate(x.shape))
    return anp.reshape(found, kept) if keepdims else found


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    return linear_algebra.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    return linear_algebra.svd(a, full_matrices=full_matrices) if compute_uv else linear_algebra.svdvals(a)


def eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  NumPy's name
    """Decompose a Hermitian matrix, of which NumPy reads one triangle alone."""
    return linear_algebra.eigh(_hermitian(a, UPLO))


def eigvalsh(a: Any, UPLO: str = "L") -> Array:  # noqa: N803  NumPy's name
    return linear_algebra.eigvalsh(_hermitian(a, UPLO))


def _hermitian(a: Array, triangle: str) -> Array:
    """Return the Hermitian matrix of one triangle."""
    if triangle == "U":
        a = anp.conj(anp.swapaxes(a, -1, -2))
    inside = elementwise.tril(a, k=-1)
    diagonal = np.eye(a.shape[-1], dtype=bool)
    own = anp.where(diagonal, anp.real(a), np.zeros((), a.dtype))
    return inside + own + anp.conj(anp.swapaxes(inside, -1, -2))


def cholesky(a: Any, /, *, upper: bool = False) -> Array:
    return linear_algebra.cholesky(_hermitian(a, "U" if upper else "L"), upper=upper)


def qr(a: Any, mode: str = "reduced") -> Any:
    if mode == "r":
        return linear_algebra.qr(a)[1]
    if mode not in ("reduced", "complete"):
        raise NotSupportedError(f"numpy.linalg.qr of a traced array has no mode {mode!r}; use 'reduced'")
    return linear_algebra.qr(a, mode=mode)  # type: ignore[arg-type]


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Array:
    return linear_algebra.pinv(a, rtol=1e-15 if rcond is None and rtol is None else rtol if rcond is None else rcond)


def cond(x: Any, p: Any = None) -> Array:
    """Return the ratio of the greatest and the least singular value, or of other norms."""
    if p in (None, 2, -2):
        values = linear_algebra.svdvals(x)
        return values[..., -1] / values[..., 0] if p == -2 else values[..., 0] / values[..., -1]
    return linear_algebra.matrix_norm(x, ord=p) * linear_algebra.matrix_norm(anp.linalg.inv(x), ord=p)


def solve(a: Any, b: Any) -> Array:
    return linear_algebra.solve(_array(a), _array(b))


# ---- Fourier transforms ----------------------------------------------------------------------------------------------


def _of_one_axis(function: Function) -> Function:
    def transform(a: Any, n: int | None = None, axis: int = -1, norm: Any = None) -> Array:
        return function(a, n=n, axis=axis, norm=norm or "backward")

    return transform


def _of_axes(function: Function, default: Any = None) -> Function:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Array:
        return function(a, s=s, axes=axes, norm=norm or "backward")

    return transform


def _shifted(function: Function) -> Function:
    return lambda x, axes=None: function(x, axes=axes)


_LAST_TWO: Final = (-2, -1)

COMPUTATIONS: Final[dict[Function, Function]] = {
    np.angle: angle,
    np.apply_along_axis: apply_along_axis,
    np.astype: elementwise.astype,
    np.bincount: bincount,
    np.clip: clip,
    np.concatenate: lambda arrays, /, axis=0, dtype=None: _joined(elementwise.concat(arrays, axis=axis), dtype),
    np.convolve: convolve,
    np.copy: lambda a, order="K", subok=False: a,
    np.corrcoef: corrcoef,
    np.correlate: correlate,
    np.cov: cov,
    np.cross: cross,
    np.cumulative_prod: elementwise.cumulative_prod,
    np.cumulative_sum: elementwise.cumulative_sum,
    np.diff: diff,
    np.dot: anp.dot,
    np.ediff1d: ediff1d,
    np.einsum: lambda *operands, optimize=False: anp.einsum(*operands, optimize=optimize),
    np.expand_dims: anp.expand_dims,
    np.full_like: full_like,
    np.geomspace: geomspace,
    np.gradient: gradient,
    np.imag: anp.imag,
    np.inner: anp.inner,
    np.interp: interp,
    np.kron: kron,
    np.linspace: linspace,
    np.logspace: logspace,
    np.matrix_transpose: elementwise.matrix_transpose,
    np.nan_to_num: nan_to_num,
    np.outer: outer,
    np.piecewise: piecewise,
    np.polyval: polyval,
    np.real: anp.real,
    np.reshape: lambda a, /, shape, order="C", *, copy=None: anp.reshape(a, shape, order=order),
    np.sinc: anp.sinc,
    np.stack: lambda arrays, axis=0, dtype=None: _joined(elementwise.stack(arrays, axis=axis), dtype),
    np.swapaxes: anp.swapaxes,
    np.tensordot: anp.tensordot,
    np.trace: trace,
    np.transpose: anp.transpose,
    np.trapezoid: trapezoid,
    np.unique: unique,
    np.unique_all: elementwise.unique_all,
    np.unique_counts: elementwise.unique_counts,
    np.unique_inverse: elementwise.unique_inverse,
    np.unique_values: elementwise.unique_values,
    np.unwrap: unwrap,
    np.vander: vander,
    np.vdot: vdot,
    np.linalg.cholesky: cholesky,
    np.linalg.cond: cond,
    np.linalg.cross: linear_algebra.cross,
    np.linalg.det: anp.linalg.det,
    np.linalg.diagonal: linear_algebra.diagonal,
    np.linalg.eig: anp.linalg.eig,
    np.linalg.eigh: eigh,
    np.linalg.eigvals: lambda a: anp.linalg.eig(a)[0],
    np.linalg.eigvalsh: eigvalsh,
    np.linalg.inv: anp.linalg.inv,
    np.linalg.matmul: elementwise.matmul,
    np.linalg.matrix_norm: linear_algebra.matrix_norm,
    np.linalg.matrix_power: lambda a, n: linear_algebra.matrix_power(a, n),
    np.linalg.matrix_transpose: elementwise.matrix_transpose,
    np.linalg.multi_dot: multi_dot,
    np.linalg.norm: norm,
    np.linalg.outer: linear_algebra.outer,
    np.linalg.pinv: pinv,
    np.linalg.qr: qr,
    np.linalg.slogdet: lambda a: linear_algebra.slogdet(a),
    np.linalg.solve: solve,
    np.linalg.svd: svd,
    np.linalg.svdvals: linear_algebra.svdvals,
    np.linalg.tensordot: elementwise.tensordot,
    np.linalg.trace: linear_algebra.trace,
    np.linalg.vecdot: elementwise.vecdot,
    np.linalg.vector_norm: vector_norm,
    **{
        getattr(np.fft, name): _of_one_axis(fourier.FFT[name])
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    },
    **{getattr(np.fft, name): _of_axes(fourier.FFT[name]) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
    **{
        getattr(np.fft, name): _of_axes(fourier.FFT[f"{name[:-1]}n"], _LAST_TWO)
        for name in ("fft2", "ifft2", "rfft2", "irfft2")
    },
    **{getattr(np.fft, name): _shifted(fourier.FFT[name]) for name in ("fftshift", "ifftshift")},
}
"""Functions of NumPy that compute something of their arguments, and of its linear algebra and Fourier transforms."""


def _joined(array: Array, dtype: Any) -> Array:
    return array if dtype is None else astype(array, dtype)
