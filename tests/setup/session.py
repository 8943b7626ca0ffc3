"""Settings of the whole session, made before any framework is imported."""

import gc
import os
import sys

import pytest
from tests.helpers.repository import ROOT

PROGRAMS = ROOT / ".pytest_cache" / "programs" / f"python{sys.version_info.major}.{sys.version_info.minor}"
"""Where JAX keeps what it has compiled, from test to test and from run to run: in another format on Python 3.14."""

SETTINGS = {
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    "JAX_COMPILATION_CACHE_DIR": str(PROGRAMS / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "TORCHINDUCTOR_CACHE_DIR": str(PROGRAMS / "torch"),
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # not a pool of processes that each import PyTorch
}

os.environ.update(SETTINGS)
for name in [name for name in os.environ if name.startswith("ANYJAC_")]:
    del os.environ[name]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remove the half-written programs of an interrupted run, of which JAX would complain."""
    if not hasattr(session.config, "workerinput") and PROGRAMS.is_dir():
        for path in PROGRAMS.glob("jax/*"):
            if path.exists() and path.stat().st_size == 0:
                path.unlink(missing_ok=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let the collector pass over objects from before the test: the frameworks' take it a second each time."""
    gc.freeze()
