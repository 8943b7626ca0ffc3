"""Derivatives of functions of complex numbers in every quadrant, and on both sides of each branch cut.

The reference is a difference of the function's own values, along the cut where the point is on one, so that no value of
the other side takes part.
"""

from typing import Any

import numpy as np
import pytest

import anyjac

QUADRANTS = [
    complex(a * x, b * y) for x, y in ((0.3, 0.4), (0.4, 2.0), (2.0, 0.4), (3.0, 4.0)) for a in (1, -1) for b in (1, -1)
]
BEYOND_ONE, BELOW_ONE, NEGATIVE = (2.0, -2.0, 3.5, -3.5), (0.5, -0.5, -2.0), (-2.0, -0.3)


def real_axis(*reals: float) -> list[complex]:
    """Return points on the real axis, above and below it."""
    return [complex(real, zero) for real in reals for zero in (0.0, -0.0)]


def imaginary_axis(*parts: float) -> list[complex]:
    """Return points on the imaginary axis, right and left of it."""
    return [complex(zero, part) for part in parts for zero in (0.0, -0.0)]


ON_CUTS = {
    "acos": real_axis(*BEYOND_ONE),
    "acosh": real_axis(*BELOW_ONE),
    "asin": real_axis(*BEYOND_ONE),
    "asinh": imaginary_axis(*BEYOND_ONE),
    "atan": imaginary_axis(*BEYOND_ONE),
    "atanh": real_axis(*BEYOND_ONE),
    "log": real_axis(*NEGATIVE),
    "log10": real_axis(*NEGATIVE),
    "log1p": real_axis(-2.0, -3.0),
    "log2": real_axis(*NEGATIVE),
    "sqrt": real_axis(*NEGATIVE),
}
"""The functions with branch cuts, and points on both sides of each cut."""

WHOLE = ("cos", "cosh", "exp", "expm1", "reciprocal", "sin", "sinh", "square", "tan", "tanh")
"""Functions without cuts."""


def difference(f: Any, point: complex, step: complex) -> complex:
    """Return the slope of a function between two points that differ by a real or an imaginary step."""
    if step.imag:
        ends = [complex(point.real, point.imag + sign * step.imag) for sign in (1, -1)]
    else:
        ends = [complex(point.real + sign * step.real, point.imag) for sign in (1, -1)]
    return (f(ends[0]) - f(ends[1])) / (2 * step)


@pytest.mark.parametrize("name", [*ON_CUTS, *WHOLE])
def test_the_derivative_is_right_in_every_quadrant(backend: anyjac.Backend, name: str) -> None:
    f = getattr(backend.namespace, name)
    points = backend.asarray(np.array(QUADRANTS))
    found = backend.to_numpy(anyjac.vector_grad(f, holomorphic=True)(points))

    def value(point: complex) -> complex:
        return complex(backend.to_numpy(f(backend.asarray(np.asarray(point)))))

    expected = [difference(value, point, 1e-5) for point in QUADRANTS]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("name", ON_CUTS)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("on", ["autograd", "jax"])  # PyTorch's are those of the other side
def test_on_a_cut_the_derivative_is_that_of_the_side_of_the_value(on: str, name: str, order: int) -> None:
    backend = anyjac.get_backend(on)
    f = getattr(backend.namespace, name)
    slope = anyjac.vector_grad(f, holomorphic=True)
    transform, function = (slope, f) if order == 1 else (anyjac.vector_grad(slope, holomorphic=True), slope)

    def value(point: complex) -> complex:
        return complex(backend.to_numpy(function(backend.asarray(np.asarray([point]))))[0])

    found = backend.to_numpy(transform(backend.asarray(np.array(ON_CUTS[name]))))
    expected = [difference(value, point, 1e-5 if point.imag == 0 else 1e-5j) for point in ON_CUTS[name]]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("name", ["acos", "acosh", "asin", "asinh"])
def test_all_rows_at_once_are_on_the_side_of_the_value(name: str) -> None:
    f = getattr(anyjac.get_backend("autograd").namespace, name)
    points = np.array([*ON_CUTS[name], *QUADRANTS])
    jacobian = anyjac.jacrev(f, holomorphic=True)(points)
    one_by_one = [anyjac.grad(f, holomorphic=True)(point) for point in points]
    np.testing.assert_allclose(jacobian, np.diag(one_by_one), rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "slope"), [("acos", lambda x: -1 / np.sqrt(1 - x**2)), ("asinh", lambda x: 1 / np.sqrt(1 + x**2))]
)
def test_real_numbers_keep_their_rule(name: str, slope: Any) -> None:
    f = getattr(anyjac.get_backend("autograd").namespace, name)
    x = np.array([-0.7, 0.0, 0.3])
    np.testing.assert_allclose(anyjac.vector_grad(f)(x), slope(x), rtol=1e-15)
