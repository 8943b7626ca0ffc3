"""Inverses, solutions and factors of matrices, with the derivatives that MLX does not have for them.

Each cotangent is made of the same functions again, so that derivatives of every order are right.

References
----------
.. [1] M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
   Advances in Automatic Differentiation, Springer, 2008.
.. [2] I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx


def _custom(function: Callable[..., Any], pullback: Callable[..., Any]) -> Any:
    """Return a function with the derivative that `pullback` makes of primals, cotangents and outputs."""
    custom: Any = mx.custom_function(function)
    custom.vjp(pullback)
    return custom


def _transposed(x: mx.array) -> mx.array:
    return mx.swapaxes(x, -2, -1)


def _triangle(x: mx.array) -> mx.array:
    """Return the lower triangle with half of the diagonal."""
    size = x.shape[-1]
    return x * (mx.tri(size, size, -1, dtype=x.dtype) + 0.5 * mx.eye(size, dtype=x.dtype))


# ---- inverses and solutions ----------------------------------------------------------------------------------------


def _inv(x: mx.array) -> mx.array:
    return mx.linalg.inv(x)


def _pull_inv(x: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
    inverse = _transposed(inv(x))
    found: mx.array = -(inverse @ cotangent @ inverse)
    return found


def _solve(matrix: mx.array, right: mx.array) -> mx.array:
    return mx.linalg.solve(matrix, right)


def _pull_solve(primals: tuple[mx.array, mx.array], cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array]:
    # By the inverse, which does not depend on the cotangent: mapped over rows, MLX forgets the derivative of `solve`.
    of_right = _transposed(inv(primals[0])) @ cotangent
    return -(of_right @ _transposed(solve(*primals))), of_right


def _slogdet(x: mx.array) -> tuple[mx.array, mx.array]:
    sign, logarithm = mx.linalg.slogdet(x)
    return sign, logarithm


def _pull_slogdet(x: mx.array, cotangents: Any, outputs: Any) -> mx.array:
    found: mx.array = cotangents[1][..., None, None] * _transposed(inv(x))
    return found


# ---- factors -------------------------------------------------------------------------------------------------------


def _cholesky(x: mx.array) -> mx.array:
    return mx.linalg.cholesky(x)


def _pull_cholesky(x: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
    factor = cholesky(x)
    inverse = inv(factor)
    half = _transposed(inverse) @ _triangle(_transposed(factor) @ cotangent) @ inverse
    return 0.5 * (half + _transposed(half))


def _eigh(x: mx.array) -> tuple[mx.array, mx.array]:
    values, vectors = mx.linalg.eigh(x)
    return values, vectors


def _pull_eigh(x: mx.array, cotangents: Any, outputs: Any) -> mx.array:
    values, vectors = eigh(x)
    gaps = values[..., None, :] - values[..., :, None]
    same = mx.eye(values.shape[-1], dtype=x.dtype)
    inner = same * cotangents[0][..., None, :] + (_transposed(vectors) @ cotangents[1]) * ((1 - same) / (gaps + same))
    found: mx.array = vectors @ inner @ _transposed(vectors)
    return 0.5 * (found + _transposed(found))


# ---- with derivatives ----------------------------------------------------------------------------------------------

inv: Callable[[mx.array], mx.array] = _custom(_inv, _pull_inv)
"""The inverses of matrices."""

solve: Callable[[mx.array, mx.array], mx.array] = _custom(_solve, _pull_solve)
"""The solutions of systems of equations, with as many right sides as the second array has columns."""

slogdet: Callable[[mx.array], tuple[mx.array, mx.array]] = _custom(_slogdet, _pull_slogdet)
"""Sign and logarithm of determinants."""

cholesky: Callable[[mx.array], mx.array] = _custom(_cholesky, _pull_cholesky)
"""The lower triangular factors of positive definite matrices."""

eigh: Callable[[mx.array], tuple[mx.array, mx.array]] = _custom(_eigh, _pull_eigh)
"""Eigenvalues and eigenvectors of symmetric matrices."""
