"""The collection of docstring examples: each docstring is a session of its own, and a wrong answer fails."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.repository import ROOT

CONFTEST = """
from pathlib import Path
from tests.setup.documents import collect_in, pytest_runtest_setup

pytest_collect_file = collect_in(Path(__file__).parent)
"""

MODULE = '''
import math


def first():
    """First.

    >>> x = 1
    >>> x + 1
    {answer}
    """


def second():
    """Second.

    >>> {use}
    2.0
    """
'''


PAGE = """
>>> import itertools
>>> numbers = itertools.count()

>>> next(numbers)
0

>>> next(numbers)
1
"""


def run(folder: Path, *, answer: str = "2", use: str = "1.0 + 1") -> subprocess.CompletedProcess[str]:
    package = folder / "core" / "example"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "sums.py").write_text(MODULE.format(answer=answer, use=use))
    return run_pytest(folder, ".")


def run_pytest(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_right_answers_pass(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout


def test_a_wrong_answer_fails_and_is_shown(tmp_path: Path) -> None:
    result = run(tmp_path, answer="3")
    assert result.returncode == 1
    assert "1 failed, 2 passed" in result.stdout
    assert "sums.py" in result.stdout


def test_a_docstring_does_not_see_the_names_of_another(tmp_path: Path) -> None:
    result = run(tmp_path, use="x + 1.0")
    assert result.returncode == 1
    assert "NameError: name 'x' is not defined" in result.stdout


def test_a_docstring_does_not_see_the_imports_of_its_module(tmp_path: Path) -> None:
    result = run(tmp_path, use="math.sqrt(4)")
    assert result.returncode == 1
    assert "NameError: name 'math' is not defined" in result.stdout


def test_examples_of_a_page_follow_on_from_each_other_in_whatever_order_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.rst").write_text(PAGE)
    tests = [f"docs/page.rst::line:{line},column:1" for line in (8, 5, 2, 3)]
    result = run_pytest(tmp_path, *tests)
    assert "4 passed" in result.stdout, result.stdout
