"""Loops and branches while a program is recorded: PyTorch records what was done, so that steps are written out.

A few steps are recorded one after the other. Many would take minutes to compile, and neither a number of steps nor a
branch that depends on values can be recorded at all; what has these runs uncompiled.
"""

from __future__ import annotations

from typing import Final

from anyjac_plugins.errors import NotSupportedError

MOST_STEPS: Final = 32
"""How many steps of a loop are written out in a recorded program."""


class UnrecordableError(NotSupportedError):
    """Something in a function cannot be recorded, and the function can run as it is."""


def refuse_long(length: int) -> None:
    """Refuse to write out a loop of many steps.

    Raises
    ------
    UnrecordableError
        If it has more than `MOST_STEPS`.
    """
    if length > MOST_STEPS:
        raise UnrecordableError(
            f"it has a loop of {length} steps, which PyTorch would record and compile one by one (at most {MOST_STEPS} "
            f"are); compile the function of a step instead"
        )


def undecided(what: str) -> UnrecordableError:
    """Return the error for something that depends on values, which a recording does not have."""
    return UnrecordableError(f"{what} depends on values, which are not known while PyTorch records a function")
