"""Type checkers know what each member of the family returns, in each packing and each form of call."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FAMILY = (HERE / "family.py").read_text()


def run_mypy(path: Path) -> subprocess.CompletedProcess[str]:
    """Check one file with the settings and the cache of the repository."""
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(path)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_mypy_finds_every_type_that_is_promised_and_every_mistake() -> None:
    done = run_mypy(HERE / "family.py")
    assert done.returncode == 0, done.stdout


def test_a_wrong_promise_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from typing import Any, assert_type\n"
        "import anyjac\n"
        "def double(x: float) -> float:\n"
        "    return 2 * x\n"
        "assert_type(anyjac.grad(double, return_value=True)(1.0), tuple[float, Any])\n"
        "anyjac.grad(double)('one')\n"
    )
    done = run_mypy(wrong)
    assert done.returncode == 1
    assert re.findall(r"wrong.py:(\d+): error: .*\[(.*)\]", done.stdout) == [("5", "assert-type"), ("6", "arg-type")]
    assert 'type "tuple[Any, float]", not "tuple[float, Any]"' in done.stdout


PACKED = ("jacrev", "jacfwd", "jacobian", "grad", "vector_grad", "derivative", "hessian")
OTHERS = ("value_and_grad", "vjp", "linearize", "jvp", "hvp", "jit", "vmap")


@pytest.mark.parametrize("name", PACKED + OTHERS)
def test_every_member_is_checked(name: str) -> None:
    assert f"anyjac.{name}" in FAMILY
