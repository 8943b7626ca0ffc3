"""Typed keys of random numbers in Variables: state that is read and written, and never differentiated."""

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import anyjac
from anyjac import Variable

X = jnp.asarray([1.0, 2.0])


def key_variable() -> Variable:
    return Variable(jax.random.key(0), name="key")


def noise_of(key: Any) -> Callable[[Any], Any]:
    """Return a function that draws from a Variable, and writes it."""

    def noisy(x: Any) -> Any:
        key.value, drawn = jax.random.split(key.value)
        return x * jax.random.normal(drawn, x.shape)

    return noisy


def draws(count: int) -> list[Any]:
    """Return the numbers that so many calls draw."""
    key, found = jax.random.key(0), []
    for _ in range(count):
        key, drawn = jax.random.split(key)
        found.append(np.asarray(jax.random.normal(drawn, (2,))))
    return found


DERIVATIVES: dict[str, Callable[[Any, Any], Any]] = {
    # the sum of the columns of the derivative
    "jacrev": lambda f, x: anyjac.jacrev(f)(x).sum(0),
    "jacfwd": lambda f, x: anyjac.jacfwd(f)(x).sum(0),
    "jacobian": lambda f, x: anyjac.jacobian(f)(x).sum(0),
    "by chunks": lambda f, x: anyjac.jacrev(f, chunk_size=1)(x).sum(0),
    "grad": lambda f, x: anyjac.grad(lambda x: f(x).sum())(x),
    "vjp": lambda f, x: anyjac.vjp(f)(x)(jnp.ones(2)),
    "jvp": lambda f, x: anyjac.jvp(f)(jnp.ones(2), x),
    "linearize": lambda f, x: anyjac.linearize(f)(x)(jnp.ones(2)),
    "within another": lambda f, x: anyjac.jacrev(lambda x: anyjac.grad(lambda y: (f(y) ** 2).sum() / 2)(x))(x).sum(0),
    "on a device": lambda f, x: anyjac.jacrev(f, device="cpu:1")(x).sum(0),
    "with debug_nan": lambda f, x: anyjac.jacrev(f, debug_nan=True)(x).sum(0),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_each_call_draws_anew_and_the_key_goes_on(name: str) -> None:
    key = key_variable()
    noisy = noise_of(key)
    power = 2 if name == "within another" else 1
    for expected in draws(5):
        assert np.allclose(DERIVATIVES[name](noisy, X), expected**power)


def test_a_compiled_transform_draws_anew() -> None:
    compiled = anyjac.jit(anyjac.jacrev(noise_of(key_variable())))
    for expected in draws(3):
        assert np.allclose(compiled(X), np.diag(expected))


def test_after_an_error_the_key_is_as_it_was() -> None:
    key = key_variable()

    def fails(x: Any) -> Any:
        noise_of(key)(x)
        raise KeyError("of the user")

    with pytest.raises(KeyError):
        anyjac.jacrev(fails)(X)
    assert key.value == jax.random.key(0)


def test_several_keys_and_trees_are_held_too() -> None:
    keys = Variable({"keys": jax.random.split(jax.random.key(0), 3), "scale": jnp.asarray(2.0)})
    f = lambda x: x * jax.random.normal(keys.value["keys"][1]) * keys.value["scale"]  # noqa: E731
    drawn = jax.random.normal(jax.random.split(jax.random.key(0), 3)[1])
    assert np.allclose(anyjac.jacrev(f)(X), 2 * np.eye(2) * drawn)


REFUSED: dict[str, tuple[Callable[[Variable], Any], type[Exception], str]] = {
    # what is done                                      error, and what it says
    "differentiated": (
        lambda key: anyjac.jacrev(lambda: jax.random.normal(key.value), key)(),
        anyjac.DtypeError,
        r"grad_vars \('key'\).*leave it out of grad_vars",
    ),
    "differentiated as an integer": (
        lambda key: anyjac.grad(lambda: jax.random.normal(key.value), key, allow_int=True)(),
        anyjac.DtypeError,
        "leave it out of grad_vars",
    ),
    "among all Variables": (
        lambda key: anyjac.jacrev(lambda: jax.random.normal(key.value), anyjac.variables({"noise": key}))(),
        anyjac.DtypeError,
        "noise",
    ),
    "an argument": (
        lambda key: anyjac.jacrev(jax.random.normal)(key.value),
        anyjac.DtypeError,
        "argument 0.*leave it out",
    ),
    "an output": (
        lambda key: anyjac.jacrev(lambda x: {"x": x, "key": key.value})(X),
        anyjac.DtypeError,
        r"output\['key'\].*aux data",
    ),
    "an output of vjp": (
        lambda key: anyjac.vjp(lambda x: {"x": x, "key": key.value})(X),
        anyjac.DtypeError,
        r"output\['key'\].*aux data",
    ),
    "written by numbers": (
        lambda key: setattr(key, "value", jnp.zeros(2, jnp.uint32)),
        anyjac.VariableWriteError,
        r"key<fry>\[\].*uint32\[2\]",
    ),
    "written by another kind of key": (
        lambda key: setattr(key, "value", jax.random.key(0, impl="rbg")),
        anyjac.VariableWriteError,
        "key<rbg>",
    ),
    "read on PyTorch": (
        lambda key: anyjac.jacrev(lambda x: (key.value, x)[1])(torch.ones(2)),
        anyjac.MixedBackendsError,
        "'key'.*",
    ),
    "read where PyTorch is named": (
        lambda key: anyjac.jacrev(lambda x: (key.value, x)[1], backend="torch")(torch.ones(2)),
        anyjac.MixedBackendsError,
        "'key' is key<fry>, which jax alone knows",
    ),
    "read where NumPy is named": (
        lambda key: anyjac.jacrev(lambda x: (key.value, x)[1], backend="numpy")(np.ones(2)),
        anyjac.MixedBackendsError,
        "'key' is key<fry>, which jax alone knows",
    ),
    "written in a map": (
        lambda key: anyjac.vmap(noise_of(key))(jnp.ones((3, 2))),
        anyjac.VariableWriteError,
        "'key'.*vmap",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_key_cannot_be_is_refused_by_name(case: str) -> None:
    key = key_variable()
    attempt, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        attempt(key)
    assert key.value == jax.random.key(0)


def test_a_key_comes_back_as_aux_data() -> None:
    key = key_variable()
    _, split = anyjac.jacrev(lambda x: (x, jax.random.split(key.value)), has_aux=True)(X)
    assert jnp.all(split == jax.random.split(jax.random.key(0)))


def test_a_key_is_copied_and_pickled() -> None:
    key = key_variable()
    for other in (copy.deepcopy(key), pickle.loads(pickle.dumps(key))):
        assert other.value == key.value
        other.value = jax.random.key(1)
        assert key.value == jax.random.key(0)


GENERATORS = {
    "NumPy's": lambda: np.random.default_rng(0),
    "NumPy's of old": lambda: np.random.RandomState(0),
    "PyTorch's": torch.Generator,
    "Python's": lambda: random.Random(0),
}


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_a_generator_is_refused_since_nobody_could_take_its_numbers_back(make: Callable[[], Any]) -> None:
    for value in (make(), {"generator": make()}):
        with pytest.raises(anyjac.InputTypeError, match="a generator of random numbers, which changes in place"):
            Variable(value)
