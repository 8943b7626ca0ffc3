"""The report as a page: its text, and the reports that are refused."""

from pathlib import Path
from typing import Any

import pytest
from example_report import BACKENDS, a_report, backend_entry, result
from tests.helpers.interpreters import printed_by

from anyjac_conformance import CLAUSES
from anyjac_conformance.reports.page import render_page


def test_a_large_report_is_a_small_page() -> None:
    report = a_report()
    names = [f"of case {number} with a name as long as names are" for number in range(8)]
    report["results"] = [result(backend, clause, name) for backend in BACKENDS for clause in CLAUSES for name in names]
    assert len(report["results"]) > 4 * 600
    assert len(render_page(report).encode()) < 350_000


def test_a_report_without_results_is_a_page() -> None:
    page = render_page({**a_report(), "results": [], "expected_failures": []})
    assert "No scenario was run." in page
    assert page.count(">not run</button>") == len(CLAUSES) * len(BACKENDS) + 1  # and the one that filters


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("passed", "Nothing failed: 1 scenario passed on 1 backend."),
        ("failed", "1 scenario failed, on 1 of 1 backend."),
        ("error", "1 scenario ended in an error, on 1 of 1 backend."),
        ("not declared", "Nothing failed: 0 scenarios passed on 1 backend."),
    ],
)
def test_the_verdict_says_what_came_of_the_run(status: str, verdict: str) -> None:
    one = result("jax", "packing/block", "of a matrix", status)
    assert verdict in render_page({**a_report(), "backends": [backend_entry("jax")], "results": [one]})


@pytest.mark.parametrize("change", [{"format": "junit"}, {"version": 2}])
def test_a_report_of_another_format_or_version_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"takes a report of format and version \('anyjac-conformance', 1\), got"):
        render_page({**a_report(), **change})


@pytest.mark.parametrize(
    ("key", "value"), [("backend", "cupy"), ("clause", "packing/no-such-clause"), ("status", "skipped")]
)
def test_a_result_that_does_not_belong_to_its_report_is_refused_by_name(key: str, value: str) -> None:
    report = a_report()
    report["results"][5][key] = value
    with pytest.raises(ValueError, match=f"the result of '.*' has the {key} '{value}', which is none of"):
        render_page(report)


def test_the_module_is_imported_without_jinja2_and_says_what_is_missing_when_it_renders() -> None:
    printed = printed_by(
        f"""
        import sys
        sys.modules["jinja2"] = None
        from anyjac_conformance.reports.page import render_page
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from example_report import a_report
        try:
            render_page(a_report())
        except ModuleNotFoundError as error:
            print(error)
        """
    )
    hint = '".[conformance]" in the folder of a clone of anyjac'
    assert printed == f"templates need jinja2, which is not installed: pip install {hint}\n"
