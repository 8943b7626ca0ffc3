"""The benchmarks run; how fast anything is, is for their tables to say."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_quick_benchmarks_run_and_write_their_tables(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "benchmarks.md").read_text() == done.stdout
    found = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {row["backend"] for row in found["rows"]} == {"autograd", "jax", "torch"}
    assert all(row["ratio"] > 0 for row in found["rows"])


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "benchmarks.memory", "autograd", "anyjac.jacrev", "tanh 1000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0
