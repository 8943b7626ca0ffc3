"""How a thread sees another, for which it waits: does the other work, or wait for a thread, a lock or a queue."""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Final

_WAITING: Final = frozenset(
    {
        "concurrent.futures._base",
        "multiprocessing.connection",
        "multiprocessing.popen_fork",
        "queue",
        "selectors",
        "subprocess",
        "threading",
    }
)
"""Modules whose functions wait: for the end of a thread, a result, an event, an item of a queue."""


class WaitingThread:
    """A look at a thread, repeated from time to time.

    Attributes
    ----------
    thread
        The identifier of the thread.
    since
        When the thread was last seen to do anything but wait, in seconds of the monotonic clock.
    """

    __slots__ = ("_waiting", "since", "thread")

    def __init__(self, thread: int):
        self.thread = thread
        self._waiting: FrameType | None = None
        self.since = time.monotonic()

    def look(self) -> None:
        """Look again."""
        frame = sys._current_frames().get(self.thread)
        waits = frame is not None and frame.f_globals.get("__name__") in _WAITING
        if not waits or frame is not self._waiting:  # another frame is another wait, with work in between
            self.since = time.monotonic()
        self._waiting = frame if waits else None  # frames of other functions hold what is not ours to keep

    def waited_s(self) -> float:
        """Return for how long the thread has been waiting, in seconds, as far as was seen."""
        return time.monotonic() - self.since if self._waiting is not None else 0.0
