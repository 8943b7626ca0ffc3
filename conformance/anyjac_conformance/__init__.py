"""The conformance suite: the documented behaviour of anyjac as scenarios, run against any backend.

A `Scenario` is data: what to do, the clause of the contract that it documents, and the answer, known analytically.
`check_backend` runs them and returns one `Result` for each. Imports `anyjac`, never a backend.
"""

from .answers import Array, Raises
from .catalogue import all_scenarios
from .clauses import CLAUSES
from .engine import FAILED, NOT_DECLARED, PASSED, Result, check_backend, run_scenario
from .lab import Lab
from .scenario import Collection, Scenario

__all__ = [
    "CLAUSES",
    "FAILED",
    "NOT_DECLARED",
    "PASSED",
    "Array",
    "Collection",
    "Lab",
    "Raises",
    "Result",
    "Scenario",
    "all_scenarios",
    "check_backend",
    "run_scenario",
]
