"""How fast anyjac has to be: a table of targets, and whether a report meets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from . import members
from .imports import BARE, IMPORTED
from .members import MEMBER_PROBLEMS, ROSENBROCK
from .names import OURS, OURS_COMPILED
from .problems import PROBLEMS, TALL
from .samples import FIRST, HOT, IMPORT, MEMBERS, MEMORY, SECOND, Report, Row


@dataclass(frozen=True)
class Target:
    """The most that a contender may need.

    Times are divided by the reference's. Extra memory is in megabytes (10^6 bytes), the import in milliseconds over
    the reference.
    """

    kind: str
    arena: str
    contender: str
    reference: str
    problem: str
    at_most: float

    def found(self, row: Row) -> float:
        """Return the number that a row has found."""
        mine = row.values[self.contender]
        if self.kind == MEMORY:
            return mine.median
        if self.kind == IMPORT:
            return mine.beyond(row.values[self.reference]) * 1e3
        return row.ratio(self.contender, self.reference)


@dataclass(frozen=True)
class Verdict:
    """A target, and the number that was found."""

    target: Target
    found: float

    @property
    def met(self) -> bool:
        """Whether the number is within the target."""
        return self.found <= self.target.at_most

    def __str__(self) -> str:
        if self.met:
            return f"{self.target.at_most:g}: met"
        return f"{self.target.at_most:g}: missed, {self.found / self.target.at_most:.3g}x"


def _targets(kind: str, arena: str, contender: str, reference: str, at_most: Mapping[str, float]) -> Iterable[Target]:
    return (Target(kind, arena, contender, reference, problem, most) for problem, most in at_most.items())


EVERY: Final = tuple(problem.name for problem in PROBLEMS)
JITTED: Final = {**dict.fromkeys(EVERY, 1.05), "3 -> 3": 1.25}
FIRST_ORDER: Final = tuple(problem.name for problem in PROBLEMS if problem.order == 1)
AUTOGRAD: Final = {
    "3 -> 3": 1.1,
    "MLP m=10": 0.5,
    "MLP m=100": 0.12,
    "MLP m=1000": 0.067,
    "tanh 1000": 0.017,
    "Lorenz-96 1000": 0.017,
    "Brusselator 1000": 0.017,
    TALL: 0.001,
    "jac(jac) MLP 10": 0.025,
}
TORCH: Final = {
    "3 -> 3": 0.55,
    "MLP 64": 1.05,
    "MLP 256": 1.05,
    "RNN parameters": 1.05,
    "Lorenz-96 1000": 0.35,
    TALL: 0.35,
}
EVERY_MEMBER: Final = tuple(member.name for member in MEMBER_PROBLEMS)


def _members(arena: str, contender: str, at_most: Mapping[str, float]) -> Iterable[Target]:
    return _targets(MEMBERS, arena, contender, members.REFERENCES[contender], at_most)


TARGETS: Final = (
    *_targets(HOT, "autograd", OURS, "autograd.jacobian", AUTOGRAD),
    *_targets(HOT, "jax", OURS, "jax.jacrev", dict.fromkeys(EVERY, 0.2)),
    *_targets(FIRST, "jax", OURS, "jax.jacrev", dict.fromkeys(EVERY, 1.1)),
    *_targets(SECOND, "jax", OURS, "jax.jacrev", dict.fromkeys(EVERY, 1.1)),
    *_targets(HOT, "jax", OURS_COMPILED, "jax.jit(jax.jacrev)", JITTED),
    *_targets(HOT, "torch", OURS, "torch.func.jacrev", TORCH),
    *_targets(HOT, "brainpy", OURS, "brainpy.math.jacrev", dict.fromkeys(FIRST_ORDER, 0.1)),
    *_targets(HOT, "brainpy", OURS_COMPILED, "bm.jit(bm.jacrev)", {"3 -> 3": 0.5}),
    *_members("autograd", members.OURS, {ROSENBROCK: 0.5}),
    *_members("jax", members.OURS, dict.fromkeys(EVERY_MEMBER, 1.1)),
    *_members("jax", members.OURS_COMPILED, dict.fromkeys(EVERY_MEMBER, 1.1)),
    *_members("torch", members.OURS, dict.fromkeys(EVERY_MEMBER, 1.1)),
    *_members("torch", members.OURS_COMPILED, dict.fromkeys(EVERY_MEMBER, 1.1)),
    *_targets(MEMORY, "jax", OURS, "", {TALL: 40.0}),
    *_targets(MEMORY, "torch", OURS, "", {TALL: 40.0}),
    *_targets(IMPORT, BARE, IMPORTED, BARE, {IMPORTED: 30.0}),
)


def verdicts(report: Report, targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Return a verdict for each target that the report has measured."""
    rows = {(row.kind, row.arena, row.problem): row for row in report.rows}
    found = []
    for target in targets:
        row = rows.get((target.kind, target.arena, target.problem))
        if row is not None and target.contender in row.values:
            found.append(Verdict(target, target.found(row)))
    return found


def summary(found: Sequence[Verdict]) -> list[str]:
    """Return a line for each arena: how many targets are met, and which are missed by how much, the worst first."""
    lines = []
    for arena in dict.fromkeys(verdict.target.arena for verdict in found):
        own = [verdict for verdict in found if verdict.target.arena == arena]
        missed = sorted((verdict for verdict in own if not verdict.met), key=lambda v: -v.found / v.target.at_most)
        line = f"{arena}: {len(own) - len(missed)} of {len(own)} targets met"
        lines.append(line + ("; missed: " + ", ".join(map(_missed, missed)) if missed else "") + ".")
    return lines


def _missed(verdict: Verdict) -> str:
    target = verdict.target
    who = "" if target.contender in (OURS, IMPORTED, members.OURS) else f" {target.contender}"
    kind = "" if target.kind in (HOT, IMPORT, MEMBERS) else f" {target.kind}"
    return f"{target.problem}{who}{kind} {verdict.found:.4g} > {target.at_most:g}"
