"""Mutable arrays of JAX, `jax.new_ref`: made, read and written in functions as JAX has it, or refused by name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anyjac
from anyjac import Variable

X = jnp.asarray([1.0, 2.0])


def made_within(x: Any) -> Any:
    ref = jax.new_ref(2 * x)
    ref[...] = ref[...] * x
    ref[0] = ref[0] + 1
    return ref[...]


def frozen(x: Any) -> Any:
    ref = jax.new_ref(x)
    ref[...] += x * x
    return jax.freeze(ref)


def in_a_scan(x: Any) -> Any:
    ref = jax.new_ref(jnp.zeros(2))

    def body(carry: Any, _: Any) -> Any:
        ref[...] = ref[...] + carry
        return carry * x, None

    jax.lax.scan(body, x, length=3)
    return ref[...]


@jax.custom_vjp
def by_rule(x: Any) -> Any:
    return x**3


by_rule.defvjp(lambda x: (by_rule(x), x), lambda x, g: (_through_a_ref(3 * x**2 * g),))


def _through_a_ref(x: Any) -> Any:
    ref = jax.new_ref(x)
    return ref[...]


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    # function            and the same without a reference
    "made within": (made_within, lambda x: 2 * x * x),
    "frozen": (frozen, lambda x: x + x * x),
    "in a scan": (in_a_scan, lambda x: x + x**2 + x**3),
    "in jit": (jax.jit(made_within), lambda x: 2 * x * x),
}
DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "jacrev": lambda f: anyjac.jacrev(f)(X),
    "jacfwd": lambda f: anyjac.jacfwd(f)(X),
    "jacobian": lambda f: anyjac.jacobian(f)(X),
    "columns of rows": lambda f: anyjac.jacfwd(anyjac.jacrev(f))(X),  # rows of rows fail in JAX itself
    "grad": lambda f: anyjac.grad(lambda x: f(x).sum())(X),
    "vjp": lambda f: anyjac.vjp(f)(X)(X),
    "jvp": lambda f: anyjac.jvp(f)(X, X),
    "linearize": lambda f: anyjac.linearize(f)(X)(X),
    "compiled": lambda f: anyjac.jit(anyjac.jacrev(f))(X),
    "mapped": lambda f: anyjac.vmap(anyjac.jacrev(f))(X[None]),
    "of a Variable": lambda f: _of_variable(f, Variable(X)),
}


def _of_variable(f: Callable[..., Any], v: Variable) -> Any:
    return anyjac.jacrev(lambda: f(v.value), v)()


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_that_is_made_in_the_function_is_differentiated_through(function: str, derivative: str) -> None:
    with_ref, without = FUNCTIONS[function]
    wanted = DERIVATIVES[derivative](without)
    for _ in range(4 if derivative == "jacrev" else 1):  # compiled too
        np.testing.assert_allclose(DERIVATIVES[derivative](with_ref), wanted)


def test_one_in_a_rule_of_the_user() -> None:
    np.testing.assert_allclose(anyjac.jacrev(by_rule)(X), np.diag(3 * X**2))


def test_one_from_outside_is_read_as_it_is_now() -> None:
    factor = jax.new_ref(jnp.ones(2))
    f = anyjac.jacrev(lambda x: x * factor[...])
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        factor[...] = jnp.full(2, value)
        np.testing.assert_allclose(f(X), value * np.eye(2))


COUNTED: dict[str, Callable[[Any], Any]] = {
    "jacrev": lambda f: anyjac.jacrev(f)(X),
    "jacfwd": lambda f: anyjac.jacfwd(f)(X),
    "jacobian of many rows": lambda f: anyjac.jacobian(f)(X),
    "grad": lambda f: anyjac.grad(lambda x: f(x).sum())(X),
    "hessian": lambda f: anyjac.hessian(lambda x: f(x).sum())(X),
    "vjp": lambda f: anyjac.vjp(f)(X)(jnp.ones(6)),
    "jvp": lambda f: anyjac.jvp(f)(X, X),
    "compiled": lambda f: anyjac.jit(anyjac.jacrev(f))(X),
}


@pytest.mark.parametrize("name", COUNTED)
def test_one_from_outside_is_written_once_in_each_call(name: str) -> None:
    count = jax.new_ref(jnp.asarray(0))

    def f(x: Any) -> Any:
        count[...] = count[...] + 1
        return jnp.concatenate([x * x] * 3)

    for calls in range(1, 5):
        COUNTED[name](f)
        assert count[...] == calls


def test_one_from_outside_is_written_once_where_columns_have_no_rule() -> None:
    count = jax.new_ref(jnp.asarray(0))

    def f(x: Any) -> Any:
        count[...] = count[...] + 1
        return jnp.concatenate([by_rule(x)] * 3)

    for calls in range(1, 4):
        anyjac.jacobian(f)(X)
        assert count[...] == calls


def test_one_among_arguments_that_are_not_differentiated_is_read_and_written() -> None:
    ref = jax.new_ref(jnp.ones(2))

    def f(x: Any, ref: Any) -> Any:
        ref[...] = ref[...] + 1
        return x * ref[...]

    np.testing.assert_allclose(anyjac.jacrev(f)(X, ref), 2 * np.eye(2))
    np.testing.assert_allclose(anyjac.jacfwd(f)(X, ref=ref), 3 * np.eye(2))
    assert ref[...].tolist() == [3.0, 3.0]


def _written_within(x: Any) -> Any:
    outside = jax.new_ref(jnp.zeros(2))
    return anyjac.jacrev(lambda x: (outside.__setitem__(..., x), x)[1])(x)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "differentiated": (lambda: anyjac.jacrev(lambda r: r[...])(jax.new_ref(X)), TypeError, "argument 0 is Ref"),
    "an output": (lambda: anyjac.jacrev(jax.new_ref)(X), anyjac.OutputError, "the output is .*Ref"),
    "aux data": (
        lambda: anyjac.grad(lambda x: (x.sum(), {"r": jax.new_ref(x)}), has_aux=True)(X),
        anyjac.TracerLeakError,
        r"the aux data\['r'\] is .*Ref.*ref\[\.\.\.\]",
    ),
    "aux data of vjp": (
        lambda: anyjac.vjp(lambda x: (x, jax.new_ref(x)), has_aux=True)(X),
        anyjac.TracerLeakError,
        "the aux data is .*Ref",
    ),
    "a result of jit": (
        lambda: anyjac.jit(lambda x: [jax.new_ref(x)])(X),
        anyjac.TracerLeakError,
        r"the result\[0\] is .*Ref",
    ),
    "an argument of jit": (lambda: anyjac.jit(lambda r: r[...])(jax.new_ref(X)), TypeError, r"args\[0\] is Ref"),
    "an argument of vmap": (lambda: anyjac.vmap(lambda r: r[...])(jax.new_ref(X)), TypeError, "argument 0 is Ref"),
    "in a Variable": (lambda: Variable(jax.new_ref(X)), TypeError, "value is Ref.*Variable holds numbers and arrays"),
    "written by a traced value": (
        lambda: _written_within(X),
        Exception,
        "differentiated value on a non-differentiated",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_one_cannot_be_is_refused_by_name(case: str) -> None:
    attempt, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        attempt()
