"""All scenarios, subject by subject."""

from __future__ import annotations

from .scenario import Scenario
from .scenarios import (
    arguments,
    arrays,
    composition,
    devices,
    documented,
    dtypes,
    packing,
    selection,
    state,
    transform,
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
    arrays,
    selection,
    devices,
    documented,
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
