"""Where an error was raised."""

from __future__ import annotations

from types import TracebackType


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
