"""Summaries are read once: the first paragraph of a docstring names its nouns and has few pronouns."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.repository import ROOT, SOURCE_ROOTS

FOLDERS = (*SOURCE_ROOTS, "benchmarks", "tests")
PRONOUNS = re.compile(r"\b(?:it|what|that|one|others?)\b", re.IGNORECASE)
AT_MOST = 2


def summaries(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the summary of each docstring in the text of a file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield node.body[0].lineno, " ".join(docstring.partition("\n\n")[0].split())


def fault_of(summary: str) -> str | None:
    """Return why a summary has to be read twice, or None."""
    if summary.startswith("Tell whether"):
        return 'begins with "Tell whether", not with "Return whether"'
    pronouns = PRONOUNS.findall(summary)
    return f"has the pronouns {', '.join(pronouns)}" if len(pronouns) > AT_MOST else None


def faults_in(folder: Path) -> list[str]:
    """Return the faults of the files in a folder, each with its file, its line and the summary."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {fault}: {summary}"
        for path in sorted(folder.rglob("*.py"))
        for line, summary in summaries(path.read_text())
        if (fault := fault_of(summary))
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_summary_is_read_once(folder: str) -> None:
    faults = faults_in(ROOT / folder)
    assert faults == [], "\n".join(faults)


@pytest.mark.parametrize(
    "summary",
    ["Tell whether a call is open.", "Return what it is that was opened last.", "The other one, and what others hold."],
)
def test_a_summary_that_is_read_twice_is_found(summary: str) -> None:
    assert fault_of(summary) is not None


@pytest.mark.parametrize("summary", ["Return whether a call is open.", "Return the scope that was opened last."])
def test_a_summary_that_names_its_nouns_is_none(summary: str) -> None:
    assert fault_of(summary) is None


def test_a_summary_ends_at_the_first_empty_line() -> None:
    text = '"""First\nline.\n\nWhat it is that others hold."""\n\ndef f():\n    """Of f."""\n'
    assert list(summaries(text)) == [(1, "First line."), (7, "Of f.")]
