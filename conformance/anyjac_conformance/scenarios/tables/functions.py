"""Functions with analytic first and second derivatives, as one table; modifiers make scenarios of each.

Formulas hold for real and for complex numbers alike, so that a function is tested as a holomorphic one too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Function:
    """A function of arrays, where it is differentiated, and its derivatives.

    Attributes
    ----------
    name
        The name of the function in scenarios.
    function
        Takes the namespace and the arrays.
    point
        The arrays, real.
    blocks
        Gives the Jacobian with respect to each array, from the arrays.
    curvature
        Gives the second derivative with respect to the first array, twice.
    """

    name: str
    function: Callable[..., Any]
    point: tuple[Values, ...]
    blocks: Callable[..., tuple[Values, ...]]
    curvature: Callable[..., Values]


def _diagonal(x: Values) -> Values:
    """Return a block that is `x` where output and input are the same element, in the shape of both."""
    return np.reshape(np.diag(np.ravel(x)), x.shape * 2)


def _cube(x: Values) -> Values:
    """Return a second derivative that is `x` where output and both inputs are the same element."""
    size = x.size
    full = np.zeros((size, size, size), x.dtype)
    full[(np.arange(size),) * 3] = np.ravel(x)
    return np.reshape(full, x.shape * 3)


def _product_of_neighbours(x: Values) -> Values:
    size = x.size
    block = np.zeros((size, size), x.dtype)
    for place in range(size - 1):
        block[place, place], block[place, place + 1] = x[place + 1], x[place]
    block[size - 1, 0] = 1
    return block


def _second_of_neighbours(x: Values) -> Values:
    full = np.zeros((x.size,) * 3, x.dtype)
    for place in range(x.size - 1):
        full[place, place, place + 1] = full[place, place + 1, place] = 1
    return full


_MATRIX: Final = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
_VECTOR: Final = np.array([0.5, -1.25, 2.0])
_OTHER: Final = np.array([1.5, 0.75, -0.5])
_EYE2, _EYE3 = np.eye(2), np.eye(3)

FUNCTIONS: Final = (
    Function(
        "square",
        lambda xp, x: x * x,
        (_VECTOR,),
        lambda x: (_diagonal(2 * x),),
        lambda x: _cube(2 + 0 * x),
    ),
    Function(
        "cube of a scalar",
        lambda xp, x: x**3,
        (np.array(1.5),),
        lambda x: (3 * x**2,),
        lambda x: 6 * x,
    ),
    Function(
        "cube of a sum with itself",
        lambda xp, x: (x + x * 1.0) ** 3,
        (np.array(0.5),),
        lambda x: (24 * x**2,),
        lambda x: 48 * x,
    ),
    Function(
        "sine times another",
        lambda xp, x, y: xp.sin(x) * y,
        (_VECTOR, _OTHER),
        lambda x, y: (_diagonal(np.cos(x) * y), _diagonal(np.sin(x))),
        lambda x, y: _cube(-np.sin(x) * y),
    ),
    Function(
        "quotient",
        lambda xp, x, y: x / y,
        (_MATRIX, _MATRIX + 4),
        lambda x, y: (_diagonal(1 / y), _diagonal(-x / y**2)),
        lambda x, y: np.zeros(x.shape * 3, x.dtype),
    ),
    Function(
        "exponential",
        lambda xp, x, y: y * xp.exp(x * y),
        (np.array(0.5), np.array(-0.75)),
        lambda x, y: (y**2 * np.exp(x * y), (1 + x * y) * np.exp(x * y)),
        lambda x, y: y**3 * np.exp(x * y),
    ),
    Function(
        "sum of squares",
        lambda xp, x: xp.sum(x * x),
        (_MATRIX,),
        lambda x: (2 * x,),
        lambda x: _diagonal(2 + 0 * x),
    ),
    Function(
        "sum along an axis",
        lambda xp, x: xp.sum(x * x, axis=1),
        (_MATRIX,),
        lambda x: (np.einsum("ij,ik->ikj", 2 * x, _EYE2),),
        lambda x: 2 * np.einsum("ik,il,jm->ikjlm", _EYE2, _EYE2, _EYE3).astype(x.dtype),
    ),
    Function(
        "matrix times vector",
        lambda xp, x, y: x @ y,
        (_MATRIX, _VECTOR),
        lambda x, y: (np.einsum("ik,j->ikj", _EYE2, y), x),
        lambda x, y: np.zeros((2, 2, 3, 2, 3), x.dtype),
    ),
    Function(
        "matrix squared",
        lambda xp, x: x @ x,
        (_MATRIX[:, :2],),
        lambda x: (np.einsum("ik,lj->ijkl", _EYE2, x) + np.einsum("ik,jl->ijkl", x, _EYE2),),
        lambda x: (
            np.einsum("ik,lm,jn->ijklmn", _EYE2, _EYE2, _EYE2) + np.einsum("im,kn,jl->ijklmn", _EYE2, _EYE2, _EYE2)
        ).astype(x.dtype),
    ),
    Function(
        "outer product",
        lambda xp, x, y: x[:, None] * y[None, :],
        (_VECTOR, _OTHER[:2]),
        lambda x, y: (np.einsum("ik,j->ijk", _EYE3, y), np.einsum("i,jk->ijk", x, _EYE2)),
        lambda x, y: np.zeros((3, 2, 3, 3), x.dtype),
    ),
    Function(
        "products of neighbours",
        lambda xp, x: xp.concat([x[:-1] * x[1:], x[:1]]),
        (_VECTOR,),
        lambda x: (_product_of_neighbours(x),),
        _second_of_neighbours,
    ),
    Function(
        "reshaped and transposed",
        lambda xp, x: xp.permute_dims(xp.reshape(x * x, (3, 2)), (1, 0)),
        (_MATRIX,),
        lambda x: (np.transpose(np.reshape(_diagonal(2 * x), (3, 2, 2, 3)), (1, 0, 2, 3)),),
        lambda x: np.transpose(np.reshape(_cube(2 + 0 * x), (3, 2, 2, 3, 2, 3)), (1, 0, 2, 3, 4, 5)),
    ),
)
"""Elementwise ones, products, reductions, shapes; of scalars, vectors and matrices, of one array and of two."""
