"""Arrays of a trace that has ended: an error by name wherever one comes in, and none is ever returned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Backend, TracerLeakError, Variable

POINT = np.array([1.0, 2.0])

USES: dict[str, Callable[[Any, Any], Any]] = {
    "an argument": lambda left, x: anyjac.jacrev(lambda y: y * y)(left),
    "a leaf of an argument": lambda left, x: anyjac.jacrev(lambda t: t["x"] * t["y"])({"x": x, "y": left}),
    "a constant argument": lambda left, x: anyjac.jacrev(lambda x, y: x * y)(x, left),
    "a keyword": lambda left, x: anyjac.jacrev(lambda x, y: x * y)(x, y=left),
    "a closure": lambda left, x: anyjac.jacrev(lambda x: x * left)(x),
    "the output": lambda left, x: anyjac.jacrev(lambda x: left, return_value=True)(x),
    "one of two outputs": lambda left, x: anyjac.jacrev(lambda x: (x, left), return_value=True)(x),
    "aux data": lambda left, x: anyjac.jacrev(lambda x: (x, {"left": left}), has_aux=True)(x),
    "aux data of columns": lambda left, x: anyjac.jacfwd(lambda x: (x, left), has_aux=True)(x),
    "aux data of a gradient": lambda left, x: anyjac.grad(lambda x: (x[0], left), has_aux=True)(x),
    "aux data of a Hessian": lambda left, x: anyjac.hessian(lambda x: (x[0] ** 2, left), has_aux=True)(x),
    "aux data of a pullback": lambda left, x: anyjac.vjp(lambda x: (x, left), has_aux=True)(x),
    "aux data of a product": lambda left, x: anyjac.jvp(lambda x: (x, left), has_aux=True)(x, x),
    "a tangent": lambda left, x: anyjac.jvp(lambda x: x * x)(left, x),
    "what is mapped over": lambda left, x: anyjac.vmap(lambda x: 2.0 * x)(left),
    "a closure of a map": lambda left, x: anyjac.vmap(lambda x: x * left)(x),
    "the result of a map": lambda left, x: anyjac.vmap(lambda x: left)(x),
    "an argument of jit": lambda left, x: anyjac.jit(lambda x: 2.0 * x)(left),
    "a closure of jit": lambda left, x: anyjac.jit(lambda x: x * left)(x),
    "the result of jit": lambda left, x: anyjac.jit(lambda x: left)(x),
    "a new Variable": lambda left, x: Variable(left),
    "a write": lambda left, x: setattr(Variable(x), "value", left),
}


def left_behind(x: Any) -> Any:
    """Return an array as a function in a call saw it."""
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * x)
        return x * 3.0

    anyjac.jacrev(f)(x)
    return kept[0]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["autograd", "jax"])
def test_what_a_call_left_behind_is_a_tracer_leak_error(name: str, use: str) -> None:
    with anyjac.use_backend(name):
        x = anyjac.get_backend(name).asarray(POINT)
        left = left_behind(x)
        with pytest.raises(TracerLeakError):
            USES[use](left, x)


@pytest.mark.parametrize("name", ["autograd", "jax"])
def test_a_variable_is_as_it_was_after_a_write_in_a_call(name: str) -> None:
    backend: Backend = anyjac.get_backend(name)
    x = backend.asarray(POINT)
    v, left = Variable(x), left_behind(x)

    def f(x: Any) -> Any:
        v.value = left
        return x

    with pytest.raises(TracerLeakError):
        anyjac.jacrev(f)(x)
    np.testing.assert_array_equal(backend.to_numpy(v.value), POINT)
