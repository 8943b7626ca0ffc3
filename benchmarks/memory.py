"""Peak memory of one Jacobian, in a process of its own: ``python -m benchmarks.memory ARENA WHO PROBLEM``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from .contenders import Arena, arena_named
from .names import OURS
from .problems import PROBLEMS, TALL, Problem
from .samples import MEMORY, Row, Samples

MEASURED: Final = (TALL,)
"""Problems whose peak of memory is measured."""
KIBIBYTE = 1024


def memory_row(arena: Arena, problem: Problem) -> Row:
    """Return by how many megabytes (10^6 bytes) the reference and anyjac raise the peak of a fresh process."""
    names = (arena.reference, OURS)
    peaks = {name: Samples((_in_a_process(arena.name, name, problem.name),)) for name in names}
    return Row(MEMORY, arena.name, problem.name, peaks)


def _in_a_process(arena: str, who: str, problem: str) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", arena, who, problem]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _peak() -> int:
    """Return the peak of this process in bytes, from Linux's VmHWM: ru_maxrss begins with that of the parent."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * KIBIBYTE


def _measure(arena: str, who: str, name: str) -> float:
    make = arena_named(arena).contenders()[who]
    small: Any = next(problem for problem in PROBLEMS if problem.quick)
    make(small)()  # loads what is loaded once
    thunk = make(next(problem for problem in PROBLEMS if problem.name == name))
    before = _peak()
    result = thunk()
    # Pages of zeros that were never touched belong to the result, and are not in the peak.
    return max(0.0, float(_peak() - before - result.nbytes) / 1e6)


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
