"""Tests of what keeps objects alive: an object to watch, and code without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class Thing:
    """An object that a weak reference can point to."""


@contextmanager
def collector_off() -> Iterator[None]:
    """Let reference counts alone free objects in a block of code, so that a cycle shows."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
