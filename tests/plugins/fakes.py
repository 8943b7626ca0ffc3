"""Distributions made up for a test: a module and its metadata, in a folder that goes on the path; and a new Python."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent

PRELUDE = """
from anyjac_plugins import INTERFACE_VERSION, Backend, BackendSpec, hookimpl
"""


class Site:
    """A folder of installed distributions, each with one module and entry points in the group ``anyjac``."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self.path = path

    def add(self, name: str, source: str, *, module: str | None = None, distribution: str | None = None) -> str:
        """Install a plugin called `name` whose module has the given source; return the module's name."""
        module = module or f"fake_{name.replace('-', '_')}"
        (self.path / f"{module}.py").write_text(PRELUDE + textwrap.dedent(source))
        self.announce(distribution or f"dist-of-{name}", f"{name} = {module}")
        return module

    def add_minimal(self) -> None:
        """Install the third-party backend of this folder."""
        shutil.copytree(HERE / "anyjac_minimal", self.path / "anyjac_minimal")
        self.announce("anyjac-minimal", "minimal = anyjac_minimal")

    def announce(self, distribution: str, entry_points: str) -> None:
        """Write the metadata of a distribution, without any module."""
        info = self.path / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[anyjac]\n{entry_points}\n")


def run_python(code: str, *, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, whose environment has no ``ANYJAC_*`` but what is given."""
    return _run(["-c", textwrap.dedent(code)], path, environment)


def run_anyjac(*arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new interpreter."""
    return _run(["-m", "anyjac", *arguments], path, {"COLUMNS": "4000", **environment})


def _run(arguments: list[str], path: Path | None, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANYJAC_", "PYTEST_"))}
    python_path = {} if path is None else {"PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, **python_path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def printed(result: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a run; a failed run shows why."""
    assert result.returncode == 0, result.stderr
    return result.stdout
