"""Trace numbers for autograd that are safe across threads and tasks.

autograd numbers its traces with a global counter, which goes up when a trace begins and down when it ends. Two threads
in nested derivatives can be given the same number, and take each other's boxes for their own: their Jacobians are then
wrong, without an error. Numbers that only grow cannot collide, and an inner trace still has a greater number than the
trace around it, as autograd requires.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from autograd import tracer

from anyjac_plugins import Array
from anyjac_plugins.errors import TracerLeakError

_FIRST: Final = 2**20
"""The first number of a trace, greater than those of traces that autograd began before it had these numbers."""

_running: set[int] = set()


class UniqueTraceStack(tracer.TraceStack):  # type: ignore[misc]
    """A stack of traces whose numbers are each handed out once in the life of the process."""

    _numbers = itertools.count(_FIRST)

    @contextmanager
    def new_trace(self) -> Iterator[int]:
        """Yield the number of a new trace."""
        number = next(self._numbers)
        try:
            _running.add(number)
            yield number
        finally:
            _running.discard(number)


def refuse_ended(arrays: Sequence[Array | None]) -> None:
    """Refuse boxes of traces that have ended, of which no derivative can be taken any more.

    Raises
    ------
    TracerLeakError
        If an earlier call has left such a box somewhere.
    """
    for array in arrays:
        if isinstance(array, tracer.Box) and array._trace >= _FIRST and array._trace not in _running:
            raise TracerLeakError.of_ended_trace()


def make_tracing_thread_safe() -> None:
    """Give autograd's own trace stack unique numbers, so that its transforms and ours nest and run side by side.

    The object that autograd has stays the same, whoever imported it; its class is replaced. Doing so twice is harmless.
    """
    tracer.trace_stack.__class__ = UniqueTraceStack
