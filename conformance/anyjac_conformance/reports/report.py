"""The report of a run: one JSON document, of which the Markdown matrix and the HTML page are views.

Its form is published as a JSON Schema, ``report.schema.json``, and carries a version.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from os import environ
from pathlib import Path
from typing import Any

import anyjac
from anyjac import Backend, InputValueError

from ..clauses import CLAUSES
from ..expectations import Expectation
from ..result import FORMAT, VERSION, Result
from .matrix import render_matrix
from .page import render_page

Report = dict[str, Any]


def make_report(results: Iterable[Result], *, expected: Sequence[Expectation] = ()) -> Report:
    """Put results together with what a reader has to know of the run.

    Parameters
    ----------
    results
        Of one backend or of several.
    expected
        The expected failures of the run.

    Returns
    -------
    dict
        The report, made of what JSON has.

    Examples
    --------
    >>> from anyjac_conformance import check_backend, make_report, select
    >>> report = make_report(check_backend("numpy", scenarios=select(["dtypes/scalars"])))
    >>> report["format"], report["version"], report["backends"][0]["name"], report["results"][0]["status"]
    ('anyjac-conformance', 1, 'autograd', 'passed')
    """
    listed = [result.as_json() for result in results]
    names = dict.fromkeys(result["backend"] for result in listed)
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "anyjac": anyjac.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "environment": {name: value for name, value in sorted(environ.items()) if name.startswith("ANYJAC_")},
        "clauses": dict(CLAUSES),
        "backends": [_about(name, listed) for name in names],
        "expected_failures": [asdict(expectation) for expectation in expected],
        "results": listed,
    }


def _about(name: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    infos = {info.name: info for info in anyjac.backends()}
    info = infos.get(name)
    backend: Backend | None = anyjac.get_backend(name) if info is not None else None
    return {
        "name": name,
        "framework_version": "" if backend is None else backend.version,
        "distribution": "" if info is None else f"{info.distribution} {info.version}".strip(),
        "device": next(result["device"] for result in results if result["backend"] == name),
        "capabilities": [] if backend is None else sorted(backend.capabilities),
    }


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write a report as ``report.json``, ``matrix.md`` and ``report.html``; return where they are."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    contents = {
        "report.json": json.dumps(report, indent=1) + "\n",
        "matrix.md": render_matrix(report),
        "report.html": render_page(report),
    }
    for name, text in contents.items():
        (place / name).write_text(text, encoding="utf-8")
    return [place / name for name in contents]


def read_report(path: str | Path) -> Report:
    """Read a report that `write_report` wrote.

    Raises
    ------
    InputValueError
        If it cannot be read, or is no report of this version.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputValueError(f"{path} cannot be read as a report: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputValueError(f"{path} is no report of the conformance suite")
    if found.get("version") != VERSION:
        raise InputValueError(f"{path} is a report of version {found.get('version')!r}; this is version {VERSION}")
    return found


def schema() -> dict[str, Any]:
    """Return the JSON Schema of reports.

    Examples
    --------
    >>> from anyjac_conformance import schema
    >>> schema()["title"]
    'Report of the anyjac conformance suite'
    """
    text = files("anyjac_conformance").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
