"""The conformance suite of anyjac, against this backend."""

import pytest

from anyjac import Backend, get_backend
from anyjac_conformance import Scenario, all_scenarios, run_scenario


@pytest.fixture(scope="session")
def backend() -> Backend:
    return get_backend("mlx")


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda scenario: scenario.id)
def test_conformance(backend: Backend, scenario: Scenario) -> None:
    result = run_scenario(scenario, backend)
    assert not result.bad, "\n".join(result.faults)
