"""Says before a run which lane runs, for how long, and how to run a part."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .lanes import is_quick

LANES = {
    # quick: how long the lane takes if it has not run before, and how to run the other
    True: (
        "the quick lane: some 7,000 tests, five minutes on two idle cores",
        'python -m pytest -m "exhaustive or needs"',
    ),
    False: ("the exhaustive lane: some 2,400 tests, ten minutes on two cores", "python -m pytest"),
}
CHOICES = ("keyword", "lf", "deselect", "ignore", "ignore_glob")
"""Options that choose among tests."""

LAST = "anyjac/last"
"""The name under which pytest's cache keeps the seconds of the last whole run."""


def _is_whole(config: pytest.Config) -> bool:
    """Return whether the run is of all files, and of all their tests."""
    chosen = any(
        config.getoption(name, default=None) for name in ("keyword", "lf", "deselect", "ignore", "ignore_glob")
    )
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which lane runs, for how long, and how to run less or more."""
    if not _is_whole(config):
        return []
    estimate, other = LANES[is_quick(config)]
    last = _last(config).get(config.getoption("markexpr"))
    told = f"; {last['tests']} tests took {_minutes(last['seconds'])} when they last ran here" if last else ""
    return [
        f"{estimate}{told}",
        "one part: python -m pytest tests/core; one page: python -m pytest docs/concepts.rst; in one process: -n 0",
        f"the other lane: {other}, see CONTRIBUTING.md",
    ]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note the time at the start."""
    session.config.stash[_BEGAN] = time.monotonic()


_BEGAN = pytest.StashKey[float]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the seconds of a whole run."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    cache = getattr(config, "cache", None)
    if cache is None or reporter is None or hasattr(config, "workerinput"):
        return
    if _is_whole(config) and exitstatus == pytest.ExitCode.OK and not config.getoption("collectonly"):
        seconds = time.monotonic() - config.stash[_BEGAN]
        tests = sum(len(reporter.getreports(outcome)) for outcome in ("passed", "failed", "skipped"))
        cache.set(LAST, {**_last(config), config.getoption("markexpr"): {"tests": tests, "seconds": seconds}})


def _last(config: pytest.Config) -> dict[str, Any]:
    cache = getattr(config, "cache", None)
    return {} if cache is None else dict(cache.get(LAST, {}))


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
