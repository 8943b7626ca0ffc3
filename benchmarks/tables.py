"""What was measured, as Markdown and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyjac

from .contenders import OURS
from .timing import Times


@dataclass(frozen=True)
class Row:
    """One problem on one framework: times by contender, the reference first, and peaks of memory in megabytes."""

    backend: str
    problem: str
    times: dict[str, Times]
    peaks: dict[str, float]


def render(rows: Sequence[Row]) -> str:
    """Return a table for each framework: the reference's time, and everybody's ratio to it with its quartiles."""
    parts = []
    for backend in dict.fromkeys(row.backend for row in rows):
        own = [row for row in rows if row.backend == backend]
        reference, *others = own[0].times
        headings = [f"{backend}", f"{reference} [ms]", *(f"{name} / reference" for name in others), "extra memory [MB]"]
        lines = [_line(headings), _line(["---"] * len(headings))]
        lines += [_line(_cells(row, reference, others)) for row in own]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cells(row: Row, reference: str, others: Sequence[str]) -> list[str]:
    ratios = [row.times[name].over(row.times[reference]) for name in others]
    shown = [f"{middle:.3g} ({lower:.3g} to {upper:.3g})" for lower, middle, upper in ratios]
    peaks = ", ".join(f"{peak:.0f} ({name})" for name, peak in row.peaks.items())
    return [row.problem, f"{row.times[reference].median * 1e3:.4g}", *shown, peaks]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything that was measured, with what a reader has to know of the machine."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "anyjac": anyjac.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "backends": {row.backend: anyjac.get_backend(row.backend).version for row in rows},
        "rows": [
            {
                "backend": row.backend,
                "problem": row.problem,
                "seconds": {name: list(times.rounds) for name, times in row.times.items()},
                "ratio": row.times[OURS].over(next(iter(row.times.values())))[1],
                "extra_memory_mb": row.peaks,
            }
            for row in rows
        ],
    }


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write ``benchmarks.md`` and ``benchmarks.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(render(rows), encoding="utf-8")
    (folder / "benchmarks.json").write_text(json.dumps(as_json(rows), indent=1) + "\n", encoding="utf-8")
