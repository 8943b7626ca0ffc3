"""Derivatives of functions of complex numbers in every quadrant, and on both sides of each branch cut.

The reference is a difference of the function's own values, along the cut where the point is on one, so that no value of
the other side takes part.
"""

from typing import Any

import numpy as np
import pytest
import torch

import anyjac
from anyjac_conformance import array_api_points
from anyjac_conformance.array_api_points import DERIVATIVES, points

QUADRANTS = [
    complex(a * x, b * y) for x, y in ((0.3, 0.4), (0.4, 2.0), (2.0, 0.4), (3.0, 4.0)) for a in (1, -1) for b in (1, -1)
]
ON_CUTS = {
    name: [point for point in every if 0.1 < abs(point) < 10.0 and abs(abs(point) - 1.0) > 0.01]
    for name, every in array_api_points.ON_CUTS.items()
}
"""The functions with branch cuts, and of the points on both sides of each cut those where differences are good."""

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
def test_on_a_cut_the_derivative_is_that_of_the_side_of_the_value(
    backend: anyjac.Backend, name: str, order: int
) -> None:
    f = getattr(backend.namespace, name)
    slope = anyjac.vector_grad(f, holomorphic=True)
    transform, function = (slope, f) if order == 1 else (anyjac.vector_grad(slope, holomorphic=True), slope)

    def value(point: complex) -> complex:
        return complex(backend.to_numpy(function(backend.asarray(np.asarray([point]))))[0])

    found = backend.to_numpy(transform(backend.asarray(np.array(ON_CUTS[name]))))
    expected = [difference(value, point, 1e-5 if point.imag == 0 else 1e-5j) for point in ON_CUTS[name]]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


INVERSES = ["acos", "acosh", "asin", "asinh"]


@pytest.mark.parametrize("name", INVERSES)
def test_all_rows_at_once_are_on_the_side_of_the_value(backend: anyjac.Backend, name: str) -> None:
    f = getattr(backend.namespace, name)
    points = backend.asarray(np.array([*ON_CUTS[name], *QUADRANTS]))
    one_by_one = [complex(anyjac.grad(f, holomorphic=True)(point)) for point in points]
    for transform in (anyjac.jacrev, anyjac.jacfwd):
        jacobian = backend.to_numpy(transform(f, holomorphic=True)(points))
        np.testing.assert_allclose(jacobian, np.diag(one_by_one), rtol=1e-14)


@pytest.mark.parametrize("name", INVERSES)
def test_tangents_mapped_and_compiled_derivatives_on_torch_are_on_the_side_of_the_value(name: str) -> None:
    f: Any = getattr(anyjac.get_backend("torch").namespace, name)
    at = torch.tensor([*ON_CUTS[name], *QUADRANTS], dtype=torch.complex128)
    slopes = anyjac.vector_grad(f, holomorphic=True)
    by_tangents = torch.func.jvp(f, (at,), (torch.ones_like(at),))[1]
    for found in (by_tangents, anyjac.vmap(anyjac.grad(f, holomorphic=True))(at), anyjac.jit(slopes)(at)):
        np.testing.assert_allclose(found, slopes(at), rtol=1e-14)


@pytest.mark.parametrize("name", INVERSES)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.float64])
def test_values_on_torch_are_those_of_torch_with_the_signs_of_zeros(name: str, dtype: torch.dtype) -> None:
    far = [complex(np.inf, 0), complex(0, -np.inf), complex(np.nan, 1)]
    points = torch.tensor([*ON_CUTS[name], *QUADRANTS, 0, -0.0, 1, -1, 1j, -1j, *far], dtype=torch.complex128)
    x = points.to(dtype) if dtype.is_complex else points.real
    found, expected = getattr(anyjac.get_backend("torch").namespace, name)(x), getattr(torch, name)(x)
    assert found.dtype == dtype
    for part in ("real", "imag") if dtype.is_complex else ("real",):
        mine, theirs = np.asarray(getattr(found, part)), np.asarray(getattr(expected, part))
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(np.signbit(mine), np.signbit(theirs))


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("acos", lambda x: -1 / np.sqrt(1 - x**2)),
        ("asinh", lambda x: 1 / np.sqrt(1 + x**2)),
        ("tan", lambda x: 1 / np.cos(x) ** 2),
        ("tanh", lambda x: 1 / np.cosh(x) ** 2),
    ],
)
def test_real_numbers_keep_their_rule(name: str, slope: Any) -> None:
    f = getattr(anyjac.get_backend("autograd").namespace, name)
    x = np.array([-0.7, 0.0, 0.3])
    np.testing.assert_allclose(anyjac.vector_grad(f)(x), slope(x), rtol=1e-15)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_the_formulas_of_the_table_agree_with_differences(name: str) -> None:
    backend = anyjac.get_backend("numpy")
    f, (slope, curvature) = getattr(backend.namespace, name), DERIVATIVES[name]
    at = np.array(QUADRANTS)
    first, second = slope(at, f(at)), curvature(at, f(at))

    def slope_at(point: complex) -> complex:
        return complex(slope(np.asarray(point), f(np.asarray(point))))

    np.testing.assert_allclose(first, [difference(f, point, 1e-5) for point in QUADRANTS], rtol=1e-8)
    np.testing.assert_allclose(second, [difference(slope_at, point, 1e-5) for point in QUADRANTS], rtol=1e-7, atol=1e-9)
    assert np.isfinite([formula(points(name), f(points(name))) for formula in DERIVATIVES[name]]).all()
