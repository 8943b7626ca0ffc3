"""Trace numbers for autograd that are safe across threads and tasks.

autograd numbers its traces with a global counter, which goes up when a trace begins and down when it ends. Two threads
in nested derivatives can be given the same number, and take each other's boxes for their own: their Jacobians are then
wrong, without an error. Numbers that only grow cannot collide, and an inner trace still has a greater number than the
trace around it, as autograd requires.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from autograd import tracer


class UniqueTraceStack(tracer.TraceStack):  # type: ignore[misc]
    """A stack of traces whose numbers are each handed out once in the life of the process."""

    _numbers = itertools.count()

    @contextmanager
    def new_trace(self) -> Iterator[int]:
        """Yield the number of a new trace."""
        yield next(self._numbers)


def make_tracing_thread_safe() -> None:
    """Give autograd's own trace stack unique numbers, so that its transforms and ours nest and run side by side.

    The object that autograd has stays the same, whoever imported it; its class is replaced. Doing so twice is harmless.
    """
    tracer.trace_stack.__class__ = UniqueTraceStack
