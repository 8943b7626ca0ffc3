"""The array API's functions and their derivatives: a table of bodies, checked on a backend against differences.

Each function of the standard (2024.12) that maps floats to floats has one body or more, whose first and second
derivatives are compared with central differences of sixth order; those that are constant between jumps must give
zeros; those whose results are integers or bools have no derivative by nature. Elementwise functions are differentiated
at the edges of their domain and on their branch cuts too, see `array_api_points`.
``python -m anyjac_conformance.array_api`` prints the table for every installed backend.

References
----------
.. [1] B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Mathematics of Computation
   51 (1988) 699-706.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import anyjac
from anyjac import Backend
from anyjac_plugins import JIT

from .array_api_points import NAMES, check_points
from .framework_transforms import framework_transform
from .verdicts import REFUSED, RIGHT, WRONG, Verdict

Floats = np.ndarray[Any, Any]
Function = Callable[[Any, Any], Any]

# ---- points ----------------------------------------------------------------------------------------------------------

VECTOR = np.array([0.31, -0.72, 0.55, 1.27])
POSITIVE = np.array([0.31, 0.72, 0.55, 1.27])
SMALL = np.array([0.31, -0.72, 0.55, 0.11])
OTHER = np.array([1.3, 0.4, -0.9, 0.2])
MATRIX = np.array([[2.1, 0.3, -0.4], [0.2, 1.7, 0.5], [-0.3, 0.6, 1.9]])
UNEVEN = MATRIX + np.array([[0.0, 0.11, 0.05], [0.02, 0.0, 0.03], [0.07, 0.01, 0.0]])
TALL = np.array([[2.1, 0.3], [0.2, 1.7], [-0.3, 0.6]])
BATCH = np.stack([MATRIX, MATRIX.T + 0.1 * np.eye(3)])
_TURN = np.array([[0.0, 0.4, -0.3], [0.7, 0.1, 0.2], [-0.5, 0.3, 0.6]])
COMPLEX_VECTOR = VECTOR + 1j * np.array([0.4, 0.35, -0.8, 0.15])
COMPLEX_MATRIX = MATRIX + 1j * _TURN


@dataclass(frozen=True)
class Body:
    """A function of one array, and where it is differentiated; complex where the point is."""

    function: Function
    point: Floats


def _same(name: str, *points: Floats) -> list[Body]:
    return [Body(lambda xp, x: getattr(xp, name)(x), point) for point in points]


def _binary(name: str, left: Floats = VECTOR, right: Floats = OTHER, *, complex_too: bool = False) -> list[Body]:
    def bodies(one: Floats, other: Floats) -> list[Body]:
        def constant(xp: Any) -> Any:
            return xp.asarray(other)

        return [
            Body(lambda xp, x: getattr(xp, name)(x, constant(xp)), one),
            Body(lambda xp, x: getattr(xp, name)(constant(xp), x), one),
            Body(lambda xp, x: getattr(xp, name)(x, x * x + 0.05), one),
        ]

    return bodies(left, right) + (bodies(COMPLEX_VECTOR, right + 0.3j) if complex_too else [])


def _hermitian(xp: Any, x: Any) -> Any:
    return (x + xp.conj(x.mT)) / 2


def _definite(xp: Any, x: Any) -> Any:
    return x @ xp.conj(x.mT)


# ---- the table -------------------------------------------------------------------------------------------------------

ELEMENTWISE: Final[dict[str, list[Body]]] = {
    "abs": _same("abs", VECTOR, COMPLEX_VECTOR),
    "acos": _same("acos", SMALL, COMPLEX_VECTOR),
    "acosh": _same("acosh", POSITIVE + 1, COMPLEX_VECTOR + 1),
    "add": _binary("add", complex_too=True),
    "asin": _same("asin", SMALL, COMPLEX_VECTOR),
    "asinh": _same("asinh", VECTOR, COMPLEX_VECTOR),
    "atan": _same("atan", VECTOR, COMPLEX_VECTOR),
    "atan2": _binary("atan2"),
    "atanh": _same("atanh", SMALL, COMPLEX_VECTOR),
    "clip": [
        Body(lambda xp, x: xp.clip(x, min=-0.5, max=0.5), VECTOR),
        Body(lambda xp, x: xp.clip(x, min=x * x - 0.3), VECTOR),
        Body(lambda xp, x: xp.clip(x, max=x * x), VECTOR),
        Body(lambda xp, x: xp.clip(x, min=x[0], max=x[3] ** 2), VECTOR),
    ],
    "conj": _same("conj", VECTOR, COMPLEX_VECTOR),
    "copysign": _binary("copysign"),
    "cos": _same("cos", VECTOR, COMPLEX_VECTOR),
    "cosh": _same("cosh", VECTOR, COMPLEX_VECTOR),
    "divide": _binary("divide", complex_too=True),
    "exp": _same("exp", VECTOR, COMPLEX_VECTOR),
    "expm1": _same("expm1", VECTOR, COMPLEX_VECTOR),
    "hypot": _binary("hypot"),
    "imag": _same("imag", COMPLEX_VECTOR),
    "log": _same("log", POSITIVE, COMPLEX_VECTOR),
    "log10": _same("log10", POSITIVE, COMPLEX_VECTOR),
    "log1p": _same("log1p", POSITIVE, COMPLEX_VECTOR),
    "log2": _same("log2", POSITIVE, COMPLEX_VECTOR),
    "logaddexp": _binary("logaddexp"),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "multiply": _binary("multiply", complex_too=True),
    "negative": _same("negative", VECTOR, COMPLEX_VECTOR),
    "positive": _same("positive", VECTOR, COMPLEX_VECTOR),
    "pow": [
        Body(lambda xp, x: xp.pow(x, 3), VECTOR),
        *_binary("pow", POSITIVE, POSITIVE + 0.4),
        Body(lambda xp, x: x**2.5, POSITIVE),
        Body(lambda xp, x: 2.0**x, VECTOR),
        Body(lambda xp, x: x**3, COMPLEX_VECTOR),
    ],
    "real": _same("real", VECTOR, COMPLEX_VECTOR),
    "reciprocal": _same("reciprocal", VECTOR, COMPLEX_VECTOR),
    "remainder": _binary("remainder", VECTOR, OTHER + 0.33),
    "sign": _same("sign", COMPLEX_VECTOR),
    "sin": _same("sin", VECTOR, COMPLEX_VECTOR),
    "sinh": _same("sinh", VECTOR, COMPLEX_VECTOR),
    "sqrt": _same("sqrt", POSITIVE, COMPLEX_VECTOR),
    "square": _same("square", VECTOR, COMPLEX_VECTOR),
    "subtract": _binary("subtract", complex_too=True),
    "tan": _same("tan", VECTOR, COMPLEX_VECTOR),
    "tanh": _same("tanh", VECTOR, COMPLEX_VECTOR),
    "where": [
        Body(lambda xp, x: xp.where(x > 0, x * x, 3 * x), VECTOR),
        Body(lambda xp, x: xp.where(x > 0, x, 1.0), VECTOR),
        Body(lambda xp, x: xp.where(xp.asarray(MATRIX) > 1, x[0] ** 2, x[1] * x[:3]), VECTOR),
        Body(lambda xp, x: xp.where(xp.real(x) > 0.4, x, x * x), COMPLEX_VECTOR),
    ],
}

CREATION: Final[dict[str, list[Body]]] = {
    "asarray": [
        Body(lambda xp, x: xp.asarray(x), VECTOR),
        Body(lambda xp, x: xp.asarray([x[0], x[1] * x[0]]), VECTOR),
        Body(lambda xp, x: xp.asarray(x, copy=True), COMPLEX_VECTOR),
    ],
    "astype": [
        Body(lambda xp, x: xp.astype(x, xp.float64), VECTOR),
        Body(lambda xp, x: xp.astype(x, xp.complex128) * (1 + 2j), VECTOR),
    ],
    "full": [Body(lambda xp, x: xp.full((2, 3), x[0]), VECTOR)],
    "full_like": [Body(lambda xp, x: xp.full_like(x, 2.0) * x, VECTOR)],
    "linspace": [Body(lambda xp, x: xp.linspace(x[0], x[1], 5), VECTOR)],
    "meshgrid": [
        Body(lambda xp, x: xp.stack(list(xp.meshgrid(x, x[:2] ** 2))), VECTOR),
        Body(lambda xp, x: xp.meshgrid(x, x[:2] ** 2, x[:3], indexing="ij")[1], VECTOR),
    ],
    "tril": [Body(lambda xp, x: xp.tril(x, k=-1), BATCH), Body(lambda xp, x: xp.tril(x), COMPLEX_MATRIX)],
    "triu": [Body(lambda xp, x: xp.triu(x, k=1), BATCH), Body(lambda xp, x: xp.triu(x), COMPLEX_MATRIX)],
}

SHAPES: Final[dict[str, list[Body]]] = {
    "broadcast_arrays": [Body(lambda xp, x: xp.broadcast_arrays(x, xp.asarray(np.zeros((2, 1))))[0], VECTOR)],
    "broadcast_to": [
        Body(lambda xp, x: xp.broadcast_to(x, (2, 4)), VECTOR),
        Body(lambda xp, x: xp.broadcast_to(x[:, None], (3, 4, 2)), VECTOR),
    ],
    "concat": [
        Body(lambda xp, x: xp.concat([x, 2 * x, xp.asarray(OTHER)]), VECTOR),
        Body(lambda xp, x: xp.concat([x, x * x], axis=1), MATRIX),
        Body(lambda xp, x: xp.concat([x, x[0, :]], axis=None), MATRIX),
    ],
    "expand_dims": [Body(lambda xp, x: xp.expand_dims(x, axis=1), VECTOR)],
    "flip": [Body(lambda xp, x: xp.flip(x), MATRIX), Body(lambda xp, x: xp.flip(x, axis=-1), COMPLEX_MATRIX)],
    "moveaxis": [Body(lambda xp, x: xp.moveaxis(x, 0, -1), BATCH)],
    "permute_dims": [Body(lambda xp, x: xp.permute_dims(x, (2, 0, 1)), BATCH)],
    "repeat": [
        Body(lambda xp, x: xp.repeat(x, 3), VECTOR),
        Body(lambda xp, x: xp.repeat(x, 2, axis=1), MATRIX),
        Body(lambda xp, x: xp.repeat(x, xp.asarray([1, 2, 0, 1])), VECTOR),
    ],
    "reshape": [Body(lambda xp, x: xp.reshape(x, (3, -1)), BATCH)],
    "roll": [
        Body(lambda xp, x: xp.roll(x, 1), MATRIX),
        Body(lambda xp, x: xp.roll(x, (1, -1), axis=(0, 1)), MATRIX),
    ],
    "squeeze": [Body(lambda xp, x: xp.squeeze(x[:, None, :], axis=1), MATRIX)],
    "stack": [Body(lambda xp, x: xp.stack([x, x * x], axis=-1), VECTOR)],
    "tile": [Body(lambda xp, x: xp.tile(x, (2, 2)), VECTOR)],
    "unstack": [Body(lambda xp, x: xp.unstack(x, axis=1)[2], MATRIX)],
}

SELECTIONS: Final[dict[str, list[Body]]] = {
    "sort": [
        Body(lambda xp, x: xp.sort(x), VECTOR),
        Body(lambda xp, x: xp.sort(x, axis=0, descending=True), MATRIX),
    ],
    "take": [
        Body(lambda xp, x: xp.take(x, xp.asarray([2, 0, 2])), VECTOR),
        Body(lambda xp, x: xp.take(x, xp.asarray([1, 1]), axis=1), COMPLEX_MATRIX),
    ],
    "take_along_axis": [
        Body(lambda xp, x: xp.take_along_axis(x, xp.asarray([[0, 2], [1, 1], [2, 0]]), axis=1), MATRIX)
    ],
    "unique_all": [Body(lambda xp, x: xp.unique_all(x)[0], VECTOR)],
    "unique_counts": [Body(lambda xp, x: xp.unique_counts(x)[0], VECTOR)],
    "unique_inverse": [Body(lambda xp, x: xp.unique_inverse(x)[0], VECTOR)],
    "unique_values": [Body(lambda xp, x: xp.sort(xp.unique_values(x)), VECTOR)],
}

REDUCTIONS: Final[dict[str, list[Body]]] = {
    "cumulative_prod": [
        Body(lambda xp, x: xp.cumulative_prod(x), VECTOR),
        Body(lambda xp, x: xp.cumulative_prod(x), np.array([0.0, 2.0, 3.0])),
        Body(lambda xp, x: xp.cumulative_prod(x, axis=0, include_initial=True), MATRIX),
    ],
    "cumulative_sum": [
        Body(lambda xp, x: xp.cumulative_sum(x), VECTOR),
        Body(lambda xp, x: xp.cumulative_sum(x, axis=-1, include_initial=True), COMPLEX_MATRIX),
    ],
    "diff": [
        Body(lambda xp, x: xp.diff(x), VECTOR),
        Body(lambda xp, x: xp.diff(x, axis=0, n=2), MATRIX),
        Body(lambda xp, x: xp.diff(x, append=x[:1]), VECTOR),
    ],
    "max": [Body(lambda xp, x: xp.max(x), VECTOR), Body(lambda xp, x: xp.max(x, axis=1, keepdims=True), MATRIX)],
    "mean": [Body(lambda xp, x: xp.mean(x), VECTOR), Body(lambda xp, x: xp.mean(x, axis=(0, 1)), BATCH)],
    "min": [Body(lambda xp, x: xp.min(x), VECTOR), Body(lambda xp, x: xp.min(x, axis=0), MATRIX)],
    "prod": [
        Body(lambda xp, x: xp.prod(x), VECTOR),
        Body(lambda xp, x: xp.prod(x), np.array([0.0, 2.0, 3.0])),
        Body(lambda xp, x: xp.prod(x, axis=1), COMPLEX_MATRIX),
    ],
    "std": [
        Body(lambda xp, x: xp.std(x, correction=1), VECTOR),
        Body(lambda xp, x: xp.std(x, axis=1, keepdims=True), MATRIX),
    ],
    "sum": [
        Body(lambda xp, x: xp.sum(x), VECTOR),
        Body(lambda xp, x: xp.sum(x, axis=1), COMPLEX_MATRIX),
        Body(lambda xp, x: xp.sum(x, dtype=xp.float64), VECTOR),
    ],
    "var": [Body(lambda xp, x: xp.var(x, correction=1), VECTOR), Body(lambda xp, x: xp.var(x, axis=0), MATRIX)],
}

LINEAR_ALGEBRA: Final[dict[str, list[Body]]] = {
    "linalg.cholesky": [
        Body(lambda xp, x: xp.linalg.cholesky(_definite(xp, x)), MATRIX),
        Body(lambda xp, x: xp.linalg.cholesky(_definite(xp, x), upper=True), BATCH),
        Body(lambda xp, x: xp.linalg.cholesky(_definite(xp, x)), COMPLEX_MATRIX),
    ],
    "linalg.cross": [
        Body(lambda xp, x: xp.linalg.cross(x[0, :], x[1, :]), MATRIX),
        Body(lambda xp, x: xp.linalg.cross(x, x * x + 0.1, axis=0), MATRIX),
        Body(lambda xp, x: xp.linalg.cross(x, xp.flip(x, axis=1)), COMPLEX_MATRIX),
    ],
    "linalg.det": [Body(lambda xp, x: xp.linalg.det(x), MATRIX), Body(lambda xp, x: xp.linalg.det(x), COMPLEX_MATRIX)],
    "linalg.diagonal": [
        Body(lambda xp, x: xp.linalg.diagonal(x), BATCH),
        Body(lambda xp, x: xp.linalg.diagonal(x, offset=-1), MATRIX),
    ],
    "linalg.eigh": [
        Body(lambda xp, x: xp.linalg.eigh(_hermitian(xp, x))[0], MATRIX),
        Body(lambda xp, x: xp.linalg.eigh(_hermitian(xp, x))[1] ** 2, MATRIX),
        Body(lambda xp, x: xp.linalg.eigh(_hermitian(xp, x))[0], COMPLEX_MATRIX),
        Body(lambda xp, x: xp.abs(xp.linalg.eigh(_hermitian(xp, x))[1]) ** 2, COMPLEX_MATRIX),
    ],
    "linalg.eigvalsh": [
        Body(lambda xp, x: xp.linalg.eigvalsh(_hermitian(xp, x)), MATRIX),
        Body(lambda xp, x: xp.linalg.eigvalsh(_hermitian(xp, x)), COMPLEX_MATRIX),
    ],
    "linalg.inv": [Body(lambda xp, x: xp.linalg.inv(x), BATCH), Body(lambda xp, x: xp.linalg.inv(x), COMPLEX_MATRIX)],
    "linalg.matmul": [
        Body(lambda xp, x: xp.matmul(x, x), MATRIX),
        Body(lambda xp, x: xp.matmul(x, x[0, :, 0]), BATCH),
        Body(lambda xp, x: xp.linalg.matmul(x, x), COMPLEX_MATRIX),
    ],
    "linalg.matrix_norm": [
        Body(lambda xp, x, ord=ord: xp.linalg.matrix_norm(x, ord=ord), UNEVEN)  # type: ignore[misc]
        for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    ]
    + [Body(lambda xp, x: xp.linalg.matrix_norm(x, keepdims=True), COMPLEX_MATRIX)],
    "linalg.matrix_power": [
        Body(lambda xp, x, n=n: xp.linalg.matrix_power(x, n), MATRIX)  # type: ignore[misc]
        for n in (0, 1, 3, -2)
    ],
    "linalg.matrix_transpose": [
        Body(lambda xp, x: xp.linalg.matrix_transpose(x), BATCH),
        Body(lambda xp, x: x.mT @ x, COMPLEX_MATRIX),
    ],
    "linalg.outer": [Body(lambda xp, x: xp.linalg.outer(x, x), VECTOR)],
    "linalg.pinv": [
        Body(lambda xp, x: xp.linalg.pinv(x), TALL),
        Body(lambda xp, x: xp.linalg.pinv(x.mT), TALL),
        Body(lambda xp, x: xp.linalg.pinv(x), COMPLEX_MATRIX[:, :2]),
    ],
    "linalg.qr": [
        Body(lambda xp, x: xp.linalg.qr(x)[0], TALL),
        Body(lambda xp, x: xp.linalg.qr(x)[1], MATRIX),
        Body(lambda xp, x: xp.linalg.qr(x.mT)[1], TALL),
        Body(lambda xp, x: xp.abs(xp.linalg.qr(x)[0]), COMPLEX_MATRIX),
    ],
    "linalg.slogdet": [
        Body(lambda xp, x: xp.linalg.slogdet(x)[1], BATCH),
        Body(lambda xp, x: xp.linalg.slogdet(x)[1], COMPLEX_MATRIX),
        Body(lambda xp, x: xp.linalg.slogdet(x)[0], COMPLEX_MATRIX),
    ],
    "linalg.solve": [
        Body(lambda xp, x: xp.linalg.solve(x, x[0, :]), MATRIX),
        Body(lambda xp, x: xp.linalg.solve(x, x @ x), BATCH),
        Body(lambda xp, x: xp.linalg.solve(xp.asarray(MATRIX), x), MATRIX),
        Body(lambda xp, x: xp.linalg.solve(x, x[0, :]), COMPLEX_MATRIX),
    ],
    "linalg.svd": [
        Body(lambda xp, x: xp.linalg.svd(x, full_matrices=False)[0] ** 2, TALL),
        Body(lambda xp, x: xp.linalg.svd(x)[2] ** 2, MATRIX),
        Body(lambda xp, x: xp.linalg.svd(x)[1], MATRIX),
        Body(lambda xp, x: xp.abs(xp.linalg.svd(x)[0]) ** 2, COMPLEX_MATRIX),
    ],
    "linalg.svdvals": [
        Body(lambda xp, x: xp.linalg.svdvals(x), TALL),
        Body(lambda xp, x: xp.linalg.svdvals(x), COMPLEX_MATRIX),
    ],
    "linalg.tensordot": [
        Body(lambda xp, x: xp.tensordot(x, x, axes=1), MATRIX),
        Body(lambda xp, x: xp.tensordot(x, x, axes=((0,), (1,))), COMPLEX_MATRIX),
    ],
    "linalg.trace": [
        Body(lambda xp, x: xp.linalg.trace(x), BATCH),
        Body(lambda xp, x: xp.linalg.trace(x, offset=1), MATRIX),
    ],
    "linalg.vecdot": [
        Body(lambda xp, x: xp.vecdot(x, x * x), MATRIX),
        Body(lambda xp, x: xp.linalg.vecdot(x, xp.flip(x, axis=1)), COMPLEX_MATRIX),
    ],
    "linalg.vector_norm": [
        Body(lambda xp, x, ord=ord: xp.linalg.vector_norm(x, ord=ord), point)  # type: ignore[misc]
        for point in (VECTOR, COMPLEX_VECTOR)
        for ord in (2, 1, 3, np.inf, -np.inf)
    ]
    + [Body(lambda xp, x: xp.linalg.vector_norm(x, axis=1, keepdims=True), MATRIX)],
}


def _transforms(name: str, *points: Floats, **options: Any) -> list[Body]:
    settings = [{"norm": norm} for norm in ("backward", "ortho", "forward")] + [options]
    return [
        Body(lambda xp, x, s=s: getattr(xp.fft, name)(x, **s), point)  # type: ignore[misc]
        for point in points
        for s in settings
    ]


FOURIER: Final[dict[str, list[Body]]] = {
    "fft.fft": _transforms("fft", COMPLEX_VECTOR, COMPLEX_MATRIX, n=5),
    "fft.ifft": _transforms("ifft", COMPLEX_VECTOR, COMPLEX_MATRIX, n=2),
    "fft.fftn": _transforms("fftn", COMPLEX_MATRIX, axes=(0,)),
    "fft.ifftn": _transforms("ifftn", COMPLEX_MATRIX, axes=(1, 0)),
    "fft.rfft": _transforms("rfft", VECTOR, MATRIX, n=5),
    "fft.irfft": _transforms("irfft", COMPLEX_VECTOR, COMPLEX_MATRIX, n=5),
    "fft.rfftn": _transforms("rfftn", MATRIX, axes=(0,)),
    "fft.irfftn": _transforms("irfftn", COMPLEX_MATRIX, axes=(0,)),
    "fft.hfft": _transforms("hfft", COMPLEX_VECTOR, n=5),
    "fft.ihfft": _transforms("ihfft", VECTOR, n=3),
    "fft.fftshift": [
        Body(lambda xp, x: xp.fft.fftshift(x), MATRIX),
        Body(lambda xp, x: xp.fft.fftshift(x, axes=0), MATRIX),
    ],
    "fft.ifftshift": [Body(lambda xp, x: xp.fft.ifftshift(x), MATRIX)],
}

TABLE: Final[dict[str, list[Body]]] = {
    **ELEMENTWISE,
    **CREATION,
    **SHAPES,
    **SELECTIONS,
    **REDUCTIONS,
    **LINEAR_ALGEBRA,
    **FOURIER,
}
"""For each function, what is differentiated."""

CONSTANT: Final[dict[str, Body]] = {
    **{name: _same(name, VECTOR)[0] for name in ("ceil", "floor", "ones_like", "round", "sign", "trunc", "zeros_like")},
    "floor_divide": Body(lambda xp, x: xp.floor_divide(x, 0.4), VECTOR),
}
"""Functions that return floats and are constant between jumps, so that their derivative is zero."""

BY_NATURE: Final = (
    "all",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "count_nonzero",
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nextafter",
    "nonzero",
    "not_equal",
    "searchsorted",
    "signbit",
    "linalg.matrix_rank",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
)
"""Functions whose results are bools, integers or neighbours in the grid of floats: nothing to differentiate."""


# ---- checking --------------------------------------------------------------------------------------------------------


def check(backend: Backend, name: str, body: Body, *, compiled: bool = False) -> Verdict:
    """Compare first and second derivatives of one body with differences, taken on NumPy.

    Parameters
    ----------
    compiled
        Compute them in one function that the framework compiles, which is faster where it compiles each operation.
    """
    function = _real_function(backend, body)
    first = anyjac.jacrev(function, backend=backend)
    second = anyjac.jacrev(first, backend=backend)
    point = _real_point(body)

    def both(x: Any) -> tuple[Any, Any]:
        return first(x), second(x)

    try:
        arrays = (framework_transform(backend, JIT)(both) if compiled else both)(backend.asarray(point))
        slopes, curvatures = (_on_host(backend, array) for array in arrays)
    except Exception as error:  # any that a backend raises is a verdict, and told
        return Verdict(name, REFUSED, f"{type(error).__name__}: {error}")
    for order, found, wanted in zip((1, 2), (slopes, curvatures), _expected(body), strict=True):
        off = float(np.max(np.abs(found - wanted), initial=0.0)) if found.shape == wanted.shape else np.inf
        if not off <= 2e-7 * max(1.0, float(np.max(np.abs(wanted), initial=0.0))):
            return Verdict(name, WRONG, f"derivative {order} is off by {off:.1e}")
    return Verdict(name, RIGHT)


def _real_point(body: Body) -> Floats:
    """Return the point, a complex one as real and imaginary parts, so that nothing depends on a convention."""
    return np.stack([body.point.real, body.point.imag]) if body.point.dtype.kind == "c" else body.point


def _real_function(backend: Backend, body: Body) -> Callable[[Any], Any]:
    """Return the body as a real function of real numbers."""

    def function(parts: Any) -> Any:
        xp = backend.namespace
        x = parts[0, ...] + 1j * parts[1, ...] if body.point.dtype.kind == "c" else parts
        result = body.function(xp, x)
        if backend.dtype_kind(result.dtype) == "complex floating":
            return xp.stack([xp.real(result), xp.imag(result)])
        return result

    return function


_known: dict[int, tuple[Floats, Floats]] = {}


def _expected(body: Body) -> tuple[Floats, Floats]:
    """Return differences of the body and of its first derivative; the latter is itself checked against the former."""
    if id(body) not in _known:
        numpy, point = anyjac.get_backend("numpy"), _real_point(body)
        function = _real_function(numpy, body)
        first = anyjac.jacrev(function, backend=numpy)
        slopes = central_differences(_host(numpy, function), point)
        _known[id(body)] = slopes, central_differences(_host(numpy, first), point)
    return _known[id(body)]


def central_differences(function: Callable[[Floats], Floats], point: Floats, step: float = 2e-3) -> Floats:
    """Differentiate with the central formula of sixth order [1]_; the result has shape ``y.shape + x.shape``."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    columns = []
    for index in np.ndindex(point.shape):
        direction = np.zeros(point.shape)
        direction[index] = step
        pairs = ((w, function(point + k * direction), function(point - k * direction)) for k, w in weights.items())
        columns.append(np.asarray(sum(w * (ahead - behind) for w, ahead, behind in pairs)) / step)
    stacked = np.stack(columns, axis=-1)
    return stacked.reshape((*stacked.shape[:-1], *point.shape))


def _host(backend: Backend, function: Callable[[Any], Any]) -> Callable[[Floats], Floats]:
    return lambda point: _on_host(backend, function(backend.asarray(point)))


def _on_host(backend: Backend, array: Any) -> Floats:
    return np.asarray(backend.to_numpy(array), dtype=np.float64)


def check_all(backend: Backend) -> Iterator[Verdict]:
    """Check every body of the table, that constant functions give zeros, and elementwise functions far and wide."""
    for name, bodies in TABLE.items():
        yield from (check(backend, name, body) for body in bodies)
    for name, body in CONSTANT.items():
        yield check(backend, name, body)
    for name in sorted(NAMES):
        yield from check_points(backend, name)


# ---- printing --------------------------------------------------------------------------------------------------------

Statuses = Mapping[str, Sequence[str]]
"""For each function, the statuses of its bodies."""


def statuses(backend: Backend) -> dict[str, list[str]]:
    """Check everything on a backend and return the statuses by function."""
    found: dict[str, list[str]] = {}
    for verdict in check_all(backend):
        found.setdefault(verdict.name, []).append(verdict.status)
    return found


def table(columns: Mapping[str, Statuses]) -> str:
    """Return the table in reStructuredText: a row for each function, a column for each backend.

    Examples
    --------
    >>> from anyjac_conformance.array_api import table
    >>> print(table({"numpy": {"sin": ["right", "right"]}}).splitlines()[3].rstrip())
    ``sin``                        right
    """
    names = sorted({name for column in columns.values() for name in column})
    rows = [(f"``{name}``", *(_cell(column[name]) for column in columns.values())) for name in names]
    rows += [(f"``{name}``", *("none by nature" for _ in columns)) for name in sorted(BY_NATURE)]
    rule = " ".join(["=" * 30, *("=" * 20 for _ in columns)])
    lines = [" ".join([row[0].ljust(30), *(cell.ljust(20) for cell in row[1:])]).rstrip() for row in rows]
    heading = " ".join(["function".ljust(30), *(name.ljust(20) for name in columns)]).rstrip()
    return "\n".join([rule, heading, rule, *lines, rule]) + "\n"


def _cell(found: Sequence[str]) -> str:
    counts = [(status, found.count(status)) for status in (RIGHT, REFUSED, WRONG) if status in found]
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{count} {status}" for status, count in counts)


if __name__ == "__main__":
    usable = [info.name for info in anyjac.backends() if info.error is None]
    print(table({name: statuses(anyjac.get_backend(name)) for name in sys.argv[1:] or usable}), end="")
