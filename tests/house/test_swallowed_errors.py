"""No error is swallowed without a reason: whatever catches all of them raises, or says why not."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCE_ROOTS = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
SUPPRESS = {"suppress", "contextlib.suppress"}
BROAD = {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}


def is_broad(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(each is None or ast.unparse(each) in BROAD for each in kinds)


def broad(tree: ast.Module) -> Iterator[tuple[int, bool]]:
    """Yield the line of each handler of all errors, and whether the handler always raises."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
            yield node.lineno, isinstance(node.body[-1], ast.Raise)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in SUPPRESS and any(map(is_broad, node.args)):
            yield node.lineno, False


def without_reason(text: str) -> list[int]:
    """Return the lines that swallow all errors and have no comment, at their end or above."""
    lines = text.splitlines()
    return [
        number
        for number, raises in broad(ast.parse(text))
        if not raises and "  # " not in lines[number - 1] and not lines[number - 2].lstrip().startswith("# ")
    ]


def caught(handler: str, body: str = "pass") -> str:
    return f"import contextlib\ntry:\n    work()\n{handler}\n    {body}\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (caught("except Exception:"), [4]),
        (caught("except BaseException as error:"), [4]),
        (caught("except:"), [4]),
        (caught("except (ValueError, Exception):"), [4]),
        (caught("except Exception:", "if error: raise"), [4]),
        ("with contextlib.suppress(Exception):\n    work()", [1]),
        (caught("except Exception:", "raise"), []),
        (caught("except Exception:  # it runs again"), []),
        (caught("# It runs again.\nexcept Exception:"), []),
        (caught("except ValueError:"), []),
        ("with contextlib.suppress(ValueError):\n    work()", []),
    ],
)
def test_a_swallowed_error_is_found(text: str, lines: list[int]) -> None:
    assert without_reason(text) == lines


@pytest.mark.parametrize("root", SOURCE_ROOTS)
def test_whatever_catches_all_errors_raises_one_or_says_why_not(root: str) -> None:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / root).rglob("*.py")}
    assert len(texts) > 5
    found = {name: without_reason(text) for name, text in texts.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
