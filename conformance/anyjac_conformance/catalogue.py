"""All scenarios, subject by subject, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from anyjac import InputValueError

from .scenario import Scenario
from .scenarios import (
    arguments,
    arrays,
    compiled,
    composition,
    derivatives,
    devices,
    documented,
    dtypes,
    loops,
    loops_of_functions,
    loops_refused,
    loops_with_state,
    losses,
    mapping,
    modified,
    packing,
    rows,
    selection,
    state,
    transform,
    trust,
    variables,
)

SUBJECTS = (
    transform,
    packing,
    arguments,
    dtypes,
    variables,
    state,
    composition,
    derivatives,
    compiled,
    mapping,
    loops,
    loops_of_functions,
    loops_with_state,
    loops_refused,
    rows,
    trust,
    losses,
    arrays,
    selection,
    devices,
    documented,
    modified,
)


def all_scenarios() -> list[Scenario]:
    """Return every scenario of the suite.

    Examples
    --------
    >>> from anyjac_conformance import CLAUSES, all_scenarios
    >>> {scenario.clause for scenario in all_scenarios()} == set(CLAUSES)
    True
    """
    return [scenario for subject in SUBJECTS for scenario in subject.scenario]


def select(patterns: Sequence[str]) -> list[Scenario]:
    """Return the scenarios of some subjects or clauses, or of some names.

    Parameters
    ----------
    patterns
        Each a subject (``dtypes``), a clause (``dtypes/empty``) or an id (``dtypes/empty:*``), with ``*`` for any
        text. With none of them, all scenarios are returned.

    Raises
    ------
    InputValueError
        Naming a pattern that fits no scenario.

    Examples
    --------
    >>> from anyjac_conformance import select
    >>> len({scenario.clause for scenario in select(["dtypes/scalars", "devices"])})
    5
    """
    scenarios = all_scenarios()
    for pattern in patterns:
        if not any(_fits(scenario, pattern) for scenario in scenarios):
            raise InputValueError(
                f"no scenario fits {pattern!r}; give a subject, a clause or an id, as --list shows them"
            )
    return [s for s in scenarios if not patterns or any(_fits(s, pattern) for pattern in patterns)]


def _fits(scenario: Scenario, pattern: str) -> bool:
    subject, _, _ = scenario.clause.partition("/")
    return any(fnmatchcase(name, pattern) for name in (subject, scenario.clause, scenario.id))
