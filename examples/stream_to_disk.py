"""Write a Jacobian that does not fit in memory to a file, in blocks of rows.

A saturating sensor reads, at many times, the sum of a few decaying oscillations whose amplitudes depend on many
parameters x:

    y(t) = tanh(sum_k phi_k(t) a_k),    a = W x,    phi_k(t) = exp(-k t) cos(2 pi k t).

Its Jacobian is dense, and known: dy(t)/dx = (1 - y(t)^2) sum_k phi_k(t) W_k. With the default size it has 10^5 rows and
10^4 columns, 8 GB in double precision; the file is left where ``--file`` says, or removed in the end.

Run it with ``python examples/stream_to_disk.py --backend torch``; ``--rows 1000 --columns 100`` make a small one.
"""

from __future__ import annotations

import argparse
import mmap
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import anyjac

MODES = 16
FLUSH_BYTES = 2**26
"""How much is written before it is flushed to the file and leaves the memory of the process."""


@dataclass(frozen=True)
class Report:
    """Sizes in bytes, time in seconds, and the largest error of the rows that were compared.

    The memory is counted in pages that are resident at once, those of the file among them; None where the system does
    not tell.
    """

    written: int
    seconds: float
    memory_before: int | None
    peak_memory: int | None
    error: float


class Sensor:
    """The readings at evenly spaced times, as a function of the parameters."""

    def __init__(self, times: int, parameters: int) -> None:
        generator = np.random.default_rng(0)
        t = np.linspace(0.0, 1.0, times)[:, None]
        k = np.arange(1, MODES + 1)
        self.modes = np.exp(-k * t) * np.cos(2 * np.pi * k * t)
        self.weights = generator.normal(size=(MODES, parameters)) / np.sqrt(parameters)

    def __call__(self, x: Any) -> Any:
        """Return the readings."""
        xp = anyjac.array_namespace(x)
        device = anyjac.device(x)
        modes, weights = (xp.asarray(constant, device=device) for constant in (self.modes, self.weights))
        return xp.tanh(modes @ (weights @ x))

    def row(self, x: np.ndarray[Any, Any], index: int) -> np.ndarray[Any, Any]:
        """Return one row of the Jacobian, derived by hand."""
        reading = np.tanh(self.modes[index] @ (self.weights @ x))
        return (1 - reading**2) * (self.modes[index] @ self.weights)


class Flushing:
    """Flushes a memory map now and then, and lets go of its pages, so that it takes no more memory than a file does."""

    def __init__(self, matrix: np.memmap[Any, Any]) -> None:
        self._matrix = matrix
        self._map: mmap.mmap = matrix._mmap  # type: ignore[attr-defined]
        self._flushed_rows = 0

    def __call__(self, done: int, total: int) -> None:
        """Take note of how many rows have been written."""
        if (done - self._flushed_rows) * self._matrix.strides[0] >= FLUSH_BYTES or done == total:
            self._matrix.flush()
            if hasattr(self._map, "madvise"):  # not on Windows
                self._map.madvise(mmap.MADV_DONTNEED)
            self._flushed_rows = done


def resident(name: str) -> int | None:
    """Return a line of the process's status in bytes: VmRSS, the resident memory, or VmHWM, its peak."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


def stream(path: Path, rows: int, columns: int, backend: str | None = None, *, show: bool = False) -> Report:
    """Write the Jacobian to a file and compare some of its rows with those derived by hand."""
    chosen = anyjac.get_backend(backend)
    sensor = Sensor(rows, columns)
    x = np.linspace(-1.0, 1.0, columns)
    transform = anyjac.jacrev(sensor, backend=chosen)
    matrix = np.memmap(path, np.float64, "w+", shape=(rows, columns))
    before = resident("VmRSS")

    began = time.perf_counter()
    blocks = transform.rows(chosen.asarray(x)).on_progress(Flushing(matrix))
    if show:
        blocks.on_progress(lambda done, total: print(f"\r{done:9} of {total} rows", end="", flush=True))
    blocks.into(matrix)
    seconds = time.perf_counter() - began
    peak = resident("VmHWM")

    compared = np.random.default_rng(1).integers(0, rows, size=20)
    error = max(float(np.max(np.abs(matrix[row] - sensor.row(x, row)))) for row in compared)
    return Report(matrix.nbytes, seconds, before, peak, error)


def main(rows: int, columns: int, backend: str | None = None, path: Path | None = None) -> Report:
    """Stream the Jacobian to a file and print what it took."""
    if path is None:
        with tempfile.TemporaryDirectory(prefix="anyjac-") as folder:
            return main(rows, columns, backend, Path(folder) / "jacobian.f64")
    report = stream(path, rows, columns, backend, show=os.isatty(1))
    print(f"\r{rows} x {columns} float64: {report.written / 1e6:.0f} MB in {report.seconds:.1f} s")
    if report.peak_memory is not None and report.memory_before is not None:
        print(
            f"peak resident memory of the whole process, pages of the file included (VmHWM): "
            f"{report.peak_memory / 1e6:.0f} MB, {report.memory_before / 1e6:.0f} MB of them before the first row"
        )
    print(f"largest error of 20 rows: {report.error:.0e}")
    return report


if __name__ == "__main__":
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when JAX is imported, which is not before it is chosen
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", metavar="NAME", help="autograd, jax, torch or another that is installed")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=10_000)
    parser.add_argument("--file", type=Path, metavar="PATH", help="where to keep the Jacobian; removed if left out")
    given = parser.parse_args()
    main(given.rows, given.columns, given.backend, given.file)
