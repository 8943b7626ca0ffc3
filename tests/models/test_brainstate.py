"""Modules and states of BrainState in ``grad_vars``, against `brainstate.transform.grad` on the same states."""

from __future__ import annotations

import weakref

import jax
import numpy as np
import pytest

WIDE = jax.config.jax_enable_x64
import brainstate  # which turns 64-bit numbers off

jax.config.update("jax_enable_x64", WIDE)

import jax.numpy as jnp
from tests.helpers.jax_trees import assert_close
from tests.helpers.memory import collector_off
from tests.helpers.threads import run_in_threads

import anyjac


class Recurrent(brainstate.nn.Module):
    """A cell with a hidden state, a layer on top, and a count of steps."""

    def __init__(self):
        super().__init__()
        self.mix = brainstate.ParamState(jnp.asarray([[0.5, -0.3], [0.1, 0.7]]))
        self.readout = Readout()
        self.hidden = brainstate.HiddenState(jnp.zeros(2))
        self.steps = brainstate.ShortTermState(jnp.asarray(0))

    def __call__(self, x):
        self.hidden.value = jnp.tanh(self.hidden.value @ self.mix.value + x)
        self.steps.value = self.steps.value + 1
        return self.readout(self.hidden.value)


class Readout(brainstate.nn.Module):
    """A linear layer whose one state holds two arrays."""

    def __init__(self):
        super().__init__()
        self.both = brainstate.ParamState({"weight": jnp.asarray([1.0, -2.0]), "bias": jnp.asarray(0.5)})

    def __call__(self, x):
        both = self.both.value
        return both["weight"] @ x + both["bias"]


@pytest.fixture
def cell():
    return Recurrent()


@pytest.fixture
def inputs():
    return jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)))


def loss_of(cell, inputs):
    return sum(cell(x) ** 2 for x in inputs)


def content_of(cell):
    return {path: state.value for path, state in anyjac.variables(cell).items()}


def test_gradients_and_states_are_those_of_brainstate_in_call_after_call(cell, inputs):
    twin = Recurrent()
    native = brainstate.transform.grad(lambda x: loss_of(twin, x), {"mix": twin.mix, "readout.both": twin.readout.both})
    gradient = anyjac.grad(lambda x: loss_of(cell, x), grad_vars=anyjac.train_vars(cell))
    for _ in range(6):  # the backend compiles after some calls
        assert_close(gradient(inputs), native(inputs))
        assert_close(content_of(cell), content_of(twin))
    assert int(cell.steps.value) == 24


def test_variables_are_named_by_attributes_and_a_node_stands_for_what_is_trained(cell, inputs):
    assert sorted(anyjac.variables(cell)) == ["hidden", "mix", "readout.both", "steps"]
    assert sorted(anyjac.grad(lambda: loss_of(cell, inputs), grad_vars=cell)()) == ["mix", "readout.both"]


def test_a_compiled_gradient_moves_the_states_in_each_call(cell, inputs):
    twin = Recurrent()
    native = brainstate.transform.grad(lambda x: loss_of(twin, x), twin.mix)
    gradient = anyjac.jit(anyjac.grad(lambda x: loss_of(cell, x), grad_vars=anyjac.variables(cell)["mix"]))
    for _ in range(3):
        assert_close(gradient(inputs), native(inputs))
        assert_close(content_of(cell), content_of(twin))
        for other in (cell, twin):
            other.mix.value = other.mix.value + 0.1


def test_a_jacobian_with_respect_to_a_hidden_state_is_the_one_at_entry(cell, inputs):
    hidden = anyjac.variables(cell)["hidden"]
    cell.hidden.value = jnp.asarray([0.3, -0.2])
    found = anyjac.jacrev(lambda x: (cell(x), cell.hidden.value)[1], grad_vars=hidden)(inputs[0])
    expected = jax.jacrev(lambda h: jnp.tanh(h @ cell.mix.value + inputs[0]))(jnp.asarray([0.3, -0.2]))
    np.testing.assert_allclose(found, expected)


def test_a_state_by_itself_is_a_variable():
    state = brainstate.ParamState(jnp.asarray([1.0, 2.0]))
    found = anyjac.hessian(lambda: (state.value**3).sum(), grad_vars=state)()
    np.testing.assert_allclose(found, np.diag([6.0, 12.0]))


def test_loops_of_brainstate_run_inside(cell, inputs):
    twin = Recurrent()
    native = brainstate.transform.grad(lambda: loss_of(twin, inputs), twin.mix)()

    def looped():
        return (brainstate.transform.for_loop(cell, inputs) ** 2).sum()

    assert_close(anyjac.grad(looped, grad_vars=anyjac.variables(cell)["mix"])(), native)
    assert_close(content_of(cell), content_of(twin))


def test_within_a_transformation_of_brainstate_states_are_read_anew(inputs):
    layer = Readout()
    compiled = brainstate.transform.jit(anyjac.grad(lambda x: layer(x) ** 2, grad_vars=layer))
    for _ in range(2):
        assert_close(compiled(inputs[0])["both"]["bias"], 2 * layer(inputs[0]))
        layer.both.value = jax.tree.map(lambda leaf: leaf + 1.0, layer.both.value)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_every_state_is_as_it_was_and_can_be_written(cell, inputs, error):
    before = content_of(cell)

    def fails(x):
        loss_of(cell, x)
        raise error

    with pytest.raises(error):
        anyjac.grad(fails, grad_vars=cell)(inputs)
    assert_close(content_of(cell), before)
    cell.steps.value = jnp.asarray(7)


def test_two_threads_lose_no_step(cell, inputs):
    gradient = anyjac.grad(lambda x: loss_of(cell, x), grad_vars=cell)
    run_in_threads([lambda: [gradient(inputs) for _ in range(5)]] * 4)
    assert int(cell.steps.value) == 80


def test_a_count_is_refused_by_its_path(cell, inputs):
    steps = anyjac.variables(cell)["steps"]
    with pytest.raises(anyjac.DtypeError, match=r"grad_vars \('steps'\)"):
        anyjac.grad(lambda x: loss_of(cell, x), grad_vars=steps)(inputs)
    assert anyjac.grad(lambda x: loss_of(cell, x), steps, allow_int=True)(inputs).dtype == anyjac.float0


def test_another_backend_is_refused_since_the_states_compute_with_jax(cell, inputs):
    with pytest.raises(anyjac.MixedBackendsError, match="part of a model that computes with jax"):
        anyjac.grad(lambda: loss_of(cell, inputs), grad_vars=cell, backend="torch")()


@pytest.fixture
def total():
    return brainstate.ShortTermState(jnp.asarray(0.0))


@pytest.fixture
def adds(total):
    """A function that writes a state, which no argument or `grad_vars` names."""

    def adds(x):
        total.value = total.value + x.sum()
        return total.value**2

    return adds


def test_a_state_that_nobody_named_takes_part(adds, total):
    gradient = anyjac.grad(adds)
    for call in range(1, 6):  # the backend compiles after some calls
        np.testing.assert_allclose(gradient(jnp.ones(3)), np.full(3, 6.0 * call))
        assert float(total.value) == 3.0 * call


def test_a_state_that_nobody_named_takes_part_in_a_compiled_call(adds, total):
    gradient = anyjac.jit(anyjac.grad(adds))
    for call in range(1, 4):
        np.testing.assert_allclose(gradient(jnp.ones(3)), np.full(3, 6.0 * call))
        assert float(total.value) == 3.0 * call


def test_a_state_that_nobody_named_takes_part_on_each_level(adds, total):
    second = anyjac.grad(lambda x: anyjac.grad(adds)(x).sum())
    np.testing.assert_allclose(second(jnp.ones(3)), np.full(3, 6.0))
    assert float(total.value) == 3.0


def test_a_state_that_nobody_named_is_as_it_was_after_an_error(adds, total):
    def fails(x):
        adds(x)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - of no message
        anyjac.grad(fails)(jnp.ones(3))
    assert float(total.value) == 0.0
    total.value = jnp.asarray(1.0)  # it can be written again


def test_random_numbers_go_on_from_call_to_call():
    drop = brainstate.nn.Dropout(0.5)
    with brainstate.environ.context(fit=True):
        masks = [tuple(anyjac.grad(lambda x: drop(x).sum())(jnp.ones(16)).tolist()) for _ in range(3)]
    assert len(set(masks)) == 3


def test_threads_lose_no_write_to_a_state_that_nobody_named(adds, total):
    gradient = anyjac.grad(adds)
    run_in_threads([lambda: [gradient(jnp.ones(2)) for _ in range(5)]] * 4)
    assert float(total.value) == 40.0


def test_a_state_that_is_made_in_a_function_holds_an_array_afterwards(inputs):
    made = []

    def makes(x):
        made.append(brainstate.HiddenState(x * 2))
        made[-1].value = jnp.tanh(made[-1].value)
        return brainstate.transform.for_loop(lambda t: made[-1].value.sum() * t, jnp.arange(3.0)).sum()

    expected = np.tanh(2 * inputs[0])
    np.testing.assert_allclose(anyjac.grad(makes)(inputs[0]), 6 * (1 - expected**2), rtol=1e-5)
    np.testing.assert_allclose(made[-1].value, expected, rtol=1e-6)
    np.testing.assert_allclose(brainstate.transform.jit(lambda: made[-1].value + 1)(), expected + 1, rtol=1e-6)


def test_a_state_that_is_made_in_a_call_within_a_call_can_be_read_in_both(inputs):
    made = []

    def makes(x):
        made.append(brainstate.HiddenState(x * 2))
        return (made[-1].value ** 2).sum()

    def around(x):
        inner = anyjac.grad(makes)(x)
        return inner.sum() + made[-1].value.sum()

    np.testing.assert_allclose(anyjac.grad(around)(inputs[0]), [10.0, 10.0])
    np.testing.assert_allclose(made[-1].value, 2 * inputs[0])


def test_a_state_that_is_made_in_a_call_that_fails_holds_no_tracer(inputs):
    made = []

    def makes(x):
        made.append(brainstate.HiddenState(x * 2))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - of no message
        anyjac.grad(makes)(inputs[0])
    with pytest.raises(brainstate.TraceContextError):
        made[-1].value  # noqa: B018


def test_states_of_other_things_can_be_read_and_not_written():
    mixed = brainstate.ShortTermState({"unit": "mV", "scale": jnp.asarray(3.0)})
    assert anyjac.grad(lambda x: x * mixed.value["scale"])(jnp.asarray(1.0)) == 3.0

    def writes(x):
        mixed.value = {"unit": "mV", "scale": x}
        return x

    with pytest.raises(anyjac.VariableWriteError, match="a ShortTermState that holds a dict was written"):
        anyjac.grad(writes)(jnp.asarray(1.0))
    assert float(mixed.value["scale"]) == 3.0


def test_a_write_is_seen_by_a_transformation_of_brainstate_around_the_call(adds, total):
    compiled = brainstate.transform.jit(anyjac.grad(adds))
    for call in range(1, 4):
        np.testing.assert_allclose(compiled(jnp.ones(3)), np.full(3, 6.0 * call))
        assert float(total.value) == 3.0 * call
    np.testing.assert_allclose(brainstate.transform.for_loop(anyjac.grad(adds), jnp.ones((2, 1))), [[20.0], [22.0]])
    assert float(total.value) == 11.0


def test_a_write_through_a_view_is_seen_by_a_transformation_of_brainstate_around_the_call(total):
    (view,) = anyjac.variables([total]).values()

    def adds(x):
        view.value = view.value + x.sum()
        return view.value**2

    compiled = brainstate.transform.jit(anyjac.grad(adds))
    for call in range(1, 3):
        np.testing.assert_allclose(compiled(jnp.ones(3)), np.full(3, 6.0 * call))
        assert float(total.value) == 3.0 * call


@pytest.mark.parametrize("around", [lambda f: f, brainstate.transform.jit], ids=["alone", "within brainstate"])
def test_a_write_under_a_jit_of_jax_which_knows_no_state_is_refused(adds, total, around):
    with pytest.raises(anyjac.TracerLeakError, match="a ShortTermState"):
        around(lambda x: jax.jit(anyjac.grad(adds))(x))(jnp.ones(3))
    assert float(total.value) == 0.0


def test_a_write_in_a_map_is_refused(adds, total):
    with pytest.raises(anyjac.VariableWriteError, match="a ShortTermState is written in a function that vmap maps"):
        anyjac.vmap(adds)(jnp.ones((2, 3)))
    assert float(total.value) == 0.0


def test_a_mapping_of_brainstate_is_a_dict_with_its_keys(cell, inputs):
    found = anyjac.grad(lambda x: loss_of(cell, x), grad_vars=cell.states(brainstate.ParamState))(inputs)
    assert sorted(found) == [("mix",), ("readout", "both")]


def test_a_state_that_is_named_in_a_loop_of_brainstate_is_carried_by_it(inputs):
    weight, rate = brainstate.ParamState(jnp.asarray([1.0, -1.0])), 0.1

    def loss(x):
        return (weight.value * x).sum() ** 2

    def descend(x):
        gradient = anyjac.grad(loss, grad_vars=weight)(x)
        weight.value = weight.value - rate * gradient
        return loss(x)

    def train(xs):
        return brainstate.transform.for_loop(descend, xs).sum()

    def native(start, xs):
        total = 0.0
        for x in xs:
            start = start - rate * 2 * (start * x).sum() * x
            total = total + (start * x).sum() ** 2
        return total

    start = weight.value
    np.testing.assert_allclose(train(inputs), native(start, inputs), rtol=1e-5)
    for transform in (anyjac.grad, anyjac.jacfwd):
        weight.value = start
        found = transform(train, grad_vars=weight)(inputs)
        np.testing.assert_allclose(found, jax.grad(native)(start, inputs), rtol=1e-4)


@pytest.mark.parametrize("wrap", [lambda f: f, anyjac.jit], ids=["plain", "compiled"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_within_a_loop_of_brainstate_leaves_no_tracer_in_a_state_that_nobody_named(total, error, wrap):
    def fails(x):
        def step(i):
            total.value = total.value + i
            brainstate.random.normal()
            raise error

        return brainstate.transform.for_loop(step, jnp.arange(2.0)).sum() + x.sum()

    with pytest.raises(error):
        wrap(anyjac.grad(fails))(jnp.ones(2))
    assert float(total.value) == 0.0
    assert np.isfinite(float(brainstate.random.normal()))  # the key of dropout is a state too


AROUND = {
    "plain": anyjac.grad,
    "compiled": lambda f, **settings: anyjac.jit(anyjac.grad(f, **settings)),
    "within brainstate": lambda f, **settings: brainstate.transform.jit(anyjac.grad(f, **settings)),
}


@pytest.mark.parametrize("wrap", AROUND.values(), ids=AROUND)
def test_a_state_that_is_first_met_in_a_loop_of_brainstate_takes_part(total, wrap):
    def counted(x):
        def step(_):
            total.value = total.value + 1.0
            return total.value * x.sum()

        return brainstate.transform.for_loop(step, jnp.arange(3)).sum()

    transform = wrap(counted)
    for call in range(4):
        np.testing.assert_allclose(transform(jnp.ones(2)), np.full(2, 9.0 * call + 6.0))
        assert float(total.value) == 3.0 * (call + 1)


def test_a_call_within_a_call_sees_what_the_code_of_the_model_has_written_before(cell, inputs):
    def twice():
        cell(inputs[0])
        return anyjac.grad(lambda: cell(inputs[1]), grad_vars=cell)()["mix"].sum()

    twin = Recurrent()
    twin(inputs[0])
    expected = anyjac.grad(lambda: twin(inputs[1]), grad_vars=twin)()["mix"].sum()
    _, found = anyjac.grad(twice, grad_vars=cell, return_value=True)()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert int(cell.steps.value) == 2


def test_a_state_that_another_replaces_on_the_node_is_seen_by_the_next_call(cell, inputs):
    gradient = anyjac.grad(lambda x: (cell.mix.value * x.sum()).sum(), grad_vars=cell)
    gradient(inputs)
    cell.mix = brainstate.ParamState(jnp.ones((2, 2)))
    np.testing.assert_allclose(gradient(inputs)["mix"], np.full((2, 2), inputs.sum()), rtol=1e-5)


class Initialised(brainstate.nn.Module):
    """A cell whose hidden state is made for each batch."""

    def __init__(self):
        super().__init__()
        self.mix = brainstate.ParamState(jnp.asarray([[0.5, -0.3], [0.1, 0.7]]))

    def init_state(self):
        self.hidden = brainstate.HiddenState(jnp.zeros(2))

    def __call__(self, x):
        self.hidden.value = jnp.tanh(self.hidden.value @ self.mix.value + x)
        return self.hidden.value


@pytest.mark.parametrize("named", [True, False], ids=["named", "by an argument"])
@pytest.mark.parametrize("wrap", AROUND.values(), ids=AROUND)
def test_states_that_are_initialised_in_the_function_are_made_anew_in_each_call(inputs, wrap, named):
    cell, twin = Initialised(), Initialised()

    def over_time(each):
        def function(xs):
            brainstate.nn.init_all_states(each)
            return (brainstate.transform.for_loop(each, xs) ** 2).sum()

        return function

    settings = {"grad_vars": cell} if named else {}
    native = brainstate.transform.grad(
        over_time(twin), **({"grad_states": {"mix": twin.mix}} if named else {"argnums": 0})
    )
    transform = wrap(over_time(cell), **settings)
    for _ in range(4):
        assert_close(transform(inputs), native(inputs))


@pytest.mark.parametrize("named", [True, False], ids=["named", "by an argument"])
def test_a_call_keeps_no_state_alive_though_the_collector_never_runs(inputs, named):
    def run():
        cell = Recurrent()
        gradient = anyjac.grad(lambda x: loss_of(cell, x), **({"grad_vars": cell} if named else {}))
        gradient(inputs)
        return weakref.ref(cell), weakref.ref(cell.hidden)

    with collector_off():
        assert [reference() for reference in run()] == [None, None]
