"""The command line: ``anyjac demo``, ``anyjac backends``, ``anyjac info``, and commands of other packages.

Parses arguments and prints; the work is done elsewhere. rich is imported only when something is printed with it. An
entry point of the group ``anyjac.commands`` is a function that adds commands to the parser and sets ``run`` to what
carries them out; it returns None, or the exit status.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from anyjac_plugins.errors import AnyjacError

from .. import __version__

if TYPE_CHECKING:
    from rich.console import Console

FAILURE, USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses: an error, a wrong command line, Ctrl-C."""

COMMANDS = "anyjac.commands"
"""Group of the entry points that add commands."""

NARROWEST = 60
"""Columns that the tables need; a narrower terminal breaks the lines itself, so that no number is cut in two."""

STYLES = {"loaded": "green", "ready": "green", "missing": "yellow", "disabled": "yellow", "broken": "red"}
"""Colours of a backend's states."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    arguments
        Those after the program's name; None for those of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = options.run(options) or 0
        if sys.stdout is not None:  # None where the shell closed it
            sys.stdout.flush()
    except AnyjacError as error:
        print(f"anyjac: {error}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _discard_output()
        return 0
    except OSError as error:
        print(f"anyjac: {error}", file=sys.stderr)
        _discard_output()
        return FAILURE
    return int(status)


def _discard_output() -> None:
    """Discard buffered output, on which the interpreter would fail once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, *rest: Any, **more: Any) -> None:
    print(f"anyjac: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anyjac", description="Jacobians of stateful Python code, on any array backend."
    )
    parser.add_argument("--version", action="version", version=f"anyjac {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    demo = commands.add_parser("demo", help="the resting state of a nerve membrane, by its Jacobian")
    demo.add_argument("--backend", metavar="NAME", help="backend to print in full (default: the chosen one)")
    demo.set_defaults(run=_demo)

    listing = commands.add_parser("backends", help="list the backends: versions, states, capabilities")
    listing.set_defaults(run=_backends)

    info = commands.add_parser("info", help="versions, backends, devices and settings, for a bug report")
    info.add_argument("--json", action="store_true", help="print JSON: anyjac, python, platform, backends, environment")
    info.set_defaults(run=_info)
    for entry in entry_points(group=COMMANDS):
        entry.load()(commands)
    return parser


def make_console() -> Console:
    """Make the console that commands print on, never narrower than their tables."""
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with status 1; `main` knows that it is no error

    return Pipe(highlight=False, width=max(NARROWEST, Console().width))


def _line(console: Console, text: str) -> None:
    """Print a line as a single line; where it is too wide a terminal breaks it, and a pipe does not."""
    console.print(text, markup=False, soft_wrap=True)


# ---- demo ------------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> None:
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # before JAX is imported: the demo is in double precision
    from ..selection.public import get_backend
    from .demo.report import print_comparison, print_rest
    from .demo.rest import analyse_rest
    from .inspection import loaded_backends

    console = make_console()
    chosen = analyse_rest(get_backend(options.backend).name)
    print_rest(console, chosen)
    rests, reasons = [chosen], []
    for info in loaded_backends():
        if info.error is not None:
            reasons.append(info.error)
        elif info.name != chosen.backend:
            try:
                rests.append(analyse_rest(info.name))
            except (AnyjacError, ArithmeticError) as error:  # such as a device that only the chosen one has
                reasons.append(f"{info.name}: {error}")
    print_comparison(console, rests)
    for reason in reasons:
        _line(console, f"not run: {reason}")


# ---- backends --------------------------------------------------------------------------------------------------------


def _backends(options: argparse.Namespace) -> None:
    from rich import box
    from rich.table import Table

    from .inspection import loaded_backends

    console = make_console()
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("backend", "also", "state", "framework", "capabilities"):
        table.add_column(heading, overflow="fold")
    infos = loaded_backends()
    for info in infos:
        state = f"[{STYLES[info.state]}]{info.state}[/]"
        table.add_row(info.name, ", ".join(info.aliases), state, info.framework_version, ", ".join(info.capabilities))
    console.print(table)
    for info in infos:
        if info.error is not None:
            _line(console, f"{info.name}: {info.error}")


# ---- info ------------------------------------------------------------------------------------------------------------


def _info(options: argparse.Namespace) -> None:
    from .inspection import information

    found = information()
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _print_information(make_console(), found)


def _print_information(console: Console, found: dict[str, Any]) -> None:
    for name in ("anyjac", "python", "platform"):
        _line(console, f"{name:<10} {found[name]}")
    _line(console, "\nbackends")
    for info in found["backends"]:
        about = f"{info['framework_version']} on {', '.join(info['devices'])}" if info["devices"] else info["error"]
        compiler = f"; jit {info['jit']}" if info["jit"] else ""
        origin = f"{info['distribution']} {info['version']}".strip()
        _line(console, f"  {info['name']:<10} {info['state']}: {about or ''}{compiler} (from {origin})")
    _line(console, "\nenvironment")
    for name, setting in found["environment"].items():
        _line(console, f"  {name}={setting['value']}{_remark(setting)}")
    if not found["environment"]:
        _line(console, "  no variable that begins with ANYJAC_ is set")


def _remark(setting: dict[str, Any]) -> str:
    if setting["known"]:
        return ""
    return f"  (unknown; did you mean {setting['meant']}?)" if setting["meant"] else "  (unknown)"
