"""Traced arrays given to functions of another framework: an error of ours that names the mend, in front of theirs."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import anyjac

X = np.array([1.0, 2.0])

TO_JAX: dict[str, Callable[[Any], Any]] = {
    "jnp.sin": jnp.sin,
    "jnp.asarray": jnp.asarray,
    "jnp.array of numbers": lambda x: jnp.array([x[0], x[1]]),
    "jnp.dot": lambda x: jnp.dot(x, jnp.ones(2)),
    "jnp.stack": lambda x: jnp.stack([x[0], x[1]]),
    "jax.nn.relu": jax.nn.relu,
    "lax.sin": jax.lax.sin,
}

TO_TORCH: dict[str, Callable[[Any], Any]] = {
    "torch.sin": torch.sin,
    "torch.asarray": torch.asarray,
    "torch.tensor": torch.tensor,
    "torch.stack": lambda x: torch.stack([x[0], x[1]]),
    "functional.relu": torch.nn.functional.relu,
    "a module": lambda x: torch.nn.Linear(2, 2)(x),
    "a tensor on the left": lambda x: torch.ones(2) * x,
    "a tensor on the right": lambda x: x * torch.ones(2),
    "a matrix": lambda x: torch.ones((2, 2)) @ x,
}

TO_NUMPY: dict[str, Callable[[Any], Any]] = {
    "np.sin": np.sin,
    "np.stack": lambda x: np.stack([x[0], x[1]]),
    "np.dot": lambda x: np.dot(np.ones(2), x),
    "np.array": lambda x: np.array([x[0], x[1]]),
    "an index": lambda x: np.arange(3.0)[x],
    "np.linalg.norm": np.linalg.norm,
}


def refused(f: Callable[[Any], Any], backend: str, words: str) -> None:
    with pytest.raises(anyjac.AnyjacError, match=words) as caught:
        anyjac.jacrev(f, backend=backend)(X)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("name", TO_JAX)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_an_array_of_another_call_that_jax_is_given_says_how_to_run_on_jax(name: str, backend: str) -> None:
    words = "functions of torch" if (backend, name.partition(" ")[0]) == ("torch", "jnp.asarray") else "backend='jax'"
    refused(TO_JAX[name], backend, words if name != "jnp.array of numbers" else "backend='jax'|functions of torch")


@pytest.mark.parametrize("name", TO_TORCH)
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_an_array_of_another_call_that_torch_is_given_says_how_to_run_on_torch(name: str, backend: str) -> None:
    refused(TO_TORCH[name], backend, r"backend='torch'|backend=|use jax\.numpy")


@pytest.mark.parametrize("name", TO_NUMPY)
@pytest.mark.parametrize(("backend", "mend"), [("jax", r"use jax\.numpy"), ("torch", "use functions of torch")])
def test_an_array_that_numpy_is_given_says_which_functions_to_use(name: str, backend: str, mend: str) -> None:
    refused(TO_NUMPY[name], backend, mend)


def test_an_element_of_a_numpy_array_that_is_to_be_traced_names_at() -> None:
    refused(lambda x: np.zeros(2).__setitem__(0, x[0]), "jax", r"anyjac\.at\(array\)\[index\]\.set\(value\)")
    refused(lambda x: np.zeros(2).__setitem__(0, x[0]), "numpy", r"anyjac\.at\(array\)\[index\]\.set\(value\)")


def test_the_error_of_the_framework_is_the_cause() -> None:
    with pytest.raises(anyjac.MixedBackendsError) as caught:
        anyjac.jacrev(torch.sin)(X)
    assert "must be Tensor" in str(caught.value.__cause__)


def raising(error: Exception) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        raise error

    return f


OWN = {
    "text": TypeError("argument must be Tensor, not ArrayBox"),
    "another": ValueError("Tracer is not a valid JAX type"),
    "own class": type("OwnError", (TypeError,), {})("expected Tensor, got ArrayBox"),
    "value": ValueError("setting an array element with a sequence."),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_an_error_that_the_function_raises_itself_goes_on_as_it_is(name: str, backend: str) -> None:
    with pytest.raises(type(OWN[name])) as caught:
        anyjac.jacrev(raising(OWN[name]), backend=backend)(X)
    assert caught.value is OWN[name]


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_a_mistake_within_the_framework_stays_its_own(backend: str) -> None:
    xp = anyjac.get_backend(backend).namespace
    for mistake in (lambda x: x + None, lambda x: xp.reshape(x, (3,)), lambda x: xp.matmul(x, xp.ones(3))):
        with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
            anyjac.jacrev(mistake, backend=backend)(X)
        assert not isinstance(caught.value, anyjac.AnyjacError)


def test_other_transforms_say_so_too() -> None:
    for call in (anyjac.grad(torch.sin), anyjac.jacfwd(torch.sin), anyjac.hessian(torch.sin)):
        with pytest.raises(anyjac.MixedBackendsError, match="backend='torch'"):
            call(X)


def test_after_such_an_error_every_variable_is_as_it_was() -> None:
    v = anyjac.Variable(X)

    def f(x: Any) -> Any:
        v.value = v.value * 2
        return torch.sin(x)

    with pytest.raises(anyjac.MixedBackendsError):
        anyjac.jacrev(f, backend="numpy")(X)
    assert np.array_equal(v.value, X)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_numbers_of_python_name_their_mend(backend: str) -> None:
    with pytest.raises(TypeError, match=r"stop_gradient|Abstract tracer"):
        anyjac.jacrev(lambda x: x * math.sin(x[0]), backend=backend)(X)


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
@pytest.mark.parametrize("package", [None, "", "models"])
def test_an_error_of_the_users_comes_through_from_scripts_and_packages(backend: str, package: str | None) -> None:
    """In a script, whose name is ``__main__``, Python sets the package to None."""
    names: dict[str, Any] = {"__name__": "__main__", "__package__": package}
    exec("def f(x):\n    return x * int('three')\n", names)
    with pytest.raises(ValueError, match="invalid literal for int") as caught:
        anyjac.jacrev(names["f"], backend=backend)(X)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("function", [np.sin, np.exp])
def test_a_constant_among_traced_numbers_in_an_array_of_numpy_names_stack(function: Any) -> None:
    with pytest.raises(anyjac.InputTypeError, match=r"put numbers together with np\.stack"):
        anyjac.jacrev(lambda x: function(np.array([x[0], 3.0])))(np.ones(2))
