"""Derivatives that MLX itself gets wrong, or to seven digits, or not at all."""

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from anyjac_mlx.lifting import lift

import anyjac

X = np.array([0.31, 0.72, 0.55])
SLOPES = {
    "cos": -np.sin(X),
    "exp": np.exp(X),
    "log10": 1 / (X * np.log(10)),
    "log2": 1 / (X * np.log(2)),
    "sin": np.cos(X),
    "tan": 1 / np.cos(X) ** 2,
}


def of(values: Any) -> mx.array:
    return mx.array(values, dtype=mx.float64)


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_a_derivative_has_all_digits_of_float64(name: str) -> None:
    xp = anyjac.get_backend("mlx").namespace
    assert np.allclose(np.array(anyjac.jacrev(getattr(xp, name))(of(X))), np.diag(SLOPES[name]), rtol=0, atol=1e-14)


def test_a_sum_of_an_array_and_itself_is_differentiated_twice() -> None:
    for function in (lambda x: (x + x) ** 3, lambda x: (x + x * 1.0) ** 3):
        hessian = anyjac.jacrev(anyjac.jacrev(function))(of([0.5]))
        assert np.allclose(np.array(hessian), 24.0)


@pytest.mark.parametrize("around", [mx.compile, mx.vmap])
def test_mlx_transforms_around_a_jacobian(around: Any) -> None:
    squares = around(anyjac.jacrev(lambda x: x**2))(of([[1.0, 2.0]]))
    assert np.array(squares).ravel().tolist() == [2.0, 0.0, 0.0, 4.0]


def test_the_gradient_of_mlx_around_a_jacobian_that_closes_over_its_argument() -> None:
    xp = anyjac.get_backend("mlx").namespace
    gradient = mx.grad(lambda w: xp.sum(anyjac.jacrev(lambda x: w * x**3)(of([1.0, 2.0]))))(of([1.0, 1.0]))
    assert np.array(gradient).tolist() == [3.0, 12.0]


def doubled(x: Any) -> Any:
    return x * 2


LOSING: dict[str, Any] = {
    "mx.compile": mx.compile(doubled),
    "mx.grad": mx.grad(doubled),
    "mx.vmap": mx.vmap(doubled),
    "mx.sin": lambda x: mx.sin(x),
    "mx.add": lambda x: mx.add(of([1.0]), x[0]),
    "np.sin": lambda x: np.sin(x),
    "float": lambda x: x * float(x[0]),
}


@pytest.mark.parametrize("name", sorted(LOSING))
def test_what_would_lose_a_derivative_is_refused(name: str) -> None:
    transform = anyjac.jacrev(LOSING[name])
    with pytest.raises((TypeError, ValueError, RuntimeError, anyjac.NotSupportedError)):
        transform(of([1.0]))


def test_a_lifted_function_is_differentiated() -> None:
    assert np.array(anyjac.jacrev(lift(mx.sigmoid))(mx.array(0.0))) == 0.25
