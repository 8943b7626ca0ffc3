"""Train a classifier whose weights are Variables by Newton's method with conjugate gradients, without its Hessian.

Logistic regression on labels that are drawn from a known model, with a penalty on the weights. Each iteration solves
for the Newton step by conjugate gradients, which need products of the Hessian with vectors and nothing else, and only
as exactly as is of use: J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed., Springer, 2006, algorithm 7.1.

Run it with ``python examples/newton_cg.py --backend torch``, and with ``--small`` for a problem of a moment.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import anyjac

Tree = dict[str, Any]

PENALTY = 1e-3


class Classifier:
    """Tells two classes of points apart by a plane, and counts how often it was asked."""

    def __init__(self, features: int, backend: anyjac.Backend):
        self.normal = anyjac.TrainVar(np.zeros(features), backend=backend)
        self.offset = anyjac.TrainVar(np.zeros(()), backend=backend)
        self.runs = anyjac.Variable(0, backend=backend)

    def __call__(self, points: Any, labels: Any) -> Any:
        """Return the mean of -log(probability of the right class), and the penalty on the normal."""
        xp = anyjac.array_namespace(points)
        self.runs += 1
        normal = self.normal.value
        margins = labels * (xp.matmul(points, normal) + self.offset)
        return xp.mean(xp.logaddexp(xp.zeros_like(margins), -margins)) + 0.5 * PENALTY * xp.sum(normal**2)


@dataclass
class Report:
    """What an optimisation came to: per iteration the loss, the norm of the gradient and the products so far."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    products: list[int] = field(default_factory=list)

    def print_last(self) -> None:
        """Print one line on the last iteration."""
        print(f"{len(self.losses) - 1:4}  {self.losses[-1]:14.12f}  {self.norms[-1]:9.2e}  {self.products[-1]:8}")


def make_data(points: int, features: int, backend: anyjac.Backend) -> tuple[Any, Any]:
    """Draw points, and the label 1 or -1 of each by a logistic model."""
    random = np.random.default_rng(0)
    drawn = random.normal(size=(points, features)) / np.sqrt(np.arange(1.0, features + 1.0))
    margins = drawn @ random.normal(size=features) + 0.5
    labels = np.where(random.uniform(size=points) < 1.0 / (1.0 + np.exp(-margins)), 1.0, -1.0)
    return backend.asarray(drawn), backend.asarray(labels)


def dot(one: Tree, other: Tree) -> float:
    """Multiply two trees of arrays, as the vectors that they are."""
    return sum(float((one[name] * other[name]).sum()) for name in one)


def moved(one: Tree, length: float, other: Tree) -> Tree:
    """Return one tree plus a multiple of another."""
    return {name: one[name] + length * other[name] for name in one}


def newton_step(product: Callable[[Tree], Tree], gradient: Tree, tolerance: float) -> tuple[Tree, int]:
    """Solve for the step by conjugate gradients, to a residual of the given norm; return how many products it took."""
    step = {name: 0.0 * part for name, part in gradient.items()}
    residual = {name: -part for name, part in gradient.items()}
    direction, square, products = residual, dot(residual, residual), 0
    while square > tolerance**2 and products < 500:
        curved = product(direction)
        products += 1
        length = square / dot(direction, curved)
        step, residual = moved(step, length, direction), moved(residual, -length, curved)
        square, before = dot(residual, residual), square
        direction = moved(residual, square / before, direction)
    return step, products


def train(model: Classifier, points: Any, labels: Any, tolerance: float = 1e-10, iterations: int = 30) -> Report:
    """Move the weights of a model to where the gradient of its loss is at most `tolerance`."""
    weights = anyjac.train_vars(model)
    gradient_and_loss = anyjac.grad(model, weights, return_value=True)
    product = anyjac.hvp(model, weights)
    report, products = Report(), 0
    print("iter  loss            gradient   products")
    for _ in range(iterations):
        gradient, loss = gradient_and_loss(points, labels)
        norm = dot(gradient, gradient) ** 0.5
        report.losses.append(float(loss))
        report.norms.append(norm)
        report.products.append(products)
        report.print_last()
        if norm <= tolerance:
            break
        step, taken = newton_step(lambda v: product(v, points, labels), gradient, min(0.5, norm**0.5) * norm)
        products += taken
        walk(model, weights, step, dot(gradient, step), report.losses[-1], points, labels)
    return report


def walk(model: Classifier, weights: Tree, step: Tree, slope: float, loss: float, points: Any, labels: Any) -> None:
    """Add the step to the weights, halved until the loss falls as its slope promises."""
    start, length = {name: variable.value for name, variable in weights.items()}, 1.0
    while True:
        for name, value in moved(start, length, step).items():
            weights[name].value = value
        # Near the minimum the loss does not fall by more than its roundings.
        if length < 1e-6 or float(model(points, labels)) <= loss + 1e-4 * length * slope + 1e-15:
            return
        length /= 2


def main(backend: str | None = None, points: int = 4000, features: int = 2000) -> tuple[Classifier, Report]:
    """Train on drawn data, print each iteration, and compare its cost with that of the matrix."""
    chosen = anyjac.get_backend(backend)
    model = Classifier(features, chosen)
    report = train(model, *make_data(points, features, chosen))
    print(f"\n{features + 1} weights: {report.products[-1]} products, {int(model.runs)} runs of the model")
    print(f"the Hessian would have {features + 1} rows and take {8e-6 * (features + 1) ** 2:.1f} MB")
    return model, report


if __name__ == "__main__":
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when JAX is imported, which is not before it is chosen
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", metavar="NAME", help="autograd, jax, torch or another that is installed")
    parser.add_argument("--small", action="store_true", help="200 points of 20 features")
    arguments = parser.parse_args()
    main(arguments.backend, *((200, 20) if arguments.small else ()))
