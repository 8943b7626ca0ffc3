"""Every public name has a numpydoc docstring with its parameters and an example."""

import inspect
import warnings

import pytest
from numpydoc.docscrape import FunctionDoc
from numpydoc.validate import validate

import anyjac
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
