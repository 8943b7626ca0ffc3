"""Tools read annotations off the callables that anyjac makes as they read them off functions, later names included."""

import functools
import inspect
import sys
import typing
import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import anyjac

MAKERS: dict[str, Callable[..., Any]] = {
    "jacrev": anyjac.jacrev,
    "jit": anyjac.jit,
    "vmap": anyjac.vmap,
    "jvp": anyjac.jvp,
    "stacked": lambda func: anyjac.vmap(anyjac.jit(anyjac.grad(func))),
}

ARE_DEFERRED = sys.version_info >= (3, 14)
"""Whether Python evaluates annotations when they are asked for, so that names of later definitions need no quotes."""


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    maker: Callable[..., Any] = request.param
    return maker


def function_with_annotations(text: str = "Later" if ARE_DEFERRED else "'Later'", header: str = "") -> SimpleNamespace:
    """Return a module with a function whose argument has this annotation."""
    space: dict[str, Any] = {"__name__": "later", "Variable": anyjac.Variable}
    exec(f"{header}\ndef doubled(x: {text}, weight=Variable(2.0)) -> float:\n    return 2.0 * x\n", space)
    return SimpleNamespace(space=space, doubled=space["doubled"])


FORMS = {
    "by name": {},
    "as text": {"text": "'Later'"},
    "in a module where all are text": {"text": "Later", "header": "from __future__ import annotations"},
}


def outcome(ask: Callable[[], Any]) -> Any:
    """Return the result of a call, or the type of its error."""
    try:
        return ask()
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("form", FORMS)
def test_annotations_are_those_of_the_function_before_and_after_the_names_in_them_are_defined(
    make: Callable[..., Any], form: str
) -> None:
    module = function_with_annotations(**FORMS[form])
    made = make(module.doubled)
    passing_for = functools.wraps(made)(lambda *args: made(*args))
    hints, annotations = typing.get_type_hints, inspect.get_annotations
    for answers_are_known in (False, True):
        if answers_are_known:
            module.space["Later"] = float
        assert outcome(lambda: made.__annotations__) == outcome(lambda: module.doubled.__annotations__)
        for other in (made, passing_for):
            assert outcome(partial(hints, other)) == outcome(partial(hints, module.doubled))
            assert outcome(partial(annotations, other)) == outcome(partial(annotations, module.doubled))
    assert typing.get_type_hints(made) == {"x": float, "return": float}


@pytest.mark.parametrize("form", FORMS)
def test_a_signature_is_shown_before_the_names_in_it_are_defined(make: Callable[..., Any], form: str) -> None:
    module = function_with_annotations(**FORMS[form])
    made = make(module.doubled)
    expected = inspect.signature if not ARE_DEFERRED or FORMS[form] else later_signature
    shown, of_function = expected(made), expected(module.doubled)
    before = ["tangents"] if make is anyjac.jvp else []
    assert list(shown.parameters) == [*before, "x", "weight"]
    assert shown.parameters["x"].annotation == of_function.parameters["x"].annotation
    assert shown.return_annotation is of_function.return_annotation


def later_signature(func: Callable[..., Any]) -> inspect.Signature:
    """Return a signature in which names that are not defined yet stand as such."""
    from annotationlib import Format

    return inspect.signature(func, annotation_format=Format.FORWARDREF)


def test_classes_of_ours_have_no_annotations_that_an_instance_would_show() -> None:
    for made in (anyjac.jacrev(np.sin), anyjac.jit(np.sin), anyjac.vmap(np.sin)):
        assert typing.get_type_hints(type(made)) == {}
        assert not hasattr(type(made), "__signature__")
        assert not hasattr(made, "__annotations__")  # as NumPy's functions have none
        assert inspect.get_annotations(made) == {}


def test_a_method_has_the_annotations_of_its_function(make: Callable[..., Any]) -> None:
    class Model:
        @make
        def run(self, x: float) -> float:
            return 2.0 * x

    assert typing.get_type_hints(Model().run) == typing.get_type_hints(Model.run) == {"x": float, "return": float}


def test_a_function_that_dispatches_by_annotations_finds_those_of_the_function() -> None:
    @functools.singledispatch
    def slope(x: Any) -> Any:
        raise NotImplementedError

    @slope.register
    @anyjac.grad
    def of_float(x: float) -> float:
        return x**3

    assert slope.dispatch(float) is of_float
    assert float(slope(2.0)) == 12.0


def test_variables_are_found_in_the_defaults_of_a_function_with_names_that_are_not_defined_yet() -> None:
    module = function_with_annotations()
    assert list(anyjac.variables(module.doubled)) == ["weight"]
    assert list(anyjac.variables(anyjac.grad(module.doubled))) == ["__wrapped__.weight"]


def test_type_parameters_are_those_of_the_function(make: Callable[..., Any]) -> None:
    if sys.version_info < (3, 12):
        space: dict[str, Any] = function_with_annotations("float").space
    else:
        space = {}
        exec("def doubled[T: Later](x: T) -> T:\n    return 2.0 * x\n", space)
    function = space["doubled"]
    assert getattr(make(function), "__type_params__", ()) == getattr(function, "__type_params__", ())


def test_a_partial_binds_an_object_where_python_itself_does(make: Callable[..., Any]) -> None:
    def total(*args: Any) -> int:
        return len(args)

    class Model:
        bare = partial(total, 1.0)
        made = make(partial(total, 1.0))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a warning of Python 3.13, of which later versions bind
        bare, made = Model().bare, Model().made
    inner = made
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    assert inner() == bare()


def test_what_is_made_of_a_coroutine_function_is_none_and_is_refused(make: Callable[..., Any]) -> None:
    async def doubled(x: Any) -> Any:
        return 2.0 * x

    made = make(doubled)
    assert not inspect.iscoroutinefunction(made)
    with pytest.raises(anyjac.OutputError, match="coroutine function"):
        made(*[np.ones(1)] * (2 if make is anyjac.jvp else 1))
