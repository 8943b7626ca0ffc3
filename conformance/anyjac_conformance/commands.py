"""The commands ``anyjac conformance run`` and ``compare``, and ``anyjac new-backend``."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyjac
from anyjac import InputValueError
from anyjac.cli.main import FAILURE, make_console

if TYPE_CHECKING:
    from rich.console import Console

    from .result import Result
    from .scenario import Scenario

AT_MOST = 3
"""How many scenarios with the same fault are printed; a report lists all of them."""

ALL = "all"
"""The name by which the command line asks for every usable backend."""


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of ``anyjac``; called by way of an entry point."""
    conformance = commands.add_parser("conformance", help="run the conformance suite against backends")
    conformance.set_defaults(run=lambda options: conformance.print_help())
    actions = conformance.add_subparsers(title="actions", metavar="ACTION")
    _add_run(actions)

    compare = actions.add_parser("compare", help="list the changes between two reports")
    compare.add_argument("old", help="report.json of the earlier run")
    compare.add_argument("new", help="report.json of the later run")
    compare.set_defaults(run=_compare)

    skeleton = commands.add_parser("new-backend", help="write the skeleton of a backend, as an installable project")
    skeleton.add_argument("name", help="the backend's name: what users will write in backend=")
    skeleton.add_argument("--folder", metavar="DIR", help="where to write it (default: anyjac-NAME)")
    skeleton.set_defaults(run=_new_backend)


def _add_run(actions: Any) -> None:
    run = actions.add_parser("run", help="run scenarios, print the results, write the reports")
    run.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"backend to run; may be repeated; {ALL!r} for every one that can be used (default: the chosen one)",
    )
    run.add_argument(
        "--select", action="append", metavar="CLAUSE", help="only this subject, clause or id (* for any text)"
    )
    run.add_argument("--device", metavar="NAME", help="device on which to run, such as cuda or cpu:1")
    run.add_argument("--xfail", metavar="FILE", help="expected failures, in TOML")
    run.add_argument("--report", metavar="DIR", help="write report.json, matrix.md and report.html there")
    run.add_argument("--list", action="store_true", help="list the scenarios and run none")
    run.set_defaults(run=_run)


# ---- run -------------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int | None:
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # before JAX is imported: the answers are in double precision
    from .catalogue import all_scenarios, select
    from .expectations import load_expectations
    from .reports.report import make_report, write_report

    console = make_console()
    scenarios = select(options.select or [])
    if options.list:
        for scenario in scenarios:
            print(scenario.id)
        return None
    expected = load_expectations(options.xfail, all_scenarios()) if options.xfail else []
    results: list[Result] = []
    for name in _names(options.backend):
        results += _run_one(console, name, scenarios, options.device, expected)
    report = make_report(results, expected=expected)
    _print_results(console, report, results)
    if options.report:
        for path in write_report(report, options.report):
            print(path)
    return FAILURE if any(result.bad for result in results) else None


def _names(given: Sequence[str] | None) -> list[str]:
    if not given:
        return [anyjac.get_backend().name]
    if ALL not in given:
        return list(dict.fromkeys(anyjac.get_backend(name).name for name in given))
    usable = [info.name for info in anyjac.backends() if info.error is None]
    if not usable:
        raise InputValueError("no backend can be used; anyjac backends says why")
    return usable


def _run_one(
    console: Console, name: str, scenarios: Sequence[Scenario], device: str | None, expected: Sequence[Any]
) -> list[Result]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from .engine import check_backend

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[bad]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=len(scenarios), bad="")
        bad = 0

        def show(result: Result) -> None:
            nonlocal bad
            bad += result.bad
            progress.update(task, advance=1, bad=f"[red]{bad} bad[/]" if bad else "")

        return check_backend(
            name, scenarios=scenarios, device=device, expected=expected, on_fail="collect", progress=show
        )


def _print_results(console: Console, report: dict[str, Any], results: Sequence[Result]) -> None:
    for setting, value in report["environment"].items():
        print(f"{setting}={value}")
    _print_matrix(console, report)
    for expectation in report["expected_failures"]:
        print(f"expected to fail on {expectation['backend']}: {expectation['scenario']}: {expectation['reason']}")
    _print_bad(console, [result for result in results if result.bad])
    _print_leftovers(console, [backend["name"] for backend in report["backends"]])
    for backend in report["backends"]:
        own = [result for result in results if result.backend == backend["name"]]
        counts = Counter(result.status for result in own)
        seconds = sum(result.seconds for result in own)
        shown = ", ".join(f"{count} {status}" for status, count in counts.items())
        print(f"{backend['name']} {backend['framework_version']} on {backend['device']}: {shown} in {seconds:.1f} s")


def _print_matrix(console: Console, report: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from .reports.matrix import count_by_clause

    names = [backend["name"] for backend in report["backends"]]
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("clause", *names):
        table.add_column(heading)
    for clause, cells in count_by_clause(report).items():
        table.add_row(clause, *(_coloured(cells.get(name, {})) for name in names))
    console.print(table)


def _coloured(counts: Mapping[str, int]) -> str:
    from .result import BAD

    colours = {True: "red", False: "green"}
    return ", ".join(f"[{colours[status in BAD]}]{count} {status}[/]" for status, count in counts.items())


def _print_bad(console: Console, bad: Sequence[Result]) -> None:
    """Print what failed, scenarios with the same fault together."""
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for result in bad:
        alike.setdefault((result.backend, result.status, result.faults), []).append(result.scenario.id)
    for (backend, status, faults), ids in alike.items():
        shown = ", ".join(ids[:AT_MOST]) + (f" and {len(ids) - AT_MOST} more" if len(ids) > AT_MOST else "")
        console.print(f"[red]{status}[/] {backend}: {shown}", soft_wrap=True)
        for fault in faults:
            console.print(f"    {fault}", markup=False, soft_wrap=True)


def _print_leftovers(console: Console, names: Sequence[str]) -> None:
    from .leftovers import leftovers

    for name in names:
        for sentence in leftovers(anyjac.get_backend(name)):
            console.print(f"[yellow]left over from the skeleton[/] of {name}: ", end="")
            console.print(sentence, markup=False, soft_wrap=True)


# ---- compare ---------------------------------------------------------------------------------------------------------


def _compare(options: argparse.Namespace) -> int | None:
    from .reports.comparison import compare_reports
    from .reports.report import read_report

    changes = compare_reports(read_report(options.old), read_report(options.new))
    for change in changes:
        print(f"{'worse  ' if change.worse else 'changed'} {change}")
    print(f"{len(changes)} changed, {sum(change.worse for change in changes)} for the worse")
    return FAILURE if any(change.worse for change in changes) else None


# ---- new-backend -----------------------------------------------------------------------------------------------------


def _new_backend(options: argparse.Namespace) -> None:
    from .skeleton import write_skeleton

    folder = write_skeleton(options.name, options.folder)
    print(
        f"wrote {folder}; next: cd {folder} && python -m pip install -e . && anyjac conformance run "
        f"--backend {options.name}"
    )
