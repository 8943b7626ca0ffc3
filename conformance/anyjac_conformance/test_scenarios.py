"""The scenarios as pytest's items, for ``pytest --pyargs anyjac_conformance``."""

from __future__ import annotations

import pytest

from anyjac import Backend

from .catalogue import all_scenarios, select
from .engine import run_scenario
from .expectations import Expectation, load_expectations
from .pytest_plugin import PROPERTY
from .result import EXPECTED_FAILURE, Result
from .scenario import Scenario


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item of each selected scenario."""
    if "scenario" in metafunc.fixturenames:
        chosen = select(metafunc.config.getoption("--select", None) or [])
        metafunc.parametrize("scenario", chosen, ids=[scenario.id for scenario in chosen])


@pytest.fixture(scope="session")
def expected(pytestconfig: pytest.Config) -> list[Expectation]:
    """The failures that are expected, out of the file that ``--xfail`` names."""
    path = pytestconfig.getoption("--xfail", None)
    return load_expectations(path, all_scenarios()) if path else []


def test_scenario(
    backend: Backend,
    scenario: Scenario,
    expected: list[Expectation],
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
) -> None:
    """Run one scenario on one backend."""
    device = pytestconfig.getoption("--device", None)
    result = run_scenario(scenario, backend, device=device, expected=expected)
    request.node.user_properties.append((PROPERTY, f"{result.backend}|{scenario.clause}|{result.status}"))
    if result.status == EXPECTED_FAILURE:
        pytest.xfail(result.reason)
    if result.bad:
        raise AssertionError(_message(result)) from result.error


def _message(result: Result) -> str:
    return f"{result.scenario.id} on {result.backend}:\n" + "\n".join(result.faults)
