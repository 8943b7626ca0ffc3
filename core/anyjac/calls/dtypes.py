"""The rules of the contract on dtypes: which may be differentiated, and how a message says which may not.

Works on kinds and names of dtypes, which the backend tells; holds no array.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from anyjac_plugins import BFLOAT16, COMPLEX, FLOAT16, Backend
from anyjac_plugins.backend.kinds import COMPLEX_KIND, REAL, kind_of_dtype
from anyjac_plugins.errors import DtypeError

float0: Final = np.dtype([("float0", np.void, 0)])
"""Dtype of the trivial derivative with respect to an integer or bool, as JAX documents it."""

_LEAVE_OUT: Final = "; leave it out of grad_vars and argnums, where it is read and written as other state"

COMPLEX_MEND: Final = (
    "for a holomorphic function pass holomorphic=True, for one of real inputs take jacfwd, jvp, vjp or linearize, else "
    "return real and imaginary parts"
)
"""What to do about a complex output."""


@dataclass(frozen=True, slots=True)
class OutputRule:
    """Which outputs a derivative is taken of, besides real ones and those that ``holomorphic`` promises.

    Attributes
    ----------
    complex_of_real
        Whether outputs may be complex where all inputs are real. A row is no derivative of such an output.
    integers
        Whether outputs may be integers or bools, whose tangents and cotangents are trivial.
    """

    complex_of_real: bool = False
    integers: bool = False


REAL_ALONE: Final = OutputRule()


def check_input(backend: Backend, dtype: Any, where: Callable[[], str], *, holomorphic: bool, allow_int: bool) -> bool:
    """Return whether an input leaf is differentiated; False for an integer that `allow_int` lets through.

    `where` says, when asked, how messages call the leaf.

    Raises
    ------
    DtypeError
        Naming the dtype and the leaf, for an integer without `allow_int`, or a leaf that is not complex although
        `holomorphic` promises so.
    NotSupportedError
        If the backend does not declare this kind of input.
    """
    if holomorphic and not backend.supports(COMPLEX):
        raise backend.unsupported(COMPLEX)
    try:
        kind, name = _kind_and_name(backend, dtype)
    except DtypeError as error:
        mend = _LEAVE_OUT if backend.is_state_dtype(dtype) else ""
        raise DtypeError(f"{where()} cannot be differentiated: {error}{mend}") from error
    if holomorphic and kind != COMPLEX_KIND:
        raise DtypeError(
            f"holomorphic=True needs complex inputs, and {where()} is {name}; make it complex or leave holomorphic out"
        )
    if kind not in (REAL, COMPLEX_KIND):
        if allow_int:
            return False
        raise DtypeError(
            f"{where()} is {name}, which has no derivative; make it a float, or pass allow_int=True for zeros of float0"
        )
    needed = COMPLEX if kind == COMPLEX_KIND else name if name in (FLOAT16, BFLOAT16) else None
    if needed is not None and not backend.supports(needed):
        raise backend.unsupported(needed)
    return True


def check_output(
    backend: Backend, dtype: Any, where: Callable[[], str], *, holomorphic: bool, rule: OutputRule
) -> bool:
    """Return whether an output leaf is differentiated; False for an integer that the rule lets through.

    Raises
    ------
    DtypeError
        Naming the dtype and the leaf, for one that has no derivative of the kind asked for.
    NotSupportedError
        If the backend does not declare this kind of output.
    """
    try:
        kind, name = _kind_and_name(backend, dtype)
    except DtypeError as error:
        raise DtypeError(f"{where()} has no derivative: {error}; return it as aux data") from error
    if kind not in (REAL, COMPLEX_KIND):
        if rule.integers:
            return False
        raise DtypeError(f"{where()} is {name}, which has no derivative; return floats, or return it as aux data")
    if holomorphic and kind == REAL:
        raise DtypeError(f"holomorphic=True needs complex outputs, and {where()} is {name}")
    if kind == COMPLEX_KIND:
        if not (holomorphic or rule.complex_of_real):
            raise DtypeError(f"{where()} is {name}; {COMPLEX_MEND}")
        if not backend.supports(COMPLEX):
            raise backend.unsupported(COMPLEX)
    return True


@functools.lru_cache(maxsize=64)
def _kind_and_name(backend: Backend, dtype: Any) -> tuple[str, str]:
    return kind_of_dtype(backend, dtype), backend.dtype_name(dtype)


def is_differentiable(backend: Backend, array: Any) -> bool:
    """Return whether an array of the backend holds real or complex numbers."""
    return kind_of_dtype(backend, array.dtype) in (REAL, COMPLEX_KIND)


def is_trivial(leaf: Any) -> bool:
    """Return whether a leaf is a derivative by integers, which is no array to compute with."""
    return type(leaf) is np.ndarray and leaf.dtype == float0
