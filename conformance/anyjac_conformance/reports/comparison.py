"""What changed between two reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..result import BAD

NOT_RUN: Final = "not run"


@dataclass(frozen=True)
class Change:
    """A scenario whose status on a backend has changed."""

    backend: str
    scenario: str
    before: str
    after: str

    @property
    def worse(self) -> bool:
        """Whether the new status is bad and the old status was not."""
        return self.after in BAD and self.before not in BAD

    def __str__(self) -> str:
        return f"{self.backend}: {self.scenario}: {self.before} -> {self.after}"


def compare_reports(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the changes of status from `old` to `new`, first those to a bad status.

    Parameters
    ----------
    old, new
        Reports, as `make_report` or `read_report` give them.

    Examples
    --------
    >>> from anyjac_conformance import check_backend, compare_reports, make_report, select
    >>> old = make_report(check_backend("numpy", scenarios=select(["dtypes/empty"])))
    >>> new = make_report(check_backend("numpy", scenarios=select(["dtypes/empty", "transform/method"])))
    >>> print(compare_reports(old, new)[0])
    autograd: transform/method:a-decorated-method-binds-self: not run -> passed
    """
    before, after = (
        {(result["backend"], result["scenario"]): result["status"] for result in report["results"]}
        for report in (old, new)
    )
    changes = [
        Change(*key, before.get(key, NOT_RUN), after.get(key, NOT_RUN))
        for key in dict.fromkeys((*after, *before))
        if before.get(key) != after.get(key)
    ]
    return sorted(changes, key=lambda change: not change.worse)
