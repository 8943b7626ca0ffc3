"""`Result`: the outcome of one scenario on one backend."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any, Final

from .scenario import Scenario

FORMAT: Final = "anyjac-conformance"
VERSION: Final = 1
"""The form of a report and its version, which each report states."""

PASSED: Final = "passed"
FAILED: Final = "failed"
ERROR: Final = "error"
NOT_DECLARED: Final = "not declared"
EXPECTED_FAILURE: Final = "expected failure"

STATUSES: Final[dict[str, str]] = {
    PASSED: "the answer is right",
    NOT_DECLARED: "the backend lacks a capability that is needed, and refused the scenario",
    EXPECTED_FAILURE: "the scenario failed as the backend's author expected",
    FAILED: "the answer is wrong, or an expected error was not raised",
    ERROR: "an unexpected exception was raised",
}
"""Every status, the best first."""

BAD: Final = frozenset({FAILED, ERROR})
"""Statuses by which a backend is rejected."""


@dataclass(frozen=True)
class Result:
    """The outcome of one scenario on one backend.

    Attributes
    ----------
    status
        One of `STATUSES`.
    faults
        Differences from the answer, each with its path; empty unless the status is ``failed``, ``error`` or ``expected
        failure``.
    reason
        Which capabilities were lacking, or why the failure was expected; empty otherwise.
    error
        The exception that was raised, where there are faults.
    seconds
        How long the scenario took.
    worst_error
        Largest error of a number, relative to the largest one of its array or to 1; None where no floats were compared.
    device
        Name of the device on which arrays were made.
    """

    scenario: Scenario
    backend: str
    status: str
    faults: tuple[str, ...] = ()
    reason: str = ""
    error: BaseException | None = None
    seconds: float = 0.0
    worst_error: float | None = None
    device: str = ""

    @property
    def bad(self) -> bool:
        """Whether the result rejects the backend."""
        return self.status in BAD

    def as_json(self) -> dict[str, Any]:
        """Return the result as an entry of a report."""
        error = self.error
        return {
            "backend": self.backend,
            "scenario": self.scenario.id,
            "clause": self.scenario.clause,
            "name": self.scenario.name,
            "status": self.status,
            "faults": list(self.faults),
            "reason": self.reason,
            "traceback": None if error is None else "".join(traceback.format_exception(error)),
            "seconds": round(self.seconds, 6),
            "worst_error": self.worst_error,
            "device": self.device,
        }
