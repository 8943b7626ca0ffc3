"""Interleaved timing: all contenders in turn, round after round, so that a slow spell meets them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .samples import Samples

Thunk = Callable[[], Any]


@dataclass(frozen=True)
class Effort:
    """The effort of timing one problem; all times in seconds.

    Parameters
    ----------
    rounds
        Rounds of each contender, three at least where there is no time for all.
    seconds
        The time that the calls of one contender in one round are to fill.
    warm_up
        Calls before the first round, where `warm_seconds` allow them; `warm_up_at_least` in any case.
    at_most
        Time after which no further round begins.
    """

    rounds: int
    seconds: float
    warm_up: int
    warm_up_at_least: int
    warm_seconds: float
    at_most: float


FULL: Final = Effort(rounds=9, seconds=0.05, warm_up=12, warm_up_at_least=4, warm_seconds=1.0, at_most=10.0)
SHORT: Final = Effort(rounds=5, seconds=0.02, warm_up=6, warm_up_at_least=4, warm_seconds=0.5, at_most=3.0)
QUICK: Final = Effort(rounds=1, seconds=0.0, warm_up=1, warm_up_at_least=1, warm_seconds=0.0, at_most=0.0)
FEWEST_ROUNDS: Final = 3


def interleave(thunks: Mapping[str, Thunk], effort: Effort) -> dict[str, Samples]:
    """Return the seconds that one call of each thunk takes, in each round."""
    calls = {name: _calls(thunk, effort) for name, thunk in thunks.items()}
    found: dict[str, list[float]] = {name: [] for name in thunks}
    began = time.perf_counter()
    for done in range(effort.rounds):
        if done >= FEWEST_ROUNDS and time.perf_counter() - began > effort.at_most:
            break
        for name, thunk in thunks.items():
            found[name].append(time_calls(thunk, calls[name]))
    return {name: Samples(tuple(times)) for name, times in found.items()}


def _calls(thunk: Thunk, effort: Effort) -> int:
    """Warm up, and return how many calls one round takes."""
    began = time.perf_counter()
    for done in range(effort.warm_up):
        if done >= effort.warm_up_at_least and time.perf_counter() - began > effort.warm_seconds:
            break
        thunk()
    return max(1, int(effort.seconds / max(time_calls(thunk, 1), 1e-7)))


def time_calls(thunk: Thunk, calls: int = 1) -> float:
    """Return the mean seconds of a call, over a number of calls."""
    began = time.perf_counter()
    for _ in range(calls):
        thunk()
    return (time.perf_counter() - began) / calls
