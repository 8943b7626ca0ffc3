"""Index assignment that autograd can differentiate, for arrays that cannot be written in place."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive
from autograd.numpy.numpy_vjps import unbroadcast_f
from autograd.tracer import isbox

Array = Any


def set_index(array: Array, index: Any, value: Any) -> Array:
    """Return `array` with the elements at `index` replaced by `value`; differentiable in both, to any order."""
    dtype = array.dtype
    if isbox(value) and value.dtype != dtype:
        value = value.astype(dtype)
    return _replaced(array, index, value)


@primitive  # type: ignore[untyped-decorator]
def _replaced(array: Array, index: Any, value: Any) -> Array:
    changed = np.array(array)
    changed[index] = value
    return changed


def _winners(shape: tuple[int, ...], index: Any) -> Array:
    """Return 1 where an element of the assigned value stays, 0 where a later one for the same place overwrites it."""
    places = np.full(shape, -1)
    order = np.arange(places[index].size).reshape(places[index].shape)
    places[index] = order
    return (places[index] == order).astype(float)


defvjp(
    _replaced,
    lambda ans, array, index, value: lambda g: _replaced(g, index, np.zeros((), g.dtype)),
    None,
    lambda ans, array, index, value: unbroadcast_f(
        value, lambda g: g[index] * _winners(anp.shape(array), index).astype(g.dtype)
    ),
    argnums=(0, 1, 2),
)
