"""The types of the family of derivatives are those of the table that they are generated from."""

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import anyjac

ROOT = Path(__file__).parents[2]
COMMAND = "python tools/generate_signatures.py"
GENERATOR = runpy.run_path(str(ROOT / COMMAND.removeprefix("python ")))
MEMBERS = {member.name: member for member in GENERATOR["MEMBERS"]}


def test_the_generated_file_is_that_of_its_table() -> None:
    path = GENERATOR["OUTPUT"]
    assert path.is_file()
    if path.read_text() != GENERATOR["text"]():
        pytest.fail(f"{path.relative_to(ROOT)} is stale; run {COMMAND}")


def test_the_generated_file_names_the_command_in_its_first_line() -> None:
    assert COMMAND in GENERATOR["text"]().splitlines()[0]


def test_every_member_of_the_family_has_a_row() -> None:
    functions = {name for name in anyjac.__all__ if inspect.isfunction(getattr(anyjac, name))}
    family = {name for name in functions if getattr(anyjac, name).__module__.startswith("anyjac.derivatives.")}
    assert family == set(MEMBERS)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_a_row_says_of_a_member_what_its_signature_says(member: Any) -> None:
    function = getattr(anyjac, member.name)
    parameters = inspect.signature(function).parameters
    assert f"@like_{member.name}\n" in inspect.getsource(function)
    by_place = [name for name, found in parameters.items() if found.kind is not found.KEYWORD_ONLY]
    assert by_place[:3] == ["func", "grad_vars", "argnums"]
    assert (by_place[3:] != []) == bool(member.form.by_place)
    assert ("return_value" not in parameters) == member.form.value_first
    if member.form is GENERATOR["PACKED"]:
        options = {name: getattr(member, name) != "Never" for name in ("allow_int", "chunk_size", "mode")}
        assert options == {name: name in parameters for name in options}


@pytest.mark.parametrize(
    "where", ["conformance/anyjac_conformance/scenarios", "tests/typing/family.py", "docs/derivatives.rst"]
)
@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_has_scenarios_types_and_a_paragraph(name: str, where: str) -> None:
    path = ROOT / where
    texts = [file.read_text() for file in (path.rglob("*.py") if path.is_dir() else [path])]
    assert any(re.search(rf"\b{name}\b", text) for text in texts), f"{where} does not mention {name}"
