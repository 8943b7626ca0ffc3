"""The results of measurements: a report of rows with one number for each round, written and read as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyjac

HOT: Final = "hot"
FIRST: Final = "first call"
SECOND: Final = "second call"
GROWTH: Final = "growth"
MEMORY: Final = "extra memory"
IMPORT: Final = "import"
MEMBERS: Final = "members"
UNITS: Final = {HOT: "s", FIRST: "s", SECOND: "s", GROWTH: "s", MEMORY: "MB", IMPORT: "s", MEMBERS: "s"}
"""The kinds of rows, and the unit of their numbers; MB are 10^6 bytes."""


@dataclass(frozen=True)
class Samples:
    """One number for each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    def over(self, other: Samples) -> tuple[float, float, float]:
        """Return the lower quartile, median and upper quartile of the ratios to other samples, round by round."""
        ratios = sorted(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))
        if len(ratios) < 2:
            return (ratios[0],) * 3
        lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
        return lower, middle, upper

    def beyond(self, other: Samples) -> float:
        """Return the median of the differences from other samples, round by round."""
        return statistics.median(mine - theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))


@dataclass(frozen=True)
class Row:
    """The samples of each contender for a problem in an arena; a growing problem has a row for each size."""

    kind: str
    arena: str
    problem: str
    values: Mapping[str, Samples]
    size: int | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of the row, which no other row of a report shares."""
        return self.kind, self.arena, self.problem, self.size

    def ratio(self, contender: str, reference: str) -> float:
        """Return the median ratio of two contenders."""
        return self.values[contender].over(self.values[reference])[1]


@dataclass(frozen=True)
class Report:
    """All rows, with the machine and the versions that produced them."""

    rows: tuple[Row, ...]
    about: Mapping[str, Any]

    def of(self, kind: str, arena: str | None = None) -> list[Row]:
        """Return the rows of a kind, from one arena if `arena` names it."""
        return [row for row in self.rows if row.kind == kind and arena in (None, row.arena)]

    def arenas(self, kind: str) -> list[str]:
        """Return the arenas that have rows of a kind, in their order."""
        return list(dict.fromkeys(row.arena for row in self.of(kind)))

    def updating(self, older: Report, keep: Callable[[Row], bool]) -> Report:
        """Return an older report, in which the rows of this report replace those with the same keys.

        Rows that `keep` returns False for are left out.
        """
        mine = {row.key: row for row in self.rows if keep(row)}
        kept = [mine.pop(row.key, row) for row in older.rows if keep(row)]
        versions = {**older.about["versions"], **self.about["versions"]}
        return Report((*kept, *mine.values()), {**self.about, "versions": versions})

    def as_json(self) -> dict[str, Any]:
        """Return the report in the types that `json` writes."""
        return {**self.about, "rows": [_row_as_json(row) for row in self.rows]}


def _row_as_json(row: Row) -> dict[str, Any]:
    values = {name: [float(f"{number:.4g}") for number in samples.rounds] for name, samples in row.values.items()}
    return {**asdict(replace(row, values={})), "unit": UNITS[row.kind], "values": values}


def new_report(rows: Iterable[Row], versions: Mapping[str, str]) -> Report:
    """Make the report of a run on this machine, now."""
    about = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "anyjac": anyjac.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": dict(versions),
    }
    return Report(tuple(rows), about)


def read(path: Path) -> Report:
    """Read a report that `write_json` has written."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = found.pop("rows")
    return Report(tuple(_row_of_json(row) for row in rows), found)


def _row_of_json(found: Mapping[str, Any]) -> Row:
    values = {name: Samples(tuple(numbers)) for name, numbers in found["values"].items()}
    return Row(found["kind"], found["arena"], found["problem"], values, found["size"])


def write_json(report: Report, path: Path) -> None:
    """Write a report with one row to a line, so that a diff can be read."""
    about, rows = report.as_json(), report.as_json()["rows"]
    del about["rows"]
    head = json.dumps(about, indent=1).removesuffix("\n}")
    path.write_text(f'{head},\n "rows": [\n{_lines(rows)}\n ]\n}}\n', encoding="utf-8")


def _lines(rows: Sequence[Any]) -> str:
    return ",\n".join("  " + json.dumps(row) for row in rows)
