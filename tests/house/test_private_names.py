"""Private names of PyTorch stand in one file, so that a new version of PyTorch is met there; JAX's stand nowhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TORCH = ROOT / "backends" / "anyjac_torch"
JAX = ROOT / "backends" / "anyjac_jax"
PRIVATE = TORCH / "private.py"


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in name.split("."))


def imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that a file imports, as the file calls it and in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def private_names(text: str, framework: str) -> set[str]:
    """Return the private names of a framework in the imports of a file and in the attributes of imported modules."""
    tree = ast.parse(text)
    known = {name: full for name, full in imported_names(tree) if full.partition(".")[0] == framework}
    read = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    dotted = {name for name in read if name.partition(".")[0] in known and is_private(name.partition(".")[2])}
    return dotted | {full for full in known.values() if is_private(full)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import torch\ntorch._C._is_any()", {"torch._C._is_any", "torch._C"}),
        ("from torch._dynamo import convert", {"torch._dynamo.convert"}),
        ("from torch.utils import _pytree as trees", {"torch.utils._pytree"}),
        ("from torch.autograd import forward_ad as dual\ndual._level", {"dual._level"}),
        ("import torch\ntorch.__version__\ntensor._version", set()),
        ("from anyjac_plugins import _chunks", set()),
    ],
)
def test_a_private_name_is_found(text: str, found: set[str]) -> None:
    assert private_names(text, "torch") == found


@pytest.mark.parametrize("path", sorted({*TORCH.rglob("*.py")} - {PRIVATE}), ids=lambda path: path.name)
def test_no_other_file_has_a_private_name_of_pytorch(path: Path) -> None:
    text = path.read_text()
    assert private_names(text, "torch") == set()
    assert "torch._" not in text.replace("torch.__version__", "")


@pytest.mark.parametrize("path", sorted(JAX.rglob("*.py")), ids=lambda path: path.name)
def test_no_file_has_a_private_name_of_jax(path: Path) -> None:
    assert private_names(path.read_text(), "jax") == set()


def test_the_file_of_private_names_has_them() -> None:
    assert len(private_names(PRIVATE.read_text(), "torch")) > 10
