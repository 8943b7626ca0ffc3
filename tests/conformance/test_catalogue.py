"""The list of clauses against the list of scenarios, and the scenarios as data."""

from collections import Counter

from anyjac_conformance import CLAUSES, all_scenarios
from anyjac_plugins import CAPABILITIES


def test_every_clause_has_a_scenario_and_every_scenario_a_clause() -> None:
    assert {scenario.clause for scenario in all_scenarios()} == set(CLAUSES)


def test_no_two_scenarios_have_the_same_id() -> None:
    assert [name for name, count in Counter(s.id for s in all_scenarios()).items() if count > 1] == []


def test_scenarios_require_known_capabilities() -> None:
    assert {name for scenario in all_scenarios() for name in scenario.requires} <= set(CAPABILITIES)


def test_every_capability_is_required_by_a_scenario() -> None:
    assert {name for scenario in all_scenarios() for name in scenario.requires} == set(CAPABILITIES)
