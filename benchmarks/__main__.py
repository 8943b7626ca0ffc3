"""Run the benchmarks: ``python -m benchmarks [--quick] [--backend NAME] [--problem TEXT] [--out DIR]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .contenders import ARENAS, OURS, Arena
from .memory import peak_in_a_process
from .operations import Operations
from .problems import PROBLEMS, Problem
from .tables import Row, render, write
from .timing import interleave

MEMORY = ("tall 10^4 x 10",)
"""Problems whose peak of memory is measured too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems, one round: only that it runs")
    parser.add_argument("--backend", action="append", choices=[arena.backend for arena in ARENAS])
    parser.add_argument("--problem", metavar="TEXT", help="only problems whose name has this in it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write benchmarks.md and benchmarks.json there")
    options = parser.parse_args(arguments)
    rows = [
        _run(arena, problem, quick=options.quick)
        for arena in ARENAS
        if arena.backend in (options.backend or [arena.backend])
        for problem in PROBLEMS
        if (options.problem or "") in problem.name and (problem.quick or not options.quick)
    ]
    print(render(rows), end="")
    if options.out is not None:
        write(rows, options.out)


def _run(arena: Arena, problem: Problem, *, quick: bool) -> Row:
    if arena.backend == "torch":
        import torch

        torch.set_num_threads(1)
    ops = arena.operations()
    function, point = problem.make(ops), _placed(ops, problem.point)
    jacobians = {name: make(function) for name, make in arena.contenders().items()}
    thunks = {name: _thunk(arena, jacobian, point) for name, jacobian in jacobians.items()}
    times = interleave(thunks, rounds=1 if quick else 9, seconds=0.0 if quick else 0.05)
    measured = [] if quick or problem.name not in MEMORY else [next(iter(thunks)), OURS]
    peaks = {name: peak_in_a_process(arena.backend, name, problem.name) for name in measured}
    return Row(arena.backend, problem.name, times, peaks)


def _placed(ops: Operations, point: Any) -> Any:
    if isinstance(point, dict):
        return {name: ops.asarray(value) for name, value in point.items()}
    return ops.asarray(point)


def _thunk(arena: Arena, jacobian: Any, point: Any) -> Any:
    return lambda: arena.wait(jacobian(point))


if __name__ == "__main__":
    main()
