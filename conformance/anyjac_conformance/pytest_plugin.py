"""The pytest plugin: ``pytest --pyargs anyjac_conformance``, and the fixtures ``backend`` and ``xp`` for any project.

The options exist only in a run that names ``anyjac_conformance``, so that they cannot clash with those of a project
that happens to have anyjac installed. Such a project lists backends in its configuration,
``anyjac_backends = ["jax", "torch"]``, and tests that use the fixtures run on each; without a list they run on the
chosen backend. anyjac is imported when a test needs it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from anyjac import Backend

PACKAGE = "anyjac_conformance"
INI = "anyjac_backends"
PROPERTY = "anyjac_conformance"
ALL = "all"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting that a project makes in its configuration file."""
    parser.addini(INI, "backends for the fixtures `backend` and `xp` of anyjac", type="args", default=[])


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Add the options, in a run of the suite itself."""
    if not any(PACKAGE in argument for argument in args):
        return
    group = parser.getgroup("anyjac", "anyjac's conformance suite")
    group.addoption(
        "--backend", action="append", metavar="NAME", help=f"backend to run; may be repeated; {ALL!r} for every one"
    )
    group.addoption("--select", action="append", metavar="CLAUSE", help="only this subject, clause or id")
    group.addoption("--device", metavar="NAME", help="device on which to run, such as cuda or cpu:1")
    group.addoption("--xfail", metavar="FILE", help="expected failures, in TOML")
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # before JAX is imported: the answers are in double precision


def backend_names(config: pytest.Config) -> list[str]:
    """Return the backends that options, configuration or the environment name."""
    import anyjac

    named = config.getoption("--backend", None) or config.getini(INI)
    if ALL in named:
        return [info.name for info in anyjac.backends() if info.error is None]
    return list(named) or [anyjac.get_backend().name]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that use this module's fixture `backend` on each backend of the run."""
    if "backend" in metafunc.fixturenames and _is_ours(metafunc):
        metafunc.parametrize("backend", backend_names(metafunc.config), indirect=True, scope="session")


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    """Return whether the fixture `backend` is this module's: a project may have its own fixture of this name."""
    definitions = metafunc._arg2fixturedefs.get("backend", ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """A backend of anyjac: each one of the run in turn."""
    import anyjac

    return anyjac.get_backend(request.param)


@pytest.fixture(scope="session")
def xp(backend: Backend) -> Any:
    """The array namespace of the backend."""
    return backend.namespace


# ---- what is printed -------------------------------------------------------------------------------------------------


def pytest_report_header() -> list[str]:
    """Print every variable of the environment that begins with ANYJAC_, so that a misspelling shows."""
    return [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("ANYJAC_")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often each status occurred, for each backend, and for each clause where pytest is verbose."""
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                if name == PROPERTY:
                    backend, clause, status = value.split("|")
                    counts.setdefault(backend, Counter())[clause, status] += 1
    if counts:
        terminalreporter.section("conformance scenarios")
    for backend, found in sorted(counts.items()):
        terminalreporter.write_line(f"{backend}: {sum(found.values())} scenarios ran: {_by_status(found)}")
        if terminalreporter.config.get_verbosity() > 0:
            for clause in dict.fromkeys(clause for clause, _ in sorted(found)):
                own = Counter({key: count for key, count in found.items() if key[0] == clause})
                terminalreporter.write_line(f"    {clause}: {_by_status(own)}")


def _by_status(found: Counter[tuple[str, str]]) -> str:
    statuses: Counter[str] = Counter()
    for (_, status), count in found.items():
        statuses[status] += count
    return ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
