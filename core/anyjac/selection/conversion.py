"""A leaf that a user hands in, as an array of a backend: one rule for arguments, tangents, Variables and programs.

Reads types of arrays as `choice` does; knows no tree and no Variable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjac_plugins import AnyjacError, Array, Backend
from anyjac_plugins.errors import DtypeError, InputTypeError, MixedBackendsError

from .array_protocols import is_subclass_of_numpys, unwrapped
from .choice import NUMPY, is_array_of_any, is_number, kind_of

Label = Callable[[], str]
"""Says how messages call an array; most calls never ask."""


def to_array(
    backend: Backend,
    leaf: Any,
    label: Label,
    *,
    device: Any = None,
    converts: bool = True,
    error: type[AnyjacError] = InputTypeError,
    why: str = "which is no array or number",
    variable: object = None,
) -> Array:
    """Return a leaf as an array of the backend, or refuse the leaf by name.

    Parameters
    ----------
    backend
        Whose arrays are wanted.
    leaf
        An array of any framework, an object that is an array by protocol, a number, or anything else, which is refused.
    label
        Says how messages call the leaf.
    device
        Where the array is to be and to stay, though it be there by default; None leaves arrays where they are.
    converts
        Whether arrays of other frameworks are converted (somebody named the backend) or refused. Those of NumPy go
        with any framework.
    error, why
        What to raise for a leaf that is no array, and the end of the sentence.
    variable
        The Variable that holds the leaf, for the error to name.

    Raises
    ------
    AnyjacError
        The error that is given, for a leaf that is no array and no number.
    InputTypeError
        For an array that would lose a mask or units.
    MixedBackendsError
        For an array of another framework that is not to be converted.
    DtypeError
        For a NumPy array that no framework computes with, such as text.
    """
    if is_subclass_of_numpys(leaf) or not (backend.is_array(leaf) or is_number(leaf) or _is_foreign(backend, leaf)):
        leaf = unwrapped(leaf, label)
    if backend.is_array(leaf):
        return leaf if device is None else backend.asarray(leaf, device=device)
    if is_number(leaf):
        return backend.asarray(leaf, device=device)
    meant = backend.assembled(leaf)
    if meant is not None:
        return meant
    kind = kind_of(leaf)
    if not is_array_of_any(leaf) or kind == backend.name:  # a type of the framework that is none of its arrays
        raise error(f"{label()} is {leaf!r}, of type {type(leaf).__qualname__}, {why}")
    if kind != NUMPY and not converts:
        made = "" if variable is None else f", or make the Variable with backend={backend.name!r}"
        raise MixedBackendsError(
            f"{label()} is an array of {kind}, and this call runs on {backend.name}; name the backend to have it "
            f"converted{made}",
            variable,
        )
    if kind == NUMPY and leaf.dtype.kind not in "biufcV":  # V: kinds of numbers that NumPy lacks, as bfloat16
        raise DtypeError(f"{label()} is a NumPy array of dtype {leaf.dtype}, and no numbers")
    return backend.import_array(leaf, device=device)


def _is_foreign(backend: Backend, leaf: Any) -> bool:
    """Return whether a leaf is an array of another framework, which has to be converted or refused."""
    return is_array_of_any(leaf) and kind_of(leaf) != backend.name
