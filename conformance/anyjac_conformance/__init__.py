"""The conformance suite: the documented behaviour of anyjac as scenarios, run against any backend.

A `Scenario` is data: what to do, the clause of the contract that it documents, and the answer, known analytically.
One engine runs them, by three ways in: `check_backend`, ``anyjac conformance run``, and
``pytest --pyargs anyjac_conformance``. Everything here is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyjac.lazy import lazily as _lazily

if TYPE_CHECKING:
    from anyjac_plugins.errors import ConformanceError

    from .answers import Array, Either, Raises
    from .catalogue import all_scenarios, select
    from .clauses import CLAUSES
    from .engine import check_backend, run_scenario
    from .expectations import Expectation, load_expectations
    from .lab import Lab
    from .reports.comparison import Change, compare_reports
    from .reports.matrix import render_matrix
    from .reports.report import make_report, read_report, schema, write_report
    from .result import ERROR, EXPECTED_FAILURE, FAILED, NOT_DECLARED, PASSED, STATUSES, Result
    from .scenario import Collection, Scenario
    from .skeleton import write_skeleton

_HOMES = {
    "anyjac_plugins.errors": ("ConformanceError",),
    "anyjac_conformance.answers": (
        "Array",
        "Either",
        "Raises",
    ),
    "anyjac_conformance.catalogue": (
        "all_scenarios",
        "select",
    ),
    "anyjac_conformance.reports.comparison": (
        "Change",
        "compare_reports",
    ),
    "anyjac_conformance.clauses": ("CLAUSES",),
    "anyjac_conformance.engine": (
        "check_backend",
        "run_scenario",
    ),
    "anyjac_conformance.expectations": (
        "Expectation",
        "load_expectations",
    ),
    "anyjac_conformance.lab": ("Lab",),
    "anyjac_conformance.reports.matrix": ("render_matrix",),
    "anyjac_conformance.reports.report": (
        "make_report",
        "read_report",
        "schema",
        "write_report",
    ),
    "anyjac_conformance.result": (
        "ERROR",
        "EXPECTED_FAILURE",
        "FAILED",
        "NOT_DECLARED",
        "PASSED",
        "STATUSES",
        "Result",
    ),
    "anyjac_conformance.scenario": (
        "Collection",
        "Scenario",
    ),
    "anyjac_conformance.skeleton": ("write_skeleton",),
}

__all__ = [
    "CLAUSES",
    "ERROR",
    "EXPECTED_FAILURE",
    "FAILED",
    "NOT_DECLARED",
    "PASSED",
    "STATUSES",
    "Array",
    "Change",
    "Collection",
    "ConformanceError",
    "Either",
    "Expectation",
    "Lab",
    "Raises",
    "Result",
    "Scenario",
    "all_scenarios",
    "check_backend",
    "compare_reports",
    "load_expectations",
    "make_report",
    "read_report",
    "render_matrix",
    "run_scenario",
    "schema",
    "select",
    "write_report",
    "write_skeleton",
]

__getattr__, __dir__ = _lazily(globals(), _HOMES)
