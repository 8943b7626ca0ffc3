"""The stream on which a thread computes.

MLX computes when a number is asked for, and refuses to do so in another thread than the one that wrote the computation
down, except on streams that are made for it. So each thread has one of those. The stream of a thread that has ended is
used again: it cannot be destroyed.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Any, Final

import mlx.core as mx

_free: Final[deque[mx.Stream]] = deque()


class _Owner:
    """Holds a stream for as long as a thread lives."""

    def __init__(self) -> None:
        try:
            self.stream = _free.popleft()
        except IndexError:
            self.stream = mx.new_thread_unsafe_stream(mx.cpu)

    def __del__(self, free: deque[mx.Stream] = _free) -> None:  # bound here: modules go before the last thread does
        free.append(self.stream)


class _Local(threading.local):
    def __init__(self) -> None:
        self.owner = _Owner()


_local: Final = _Local()


def own_stream() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which this thread computes on the CPU, on a stream of its own."""
    scope: contextlib.AbstractContextManager[Any] = mx.stream(_local.owner.stream)
    return scope
