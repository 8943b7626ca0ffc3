"""Settings for the whole test session, made before any framework is imported."""

import gc
import os

os.environ["JAX_ENABLE_X64"] = "1"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
for name in [name for name in os.environ if name.startswith("ANYJAC_")]:
    del os.environ[name]

import numpy as np
import pytest

import anyjac


@pytest.fixture(scope="session", autouse=True)
def frozen() -> None:
    """Let the collector pass over frameworks and collected tests, which take it a second in each of its runs."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def array(backend: anyjac.Backend):
    """Make a float64 array of the backend."""
    return lambda value: backend.asarray(np.asarray(value, dtype=np.float64))
