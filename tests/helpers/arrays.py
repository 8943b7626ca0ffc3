"""Arrays of a backend, made of numbers."""

from typing import Any

import numpy as np

from anyjac import Backend


def made(backend: Backend, values: Any, dtype: str = "float64") -> Any:
    """Return numbers as an array of the backend."""
    return backend.asarray(np.asarray(values, dtype=dtype))
