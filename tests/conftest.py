"""Fixtures that every test may ask for."""

from functools import partial

import pytest
from tests.helpers.arrays import made

import anyjac


@pytest.fixture
def array(backend: anyjac.Backend):
    """Make a float64 array of the backend."""
    return partial(made, backend)
