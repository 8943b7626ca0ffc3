"""The conformance suite against the first-party backends: every scenario on every backend, none skipped."""

import pytest

import anyjac
from anyjac_conformance import NOT_DECLARED, PASSED, Scenario, all_scenarios, run_scenario

SCENARIOS = all_scenarios()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_scenario(backend: anyjac.Backend, scenario: Scenario, record_property) -> None:
    result = run_scenario(scenario, backend)
    record_property("conformance", (result.backend, result.status))
    if result.status not in (PASSED, NOT_DECLARED):
        raise AssertionError(f"{scenario.id} on {backend.name}:\n" + "\n".join(result.faults)) from result.error
