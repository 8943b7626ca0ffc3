"""Ends that are reached whatever interrupts the way there.

An interrupt can arrive at any line, one of a ``finally`` block or of what it calls too, and a ``with`` block ends in
such a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Result = TypeVar("Result")
Value = TypeVar("Value")


def run_and_end(work: Callable[[], Result], end: Callable[[], object]) -> Result:
    """Return what `work` returns, when `end` has run; it runs after an error and after an interrupt too.

    Parameters
    ----------
    work
        Does what has to be ended; also what has to be undone by the end should be begun in it.
    end
        Called twice, for an interrupt may arrive in the midst of the first time: it must do nothing where nothing is
        left to end.

    Examples
    --------
    >>> from anyjac_plugins.interrupts import run_and_end
    >>> opened = set()
    >>> run_and_end(lambda: opened.add("door"), opened.clear)
    >>> opened
    set()
    """
    try:
        try:
            return work()
        finally:
            end()
    finally:
        end()


@contextmanager
def setting(variable: ContextVar[Value], value: Value) -> Iterator[None]:
    """Set a variable of the context for a block of code, and what it was before whatever ends the block.

    Examples
    --------
    >>> from contextvars import ContextVar
    >>> from anyjac_plugins.interrupts import setting
    >>> depth = ContextVar("depth", default=0)
    >>> with setting(depth, 1):
    ...     depth.get()
    1
    >>> depth.get()
    0
    """
    before = variable.get()
    try:
        try:
            variable.set(value)
            yield
        finally:
            variable.set(before)
    finally:
        variable.set(before)
