"""Derivatives on autograd of functions with primitives from elsewhere, whose rules compute past autograd."""

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.core import make_vjp
from autograd.extend import defvjp, defvjp_argnums, primitive
from autograd.tracer import getval, isbox

import anyjac

X = np.array([0.5, -1.0, 2.0])
Function = Callable[[Any], Any]


def squared(rule: Callable[[Any, Any], Any]) -> Function:
    """Return a square with a rule for one cotangent, which is given the argument too."""

    @primitive
    def square(x: Any) -> Any:
        return x**2

    defvjp(square, lambda ans, x: lambda g: rule(g, x))
    return square  # type: ignore[no-any-return]


def refusing(error: type[Exception]) -> Callable[[Any, Any], Any]:
    def rule(g: Any, x: Any) -> Any:
        if isbox(g):
            raise error("a plain row")
        return 2 * g * x

    return rule


def plain(value: Any) -> Any:
    while isbox(value):
        value = getval(value)
    return value


class Maker:
    """A maker of rules that has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, argnums: Any, ans: Any, args: Any, kwargs: Any) -> Any:
        return lambda g: [2 * g * args[0]]


@primitive
def made(x: Any) -> Any:
    return x**2


defvjp_argnums(made, Maker())

ERRORS = (TypeError, KeyError, ZeroDivisionError, AssertionError, OSError, StopIteration, RecursionError)

FUNCTIONS: dict[str, Function] = {
    **{f"a rule that raises {error.__name__}": squared(refusing(error)) for error in ERRORS},
    "a rule in plain NumPy": squared(lambda g, x: 2 * plain(g) * x),
    "a rule that hides a half": squared(lambda g, x: (g + plain(g)) * x),
    "a rule with numbers of Python": squared(lambda g, x: 2 * np.array([float(each) for each in g]) * x),
    "a rule that puts into an array": squared(lambda g, x: np.diag(2 * x).dot(g)),
    "a maker without a hash": made,
    "two outputs": lambda x: anp.concatenate([squared(lambda g, x: 2 * plain(g) * x)(x), anp.sin(x)]),
}


def native_rows(f: Function) -> Any:
    pull, y = make_vjp(f, X)
    return np.array([pull(seed) for seed in np.eye(y.size)])


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd], ids=["jacrev", "jacfwd"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobians_are_those_of_autograd(name: str, transform: Any) -> None:
    f = FUNCTIONS[name]
    expected = native_rows(f)
    for jacobian in (transform(f), anyjac.jit(transform(f)), transform(f, chunk_size=2)):
        for _ in range(2):
            np.testing.assert_allclose(jacobian(X), expected, rtol=1e-12)


def test_tangents_of_complex_results_and_by_several_arguments_go_by_rows_too() -> None:
    hidden = squared(lambda g, x: np.real(2 * plain(g) * x))
    arguments = anyjac.jacfwd(lambda x, y: hidden(x) * y, argnums=(0, 1))(X, X + 1)
    np.testing.assert_allclose(arguments[0], np.diag(2 * X * (X + 1)))
    np.testing.assert_allclose(arguments[1], np.diag(X**2))
    push = anyjac.linearize(lambda x: hidden(x) * (1 + 2j))(X)
    np.testing.assert_allclose(push(X), 2 * X * X * (1 + 2j))
