"""Interleaved timing: every contender in turn, round after round, so that the machine's moods meet all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Thunk = Callable[[], Any]


@dataclass(frozen=True)
class Times:
    """Seconds of one call, one entry for each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.rounds)

    def over(self, other: Times) -> tuple[float, float, float]:
        """Return lower quartile, median and upper quartile of the ratios to another's times of the same rounds."""
        ratios = sorted(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))
        if len(ratios) < 2:
            return (ratios[0],) * 3
        lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
        return lower, middle, upper


def interleave(thunks: Mapping[str, Thunk], rounds: int, seconds: float) -> dict[str, Times]:
    """Time each thunk in each round, as many calls as fill about `seconds`, after one call to warm up."""
    calls = {name: _calls(thunk, seconds) for name, thunk in thunks.items()}
    found: dict[str, list[float]] = {name: [] for name in thunks}
    for _ in range(rounds):
        for name, thunk in thunks.items():
            found[name].append(_time(thunk, calls[name]))
    return {name: Times(tuple(times)) for name, times in found.items()}


def _calls(thunk: Thunk, seconds: float) -> int:
    thunk()
    return max(1, int(seconds / max(_time(thunk, 1), 1e-7)))


def _time(thunk: Thunk, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        thunk()
    return (time.perf_counter() - began) / calls
