"""autograd's boxes of tuples, lists and dicts: as results of functions, and as arguments of its primitives."""

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import builtins
from autograd.extend import defvjp, primitive
from autograd.scipy.integrate import odeint

import anyjac

X = np.array([0.41, 0.23, 0.72, 0.58])
SHIFT = np.array([[2.0, 0.5], [0.5, 4.0]])


def m(x: Any) -> Any:
    return anp.reshape(x, (2, 2)) + SHIFT


def symmetric(x: Any) -> Any:
    return m(x) + anp.transpose(m(x))


RETURNED: dict[str, tuple[Callable[[Any], Any], type]] = {
    "svd": (lambda x: anp.linalg.svd(m(x), full_matrices=False), tuple),
    "eigh": (lambda x: anp.linalg.eigh(symmetric(x)), tuple),
    "slogdet": (lambda x: anp.linalg.slogdet(m(x)), tuple),
    "split": (lambda x: anp.split(x, 2), list),
    "array_split": (lambda x: anp.array_split(x, 3), list),
    "hsplit": (lambda x: anp.hsplit(m(x), 2), list),
    "vsplit": (lambda x: anp.vsplit(m(x), 2), list),
    "gradient": (lambda x: anp.gradient(anp.outer(x, x)), tuple),
    "tuple": (lambda x: builtins.tuple((x, x[0] * x)), tuple),
    "list": (lambda x: builtins.list([x, x[0] * x]), list),
    "dict": (lambda x: builtins.dict({"b": x, "a": x[0] * x}), dict),
    "nested": (lambda x: builtins.tuple((x, builtins.list([x * x, x]))), tuple),
    "gradient of a tuple": (lambda x: autograd.grad(lambda p: anp.sum(p[0] * p[1] ** 2))((x, x)), tuple),
}


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple | list) else [tree]


def differences(f: Callable[[Any], Any]) -> list[Any]:
    """Return the derivative of each leaf of the result at X, by central differences."""
    step = 1e-6
    pairs = [zip(leaves(f(X + step * e)), leaves(f(X - step * e)), strict=True) for e in np.eye(4)]
    columns = [[(np.asarray(above) - np.asarray(below)) / (2 * step) for above, below in pair] for pair in pairs]
    return [np.stack(column, axis=-1) for column in zip(*columns, strict=True)]


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
@pytest.mark.parametrize("name", RETURNED)
def test_a_function_returns_a_container_of_autograd(name: str, transform: Any) -> None:
    f, kind = RETURNED[name]
    jacobian, value = transform(f, return_value=True)(X)
    plain = f(X)
    assert type(jacobian) is type(value) is type(plain)
    assert isinstance(value, kind)
    for found, expected in zip(leaves(value), leaves(plain), strict=True):
        np.testing.assert_allclose(found, expected)
    for found, expected in zip(leaves(jacobian), differences(f), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_eigenvalues_and_vectors_of_a_general_matrix_are_complex_together() -> None:
    found = anyjac.jacrev(lambda x: anp.linalg.eig(m(x)), holomorphic=True)(X + 0j)
    assert type(found) is type(np.linalg.eig(SHIFT))
    assert [leaf.shape for leaf in found] == [(2, 4), (2, 2, 4)]


def test_a_container_is_aux_data_and_the_value_of_a_variable() -> None:
    v = anyjac.Variable([np.zeros(2), np.zeros(2)])

    def f(x: Any) -> Any:
        parts = anp.split(x, 2)
        v.value = list(parts)
        return parts[0] * parts[1], parts

    _, aux = anyjac.jacrev(f, has_aux=True)(X)
    assert [list(part) for part in aux] == [[0.41, 0.23], [0.72, 0.58]]
    assert [list(part) for part in v.value] == [[0.41, 0.23], [0.72, 0.58]]


def test_the_fields_of_a_named_tuple_keep_their_names() -> None:
    by_name = anyjac.jacrev(lambda x: anp.linalg.eigh(symmetric(x)).eigenvalues)(X)
    by_index = anyjac.jacrev(lambda x: anp.linalg.eigh(symmetric(x))[0])(X)
    assert np.array_equal(by_name, by_index)
    with pytest.raises(AttributeError, match="nonesuch"):
        anyjac.jacrev(lambda x: anp.linalg.eigh(symmetric(x)).nonesuch)(X)


# ---- containers as arguments of primitives ---------------------------------------------------------------------------

TIMES = np.linspace(0.0, 1.0, 3)


def decay(y: Any, t: Any, rate: Any, source: Any) -> Any:
    return -rate * y + source


SOLVED: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "a differentiated tuple": (lambda p: odeint(decay, np.ones(1), TIMES, p), (np.array(1.3), np.array(0.4))),
    "a tuple of elements": (lambda p: odeint(decay, np.ones(1), TIMES, (p[0], p[1])), np.array([1.3, 0.4])),
    "a tuple with a number": (lambda p: odeint(decay, np.ones(1), TIMES, (p[0], 0.4)), np.array([1.3, 0.4])),
    "a box too": (lambda p: odeint(decay, p[:1], TIMES, (p[0], p[1])), np.array([1.3, 0.4])),
    "autograd's own": (lambda p: odeint(decay, np.ones(1), TIMES, builtins.tuple((p[0], p[1]))), np.array([1.3, 0.4])),
}


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
@pytest.mark.parametrize("name", SOLVED)
def test_odeint_takes_its_parameters_in_a_tuple(name: str, transform: Any) -> None:
    f, point = SOLVED[name]
    step = 1e-5

    def at(values: Any) -> Any:
        return f(tuple(values) if isinstance(point, tuple) else values)

    numbers = np.asarray(point)
    expected = np.stack([(at(numbers + step * e) - at(numbers - step * e)) / (2 * step) for e in np.eye(2)], -1)
    found = transform(f)(point)
    np.testing.assert_allclose(np.stack(found, -1) if isinstance(point, tuple) else found, expected, atol=1e-5)


@primitive
def weighted(parts: Any, scale: Any) -> Any:
    """Return a sum of the parts of a container, by code that autograd does not see."""
    values = parts.values() if isinstance(parts, dict) else parts
    return scale * sum(float(index + 1) * np.asarray(part, float) for index, part in enumerate(values))


def _by_parts(ans: Any, parts: Any, scale: Any) -> Callable[[Any], Any]:
    def vjp(g: Any) -> Any:
        if isinstance(parts, dict):
            return {key: (index + 1) * scale * g for index, key in enumerate(parts)}
        return type(parts)((index + 1) * scale * g for index in range(len(parts)))

    return vjp


defvjp(weighted, _by_parts, lambda ans, parts, scale: lambda g: anp.sum(g * ans) / scale)

CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda x: (x, x**2),
    "list": lambda x: [x, x**2],
    "dict": lambda x: {"one": x, "other": x**2},
    "with a constant": lambda x: (x, x**2, X),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_primitive_of_a_user_takes_a_container_of_traced_arrays(name: str) -> None:
    make = CONTAINERS[name]
    found = anyjac.jacrev(lambda x: weighted(make(x), x[0]))(X)
    plain = autograd.jacobian(lambda x: weighted(make_boxed(make(x)), x[0]))(X)
    np.testing.assert_allclose(found, plain)


def make_boxed(container: Any) -> Any:
    made: Any = {tuple: builtins.tuple, list: builtins.list, dict: builtins.dict}[type(container)]
    return made(container)


def test_a_container_with_other_things_in_it_is_left_as_it_is() -> None:
    seen: list[Any] = []

    @primitive
    def noted(x: Any, options: Any) -> Any:
        seen.append(type(options))
        return x * 2.0

    defvjp(noted, lambda ans, x, options: lambda g: 2.0 * g, None)
    anyjac.jacrev(lambda x: noted(x, {"scale": x[0], "name": "text"}))(X)
    assert seen == [dict]


def test_lists_and_indices_of_numpy_functions_stay_lists() -> None:
    found = anyjac.jacrev(lambda x: anp.append(x, [[x[0], 1.0], [x[1] * x[2], 2.0]]))(X)
    assert np.array_equal(found[4:], [[1.0, 0, 0, 0], [0, 0, 0, 0], [0, X[2], X[1], 0], [0, 0, 0, 0]])
    assert np.array_equal(anyjac.jacrev(lambda x: anp.max([x[0], x[2]]))(X), [0.0, 0.0, 1.0, 0.0])
    assert np.array_equal(anyjac.jacrev(lambda x: x[([0, 2],)])(X), np.eye(4)[[0, 2]])
