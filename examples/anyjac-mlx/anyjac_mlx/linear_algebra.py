"""Functions of the array API for matrices and vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import mlx.core as mx

from . import factors
from .double import exp
from .lifting import lift

Axes = int | Sequence[int] | None


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: mx.array
    logabsdet: mx.array


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: mx.array
    eigenvectors: mx.array


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: mx.array
    R: mx.array


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: mx.array
    S: mx.array
    Vh: mx.array


def cholesky(x: mx.array, /, *, upper: bool = False) -> mx.array:
    """Return the triangular factor of a positive definite matrix."""
    lower = factors.cholesky(x)
    return mx.swapaxes(lower, -2, -1) if upper else lower


def cross(x1: mx.array, x2: mx.array, /, *, axis: int = -1) -> mx.array:
    """Return the product of vectors that is perpendicular to both."""
    return mx.linalg.cross(x1, x2, axis=axis)


def det(x: mx.array, /) -> mx.array:
    """Return determinants."""
    sign, logarithm = factors.slogdet(x)
    found: mx.array = sign * exp(logarithm)
    return found


def diagonal(x: mx.array, /, *, offset: int = 0) -> mx.array:
    """Return the diagonals of matrices."""
    return mx.diagonal(x, offset, -2, -1)


def eigh(x: mx.array, /) -> EighResult:
    """Return eigenvalues and eigenvectors of symmetric matrices."""
    return EighResult(*factors.eigh(x))


def eigvalsh(x: mx.array, /) -> mx.array:
    """Return the eigenvalues of symmetric matrices."""
    return factors.eigh(x)[0]


def inv(x: mx.array, /) -> mx.array:
    """Return inverses."""
    return factors.inv(x)


def matrix_norm(x: mx.array, /, *, keepdims: bool = False, ord: Any = "fro") -> mx.array:
    """Return the norms of matrices."""
    if ord == "fro":
        return mx.sqrt(mx.sum(mx.square(x), axis=(-2, -1), keepdims=keepdims))
    if ord in ("nuc", 2, -2):
        values = svdvals(x)
        found = {"nuc": mx.sum, 2: mx.max, -2: mx.min}[ord](values, axis=-1)
    else:
        along = -2 if abs(ord) == 1 else -1
        sums = mx.sum(mx.abs(x), axis=along)
        found = (mx.max if ord > 0 else mx.min)(sums, axis=-1)
    return mx.expand_dims(found, (-2, -1)) if keepdims else found


def matrix_power(x: mx.array, n: int, /) -> mx.array:
    """Multiply a matrix by itself."""
    base = factors.inv(x) if n < 0 else x
    result = mx.broadcast_to(mx.eye(x.shape[-1], dtype=x.dtype), x.shape)
    for _ in range(abs(n)):
        result = result @ base
    return result


def outer(x1: mx.array, x2: mx.array, /) -> mx.array:
    """Return the products of all elements of one vector with all of another."""
    return x1[:, None] * x2[None, :]


def pinv(x: mx.array, /) -> mx.array:
    """Return pseudoinverses of matrices of full rank, by their normal equations."""
    transposed = mx.swapaxes(x, -2, -1)
    if x.shape[-2] >= x.shape[-1]:
        return factors.inv(transposed @ x) @ transposed
    return transposed @ factors.inv(x @ transposed)


def qr(x: mx.array, /, *, mode: str = "reduced") -> QRResult:
    """Return an orthogonal and a triangular factor."""
    return QRResult(*mx.linalg.qr(x))


def slogdet(x: mx.array, /) -> SlogdetResult:
    """Return sign and logarithm of determinants."""
    return SlogdetResult(*factors.slogdet(x))


def solve(x1: mx.array, x2: mx.array, /) -> mx.array:
    """Solve systems of linear equations."""
    if x2.ndim == 1:
        return mx.squeeze(solve(x1, x2[:, None]), -1)
    shape = mx.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    matrices = mx.broadcast_to(x1, (*shape, *x1.shape[-2:]))
    return factors.solve(matrices, mx.broadcast_to(x2, (*shape, *x2.shape[-2:])))


def svd(x: mx.array, /, *, full_matrices: bool = True) -> SVDResult:
    """Return singular vectors and values."""
    found: Any = mx.linalg.svd(x)  # always in full
    left, values, right = found
    if full_matrices:
        return SVDResult(left, values, right)
    count = values.shape[-1]
    return SVDResult(left[..., :count], values, right[..., :count, :])


def svdvals(x: mx.array, /) -> mx.array:
    """Return singular values."""
    found: Any = mx.linalg.svd(x, compute_uv=False)
    values: mx.array = found
    return values


def tensordot(x1: mx.array, x2: mx.array, /, *, axes: Any = 2) -> mx.array:
    """Sum the products along pairs of axes."""
    return mx.tensordot(x1, x2, axes if isinstance(axes, int) else [list(pair) for pair in axes])


def trace(x: mx.array, /, *, offset: int = 0, dtype: Any = None) -> mx.array:
    """Sum the diagonals of matrices."""
    found = mx.sum(diagonal(x, offset=offset), axis=-1)
    return found if dtype is None else found.astype(dtype)


def vecdot(x1: mx.array, x2: mx.array, /, *, axis: int = -1) -> mx.array:
    """Return the scalar products of vectors."""
    return mx.sum(x1 * x2, axis=axis)


def vector_norm(x: mx.array, /, *, axis: Axes = None, keepdims: bool = False, ord: Any = 2) -> mx.array:
    """Return the norms of vectors."""
    sizes = mx.abs(x)
    if ord in (math.inf, -math.inf):
        return (mx.max if ord > 0 else mx.min)(sizes, axis=axis, keepdims=keepdims)
    if ord == 0:
        return mx.sum((sizes != 0).astype(sizes.dtype), axis=axis, keepdims=keepdims)
    if ord == 2:
        return mx.sqrt(mx.sum(mx.square(x), axis=axis, keepdims=keepdims))
    found: mx.array = mx.sum(sizes**ord, axis=axis, keepdims=keepdims) ** (1 / ord)
    return found


_matmul = lift(mx.matmul)
_matrix_transpose = lift(mx.matrix_transpose)

MAIN: Final[dict[str, Callable[..., Any]]] = {
    "matmul": _matmul,
    "matrix_transpose": _matrix_transpose,
    "tensordot": lift(tensordot),
    "vecdot": lift(vecdot),
}
"""Those that stand in the main namespace too."""

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **MAIN,
    **{f.__name__: lift(f) for f in (cholesky, cross, det, diagonal, eigh, eigvalsh, inv, matrix_norm, matrix_power)},
    **{f.__name__: lift(f) for f in (outer, pinv, qr, slogdet, solve, svd, svdvals, trace, vector_norm)},
}
"""The functions of this module by their names in the array API."""
