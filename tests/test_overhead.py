"""The measurement of anyjac's own cost runs; whether the cost is good is for its table to say."""

import subprocess
import sys

from tests.helpers.repository import ROOT


def test_the_overhead_is_measured_and_profiled() -> None:
    command = [sys.executable, "-m", "benchmarks.overhead", "--quick", "--profile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| one array |" in done.stdout
    assert "gather_inputs" in done.stdout
