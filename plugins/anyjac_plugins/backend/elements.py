"""Elements: assignment and arithmetic at an index, by default in terms of the namespace.

==================  ===============================================================================================
member              override it where
==================  ===============================================================================================
``set_index``       the framework assigns to elements by itself; by default gathers do it
``update_index``    the same for ``x[i] += y`` and its like
``index_to_numpy``  an array of indices can be traced though its values are known; by default `to_numpy`
==================  ===============================================================================================

By default an index is worked out on the host, by NumPy, so that it means the same everywhere and one that is out of
range is an IndexError; the values go through gathers, which every framework differentiates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from .arrays import ArrayMembers
from .types import Array

Integers = np.ndarray[Any, Any]

COMBINED_BY: Final = {
    # operation   what makes one operand of several for the same element
    "add": "add",
    "subtract": "add",
    "multiply": "multiply",
    "divide": "multiply",
    "pow": "multiply",
    "minimum": "minimum",
    "maximum": "maximum",
}
"""The operations of `update_index`, functions of the array API."""


class ElementMembers(ArrayMembers):
    """The part of a backend that changes elements of arrays."""

    def set_index(self, array: Array, index: Any, value: Any) -> Array:
        """Return `array` with the elements at `index` replaced by `value`, as NumPy does it; differentiable in both.

        The default gathers from `value` where an element is replaced; arrays in `index` must be known on the host.
        """
        return _assigned(self, array, index, value)

    def update_index(self, array: Array, index: Any, operation: str, value: Any) -> Array:
        """Return `array` with ``operation(element, value)`` at `index`; differentiable in both.

        Parameters
        ----------
        operation
            ``"add"``, ``"subtract"``, ``"multiply"``, ``"divide"``, ``"pow"``, ``"minimum"`` or ``"maximum"``. An
            element that `index` names several times takes all its operands.
        """
        return _updated(self, array, index, operation, value)

    def index_to_numpy(self, index: Array) -> np.ndarray[Any, Any]:
        """Return an array of integers or bools, as it stands in an index, on the host."""
        return self.to_numpy(index)


def _assigned(backend: ElementMembers, array: Array, index: Any, value: Any) -> Array:
    """Return `array` with the elements at `index` replaced by `value`; of several for one element the last stays."""
    xp = backend.namespace
    if _is_mask_for(backend, index, array, value):
        return _update_masked(backend, array, index, lambda _, given: given, value)
    positions = _positions(backend, array, index)
    if not positions.size:
        return array
    source = np.full(math.prod(array.shape), -1)
    source[positions.ravel()] = np.arange(positions.size)
    values = _values(backend, array, value, positions.shape)
    device = backend.device_of(array)
    gathered = xp.take(values, backend.asarray(np.maximum(source, 0), device=device), axis=0)
    flat = xp.where(backend.asarray(source >= 0, device=device), gathered, xp.reshape(array, (-1,)))
    return xp.reshape(flat, tuple(array.shape))


def _updated(backend: ElementMembers, array: Array, index: Any, operation: str, value: Any) -> Array:
    """Return `array` with ``operation(element, value)`` in the place of each element that `index` names.

    Operands for the same element are first combined, see `COMBINED_BY`.
    """
    xp = backend.namespace
    if _is_mask_for(backend, index, array, value):
        return _update_masked(backend, array, index, getattr(xp, operation), value)
    positions = _positions(backend, array, index)
    if not positions.size:
        return array
    values = _values(backend, array, value, positions.shape)
    combine = getattr(xp, COMBINED_BY[operation])
    once, combined = _combine_equal(backend, positions.ravel(), values, combine, backend.device_of(array))
    flat = xp.reshape(array, (-1,))
    elements = xp.take(flat, backend.asarray(once, device=backend.device_of(array)), axis=0)
    changed = backend.set_index(flat, once, getattr(xp, operation)(elements, combined))
    return xp.reshape(changed, tuple(array.shape))


def _positions(backend: ElementMembers, array: Array, index: Any) -> Integers:
    """Return the position, in the flattened array, of each element that `index` names."""
    shape = tuple(array.shape)
    positions: Integers = np.asarray(np.arange(math.prod(shape)).reshape(shape)[_on_host(backend, index)])
    return positions


def _on_host(backend: ElementMembers, index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_on_host(backend, part) for part in index)
    return backend.index_to_numpy(index) if backend.is_array(index) else index


def _values(backend: ElementMembers, array: Array, value: Any, shape: tuple[int, ...]) -> Array:
    """Return `value` in the dtype of `array`, one number for each position, flat."""
    xp = backend.namespace
    if not backend.is_array(value):
        value = backend.asarray(value, dtype=array.dtype, device=backend.device_of(array))
    return xp.reshape(xp.broadcast_to(xp.astype(value, array.dtype), shape), (-1,))


def _is_mask_for(backend: ElementMembers, index: Any, array: Array, value: Any) -> bool:
    """Return whether `index` is an array of bools, and the same `value` is meant wherever it is true."""
    if backend.is_array(index):
        is_mask = backend.dtype_kind(index.dtype) == "bool"
    else:
        is_mask = isinstance(index, np.ndarray) and index.dtype == np.bool_
    return is_mask and np.ndim(value) <= len(array.shape) - len(index.shape)


def _update_masked(backend: ElementMembers, array: Array, mask: Any, apply: Callable[..., Any], value: Any) -> Array:
    """Update under a mask without a look at its values, since it may be traced.

    What is not selected is replaced by 1 beforehand: an operation with no finite derivative there would otherwise
    make a NaN of the zero that flows back to it.
    """
    if tuple(mask.shape) != tuple(array.shape)[: len(mask.shape)]:
        raise IndexError(f"a mask of shape {tuple(mask.shape)} does not fit an array of shape {tuple(array.shape)}")
    xp = backend.namespace
    value = value if backend.is_array(value) else backend.asarray(value, dtype=array.dtype)
    spread = xp.reshape(backend.asarray(mask), (*mask.shape, *(1,) * (len(array.shape) - len(mask.shape))))
    safe = xp.where(spread, array, xp.ones_like(array))
    return xp.where(spread, xp.astype(apply(safe, value), array.dtype), array)


def _combine_equal(
    backend: ElementMembers, positions: Integers, values: Array, combine: Callable[..., Any], device: Any
) -> tuple[Integers, Array]:
    """Return each position once, with its values combined.

    They are combined in pairs, in as many steps as the logarithm of how many there are.
    """
    xp = backend.namespace

    def take(x: Array, indices: Integers) -> Array:
        return xp.take(x, backend.asarray(indices, device=device), axis=0)

    order = np.argsort(positions, kind="stable")
    positions = positions[order]
    if np.any(order != np.arange(order.size)):
        values = take(values, order)
    while np.any(positions[1:] == positions[:-1]):
        numbers = np.arange(positions.size)
        begins = np.concatenate([[True], positions[1:] != positions[:-1]])
        kept = np.flatnonzero((numbers - np.maximum.accumulate(np.where(begins, numbers, 0))) % 2 == 0)
        partner = np.minimum(kept + 1, positions.size - 1)
        paired = (partner > kept) & (positions[partner] == positions[kept])
        left, right = take(values, kept), take(values, np.where(paired, partner, kept))
        values = xp.where(backend.asarray(paired, device=device), combine(left, right), left)
        positions = positions[kept]
    return positions, values
