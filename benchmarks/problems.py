"""The functions whose Jacobians are timed: small and large, dense, banded and diagonal, tall and wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .limits import Limit, fill, products
from .operations import Operations

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Problem:
    """A function, made for one framework, and the point of its Jacobian.

    Parameters
    ----------
    name
        The name in the tables.
    make
        Makes the function, given a framework's operations.
    point
        An array, or a dict of arrays.
    limit
        A bound on the speed of any Jacobian, where one is known.
    order
        How often the Jacobian is taken.
    quick
        Whether a run of seconds, to show that the benchmarks run, includes the problem.
    """

    name: str
    make: Callable[[Operations], Function]
    point: Any
    limit: Limit | None = None
    order: int = 1
    quick: bool = False

    def placed(self, ops: Operations) -> Any:
        """Return the point in a framework's arrays."""
        if isinstance(self.point, dict):
            return {name: ops.asarray(value) for name, value in self.point.items()}
        return ops.asarray(self.point)

    def derivative(self, jacobian: Callable[[Function], Function], function: Function) -> Function:
        """Return the Jacobian of the function, or that of its Jacobian."""
        for _ in range(self.order):
            function = jacobian(function)
        return function


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def perceptron(
    name: str, inputs: int, outputs: int, hidden: int = 256, *, order: int = 1, quick: bool = False
) -> Problem:
    """Return a perceptron of two hidden layers, whose Jacobian is dense."""
    random = _random()
    shapes = ((inputs, hidden), (hidden,), (hidden, hidden), (hidden,), (hidden, outputs))
    weights = [random.normal(size=shape) / np.sqrt(shape[0]) for shape in shapes]
    point = _random(inputs).normal(size=inputs)

    def make(ops: Operations) -> Function:
        first, bias1, second, bias2, last = map(ops.asarray, weights)
        return lambda x: ops.tanh(ops.tanh(x @ first + bias1) @ second + bias2) @ last

    return Problem(name, make, point, products(weights, point) if order == 1 else None, order, quick)


def diagonal(name: str, size: int) -> Problem:
    """Return tanh of each element."""
    return Problem(name, lambda ops: ops.tanh, _random(6).normal(size=size), fill((size, size)))


def tall(name: str, outputs: int, inputs: int = 10) -> Problem:
    """Return a function of many more outputs than inputs."""
    make = _through_a_matrix(inputs, outputs, tanh_first=False)
    return Problem(name, make, _random(9).normal(size=inputs), fill((outputs, inputs)))


def _lorenz_96(ops: Operations) -> Function:
    return lambda x: (ops.roll(x, -1) - ops.roll(x, 2)) * ops.roll(x, 1) - x + 8.0


def _lorenz_63(ops: Operations) -> Function:
    return lambda x: ops.stack([10.0 * (x[1] - x[0]), x[0] * (28.0 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]])


def _brusselator(cells: int) -> Callable[[Operations], Function]:
    diffusion = 0.02 * (cells + 1) ** 2 * 1e-3

    def make(ops: Operations) -> Function:
        def spread(u: Any) -> Any:
            return diffusion * (ops.concat([u[1:], u[-1:]]) - 2 * u + ops.concat([u[:1], u[:-1]]))

        def slope(y: Any) -> Any:
            u, v = y[:cells], y[cells:]
            reaction = u * u * v
            return ops.concat([1.0 + reaction - 4.0 * u + spread(u), 3.0 * u - reaction + spread(v)])

        return slope

    return make


def _recurrent_cell(ops: Operations) -> Function:
    random = _random(1)
    state, given = ops.asarray(random.normal(size=64)), ops.asarray(random.normal(size=60))
    return lambda p: ops.tanh(ops.tanh(state @ p["W"] + given @ p["U"] + p["b"]) @ p["O"])


_SHAPES: Final = {"W": (64, 64), "U": (60, 64), "b": (64,), "O": (64, 32)}


def _parameters() -> dict[str, Any]:
    random = _random(2)
    return {name: random.normal(size=shape) / 8 for name, shape in _SHAPES.items()}


def _through_a_matrix(rows: int, columns: int, *, tanh_first: bool) -> Callable[[Operations], Function]:
    matrix = _random(3).normal(size=(rows, columns)) / np.sqrt(rows)

    def make(ops: Operations) -> Function:
        weights = ops.asarray(matrix)
        return lambda x: ops.tanh((ops.tanh(x) if tanh_first else x) @ weights)

    return make


TALL: Final = "tall 10^4 x 10"
PROBLEMS: Final = (
    Problem("3 -> 3", _lorenz_63, np.array([1.0, 2.0, 3.0]), quick=True),
    perceptron("MLP m=10", 64, 10),
    perceptron("MLP m=100", 64, 100),
    perceptron("MLP m=1000", 64, 1000),
    perceptron("MLP 64", 64, 64, quick=True),
    perceptron("MLP 256", 256, 256),
    diagonal("tanh 1000", 1000),
    Problem("Lorenz-96 1000", _lorenz_96, _random(7).normal(size=1000), fill((1000, 1000))),
    Problem("Brusselator 1000", _brusselator(500), _random(8).uniform(0.5, 1.5, 1000), fill((1000, 1000))),
    Problem("RNN parameters", _recurrent_cell, _parameters(), fill(*((32, *shape) for shape in _SHAPES.values()))),
    tall(TALL, 10_000),
    Problem(
        "wide 10 x 10^4",
        _through_a_matrix(10_000, 10, tanh_first=True),
        _random(10).normal(size=10_000),
        fill((10, 10_000)),
    ),
    perceptron("jac(jac) MLP 10", 10, 10, hidden=64, order=2),
)
