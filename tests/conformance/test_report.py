"""Reports: their form, their views, and the difference of two."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.helpers.repository import ROOT

import anyjac
from anyjac import InputValueError
from anyjac_conformance import (
    CLAUSES,
    NOT_DECLARED,
    PASSED,
    STATUSES,
    Expectation,
    Result,
    all_scenarios,
    check_backend,
    compare_reports,
    make_report,
    read_report,
    render_matrix,
    schema,
    select,
    write_report,
)

EXPECTED = [Expectation("dtypes/empty:*", "an experiment")]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    chosen = select(["dtypes/empty", "dtypes/scalars", "composition/native-vmap"])
    results = [r for name in ("numpy", "torch") for r in check_backend(name, scenarios=chosen, on_fail="collect")]
    wrong = check_backend("numpy", scenarios=select(["dtypes/empty"]), expected=EXPECTED, on_fail="collect")
    return make_report([*results, *wrong], expected=EXPECTED)


def test_a_report_fits_its_schema(report: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(json.dumps(report)), schema())
    assert {result["status"] for result in report["results"]} == {"passed", "not declared", "failed"}


def test_the_schema_knows_every_status() -> None:
    assert schema()["properties"]["results"]["items"]["properties"]["status"]["enum"] == list(STATUSES)


def test_a_report_is_read_as_it_was_written(report: dict[str, Any], tmp_path: Path) -> None:
    paths = write_report(report, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["report.json", "matrix.md", "report.html"]
    assert read_report(paths[0]) == report
    assert paths[1].read_text() == render_matrix(report)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "cannot be read"), ("[]", "is no report"), ('{"format": "anyjac-conformance", "version": 9}', "version 9")],
)
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(InputValueError, match=message):
        read_report(file)


def test_the_environment_is_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", "none")
    assert make_report([])["environment"] == {"ANYJAC_DISABLE_PLUGINS": "none"}


def test_the_matrix_counts_by_clause_and_by_subject(report: dict[str, Any]) -> None:
    by_clause = render_matrix(report).splitlines()
    assert by_clause[:2] == ["| clause | autograd | torch |", "|---|---|---|"]
    scalars = len(select(["dtypes/scalars"]))
    assert f"| dtypes/scalars | {scalars} passed | {scalars} passed |" in by_clause
    mapped = len(select(["composition/native-vmap"]))
    expected = f"| composition | {mapped} not declared | {mapped} passed |"
    assert expected in render_matrix(report, by="subject").splitlines()
    assert "failed**" in by_clause[-1]


def test_two_reports_are_compared_with_what_became_worse_first(report: dict[str, Any]) -> None:
    old, new = deepcopy(report), deepcopy(report)
    new["results"][-1]["status"], old["results"][-1]["status"] = "error", "passed"
    first = new["results"].pop(2)  # a clause that the last scenario does not have
    changes = compare_reports(old, new)
    assert [(change.worse, change.before, change.after) for change in changes] == [
        (True, "passed", "error"),
        (False, first["status"], "not run"),
    ]
    assert compare_reports(new, new) == []


# ---- the matrix in README and docs ---------------------------------------------------------------------------------


def _as_the_suite_demands() -> dict[str, Any]:
    """Return the report of a run without failures, which the scenarios' own tests show to be absent."""
    results = []
    for name in ("autograd", "jax", "torch"):
        backend = anyjac.get_backend(name)
        for scenario in all_scenarios():
            lacking = scenario.requires - backend.capabilities
            results.append(Result(scenario, name, NOT_DECLARED if lacking else PASSED, device="cpu"))
    return make_report(results)


@pytest.mark.parametrize(("page", "by"), [("README.md", "subject"), ("docs/conformance-matrix.md", "clause")])
def test_the_matrix_that_is_shown_is_that_of_this_suite(page: str, by: Any) -> None:
    matrix = render_matrix(_as_the_suite_demands(), by=by)
    assert matrix in (ROOT / page).read_text(), f"stale; the matrix is now\n\n{matrix}"


def test_every_clause_is_in_a_report() -> None:
    assert make_report([])["clauses"] == CLAUSES
