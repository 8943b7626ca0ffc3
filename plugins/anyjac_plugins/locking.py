"""A lock that an interrupt at any line leaves open.

The end of a ``with`` block is a line too: an interrupt that arrives there leaves an ordinary lock closed for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from .interrupts import run_and_end

Result = TypeVar("Result")


class SafeLock:
    """Runs one work at a time; a work must not ask for the same lock.

    Examples
    --------
    >>> from anyjac_plugins.locking import SafeLock
    >>> SafeLock().run(lambda: 3)
    3
    """

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()

    def run(self, work: Callable[[], Result]) -> Result:
        """Wait until no other thread runs a work, and run one."""

        def locked() -> Result:
            self._lock.acquire()
            return work()

        return run_and_end(locked, partial(release, self._lock))


def release(lock: Any) -> None:
    """Open a reentrant lock that this thread may have closed once."""
    if lock._is_owned():
        lock.release()
