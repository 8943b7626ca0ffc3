"""The report of a run as one HTML page, which stands alone: no other file, no network, no framework.

The matrix of clauses and backends is written out, so that it can be read and printed without scripts. The scenarios
are embedded as data, and the page makes the rows of a cell when that cell is opened.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .. import result as outcome
from .filling import make_environment

if TYPE_CHECKING:
    from jinja2 import Template

STATUSES: Final = tuple(reversed(outcome.STATUSES))
"""The statuses, the worst first; a cell has the colour of its worst status."""

NOT_RUN: Final = "not run"
"""Shown where a backend has no scenario of a clause."""

_FORMAT: Final = (outcome.FORMAT, outcome.VERSION)
_EXTRA: Final = ("faults", "reason", "traceback")


@dataclass(frozen=True)
class Counts:
    """The number of scenarios with each status, the worst first, and their seconds together."""

    statuses: tuple[tuple[str, int], ...]
    seconds: float = 0.0

    @classmethod
    def of(cls, results: Sequence[Mapping[str, Any]]) -> Counts:
        """Count the statuses and add up the seconds."""
        found = Counter(result["status"] for result in results)
        return cls(
            tuple((status, found[status]) for status in STATUSES if found[status]),
            math.fsum(result["seconds"] for result in results),
        )

    @property
    def worst(self) -> str:
        """The worst status, or ``not run``."""
        return self.statuses[0][0] if self.statuses else NOT_RUN

    @property
    def total(self) -> int:
        """The number of scenarios."""
        return sum(count for _, count in self.statuses)

    @property
    def words(self) -> str:
        """The counts as a phrase, for those who hear the page."""
        return ", ".join(f"{count} {status}" for status, count in self.statuses) or NOT_RUN


@dataclass(frozen=True)
class Row:
    """One clause: its id, the part after the subject, its sentence, and the counts of each backend in turn."""

    id: str
    name: str
    sentence: str
    cells: tuple[Counts, ...]


@dataclass(frozen=True)
class Subject:
    """The clauses of one subject."""

    name: str
    rows: tuple[Row, ...]


def render_page(report: Mapping[str, Any]) -> str:
    """Render the report of a conformance run as one HTML page that needs nothing else.

    Needs `jinja2`.

    Parameters
    ----------
    report
        The report as it is read from or written to JSON: ``format`` is ``anyjac-conformance`` and ``version`` is 1.

    Returns
    -------
    str
        The page, to be written as UTF-8. A location hash such as ``#jax/packing/block`` opens that cell.

    Raises
    ------
    ValueError
        If the report is of another format or version, or if a result names a backend, a clause or a status that the
        report or this module does not know.
    MissingExtraError
        If `jinja2` is not installed.

    Examples
    --------
    >>> from anyjac_conformance.reports.page import render_page
    >>> report = {
    ...     "format": "anyjac-conformance",
    ...     "version": 1,
    ...     "created": "2026-11-23T06:00:00+00:00",
    ...     "anyjac": "0.1.0",
    ...     "python": "3.11.7",
    ...     "platform": "Linux-6.1-x86_64",
    ...     "environment": {"ANYJAC_BACKEND": "jax"},
    ...     "clauses": {"packing/block": "A block has shape `y.shape + x.shape`."},
    ...     "backends": [
    ...         {
    ...             "name": "jax",
    ...             "framework_version": "0.10.2",
    ...             "distribution": "anyjac 0.1.0",
    ...             "device": "cpu:0",
    ...             "capabilities": ["complex"],
    ...         }
    ...     ],
    ...     "expected_failures": [],
    ...     "results": [
    ...         {
    ...             "backend": "jax",
    ...             "scenario": "packing/block:of-a-matrix",
    ...             "clause": "packing/block",
    ...             "name": "of a matrix",
    ...             "status": "passed",
    ...             "faults": [],
    ...             "reason": "",
    ...             "traceback": None,
    ...             "seconds": 0.01,
    ...             "worst_error": 1e-16,
    ...             "device": "cpu:0",
    ...         }
    ...     ],
    ... }
    >>> render_page(report).splitlines()[0]
    '<!doctype html>'
    """
    _check(report)
    cells = _cells(report)
    totals = Counts.of(report["results"])
    return _template().render(
        report=report,
        created=_moment(report["created"]),
        verdict=_verdict(report, totals),
        totals=totals,
        summaries=[(backend, Counts.of(list(_of(report, backend)))) for backend in report["backends"]],
        subjects=_subjects(report, cells),
        not_run=not all(cells.values()),
        data=_data(report, cells),
    )


# ---- the report ----------------------------------------------------------------------------------------------------


def _check(report: Mapping[str, Any]) -> None:
    found = (report.get("format"), report.get("version"))
    if found != _FORMAT:
        raise ValueError(f"render_page takes a report of format and version {_FORMAT}, got {found}")
    known = {
        "backend": [backend["name"] for backend in report["backends"]],
        "clause": list(report["clauses"]),
        "status": list(STATUSES),
    }
    for result in report["results"]:
        for key, values in known.items():
            if result[key] not in values:
                raise ValueError(
                    f"the result of {result['scenario']!r} has the {key} {result[key]!r}, which is none of "
                    f"{', '.join(values)}; was the report put together from several?"
                )


def _of(report: Mapping[str, Any], backend: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (result for result in report["results"] if result["backend"] == backend["name"])


_Cells = dict[tuple[str, str], list[Mapping[str, Any]]]


def _cells(report: Mapping[str, Any]) -> _Cells:
    """Return the results of each clause and backend."""
    cells: _Cells = {(clause, backend["name"]): [] for clause in report["clauses"] for backend in report["backends"]}
    for result in report["results"]:
        cells[result["clause"], result["backend"]].append(result)
    return cells


def _subjects(report: Mapping[str, Any], cells: _Cells) -> list[Subject]:
    subjects: dict[str, list[Row]] = {}
    for clause, sentence in report["clauses"].items():
        subject, _, name = clause.partition("/")
        counts = tuple(Counts.of(cells[clause, backend["name"]]) for backend in report["backends"])
        subjects.setdefault(subject, []).append(Row(clause, name or clause, sentence, counts))
    return [Subject(name, tuple(rows)) for name, rows in subjects.items()]


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _verdict(report: Mapping[str, Any], totals: Counts) -> str:
    """Sum the run up in one sentence."""
    if not totals.total:
        return "No scenario was run."
    bad = {result["backend"] for result in report["results"] if result["status"] in ("failed", "error")}
    count = dict(totals.statuses)
    backends = f"{len(report['backends'])} {_plural(len(report['backends']), 'backend')}"
    if not bad:
        passed = count.get("passed", 0)
        return f"Nothing failed: {passed} {_plural(passed, 'scenario')} passed on {backends}."
    failed, broken = count.get("failed", 0), count.get("error", 0)
    first = f"{failed} {_plural(failed, 'scenario')} failed" if failed else ""
    second = f"{broken} {'' if failed else _plural(broken, 'scenario') + ' '}ended in an error" if broken else ""
    return f"{' and '.join(filter(None, (first, second)))}, on {len(bad)} of {backends}."


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


# ---- the data in the page ------------------------------------------------------------------------------------------


def _data(report: Mapping[str, Any], cells: _Cells) -> dict[str, Any]:
    """Return the data that the page's script reads: those of the report, each stated once.

    ``scenarios`` has the ids and names of each clause. ``results`` has, for each cell, a list for each scenario: its
    position in the clause, its status, its seconds, its worst error, and further entries where a result has them.
    """
    scenarios: dict[str, dict[str, str]] = {clause: {} for clause in report["clauses"]}
    for result in report["results"]:
        scenarios[result["clause"]].setdefault(result["scenario"], result["name"])
    positions = {clause: {id_: number for number, id_ in enumerate(names)} for clause, names in scenarios.items()}
    devices = {backend["name"]: backend["device"] for backend in report["backends"]}
    return {
        "statuses": STATUSES,
        "scenarios": {clause: [_short(clause, *pair) for pair in names.items()] for clause, names in scenarios.items()},
        "results": {
            f"{backend}/{clause}": [_packed(positions[clause], devices[backend], result) for result in results]
            for (clause, backend), results in cells.items()
            if results
        },
    }


def _short(clause: str, id_: str, name: str) -> list[str]:
    """Return the name, and the id where it does not follow from clause and name."""
    return [name] if id_ == f"{clause}:{name.replace(' ', '-')}" else [name, id_]


def _packed(positions: Mapping[str, int], device: str, result: Mapping[str, Any]) -> list[Any]:
    extra = {key: result[key] for key in _EXTRA if result[key]}
    if result["device"] != device:
        extra["device"] = result["device"]
    packed = [
        positions[result["scenario"]],
        STATUSES.index(result["status"]),
        _rounded(result["seconds"]),
        _rounded(result["worst_error"]),
    ]
    return [*packed, extra] if extra else packed


def _rounded(number: float | None) -> float | str | None:
    """Return three digits of a number; JSON has no infinity, so that becomes a word."""
    if number is None:
        return None
    return float(f"{number:.3g}") if math.isfinite(number) else str(number)


# ---- the template --------------------------------------------------------------------------------------------------


def _template() -> Template:
    environment = make_environment("templates", autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters.update(slug=_slug, seconds=_seconds, prose=_prose)
    return environment.get_template("report.html.jinja")


def _slug(status: str) -> str:
    return status.replace(" ", "-")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _prose(text: str) -> list[tuple[bool, str]]:
    """Split at backticks: pairs that say whether a part is code, and the part."""
    return [(number % 2 == 1, part) for number, part in enumerate(text.split("`")) if part]
