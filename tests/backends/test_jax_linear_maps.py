"""Linear maps of `vjp` and `linearize` as containers of JAX, which its transforms take and return."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anyjac
from anyjac import Pullback, Pushforward, Variable

X = jnp.asarray([1.0, 2.0, 3.0])

MAKERS: dict[str, tuple[Callable[..., Any], type]] = {
    "vjp": (anyjac.vjp, Pullback),
    "linearize": (anyjac.linearize, Pushforward),
}
BOTH = pytest.mark.parametrize(("make", "kind"), MAKERS.values(), ids=MAKERS)


def cube(x: Any) -> Any:
    return x**3


@BOTH
def test_a_compiled_function_returns_them(make: Any, kind: type) -> None:
    linear_map = jax.jit(lambda x: make(cube)(x))(X)
    assert isinstance(linear_map, kind)
    assert np.allclose(linear_map(jnp.ones(3)), 3 * X**2)
    assert np.allclose(linear_map.value, X**3)
    assert linear_map.aux is None
    assert str(linear_map) == str(make(cube)(X))


@BOTH
def test_a_compiled_function_returns_others_the_next_time(make: Any, kind: type) -> None:
    made = jax.jit(lambda x: make(cube)(x))
    first, second = made(X), made(2 * X)
    assert np.allclose(first(jnp.ones(3)), 3 * X**2)
    assert np.allclose(second(jnp.ones(3)), 12 * X**2)


@BOTH
def test_a_compiled_function_of_anyjac_returns_them_too(make: Any, kind: type) -> None:
    w = Variable(jnp.asarray(1.0))

    @anyjac.jit
    def made(x: Any) -> Any:
        w.value = w + 1
        return make(lambda x: w * cube(x))(x)

    first, second = made(X), made(2 * X)
    assert np.allclose(first(jnp.ones(3)), 2 * 3 * X**2)
    assert np.allclose(second(jnp.ones(3)), 3 * 12 * X**2)
    assert w.value == 3


@BOTH
def test_a_compiled_function_takes_them(make: Any, kind: type) -> None:
    apply = jax.jit(lambda linear_map, vector: linear_map(vector))
    for factor in (1, 2):
        assert np.allclose(apply(make(cube)(factor * X), jnp.ones(3)), 3 * (factor * X) ** 2)


@BOTH
def test_they_are_mapped_and_looped_over(make: Any, kind: type) -> None:
    several = jnp.stack([X, 2 * X])
    maps = jax.vmap(lambda x: make(cube)(x))(several)
    found = jax.vmap(lambda linear_map, vector: linear_map(vector))(maps, jnp.ones((2, 3)))
    assert np.allclose(found, 3 * several**2)
    looped = jax.lax.scan(lambda total, linear_map: (total + linear_map(jnp.ones(3)), None), jnp.zeros(3), maps)[0]
    assert np.allclose(looped, 15 * X**2)


@BOTH
def test_of_a_map_of_many_no_product_is_computed_in_silence(make: Any, kind: type) -> None:
    maps = jax.vmap(lambda x: make(cube)(x))(jnp.stack([X, 2 * X]))
    with pytest.raises((TypeError, ValueError)):
        maps(jnp.ones((2, 3)))


@BOTH
def test_trees_variables_aux_data_and_integers_come_along(make: Any, kind: type) -> None:
    w = Variable(jnp.asarray(2.0), name="w")

    def f(x: Any) -> Any:
        return {"y": w * x["x"] ** 2, "n": jnp.argmax(x["x"]), "one": 1}, {"text": "aux", "twice": 2 * x["x"]}

    linear_map, value, aux = jax.jit(lambda x: _without_text(*make(f, w, 0, has_aux=True, return_value=True)(x)))(
        {"x": X}
    )
    assert int(value["n"]) == int(linear_map.value["n"]) == 2
    assert linear_map.aux["text"] == "aux"
    assert np.allclose(linear_map.aux["twice"], aux)
    vector = {"y": jnp.ones(3), "n": np.zeros((), anyjac.float0), "one": 0}
    if kind is Pullback:
        of_w, of_x = linear_map(vector)
        assert np.allclose(of_w, 14)
        assert np.allclose(of_x["x"], 4 * X)
    else:
        pushed = linear_map((jnp.asarray(1.0), {"x": jnp.ones(3)}))
        assert np.allclose(pushed["y"], X**2 + 4 * X)
        assert (pushed["n"].dtype, pushed["one"]) == (anyjac.float0, 0)
    with pytest.raises(ValueError, match=r"\{'x': \*\}" if kind is Pushforward else "'one'"):
        linear_map(jnp.ones(2))


def _without_text(linear_map: Any, value: Any, aux: Any) -> Any:
    return linear_map, {"n": value["n"]}, aux["twice"]


@BOTH
def test_taken_apart_and_put_together_they_are_the_same_maps(make: Any, kind: type) -> None:
    linear_map = make(cube)(X)
    leaves, tree = jax.tree.flatten(linear_map)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    again = jax.tree.unflatten(tree, leaves)
    assert np.allclose(again(jnp.ones(3)), 3 * X**2)
    traces: list[int] = []
    apply = jax.jit(lambda linear_map: (traces.append(1), linear_map(jnp.ones(3)))[1])
    assert np.allclose(apply(linear_map), apply(again))
    assert len(traces) == 1
    assert jax.tree.structure(jax.tree.unflatten(tree, [object()] * len(leaves))) == tree


@BOTH
def test_they_are_differentiated_as_what_they_hold(make: Any, kind: type) -> None:
    @jax.jit
    def product(x: Any) -> Any:
        return jnp.sum(make(cube)(x)(jnp.ones(3)))

    assert np.allclose(jax.grad(product)(X), 6 * X)
    assert np.allclose(anyjac.grad(product)(X), 6 * X)


@BOTH
def test_as_aux_data_they_come_back_untraced(make: Any, kind: type) -> None:
    jacobian, linear_map = anyjac.jacrev(lambda x: (cube(x), make(cube)(x)), has_aux=True)(X)
    assert np.allclose(jacobian, np.diag(3 * X**2))
    assert np.allclose(linear_map(jnp.ones(3)), 3 * X**2)


def test_a_cotangent_of_another_shape_is_refused_as_before() -> None:
    pullback = jax.jit(lambda x: anyjac.vjp(cube)(x))(X)
    with pytest.raises(anyjac.InputValueError, match=r"\(2,\)"):
        pullback(jnp.ones(2))


@BOTH
def test_the_parts_of_a_map_hold_no_tracer(make: Any, kind: type) -> None:
    with jax.checking_leaks():
        linear_map = jax.jit(lambda x: make(lambda x: {"y": cube(x), "n": jnp.argmax(x)})(x))(X)
    assert linear_map.value["n"] == 2
