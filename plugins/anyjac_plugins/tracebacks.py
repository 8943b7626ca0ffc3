"""Where an error was raised."""

from __future__ import annotations

import dis
from types import TracebackType
from typing import Final

_RAISE: Final = dis.opmap["RAISE_VARARGS"]


def innermost(error: BaseException) -> TracebackType | None:
    """Return the last entry of a traceback, where the error was raised; None for an error that was not raised.

    Examples
    --------
    >>> from anyjac_plugins.tracebacks import innermost
    >>> try:
    ...     int("three")
    ... except ValueError as error:
    ...     where = innermost(error)
    >>> where.tb_next is None, innermost(ValueError()) is None
    (True, True)
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def module_of(trace: TracebackType | None) -> str:
    """Return the name of the module whose code an entry of a traceback runs; empty where there is none."""
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def is_by_statement(trace: TracebackType | None) -> bool:
    """Return whether an entry of a traceback stands at a ``raise`` or ``assert``, not at a call of compiled code.

    Examples
    --------
    >>> from anyjac_plugins.tracebacks import innermost, is_by_statement
    >>> try:
    ...     raise ValueError("three")
    ... except ValueError as error:
    ...     said = is_by_statement(innermost(error))
    >>> try:
    ...     int("three")
    ... except ValueError as error:
    ...     met = is_by_statement(innermost(error))
    >>> said, met
    (True, False)
    """
    return trace is not None and trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE
