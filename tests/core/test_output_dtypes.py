"""Complex and integer outputs of products and columns, on every backend: the same numbers as the matrix of the map."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Variable, float0

BACKENDS = pytest.mark.parametrize("name", ["autograd", "jax", "torch"])

LINEAR: dict[str, Callable[[Any, Any], Any]] = {
    # maps of real vectors to complex ones
    "fft": lambda xp, x: xp.fft.fft(xp.astype(x, xp.complex128)),
    "rfft": lambda xp, x: xp.fft.rfft(x),
    "a complex factor": lambda xp, x: xp.astype(x, xp.complex128) * (2 - 1j),
    "a complex matrix": lambda xp, x: xp.astype(x, xp.complex128) @ xp.asarray(MATRIX),
    "a sum": lambda xp, x: xp.sum(xp.astype(x, xp.complex128) * 1j),
    "nothing": lambda xp, x: xp.astype(x[:0], xp.complex128),
    "the conjugate": lambda xp, x: xp.conj(xp.astype(x, xp.complex128) * (2 - 1j)),
}
MATRIX = np.arange(8.0).reshape(4, 2) + 1j * np.arange(8.0)[::-1].reshape(4, 2)
X, TANGENT = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, -1.0, 2.0, 0.5])


def _map(name: str, linear: str) -> tuple[anyjac.Backend, Callable[[Any], Any], np.ndarray[Any, Any]]:
    """Return a backend, a map on it, and the matrix of the map, from its values at the unit vectors."""
    backend = anyjac.get_backend(name)
    f = lambda x: LINEAR[linear](backend.namespace, x)  # noqa: E731
    columns = [backend.to_numpy(f(backend.asarray(unit))) for unit in np.eye(4)]
    return backend, f, np.stack(columns, axis=-1)


COLUMNS: dict[str, Callable[[Callable[..., Any], Any], Any]] = {
    "jacfwd": lambda f, x: anyjac.jacfwd(f)(x),
    "by chunks": lambda f, x: anyjac.jacfwd(f, chunk_size=3)(x),
    "jacobian": lambda f, x: anyjac.jacobian(f, mode="fwd")(x),
    "of a Variable": lambda f, x: _of_variable(f, Variable(x)),
    "mapped": lambda f, x: anyjac.vmap(anyjac.jacfwd(f))(x[None, ...])[0, ...],
    "again and again": lambda f, x: [anyjac.jacfwd(f)(x) for _ in range(5)][-1],
    "with debug_nan": lambda f, x: anyjac.jacfwd(f, debug_nan=True)(x),
}


def _of_variable(f: Callable[..., Any], v: Variable) -> Any:
    return anyjac.jacfwd(lambda: f(v.value), v)()


@BACKENDS
@pytest.mark.parametrize("way", COLUMNS)
@pytest.mark.parametrize("linear", LINEAR)
def test_columns_of_a_complex_output_are_those_of_its_matrix(name: str, linear: str, way: str) -> None:
    backend, f, matrix = _map(name, linear)
    found = backend.to_numpy(COLUMNS[way](f, backend.asarray(X)))
    assert (found.dtype, found.shape) == (np.complex128, matrix.shape)
    np.testing.assert_allclose(found, matrix, atol=1e-14)


@BACKENDS
def test_columns_of_a_complex_output_are_compiled(name: str) -> None:
    backend, f, matrix = _map(name, "a complex factor")
    found = anyjac.jit(anyjac.jacfwd(f))(backend.asarray(X))
    np.testing.assert_allclose(backend.to_numpy(found), matrix)


@BACKENDS
@pytest.mark.parametrize("linear", LINEAR)
def test_products_with_a_complex_output_are_those_with_its_matrix(name: str, linear: str) -> None:
    backend, f, matrix = _map(name, linear)
    x, tangent = backend.asarray(X), backend.asarray(TANGENT)
    for pushed in (anyjac.jvp(f)(tangent, x), anyjac.linearize(f)(x)(tangent)):
        np.testing.assert_allclose(backend.to_numpy(pushed), matrix @ TANGENT, atol=1e-13)
    cotangent = np.asarray((1 - 2j) * np.arange(1.0, 1.0 + matrix[..., 0].size).reshape(matrix.shape[:-1]))
    pulled = backend.to_numpy(anyjac.vjp(f)(x)(backend.asarray(cotangent)))
    assert pulled.dtype == np.float64
    np.testing.assert_allclose(pulled, np.tensordot(cotangent, matrix, cotangent.ndim).real, atol=1e-13)


@BACKENDS
def test_a_complex_number_is_a_constant_with_complex_zeros(name: str) -> None:
    backend = anyjac.get_backend(name)
    x = backend.asarray(X)
    f = lambda x: (x, 2j)  # noqa: E731
    for zero in (anyjac.jacfwd(f)(x)[1], anyjac.jvp(f)(x, x)[1], anyjac.linearize(f)(x)(x)[1]):
        assert backend.dtype_kind(zero.dtype) == "complex floating"
        assert not np.any(backend.to_numpy(zero))


@BACKENDS
@pytest.mark.parametrize("method", ["rows", "as_linear_operator"])
def test_columns_have_no_rows_of_a_complex_output(name: str, method: str) -> None:
    backend, f, _ = _map(name, "a complex factor")
    with pytest.raises(anyjac.DtypeError, match="complex128"):
        getattr(anyjac.jacfwd(f), method)(backend.asarray(X))


@BACKENDS
@pytest.mark.parametrize("transform", [anyjac.vjp, anyjac.linearize, anyjac.jvp])
def test_of_a_complex_input_a_complex_output_is_refused_as_before(name: str, transform: Any) -> None:
    z = anyjac.get_backend(name).asarray(np.array([1j, 2.0]))
    args = (z, z) if transform is anyjac.jvp else (z,)
    with pytest.raises(anyjac.DtypeError, match="holomorphic=True"):
        transform(lambda z: z * z)(*args)


def with_integers(xp: Any, x: Any) -> Any:
    return {"n": xp.argmax(x), "y": x * x, "large": x > 1.5, "count": 3, "yes": True}


OF_INTEGERS = {"n": np.zeros((), float0), "y": TANGENT, "large": np.zeros(4, float0), "count": 0, "yes": 0}

PRODUCTS: dict[str, Callable[[Callable[..., Any], Any, Any], tuple[Any, Any]]] = {
    "jvp": lambda f, t, x: anyjac.jvp(f, return_value=True)(t, x),
    "linearize": lambda f, t, x: _applied(*anyjac.linearize(f, return_value=True)(x), t),
    "of a pushforward": lambda f, t, x: _with_value(anyjac.linearize(f)(x), t),
    "compiled": lambda f, t, x: anyjac.jit(anyjac.jvp(f, return_value=True))(t, x),
    "with debug_nan": lambda f, t, x: anyjac.jvp(f, return_value=True, debug_nan=True)(t, x),
}


def _applied(pushforward: Any, value: Any, tangent: Any) -> tuple[Any, Any]:
    return pushforward(tangent), value


def _with_value(pushforward: Any, tangent: Any) -> tuple[Any, Any]:
    return pushforward(tangent), pushforward.value


@BACKENDS
@pytest.mark.parametrize("way", PRODUCTS)
def test_tangents_of_integers_are_trivial_and_the_integers_come_back(name: str, way: str) -> None:
    backend = anyjac.get_backend(name)
    f = lambda x: {k: v for k, v in with_integers(backend.namespace, x).items() if k not in ("count", "yes")}  # noqa: E731
    tangents, value = PRODUCTS[way](f, backend.asarray(TANGENT), backend.asarray(X))
    assert (tangents["n"].dtype, tangents["n"].shape) == (float0, ())
    assert (tangents["large"].dtype, tangents["large"].shape) == (float0, (4,))
    np.testing.assert_allclose(backend.to_numpy(tangents["y"]), 2 * X * TANGENT)
    assert backend.is_array(value["n"])
    assert not backend.is_traced(value["n"])
    assert int(value["n"]) == 2
    assert backend.to_numpy(value["large"]).tolist() == [False, True, True, True]


@BACKENDS
def test_cotangents_of_integers_and_constants_count_nothing(name: str) -> None:
    backend = anyjac.get_backend(name)
    runs = Variable(backend.asarray(np.array(0)))

    def f(x: Any) -> Any:
        runs.value = runs + 1
        return with_integers(backend.namespace, x), {"k": backend.namespace.argmax(x)}

    pullback, value, aux = anyjac.vjp(f, has_aux=True, return_value=True)(backend.asarray(X))
    gradient = pullback({**OF_INTEGERS, "y": backend.asarray(TANGENT)})
    np.testing.assert_allclose(backend.to_numpy(gradient), 2 * X * TANGENT)
    assert (int(value["n"]), value["count"], value["yes"], int(aux["k"]), int(runs.value)) == (2, 3, True, 2, 1)


@BACKENDS
@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd, anyjac.jacobian, anyjac.grad, anyjac.hessian])
def test_blocks_of_an_integer_are_refused_as_before(name: str, transform: Any) -> None:
    backend = anyjac.get_backend(name)
    with pytest.raises(anyjac.DtypeError, match="int64"):
        transform(lambda x: backend.namespace.argmax(x))(backend.asarray(X))
