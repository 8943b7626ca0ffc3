"""Derivatives through the solvers of diffrax, optimistix and lineax, whose rules and primitives are their own."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix
import pytest

import anyjac
from anyjac import jacrev

X = jnp.asarray([0.5, 1.5])
ADJOINTS = {
    "RecursiveCheckpointAdjoint": diffrax.RecursiveCheckpointAdjoint(),
    "DirectAdjoint": diffrax.DirectAdjoint(),
    "BacksolveAdjoint": diffrax.BacksolveAdjoint(),
}
CONTROLLERS = {
    "ConstantStepSize": diffrax.ConstantStepSize(),
    "PIDController": diffrax.PIDController(rtol=1e-4, atol=1e-6),
}


def decayed(adjoint: Any, controller: Any) -> Callable[[Any], Any]:
    """Return the solution of a differential equation at its end."""

    def solve(x: Any) -> Any:
        term = diffrax.ODETerm(lambda t, y, args: -y * args)
        solution = diffrax.diffeqsolve(
            term, diffrax.Tsit5(), 0.0, 0.3, 0.1, x, args=jnp.asarray(2.0), adjoint=adjoint,
            stepsize_controller=controller, max_steps=16,
        )  # fmt: skip
        return solution.ys[-1]

    return solve


def linear_solution(x: Any) -> Any:
    return lineax.linear_solve(lineax.MatrixLinearOperator(jnp.diag(x) + 1.0), jnp.ones(2)).value


def root(x: Any) -> Any:
    return optimistix.root_find(lambda y, args: y**2 - args, optimistix.Newton(1e-8, 1e-8), jnp.ones(2), x).value


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **{f"{a} {c}": decayed(adjoint, way) for a, adjoint in ADJOINTS.items() for c, way in CONTROLLERS.items()},
    "lineax": linear_solution,
    "optimistix": root,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_first_calls_are_those_of_jax(name: str) -> None:
    anyjac.cache_clear("jax")
    expected = jax.jacrev(FUNCTIONS[name])(X)
    for _ in range(2):
        np.testing.assert_allclose(jacrev(FUNCTIONS[name])(X), expected, rtol=1e-9, atol=1e-12)
