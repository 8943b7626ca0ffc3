"""The engine: runs scenarios against one backend and says what came of each."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import anyjac
from anyjac import Backend, NotSupportedError

from .answers import Raises, faults
from .catalogue import all_scenarios
from .lab import Lab
from .scenario import Scenario

PASSED: Final = "passed"
FAILED: Final = "failed"
NOT_DECLARED: Final = "not declared"


@dataclass(frozen=True)
class Result:
    """What came of one scenario on one backend.

    Attributes
    ----------
    status
        ``passed``, ``failed``, or ``not declared``: the backend lacks a capability and refused, as it has to.
    faults
        What was wrong, each with the path to it; empty unless the status is ``failed``.
    error
        The exception, where one was raised that was not expected.
    seconds
        How long it took.
    """

    scenario: Scenario
    backend: str
    status: str
    faults: tuple[str, ...] = ()
    error: BaseException | None = None
    seconds: float = 0.0


def run_scenario(scenario: Scenario, backend: Backend) -> Result:
    """Run one scenario in a context of its own, in which `backend` is the chosen one."""
    started = time.perf_counter()
    lab = Lab(backend)
    observed, error = contextvars.Context().run(_observe, scenario, lab)
    undeclared = sorted(scenario.requires - backend.capabilities)
    if undeclared:
        status, found = NOT_DECLARED, _refusal_faults(undeclared, error)
    else:
        status, found = PASSED, _faults(scenario, lab, observed, error)
    return Result(
        scenario=scenario,
        backend=backend.name,
        status=FAILED if found else status,
        faults=tuple(found),
        error=error if found else None,
        seconds=time.perf_counter() - started,
    )


def check_backend(
    backend: str | Backend,
    *,
    scenarios: Iterable[Scenario] | None = None,
    progress: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run the conformance scenarios against one backend.

    Parameters
    ----------
    backend
        A name, or a `Backend` object, which is registered for the length of the run if its name is free.
    scenarios
        Those to run; None for all.
    progress
        Called with each result as it comes.

    Returns
    -------
    list of Result
        One for each scenario, in order.

    Examples
    --------
    >>> from anyjac_conformance import all_scenarios, check_backend
    >>> some = [s for s in all_scenarios() if s.clause == "dtypes/scalars"]
    >>> {result.status for result in check_backend("numpy", scenarios=some)}
    {'passed'}
    """
    registered = isinstance(backend, Backend) and backend.name not in {info.name for info in anyjac.backends()}
    if registered:
        anyjac.register_backend(backend)  # type: ignore[arg-type]
    chosen = anyjac.get_backend(backend)
    try:
        results = []
        for scenario in all_scenarios() if scenarios is None else scenarios:
            results.append(run_scenario(scenario, chosen))
            if progress is not None:
                progress(results[-1])
        return results
    finally:
        if registered:
            anyjac.unregister_backend(chosen.name)


def _observe(scenario: Scenario, lab: Lab) -> tuple[Any, BaseException | None]:
    with anyjac.use_backend(lab.backend):
        try:
            return scenario.observe(lab), None
        except Exception as error:
            return None, error


def _faults(scenario: Scenario, lab: Lab, observed: Any, error: BaseException | None) -> list[str]:
    answer = scenario.answer(lab) if callable(scenario.answer) else scenario.answer
    if isinstance(answer, Raises):
        return answer.faults_of(error)
    if error is not None:
        return [f"{type(error).__name__}: {error}"]
    return list(faults(lab.backend, observed, answer))


def _refusal_faults(undeclared: list[str], error: BaseException | None) -> list[str]:
    if isinstance(error, NotSupportedError):
        return []
    seen = "no error" if error is None else f"{type(error).__name__}: {error}"
    return [f"the backend does not declare {', '.join(undeclared)} and must raise NotSupportedError; it gave {seen}"]
