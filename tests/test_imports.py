"""The imports behind ``import anyjac``; and every public name exists and is documented."""

import ast
import inspect
import io
import pydoc
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

import pytest
from tests.helpers.interpreters import printed_by

import anyjac
from anyjac import public_names, returned_types
from anyjac.lazy import homes_in

FRAMEWORKS = ("autograd", "jax", "jaxlib", "torch")
OBJECTS = {name: getattr(anyjac, name) for name in anyjac.__all__}
ERRORS = [name for name, found in OBJECTS.items() if inspect.isclass(found) and issubclass(found, Exception)]


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that a new interpreter has imported after the code."""
    return set(printed_by(f"{code}\nimport sys\nprint(*(name.partition('.')[0] for name in sys.modules))").split())


def test_the_import_brings_in_nothing_but_itself() -> None:
    imported = imported_by("import anyjac")
    assert "anyjac" in imported
    assert not imported & {*FRAMEWORKS, "numpy", "optree", "pluggy", "rich", "anyjac_plugins"}


def test_the_import_does_without_the_slow_modules_of_python() -> None:
    assert not (imported_by("import anyjac") - imported_by("pass")) & {"dataclasses", "inspect", "re", "typing"}


NAME_BY_NAME = """
import sys, anyjac
for name in anyjac.__all__:
    getattr(anyjac, name)
    found = {module.partition(".")[0] for module in sys.modules} & set(FRAMEWORKS)
    assert not found, f"anyjac.{name} brings in {found}"
"""


def test_no_public_name_brings_in_a_framework() -> None:
    assert "numpy" in imported_by(f"FRAMEWORKS = {FRAMEWORKS}\n{NAME_BY_NAME}")


def test_a_star_import_brings_in_no_framework() -> None:
    assert not imported_by("from anyjac import *") & set(FRAMEWORKS)


def test_numpy_arrays_bring_in_the_numpy_backend_alone() -> None:
    imported = imported_by("import anyjac; anyjac.jacrev(lambda x: x)(1.0)")
    assert imported & set(FRAMEWORKS) == {"autograd"}


UNDER_OTHER_IMPORTERS = """
import sys
from importlib.machinery import ModuleSpec

class Pytest:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in ("anyjac.public_names", "anyjac.returned_types") else None

    def exec_module(self, module):
        raise ImportError(name=module.__name__)

class Six:
    def find_module(self, name, path=None):
        return None

sys.meta_path[:0] = [Six(), Pytest()]
import anyjac
print(anyjac.jacrev.__name__, anyjac.Jitted.__name__)
"""


def test_importers_that_hand_out_no_code_are_passed_over() -> None:
    assert printed_by(UNDER_OTHER_IMPORTERS) == "jacrev Jitted\n"


WITHOUT_CODE = """
import sys
from importlib.machinery import PathFinder, SourceFileLoader

class Compiled(SourceFileLoader):
    def get_code(self, name):
        return None

    def exec_module(self, module):
        exec(self.source_to_code(self.get_data(self.path), self.path), module.__dict__)

class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if name in ("anyjac.public_names", "anyjac.returned_types"):
            spec.loader = Compiled(name, spec.origin)
        return spec

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder()
import anyjac
print(anyjac.jacrev.__name__, anyjac.Jitted.__name__, "jacrev" in anyjac.__all__)
"""


def test_where_no_importer_has_code_the_names_are_imported() -> None:
    assert printed_by(WITHOUT_CODE) == "jacrev Jitted True\n"


def test_dir_lists_exactly_the_public_names() -> None:
    assert dir(anyjac) == sorted([*anyjac.__all__, "__version__"])
    assert sorted(anyjac.__all__) == sorted(set(anyjac.__all__))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'anyjac' has no attribute 'jacfwd_of_nothing'"):
        _ = anyjac.jacfwd_of_nothing
    assert not hasattr(anyjac, "import_module")


def test_star_import_gives_the_public_names() -> None:
    names: dict[str, Any] = {}
    exec("from anyjac import *", names)
    assert set(names) - {"__builtins__"} == set(anyjac.__all__)


@pytest.mark.parametrize("module", [public_names, returned_types], ids=lambda module: module.__name__)
def test_each_line_of_names_is_what_anyjac_has_under_that_name(module: ModuleType) -> None:
    read = {name for names in homes_in(module.__name__).values() for name in names}
    assert read == {name for name in vars(module) if not name.startswith("__")}
    assert [name for name in read if getattr(anyjac, name) is not getattr(module, name)] == []


def test_each_line_of_names_makes_its_name_public_to_type_checkers() -> None:
    for module in (public_names, returned_types):
        statements = ast.parse(inspect.getsource(module)).body[1:]
        aliases = [alias for node in statements if isinstance(node, ast.ImportFrom) for alias in node.names]
        assert len(aliases) == len(statements)
        assert [alias.name for alias in aliases if alias.asname != alias.name] == []


def test_types_that_are_only_returned_are_there_and_not_listed() -> None:
    assert anyjac.RowBlock.__name__ == "RowBlock"
    assert "RowBlock" not in dir(anyjac)
    assert "RowBlock" not in anyjac.__all__


def test_help_shows_the_signature_and_the_packing_table() -> None:
    shown = io.StringIO()
    with redirect_stdout(shown):
        help(anyjac.jacrev)
    text = pydoc.plain(shown.getvalue())
    assert "jacrev(" in text
    assert "grad_vars" in text
    assert "(g, loss_value, aux_data)" in text


def test_help_of_a_transform_shows_the_function_it_wraps() -> None:
    def area(radius: float) -> float:
        """Area of a disc."""
        return 3.14 * radius**2

    transform = anyjac.jacrev(area)
    assert inspect.getdoc(transform) == "Area of a disc."
    assert str(inspect.signature(transform)) == "(radius: float) -> float"


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_says_what_has_happened_and_can_be_caught_as_ours(name: str) -> None:
    error = getattr(anyjac, name)
    assert error.__doc__
    assert error.__doc__.endswith(".")
    assert issubclass(error, (anyjac.AnyjacError, Warning))
    assert error is anyjac.AnyjacError or len(error.__mro__) > len(anyjac.AnyjacError.__mro__)


def test_float0_is_the_dtype_that_jax_documents() -> None:
    assert anyjac.float0.itemsize == 0
    assert anyjac.float0.names == ("float0",)
