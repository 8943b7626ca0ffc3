"""Failures that a backend's author expects, with their reasons: a file in TOML, which reports print.

.. code-block:: toml

   [[expected]]
   backend = "mine"
   scenario = "dtypes/holomorphic:*"
   reason = "the framework has no complex division, see its issue 12"
   raises = "NotImplementedError"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from anyjac import InputValueError

from .scenario import Scenario


@dataclass(frozen=True)
class Expectation:
    """One expected failure.

    Attributes
    ----------
    scenario
        Ids of scenarios, with ``*`` for any text.
    reason
        Why the scenario fails, in the words that a report prints.
    backend
        The backend's name, ``*`` for every one.
    raises
        Name of the exception with which the scenario has to fail; empty where a wrong answer is expected.
    """

    scenario: str
    reason: str
    backend: str = "*"
    raises: str = ""

    def covers(self, scenario: Scenario, backend: str) -> bool:
        """Return whether the entry is about a scenario on a backend."""
        return fnmatchcase(scenario.id, self.scenario) and fnmatchcase(backend, self.backend)

    def faults_of(self, error: BaseException | None, found: Sequence[str]) -> list[str]:
        """Return how a failure differs from the expected one; no failure at all is a fault too."""
        if not found:
            return [f"it passed, and was expected to fail ({self.reason}); take it out of the expected failures"]
        if self.raises and type(error).__name__ != self.raises:
            seen = "no error" if error is None else f"{type(error).__name__}: {error}"
            return [f"it was expected to raise {self.raises} ({self.reason}), and gave {seen}", *found]
        return []


def load_expectations(path: str | Path, scenarios: Iterable[Scenario]) -> list[Expectation]:
    """Read a file of expected failures.

    Parameters
    ----------
    path
        The file, in TOML: tables ``[[expected]]`` with the attributes of `Expectation`.
    scenarios
        The scenarios of the suite.

    Raises
    ------
    InputValueError
        If the file is not of this form, an entry lacks a reason, or an entry fits none of the scenarios.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from anyjac_conformance import all_scenarios, load_expectations
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "expected.toml")
    ...     _ = file.write_text('[[expected]]\\nscenario = "dtypes/empty:*"\\nreason = "no empty arrays"\\n')
    ...     load_expectations(file, all_scenarios())[0].reason
    'no empty arrays'
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputValueError(f"the file of expected failures cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputValueError(f"{path} is not TOML: {error}") from error
    entries = found.get("expected", [])
    if set(found) - {"expected"} or not isinstance(entries, list):
        raise InputValueError(f"{path} has {sorted(found)}; it holds tables [[expected]] and nothing else")
    known = list(scenarios)
    return [_expectation(path, number, entry, known) for number, entry in enumerate(entries, start=1)]


def _expectation(path: str | Path, number: int, entry: object, scenarios: Sequence[Scenario]) -> Expectation:
    where = f"{path}, entry {number}"
    names = [field.name for field in fields(Expectation)]
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise InputValueError(f"{where} is no table of texts: {entry!r}")
    unknown, lacking = set(entry) - set(names), {"scenario", "reason"} - set(entry)
    if unknown or lacking:
        raise InputValueError(
            f"{where} has {', '.join(sorted(entry))}; it needs scenario and reason, and takes {', '.join(names)}"
        )
    expectation = Expectation(**entry)
    if not any(fnmatchcase(scenario.id, expectation.scenario) for scenario in scenarios):
        raise InputValueError(f"{where}: no scenario is called {expectation.scenario!r}")
    return expectation
