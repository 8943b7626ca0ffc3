"""The smallest Jacobian, 3 -> 3, by everybody: ``python -m pytest -n 0 benchmarks/test_small.py``.

pytest-benchmark compares the times of a run with the times of earlier runs, kept by ``--benchmark-autosave``.
"""

from __future__ import annotations

from typing import Any

import pytest

from .contenders import ARENAS, arena_named
from .problems import PROBLEMS

SMALLEST = PROBLEMS[0]
CASES = [(arena.name, name) for arena in ARENAS if arena.is_there for name in arena.contenders()]
WARM_UP = 12
"""Calls before the first timed call, so that compilers have compiled."""


@pytest.mark.parametrize(("arena", "contender"), CASES)
def test_the_smallest_jacobian(benchmark: Any, arena: str, contender: str) -> None:
    """Time one contender, in the group of its arena."""
    benchmark.group = arena
    thunk = arena_named(arena).contenders()[contender](SMALLEST)
    for _ in range(WARM_UP):
        thunk()
    benchmark(thunk)
