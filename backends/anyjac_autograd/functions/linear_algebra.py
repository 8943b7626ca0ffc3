"""The array API's linear algebra for autograd's boxes: compositions, and rules for functions that autograd lacks.

autograd carries the conjugates of cotangents; the rules below are written for cotangents, as in the literature, and
conjugate on their way in and out.

References
----------
.. [1] M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
   Advances in Automatic Differentiation, Springer, 2008.
.. [2] S. F. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum
   experimental design", 2010, for the QR decomposition.
.. [3] G. H. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
   variables separate", SIAM Journal on Numerical Analysis 10, 1973.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final, Literal

import array_api_compat.numpy as compat
import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive

from anyjac_plugins.errors import NotSupportedError

from ..linear_maps import innermost
from .elementwise import SHARED_WITH_LINALG, astype, broadcast_to, max_, min_, sum_

Array = Any
Axis = int | tuple[int, ...] | None


def _adjoint(x: Array) -> Array:
    return anp.conj(anp.swapaxes(x, -1, -2))


# ---- decompositions --------------------------------------------------------------------------------------------------


@primitive  # type: ignore[untyped-decorator]
def _cholesky(x: Array) -> Array:
    return np.linalg.cholesky(x)


def _vjp_of_cholesky(ans: Array, x: Array) -> Callable[[Array], Array]:
    def vjp(g: Array) -> Array:
        inner = anp.matmul(_adjoint(ans), anp.conj(g))
        lower = anp.tril(inner) * (1.0 - 0.5 * np.eye(x.shape[-1], dtype=np.finfo(x.dtype).dtype))
        left = anp.linalg.solve(_adjoint(ans), lower)
        whole = _adjoint(anp.linalg.solve(_adjoint(ans), _adjoint(left)))
        return anp.conj((whole + _adjoint(whole)) / 2)

    return vjp


defvjp(_cholesky, _vjp_of_cholesky)


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """Decompose a Hermitian matrix; of a change of the matrix, the derivative takes the Hermitian part."""
    lower = _cholesky(x)
    return _adjoint(lower) if upper else lower


@primitive  # type: ignore[untyped-decorator]
def _eigvalsh(x: Array) -> Array:
    return np.linalg.eigvalsh(x)


def _vjp_of_eigvalsh(ans: Array, x: Array) -> Callable[[Array], Array]:
    def vjp(g: Array) -> Array:
        vectors = anp.linalg.eigh(x)[1]
        return anp.conj(anp.matmul(vectors * g[..., None, :], _adjoint(vectors)))

    return vjp


defvjp(_eigvalsh, _vjp_of_eigvalsh)


def eigvalsh(x: Array, /) -> Array:
    return _eigvalsh(x)


def eigh(x: Array, /) -> Any:
    return compat.linalg.EighResult(*anp.linalg.eigh(x))


@primitive  # type: ignore[untyped-decorator]
def _qr(x: Array) -> tuple[Array, Array]:
    return tuple(np.linalg.qr(x))  # type: ignore[return-value]


def _vjp_of_qr(ans: Any, x: Array) -> Callable[[Any], Array]:
    q, r = ans[0], ans[1]

    def vjp(g: Any) -> Array:
        q_bar, r_bar = anp.conj(g[0]), anp.conj(g[1])
        inner = anp.matmul(r, _adjoint(r_bar)) - anp.matmul(_adjoint(q_bar), q)
        lower = anp.tril(inner, -1)
        diagonal_ = anp.real(inner) * np.eye(r.shape[-1], dtype=np.finfo(r.dtype).dtype)
        right = q_bar + anp.matmul(q, lower + _adjoint(lower) + diagonal_)
        return anp.conj(_adjoint(anp.linalg.solve(r, _adjoint(right))))

    return vjp


defvjp(_qr, _vjp_of_qr)


def qr(x: Array, /, *, mode: Literal["reduced", "complete"] = "reduced") -> Any:
    rows, columns = x.shape[-2:]
    if mode == "complete" and rows > columns:
        raise NotSupportedError(
            "the backend 'autograd' has no derivative for 'qr' with mode='complete' of a tall matrix, where the "
            "further columns of Q are not determined; use mode='reduced'"
        )
    if rows >= columns:
        q, r = _qr(x)
        return compat.linalg.QRResult(q, r)
    q, left = _qr(x[..., :, :rows])
    right = anp.matmul(_adjoint(q), x[..., :, rows:])
    return compat.linalg.QRResult(q, anp.concatenate([left, right], -1))


@primitive  # type: ignore[untyped-decorator]
def _svdvals(x: Array) -> Array:
    return np.linalg.svd(x, compute_uv=False)


def _vjp_of_svdvals(ans: Array, x: Array) -> Callable[[Array], Array]:
    def vjp(g: Array) -> Array:
        u, _, vh = anp.linalg.svd(x, full_matrices=False)
        return anp.conj(anp.matmul(u * g[..., None, :], vh))

    return vjp


defvjp(_svdvals, _vjp_of_svdvals)


def svdvals(x: Array, /) -> Array:
    return _svdvals(x)


def svd(x: Array, /, *, full_matrices: bool = True) -> Any:
    if full_matrices and x.shape[-1] != x.shape[-2]:
        raise NotSupportedError(
            "the backend 'autograd' has no derivative for 'svd' with full_matrices=True of a matrix that is not "
            "square, where the further vectors are not determined; pass full_matrices=False"
        )
    return compat.linalg.SVDResult(*anp.linalg.svd(x, full_matrices=False))


# ---- inverses and determinants ---------------------------------------------------------------------------------------


@primitive  # type: ignore[untyped-decorator]
def _pinv(x: Array, rtol: Any) -> Array:
    return compat.linalg.pinv(x, rtol=rtol)


def _vjp_of_pinv(ans: Array, x: Array, rtol: Any) -> Callable[[Array], Array]:
    def vjp(g: Array) -> Array:
        inverse, inverse_h, g_h = _pinv(x, rtol), _adjoint(_pinv(x, rtol)), anp.swapaxes(g, -1, -2)
        outside = np.eye(x.shape[-2], dtype=x.dtype) - anp.matmul(x, inverse)
        inside = np.eye(x.shape[-1], dtype=x.dtype) - anp.matmul(inverse, x)
        through = -anp.matmul(anp.matmul(inverse_h, anp.conj(g)), inverse_h)
        rows = anp.matmul(anp.matmul(outside, g_h), anp.matmul(inverse, inverse_h))
        columns = anp.matmul(anp.matmul(inverse_h, inverse), anp.matmul(g_h, inside))
        return anp.conj(through + rows + columns)

    return vjp


defvjp(_pinv, _vjp_of_pinv, argnums=(0,))


def pinv(x: Array, /, *, rtol: Any = None) -> Array:
    """Invert in the sense of Moore and Penrose; the derivative holds where the rank does not change."""
    return _pinv(x, innermost(rtol))


def matrix_power(x: Array, n: int, /) -> Array:
    if n == 0:
        return np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    return functools.reduce(anp.matmul, [x if n > 0 else anp.linalg.inv(x)] * abs(n))


def slogdet(x: Array, /) -> Any:
    """Return sign and logarithm; a complex sign turns with `x`, and its derivative is that of det / abs(det)."""
    sign, logabsdet = anp.linalg.slogdet(x)
    if anp.iscomplexobj(x):
        det = anp.linalg.det(x)
        sign, logabsdet = det / anp.abs(det), anp.log(anp.abs(det))
    return compat.linalg.SlogdetResult(sign, logabsdet)


def solve(x1: Array, x2: Array, /) -> Array:
    if x2.ndim == 1:
        return anp.linalg.solve(x1, broadcast_to(x2[:, None], (*x1.shape[:-1], 1)))[..., 0]
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    left = broadcast_to(x1, (*batch, *x1.shape[-2:]))
    return anp.linalg.solve(left, broadcast_to(x2, (*batch, *x2.shape[-2:])))


# ---- products, diagonals, norms ------------------------------------------------------------------------------------


def outer(x1: Array, x2: Array, /) -> Array:
    return x1[:, None] * x2[None, :]


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    a, b = (anp.moveaxis(broadcast_to(x, shape), axis, -1) for x in (x1, x2))
    following, last = [1, 2, 0], [2, 0, 1]
    return anp.moveaxis(a[..., following] * b[..., last] - a[..., last] * b[..., following], -1, axis)


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    below, right = max(0, -offset), max(0, offset)
    index = np.arange(max(0, min(x.shape[-2] - below, x.shape[-1] - right)))
    return x[..., index + below, index + right]


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    return sum_(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    options: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    if ord == 0:
        return astype(compat.linalg.vector_norm(innermost(x), ord=0, **options), np.finfo(x.dtype).dtype)
    magnitudes = anp.abs(x)
    if abs(ord) == math.inf:
        return _greatest(magnitudes, **options) if ord > 0 else min_(magnitudes, **options)
    if ord == 1:
        return anp.sum(magnitudes, **options)
    if ord == 2:
        return anp.sqrt(anp.sum(anp.real(x * anp.conj(x)), **options))
    return anp.sum(magnitudes**ord, **options) ** (1.0 / ord)


def _greatest(magnitudes: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the greatest of some numbers that are not negative, and 0 of none."""
    return (max_ if magnitudes.size else sum_)(magnitudes, axis=axis, keepdims=keepdims)


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    of_singular_values = {"nuc": anp.sum, 2: _greatest, -2: min_}
    if ord in of_singular_values:
        norm = of_singular_values[ord](svdvals(x), axis=-1)
    elif ord in (1, -1, math.inf, -math.inf):
        sums = anp.sum(anp.abs(x), axis=-2 if abs(ord) == 1 else -1)
        norm = (_greatest if ord > 0 else min_)(sums, axis=-1)
    else:
        raise ValueError(f"matrix_norm has no ord={ord!r}; it takes 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    return norm[..., None, None] if keepdims else norm


LINALG: Final[dict[str, Callable[..., Any]]] = {
    **SHARED_WITH_LINALG,
    "cholesky": cholesky,
    "cross": cross,
    "det": anp.linalg.det,
    "diagonal": diagonal,
    "eigh": eigh,
    "eigvalsh": eigvalsh,
    "inv": anp.linalg.inv,
    "matrix_norm": matrix_norm,
    "matrix_power": matrix_power,
    "outer": outer,
    "pinv": pinv,
    "qr": qr,
    "slogdet": slogdet,
    "solve": solve,
    "svd": svd,
    "svdvals": svdvals,
    "trace": trace,
    "vector_norm": vector_norm,
}
