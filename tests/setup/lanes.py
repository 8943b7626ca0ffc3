"""The two lanes of tests: those of anyjac, and long ones that go through the frameworks' own functions.

``python -m pytest`` runs the quick lane, ``python -m pytest -m "exhaustive or needs"`` the other. A file that is named
on the command line runs whole. Of the cases of a sweep, by its marker, one in 32 runs, and all of them with
``--whole-sweeps``; ``--part 1/2`` takes one half of whatever would run. The marker `needs` names the tools of a test
(see `tools`). A test without its tools is skipped and counted in the last lines, and fails the run with
``--nothing-left-out``.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.repository import ROOT

from .tools import TOOLS, is_missing

EXHAUSTIVE: dict[str, tuple[str, ...]] = {
    # a file or folder of the exhaustive lane: the tools that it needs to be read at all
    "docs/batches.rst": ("equinox",),
    "docs/brainpy.rst": ("brainpy",),
    "docs/brainstate.rst": ("brainstate",),
    "docs/equinox.rst": ("equinox",),
    "docs/flax.rst": ("flax",),
    "tests/backends/test_jax_solvers.py": ("diffrax",),
    "tests/backends/test_torch_operators.py": ("expecttest",),
    "tests/models/test_brainpy.py": ("brainpy",),
    "tests/models/test_brainstate.py": ("brainstate",),
    "tests/models/test_equinox.py": ("equinox",),
    "tests/models/test_models_in_loops.py": ("brainpy", "brainstate", "equinox", "flax"),
    "tests/models/test_nnx.py": ("flax",),
    "tests/test_benchmarks.py": ("matplotlib",),
    "tests/test_docstrings.py": ("numpydoc",),
    "tests/typing": ("mypy",),
}

SWEEPS = "--whole-sweeps"
"""The option by which every case of a sweep runs, which takes some hours."""
SHARE = 32
"""The exhaustive lane runs one in so many cases of a sweep, always the same."""

PART = "--part"
"""The option by which one of several runs takes its share of the tests."""

EXPRESSION = "exhaustive"
OPTION = "--nothing-left-out"
LEFT_OUT = "not on this machine: "
"""The beginning of the reason of a test that was skipped for want of a tool."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option by which a run fails if it has left tests out."""
    help = "fail where a test was not run for want of a browser, a compiler or a library"
    parser.addoption(OPTION, action="store_true", help=help)
    parser.addoption(PART, type=_part, metavar="K/N", help="run the K-th of N parts of the tests, of equal size")
    parser.addoption(SWEEPS, action="store_true", help=f"run every case of a sweep, and not one in {SHARE}")


def _part(text: str) -> tuple[int, int]:
    """Return which part to run, and how many parts there are."""
    number, count = map(int, text.split("/"))
    if not 1 <= number <= count:
        raise ValueError(text)
    return number, count


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for line in (
        "exhaustive: tests the frameworks' own functions, or takes long; left out where no expression is given",
        "exhaustive_on(*backends): so on these backends",
        f"sweep: exhaustive, and of so many cases that the lane runs one in {SHARE}; all of them with {SWEEPS}",
        "needs(*tools): needs a browser, a compiler or a library, by its name in tests/setup/tools.py",
    ):
        config.addinivalue_line("markers", line)
    folder = config.invocation_params.dir
    config.stash[_NAMED] = {(folder / argument.partition("::")[0]).resolve() for argument in config.args}
    for path, reason in _files_left_out(config):
        if ROOT / path in config.stash[_NAMED]:
            raise pytest.UsageError(f"{path} cannot run: {reason}")


_NAMED = pytest.StashKey[set[Path]]()
"""The files and folders that the command line names, or else those of the settings."""


# ---- which tests run -----------------------------------------------------------------------------------------------


def is_quick(config: pytest.Config) -> bool:
    """Return whether this run is one of the quick lane, since no expression of markers asks for the other."""
    expression = str(config.getoption("markexpr"))
    return EXPRESSION not in expression or f"not {EXPRESSION}" in expression


def _entry(path: Path) -> str | None:
    """Return the entry of `EXHAUSTIVE` for a file or folder."""
    if not path.is_relative_to(ROOT):
        return None
    parts = path.relative_to(ROOT).parts
    folders = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return next((folder for folder in folders if folder in EXHAUSTIVE), None)


def _is_named(config: pytest.Config, path: Path) -> bool:
    """Return whether the command line names a file, or a folder that is one entry of `EXHAUSTIVE`."""
    entry = _entry(path)
    return path in config.stash[_NAMED] or (entry is not None and ROOT / entry in config.stash[_NAMED])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files of the other lane unread, and those whose libraries are missing."""
    entry = _entry(collection_path)
    if entry is None:
        return None
    other_lane = is_quick(config) and not _is_named(config, collection_path)
    return True if other_lane or any(map(is_missing, EXHAUSTIVE[entry])) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the items of the exhaustive lane, and leave them out of the quick one."""
    for item in items:
        sweep = item.get_closest_marker("sweep") is not None
        if sweep or _entry(item.path) is not None or _is_exhaustive_on_its_backend(item):
            item.add_marker(pytest.mark.exhaustive)
    if not config.getoption(SWEEPS):
        _leave_out(config, items, [item for item in items if _is_rest_of_sweep(config, item)])
    if is_quick(config):
        others = [item for item in items if item.get_closest_marker(EXPRESSION) and not _is_named(config, item.path)]
        _leave_out(config, items, others)
    if config.getoption(PART):
        number, count = config.getoption(PART)
        _leave_out(config, items, [item for item in items if _number_of(item) % count != number - 1])


def _number_of(item: pytest.Item) -> int:
    """Return a number that is always the same for a test, and evenly spread; examples of a page have one in common."""
    name = item.nodeid if isinstance(item, pytest.Function) else item.nodeid.partition("::")[0]
    return zlib.crc32(name.encode())


def _is_rest_of_sweep(config: pytest.Config, item: pytest.Item) -> bool:
    """Return whether a case of a sweep is none of those that always run; a file that is named runs whole."""
    if item.get_closest_marker("sweep") is None or _is_named(config, item.path):
        return False
    return _number_of(item) % SHARE != 0


def _leave_out(config: pytest.Config, items: list[pytest.Item], others: list[pytest.Item]) -> None:
    if others:
        config.hook.pytest_deselected(items=others)
        left = set(map(id, others))
        items[:] = [item for item in items if id(item) not in left]


def _is_exhaustive_on_its_backend(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("exhaustive_on")
    parameters = getattr(item, "callspec", None)
    return marker is not None and parameters is not None and parameters.params.get("backend") in marker.args


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tools are missing, and name the command that brings them."""
    for marker in item.iter_markers("needs"):
        for name in filter(is_missing, marker.args):
            pytest.skip(_reason(name))


def _reason(name: str) -> str:
    return f"{LEFT_OUT}{TOOLS[name].name} missing; {TOOLS[name].install}"


# ---- what was left out ---------------------------------------------------------------------------------------------


def _files_left_out(config: pytest.Config) -> Iterator[tuple[str, str]]:
    """Yield the files of this run that could not be read, each with the reason."""
    for entry, names in EXHAUSTIVE.items():
        if not is_quick(config) or _is_named(config, ROOT / entry):
            for name in filter(is_missing, names):
                yield entry, _reason(name)


def _tests_left_out(reporter: pytest.TerminalReporter) -> Counter[tuple[str, str]]:
    """Count the tests that were skipped for want of a tool, by file and reason."""
    found: Counter[tuple[str, str]] = Counter()
    for report in reporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            _, _, reason = report.longrepr
            if LEFT_OUT in reason:
                found[report.nodeid.partition("::")[0], reason.removeprefix("Skipped: ")] += 1
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Count and name in the last lines the tests that were skipped for want of a tool."""
    tests = _tests_left_out(terminalreporter)
    files = list(_files_left_out(config))
    if tests or files:
        terminalreporter.section("not run here")
        for (path, reason), count in sorted(tests.items()):
            terminalreporter.write_line(f"{count} tests of {path}: {reason}")
        for path, reason in files:
            terminalreporter.write_line(f"all of {path}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that has left tests out in spite of ``--nothing-left-out``."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not config.getoption(OPTION, default=False) or reporter is None or hasattr(config, "workerinput"):
        return
    if _tests_left_out(reporter) or any(_files_left_out(config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
