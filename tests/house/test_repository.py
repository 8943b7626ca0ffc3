"""The files at the top of the repository agree with each other and with the code."""

import ast
import os
import re
import subprocess
import sys

import pytest
from tests.helpers.repository import PYPROJECT, ROOT, SOURCE_ROOTS

import anyjac
import anyjac_plugins
from anyjac.lazy import homes_in
from anyjac_plugins import CAPABILITIES, Backend, environment

README = (ROOT / "README.md").read_text()
CI_SCRIPT = (ROOT / ".ci" / "run").read_text()
BACKENDS = PYPROJECT["project"]["entry-points"]["anyjac"]
SET_UP = (
    "python -m pip install . && anyjac demo",
    'python -m pip install -c constraints.txt -e ".[all,test]" && python -m pytest',
    'python -m pip install -c constraints.txt -e ".[exhaustive]" && python -m pytest -m "exhaustive or needs"',
    'python -m pip install -c constraints.txt -e ".[docs]" && sphinx-build docs docs/_build/html',
)


NAMESPACES = ("xp", "namespace")


def normalised(requirement: str) -> str:
    """Return the name of the distribution that a requirement asks for."""
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def pins_of(file: str) -> list[str]:
    return [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]


def pins() -> dict[str, str]:
    lines = pins_of("constraints.txt")
    return {name.lower(): version for name, _, version in (line.partition("==") for line in lines)}


def imported_packages() -> set[str]:
    return {path.parent.name for root in SOURCE_ROOTS for path in (ROOT / root).glob("*/__init__.py")}


# ---- README and CI -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", SET_UP)
def test_readme_has_each_command_to_set_up_once(command: str) -> None:
    assert README.splitlines().count(command) == 1


def test_ci_takes_its_commands_out_of_readme() -> None:
    patterns = re.findall(r"^\w+=\$\(line_of README\.md '(.*)'\)$", CI_SCRIPT, re.MULTILINE)
    found = [line for pattern in patterns for line in README.splitlines() if re.fullmatch(pattern, line)]
    assert found == list(SET_UP)
    of_our_own = CI_SCRIPT.replace('("jax", "jaxlib", "torch", "pytest")', "").splitlines()
    assert [line for line in of_our_own if "pytest" in line and "mlx" not in line] == []


def test_contributing_names_the_command_of_the_other_lane() -> None:
    assert f"`{SET_UP[2]}`" in (ROOT / "CONTRIBUTING.md").read_text()


def test_ci_has_a_function_for_each_of_its_steps_and_checks_before_it_tests() -> None:
    done = subprocess.run(["bash", str(ROOT / ".ci" / "run"), "--list"], capture_output=True, text=True, check=True)
    steps = done.stdout.split()
    assert sorted(steps) == sorted(re.findall(r"^step_([\w-]+)\(\)", CI_SCRIPT, re.MULTILINE))
    assert max(map(steps.index, ("checks", "documentation"))) < steps.index("quick")


def test_ci_refuses_a_step_that_there_is_not() -> None:
    done = subprocess.run(["bash", str(ROOT / ".ci" / "run"), "tests"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("no step tests; there are: first-command set-up")


def test_the_workflow_of_github_runs_every_step_of_ci() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    named = set(re.findall(r"^ {10}- ([a-z].*)$", workflow, re.MULTILINE))
    steps = {step for line in named for step in line.split()}
    (listed,) = re.findall(r"^STEPS=\((.*)\)$", CI_SCRIPT, re.MULTILINE)
    assert steps == set(listed.split()) - {"other-pythons"}  # a step with a job of its own


def test_ci_stops_at_the_first_failure_and_is_a_valid_script() -> None:
    assert "\nset -euo pipefail\n" in CI_SCRIPT
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("check", ["ruff check .", "ruff format --check .", "mypy", "lint-imports"])
def test_ci_runs_every_check(check: str) -> None:
    assert f"\n  {check}\n" in CI_SCRIPT


def test_what_ci_makes_is_ignored_by_git() -> None:
    made = sorted(set(re.findall(r"\.venv-ci[a-z-]*", CI_SCRIPT)))
    kinds = ("", "-bare", "-cache", "-first", "-lowest", "-other", "-path", "-path-new", "-tools")
    assert made == [f".venv-ci{kind}" for kind in kinds]
    rules = (ROOT / ".gitignore").read_text().splitlines()
    assert ".venv*/" in rules


def test_readme_lists_every_backend_with_its_aliases_and_extra() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", README.split("\n## Backends\n")[1], re.MULTILINE))
    assert list(rows) == sorted(BACKENDS)
    extras = PYPROJECT["project"]["optional-dependencies"]
    for info in anyjac.backends():
        cells = [cell.strip() for cell in rows[info.name].split("|")]
        assert cells[0] == ", ".join(f"`{alias}`" for alias in info.aliases)
        assert (f'".[{info.name}]"' in cells[-1]) == (info.name in extras)


def test_hints_on_extras_name_what_works_without_a_release() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.rst")]
    files += [path for root in SOURCE_ROOTS for path in (ROOT / root).rglob("*.py")]
    assert [path.name for path in files if re.search(r"install \W*anyjac\[", path.read_text())] == []


def test_the_words_on_packing_are_the_same_everywhere() -> None:
    rows = re.findall(r"^\| (yes|no) \| (yes|no) \| `(.*)` \|$", README, re.MULTILINE)
    assert rows == [
        ("no", "no", "g"),
        ("yes", "no", "(g, aux_data)"),
        ("no", "yes", "(g, loss_value)"),
        ("yes", "yes", "(g, loss_value, aux_data)"),
    ]
    for text in ((ROOT / "docs" / "concepts.rst").read_text(), anyjac.jacrev.__doc__ or ""):
        assert re.findall(r"^ *(yes|no) +(yes|no) +``(.*)``$", text, re.MULTILINE) == rows


def test_every_file_takes_the_same_versions_of_python() -> None:
    prefix = "Programming Language :: Python :: 3."
    minors = [int(line.removeprefix(prefix)) for line in PYPROJECT["project"]["classifiers"] if line.startswith(prefix)]
    lowest, highest = f"3.{minors[0]}", f"3.{minors[-1]}"
    assert minors == list(range(minors[0], minors[-1] + 1))
    skeleton = ROOT / "conformance" / "anyjac_conformance" / "templates" / "skeleton"
    for path in ("pyproject.toml", "examples/anyjac-mlx/pyproject.toml", skeleton / "pyproject.toml.jinja"):
        assert f'\nrequires-python = ">={lowest}"\n' in (ROOT / path).read_text()
    for path in ("docs/conformance-workflow.yml", skeleton / "conformance.yml.jinja"):
        assert f'python: ["{lowest}", "{highest}"]' in (ROOT / path).read_text()
    assert f"\nPython {lowest} or later." in README
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{lowest.replace('.', '')}"
    assert f"python{highest} " in CI_SCRIPT
    assert f"sys.version_info < ({lowest.replace('.', ', ')})" in CI_SCRIPT


# ---- requirements --------------------------------------------------------------------------------------------------


def test_everything_that_the_tests_install_is_pinned() -> None:
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = {normalised(requirement) for group in groups for requirement in group} - {project["name"]}
    installed_by_ci = {"build", normalised(PYPROJECT["build-system"]["requires"][0])}
    assert (wanted | installed_by_ci) - pins().keys() == set()
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins().values())


def test_the_lowest_versions_are_those_that_are_promised() -> None:
    project = PYPROJECT["project"]
    for_users = ("brainpy", "brainstate", "conformance", "equinox", "flax", "jax", "scipy", "torch")
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in for_users)]
    promised = [requirement for group in groups for requirement in group if not requirement.startswith("anyjac")]
    assert sorted(f"{requirement.replace('>=', '==')}" for requirement in promised) == pins_of("constraints-lowest.txt")


def test_the_core_requires_no_framework_but_the_default_one() -> None:
    required = {normalised(requirement) for requirement in PYPROJECT["project"]["dependencies"]}
    assert not required & {"jax", "jaxlib", "torch"}
    assert "autograd" in required


def test_each_backend_that_needs_a_framework_has_an_extra() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    for name in set(BACKENDS) - {"autograd"}:
        assert name in extras
        assert name in extras["all"][0]


# ---- who imports whom ----------------------------------------------------------------------------------------------


def contracts(kind: str) -> list[dict[str, list[str]]]:
    return [found for found in PYPROJECT["tool"]["importlinter"]["contracts"] if found["type"] == kind]


def test_the_contracts_know_every_package() -> None:
    assert set(PYPROJECT["tool"]["importlinter"]["root_packages"]) == imported_packages()
    assert imported_packages() == {"anyjac", "anyjac_plugins", "anyjac_conformance", *BACKENDS.values()}


def test_no_backend_is_left_out_of_a_contract() -> None:
    modules = set(BACKENDS.values())
    (independent,) = contracts("independence")
    assert set(independent["modules"]) == modules
    forbidden = [(set(found["source_modules"]), set(found["forbidden_modules"])) for found in contracts("forbidden")]
    ours = {"anyjac", "anyjac_conformance"}
    assert ({"anyjac_plugins", *ours}, modules) in forbidden
    assert (modules, ours) in forbidden
    frameworks = {"autograd", "jax", "jaxlib", "torch"}
    assert ({"anyjac_plugins", *ours}, frameworks) in forbidden
    for info in anyjac.backends():
        (others,) = [refused for sources, refused in forbidden if sources == {f"anyjac_{info.name}"}]
        assert others == {name for name in frameworks if not name.startswith(info.name)}


def test_the_hooks_before_a_commit_are_the_checks_of_ci_and_need_no_network() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text()

    def values(key: str) -> list[str]:
        return re.findall(rf"^ *(?:- )?{key}: (.*)$", config, re.MULTILINE)

    assert values("repo") == ["local"]
    assert values("language") == ["system"] * 4
    assert [entry.split(" --")[0] for entry in values("entry")] == ["ruff check", "ruff format", "mypy", "lint-imports"]


def test_mypy_is_strict_on_all_source_roots_and_forgives_missing_types_by_name() -> None:
    mypy = PYPROJECT["tool"]["mypy"]
    assert mypy["strict"] is True
    assert mypy["explicit_package_bases"] is True
    assert sorted(mypy["mypy_path"]) == sorted(SOURCE_ROOTS)
    assert sorted(mypy["files"]) == sorted([*SOURCE_ROOTS, "benchmarks", "tools"])
    assert "ignore_missing_imports" not in mypy
    for override in mypy["overrides"]:
        assert all(re.fullmatch(r"\w+\.\*", module) for module in override["module"])


@pytest.mark.parametrize("package", sorted(imported_packages()))
def test_every_package_ships_its_types(package: str) -> None:
    assert [path for root in SOURCE_ROOTS for path in (ROOT / root / package).glob("py.typed")]


# ---- versions, licence, changes ------------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    assert anyjac.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    released = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version


def test_the_changelog_has_the_sections_of_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    assert "https://keepachangelog.com/" in text
    assert "\n## [Unreleased]\n" in text


def test_the_licence_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert [int(number) for number in re.findall(r"^   (\d+)\. ", text, re.MULTILINE)] == list(range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"] == "Apache-2.0"


def test_who_reports_something_is_asked_what_anyjac_info_prints() -> None:
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert len(forms) == 3
    assert [path.stem for path in forms if "anyjac info" not in path.read_text()] == []
    assert "`anyjac info`" in (ROOT / "SECURITY.md").read_text()


# ---- the documentation ---------------------------------------------------------------------------------------------


def test_the_reference_lists_every_public_name_once() -> None:
    reference = (ROOT / "docs" / "api.rst").read_text()
    _, *packages = re.split(r"^\.\. currentmodule:: (\w+)$", reference, flags=re.MULTILINE)
    listed = {
        package: re.findall(r"^(?:   (?=\w+$)|\.\. data:: )(\w+)$", text, re.MULTILINE)
        for package, text in zip(packages[::2], packages[1::2], strict=True)
    }
    returned = {name for names in homes_in("anyjac.returned_types").values() for name in names}
    assert sorted(listed["anyjac"]) == sorted({*anyjac.__all__, *returned})
    of_plugins = {*anyjac_plugins.__all__} - {*anyjac.__all__, *returned}
    of_plugins -= {"CAPABILITIES", *map(str.upper, CAPABILITIES)}
    assert sorted(listed["anyjac_plugins"]) == sorted(of_plugins)


def test_the_documentation_lists_every_capability_with_its_sentence() -> None:
    text = (ROOT / "docs" / "write-a-backend.rst").read_text()
    table = text.split("\nCapabilities\n")[1].split("\nWhat is wrong, and what it is then\n")[0]
    assert dict(re.findall(r"^``(\w+)`` +(\S.*)$", table, re.MULTILINE)) == CAPABILITIES


def test_the_documentation_lists_every_environment_variable_with_its_meaning() -> None:
    text = (ROOT / "docs" / "concepts.rst").read_text()
    rows = dict(re.findall(r"^``(ANYJAC_\w+)`` +(\S.*)$", text, re.MULTILINE))
    assert {name: meaning.replace("``", "`") for name, meaning in rows.items()} == environment.KNOWN


def test_the_number_of_required_members_is_told_rightly() -> None:
    numbers = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    required = numbers[len({"name", *Backend.__abstractmethods__})]
    assert f"one class with {required} members" in README
    assert f"{required.capitalize()} members are required" in (ROOT / "docs" / "write-a-backend.rst").read_text()


def test_the_functions_of_the_namespace_that_anyjac_calls_are_told_to_authors_of_backends() -> None:
    text = (ROOT / "docs" / "write-a-backend.rst").read_text()
    told, _, _ = text.split("with the defaults of the other members, needs ")[1].partition(", the dtypes")
    called = {
        name
        for root in ("core/anyjac", "plugins/anyjac_plugins")
        for path in (ROOT / root).rglob("*.py")
        if "cli" not in path.parts  # whose demo is a user's function
        for name in names_taken_from_namespaces(path.read_text())
    }
    assert re.findall(r"``(\w+)``", told) == sorted(called)


def test_the_functions_of_the_namespace_that_scenarios_call_are_told_to_authors_of_backends() -> None:
    text = (ROOT / "docs" / "write-a-backend.rst").read_text()
    known, _, _ = text.split("with the defaults of the other members, needs ")[1].partition(", the dtypes")
    told, _, _ = text.split("Beside these and the operators they call ")[1].partition(", and index")
    files = (ROOT / "conformance" / "anyjac_conformance" / "scenarios").rglob("*.py")
    called = {name for path in files for name in names_taken_from_namespaces(path.read_text())}
    dtypes = {name for name in called if name.startswith(("float", "int", "complex"))}
    assert re.findall(r"``(\w+)``", told) == sorted(called - dtypes - set(re.findall(r"``(\w+)``", known)))


def names_taken_from_namespaces(source: str) -> set[str]:
    """Return the attributes of ``xp`` and of whatever is called a namespace."""
    attributes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    return {
        node.attr for node in attributes if getattr(node.value, "id", getattr(node.value, "attr", "")) in NAMESPACES
    }


def test_the_examples_of_the_documentation_are_collected_as_tests() -> None:
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "README.md", "docs", *SOURCE_ROOTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    files = {line.partition("::")[0] for line in collected.splitlines() if "::" in line}
    assert {"README.md", "docs/getting-started.rst", "docs/concepts.rst", "docs/write-a-backend.rst"} <= files
    assert {"core/anyjac/derivatives/jacobians.py", "plugins/anyjac_plugins/loading/spec.py"} <= files
    with_examples = {
        path.relative_to(ROOT).as_posix()
        for root in SOURCE_ROOTS
        for path in (ROOT / root).rglob("*.py")
        if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE)
    }
    assert with_examples <= files
