"""conformance, benchmarks and tests use the public names of our packages: those in their ``__all__``.

The tables list where an inner module is imported all the same, and why. An entry that no longer occurs fails as well.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module

import pytest
from tests.helpers.listed_names import assert_listed_alone
from tests.helpers.repository import ROOT, SOURCE_ROOTS

from anyjac.lazy import homes_in

OURS = {path.parent.name for root in SOURCE_ROOTS for path in (ROOT / root).glob("*/__init__.py")}
PUBLIC = {package: {*getattr(import_module(package), "__all__", ["anyjac_backend"])} for package in OURS}
"""The public names of each package; a backend has its hook at least."""
PUBLIC["anyjac"] |= {name for names in homes_in("anyjac.returned_types").values() for name in names}

BACKEND = "a way or a rule of one backend shows nowhere else"
COMMANDS = "the command line, without a new interpreter for each line"
LAZY = "which names are public"
TABLE = "the table of the functions of the array API, which the page of the documentation shows"

INNER: dict[str, tuple[str, str]] = {
    "conformance/anyjac_conformance/__init__.py": (
        "anyjac.lazy anyjac_plugins.errors",
        "its public names are imported when they are first used, as those of anyjac; its error stands with all others",
    ),
    "conformance/anyjac_conformance/commands.py": ("anyjac.cli.main", "it adds commands to anyjac's command line"),
    "conformance/anyjac_conformance/reports/filling.py": (
        "anyjac_plugins.installing",
        "what installs an extra is said in one place",
    ),
    "conformance/anyjac_conformance/engine.py": ("anyjac_plugins.errors", "its error stands with all others"),
    "tests/backends/test_array_api.py": ("anyjac_conformance.array_api", TABLE),
    "tests/backends/test_autograd_namespace.py": ("anyjac_autograd.backend anyjac_autograd.functions", BACKEND),
    "tests/backends/test_autograd_paths.py": (
        "anyjac_autograd.backend anyjac_autograd.batched anyjac_autograd.jacobians anyjac_autograd.rules "
        "anyjac_autograd.rules.sparse_rows anyjac_autograd.rules.table anyjac_conformance.array_api",
        BACKEND,
    ),
    "tests/backends/test_branch_cuts.py": ("anyjac_conformance.array_api_points", TABLE),
    "tests/backends/test_code_generation.py": ("anyjac_torch.code_generation", BACKEND),
    "tests/backends/test_forward.py": (
        "anyjac_autograd.backend anyjac_autograd.forward anyjac_conformance.array_api anyjac_jax.backend "
        "anyjac_torch.backend anyjac_torch.forward",
        BACKEND,
    ),
    "tests/backends/test_generated_code.py": (
        "anyjac_conformance.array_api anyjac_torch.code_generation anyjac_torch.overlapping anyjac_torch.private",
        BACKEND,
    ),
    "tests/backends/test_jax_compiled.py": ("anyjac_jax.backend anyjac_jax.jacobians", BACKEND),
    "tests/backends/test_jax_foreign_code.py": ("anyjac_jax.jacobians", BACKEND),
    "tests/backends/test_nonfinite_rows.py": ("anyjac_autograd.backend", BACKEND),
    "tests/backends/test_plain_numpy.py": (
        "anyjac_autograd.plain_numpy.table anyjac_autograd.plain_numpy.ufuncs",
        "the tables, of which none may be left out",
    ),
    "tests/backends/test_standard.py": (
        "anyjac_conformance.array_api anyjac_conformance.array_api_points anyjac_conformance.verdicts",
        TABLE,
    ),
    "tests/backends/test_torch_backward_mends.py": ("anyjac_torch.backend", BACKEND),
    "tests/backends/test_torch_operators.py": ("anyjac_torch.backend", BACKEND),
    "tests/backends/test_torch_paths.py": ("anyjac_torch.backend anyjac_torch.writes", BACKEND),
    "tests/conformance/test_commands.py": ("anyjac.cli.main", COMMANDS),
    "tests/conformance/test_leftovers.py": ("anyjac.cli.main anyjac_conformance.leftovers", COMMANDS),
    "tests/conformance/test_page.py": ("anyjac_conformance.reports.page", "the page, of a report made up for it"),
    "tests/conformance/test_singularities.py": ("anyjac_conformance.singularities", TABLE),
    "tests/conformance/test_page_in_a_browser.py": ("anyjac_conformance.reports.page", "the page, shown by a browser"),
    "tests/core/test_pickles.py": ("anyjac.old_pickles", "what pickles find that were made before there were rooms"),
    "tests/core/test_trees.py": ("anyjac.trees.partition anyjac.trees.structure", "the room of trees by itself"),
    "tests/helpers/open_calls.py": (
        "anyjac.state.context anyjac.state.ownership",
        "whether a call is open, and what it owns, shows nowhere else",
    ),
    "tests/house/test_public_names.py": ("anyjac.lazy", LAZY),
    "tests/house/test_repository.py": (
        "anyjac.lazy anyjac_plugins.environment",
        "the names, and environment variables",
    ),
    "tests/models/test_own_models.py": (
        "anyjac_plugins.loading anyjac_plugins.loading.models",
        "entry points that are not installed",
    ),
    "tests/plugins/test_interface.py": (
        "anyjac_plugins.Nothing anyjac_plugins.failed_functions",
        "a name that there is not, and who a flat function is to a backend",
    ),
    "tests/plugins/test_loading.py": ("anyjac_plugins.environment", "how the variables of the environment are read"),
    "tests/plugins/test_selecting.py": ("anyjac_plugins.environment", "what is said of a wrong path"),
    "tests/reliability/test_interrupts.py": (
        "anyjac_jax.models anyjac_torch.jit",
        "the files at whose lines interrupts come",
    ),
    "tests/reliability/test_lifetimes.py": ("anyjac.state", "how often a call that waits looks again"),
    "tests/reliability/test_properties.py": ("anyjac_conformance.answers", "the comparison of a scenario's answer"),
    "tests/setup/compilers.py": ("anyjac_torch.code_generation", "whether PyTorch generates code in tests"),
    "tests/setup/tools.py": ("anyjac_torch.code_generation", "what PyTorch needs to generate code"),
    "tests/test_cli.py": ("anyjac.cli.demo.rest anyjac.cli.inspection anyjac.cli.main", COMMANDS),
    "tests/test_demo.py": ("anyjac.cli.demo.hodgkin_huxley anyjac.cli.demo.rest", "the model of the demo by itself"),
    "tests/test_docstrings.py": ("anyjac.derivatives.docstrings anyjac.lazy", "the texts that docstrings share"),
    "tests/test_imports.py": (
        "anyjac.jacfwd_of_nothing anyjac.lazy anyjac.public_names anyjac.returned_types",
        "a name that there is not, and where those that there are come from",
    ),
    "tests/typing/family.py": ("anyjac.jacfwd_of_nothing", "a name that there is not"),
}
"""For each file, the inner modules that it imports, and why."""


def inner_modules(text: str, package: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each inner module of our packages that the text of a file uses.

    A file may use whatever its own package has inside.
    """
    for node in ast.walk(ast.parse(text)):
        for name in _used_by(node):
            top = name.partition(".")[0]
            if top in OURS and top != package and not _is_public(name):
                yield node.lineno, name


def _is_public(name: str) -> bool:
    package, _, rest = name.partition(".")
    return rest == "" or rest in PUBLIC.get(package, ()) or rest == "__version__" or rest.startswith("__")


def _used_by(node: ast.AST) -> list[str]:
    """Return the dotted names by which one node uses a module or a name in it."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            return [f"{module}.{alias.name}" for alias in names] if "." not in module else [module]
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in OURS:
            return [f"{module}.{name}"]
        case ast.Call(func=ast.Attribute(attr="setattr"), args=[ast.Constant(value=str(target)), *_]):
            return [target.rpartition(".")[0]]
        case _:
            return []


@pytest.mark.parametrize("folder", ["conformance", "benchmarks", "tests"])
def test_inner_modules_are_imported_from_a_listed_few_alone(folder: str) -> None:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for path in sorted((ROOT / folder).rglob("*.py")):
        package = path.relative_to(ROOT / folder).parts[0] if folder in SOURCE_ROOTS else None
        for line, name in inner_modules(path.read_text(), package):
            found[path.relative_to(ROOT).as_posix()].setdefault(name, line)
    assert_listed_alone(found, INNER, folder, "inner modules, used in the place of public names:")


@pytest.mark.parametrize(
    "text",
    [
        "from anyjac.calls.call import Call",
        "import anyjac.calls.call",
        "from anyjac import calls",
        "from anyjac_plugins.errors import AnyjacError",
        "import anyjac\nanyjac.calls.call.Call",
        "def f(patch): patch.setattr('anyjac.calls.call.Call', None)",
    ],
)
def test_an_inner_module_is_found(text: str) -> None:
    assert len(list(inner_modules(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import anyjac\nfrom anyjac import jacrev, Variable",
        "import anyjac\nanyjac.jacrev, anyjac.__file__",
        "from anyjac_conformance import check_backend",
        "from anyjac_autograd import jacobian",
        "from .calls.call import Call",
        "from numpy.linalg import norm",
    ],
)
def test_a_public_name_or_a_module_of_others_is_not(text: str) -> None:
    assert list(inner_modules(text)) == []


def test_a_package_uses_its_own_inner_modules() -> None:
    assert list(inner_modules("from anyjac.calls.call import Call", "anyjac")) == []
