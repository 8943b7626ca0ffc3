"""A leaf that a user hands in as an array of the backend, or the error that names the leaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputTypeError, MixedBackendsError

from ..selection.choice import NUMPY, is_array_of_any, is_number, kind_of


def to_array(backend: Backend, leaf: Any, label: Callable[[], str], device: Any, converts: bool) -> Array:
    """Return a leaf as an array of the backend; `label` says, when asked, how messages call it."""
    if backend.is_array(leaf):
        return leaf
    if is_number(leaf):
        return backend.asarray(leaf, device=device)
    kind = kind_of(leaf)
    if not is_array_of_any(leaf):
        raise InputTypeError(f"{label()} is {leaf!r}, of type {type(leaf).__qualname__}, which is no array or number")
    if kind != NUMPY and not converts:
        raise MixedBackendsError(f"{label()} is an array of {kind}, and this call runs on {backend.name}")
    return backend.import_array(leaf, device=device)
