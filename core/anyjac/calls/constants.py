"""Arguments that are not differentiated: their NumPy arrays of numbers become the backend's, all else stays untouched.

So one body runs everywhere: ``w * x`` fails on PyTorch alone where ``x`` is left to NumPy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import AnyjacError

from ..trees.structure import flatten

_KINDS_OF_NUMBERS: Final = "biufc"


class Constants:
    """The rule for the arguments of one call that are not differentiated.

    Parameters
    ----------
    backend, device
        Those of the call.
    """

    __slots__ = ("_backend", "_device", "_is_needed")

    def __init__(self, backend: Backend, device: Any):
        self._backend = backend
        self._device = device
        self._is_needed = not backend.is_array(_ANY_ARRAY)

    def among(self, args: Sequence[Any], differentiated: Collection[int]) -> Sequence[Any]:
        """Return positional arguments, of which those that are differentiated stay what they are."""
        if not self._is_needed:
            return args
        return [arg if position in differentiated else self.of(arg) for position, arg in enumerate(args)]

    def by_name(self, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return keyword arguments."""
        if not self._is_needed or not kwargs:
            return kwargs
        return {name: self.of(value) for name, value in kwargs.items()}

    def of(self, value: Any) -> Any:
        """Return one argument: the very object, if there is no NumPy array of numbers in it."""
        if not self._is_needed or self._backend.is_array(value):
            return value
        leaves, tree = flatten(value)
        if not any(map(_is_array_of_numbers, leaves)):
            return value
        return tree.unflatten([self._array(leaf) if _is_array_of_numbers(leaf) else leaf for leaf in leaves])

    def _array(self, given: np.ndarray[Any, Any]) -> Array | np.ndarray[Any, Any]:
        """Return a NumPy array as the backend's; the very array, if the backend has no such numbers."""
        try:
            array = self._backend.import_array(given, device=self._device)
        except (AnyjacError, TypeError):  # it has no such dtype, as float128, and perhaps nobody computes with it
            return given
        return array if self._has_room_for(given, array) else given

    def _has_room_for(self, given: np.ndarray[Any, Any], array: Array) -> bool:
        """Return whether integers are still the same: a backend may have smaller ones, as JAX by default."""
        if given.dtype.kind not in "iu" or not given.size:
            return True
        name = self._backend.dtype_name(array.dtype)
        if name == given.dtype.name:
            return True
        room = np.iinfo(name)
        return bool(room.min <= given.min() and given.max() <= room.max)


def _is_array_of_numbers(leaf: Any) -> bool:
    """Return whether a leaf is an array of NumPy itself, as matrices and masked arrays are not, that holds numbers."""
    return type(leaf) is np.ndarray and leaf.dtype.kind in _KINDS_OF_NUMBERS


_ANY_ARRAY: Final = np.zeros(())
