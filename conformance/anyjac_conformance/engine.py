"""The engine: runs scenarios against one backend and returns a result for each."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import anyjac
from anyjac import Backend, NotSupportedError
from anyjac_plugins.errors import ConformanceError

from .answers import Either, Raises, faults
from .catalogue import all_scenarios
from .expectations import Expectation
from .lab import Lab
from .result import ERROR, EXPECTED_FAILURE, FAILED, NOT_DECLARED, PASSED, Result
from .scenario import Scenario


def check_backend(
    backend: str | Backend,
    *,
    scenarios: Iterable[Scenario] | None = None,
    device: str | None = None,
    expected: Sequence[Expectation] = (),
    on_fail: Literal["raise", "collect"] = "raise",
    progress: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run the conformance scenarios against one backend.

    Parameters
    ----------
    backend
        A name, or a `Backend` object, which is registered for the length of the run if its name is free.
    scenarios
        The scenarios to run; None for all of them.
    device
        Name of the device on which arrays are made and the work is done; None for the backend's default.
    expected
        Failures to expect; a scenario that passes in spite of its entry counts as failed.
    on_fail
        ``"raise"`` raises when all have run and some have failed; ``"collect"`` only returns the results.
    progress
        Called with each result as it comes.

    Returns
    -------
    list of Result
        One for each scenario, in order.

    Raises
    ------
    ConformanceError
        With ``on_fail="raise"``, listing what failed.

    Examples
    --------
    >>> from anyjac_conformance import check_backend, select
    >>> {result.status for result in check_backend("numpy", scenarios=select(["dtypes/scalars"]))}
    {'passed'}
    """
    with _registered(backend) as chosen:
        results = []
        for scenario in all_scenarios() if scenarios is None else scenarios:
            results.append(run_scenario(scenario, chosen, device=device, expected=expected))
            if progress is not None:
                progress(results[-1])
    bad = [result for result in results if result.bad]
    if bad and on_fail == "raise":
        lines = [f"{result.scenario.id}: {'; '.join(result.faults)}" for result in bad]
        raise ConformanceError(
            f"backend {chosen.name!r} failed {len(bad)} of {len(results)} scenarios:\n" + "\n".join(lines)
        )
    return results


def run_scenario(
    scenario: Scenario, backend: Backend, *, device: str | None = None, expected: Sequence[Expectation] = ()
) -> Result:
    """Run one scenario in a context of its own, in which `backend` is the chosen one."""
    used = backend.devices()[0] if device is None else backend.resolve_device(device)
    lab = Lab(backend, None if device is None else used)
    started = time.perf_counter()
    observed, error = contextvars.Context().run(_observe, scenario, lab)
    undeclared = sorted(scenario.requires - backend.capabilities)
    answer = scenario.answer(lab) if callable(scenario.answer) else scenario.answer
    errors: list[float] = []
    if undeclared:
        status, reason, found = NOT_DECLARED, ", ".join(undeclared), _refusal_faults(undeclared, error)
    else:
        status, reason, found = PASSED, "", _faults(answer, backend, observed, error, errors)
    expectation = next((one for one in expected if one.covers(scenario, backend.name)), None)
    if expectation is not None:
        reason, unmet = expectation.reason, expectation.faults_of(error, found)
        status, found = (FAILED, unmet) if unmet else (EXPECTED_FAILURE, found)
    elif found:
        status = FAILED if error is None or isinstance(answer, Either | Raises) else ERROR
    return Result(
        scenario=scenario,
        backend=backend.name,
        status=status,
        faults=tuple(found),
        reason=reason,
        error=error if found else None,
        seconds=time.perf_counter() - started,
        worst_error=max(errors, default=None),
        device=backend.device_name(used),
    )


@contextmanager
def _registered(backend: str | Backend) -> Iterator[Backend]:
    """Register a backend object for the length of a run, unless a backend of its name is registered."""
    if not isinstance(backend, Backend) or backend.name in {info.name for info in anyjac.backends()}:
        yield anyjac.get_backend(backend)
        return
    anyjac.register_backend(backend)
    try:
        yield backend
    finally:
        anyjac.unregister_backend(backend.name)


def _observe(scenario: Scenario, lab: Lab) -> tuple[Any, BaseException | None]:
    with anyjac.use_backend(lab.backend), lab.chosen_device():
        try:
            return scenario.observe(lab), None
        except Exception as error:  # any that a backend raises is a result, and may be the right one
            return None, error


def _faults(
    answer: Any, backend: Backend, observed: Any, error: BaseException | None, errors: list[float]
) -> list[str]:
    if isinstance(answer, Either):
        answer = answer.refusal if error is not None else answer.result
    if isinstance(answer, Raises):
        return answer.faults_of(error)
    if error is not None:
        return [f"{type(error).__name__}: {error}"]
    try:
        return list(faults(backend, observed, answer, errors=errors))
    except Exception as unreadable:  # any that a backend's arrays raise is a fault, and reported
        return [f"the result cannot be read: {type(unreadable).__name__}: {unreadable}"]


def _refusal_faults(undeclared: list[str], error: BaseException | None) -> list[str]:
    if isinstance(error, NotSupportedError):
        return []
    seen = "no error" if error is None else f"{type(error).__name__}: {error}"
    return [f"the backend does not declare {', '.join(undeclared)} and must raise NotSupportedError; it gave {seen}"]
