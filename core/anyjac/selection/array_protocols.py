"""Objects that are arrays by protocol: what they hold, without loss, as an array of NumPy or of a framework.

Knows protocols and NumPy's own subclasses, and imports no framework.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from anyjac_plugins.errors import DtypeError, InputTypeError

from .choice import is_array_of_any

_TEXTS: Final = (str, bytes, bytearray, type)
_BUFFERS: Final = (array.array, memoryview)
_UNITS: Final = ("unit", "units")
_PROTOCOLS: Final = ("__jax_array__", "__array__", "__array_interface__", "__dlpack__")


def unwrapped(leaf: Any, label: Callable[[], str]) -> Any:
    """Return the array for which an object stands by an array protocol; any object without such a protocol as given.

    Raises
    ------
    InputTypeError
        Naming an object that is more than its numbers, by a mask or by units, or that fails to give them.
    DtypeError
        Naming an object that gives no numbers.
    """
    kind = type(leaf)
    if isinstance(leaf, np.ndarray):
        _refuse_loss(leaf, label)
        return np.asarray(leaf.data if isinstance(leaf, np.ma.MaskedArray) else leaf)
    if is_wrapper(kind):
        _refuse_loss(leaf, label)
        return _given_by(leaf, label)
    return leaf


def is_subclass_of_numpys(leaf: Any) -> bool:
    """Return whether something is an array of a type derived from NumPy's, with which no framework computes."""
    return isinstance(leaf, np.ndarray) and type(leaf) is not np.ndarray


def is_wrapper(kind: type) -> bool:
    """Return whether the instances of a type are arrays by protocol."""
    if issubclass(kind, _TEXTS):
        return False
    return issubclass(kind, _BUFFERS) or any(hasattr(kind, protocol) for protocol in _PROTOCOLS)


def _refuse_loss(leaf: Any, label: Callable[[], str]) -> None:
    if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
        raise InputTypeError(
            f"{label()} is a masked array in which {int(np.ma.getmaskarray(leaf).sum())} of {leaf.size} elements are "
            f"masked, and a mask would be lost; fill them first, by .filled(...), or give the mask as an array of its "
            f"own"
        )
    if any(hasattr(type(leaf), name) for name in _UNITS):
        raise InputTypeError(
            f"{label()} is of type {type(leaf).__qualname__}, whose units would be lost; give its numbers, in the "
            f"units that are meant"
        )


def _given_by(leaf: Any, label: Callable[[], str]) -> Any:
    """Return the array that an object gives."""
    try:
        if hasattr(type(leaf), "__jax_array__"):
            found = leaf.__jax_array__()
        elif isinstance(leaf, _BUFFERS) or hasattr(leaf, "__array__") or hasattr(leaf, "__array_interface__"):
            found = np.asarray(leaf)
        else:
            found = np.from_dlpack(leaf)
    except Exception as error:  # of any kind: the object's own code runs
        raise InputTypeError(
            f"{label()} is of type {type(leaf).__qualname__}, which should be an array and fails to give one: "
            f"{type(error).__name__}: {error}"
        ) from error
    if isinstance(found, np.ndarray) and found.dtype.kind not in "biufcV":
        raise DtypeError(
            f"{label()} is of type {type(leaf).__qualname__}, which gives an array of dtype {found.dtype}, and no "
            f"numbers"
        )
    if not is_array_of_any(found):
        raise InputTypeError(
            f"{label()} is of type {type(leaf).__qualname__}, which gives a {type(found).__qualname__} and no array"
        )
    return found
