"""Whether a recorded program does all that its function does when it runs without being recorded.

It does not where the function has moved arrays to another device or entered a context of JAX's, of which a program
records no more than that single operations were within it: their derivatives are to be computed within it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Var
from jax.extend.core.primitives import device_put_p

from .own_code import ForeignCodeError, equations_within, refuse_foreign

WIDE = frozenset(map(np.dtype, ("complex128", "float64", "int64", "uint64")))
"""The dtypes that exist under ``jax_enable_x64`` alone."""


class UnfaithfulError(Exception):
    """A program does not do all that its function does when it is run without being recorded."""


def refuse_contexts(jaxpr: Jaxpr) -> None:
    """Refuse a program with operations within a mesh or another context that is not in force around the function."""
    seen = None
    for equation in jaxpr.eqns:
        context: Any = equation.ctx
        if context is not seen and not _is_in_force(context):
            raise UnfaithfulError("an operation within a context that the function has entered")
        seen = context


def _is_in_force(context: Any) -> bool:
    settings: Any = jax.config
    return bool(
        context.compute_type is None
        and not context.xla_metadata
        and context.threefry_partitionable == settings.jax_threefry_partitionable
        and context.cur_abstract_mesh == jax.sharding.get_abstract_mesh()
    )


def are_wide() -> bool:
    """Return whether there are 64-bit dtypes here."""
    settings: Any = jax.config
    return bool(settings.jax_enable_x64)


def refuse_wide(variables: Sequence[Var]) -> None:
    """Refuse arrays of 64-bit dtypes, where there are none outside the function."""
    for variable in variables:
        if getattr(variable.aval, "dtype", None) in WIDE:
            raise UnfaithfulError("an array that only jax.enable_x64 allows")


def refuse_moves(equation: JaxprEqn) -> None:
    """Refuse to move an array to another device."""
    if equation.primitive is device_put_p and any(device is not None for device in equation.params["devices"]):
        raise UnfaithfulError("a move to another device, of which a program records no way back")


def look_through(program: Any, *, wide: bool) -> None:
    """Refuse an unfaithful program, or else a program with foreign code, wherever in the program the reason is.

    Parameters
    ----------
    program
        A program, or a list of values, among which there may be programs.
    wide
        Whether there are 64-bit dtypes outside the function.
    """
    foreign: ForeignCodeError | None = None
    for equation in equations_within(program):
        refuse_moves(equation)
        if not wide:
            refuse_wide(equation.outvars)
        try:
            refuse_foreign(equation)
        except ForeignCodeError as error:
            foreign = error
    if foreign is not None:
        raise foreign
