"""Elementwise functions of the array API far and wide: points everywhere in their domain, with the derivatives there.

Functions of a complex number are differentiated once and twice in every quadrant, on both sides of each branch cut, at
zeros of either sign, and at small and large numbers; real functions at the edges of their domain and at ties. The
derivatives are formulas, since differences say nothing at an edge or beside a cut. Where a function has a branch cut,
the formula is one of its value, so that the derivative must be on the sheet of the value that a backend returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

import anyjac
from anyjac import Backend

from .verdicts import REFUSED, RIGHT, WRONG, Verdict

Numbers = np.ndarray[Any, Any]
Derivative = Callable[[Numbers, Numbers], Any]
"""A derivative at points, by the points and by the values of the function there."""

# ---- functions of a complex number -----------------------------------------------------------------------------------

_LN2, _LN10 = math.log(2), math.log(10)


def _constant(number: float) -> Derivative:
    return lambda z, w: np.full_like(z, number)


DERIVATIVES: Final[dict[str, tuple[Derivative, Derivative]]] = {
    # name       first and second derivative, by the point z and the value w
    "acos": (lambda z, w: -1 / np.sin(w), lambda z, w: -np.cos(w) / np.sin(w) / np.sin(w) / np.sin(w)),
    "acosh": (lambda z, w: 1 / np.sinh(w), lambda z, w: -np.cosh(w) / np.sinh(w) / np.sinh(w) / np.sinh(w)),
    "asin": (lambda z, w: 1 / np.cos(w), lambda z, w: np.sin(w) / np.cos(w) / np.cos(w) / np.cos(w)),
    "asinh": (lambda z, w: 1 / np.cosh(w), lambda z, w: -np.sinh(w) / np.cosh(w) / np.cosh(w) / np.cosh(w)),
    "atan": (lambda z, w: 1 / (1 + z * z), lambda z, w: -2 * z / (1 + z * z) / (1 + z * z)),
    "atanh": (lambda z, w: 1 / (1 - z * z), lambda z, w: 2 * z / (1 - z * z) / (1 - z * z)),
    "cos": (lambda z, w: -np.sin(z), lambda z, w: -w),
    "cosh": (lambda z, w: np.sinh(z), lambda z, w: w),
    "exp": (lambda z, w: w, lambda z, w: w),
    "expm1": (lambda z, w: np.exp(z), lambda z, w: np.exp(z)),
    "log": (lambda z, w: 1 / z, lambda z, w: -1 / z / z),
    "log10": (lambda z, w: 1 / z / _LN10, lambda z, w: -1 / z / z / _LN10),
    "log1p": (lambda z, w: 1 / (1 + z), lambda z, w: -1 / (1 + z) / (1 + z)),
    "log2": (lambda z, w: 1 / z / _LN2, lambda z, w: -1 / z / z / _LN2),
    "negative": (_constant(-1), _constant(0)),
    "positive": (_constant(1), _constant(0)),
    "reciprocal": (lambda z, w: -1 / z / z, lambda z, w: 2 / z / z / z),
    "sin": (lambda z, w: np.cos(z), lambda z, w: -w),
    "sinh": (lambda z, w: np.cosh(z), lambda z, w: w),
    "sqrt": (lambda z, w: 0.5 / w, lambda z, w: -0.25 / w / w / w),
    "square": (lambda z, w: 2 * z, _constant(2)),
    "tan": (lambda z, w: 1 + w * w, lambda z, w: 2 * w * (1 + w * w)),
    "tanh": (lambda z, w: 1 - w * w, lambda z, w: -2 * w * (1 - w * w)),
}
"""The holomorphic functions of the standard with one argument."""


def _quadrants(*sizes: tuple[float, float]) -> list[complex]:
    return [complex(a * x, b * y) for x, y in sizes for a in (1, -1) for b in (1, -1)]


def _real_axis(*reals: float) -> list[complex]:
    """Return points on the real axis, above and below it."""
    return [complex(real, zero) for real in reals for zero in (0.0, -0.0)]


def _imaginary_axis(*parts: float) -> list[complex]:
    """Return points on the imaginary axis, right and left of it."""
    return [complex(zero, part) for part in parts for zero in (0.0, -0.0)]


_AROUND: Final = (
    *_quadrants((0.3, 0.4), (0.4, 2.0), (2.0, 0.4), (3.0, 4.0)),
    *_quadrants((1e-8, 2e-8), (1e-50, 2e-50), (1e-8, 1e-50)),
)
_ZEROS: Final = (*_real_axis(0.0), *_real_axis(-0.0))
_FAR: Final = tuple(_quadrants((1e8, 2e8), (1e50, 2e50), (1e50, 1.0), (1.0, 1e50)))
_EXPONENTIAL: Final = tuple(_quadrants((40.0, 30.0), (300.0, 0.5), (0.5, 300.0), (700.0, 1.0), (1.0, 700.0)))
_GROWING: Final = frozenset({"cos", "cosh", "exp", "expm1", "sin", "sinh", "tan", "tanh"})
"""Functions that overflow beyond some hundreds in one direction."""

_BEYOND_ONE: Final = (2.0, -2.0, 3.5, -3.5, 1.0001, -1.0001, 1e8, -1e8, 1e50, -1e50)
_BELOW_ONE: Final = (0.9999, 0.5, -0.5, -2.0, -1e8, -1e50)
_NEGATIVE: Final = (-2.0, -0.3, -1e-50, -1e50)

ON_CUTS: Final[dict[str, list[complex]]] = {
    "acos": _real_axis(*_BEYOND_ONE),
    "acosh": _real_axis(*_BELOW_ONE),
    "asin": _real_axis(*_BEYOND_ONE),
    "asinh": _imaginary_axis(*_BEYOND_ONE),
    "atan": _imaginary_axis(*_BEYOND_ONE),
    "atanh": _real_axis(*_BEYOND_ONE),
    "log": _real_axis(*_NEGATIVE),
    "log10": _real_axis(*_NEGATIVE),
    "log1p": _real_axis(-2.0, -3.0, -1e50),
    "log2": _real_axis(*_NEGATIVE),
    "sqrt": _real_axis(*_NEGATIVE),
}
"""The functions with branch cuts, and points on both sides of each cut."""

_INFINITE_AT_ZERO: Final = frozenset({"log", "log10", "log2", "reciprocal", "sqrt"})


def points(name: str) -> Numbers:
    """Return the complex points at which a function of `DERIVATIVES` is differentiated."""
    at_zero = () if name in _INFINITE_AT_ZERO else _ZEROS
    far = _EXPONENTIAL if name in _GROWING else _FAR
    return np.array([*_AROUND, *at_zero, *far, *ON_CUTS.get(name, ())])


# ---- functions of real numbers, at the edges of their domain ---------------------------------------------------------

ONE_SIDED: Final = "one-sided"
"""The derivative at a corner, which is any number between the slopes on both sides, -1 and 1."""

_INF: Final = math.inf

EDGES: Final[dict[str, list[tuple[float, float | str]]]] = {
    # name       points, and the derivative there
    "abs": [(0.0, ONE_SIDED), (-0.0, ONE_SIDED), (1e-200, 1.0), (-1e200, -1.0)],
    "acos": [(1.0, -_INF), (-1.0, -_INF), (1 - 2**-10, -((2**-9 - 2**-20) ** -0.5)), (0.0, -1.0), (1e-200, -1.0)],
    "acosh": [(1.0, _INF), (1 + 2**-10, (2**-9 + 2**-20) ** -0.5), (1e8, 1e-8), (1e200, 0.0)],
    "asin": [(1.0, _INF), (-1.0, _INF), (2**-10 - 1, (2**-9 - 2**-20) ** -0.5), (0.0, 1.0), (1e-200, 1.0)],
    "asinh": [(0.0, 1.0), (1e-200, 1.0), (1e8, 1e-8), (-1e8, 1e-8), (-1e200, 0.0)],
    "atan": [(0.0, 1.0), (1e-200, 1.0), (1e8, 1e-16), (-1e200, 0.0), (_INF, 0.0)],
    "atanh": [(1.0, _INF), (-1.0, _INF), (0.0, 1.0), (1e-200, 1.0), (1 - 2**-10, 1 / (2**-9 - 2**-20))],
    "ceil": [(0.0, 0.0), (2.0, 0.0), (1e200, 0.0)],
    "cos": [(0.0, 0.0), (1e-8, -1e-8), (1e8, -math.sin(1e8))],
    "cosh": [(0.0, 0.0), (700.0, math.sinh(700)), (-700.0, -math.sinh(700))],
    "exp": [(-745.0, 0.0), (-1000.0, 0.0), (-_INF, 0.0), (700.0, math.exp(700)), (0.0, 1.0)],
    "expm1": [(-50.0, math.exp(-50)), (-_INF, 0.0), (1e-200, 1.0), (700.0, math.exp(700)), (0.0, 1.0)],
    "floor": [(0.0, 0.0), (2.0, 0.0), (1e200, 0.0)],
    "log": [(0.0, _INF), (1e-200, 1e200), (1e200, 1e-200), (_INF, 0.0)],
    "log10": [(0.0, _INF), (1e-200, 1e200 / _LN10), (1e200, 0.0), (_INF, 0.0)],
    "log1p": [(-1.0, _INF), (2**-30 - 1, 2.0**30), (1e-200, 1.0), (0.0, 1.0), (1e200, 0.0), (_INF, 0.0)],
    "log2": [(0.0, _INF), (1e-200, 1e200 / _LN2), (1e200, 0.0), (_INF, 0.0)],
    "reciprocal": [(1e-100, -1e200), (-1e100, -1e-200), (_INF, 0.0)],
    "round": [(0.0, 0.0), (0.5, 0.0), (2.0, 0.0), (1e200, 0.0)],
    "sign": [(0.0, 0.0), (-0.0, 0.0), (1e-200, 0.0), (1e200, 0.0)],
    "sin": [(0.0, 1.0), (1e-8, 1.0), (1e8, math.cos(1e8))],
    "sinh": [(0.0, 1.0), (700.0, math.cosh(700)), (-700.0, math.cosh(700))],
    "sqrt": [(0.0, _INF), (1e-200, 0.5e100), (1e200, 0.5e-100), (_INF, 0.0)],
    "square": [(0.0, 0.0), (1e-200, 2e-200), (1e150, 2e150)],
    "tan": [(0.0, 1.0), (1e8, 1 + math.tan(1e8) ** 2), (math.pi / 2, 1 + math.tan(math.pi / 2) ** 2)],
    "tanh": [(0.0, 1.0), (20.0, math.cosh(20) ** -2), (1000.0, 0.0), (-1000.0, 0.0), (_INF, 0.0)],
    "trunc": [(0.0, 0.0), (-1.0, 0.0), (1e200, 0.0)],
}

SHARED: Final = "shared"
"""The derivatives at a tie, which are two numbers from 0 to 1 whose sum is 1."""

EDGES_OF_PAIRS: Final[dict[str, list[tuple[tuple[float, float], tuple[float | None, float | None] | str]]]] = {
    # name       points, and the derivatives by both arguments; None where there is none
    "add": [((0.0, 0.0), (1.0, 1.0)), ((1e200, -1e200), (1.0, 1.0))],
    "atan2": [
        *(((y, 1.0), (1.0, 0.0)) for y in (0.0, -0.0)),
        *(((y, -1.0), (-1.0, 0.0)) for y in (0.0, -0.0)),
        ((1.0, 0.0), (0.0, -1.0)),
        ((-1.0, -0.0), (0.0, 1.0)),
        ((1e-100, 1e-100), (0.5e100, -0.5e100)),
        ((1e100, 1e100), (0.5e-100, -0.5e-100)),
    ],
    "copysign": [((2.0, 0.0), (1.0, 0.0)), ((2.0, -0.0), (-1.0, 0.0)), ((-1e200, 1e-200), (-1.0, 0.0))],
    "divide": [((0.0, 2.0), (0.5, 0.0)), ((1.0, 1e-100), (1e100, -1e200)), ((1.0, _INF), (0.0, 0.0))],
    "floor_divide": [((1.0, 2.0), (0.0, 0.0)), ((2.0, 1.0), (0.0, 0.0)), ((0.0, 1.0), (0.0, 0.0))],
    "hypot": [
        ((3e200, 4e200), (0.6, 0.8)),
        ((4e200, -3e200), (0.8, -0.6)),
        ((3e-200, 4e-200), (0.6, 0.8)),
        ((0.0, 2.0), (0.0, 1.0)),
        ((-2.0, 0.0), (-1.0, 0.0)),
    ],
    "logaddexp": [
        ((1000.0, 1000.0), (0.5, 0.5)),
        ((-1000.0, -1000.0), (0.5, 0.5)),
        ((1000.0, -1000.0), (1.0, 0.0)),
        ((-_INF, 1.0), (0.0, 1.0)),
        ((1.0, -_INF), (1.0, 0.0)),
        ((1000.0, 1001.0), (1 / (1 + math.e), math.e / (1 + math.e))),
    ],
    "maximum": [((1.0, 1.0), SHARED), ((0.0, -0.0), SHARED), ((_INF, 1.0), (1.0, 0.0)), ((1.0, -_INF), (1.0, 0.0))],
    "minimum": [((1.0, 1.0), SHARED), ((0.0, -0.0), SHARED), ((_INF, 1.0), (0.0, 1.0)), ((1.0, -_INF), (0.0, 1.0))],
    "multiply": [((0.0, 2.0), (2.0, 0.0)), ((1e-200, 1e-200), (1e-200, 1e-200)), ((0.0, 0.0), (0.0, 0.0))],
    "pow": [
        ((0.0, 1.0), (1.0, 0.0)),
        *(((zero, power), (0.0, 0.0)) for zero in (0.0, -0.0) for power in (2.0, 3.0)),
        ((0.0, 0.5), (_INF, 0.0)),
        ((-2.0, 3.0), (12.0, None)),
        ((-2.0, 2.0), (-4.0, None)),
        ((-2.0, -1.0), (-0.25, None)),
        ((-2.0, 0.0), (0.0, None)),
        ((2.0, 0.0), (0.0, _LN2)),
        ((1e-100, 2.0), (2e-100, 0.0)),
        ((1.0, 1e8), (1e8, 0.0)),
    ],
    "remainder": [
        ((5.5, 2.0), (1.0, -2.0)),
        ((-5.5, 2.0), (1.0, 3.0)),
        ((5.5, -2.0), (1.0, 3.0)),
        ((-5.5, -2.0), (1.0, -2.0)),
        ((1e8 + 0.5, 1.0), (1.0, -1e8)),
    ],
    "subtract": [((0.0, 0.0), (1.0, -1.0)), ((1e200, 1e200), (1.0, -1.0))],
}

NAMES: Final = frozenset({*DERIVATIVES, *EDGES, *EDGES_OF_PAIRS})
"""The functions that are differentiated far and wide."""


# ---- checking --------------------------------------------------------------------------------------------------------


def check_points(backend: Backend, name: str) -> Iterator[Verdict]:
    """Compare the derivatives of a function at its points with the formulas: one verdict for each table it is in."""
    tables = ((DERIVATIVES, _at_complex_points), (EDGES, _at_edges), (EDGES_OF_PAIRS, _at_edges_of_pairs))
    for table, differences in tables:
        if name in table:
            yield _verdict(backend, name, differences)


def _verdict(backend: Backend, name: str, differences: Callable[[Backend, str], list[str]]) -> Verdict:
    try:
        with np.errstate(all="ignore"):
            found = differences(backend, name)
    except Exception as error:  # any that a backend raises is a verdict, and told
        return Verdict(name, REFUSED, f"{type(error).__name__}: {error}")
    return Verdict(name, WRONG, "; ".join(found[:4])) if found else Verdict(name, RIGHT)


def _at_complex_points(backend: Backend, name: str) -> list[str]:
    function = getattr(backend.namespace, name)
    at = points(name)
    arrays = backend.asarray(at)
    values = backend.to_numpy(function(arrays))
    slope = anyjac.vector_grad(function, backend=backend, holomorphic=True)
    curvature = anyjac.vector_grad(slope, backend=backend, holomorphic=True)
    found = [backend.to_numpy(transform(arrays)) for transform in (slope, curvature)]
    wanted = [formula(at, values) for formula in DERIVATIVES[name]]
    return [
        f"derivative {order} at {point} is {mine}, not {right}"
        for order, of_order, right_of_order in zip((1, 2), found, wanted, strict=True)
        for point, mine, right in zip(at, of_order, right_of_order, strict=True)
        if not _agrees(mine, right)
    ]


def _at_edges(backend: Backend, name: str) -> list[str]:
    at, wanted = zip(*EDGES[name], strict=True)
    function = getattr(backend.namespace, name)
    found = backend.to_numpy(anyjac.vector_grad(function, backend=backend)(backend.asarray(np.array(at))))
    return [
        f"the derivative at {point} is {mine}, not {right}"
        for point, mine, right in zip(at, found, wanted, strict=True)
        if not (-1 <= mine <= 1 if right == ONE_SIDED else _agrees(mine, right))
    ]


def _at_edges_of_pairs(backend: Backend, name: str) -> list[str]:
    at, wanted = zip(*EDGES_OF_PAIRS[name], strict=True)
    xp, function = backend.namespace, getattr(backend.namespace, name)
    gradient = anyjac.grad(lambda x, y: xp.sum(function(x, y)), argnums=(0, 1), backend=backend)
    found = [
        backend.to_numpy(part) for part in gradient(*(backend.asarray(np.array(x)) for x in zip(*at, strict=True)))
    ]
    return [
        f"the derivatives at {point} are {pair}, not {right}"
        for point, pair, right in zip(at, zip(*found, strict=True), wanted, strict=True)
        if not _pair_agrees(pair, right)
    ]


def _pair_agrees(found: Sequence[float], wanted: tuple[float | None, float | None] | str) -> bool:
    if isinstance(wanted, str):
        return min(found) >= 0 and abs(sum(found) - 1) < 1e-12
    return all(right is None or _agrees(mine, right) for mine, right in zip(found, wanted, strict=True))


def _agrees(found: Any, wanted: Any) -> bool:
    """Return whether a derivative is as it should be; where it is infinite, a NaN will do, but no number."""
    if np.isinf(wanted):
        return bool(found == wanted or np.isnan(found))
    return bool(abs(found - wanted) <= 1e-7 * abs(wanted) + 1e-12)
