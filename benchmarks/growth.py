"""How cost grows with the number of outputs m and of inputs n: families of problems that differ in size alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .problems import Problem, diagonal, perceptron, tall


@dataclass(frozen=True)
class Family:
    """Problems of growing size, and the name of their size."""

    name: str
    grows: str
    sizes: tuple[int, ...]
    problem: Callable[[int], Problem]


FAMILIES: Final = (
    Family("MLP 64 -> m", "outputs m", (1, 4, 16, 64, 256, 1024), lambda m: perceptron("", 64, m)),
    Family("tanh n -> n", "inputs and outputs n", (10, 30, 100, 300, 1000, 3000), lambda n: diagonal("", n)),
    Family("tall 10 -> m", "outputs m", (10, 100, 1000, 10_000), lambda m: tall("", m)),
)
