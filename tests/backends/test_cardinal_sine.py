"""`numpy.sinc` on the NumPy backend: derivatives of any order, at zero and on both sides of where the series ends."""

import math

import numpy as np
import pytest

import anyjac

POINTS = [0.0, 1e-9, -1e-4, 0.01, 0.0499999, 0.0500001, -0.3, 1.0, 2.5]


def slope(x: float) -> float:
    """Return the derivative by enough of its series, whose terms alternate and are small for all these points."""
    terms = [
        (-1) ** n * 2 * n * math.pi ** (2 * n) * x ** (2 * n - 1) / math.factorial(2 * n + 1) for n in range(1, 30)
    ]
    return math.fsum(terms)


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
def test_the_slope_of_sinc_is_right_near_zero_and_away_from_it(transform: anyjac.GradientTransform) -> None:
    found = transform(np.sinc)(np.array(POINTS))
    np.testing.assert_allclose(found, np.diag([slope(x) for x in POINTS]), rtol=1e-10, atol=1e-15)


def test_higher_derivatives_of_sinc_at_zero_are_those_of_its_series() -> None:
    derivative, found = np.sinc, []
    for _ in range(4):
        derivative = anyjac.grad(derivative)
        found.append(float(derivative(np.array(0.0))))
    np.testing.assert_allclose(found, [0.0, -(math.pi**2) / 3, 0.0, math.pi**4 / 5], rtol=1e-12)


def test_sinc_keeps_single_precision() -> None:
    assert anyjac.grad(np.sinc)(np.float32(0.02)).dtype == np.float32
