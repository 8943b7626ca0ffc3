"""Tangents, cotangents and vectors of a wrong structure are refused, with a sentence on the right structure."""

import inspect
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.helpers.arrays import made

import anyjac
from anyjac import Backend

STAR = ", where * is an array or a number; "


def jvp_of_an_array(tangents: Any) -> Any:
    return anyjac.jvp(lambda x: x**2)(tangents, np.ones(3))


def jvp_of_two(tangents: Any) -> Any:
    return anyjac.jvp(lambda x, y: x * y, argnums=(0, 1))(tangents, 1.0, 2.0)


def hvp_of_a_tree(vector: Any) -> Any:
    return anyjac.hvp(lambda p: p["a"] * p["b"])(vector, {"a": 1.0, "b": 2.0})


def vjp_of_a_tree(cotangents: Any) -> Any:
    return anyjac.vjp(lambda x: {"y": x, "z": 2 * x})(1.0)(cotangents)


def linearize_of_a_variable(tangents: Any) -> Any:
    gain = anyjac.Variable(2.0)
    return anyjac.linearize(lambda x: gain * x, {"gain": gain}, 0)(3.0)(tangents)


@pytest.mark.parametrize(
    ("product", "given", "said"),
    [
        (
            jvp_of_an_array,
            [1.0, 0.0, 0.0],
            f"the tangents are [*, *, *], and what is differentiated is *{STAR}make one array of the numbers",
        ),
        (
            jvp_of_two,
            1.0,
            f"the tangents are *, and what is differentiated is (*, *){STAR}pack them as grad packs a gradient",
        ),
        (
            hvp_of_a_tree,
            {"a": 1.0},
            f"the tangents are {{'a': *}}, and what is differentiated is {{'a': *, 'b': *}}{STAR}pack them as grad",
        ),
        (
            vjp_of_a_tree,
            1.0,
            f"the cotangents are *, and the output is {{'y': *, 'z': *}}{STAR}give them the structure of the output",
        ),
        (
            linearize_of_a_variable,
            (1.0, 1.0),
            f"the tangents are (*, *), and what is differentiated is ({{'gain': *}}, *){STAR}pack them as grad",
        ),
    ],
)
def test_another_structure_is_shown_beside_the_right_one(product: Callable[[Any], Any], given: Any, said: str) -> None:
    with pytest.raises(anyjac.InputValueError, match=re.escape(said)):
        product(given)


def test_a_product_shows_the_direction_in_its_signature() -> None:
    def energy(x: float, scale: float = 1.0) -> float:
        return scale * x**2

    assert str(inspect.signature(anyjac.jvp(energy))) == "(tangents, /, x: float, scale: float = 1.0) -> float"
    assert str(inspect.signature(anyjac.hvp(energy))).startswith("(vector, /, x: float")
    assert str(inspect.signature(anyjac.grad(energy))) == str(inspect.signature(energy))
    assert callable(anyjac.jvp(np.dot))  # which has no signature on some versions


def test_a_method_that_is_a_product_takes_the_direction_before_its_arguments() -> None:
    class Spring:
        @anyjac.jvp
        def force(self, x: Any) -> Any:
            return 3.0 * x

    assert float(Spring().force(2.0, 1.0)) == 6.0
    assert str(inspect.signature(Spring().force)) == "(tangents, /, x: Any) -> Any"


@pytest.mark.parametrize(("args", "count"), [((), "none"), ((np.ones(3),), "only one")])
def test_a_product_that_is_called_without_a_direction_says_what_comes_first(args: tuple[Any, ...], count: str) -> None:
    for product in (anyjac.jvp(lambda x: x**2), anyjac.hvp(lambda x: (x**2).sum())):
        with pytest.raises(anyjac.InputTypeError, match=rf"the first argument is the tangents.*; the call has {count}"):
            product(*args)


def test_a_direction_alone_is_enough_where_variables_alone_are_differentiated() -> None:
    gain = anyjac.Variable(2.0)
    assert float(anyjac.jvp(lambda: gain**2, gain)(1.0)) == 4.0


def test_a_bare_vector_of_another_shape_is_named_by_what_it_is() -> None:
    with pytest.raises(anyjac.InputValueError, match=re.escape("the tangent has shape (2,), and its input has (3,)")):
        jvp_of_an_array(np.ones(2))
    with pytest.raises(
        anyjac.InputValueError, match=re.escape("cotangents['y'] has shape (2,), and its output has ()")
    ):
        vjp_of_a_tree({"y": np.ones(2), "z": 1.0})


@pytest.mark.parametrize("name", ["autograd", "torch"])
def test_results_can_be_changed_in_place_without_changing_each_other_or_what_was_given(name: str) -> None:
    backend = anyjac.get_backend(name)

    def array(*values: float) -> Any:
        return backend.asarray(np.array(values))

    x, given = array(1.0, 2.0), array(3.0, 4.0)
    of_a, of_b = anyjac.vjp(lambda a, b: a + b, argnums=(0, 1))(x, x)(given)
    of_a *= 0.0
    for result in (
        anyjac.vjp(lambda a: a)(x)(given),
        anyjac.jvp(lambda a: a)(given, x),
        anyjac.linearize(lambda a: a[:1])(x)(given),
    ):
        result *= 0.0
    assert [np.asarray(each).tolist() for each in (of_b, given, x)] == [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]
    first, second = anyjac.jvp(lambda a: (a, a))(given, x)
    first *= 0.0
    assert np.asarray(second).tolist() == [3.0, 4.0]


# ---- dicts in another order, as jax.tree.map and the like give them --------------------------------------------------


def test_tangents_may_have_the_keys_of_their_dicts_in_another_order(backend: Backend) -> None:
    def energy(p: Any) -> Any:
        return (p["w"] ** 2 * p["layer"]["b"]).sum() + p["layer"]["a"].sum()

    point = {"w": made(backend, [2.0]), "layer": {"b": made(backend, [3.0]), "a": made(backend, [1.0])}}
    direction = {"layer": {"a": made(backend, [100.0]), "b": made(backend, [10.0])}, "w": made(backend, [1.0])}
    expected = 2 * 2.0 * 3.0 * 1.0 + 2.0**2 * 10.0 + 100.0
    assert float(anyjac.jvp(energy)(direction, point)) == expected
    assert float(anyjac.linearize(energy)(point)(direction)) == expected
    product = anyjac.hvp(energy)(direction, point)
    assert list(product) == ["w", "layer"]
    assert float(product["w"][0]) == 2 * 3.0 * 1.0 + 2 * 2.0 * 10.0
    assert float(product["layer"]["b"][0]) == 2 * 2.0 * 1.0


def test_tangents_of_variables_may_too(backend: Backend) -> None:
    v, w = (anyjac.Variable(made(backend, [value])) for value in (2.0, 3.0))
    found = anyjac.jvp(lambda: (v * w).sum(), {"v": v, "w": w})({"w": made(backend, [10.0]), "v": made(backend, [1.0])})
    assert float(found) == 3.0 * 1.0 + 2.0 * 10.0


def test_cotangents_may_too(backend: Backend) -> None:
    pullback = anyjac.vjp(lambda x: {"y": x, "z": [3 * x, OrderedDict(s=5 * x, r=7 * x)]})(made(backend, [1.0]))
    given = [made(backend, [value]) for value in (1.0, 10.0, 100.0, 1000.0)]
    found = pullback({"z": [given[1], OrderedDict(r=given[3], s=given[2])], "y": given[0]})
    assert float(found[0]) == 1 * 1.0 + 3 * 10.0 + 5 * 100.0 + 7 * 1000.0


def test_a_shape_that_does_not_fit_is_named_by_its_place_in_the_original() -> None:
    with pytest.raises(anyjac.InputValueError, match=re.escape("tangents['b'] has shape (2,), and its input has ()")):
        hvp_of_a_tree({"b": np.ones(2), "a": 1.0})


def test_other_keys_are_refused_whatever_their_order() -> None:
    with pytest.raises(anyjac.InputValueError, match=re.escape("the tangents are {'c': *, 'a': *}, and what is diff")):
        hvp_of_a_tree({"c": 1.0, "a": 1.0})


def test_a_number_that_is_no_array_of_a_framework_is_no_tangent_though_the_framework_made_it() -> None:
    jax = pytest.importorskip("jax")
    with pytest.raises(anyjac.InputTypeError, match=r"the tangent is <jax.*, which is no array or number"):
        anyjac.jvp(lambda x: x**2)(jax.nn.relu, jax.numpy.ones(()))
