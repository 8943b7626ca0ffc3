"""What keeps objects alive: objects to watch, and a stretch of code during which no collector frees them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class Thing:
    """An object that a weak reference can point to."""


@contextmanager
def collector_off() -> Iterator[None]:
    """Let reference counts alone free what is no longer needed, so that a cycle shows."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
