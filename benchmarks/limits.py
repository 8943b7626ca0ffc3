"""Bounds on the speed of a Jacobian, in plain NumPy: the time to fill its result, or to multiply its matrices.

For a perceptron ``y = W3' tanh(W2' tanh(W1' x + b1) + b2)`` the Jacobian is ``W3' D2 W2' D1 W1'``, where the diagonal
``D = 1 - tanh^2``; two of its products have as many rows as the output, and nothing else counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Limit:
    """A bound: its description, and the work itself."""

    name: str
    thunk: Callable[[], Any]


def fill(*shapes: tuple[int, ...]) -> Limit:
    """Write each number of the result once, into new memory."""
    return Limit("fill", lambda: [np.full(shape, 0.0) for shape in shapes])


def products(weights: Sequence[Array], point: Array) -> Limit:
    """Multiply the chain out, from the output back, with its values computed on the way."""
    first, bias1, second, bias2, last = weights

    def chain() -> Any:
        inner = np.tanh(point @ first + bias1)
        outer = np.tanh(inner @ second + bias2)
        return (last.T * (1 - outer**2)) @ second.T * (1 - inner**2) @ first.T

    return Limit("products", chain)
