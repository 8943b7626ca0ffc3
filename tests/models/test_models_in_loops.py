"""Models of other libraries in the steps of anyjac's loops, against the same steps in a loop of Python."""

from __future__ import annotations

import warnings
from typing import Any

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
import equinox as eqx
import jax.numpy as jnp
import torch
from flax import nnx
from flax.errors import TraceContextError

import anyjac

ROWS = np.array([[1.0, 0.5], [-0.5, 2.0], [0.25, 1.0]])


class TorchCell(torch.nn.Module):
    """A recurrent cell of PyTorch, with its hidden state in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix = torch.nn.Linear(2, 2, dtype=torch.float64)
        self.register_buffer("hidden", torch.zeros(2, dtype=torch.float64))

    def forward(self, x: Any) -> Any:
        self.hidden = torch.tanh(self.mix(self.hidden) + x)
        return self.hidden.sum()


class NnxCell(nnx.Module):
    """The same in Flax."""

    def __init__(self) -> None:
        self.mix = nnx.Param(jnp.array([[0.5, -0.3], [0.1, 0.7]]))
        self.hidden = nnx.Variable(jnp.zeros(2))

    def __call__(self, x: Any) -> Any:
        self.hidden[...] = jnp.tanh(self.hidden[...] @ self.mix[...] + x)
        return self.hidden[...].sum()


class BrainStateCell(brainstate.nn.Module):
    """The same in BrainState."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = brainstate.ParamState(jnp.array([[0.5, -0.3], [0.1, 0.7]]))
        self.hidden = brainstate.HiddenState(jnp.zeros(2))

    def __call__(self, x: Any) -> Any:
        self.hidden.value = jnp.tanh(self.hidden.value @ self.mix.value + x)
        return self.hidden.value.sum()


class BrainPyCell(brainpy.DynamicalSystem):
    """The same in BrainPy."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = bm.TrainVar(jnp.array([[0.5, -0.3], [0.1, 0.7]]))
        self.hidden = bm.Variable(jnp.zeros(2))

    def update(self, x: Any) -> Any:
        self.hidden.value = jnp.tanh(self.hidden.value @ self.mix.value + x)
        return self.hidden.value.sum()


CELLS: dict[str, tuple[Any, Any, Any]] = {
    # a cell, its rows, and its hidden state
    "torch": (TorchCell, torch.tensor(ROWS), lambda cell: cell.hidden),
    "brainstate": (BrainStateCell, jnp.array(ROWS), lambda cell: cell.hidden.value),
    "brainpy": (BrainPyCell, jnp.array(ROWS), lambda cell: cell.hidden.value),
}


@pytest.mark.parametrize("name", CELLS)
def test_the_state_of_a_model_goes_from_step_to_step(name: str) -> None:
    make, rows, hidden = CELLS[name]
    looped, plain = make(), make()
    ours, ours_value = anyjac.grad(
        lambda: (anyjac.for_loop(looped, rows) ** 2).sum(), grad_vars=looped, return_value=True
    )()
    theirs, value = anyjac.grad(lambda: sum(plain(row) ** 2 for row in rows), grad_vars=plain, return_value=True)()
    np.testing.assert_allclose(np.asarray(ours_value), np.asarray(value), rtol=1e-6)
    for found, expected in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(hidden(looped)), np.asarray(hidden(plain)), rtol=1e-6)


def test_a_module_of_equinox_goes_along_in_the_carry() -> None:
    layer = eqx.nn.Linear(2, 2, key=jax.random.key(0))
    rows = jnp.array(ROWS)

    def step(layer: Any, x: Any) -> Any:
        loss, slope = eqx.filter_value_and_grad(lambda layer: (layer(x) ** 2).sum())(layer)
        return eqx.apply_updates(layer, jax.tree.map(lambda g: -0.1 * g, slope)), loss

    trained, losses = anyjac.scan(step, layer, rows)
    expected = layer
    for row, loss in zip(rows, losses, strict=True):
        expected, known = step(expected, row)
        np.testing.assert_allclose(loss, known, rtol=1e-6)
    assert type(trained) is type(layer)
    for found, known in zip(jax.tree.leaves(trained), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_what_a_failed_loop_wrote_to_a_named_model_is_undone(name: str) -> None:
    make, rows, hidden = CELLS[name]
    cell = make()

    def step(x: Any) -> Any:
        cell(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        anyjac.grad(lambda: anyjac.for_loop(step, rows).sum(), grad_vars=cell)()
    np.testing.assert_array_equal(np.asarray(hidden(cell)), [0.0, 0.0])


def test_a_module_of_flax_may_be_read_in_a_loop_that_jax_records_and_is_not_written() -> None:
    cell, rows = NnxCell(), jnp.array(ROWS)
    read = lambda: anyjac.for_loop(lambda x: jnp.tanh(x @ cell.mix[...]).sum(), rows).sum()  # noqa: E731
    slope = anyjac.grad(read, grad_vars=cell.mix)()
    expected = jax.grad(lambda mix: jnp.tanh(rows @ mix).sum())(cell.mix[...])
    np.testing.assert_allclose(jax.tree.leaves(slope)[0], expected, rtol=1e-6)
    for call in (lambda: anyjac.for_loop(cell, rows), anyjac.grad(lambda: anyjac.for_loop(cell, rows).sum(), cell)):
        with pytest.raises(TraceContextError):
            call()
        np.testing.assert_array_equal(cell.hidden[...], [0.0, 0.0])
