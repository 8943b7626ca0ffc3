"""Everything that is measured, part by part, in the order of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import cold
from .contenders import LIMIT, Arena
from .growth import FAMILIES
from .imports import import_row
from .members import MEMBER_PROBLEMS, member_rows
from .memory import MEASURED, memory_row
from .problems import PROBLEMS, Problem
from .samples import GROWTH, HOT, IMPORT, MEMBERS, Row, Samples
from .timing import FULL, QUICK, SHORT, Effort, interleave


@dataclass(frozen=True)
class Plan:
    """The measurements to make, and their effort.

    Parameters
    ----------
    arenas
        The arenas that take part.
    problem
        A part of the names of the problems to measure.
    growth_alone
        Whether nothing but growth is measured.
    imports
        Whether the import of anyjac is measured, which belongs to no arena.
    quick
        Whether few rounds suffice, to show that everything runs.
    """

    arenas: Sequence[Arena]
    problem: str = ""
    growth_alone: bool = False
    imports: bool = True
    quick: bool = False

    @property
    def problems(self) -> list[Problem]:
        """The problems to measure."""
        return [found for found in PROBLEMS if self.problem in found.name and (found.quick or not self.quick)]


def is_measured(row: Row) -> bool:
    """Return whether the problem of a row still exists at its size."""
    if row.kind == GROWTH:
        return any(row.problem == family.name and row.size in family.sizes for family in FAMILIES)
    if row.kind == MEMBERS:
        return row.problem in {member.name for member in MEMBER_PROBLEMS}
    return row.kind == IMPORT or row.problem in {problem.name for problem in PROBLEMS}


def measure(plan: Plan) -> Iterator[Row]:
    """Make the measurements of a plan, row by row."""
    if not plan.growth_alone:
        yield from _calls(plan)
        yield from member_rows(plan.arenas, plan.problem, QUICK if plan.quick else FULL, quick=plan.quick)
        yield from _cold_calls(plan)
        yield from _memory(plan)
        if plan.imports:
            yield import_row(QUICK if plan.quick else FULL)
    if plan.growth_alone or not plan.problem:
        yield from _growth(plan)


def _calls(plan: Plan) -> Iterator[Row]:
    for arena in plan.arenas:
        for problem in plan.problems:
            if arena.takes(problem):
                yield Row(HOT, arena.name, problem.name, _timed(arena, problem, QUICK if plan.quick else FULL))


def _cold_calls(plan: Plan) -> Iterator[Row]:
    for arena in plan.arenas:
        for problem in plan.problems if arena.name == cold.ARENA else ():
            yield from cold.cold_rows(arena, problem, QUICK if plan.quick else SHORT)


def _memory(plan: Plan) -> Iterator[Row]:
    for arena in plan.arenas:
        for problem in plan.problems:
            if problem.name in MEASURED:
                yield memory_row(arena, problem)


def _growth(plan: Plan) -> Iterator[Row]:
    for arena in plan.arenas:
        for family in FAMILIES:
            for size in family.sizes[:2] if plan.quick else family.sizes:
                values = _timed(arena, family.problem(size), QUICK if plan.quick else SHORT)
                yield Row(GROWTH, arena.name, family.name, values, size)


def _timed(arena: Arena, problem: Problem, effort: Effort) -> dict[str, Samples]:
    thunks = {name: make(problem) for name, make in arena.contenders().items()}
    if problem.limit is not None:
        thunks[LIMIT] = problem.limit.thunk
    return interleave(thunks, effort)
