"""Every public name has a numpydoc docstring with its parameters and an example."""

import inspect
import re
import subprocess
import sys
import warnings

import pytest
from numpydoc.docscrape import FunctionDoc
from numpydoc.validate import validate

import anyjac
from anyjac.derivatives.docstrings import filled_from
from anyjac.lazy import homes_in

RETURNED = [name for names in homes_in("anyjac.returned_types").values() for name in names]
OBJECTS = {name: getattr(anyjac, name) for name in [*anyjac.__all__, *RETURNED]}
ERRORS = [name for name, found in OBJECTS.items() if inspect.isclass(found) and issubclass(found, Exception)]
DOCUMENTED = [name for name in OBJECTS if name not in (*ERRORS, "float0")]
FUNCTIONS = [name for name in DOCUMENTED if inspect.isfunction(getattr(anyjac, name))]

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


# ---- docstrings that borrow from jacrev's ----------------------------------------------------------------------------

BORROWING = [name for name in FUNCTIONS if "filled_from(jacrev)" in inspect.getsource(getattr(anyjac, name))]
FAMILY = [name for name in FUNCTIONS if getattr(anyjac, name).__module__.startswith("anyjac.derivatives.")]


def test_the_family_borrows_from_jacrev() -> None:
    assert len(FAMILY) > 11
    assert sorted(BORROWING) == sorted({*FAMILY, "vmap"} - {"jacrev"})


@pytest.mark.parametrize("name", [*FAMILY, "vmap", "jit"])
def test_help_describes_each_parameter_by_itself(name: str) -> None:
    function = getattr(anyjac, name)
    described = {given.name: " ".join(given.desc) for given in FunctionDoc(function)["Parameters"]}
    assert list(described) == list(inspect.signature(function).parameters)
    assert [given for given, text in described.items() if len(text) < 30 or "As in" in text] == []


@pytest.mark.parametrize("name", FAMILY)
def test_help_says_all_of_returns_errors_and_notes(name: str) -> None:
    found = FunctionDoc(getattr(anyjac, name))
    assert {"NotSupportedError", "NonFiniteError"} <= {error.type for error in found["Raises"]}
    assert "Writes to Variables" in " ".join(found["Notes"])
    returned = "\n".join(found["Returns"][0].desc)
    assert ("(g, loss_value, aux_data)" in returned) != (name == "value_and_grad")


@pytest.mark.parametrize("name", BORROWING)
def test_no_sentence_that_stands_for_another_text_is_left(name: str) -> None:
    assert re.findall(r".*as in `jacrev`.*", getattr(anyjac, name).__doc__ or "", re.IGNORECASE) == []


def test_without_docstrings_there_is_nothing_to_fill() -> None:
    code = "import anyjac; print(anyjac.grad.__doc__, anyjac.vmap.__doc__)"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None None\n"


def full(x: object) -> None:
    """Do what is described in full.

    Parameters
    ----------
    x, y
        Two lines
        of text.

        And a paragraph.

    Returns
    -------
    pair
        Its own paragraph.

        Packing.

        Flags:

        ===  ===
        yes  no
        ===  ===

    Raises
    ------
    KeyError
        At times.
    ValueError
        Always.

    Notes
    -----
    First note.

    Second note.
    """


def test_each_section_takes_its_texts_from_the_same_section() -> None:
    @filled_from(full)
    def borrowing() -> None:
        """Borrow.

        Parameters
        ----------
        z
            Own.
        y, x
            As in `jacrev`.

        Returns
        -------
        other
            Another paragraph.

            Flags as in `jacrev`.

            Packed as in `jacrev`.

        Raises
        ------
        ValueError
            Sometimes.
        AnyjacError
            As in `jacrev`.

        Notes
        -----
        Own note.

        As in `jacrev`.

        Examples
        --------
        As in `jacrev`.
        """

    text = "    Two lines\n    of text.\n\n    And a paragraph."
    assert borrowing.__doc__ == (
        f"Borrow.\n\nParameters\n----------\nz\n    Own.\ny\n{text}\nx\n{text}\n\n"
        "Returns\n-------\nother\n    Another paragraph.\n\n"
        "    Flags:\n\n    ===  ===\n    yes  no\n    ===  ===\n\n    Packing.\n\n"
        "Raises\n------\nValueError\n    Sometimes.\nKeyError\n    At times.\n\n"
        "Notes\n-----\nOwn note.\n\nFirst note.\n\nSecond note.\n\n"
        "Examples\n--------\nAs in `jacrev`."
    )


def test_a_text_that_is_not_there_cannot_be_borrowed() -> None:
    def borrowing() -> None:
        """Borrow.

        Parameters
        ----------
        z
            As in `jacrev`.
        """

    with pytest.raises(KeyError, match="z"):
        filled_from(full)(borrowing)
