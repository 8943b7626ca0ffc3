"""Boxes of autograd that have outlived their trace are refused, and those of running traces are not."""

from collections.abc import Callable
from typing import Any

import autograd
import numpy as np
import pytest

import anyjac
from anyjac import jacrev

X = np.array([1.0, 2.0])


def keeping(result: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return a function that keeps an array of its first run, and computes with it in every run."""
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        return result(x, kept[0])

    return f


RESULTS: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any]]] = {
    "output": (lambda x, kept: x * kept, {}),
    "constant output": (lambda x, kept: kept, {}),
    "one of several": (lambda x, kept: {"new": x, "old": [kept]}, {}),
    "aux data": (lambda x, kept: (x, kept), {"has_aux": True}),
}


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd, anyjac.vjp, anyjac.linearize])
@pytest.mark.parametrize("name", RESULTS)
def test_a_box_of_an_earlier_call_is_refused(transform: Any, name: str) -> None:
    result, options = RESULTS[name]
    again = transform(keeping(result), **options)
    again(X)
    with pytest.raises(anyjac.TracerLeakError, match="an earlier call of a transform has left"):
        again(X)


def test_a_box_that_is_an_argument_is_refused() -> None:
    kept: list[Any] = []
    jacrev(lambda x: kept.append(x) or x)(X)  # type: ignore[func-returns-value]
    with pytest.raises(anyjac.TracerLeakError, match="an earlier call"):
        jacrev(lambda x: x**2)(kept[0])


def test_a_box_written_to_a_variable_is_refused_and_the_variable_stays() -> None:
    v, kept = anyjac.Variable(X), []

    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        v.value = v + kept[0]
        return x

    jacrev(f)(X)
    before = np.array(v.value)
    with pytest.raises(anyjac.TracerLeakError):
        jacrev(f)(X)
    np.testing.assert_array_equal(v.value, before)


def test_boxes_of_running_traces_are_none_of_an_earlier_call() -> None:
    def slope(x: Any) -> Any:
        return jacrev(lambda y: y * y * x)(x).sum()

    np.testing.assert_allclose(autograd.grad(slope)(3.0), 12.0)
    np.testing.assert_allclose(jacrev(lambda x: autograd.grad(lambda y: y**3 * x)(x))(2.0), 36.0)
    np.testing.assert_allclose(jacrev(jacrev(jacrev(lambda x: x**4)))(2.0), 48.0)
