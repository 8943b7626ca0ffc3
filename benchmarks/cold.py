"""The first and the second call of new functions on JAX, where later calls may be compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, Final

from .contenders import Arena
from .names import OURS
from .operations import Operations
from .problems import Problem
from .samples import FIRST, SECOND, Row, Samples
from .timing import Effort, Thunk, time_calls

ARENA: Final = "jax"
_numbers = count(1)


def cold_rows(arena: Arena, problem: Problem, effort: Effort) -> list[Row]:
    """Time both calls, interleaved, with a new function in each round for each contender."""
    everybody = arena.contenders()
    makers = {name: everybody[name] for name in (arena.reference, OURS)}
    for maker in makers.values():
        _both_calls(maker, problem)  # fills the framework's own caches of operations
    rounds = [{name: _both_calls(maker, problem) for name, maker in makers.items()} for _ in range(effort.rounds)]
    return [
        Row(
            kind, arena.name, problem.name, {name: Samples(tuple(r[name][which] for r in rounds)) for name in rounds[0]}
        )
        for which, kind in enumerate((FIRST, SECOND))
    ]


def _both_calls(maker: Callable[[Problem], Thunk], problem: Problem) -> tuple[float, float]:
    thunk = maker(never_seen(problem))
    return time_calls(thunk), time_calls(thunk)


def never_seen(problem: Problem) -> Problem:
    """Return the problem with a constant that no earlier function had, so that no cache can know its structure."""
    factor = 1.0 + next(_numbers) * 2.0**-40

    def make(ops: Operations) -> Callable[[Any], Any]:
        function = problem.make(ops)
        return lambda x: function(x) * factor

    return replace(problem, make=make)
