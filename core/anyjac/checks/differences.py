"""Central differences along a direction, with what is known of their errors.

Works on NumPy arrays on the host, a list of them for each point, direction and value; knows nothing of backends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from anyjac_plugins.errors import AnyjacError

Floats = np.ndarray[Any, Any]
Vector = Sequence[Floats]
"""One array of float64 or complex128 for each leaf."""

SHRINK: Final = 8.0
"""By how much steps become smaller where the first one will not do."""
LEVELS: Final = 8
NOISE: Final = 4.0
"""How many roundings of the largest value a difference is allowed for."""
AGREEING: Final = 3
"""How many steps, each half of the one before, have to give the same for a difference to be trusted."""


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
    bend
        How far the slopes ahead and behind are from their mean.
    """

    values: Vector
    noise: Vector
    uncertainty: Vector
    bend: Vector

    def parts(self) -> Iterator[tuple[Floats, ...]]:
        """Yield for each leaf its arrays in the four attributes."""
        yield from zip(self.values, self.noise, self.uncertainty, self.bend, strict=True)


class Differences:
    """A function near a point.

    Parameters
    ----------
    evaluate
        The function, from one point to its values there.
    point, center
        The point, and the value there.
    eps
        Spacing of the numbers that it computes with, at 1.
    step
        The first step, in units of the direction; None for the fifth root of `eps`, which balances the errors of
        truncation and of rounding in an extrapolated central difference.
    floor
        How large the numbers are that the function rounds, where its values do not show it.
    """

    def __init__(
        self,
        evaluate: Callable[[Vector], Vector],
        point: Vector,
        center: Vector,
        eps: float,
        step: float | None,
        floor: float = 0.0,
    ):
        self._floor = floor
        self._evaluate = evaluate
        self._point = point
        self._center = center
        self._eps = eps
        self.step = eps**0.2 if step is None else step
        self._levels = LEVELS if step is None else LEVELS // 2
        self.raised: Exception | None = None
        """The last error that the function raised beside the point, which is then outside of where it is defined."""

    def steps(self) -> list[float]:
        """Return the steps to try, from the widest to the last one that sees more than rounding."""
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

    def ladder(self, direction: Vector, element: Callable[[Vector], float], largest: float) -> Ladder:
        """Return the derivative of one element of the value, from each of a row of steps that are halved.

        `largest` is how large the numbers are that are rounded on the way to it.
        """
        halvings = round(np.log2(self.step / min(32 * self._eps, self.steps()[-1])))
        steps = self.step / 2.0 ** np.arange(halvings + 2)
        sides = [[element(self._at(direction, signed)) for signed in (step, -step)] for step in steps]
        with np.errstate(all="ignore"):
            ahead, behind = np.array(sides).T
            central = (ahead - behind) / (2 * steps)
            values = (4 * central[1:] - central[:-1]) / 3
            rounding = NOISE * self._eps * (max(largest, self._floor) + abs(values)) / steps[:-1]
            bend = abs(ahead - 2 * element(self._center) + behind) / (2 * steps)
        return Ladder(steps[:-1], values, abs(values - central[1:]) + rounding, bend[:-1])

    def best(self, direction: Vector) -> Difference:
        """Return the derivative along a direction from all steps."""
        *_, last = self.along(direction)
        return last

    def bends(self, direction: Vector) -> list[Floats]:
        """Return how much the slopes ahead and behind differ, where that does not vanish with the step: at kinks."""
        wide, narrow = (self._extrapolated(direction, step).bend for step in (self.step, self.step / SHRINK))
        return [np.where(small > large / 2, 2 * small, 0.0) for large, small in zip(wide, narrow, strict=True)]

    def _at(self, direction: Vector, step: float) -> Vector:
        """Return the value at a step along a direction; NaN where the function has none but an error."""
        try:
            with np.errstate(all="ignore"):
                return self._evaluate([x + step * d for x, d in zip(self._point, direction, strict=True)])
        except AnyjacError:
            raise
        except (ArithmeticError, AssertionError, RuntimeError, ValueError) as error:
            self.raised = error
            return [np.full_like(value, np.nan) for value in self._center]

    def _extrapolated(self, direction: Vector, step: float) -> Difference:
        """Combine two central differences so that the error of second order goes away, after L. F. Richardson."""
        sides = [self._at(direction, signed) for signed in (step, -step, step / 2, -step / 2)]
        values, noise, uncertainty, bend = [], [], [], []
        with np.errstate(all="ignore"):
            for ahead, behind, near, near_behind, center in zip(*sides, self._center, strict=True):
                wide, narrow = (ahead - behind) / (2 * step), (near - near_behind) / step
                value = (4 * narrow - wide) / 3
                largest = float(np.max(abs(near), initial=self._floor))
                rounding = NOISE * self._eps * (largest + abs(value)) / step  # of values, and of the steps themselves
                values.append(value)
                noise.append(rounding)
                uncertainty.append(abs(value - narrow) + rounding)
                bend.append(abs(ahead - 2 * center + behind) / (2 * step))
        return Difference(values, noise, uncertainty, bend)


def _better(one: Difference, other: Difference) -> Difference:
    """Take for each element the difference that is less uncertain, or is finite at all; `other` is of a smaller step.

    Where the two contradict each other, the wider step may have gone across a kink, and is then as uncertain as they
    differ. A kink moves a slope by no more than the slopes ahead and behind differ; a step that has converged and is
    further from the narrow one than that has met no kink, and the narrow one has met the roughness of the function.
    """
    merged: list[tuple[Floats, ...]] = []
    for old, new in zip(one.parts(), other.parts(), strict=True):
        (wide, _, unsure, bend), (narrow, _, unsure_narrow, _) = old, new
        with np.errstate(all="ignore"):
            gap = abs(wide - narrow)
            rough = (gap > 2 * (bend + unsure)) & (unsure <= abs(wide) / 4)
            unsure = np.where(~rough & (gap - unsure_narrow > unsure), gap, unsure)
        takes: Floats = np.isfinite(unsure_narrow) & ~(unsure <= unsure_narrow) & ~rough
        before = (wide, old[1], unsure, bend)
        merged.append(tuple(np.where(takes, after, kept) for kept, after in zip(before, new, strict=True)))
    return Difference(*([part[index] for part in merged] for index in range(4)))


@dataclass(frozen=True)
class Ladder:
    """The derivative of one element by differences, from wide steps to narrow ones.

    Attributes
    ----------
    steps, values, uncertainty, bend
        One number for each step, as in `Difference`.
    """

    steps: Floats
    values: Floats
    uncertainty: Floats
    bend: Floats

    def refutes(self, derivative: float) -> bool:
        """Return whether the differences leave no doubt that a derivative is wrong.

        There is no doubt if several steps in a row agree on a number, by far less than the distance of that number from
        the derivative, and no other steps in a row agree on the derivative. The roughness of the function beyond
        rounding is the error of the narrower steps, times the step. Steps within the roughness do not count; nor do
        steps so narrow that the function does not change, unless a kink explains the change that wider steps saw.
        """
        finite = np.isfinite(self.values) & np.isfinite(self.uncertainty)
        known = Ladder(*(part[finite] for part in (self.steps, self.values, self.uncertainty, self.bend)))
        if not np.isfinite(derivative):
            return len(known.values) >= AGREEING
        for start in range(len(known.values) - AGREEING + 1):
            run = slice(start, start + AGREEING)
            gap = float(np.min(abs(known.values[run] - derivative)))
            if known._agrees(run, gap) and not known._supports(derivative, gap, float(known.bend[start])):
                return True
        return False

    def _agrees(self, run: slice, gap: float) -> bool:
        """Return whether steps in a row agree, up to a part of a gap, on a number that narrower ones do not put in
        doubt.
        """
        values, steps = self.values[run], self.steps[run]
        if np.ptp(values) > gap / 4 or np.any(self.uncertainty[run] > gap):
            return False
        agreed = values[int(np.argmin(self.uncertainty[run]))]
        after = slice(run.stop, None)
        roughness = float(np.max(abs(self.values[after] - agreed) * self.steps[after], initial=0.0))
        return bool(2 * roughness / steps[-1] <= gap / 4)

    def _supports(self, derivative: float, gap: float, bend: float) -> bool:
        """Return whether steps in a row agree on the derivative, up to a part of a gap."""
        close = (abs(self.values - derivative) <= gap / 2) & (self.uncertainty <= gap / 4)
        if gap > 2 * bend:
            close &= self.values != 0.0
        return any(np.all(close[start : start + AGREEING]) for start in range(len(close) - AGREEING + 1))

    def extent(self) -> tuple[float, float]:
        """Return the least and the largest of the estimates that are more than their uncertainty, or of all."""
        finite = np.isfinite(self.values)
        some = finite & (self.uncertainty <= abs(self.values))
        values = self.values[some if np.any(some) else finite]
        return float(np.min(values)), float(np.max(values))
