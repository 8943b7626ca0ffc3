"""Central differences along a direction, with what is known of their errors.

Works on NumPy arrays on the host, a list of them for each point, direction and value; knows nothing of backends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Floats = np.ndarray[Any, Any]
Vector = Sequence[Floats]
"""One array of float64 or complex128 for each leaf."""

SHRINK: Final = 8.0
"""By how much steps become smaller where the first one will not do."""
LEVELS: Final = 8
NOISE: Final = 4.0
"""How many roundings of the largest value a difference is allowed for."""


@dataclass(frozen=True)
class Difference:
    """A derivative along a direction by differences, leaf by leaf; not a number where the function was not finite.

    Attributes
    ----------
    values
        The derivative of each element.
    noise
        How far rounding of the function's values may have moved it.
    uncertainty
        How far off it may be for any reason, by comparison of two steps.
    """

    values: Vector
    noise: Vector
    uncertainty: Vector


class Differences:
    """A function near a point.

    Parameters
    ----------
    evaluate
        The function, from one point to its values there.
    point
        The point.
    eps
        Spacing of the numbers that it computes with, at 1.
    step
        The first step, in units of the direction; None for the fifth root of `eps`, which balances the errors of
        truncation and of rounding in an extrapolated central difference.
    floor
        How large the numbers are that the function rounds, where its values do not show it.
    """

    def __init__(
        self, evaluate: Callable[[Vector], Vector], point: Vector, eps: float, step: float | None, floor: float = 0.0
    ):
        self._floor = floor
        self._evaluate = evaluate
        self._point = point
        self._eps = eps
        self.step = eps**0.2 if step is None else step
        self._levels = LEVELS if step is None else LEVELS // 2

    def steps(self) -> list[float]:
        """Return the steps to try, one after the other, until rounding is all that they see."""
        all_steps = [self.step / SHRINK**level for level in range(self._levels)]
        smallest = min(32 * self._eps, all_steps[1])
        return [step for step in all_steps if step >= smallest]

    def along(self, direction: Vector) -> Iterator[Difference]:
        """Yield the derivative along a direction, each time from one step more: for each element its best estimate."""
        best: Difference | None = None
        for step in self.steps():
            found = self._extrapolated(direction, step)
            best = found if best is None else _better(best, found)
            yield best

    def best(self, direction: Vector) -> Difference:
        """Return the derivative along a direction from all steps."""
        *_, last = self.along(direction)
        return last

    def bends(self, direction: Vector, value: Vector) -> list[Floats]:
        """Return how much the slopes ahead and behind differ, where that does not vanish with the step: at kinks."""
        wide, narrow = (self._bend(direction, value, step) for step in (self.step, self.step / SHRINK))
        return [np.where(small > large / 2, small, 0.0) for large, small in zip(wide, narrow, strict=True)]

    def _bend(self, direction: Vector, value: Vector, step: float) -> list[Floats]:
        ahead, behind = self._at(direction, step), self._at(direction, -step)
        with np.errstate(all="ignore"):
            return [abs(a - 2 * y + b) / step for a, b, y in zip(ahead, behind, value, strict=True)]

    def _at(self, direction: Vector, step: float) -> Vector:
        with np.errstate(all="ignore"):
            return self._evaluate([x + step * d for x, d in zip(self._point, direction, strict=True)])

    def _extrapolated(self, direction: Vector, step: float) -> Difference:
        """Combine two central differences so that the error of second order goes away, after L. F. Richardson."""
        sides = [self._at(direction, signed) for signed in (step, -step, step / 2, -step / 2)]
        values, noise, uncertainty = [], [], []
        with np.errstate(all="ignore"):
            for ahead, behind, near, near_behind in zip(*sides, strict=True):
                wide, narrow = (ahead - behind) / (2 * step), (near - near_behind) / step
                value = (4 * narrow - wide) / 3
                largest = float(np.max(abs(near), initial=self._floor))
                rounding = NOISE * self._eps * (largest + abs(value)) / step  # of values, and of the steps themselves
                values.append(value)
                noise.append(rounding)
                uncertainty.append(abs(value - narrow) + rounding)
        return Difference(values, noise, uncertainty)


def _better(one: Difference, other: Difference) -> Difference:
    """Take for each element the difference that is less uncertain, or is finite at all."""
    parts: tuple[list[Floats], list[Floats], list[Floats]] = ([], [], [])
    for index in range(len(one.values)):
        old, new = one.uncertainty[index], other.uncertainty[index]
        takes: Floats = np.isfinite(new) & ~(old <= new)
        for part, before, after in zip(
            parts,
            (one.values[index], one.noise[index], old),
            (other.values[index], other.noise[index], new),
            strict=True,
        ):
            part.append(np.where(takes, after, before))
    return Difference(*parts)
