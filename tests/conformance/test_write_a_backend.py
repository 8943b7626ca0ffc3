"""The steps of the page on writing a backend: from an empty folder to a backend that passes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.repository import ROOT

SMALLEST = ROOT / "docs" / "smallest_backend.py"


def _anyjac(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, with the packages in its subfolder ``site``."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-m", "anyjac", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def _install(folder: Path) -> None:
    shutil.rmtree(folder / "site", ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", "site", "./anyjac-tiny"], cwd=folder, check=True)


@pytest.mark.exhaustive
def test_the_skeleton_fails_clearly_and_the_smallest_backend_passes(tmp_path: Path) -> None:
    made = _anyjac(tmp_path, "new-backend", "tiny")
    assert made.stdout.startswith("wrote anyjac-tiny; next: cd anyjac-tiny && python -m pip install -e .")
    _install(tmp_path)
    assert "tiny" in _anyjac(tmp_path, "backends").stdout

    first = _anyjac(tmp_path, "conformance", "run", "--backend", "tiny")
    assert first.returncode == 1
    assert "NotImplementedError: vjp of backend tiny is not written yet" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr

    shutil.copy(SMALLEST, tmp_path / "anyjac-tiny" / "anyjac_tiny" / "backend.py")
    _install(tmp_path)
    then = _anyjac(tmp_path, "conformance", "run", "--backend", "tiny")
    assert then.returncode == 0, then.stdout[-2000:]
    assert "failed" not in then.stdout


def test_the_smallest_backend_is_under_sixty_lines() -> None:
    assert len(SMALLEST.read_text().splitlines()) < 60


def test_the_workflow_of_the_page_is_that_of_the_skeleton(tmp_path: Path) -> None:
    _anyjac(tmp_path, "new-backend", "tiny")
    written = tmp_path / "anyjac-tiny" / ".github" / "workflows" / "conformance.yml"
    assert written.read_text() == (ROOT / "docs" / "conformance-workflow.yml").read_text()
