"""Peak memory of one Jacobian, in a process of its own: ``python -m benchmarks.memory BACKEND WHO PROBLEM``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from .contenders import ARENAS
from .problems import PROBLEMS

KIBIBYTE = 1024


def peak_in_a_process(backend: str, who: str, problem: str) -> float:
    """Return by how many megabytes (10^6 bytes) a Jacobian raises the peak of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", backend, who, problem]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _peak() -> int:
    """Return the peak of this process in bytes, from Linux's VmHWM: ru_maxrss begins with that of the parent."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * KIBIBYTE


def _measure(backend: str, who: str, name: str) -> float:
    arena = next(arena for arena in ARENAS if arena.backend == backend)
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    ops = arena.operations()
    jacobian = arena.contenders()[who](problem.make(ops))
    small: Any = next(problem for problem in PROBLEMS if problem.quick)
    arena.wait(arena.contenders()[who](small.make(ops))(ops.asarray(small.point)))  # what is loaded once
    point = ops.asarray(problem.point)
    before = _peak()
    result = arena.wait(jacobian(point))
    return float(_peak() - before - result.nbytes) / 1e6


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
