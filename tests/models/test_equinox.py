"""Equinox's modules as arguments, against `equinox.filter_grad` on the same modules."""

from __future__ import annotations

import numpy as np
import pytest

jax = pytest.importorskip("jax")
eqx = pytest.importorskip("equinox")

import jax.numpy as jnp

import anyjac


class Scaled(eqx.Module):
    """A layer with an activation function, a text, numbers, an integer array, and nothing."""

    layer: eqx.nn.Linear
    activation: object
    label: str
    factor: float
    counts: jax.Array
    missing: None = None

    def __call__(self, x):
        assert self.label == "text"
        return self.factor * self.activation(self.layer(x)) * self.counts.sum()


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def batch():
    return jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)))


def loss(model, x):
    return (jax.vmap(model)(x) ** 2).sum()


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7), found, expected)


def models(key):
    return {
        "perceptron": eqx.nn.MLP(2, 1, 4, 2, key=key),
        "sequential": eqx.nn.Sequential(
            [eqx.nn.Linear(2, 3, key=key), eqx.nn.Lambda(jnp.tanh), eqx.nn.Dropout(0.5, inference=True)]
        ),
        "of all kinds": Scaled(eqx.nn.Linear(2, 3, key=key), jax.nn.relu, "text", 2.0, jnp.arange(3)),
        "without parameters": eqx.nn.Lambda(jnp.tanh),
    }


@pytest.mark.parametrize("name", ["perceptron", "sequential", "of all kinds", "without parameters"])
def test_the_gradient_of_a_module_is_that_of_filter_grad_with_none_for_all_that_is_no_parameter(key, batch, name):
    model = models(key)[name]
    gradient = anyjac.grad(loss)
    for _ in range(6):  # the backend compiles after some calls
        assert_same(gradient(model, batch), eqx.filter_grad(loss)(model, batch))


def test_an_lstm_cell_unrolled_over_time(key, batch):
    cell = eqx.nn.LSTMCell(2, 3, key=key)

    def final(cell):
        state = jnp.zeros(3), jnp.zeros(3)
        for x in batch:
            state = cell(x, state)
        return (state[0] ** 2).sum()

    assert_same(anyjac.grad(final)(cell), eqx.filter_grad(final)(cell))


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
def test_a_jacobian_has_blocks_in_the_places_of_the_parameters(key, batch, transform):
    model = models(key)["of all kinds"]
    found = transform(lambda model: jax.vmap(model)(batch))(model)
    assert found.layer.weight.shape == (5, 3, 3, 2)
    assert (found.activation, found.label, found.factor, found.counts) == (None, None, None, None)


def test_what_comes_back_updates_the_module(key, batch):
    model = models(key)["perceptron"]
    losses = []
    for _ in range(4):
        gradients, value = anyjac.grad(loss, return_value=True)(model, batch)
        model = eqx.apply_updates(model, jax.tree.map(lambda leaf: -0.05 * leaf, gradients))
        losses.append(float(value))
    assert losses == sorted(losses, reverse=True)


def test_modules_go_through_hessians_products_operators_and_compiled_calls(key, batch):
    layer = eqx.nn.Linear(2, 1, key=key)
    model = Scaled(layer, jnp.tanh, "text", 1.0, jnp.arange(2))
    hessian = anyjac.hessian(loss)(model, batch)
    expected = jax.hessian(lambda w: loss(eqx.tree_at(lambda m: m.layer.weight, model, w), batch))(layer.weight)
    np.testing.assert_allclose(hessian.layer.weight.layer.weight, expected, rtol=1e-5)
    gradient = eqx.filter_grad(loss)(model, batch)
    assert_same(anyjac.jit(anyjac.grad(loss))(model, batch), gradient)
    change = anyjac.jvp(lambda m: loss(m, batch))(gradient, model)
    square = sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient))
    np.testing.assert_allclose(change, square, rtol=1e-5)
    operator = anyjac.jacrev(lambda m: jax.vmap(m)(batch)).as_linear_operator(model)
    assert operator.shape == (5, 3)


def test_modules_within_containers_and_beside_variables(key, batch):
    scale = anyjac.Variable(2.0, backend="jax")
    pair = {"first": eqx.nn.Linear(2, 2, key=key), "second": [eqx.nn.Lambda(jnp.tanh)]}

    def run(pair, x):
        return (scale * jax.vmap(pair["second"][0])(jax.vmap(pair["first"])(x))).sum()

    by_scale, by_pair = anyjac.grad(run, grad_vars=scale, argnums=0)(pair, batch)
    assert by_scale.shape == ()
    assert_same(by_pair, eqx.filter_grad(run)(pair, batch))


def test_a_function_or_a_text_outside_of_a_module_is_refused_as_ever(batch):
    for unfit in (jnp.tanh, "text", lambda x: x):
        with pytest.raises(anyjac.InputTypeError, match=r"argument 0\[0\] is .* which cannot be differentiated"):
            anyjac.grad(lambda pair: pair[1].sum())([unfit, batch])


def test_a_module_is_no_place_for_variables(key):
    with pytest.raises(anyjac.InputTypeError, match="not a Variable"):
        anyjac.grad(lambda: 0.0, grad_vars=eqx.nn.Linear(2, 1, key=key))
    assert anyjac.variables(eqx.nn.Linear(2, 1, key=key)) == {}
