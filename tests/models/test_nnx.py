"""Modules and Variables of Flax NNX in ``grad_vars``, against `nnx.grad` on the same modules."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

jax = pytest.importorskip("jax")
nnx = pytest.importorskip("flax.nnx")

import jax.numpy as jnp
from flax.errors import TraceContextError

import anyjac


class MLP(nnx.Module):
    """Two layers, with batch statistics, random numbers, and a count of calls."""

    def __init__(self, rngs, rate=0.5):
        self.inner = nnx.Linear(2, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.outer = nnx.Linear(4, 1, rngs=rngs)
        self.calls = nnx.Variable(jnp.array(0))

    def __call__(self, x):
        self.calls[...] += 1
        return self.outer(self.drop(jax.nn.relu(self.norm(self.inner(x)))))


def squares(model, x):
    return (model(x) ** 2).mean()


@pytest.fixture
def model():
    return MLP(nnx.Rngs(0))


@pytest.fixture
def batch():
    return jnp.asarray(np.random.default_rng(0).normal(size=(8, 2)), jnp.float32)


def content_of(module):
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(module)):
        value = variable.get_value()
        keys = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        found[".".join(map(str, path))] = np.asarray(jax.random.key_data(value) if keys else value)
    return found


def assert_same_content(module, expected):
    for name, array in content_of(module).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6, err_msg=name)


def assert_same_gradients(found, expected):
    flat = {".".join(map(str, path)): variable.get_value() for path, variable in nnx.to_flat_state(expected)}
    assert found.keys() == flat.keys()
    for name, gradient in flat.items():
        np.testing.assert_allclose(found[name], gradient, atol=1e-5, err_msg=name)


def test_gradients_statistics_and_random_numbers_are_those_of_nnx_grad_in_call_after_call(model, batch):
    twin = nnx.clone(model)
    gradient = anyjac.grad(lambda x: squares(model, x), grad_vars=anyjac.train_vars(model))
    for _ in range(6):  # the backend compiles after some calls
        assert_same_gradients(gradient(batch), nnx.grad(squares)(twin, batch))
        assert_same_content(model, content_of(twin))
    assert int(model.calls[...]) == 6


def test_a_compiled_gradient_moves_the_state_in_each_call(model, batch):
    twin = nnx.clone(model)
    gradient = anyjac.jit(anyjac.grad(lambda x: squares(model, x), grad_vars=model))
    for _ in range(3):
        assert_same_gradients(gradient(batch), nnx.grad(squares)(twin, batch))
        assert_same_content(model, content_of(twin))
        for other in (model, twin):
            other.inner.bias[...] += 1.0


def test_a_compiled_step_reads_what_it_has_written(batch):
    model = MLP(nnx.Rngs(0), rate=0.0)
    views = anyjac.train_vars(model)

    @anyjac.jit
    def step(x):
        gradients = anyjac.grad(lambda x: squares(model, x), grad_vars=views)(x)
        for name, view in views.items():
            view.value = view - 0.1 * gradients[name]
        return squares(model, x)

    losses = [float(step(batch)) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert int(model.calls[...]) == 10


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
def test_a_jacobian_is_that_of_jax_by_split_and_merge(batch, transform):
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(1))
    definition, state = nnx.split(layer)
    expected = jax.jacrev(lambda state: nnx.merge(definition, state)(batch))(state)
    found = transform(lambda: layer(batch), grad_vars=layer)()
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(found[name], expected[name].get_value(), atol=1e-6)


def test_a_single_variable_and_other_structures_are_mirrored(batch):
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(1))
    bare, (listed,) = anyjac.grad(lambda: (layer(batch) ** 2).sum(), grad_vars=(layer.bias, [layer.kernel]))()
    assert (bare.shape, listed.shape) == ((3,), (2, 3))
    assert anyjac.variables(layer)["kernel"] is anyjac.variables([layer])["[0].kernel"]


def test_transforms_nest_over_a_module(batch):
    layer = nnx.Linear(2, 1, rngs=nnx.Rngs(1))
    kernel = anyjac.variables(layer)["kernel"]
    found = anyjac.hessian(lambda: jnp.tanh(layer(batch)).sum(), grad_vars=kernel)()
    nested = anyjac.jacrev(anyjac.jacrev(lambda: jnp.tanh(layer(batch)).sum(), grad_vars=kernel), grad_vars=kernel)()
    expected = jax.hessian(lambda w: jnp.tanh(batch @ w + layer.bias[...]).sum())(layer.kernel[...])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(nested, expected, atol=1e-5)


def test_an_lstm_cell_unrolled_over_time(batch):
    cell = nnx.LSTMCell(2, 3, rngs=nnx.Rngs(2))

    def loss(cell):
        carry = cell.initialize_carry((2,), rngs=nnx.Rngs(0))
        for x in batch:
            carry, _ = cell(carry, x)
        return (carry[1] ** 2).sum()

    assert_same_gradients(anyjac.grad(lambda: loss(cell), grad_vars=cell)(), nnx.grad(loss)(cell))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_every_variable_is_as_it_was_and_can_be_written(model, batch, error):
    before = content_of(model)

    def fails(x):
        model(x)
        raise error

    with pytest.raises(error):
        anyjac.grad(fails, grad_vars=model)(batch)
    assert_same_content(model, before)
    model.calls[...] = jnp.array(7)


def test_a_write_in_the_midst_of_a_scan_is_refused_by_nnx(model, batch):
    before = content_of(model)

    def scanned(x):
        return jax.lax.scan(lambda c, row: (c + model(row[None]).sum(), None), 0.0, x)[0]

    with pytest.raises(TraceContextError, match="different trace level"):
        anyjac.grad(scanned, grad_vars=model)(batch)
    assert_same_content(model, before)


def test_within_transforms_of_jax_the_numbers_are_the_same(batch):
    layer = nnx.Linear(2, 1, rngs=nnx.Rngs(1))
    inner = anyjac.grad(lambda x: jnp.tanh(layer(x)).sum(), grad_vars=layer.kernel)
    native = jax.grad(lambda w, x: jnp.tanh(x @ w + layer.bias[...]).sum())
    kernel = layer.kernel[...]
    np.testing.assert_allclose(jax.jit(inner)(batch), native(kernel, batch), atol=1e-6)
    np.testing.assert_allclose(jax.vmap(inner)(batch), jax.vmap(native, (None, 0))(kernel, batch), atol=1e-6)
    np.testing.assert_allclose(
        jax.grad(lambda x: inner(x).sum())(batch), jax.grad(lambda x: native(kernel, x).sum())(batch), atol=1e-6
    )


def test_state_cannot_be_stored_out_of_a_trace_of_jax(model, batch):
    before = content_of(model)
    with pytest.raises(anyjac.TracerLeakError, match="'calls' of a Variable belongs to a trace"):
        jax.jit(anyjac.grad(lambda x: squares(model, x), grad_vars=model))(batch)
    assert_same_content(model, before)


def test_a_write_within_a_jit_of_nnx_leaves_by_its_module(model, batch):
    twin = nnx.clone(model)

    @nnx.jit
    def step(model, x):
        return anyjac.grad(lambda x: squares(model, x), grad_vars=model)(x)

    for calls in range(1, 3):
        assert_same_gradients(step(model, batch), nnx.grad(squares)(twin, batch))
        assert_same_content(model, content_of(twin))
        assert int(model.calls[...]) == calls


def test_two_threads_lose_no_call(model, batch):
    gradient = anyjac.grad(lambda x: squares(model, x), grad_vars=model)
    other = anyjac.grad(lambda x: squares(model, x), grad_vars=anyjac.variables(model)["outer.bias"])
    threads = [threading.Thread(target=lambda f=f: [f(batch) for _ in range(5)]) for f in (gradient, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(model.calls[...]) == 20


def test_counts_and_keys_are_refused_by_their_paths(model, batch):
    for name in ("calls", "drop.rngs.key"):
        with pytest.raises(anyjac.DtypeError, match=rf"grad_vars \('{name}'\)"):
            anyjac.grad(lambda x: squares(model, x), grad_vars=anyjac.variables(model)[name])(batch)
    counts = anyjac.variables(model)["calls"]
    assert anyjac.grad(lambda x: squares(model, x), counts, allow_int=True)(batch).dtype == anyjac.float0


def test_another_backend_is_refused_since_the_module_computes_with_jax(model, batch):
    with pytest.raises(anyjac.MixedBackendsError, match="part of a model that computes with jax"):
        anyjac.grad(lambda: squares(model, batch), grad_vars=model, backend="torch")()


def test_a_mutable_array_is_refused():
    with pytest.raises(anyjac.NotSupportedError, match="mutable array"):
        anyjac.variables(nnx.Param(jnp.ones(2), ref=True))


def test_views_are_copied_and_pickled_with_their_module(model):
    pair = {"model": model.outer, "view": anyjac.variables(model.outer)["kernel"]}
    for twin in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
        assert twin["view"] is anyjac.variables(twin["model"])["kernel"]
        assert twin["view"] is not pair["view"]


def test_a_module_as_an_argument_gives_a_module_of_gradients(batch):
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(1))

    def loss(layer, x):
        return (layer(x) ** 2).sum()

    found = anyjac.grad(loss)(layer, batch)
    np.testing.assert_allclose(found.kernel[...], nnx.grad(loss)(layer, batch)["kernel"].get_value(), atol=1e-5)


def test_the_refusal_of_nnx_to_write_a_module_that_nobody_named_says_what_to_do(model, batch):
    with pytest.raises(TraceContextError) as refused:
        anyjac.grad(lambda x: squares(model, x))(batch)
    (note,) = refused.value.__notes__
    assert note.startswith("In a transform of anyjac, name the module in grad_vars, with argnums for the arguments")
    assert int(model.calls[...]) == 0
    _, gradient = anyjac.grad(lambda x: squares(model, x), grad_vars=model, argnums=0)(batch)
    assert gradient.shape == batch.shape
    assert int(model.calls[...]) == 1


def test_a_part_that_another_replaces_on_the_module_is_seen_by_the_next_call(batch):
    layer = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    gradient = anyjac.grad(lambda x: layer(x).sum(), grad_vars=layer)
    gradient(batch)
    layer.bias = nnx.Param(jnp.zeros(1))
    np.testing.assert_allclose(gradient(batch)["bias"], [8.0])


def test_a_module_without_parameters_and_streams_of_random_numbers_take_part_if_they_are_named(batch):
    layer, drop, rngs = nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Dropout(0.5, rngs=nnx.Rngs(1)), nnx.Rngs(2)
    anyjac.grad(lambda x: drop(x).sum(), grad_vars=drop)(batch)
    assert int(drop.rngs.count[...]) == 1
    inner = nnx.Dropout(0.5)
    found = anyjac.grad(lambda x: inner(layer(x), rngs=rngs).sum(), grad_vars=[layer, rngs])(batch)
    assert [sorted(part) for part in found] == [["bias", "kernel"], []]
    assert int(rngs.default.count[...]) == 1
