"""Settings for the whole test session, made before any framework is imported."""

import os
from collections import Counter

os.environ["JAX_ENABLE_X64"] = "1"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
for name in [name for name in os.environ if name.startswith("ANYJAC_")]:
    del os.environ[name]

import numpy as np
import pytest

import anyjac

BACKENDS = ("autograd", "jax", "torch")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> anyjac.Backend:
    """Each first-party backend in turn; never skipped: the frameworks are part of the test extra."""
    return anyjac.get_backend(request.param)


@pytest.fixture
def xp(backend: anyjac.Backend):
    """The backend's array namespace."""
    return backend.namespace


@pytest.fixture
def array(backend: anyjac.Backend):
    """Make a float64 array of the backend."""
    return lambda value: backend.asarray(np.asarray(value, dtype=np.float64))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report, for each backend, how many conformance scenarios ran and what came of them."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties if report.when == "call" else ():
                if name == "conformance":
                    backend, status = value
                    counts.setdefault(backend, Counter())[status] += 1
    if counts:
        terminalreporter.section("conformance scenarios")
    for backend, statuses in sorted(counts.items()):
        shown = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        terminalreporter.write_line(f"{backend}: {sum(statuses.values())} scenarios ran: {shown}")
