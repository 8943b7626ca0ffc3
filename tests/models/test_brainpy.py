"""Objects and variables of BrainPy in ``grad_vars``, and the family against BrainPy's own on the same functions."""

from __future__ import annotations

import warnings

import jax
import numpy as np
import pytest

WIDE = jax.config.jax_enable_x64
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import brainpy  # which turns 64-bit numbers off, as brainstate does
jax.config.update("jax_enable_x64", WIDE)

import brainpy.math as bm
import brainstate
import jax.numpy as jnp

import anyjac


class Cell(brainpy.DynamicalSystem):
    """A rate that relaxes, a gain that is trained, and a count of steps."""

    def __init__(self):
        super().__init__()
        self.gain = bm.TrainVar(jnp.asarray([1.0, 2.0]))
        self.rate = bm.Variable(jnp.asarray([0.1, -0.2]))
        self.steps = bm.Variable(jnp.asarray(0))

    def update(self, x, y=1.0):
        self.rate.value = jnp.tanh(self.rate.value * y + self.gain.value * x)
        self.steps.value = self.steps.value + 1
        return self.rate.value


class Stack(brainpy.DynamicalSystem):
    """Cells within cells."""

    def __init__(self):
        super().__init__()
        self.lower = Cell()
        self.upper = brainpy.math.NodeList([Cell(), Cell()])

    def update(self, x):
        x = self.lower.update(x)
        for cell in self.upper:
            x = cell.update(x)
        return x


X = jnp.asarray([0.5, -1.5])
Y = jnp.asarray([0.3, 0.7])

SCALAR = {"grad", "hessian"}
MEMBERS = ("grad", "vector_grad", "jacrev", "jacfwd", "hessian")
SELECTIONS = {
    "argument": (None, None),
    "second argument": (None, 1),
    "arguments": (None, (0, 1)),
    "variable": (lambda cell: cell.gain, None),
    "list of variables": (lambda cell: [cell.gain, cell.rate], None),
    "dict of variables": (lambda cell: {"a": cell.gain, "b": cell.rate}, None),
    "both": (lambda cell: [cell.rate, cell.gain], (1, 0)),
}


CASES = [
    pytest.param(name, selection, id=f"{name} by {selection}")
    for name in MEMBERS
    for selection in SELECTIONS
    if (name, selection) != ("hessian", "both")  # BrainPy refuses this one
]


def native_hessian(func, grad_vars, argnums, has_aux, return_value):
    """Call the class behind BrainPy's own function, which has no `return_value`."""
    flags = {"has_aux": has_aux, "return_value": return_value, "check_states": False}
    return brainstate.transform.hessian(func, grad_vars, argnums, **flags)


@pytest.mark.parametrize("return_value", [False, True], ids=["", "value"])
@pytest.mark.parametrize("has_aux", [False, True], ids=["", "aux"])
@pytest.mark.parametrize(("name", "selection"), CASES)
def test_the_family_returns_what_that_of_brainpy_does(name, selection, has_aux, return_value):
    choose, argnums = SELECTIONS[selection]

    def call(member):
        cell = Cell()

        def func(x, y):
            rate = cell.update(x, y)
            output = rate.sum() ** 3 if name in SCALAR else rate
            return (output, cell.steps.value * 1.0) if has_aux else output

        chosen = None if choose is None else choose(cell)
        return member(func, chosen, argnums=argnums, has_aux=has_aux, return_value=return_value)(X, Y), cell

    found, after = call(getattr(anyjac, name))
    expected, after_native = call(native_hessian if name == "hessian" else getattr(bm, name))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7), found, expected)
    np.testing.assert_allclose(after.rate.value, after_native.rate.value, rtol=1e-6)
    assert int(after.steps.value) == 1


@pytest.mark.parametrize("selection", [name for name in SELECTIONS if name != "both"])
def test_a_hessian_is_that_of_brainpy(selection):
    choose, argnums = SELECTIONS[selection]
    cells = Cell(), Cell()
    found, expected = (
        hessian(lambda x, y, cell=cell: cell.update(x, y), choose and choose(cell), argnums=argnums)(X, Y)
        for hessian, cell in zip((anyjac.hessian, bm.hessian), cells, strict=True)
    )
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7), found, expected)


def test_variables_are_named_by_attributes_and_an_object_stands_for_what_is_trained():
    stack = Stack()
    assert sorted(anyjac.variables(stack)) == sorted(stack.vars(method="relative").unique())
    assert sorted(anyjac.train_vars(stack)) == sorted(stack.train_vars(method="relative").unique())
    gradients = anyjac.grad(lambda x: stack.update(x).sum(), grad_vars=stack)(X)
    assert sorted(gradients) == sorted(anyjac.train_vars(stack))


def test_a_collector_of_brainpy_is_a_dict_with_its_keys():
    cell, twin = Cell(), Cell()
    found = anyjac.grad(lambda x: cell.update(x).sum(), grad_vars=cell.train_vars())(X)
    expected = bm.grad(lambda x: twin.update(x).sum(), grad_vars=twin.train_vars())(X)
    assert type(found) is dict
    assert list(found) == list(cell.train_vars())
    np.testing.assert_allclose(*found.values(), *expected.values())


def test_a_variable_that_only_brainpy_knows_to_be_trained_is_trained_whoever_met_it_first():
    cell = Cell()
    anyjac.grad(lambda x: cell.update(x).sum())(X)  # in this call BrainState, which knows no TrainVar, reports it first
    assert list(anyjac.train_vars(cell)) == ["gain"]


def test_states_move_on_in_call_after_call_though_nobody_names_them():
    cell, twin = Cell(), Cell()
    gradient = anyjac.grad(lambda x: cell.update(x).sum())
    native = bm.grad(lambda x: twin.update(x).sum())
    for _ in range(6):  # the backend compiles after some calls
        np.testing.assert_allclose(gradient(X), native(X), rtol=1e-5)
        np.testing.assert_allclose(cell.rate.value, twin.rate.value, rtol=1e-5)
    assert int(cell.steps.value) == 6


def test_after_an_error_every_variable_is_as_it_was():
    cell = Cell()

    def fails(x):
        cell.update(x)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        anyjac.grad(fails, grad_vars=cell)(X)
    with pytest.raises(ValueError, match="late"):
        anyjac.grad(fails)(X)
    np.testing.assert_allclose(cell.rate.value, [0.1, -0.2])
    assert int(cell.steps.value) == 0


def test_loops_of_brainpy_run_inside_and_its_jit_goes_around():
    cell, twin = Cell(), Cell()
    xs = jnp.stack([X, Y, X])
    step = bm.jit(anyjac.grad(lambda: bm.for_loop(cell.update, xs).sum(), grad_vars=cell))
    native = bm.grad(lambda: bm.for_loop(twin.update, xs).sum(), grad_vars=twin.train_vars())
    for _ in range(2):
        np.testing.assert_allclose(*step().values(), *native().values(), rtol=1e-5)
    assert int(cell.steps.value) == int(twin.steps.value) == 6


def test_a_wrapped_array_of_brainpy_is_an_argument_and_an_output():
    found = anyjac.jacrev(lambda x: bm.tanh(x))(bm.asarray([0.5, -1.5]))
    np.testing.assert_allclose(np.asarray(jax.tree.leaves(found)[0]), np.diag(1 - np.tanh([0.5, -1.5]) ** 2), rtol=1e-6)


def test_examples_that_make_variables_of_arrays_of_brainpy_run_when_they_are_retyped():
    a, b = anyjac.TrainVar(bm.array([1.0, 2.0])), anyjac.Variable(bm.Variable(bm.array([3.0])))
    found = anyjac.grad(lambda x: (a * x).sum() * b.sum(), grad_vars={"a": a, "b": b})(bm.array([5.0, 7.0]))
    np.testing.assert_allclose(found["a"], [15.0, 21.0])
    np.testing.assert_allclose(found["b"], [19.0])
    a.value = bm.array([0.0, 1.0])
    assert isinstance(a.value, jax.Array)
