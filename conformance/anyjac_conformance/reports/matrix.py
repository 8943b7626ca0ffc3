"""The matrix of a report in Markdown: what each backend does right, by clause or by subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..result import BAD, STATUSES

Counts = dict[str, Counter[str]]
"""By backend, how often each status occurs."""


def render_matrix(report: Mapping[str, Any], by: Literal["clause", "subject"] = "clause") -> str:
    """Return the matrix: a row for each clause or subject, a column for each backend, counts in the cells.

    Parameters
    ----------
    report
        What `make_report` gives.
    by
        ``"clause"`` for a row each, or ``"subject"`` to add up those of a subject.

    Examples
    --------
    >>> from anyjac_conformance import check_backend, make_report, render_matrix, select
    >>> report = make_report(check_backend("numpy", scenarios=select(["dtypes/scalars", "dtypes/empty"])))
    >>> print(render_matrix(report, by="subject"))
    | subject | autograd |
    |---|---|
    | dtypes | 3 passed |
    | all | 3 passed |
    <BLANKLINE>
    """
    names = [backend["name"] for backend in report["backends"]]
    rows: dict[str, Counts] = {}
    for clause, found in count_by_clause(report).items():
        for row in (clause if by == "clause" else clause.partition("/")[0], "all"):
            for name, counts in found.items():
                rows.setdefault(row, {}).setdefault(name, Counter()).update(counts)
    rows["all"] = rows.pop("all", {})
    lines = [_line([by, *names]), _line(["---"] * (1 + len(names))).replace(" ", "")]
    lines += [_line([row, *(cell(found.get(name, {})) for name in names)]) for row, found in rows.items()]
    return "\n".join(lines) + "\n"


def count_by_clause(report: Mapping[str, Any]) -> dict[str, Counts]:
    """Return how often each status occurs, by clause, in the order of the contract, and by backend."""
    counts: dict[str, Counts] = {}
    for result in report["results"]:
        counts.setdefault(result["clause"], {}).setdefault(result["backend"], Counter())[result["status"]] += 1
    return {clause: counts[clause] for clause in report["clauses"] if clause in counts}


def cell(counts: Mapping[str, int]) -> str:
    """Return counts by status in words, the bad ones in bold."""
    if not counts:
        return "not run"
    shown = [(counts[status], status) for status in STATUSES if counts.get(status)]
    return ", ".join(f"**{count} {status}**" if status in BAD else f"{count} {status}" for count, status in shown)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
