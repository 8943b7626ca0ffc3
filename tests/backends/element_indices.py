"""Every kind of index into an array of three rows and four columns, by its name."""

from typing import Any

import numpy as np

from anyjac import Backend

SHAPE = (3, 4)
INDICES: dict[str, Any] = {
    "an int": 1,
    "a negative int": -1,
    "a pair": (2, -3),
    "a slice": slice(1, None),
    "a stepped slice": (slice(None), slice(0, 4, 2)),
    "an ellipsis": (..., 1),
    "everything": ...,
    "a new axis": (None, 1),
    "a mask": np.arange(12).reshape(SHAPE) % 5 < 2,
    "integers": np.array([2, 0]),
    "pairs of integers": (np.array([0, 2, 1]), np.array([3, 0, 1])),
    "nothing": slice(0, 0),
    "an empty mask": np.zeros(SHAPE, dtype=bool),
}


def own_index(backend: Backend, index: Any) -> Any:
    """Return an index whose arrays are those of the backend."""
    if isinstance(index, tuple):
        return tuple(own_index(backend, part) for part in index)
    return backend.asarray(index) if isinstance(index, np.ndarray) else index
