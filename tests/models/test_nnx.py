"""Modules and Variables of Flax NNX in ``grad_vars``, against `nnx.grad` on the same modules."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import pickle
import threading
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.errors import TraceContextError
from tests.helpers.threads import run_in_threads

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


def scanned_by_jax(model, x):
    """Sum what a model makes of each row, in a loop of JAX and not in one of NNX."""
    return jax.lax.scan(lambda c, row: (c + model(row[None]).sum(), None), 0.0, x)[0]


def content_of(module):
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(module)):
        value = variable.get_value()
        keys = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        found[".".join(map(str, path))] = np.asarray(jax.random.key_data(value) if keys else value)
    return found


def path_of(steps):
    return "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in steps).removeprefix(".")


def assert_same_content(module, expected):
    for name, array in content_of(module).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6, err_msg=name)


def assert_same_gradients(found, expected):
    flat = {path_of(path): variable.get_value() for path, variable in nnx.to_flat_state(expected)}
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

    with pytest.raises(TraceContextError, match="different trace level"):
        anyjac.grad(lambda x: scanned_by_jax(model, x), grad_vars=model)(batch)
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
    run_in_threads([lambda f=f: [f(batch) for _ in range(5)] for f in (gradient, other) * 2])
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


def test_without_a_transform_the_refusal_of_nnx_is_its_own(model, batch):
    with pytest.raises(TraceContextError) as refused:
        anyjac.vmap(lambda x: squares(model, x))(batch)
    assert "grad_vars" not in "".join(getattr(refused.value, "__notes__", ()))


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


# ---- transformations of NNX inside -----------------------------------------------------------------------------------

INSIDE = {
    "jit": lambda m, x: nnx.jit(lambda m, x: (m(x) ** 2).sum())(m, x),
    "remat": lambda m, x: nnx.remat(lambda m, x: (m(x) ** 2).sum())(m, x),
    "cond": lambda m, x: nnx.cond(x.sum() > 0, lambda m, x: m(x).sum(), lambda m, x: 2 * m(x).sum(), m, x),
    "fori_loop": lambda m, x: nnx.fori_loop(0, 2, lambda _, c: (c[0], c[1] + c[0](x).sum()), (m, jnp.zeros(())))[1],
    "scan": lambda m, x: nnx.scan(
        lambda carry, m, row: (carry + m(row[None]).sum(), None), in_axes=(nnx.Carry, None, 0)
    )(0.0, m, x)[0],
    "vmap": lambda m, x: nnx.vmap(lambda m, row: m(row[None]).sum(), in_axes=(None, 0))(m, x).sum(),
    "grad": lambda m, x: sum((g[...] ** 2).sum() for g in jax.tree.leaves(
        nnx.grad(lambda m: (m(x) ** 2).sum())(m), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )),
    "split and merge": lambda m, x: nnx.merge(*nnx.split(m))(x).sum(),
    "update": lambda m, x: (nnx.update(m, nnx.state(m)), m(x).sum())[1],
}  # fmt: skip


class TwoLayers(nnx.Module):
    """Two layers, shared and in a list, with a function, a dropout that has no random numbers, and an array."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)])
        self.first = self.layers[0]
        self.between = jnp.tanh
        self.drop = nnx.Dropout(0.0)
        self.scale = nnx.data(jnp.asarray(2.0))

    def __call__(self, x):
        return self.layers[1](self.drop(self.between(self.first(x)))) * self.scale


def attributes_of(module):
    """Return the identities of all objects in a module, after a check of the traces in which they were made."""
    found = {}
    for path, node in nnx.iter_graph(module):
        if isinstance(node, nnx.Pytree):
            found[path] = list(vars(node)), list(map(id, vars(node).values()))
            assert node._pytree__state.trace_state.is_valid(), path
        elif isinstance(node, nnx.Variable):
            found[path] = id(node._trace_state), id(node._var_metadata), dict(node._var_metadata)
            assert node._trace_state.is_valid(), path
    return found


def use(module, x):
    """Use a module in ways that NNX allows only in the trace in which the module was made."""
    nnx.grad(lambda m: m(x).sum())(module)
    nnx.scan(lambda carry, m, row: (carry + m(row[None]).sum(), None), in_axes=(nnx.Carry, None, 0))(0.0, module, x)
    module.note = "set"
    del module.note
    for _, node in nnx.iter_graph(module):
        if isinstance(node, nnx.Variable):
            node[...] = node[...]


@pytest.mark.parametrize(
    ("around", "inside"),
    [*(("grad", name) for name in INSIDE), *itertools.product(["jacfwd", "jit", "nnx.jit"], ["jit", "scan"])],
)
def test_transformations_of_nnx_take_a_named_module_inside_and_leave_it_as_it_was(batch, inside, around):
    module = TwoLayers(nnx.Rngs(0))
    before = attributes_of(module)
    run = INSIDE[inside]

    def gradient(module, x):
        transform = anyjac.jacfwd if around == "jacfwd" else anyjac.grad
        return transform(lambda x: run(module, x), grad_vars=module)(x)

    calls = {
        "jit": anyjac.jit(anyjac.grad(lambda x: run(module, x), grad_vars=module)),
        "nnx.jit": lambda x: nnx.jit(gradient)(module, x),
    }
    expected = nnx.grad(lambda m: run(m, batch))(nnx.clone(module))
    for _ in range(2):
        assert_same_gradients(calls.get(around, lambda x: gradient(module, x))(batch), expected)
    if around != "nnx.jit":  # nnx.update itself gives the module other objects
        assert attributes_of(module) == before
    use(module, batch)


def test_an_rnn_of_nnx_has_the_gradients_and_the_state_of_nnx_grad(batch):
    class Reader(nnx.Module):
        def __init__(self, rngs):
            self.rnn = nnx.RNN(nnx.LSTMCell(2, 3, rngs=rngs))
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.out = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, x):
            return self.out(self.drop(self.rnn(x[None])))

    model = Reader(nnx.Rngs(0))
    twin = nnx.clone(model)
    gradient = anyjac.grad(lambda x: squares(model, x), grad_vars=model)
    for call in (gradient, anyjac.jit(gradient)):
        assert_same_gradients(call(batch), nnx.grad(squares)(twin, batch))
        assert_same_content(model, content_of(twin))


@pytest.mark.parametrize("inside", ["jit", "scan"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_a_module_that_transformations_were_handed_is_as_it_was(batch, inside, error):
    module = TwoLayers(nnx.Rngs(0))
    before = attributes_of(module)

    def fails(x):
        INSIDE[inside](module, x)
        module.note, module.first = "set", None
        del module.between
        raise error

    for transform in (anyjac.grad(fails, grad_vars=module), anyjac.jit(anyjac.grad(fails, grad_vars=module))):
        with pytest.raises(error):
            transform(batch)
        assert attributes_of(module) == before
    use(module, batch)


def test_a_function_that_is_started_again_finds_the_module_as_it_was(batch):
    module = TwoLayers(nnx.Rngs(0))
    before, runs = attributes_of(module), []

    def branches(x):
        runs.append(vars(module)["scale"])
        loss = INSIDE["jit"](module, x)
        module.scale = module.scale * 1.0
        return loss if loss > 0 else -loss  # no recorded program shows this

    found = anyjac.grad(branches, grad_vars=module)(batch)
    assert len(runs) == 2
    after = attributes_of(module)
    assert after.keys() == before.keys()
    assert all(after[path] == before[path] for path in before if path)  # all but the module that has the scale
    assert_same_gradients(found, nnx.grad(lambda m: INSIDE["jit"](m, batch))(module))


def test_transforms_within_transforms_hand_the_module_back_to_one_another(batch):
    module = TwoLayers(nnx.Rngs(0))
    before = attributes_of(module)

    def penalty(x):
        gradients = anyjac.grad(lambda x: INSIDE["scan"](module, x), grad_vars=module)(x)
        return INSIDE["jit"](module, x) + sum((gradient**2).sum() for gradient in gradients.values())

    def natively(module):
        gradients = nnx.grad(lambda m: INSIDE["scan"](m, batch))(module)
        return INSIDE["jit"](module, batch) + sum((g**2).sum() for g in jax.tree.leaves(gradients))

    assert_same_gradients(anyjac.grad(penalty, grad_vars=module)(batch), nnx.grad(natively)(nnx.clone(module)))
    assert attributes_of(module) == before
    use(module, batch)


# ---- what a function may do to a module, and what not ----------------------------------------------------------------


class Sowing(nnx.Module):
    def __init__(self, rngs):
        self.inner = nnx.Linear(2, 1, rngs=rngs)

    def __call__(self, x):
        y = self.inner(x)
        self.sow(nnx.Intermediate, "seen", y.sum())
        return y


@pytest.mark.filterwarnings("ignore:.*sow:DeprecationWarning")
def test_a_variable_that_is_made_in_the_function_is_refused_by_name_until_the_model_has_it(batch):
    model = Sowing(nnx.Rngs(0))
    before = attributes_of(model)
    for call in (anyjac.grad, anyjac.jacfwd, lambda f, grad_vars: anyjac.jit(anyjac.grad(f, grad_vars=grad_vars))):
        with pytest.raises(
            anyjac.VariableWriteError, match=r"set 'seen' of the Sowing, .* by a first call outside of it"
        ):
            call(lambda x: model(x).sum(), grad_vars=model)(batch)
        assert attributes_of(model) == before
    model(batch)
    gradient = anyjac.grad(lambda x: model(x).sum(), grad_vars=model)
    assert gradient(batch)["inner.bias"] == 8.0
    assert [float(seen) for seen in model.seen.get_value()] == [pytest.approx(float(model.inner(batch).sum()))] * 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: setattr(m.drop, "deterministic", True), "set 'deterministic' of the Dropout 'drop'"),
        (lambda m: delattr(m, "between"), "set 'between' of the TwoLayers,"),
        (lambda m: setattr(m.layers[0], "bias", nnx.Param(jnp.zeros(3))), "set 'bias' of the Linear 'first'"),
        (lambda m: m.layers.append(nnx.Linear(1, 1, rngs=nnx.Rngs(0))), "set '_length', '2' of the List 'layers'"),
        (lambda m: m.first.bias.set_metadata(unit="mV"), "set the metadata 'unit' of a Param"),
        (lambda m: setattr(m, "scale", None), "the code of its model gave 'scale' of a TwoLayers is None"),
    ],
)
def test_what_is_no_value_is_undone_and_refused(batch, change, said):
    module = TwoLayers(nnx.Rngs(0))
    before = attributes_of(module)

    def changes(x):
        change(module)
        return x.sum()

    with pytest.raises(anyjac.VariableWriteError, match=said):
        anyjac.grad(changes, grad_vars=module)(batch)
    assert attributes_of(module) == before


def test_an_attribute_may_be_set_to_what_it_is(batch):
    module = TwoLayers(nnx.Rngs(0))
    module.eval()

    def evaluates(x):
        module.eval()
        return module(x).sum()

    assert anyjac.grad(evaluates, grad_vars=module)(batch).keys() == anyjac.train_vars(module).keys()


class Running(nnx.Module):
    """Keeps arrays without Variables around them, which NNX calls data."""

    def __init__(self):
        self.weight = nnx.Param(jnp.asarray([1.0, 2.0]))
        self.mean = nnx.data(jnp.zeros(2))
        self.history = nnx.data([jnp.zeros(2), {"step": jnp.asarray(0)}])

    def __call__(self, x):
        self.mean = 0.5 * self.mean + x
        self.history[0] = self.mean * self.weight
        self.history[1]["step"] = self.history[1]["step"] + 1
        return (self.weight * self.mean).sum()


def test_arrays_that_are_no_variables_are_written_once_after_success_and_listed_with_them():
    module, twin = Running(), Running()
    assert list(anyjac.train_vars(module)) == ["weight"]
    assert set(anyjac.variables(module)) == {"weight", "mean", "history"}
    x = jnp.asarray([3.0, 4.0])
    gradient = anyjac.grad(module, grad_vars=module)
    for call in (gradient, gradient, anyjac.jit(gradient), anyjac.jit(gradient)):
        assert_same_gradients(call(x), nnx.grad(lambda m: m(x))(twin))
        np.testing.assert_allclose(module.mean, twin.mean)
        np.testing.assert_allclose(module.history[0], twin.history[0])
    assert int(module.history[1]["step"]) == 4
    before = module.mean, list(module.history), dict(module.history[1])

    def fails(x):
        module(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        anyjac.grad(fails, grad_vars=module)(x)
    assert (module.mean, list(module.history), dict(module.history[1])) == before


def test_what_holds_no_array_goes_through_transformations_of_nnx(batch):
    module = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    module.empty, module.nothing = nnx.Variable({}), nnx.Variable(None)
    module.mixed = nnx.data({"some": jnp.ones(2), "none": None})
    before = attributes_of(module)
    gradient = anyjac.grad(lambda x: INSIDE["jit"](module, x), grad_vars=module)(batch)
    assert_same_gradients(gradient, nnx.grad(lambda m: INSIDE["jit"](m, batch))(nnx.clone(module)))
    after = attributes_of(module)
    assert (after["empty",], after["nothing",], after["kernel",]) == (
        before["empty",],
        before["nothing",],
        before["kernel",],
    )
    assert (module.empty.get_value(), module.mixed["none"]) == ({}, None)


def test_a_compiled_gradient_sees_an_array_that_was_set_since():
    module = Running()
    x = jnp.asarray([3.0, 4.0])
    gradient = anyjac.jit(anyjac.grad(lambda x: (module.weight * module.mean * x).sum(), grad_vars=module))
    for mean in (1.0, 2.0):
        module.mean = jnp.full(2, mean)
        np.testing.assert_allclose(gradient(x)["weight"], mean * x)


def test_an_array_of_a_module_can_be_differentiated():
    module = Running()
    mean = anyjac.variables(module)["mean"]
    found = anyjac.grad(lambda: (module.weight * module.mean).sum(), grad_vars=mean)()
    np.testing.assert_allclose(found, [1.0, 2.0])


def test_what_nnx_captures_around_and_inside_is_there(batch):
    model = Sowing(nnx.Rngs(0))

    def captured(model, x):
        return anyjac.grad(lambda x: model(x).sum(), grad_vars=model)(x)

    expected = float(model.inner(batch).sum())
    _, seen = nnx.capture(captured, nnx.Intermediate)(model, batch)
    assert [float(value) for value in seen["seen"].get_value()] == [pytest.approx(expected)]

    def captures(x):
        y, seen = nnx.capture(model, nnx.Intermediate)(x)
        return y.sum(), seen["seen"].get_value()

    _, seen = anyjac.grad(captures, grad_vars=model, has_aux=True)(batch)
    assert [float(value) for value in seen] == [pytest.approx(expected)]
    assert not hasattr(model, "__captures__")


def test_models_that_share_an_object_without_variables_wait_for_each_other(batch):
    shared = nnx.Dropout(0.0)

    def model(seed):
        return nnx.Sequential(nnx.Linear(2, 1, rngs=nnx.Rngs(seed)), shared)

    models = [model(seed) for seed in range(2)]
    before = [attributes_of(model) for model in models]
    inside = threading.Barrier(2)

    def run(model):
        def loss(x):
            with contextlib.suppress(threading.BrokenBarrierError):  # it breaks if one call waits for the other
                inside.wait(0.5)
            return INSIDE["scan"](model, x)

        anyjac.grad(loss, grad_vars=model)(batch)

    run_in_threads([partial(run, model) for model in models])
    assert [attributes_of(model) for model in models] == before
    for each in models:
        use(each, batch)


def test_the_refusal_in_the_midst_of_a_scan_of_jax_names_that_of_nnx(model, batch):
    with pytest.raises(TraceContextError) as refused:
        anyjac.grad(lambda x: scanned_by_jax(model, x), grad_vars=model)(batch)
    (note,) = refused.value.__notes__
    assert "nnx.scan" in note


# ---- named, though nothing of it is differentiated -------------------------------------------------------------------


def test_a_named_module_without_parameters_takes_part_in_the_call(batch):
    drop, twin = (nnx.Dropout(0.5, rngs=nnx.Rngs(0)) for _ in range(2))
    gradient = anyjac.grad(lambda x: (drop(x) ** 2).sum(), grad_vars=drop, argnums=0)
    for call in (gradient, anyjac.jit(gradient)):
        np.testing.assert_allclose(call(batch), nnx.grad(lambda x, m: (m(x) ** 2).sum())(batch, twin), rtol=1e-5)
        assert_same_content(drop, content_of(twin))


def test_random_numbers_from_outside_of_the_model_are_named_beside_it(batch):
    model, rngs = nnx.Linear(2, 1, rngs=nnx.Rngs(0)), nnx.Rngs(1)

    def noisy(x):
        return (model(x) + jax.random.normal(rngs(), (8, 1))).sum()

    with pytest.raises(TraceContextError):
        anyjac.grad(noisy, grad_vars=model)(batch)
    of_model, of_rngs = anyjac.grad(noisy, grad_vars=[model, rngs])(batch)
    assert (of_model.keys(), of_rngs) == ({"bias", "kernel"}, {})
    assert anyjac.grad(noisy, grad_vars={"model": model, "rngs": rngs})(batch)["rngs"] == {}
    assert int(rngs.default.count[...]) == 2


# ---- as an argument --------------------------------------------------------------------------------------------------


def test_of_a_module_as_an_argument_keys_and_integers_are_held_back(model, batch):
    before = content_of(model)
    expected = nnx.grad(squares)(nnx.clone(model), batch)
    gradient = anyjac.grad(squares)
    for call in (gradient, anyjac.jit(gradient), anyjac.grad(squares, allow_int=True)):
        found = call(model, batch)
        assert type(found) is MLP
        for path, variable in nnx.to_flat_state(expected):
            mine = functools.reduce(getattr, path, found).get_value()
            np.testing.assert_allclose(mine, variable.get_value(), atol=1e-5, err_msg=str(path))
        held = found.calls, found.drop.rngs.count, found.drop.rngs.key
        assert [variable.get_value() for variable in held] == [None, None, None]
    assert_same_content(model, before)


def test_the_module_of_gradients_updates_the_model(batch):
    import optax

    model = MLP(nnx.Rngs(0), rate=0.0)
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    losses = []
    for _ in range(4):
        gradients, value = anyjac.grad(squares, return_value=True)(model, batch)
        optimizer.update(model, gradients)
        losses.append(float(value))
    assert losses == sorted(losses, reverse=True)


def test_jacobians_and_products_of_a_module_with_keys(batch):
    model = MLP(nnx.Rngs(0), rate=0.0)
    jacobian = anyjac.jacrev(lambda m, x: m(x))(model, batch)
    assert jacobian.outer.bias.get_value().shape == (8, 1, 1)
    gradient = anyjac.grad(squares)(model, batch)
    square = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(gradient))
    np.testing.assert_allclose(anyjac.jvp(lambda m: squares(m, batch))(gradient, model), square, rtol=1e-4)


def test_a_state_as_an_argument_holds_back_what_its_module_does(batch):
    model = MLP(nnx.Rngs(0), rate=0.0)
    definition, state = nnx.split(model)
    found = anyjac.grad(lambda state: squares(nnx.merge(definition, state), batch))(state)
    assert found["drop"]["rngs"]["key"].get_value() is None
    expected = nnx.grad(squares)(model, batch)["outer"]["bias"].get_value()
    np.testing.assert_allclose(found["outer"]["bias"].get_value(), expected, atol=1e-5)


def test_other_containers_of_flax_have_their_integers_refused_as_ever():
    from flax.core import FrozenDict

    given = FrozenDict(weight=jnp.ones(()), count=jnp.asarray(1))
    with pytest.raises(anyjac.DtypeError, match=r"argument 0\['count'\] is int"):
        anyjac.grad(lambda d: d["weight"] ** 2)(given)
    assert anyjac.grad(lambda d: d["weight"] ** 2, allow_int=True)(given)["count"].dtype == anyjac.float0


def test_messages_name_variables_of_a_module_by_its_attributes(batch):
    module = TwoLayers(nnx.Rngs(0))
    module.layers[1].bias[...] = jnp.full(1, jnp.nan)
    with pytest.raises(anyjac.NonFiniteError, match=r"argument 0\.layers\[1\]\.bias\.value is nan"):
        anyjac.grad(lambda m, x: m(x).sum(), debug_nan=True)(module, batch)
