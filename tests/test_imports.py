"""What ``import anyjac`` costs, and that every public name is there and documented."""

import inspect
import io
import pydoc
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from typing import Any

import pytest
from numpydoc.docscrape import FunctionDoc
from numpydoc.validate import validate

import anyjac

FRAMEWORKS = ("autograd", "jax", "jaxlib", "torch")
OBJECTS = {name: getattr(anyjac, name) for name in anyjac.__all__}
ERRORS = [name for name, found in OBJECTS.items() if inspect.isclass(found) and issubclass(found, Exception)]
DOCUMENTED = [name for name in anyjac.__all__ if name not in (*ERRORS, "float0")]
FUNCTIONS = [name for name in DOCUMENTED if inspect.isfunction(getattr(anyjac, name))]


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that a new interpreter has imported after the code."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*(name.partition('.')[0] for name in sys.modules))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(result.stdout.split())


def test_the_import_brings_in_nothing_but_itself() -> None:
    imported = imported_by("import anyjac")
    assert "anyjac" in imported
    assert not imported & {*FRAMEWORKS, "numpy", "optree", "pluggy", "rich", "anyjac_plugins"}


@pytest.mark.parametrize("name", anyjac.__all__)
def test_no_public_name_brings_in_a_framework(name: str) -> None:
    assert not imported_by(f"import anyjac; anyjac.{name}") & set(FRAMEWORKS)


def test_all_public_names_together_bring_in_no_framework() -> None:
    imported = imported_by("from anyjac import *")
    assert "numpy" in imported
    assert not imported & set(FRAMEWORKS)


def test_numpy_arrays_bring_in_the_numpy_backend_alone() -> None:
    imported = imported_by("import anyjac; anyjac.jacrev(lambda x: x)(1.0)")
    assert imported & set(FRAMEWORKS) == {"autograd"}


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


# ---- docstrings ----------------------------------------------------------------------------------------------------

FAULTS = {
    # numpydoc's code: what it means
    "GL06": "an unknown section",
    "GL07": "sections in the wrong order",
    "GL08": "no docstring",
    "SS01": "no summary",
    "SS03": "a summary without a full stop",
    "PR01": "parameters that are not documented",
    "PR02": "parameters that are documented and do not exist",
    "PR03": "parameters in the wrong order",
    "PR05": "a parameter's type with a full stop",
    "PR07": "a parameter without a description",
    "PR08": "a description that does not begin with a capital letter",
    "PR09": "a description without a full stop",
    "RT03": "a return value without a description",
    "YD01": "a generator without a Yields section",
    "EX01": "no example",
}

ELSEWHERE = {
    # a class, its faults that are none: where the parameters are documented
    "GradientTransform": {"PR01"},  # users do not call it: those of `jacrev`
    "Jitted": {"PR01"},  # users do not call it: those of `jit`
    "Mapped": {"PR01"},  # users do not call it: those of `vmap`
    "Pullback": {"PR01"},  # users do not call it: those of `vjp`
    "Pushforward": {"PR01"},  # users do not call it: those of `linearize`
    "Rows": {"PR01"},  # users do not call it: those of the function
    "TrainVar": {"PR01"},  # those of `Variable`
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_public_name_has_a_numpydoc_docstring_with_an_example(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = validate(f"anyjac.{name}")
    assert not [error for error in found["errors"] if error[0] in FAULTS.keys() - ELSEWHERE.get(name, set())]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_parameters_of_a_function_are_documented_in_its_order(name: str) -> None:
    function = getattr(anyjac, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sections = FunctionDoc(function)
    given = [name.lstrip("*") for parameter in sections["Parameters"] for name in parameter.name.split(", ")]
    assert given == [] or given == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_says_what_has_happened_and_can_be_caught_as_ours(name: str) -> None:
    error = getattr(anyjac, name)
    assert error.__doc__
    assert error.__doc__.endswith(".")
    assert issubclass(error, (anyjac.AnyjacError, UserWarning))
    assert error is anyjac.AnyjacError or len(error.__mro__) > len(anyjac.AnyjacError.__mro__)


def test_float0_is_the_dtype_that_jax_documents() -> None:
    assert anyjac.float0.itemsize == 0
    assert anyjac.float0.names == ("float0",)
