"""Time Jacobians next to each framework's own: ``python -m benchmarks --out docs --plot`` does everything."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .contenders import ARENAS
from .measure import Plan, is_measured, measure
from .plots import MatplotlibMissingError, draw, require_matplotlib
from .samples import Report, new_report, read, write_json
from .tables import BEGIN, markdown, put_into, restructured

JSON = "benchmarks.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the command line asks for, print the tables, and write the files."""
    options = _parser().parse_args(arguments)
    if options.plot:
        _require_what_plots_need()  # before minutes of measuring
    report = read(options.read) if options.read else _measured(options)
    print(markdown(report), end="")
    if options.out is not None:
        _write(report, options.out, with_plots=options.plot)


def _require_what_plots_need() -> None:
    try:
        require_matplotlib()
    except MatplotlibMissingError as error:
        raise SystemExit(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small problems, one round: only that it runs")
    add("--growth", action="store_true", help="only how cost grows with the numbers of outputs and inputs")
    add("--backend", action="append", choices=[arena.name for arena in ARENAS], help="only this one; may be repeated")
    add("--problem", default="", metavar="TEXT", help="only problems whose name has this in it, and no growth")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="write tables and JSON there; rows that are there and were not measured stay",
    )
    add("--plot", action="store_true", help="draw the plots there too")
    add("--read", type=Path, metavar="FILE", help="measure nothing: take what an earlier run has written as JSON")
    return parser


def _measured(options: argparse.Namespace) -> Report:
    wanted = [arena for arena in ARENAS if arena.name in (options.backend or [arena.name])]
    arenas = [arena for arena in wanted if arena.is_there]
    for arena in wanted:
        if arena not in arenas:
            print(f"{arena.name} is not installed and left out", file=sys.stderr)
    everything = not (options.backend or options.problem)
    plan = Plan(arenas, options.problem, options.growth, imports=everything, quick=options.quick)
    rows, began = [], time.perf_counter()
    for row in measure(plan):
        name = ", ".join(str(part) for part in row.key if part is not None)
        print(f"{time.perf_counter() - began:4.0f} s: {name}", file=sys.stderr)
        rows.append(row)
    return new_report(rows, {arena.name: arena.version for arena in arenas})


def _write(report: Report, folder: Path, *, with_plots: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / JSON).exists():
        report = report.updating(read(folder / JSON), is_measured)
    write_json(report, folder / JSON)
    report = read(folder / JSON)  # the tables show the numbers as they are written, with fewer digits
    (folder / "benchmarks.md").write_text(markdown(report), encoding="utf-8")
    (folder / "benchmarks.inc").write_text(restructured(report), encoding="utf-8")
    readme = folder.parent / "README.md"
    if readme.exists() and BEGIN in readme.read_text(encoding="utf-8"):
        put_into(readme, report)
    if with_plots:
        draw(report, folder / "images")


if __name__ == "__main__":
    main()
