"""A helper of tests stands once: no two files define a function or class with the same body."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.helpers.repository import ROOT

LINES = 3
"""Shorter bodies may be repeated."""


def bodies(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the body of each function and class in the text of a file, without docstrings."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            statements = node.body[1:] if ast.get_docstring(node) else node.body
            body = "\n".join(ast.unparse(statement) for statement in statements)
            if body.count("\n") + 1 >= LINES:
                yield node.lineno, body


def repeated(texts: Mapping[str, str]) -> list[list[str]]:
    """Return the places of each body that several files have, from the texts of the files by name."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for file, text in texts.items():
        for line, body in bodies(text):
            found[body].append((file, line))
    several = [places for places in found.values() if len({file for file, _ in places}) > 1]
    return [[f"{file}:{line}" for file, line in places] for places in several]


def test_no_helper_stands_in_two_files() -> None:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert len(texts) > 50
    assert repeated(texts) == []


def test_a_repeated_helper_is_found_whatever_its_name_and_docstring() -> None:
    one = 'def first(x):\n    """First."""\n    y = x\n    z = y\n    return z\n'
    other = "\ndef second(x):\n    y = x  # why\n    z = y\n    return z\n"
    assert repeated({"one": one, "other": other}) == [["one:1", "other:2"]]
    assert repeated({"one": one + other}) == []
