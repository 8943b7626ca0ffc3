"""The rooms of each source root: no circles between files, and a sentence at each door."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from tests.helpers.repository import PYPROJECT, ROOT, SOURCE_ROOTS

import anyjac

PACKAGES = {
    path.parent.name: path.parent
    for path in (
        *(p for root in SOURCE_ROOTS for p in (ROOT / root).glob("*/__init__.py")),
        *ROOT.glob("*/__init__.py"),
    )
}
ROOMS = sorted(path.parent for package in PACKAGES.values() for path in package.glob("*/**/__init__.py"))


def modules_of(package: Path) -> dict[str, Path]:
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports in a file, also within functions, and those that type checkers alone see."""
    return (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))


def imported(module: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """Return the modules of the same package that a file names in its imports."""
    around = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in imports(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
            continue
        start = around[: len(around) - node.level + 1] if node.level else []
        target = ".".join([*start, *([node.module] if node.module else [])])
        inner = {f"{target}.{alias.name}" for alias in node.names}
        found |= inner & modules.keys() or {target}
        if inner - modules.keys():
            found.add(target)
    return (found & modules.keys()) - {module}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_imports_itself_by_way_of_others(package: str) -> None:
    modules = modules_of(PACKAGES[package])
    graph = {module: imported(module, path, modules) for module, path in modules.items()}
    assert len(graph) > 5
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_circle_is_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"one": {"other"}, "other": {"one"}}).prepare()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(ROOT).as_posix())
def test_a_room_says_what_lives_there_what_it_reads_and_what_it_does_not_touch(room: Path) -> None:
    first = (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").partition("\n")[0]
    assert re.fullmatch(r"[A-Z].*\. Reads .*; .*\.", first)


def test_no_room_or_file_of_the_core_stands_in_the_way_of_a_public_name() -> None:
    names = {path.stem for path in PACKAGES["anyjac"].iterdir()}
    assert names & {*anyjac.__all__} == set()


def test_the_architecture_shows_the_rooms_and_the_files_that_there_are() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text.split("| rooms of `core/anyjac` |")[1].split("\n\n")[0]
    shown = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines()[2:]]
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (found["layers"] for found in contracts if found.get("containers") == ["anyjac"])
    rooms = [[name for name in layer.split(" | ") if (PACKAGES["anyjac"] / name).is_dir()] for layer in layers[1:]]
    assert shown == [layer for layer in rooms if layer]
    files = set(re.findall(r"`((?:calls|state|derivatives|programs)/\w+\.py)`", text))
    assert {name for name in files if not (PACKAGES["anyjac"] / name).is_file()} == set()
    assert len(files) > 8


def test_the_architecture_shows_which_files_the_backends_have_in_common() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    heading, _, *rows = text.split("\n| file | what is there")[1].split("\n\n")[0].splitlines()
    backends = [cell.strip() for cell in heading.split("|")[1:-1]]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    shown = {name.strip("`/"): dict(zip(backends, has, strict=True)) for name, _, *has in cells}
    folders = {name: PACKAGES[f"anyjac_{name}"] for name in PYPROJECT["project"]["entry-points"]["anyjac"]}
    files = {name: {path.name for path in folder.iterdir()} for name, folder in folders.items()}
    for file, has in shown.items():
        assert {name: bool(said) for name, said in has.items()} == {name: file in files[name] for name in files}
    names = [name for of_one in files.values() for name in of_one if not name.startswith(("__", "py."))]
    assert {name for name in names if names.count(name) > 1} == set(shown)
