"""Changing elements of JAX arrays: by ``array.at[index]``, except where JAX would drop something in silence.

JAX drops what an index out of range assigns, and has no derivative of a product over equal indices. So an index whose
values are known is checked here first, or left to the default; a traced one is left to JAX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

Array = Any

METHODS: Final = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "divide": "divide",
    "pow": "power",
    "minimum": "min",
    "maximum": "max",
}
"""The array API's name of an operation, and that of the method of ``array.at[index]``."""


def assign(default: Callable[..., Array], array: Array, index: Any, value: Any) -> Array:
    """Return `array` with the elements at `index` replaced."""
    if _is_mask(index):
        return default(array, index, value)
    _refuse_out_of_range(array, index)
    return array.at[index].set(_in_dtype(array, value))


def update(default: Callable[..., Array], array: Array, index: Any, operation: str, value: Any) -> Array:
    """Return `array` with an operation applied to the elements at `index`."""
    if _is_mask(index) or (not _is_traced(index) and operation not in ("add", "subtract")):
        return default(array, index, operation, value)
    _refuse_out_of_range(array, index)
    changed: Array = getattr(array.at[index], METHODS[operation])(_in_dtype(array, value))
    return changed


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _is_traced(index: Any) -> bool:
    return any(isinstance(part, jax.core.Tracer) for part in _parts(index))


def _is_mask(index: Any) -> bool:
    return isinstance(index, jax.Array | np.ndarray) and index.dtype == np.bool_


def _in_dtype(array: Array, value: Any) -> Array:
    return jnp.asarray(value).astype(array.dtype)


def _refuse_out_of_range(array: Array, index: Any) -> None:
    """Let NumPy raise its IndexError, on an array of the same shape that takes no memory."""
    if not _is_traced(index):
        np.broadcast_to(np.False_, array.shape)[
            tuple(np.asarray(part) if isinstance(part, jax.Array) else part for part in _parts(index))
        ]
