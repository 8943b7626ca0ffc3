"""The engine: statuses, expected failures, devices, and the ways to end after a failure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import InputValueError, NotSupportedError, jacrev
from anyjac_conformance import (
    CLAUSES,
    ERROR,
    EXPECTED_FAILURE,
    FAILED,
    NOT_DECLARED,
    PASSED,
    ConformanceError,
    Either,
    Expectation,
    Lab,
    Raises,
    Result,
    Scenario,
    all_scenarios,
    check_backend,
    load_expectations,
    run_scenario,
    select,
)

NUMPY = anyjac.get_backend("numpy")
SIX = np.array(6.0)


def scenario(observe: Callable[[Lab], Any], answer: Any = SIX, requires: tuple[str, ...] = ()) -> Scenario:
    return Scenario("of mine", "dtypes/scalars", observe, answer, frozenset(requires))


def slope(lab: Lab) -> Any:
    return jacrev(lambda x: x * x)(lab.array(3.0))


def divide(lab: Lab) -> Any:
    return 1 / 0


def refuse(lab: Lab) -> Any:
    raise NotSupportedError("no")


EITHER = Either(Raises(ZeroDivisionError, "zero"), SIX)

CASES = {
    # what happens                    scenario                                          status
    "the right answer": (scenario(slope), PASSED),
    "a wrong answer": (scenario(slope, np.array(5.0)), FAILED),
    "an exception": (scenario(divide), ERROR),
    "an exception that is the answer": (scenario(divide, Raises(ZeroDivisionError, "zero")), PASSED),
    "another message than the answer's": (scenario(divide, Raises(ZeroDivisionError, "naught")), FAILED),
    "no exception where one is the answer": (scenario(slope, Raises(ZeroDivisionError)), FAILED),
    "the right answer where an error may come": (scenario(slope, EITHER), PASSED),
    "the error in the place of an answer": (scenario(divide, EITHER), PASSED),
    "a wrong answer in the place of an error": (scenario(slope, Either(EITHER.refusal, np.array(5.0))), FAILED),
    "another error in the place of an answer": (scenario(refuse, EITHER), FAILED),
    "a refusal of what is not declared": (scenario(refuse, requires=("jit",)), NOT_DECLARED),
    "a number for what is not declared": (scenario(slope, requires=("jit",)), FAILED),
    "another error for what is not declared": (scenario(divide, requires=("jit",)), ERROR),
}


@pytest.mark.parametrize("case", CASES)
def test_each_outcome_has_its_status(case: str) -> None:
    one, status = CASES[case]
    result = run_scenario(one, NUMPY)
    assert (result.status, bool(result.faults)) == (status, status in (FAILED, ERROR))


def test_an_answer_that_cannot_be_read_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_to_read(array: Any) -> Any:
        raise RuntimeError("no stream in this thread")

    monkeypatch.setattr(NUMPY, "to_numpy", refuse_to_read)
    result = run_scenario(scenario(slope), NUMPY)
    assert (result.status, result.faults) == (
        FAILED,
        ("the result cannot be read: RuntimeError: no stream in this thread",),
    )


def test_a_result_tells_error_seconds_device_and_traceback() -> None:
    good, bad = run_scenario(scenario(slope), NUMPY), run_scenario(scenario(divide), NUMPY)
    assert (good.worst_error, good.device, good.seconds > 0) == (0.0, "cpu", True)
    assert "1 / 0" in bad.as_json()["traceback"]
    assert run_scenario(scenario(refuse, requires=("jit", "vmap")), NUMPY).reason == "jit, vmap"


def test_the_worst_error_is_relative_to_the_greatest_number() -> None:
    found = run_scenario(scenario(lambda lab: lab.array([1000.0, 1.0]), np.array([1000.0, 1.0 + 1e-11])), NUMPY)
    assert found.worst_error == pytest.approx(1e-14, rel=0.1)


# ---- expected failures ---------------------------------------------------------------------------------------------

EXPECTED = {
    # expectation                                                     scenario               status
    "it fails with that exception": ({"raises": "ZeroDivisionError"}, scenario(divide), EXPECTED_FAILURE),
    "it fails with another one": ({"raises": "KeyError"}, scenario(divide), FAILED),
    "it fails in any way": ({}, scenario(divide), EXPECTED_FAILURE),
    "it gives a wrong answer": ({}, scenario(slope, np.array(5.0)), EXPECTED_FAILURE),
    "it gives a wrong answer and should raise": ({"raises": "KeyError"}, scenario(slope, np.array(5.0)), FAILED),
    "it passes": ({}, scenario(slope), FAILED),
    "it is about another backend": ({"backend": "jax"}, scenario(slope), PASSED),
}


@pytest.mark.parametrize("case", EXPECTED)
def test_an_expected_failure_has_to_come_as_it_was_said(case: str) -> None:
    settings, one, status = EXPECTED[case]
    expectation = Expectation("dtypes/scalars:*", "the reason", **settings)
    result = run_scenario(one, NUMPY, expected=[expectation])
    assert result.status == status
    if status != PASSED:
        assert "the reason" in result.reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[expected]]\nscenario = 'dtypes/empty:*'", "entry 1 has scenario; it needs scenario and reason"),
        ("[[expected]]\nscenario = 'dtypes/emtpy:*'\nreason = 'r'", "no scenario is called 'dtypes/emtpy:\\*'"),
        ("[[expected]]\nscenario = 'dtypes/empty:*'\nreason = 'r'\nraise = 'x'", "takes scenario, reason, backend"),
        ("[[expected]]\nscenario = 5\nreason = 'r'", "no table of texts"),
        ("[[wanted]]\nscenario = 'x'", "holds tables"),
        ("scenario = ", "is not TOML"),
    ],
)
def test_a_file_of_expected_failures_with_a_mistake_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(text)
    with pytest.raises(InputValueError, match=message):
        load_expectations(file, all_scenarios())


def test_a_file_of_expected_failures_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputValueError, match=r"cannot be read.*lacking\.toml"):
        load_expectations(tmp_path / "lacking.toml", [])


# ---- choice, devices, failure --------------------------------------------------------------------------------------


def test_scenarios_are_selected_by_subject_clause_and_id() -> None:
    assert {one.clause.partition("/")[0] for one in select(["devices"])} == {"devices"}
    assert {one.clause for one in select(["dtypes/empty"])} == {"dtypes/empty"}
    assert [one.id for one in select(["packing/block:square-of-arguments"])] == ["packing/block:square-of-arguments"]
    assert len(select([])) == len(all_scenarios())
    with pytest.raises(InputValueError, match="no scenario fits 'dtypes/emtpy'"):
        select(["dtypes", "dtypes/emtpy"])


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "clause", [clause for clause in CLAUSES if clause.startswith(("arrays/", "devices/", "variables/", "packing/"))]
)
def test_the_suite_passes_on_a_device_that_is_not_the_default_one(clause: str) -> None:
    check_backend("jax", device=anyjac.devices("jax")[-1], scenarios=select([clause]))


def test_a_run_on_a_device_puts_arrays_there() -> None:
    last = anyjac.devices("jax")[-1]
    seen: list[str] = []

    def look(lab: Lab) -> Any:
        seen.append(lab.backend.device_name(anyjac.device(slope(lab))))
        return slope(lab)

    assert run_scenario(scenario(look), anyjac.get_backend("jax"), device=last).device == last
    assert seen == [last]


def test_a_failure_raises_when_all_have_run_unless_results_are_collected() -> None:
    seen: list[Result] = []
    scenarios = [scenario(divide), scenario(slope)]
    with pytest.raises(ConformanceError, match=r"'autograd' failed 1 of 2 scenarios:\ndtypes/scalars:of-mine: Zero"):
        check_backend("numpy", scenarios=scenarios, progress=seen.append)
    assert [result.status for result in seen] == [ERROR, PASSED]
    assert [r.status for r in check_backend("numpy", scenarios=scenarios, on_fail="collect")] == [ERROR, PASSED]
