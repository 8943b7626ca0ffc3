"""A lock that an interrupt at any line leaves open.

The end of a ``with`` block is a line too: an interrupt that arrives there leaves an ordinary lock closed for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

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
        try:
            try:
                self._lock.acquire()
                return work()
            finally:
                self._give_up()
        finally:  # again, for the case that an interrupt arrived in the midst of it
            self._give_up()

    def _give_up(self) -> None:
        if self._lock._is_owned():
            self._lock.release()
