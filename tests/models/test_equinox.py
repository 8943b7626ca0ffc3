"""Equinox's modules as arguments, against `equinox.filter_grad` on the same modules."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import FrozenDict
from tests.helpers.jax_trees import assert_close

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
        assert_close(gradient(model, batch), eqx.filter_grad(loss)(model, batch))


def test_an_lstm_cell_unrolled_over_time(key, batch):
    cell = eqx.nn.LSTMCell(2, 3, key=key)

    def final(cell):
        state = jnp.zeros(3), jnp.zeros(3)
        for x in batch:
            state = cell(x, state)
        return (state[0] ** 2).sum()

    assert_close(anyjac.grad(final)(cell), eqx.filter_grad(final)(cell))


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
    assert_close(anyjac.jit(anyjac.grad(loss))(model, batch), gradient)
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
    assert_close(by_pair, eqx.filter_grad(run)(pair, batch))


def test_a_function_or_a_text_outside_of_a_module_is_refused_as_ever(batch):
    for unfit in (jnp.tanh, "text", lambda x: x):
        with pytest.raises(anyjac.InputTypeError, match=r"argument 0\[0\] is .* which cannot be differentiated"):
            anyjac.grad(lambda pair: pair[1].sum())([unfit, batch])


def test_a_module_is_no_place_for_variables(key):
    with pytest.raises(anyjac.InputTypeError, match="not a Variable"):
        anyjac.grad(lambda: 0.0, grad_vars=eqx.nn.Linear(2, 1, key=key))
    assert anyjac.variables(eqx.nn.Linear(2, 1, key=key)) == {}


# ---- where things are ------------------------------------------------------------------------------------------------


def test_messages_name_parameters_by_their_attributes(key, batch):
    model = eqx.nn.MLP(2, 1, 4, 1, key=key)
    broken = eqx.tree_at(lambda m: m.layers[1].bias, model, jnp.asarray([jnp.nan]))
    with pytest.raises(anyjac.NonFiniteError) as found:
        anyjac.grad(loss, debug_nan=True)(broken, batch)
    assert found.value.place == "element [0] of argument 0.layers[1].bias"
    with pytest.raises(
        anyjac.NonFiniteError, match=r"element \[0\] of argument 1\['m'\].layers\[1\].bias, which is not"
    ):
        anyjac.grad(lambda x, given: loss(given["m"], x), debug_nan=True)(batch, {"m": broken})
    unfit = jax.tree.map(jnp.ones_like, eqx.filter_grad(loss)(model, batch))
    unfit = eqx.tree_at(lambda m: m.layers[0].weight, unfit, jnp.ones(3))
    with pytest.raises(anyjac.InputValueError, match=r"tangents.layers\[0\].weight has shape \(3,\)"):
        anyjac.jvp(lambda m: loss(m, batch))(unfit, model)
    with pytest.raises(
        anyjac.DtypeError, match=r"holomorphic=True needs complex inputs, and argument 0.layers\[0\].weight"
    ):
        anyjac.grad(loss, holomorphic=True)(model, batch)
    outputs = anyjac.jacrev(lambda x: eqx.nn.Linear(2, 1, key=key)).rows(jnp.ones(2))
    assert [rows.path for rows in outputs] == [".weight", ".bias"]


def test_a_wrong_derivative_is_named_by_the_attribute(key, batch):
    @jax.custom_jvp
    def doubled(x):
        return 2.0 * x

    doubled.defjvps(lambda tangent, result, x: 3.0 * tangent)
    model = eqx.nn.Linear(2, 1, use_bias=False, key=key)
    with pytest.raises(anyjac.DerivativeMismatchError, match=r"argument 0\.weight"):
        anyjac.check_derivative(lambda m: doubled(m.weight).sum(), model)


# ---- compiled: what is no array --------------------------------------------------------------------------------------


class Power(eqx.Module):
    weight: jax.Array
    power: int = eqx.field(static=True)

    def __call__(self, x):
        return (self.weight * x) ** self.power


def test_a_compiled_call_sees_another_static_field(key):
    gradient = anyjac.jit(anyjac.grad(lambda module, x: module(x)))
    found = [float(gradient(Power(jnp.asarray(2.0), power), 3.0).weight) for power in (1, 2, 3, 1)]
    assert found == [3.0, 2 * 6.0 * 3.0, 3 * 6.0**2 * 3.0, 3.0]


def test_tangents_of_a_module_with_other_static_fields_are_refused():
    product = anyjac.jvp(lambda module: module(3.0))
    assert float(product(Power(jnp.asarray(1.0), 2), Power(jnp.asarray(2.0), 2))) == 36.0
    with pytest.raises(anyjac.InputValueError, match=r"power=3.*power=2"):
        product(Power(jnp.asarray(1.0), 3), Power(jnp.asarray(2.0), 2))


# ---- many models at once ---------------------------------------------------------------------------------------------


def test_stacked_modules_are_mapped_as_by_filter_vmap(key, batch):
    keys = jax.random.split(key, 3)
    stacked = eqx.filter_vmap(lambda key: eqx.nn.MLP(2, 1, 4, 1, activation=jax.nn.relu, key=key))(keys)
    expected = eqx.filter_vmap(loss, in_axes=(eqx.if_array(0), None))(stacked, batch)
    np.testing.assert_allclose(anyjac.vmap(loss, in_axes=(0, None))(stacked, batch), expected, rtol=1e-5)
    gradients = anyjac.vmap(lambda given, x: anyjac.grad(loss)(given["model"], x), in_axes=({"model": 0}, None))
    found = gradients({"model": stacked}, batch)
    assert_close(found, eqx.filter_vmap(eqx.filter_grad(loss), in_axes=(eqx.if_array(0), None))(stacked, batch))


def test_arrays_of_integers_and_keys_are_mapped_and_functions_texts_and_numbers_are_the_same_for_all(key):
    layers = eqx.filter_vmap(lambda key: eqx.nn.Linear(2, 3, key=key))(jax.random.split(key, 4))
    model = Scaled(layers, jax.nn.relu, "text", 2.0, jnp.arange(8).reshape(4, 2))
    x = jnp.ones((4, 2))
    expected = eqx.filter_vmap(lambda m, x: m(x), in_axes=eqx.if_array(0))(model, x)
    np.testing.assert_allclose(anyjac.vmap(lambda m, x: m(x))(model, x), expected, rtol=1e-6)
    keys = Scaled(layers, jnp.tanh, "text", 2.0, jax.random.split(key, 4))
    drawn = anyjac.vmap(lambda m: jax.random.normal(m.counts, (2,)))(keys)
    np.testing.assert_array_equal(drawn, jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys.counts))


def test_a_number_of_a_container_that_is_no_model_has_no_axis():
    given = jax.tree_util.Partial(jnp.multiply, jnp.ones(3))
    np.testing.assert_array_equal(anyjac.vmap(lambda f, x: f(x))(given, jnp.arange(3.0)), jnp.arange(3.0))
    with pytest.raises(anyjac.InputValueError, match=r"argument 0\[0\]\[0\] has shape \(\), and no axis 0"):
        anyjac.vmap(lambda f, x: f(x))(jax.tree_util.Partial(jnp.multiply, 2.0), jnp.arange(3.0))


class Table(eqx.Module):
    """A module with a dict."""

    entries: dict


@pytest.mark.parametrize("make", [FrozenDict, Table, lambda keyed: Table(FrozenDict(keyed))])
def test_equal_keys_of_other_types_are_other_kinds_of_arguments_of_a_compiled_function(make):
    @anyjac.jit
    def f(tree, x):
        key = next(iter(tree.entries if isinstance(tree, Table) else tree))
        return x * {bool: 2.0, int: 3.0, float: 5.0}[type(key)]

    x = jnp.ones(())
    assert [float(f(make({key: x}), x)) for key in (1, True, 1.0)] == [3.0, 2.0, 5.0]
