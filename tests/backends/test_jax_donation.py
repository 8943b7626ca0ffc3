"""Variables whose array was donated to a compiled function of JAX: an error that names them, until they are written."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anyjac
from anyjac import DeletedArrayError, Variable

X = jnp.asarray([1.0, 2.0])

READS: dict[str, Callable[[Variable], Any]] = {
    "value": lambda v: v.value,
    "arithmetic": lambda v: v + 1,
    "in place": lambda v: v.__iadd__(1),
    "an element": lambda v: v[0],
    "a function of JAX": jnp.sin,
    "an argument of jax.jit": jax.jit(lambda v: v * 2),
    "NumPy": np.asarray,
    "in a function": lambda v: anyjac.jacrev(lambda x: x * v)(X),
    "differentiated": lambda v: anyjac.jacrev(lambda: v * 2, v)(),
    "in a compiled function": lambda v: anyjac.jit(lambda x: x * v)(X),
    "in a mapped function": lambda v: anyjac.vmap(lambda x: x * v)(jnp.ones((3, 2))),
    "on another backend": lambda v: anyjac.jacrev(lambda x: x * v, backend="numpy")(np.ones(2)),
    "another Variable": Variable,
    "a copy": copy.deepcopy,
    "a pickle": pickle.dumps,
}


def donated(*, through: str = "value") -> Variable:
    """Return a Variable whose array was donated by way of its value, of the Variable, or of what it was made of."""
    give = jax.jit(lambda x: jax.tree.map(jnp.negative, x), donate_argnums=0)
    array = jnp.asarray([3.0, 4.0])
    v = Variable(array, name="state")
    give({"value": v.value, "variable": v, "source": array}[through])
    return v


@pytest.mark.parametrize("read", READS)
def test_a_read_names_the_variable(read: str) -> None:
    v = donated()
    with pytest.raises(DeletedArrayError, match=r"'state' was deleted.*donate"):
        READS[read](v)


@pytest.mark.parametrize("through", ["value", "variable", "source"])
def test_whatever_was_donated(through: str) -> None:
    v = donated(through=through)
    with pytest.raises(DeletedArrayError, match="'state'"):
        anyjac.grad(lambda x: (x * v).sum())(X)


def test_one_leaf_of_a_tree_is_enough() -> None:
    v = Variable({"a": X + 1, "b": X + 2}, name="state")
    jax.jit(jnp.negative, donate_argnums=0)(v.value["b"])
    with pytest.raises(DeletedArrayError, match="'state'"):
        _ = v.value
    assert repr(v) == "Variable({'a': <deleted float64[2]>, 'b': <deleted float64[2]>}, name='state')"


def test_a_compiled_transform_that_ran_before_finds_out() -> None:
    v = Variable(X + 0, name="state")
    compiled = anyjac.jit(anyjac.jacrev(lambda x: x * v))
    compiled(X)
    v.value.delete()
    with pytest.raises(DeletedArrayError, match="'state'"):
        compiled(X)


def test_it_can_be_shown_and_written_anew() -> None:
    v = donated()
    assert repr(v) == "Variable(<deleted float64[2]>, name='state')"
    v.value = X
    assert v.value.tolist() == [1.0, 2.0]
    w = donated()
    anyjac.jacrev(lambda x: (setattr(w, "value", x), x)[1])(X)
    assert w.value.tolist() == [1.0, 2.0]


def test_a_variable_nearby_is_read_as_ever() -> None:
    v, w = donated(), Variable(X)
    with pytest.raises(DeletedArrayError, match="'state'"):
        anyjac.jacrev(lambda x: (setattr(w, "value", 2 * x), x * v)[1])(X)
    assert w.value.tolist() == [1.0, 2.0]
