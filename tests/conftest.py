"""Fixtures that every test may ask for."""

import numpy as np
import pytest

import anyjac


@pytest.fixture
def array(backend: anyjac.Backend):
    """Make a float64 array of the backend."""
    return lambda value: backend.asarray(np.asarray(value, dtype=np.float64))
