"""Booleans and numbers that decide where a program goes on: without axes, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputTypeError

from ..calls.dtypes import is_trivial
from ..selection.conversion import to_array
from ..state.variable import without_variables


def flag_of(backend: Backend, value: Any, label: str) -> Array:
    """Return a boolean without axes as an array of the backend.

    Raises
    ------
    InputTypeError
        For anything else.
    """
    return _without_axes(backend, value, label, ("bool",), "a boolean")


def number_of(backend: Backend, value: Any, label: str) -> Array:
    """Return an integer without axes as an array of the backend.

    Raises
    ------
    InputTypeError
        For anything else.
    """
    return _without_axes(backend, value, label, ("integral",), "an integer")


def _without_axes(backend: Backend, value: Any, label: str, kinds: Sequence[str], wanted: str) -> Array:
    value = without_variables(value)
    if is_trivial(value):
        raise InputTypeError(f"{label} is the derivative of an integer; give {wanted} without axes")
    array = to_array(backend, value, lambda: label, why=f"and has to be {wanted} without axes")
    if tuple(array.shape) or backend.dtype_kind(array.dtype) not in kinds:
        raise InputTypeError(
            f"{label} is {backend.dtype_name(array.dtype)}{list(array.shape)}, and has to be {wanted} without axes"
        )
    return array
