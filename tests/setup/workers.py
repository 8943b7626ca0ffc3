"""How many workers run the tests, and how much memory each of them keeps."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

MEGABYTE = 2**20
AT_MOST = 4
"""The most workers; more of them gain little, since they share no compiled programs."""

PER_WORKER = 1500 * MEGABYTE
"""Memory that one worker may take."""

ENOUGH = 900 * MEGABYTE
"""Memory in use from which on a worker gives up compiled programs, so that the next test has room to grow."""

ROOM = 150 * MEGABYTE
"""The growth of memory that has to fit in before programs are given up again."""

STATISTICS = "/proc/self/statm"


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker for each core, fewer where memory is small."""
    return max(1, min(os.cpu_count() or 1, AT_MOST, available_memory() // PER_WORKER))


def available_memory() -> int:
    """Return the bytes of memory that are left for new processes; very many where the system does not say."""
    return min(_left_by_system(), _left_by_container())


def _left_by_system() -> int:
    lines = _read("/proc/meminfo").splitlines()
    told = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return told[0] if told else sys.maxsize


def _left_by_container() -> int:
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    return int(limit) - int(used) if limit.isdecimal() and used.isdecimal() else sys.maxsize


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _in_use() -> int:
    """Return the bytes of memory that this process has now, or its peak where the system tells only the peak."""
    numbers = _read(STATISTICS).split()
    if numbers:
        return int(numbers[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ModuleNotFoundError:  # on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Memory:
    """Watches the memory of one process, and gives up compiled programs after a test that has left much in use."""

    def __init__(self) -> None:
        self._limit = ENOUGH

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Look after each test."""
        result = yield
        if _in_use() > self._limit:
            release()
            self._limit = max(ENOUGH, _in_use() + ROOM)  # memory that stays is not asked for each time
        return result


def pytest_configure(config: pytest.Config) -> None:
    """Watch the memory of this process."""
    config.pluginmanager.register(Memory())


def release() -> None:
    """Forget what frameworks have compiled, and hand the memory back to the system.

    JAX keeps an executable of some two megabytes for each operation at each shape; one that is needed again is read
    from the folder in which the session keeps them.
    """
    anyjac = sys.modules.get("anyjac")
    if anyjac is not None:
        anyjac.cache_clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is not None:
        dynamo.reset()
    gc.unfreeze()
    gc.collect()
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)
