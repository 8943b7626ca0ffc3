"""Rows and columns with NaN and infinity: those of a batch are those of one after the other, on every path."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.helpers.forced_paths import forced

import anyjac
from anyjac_autograd.backend import AutogradBackend

SINGULAR: dict[str, Callable[[Any, Any, int], Any]] = {
    # of the namespace, a point with zeros, and its length
    "sqrt": lambda xp, x, n: xp.sqrt(x),
    "log": lambda xp, x, n: xp.log(x),
    "reciprocal": lambda xp, x, n: 1 / x,
    "fractional power": lambda xp, x, n: x**0.5,
    "power": lambda xp, x, n: x**x,
    "asin at its end": lambda xp, x, n: xp.asin(1 - x),
    "acosh at its end": lambda xp, x, n: xp.acosh(1 + x),
    "atanh at its end": lambda xp, x, n: xp.atanh(x),
    "hypot": lambda xp, x, n: xp.hypot(x, 0 * x),
    "atan2": lambda xp, x, n: xp.atan2(0 * x, 0 * x),
    "abs": lambda xp, x, n: xp.abs(x) / x,
    "overflow": lambda xp, x, n: xp.exp(1000 * x),
    "by infinity": lambda xp, x, n: x * constants(xp, n),
    "over zero": lambda xp, x, n: x / constants(xp, n),
    "before another": lambda xp, x, n: xp.sin(xp.sqrt(x)),
    "after another": lambda xp, x, n: xp.sqrt(xp.sin(x)),
    "shifted": lambda xp, x, n: xp.roll(xp.sqrt(x), 1) * x,
    "sliced": lambda xp, x, n: xp.sqrt(x)[1:] * x[:-1],
    "not chosen": lambda xp, x, n: xp.where(x > 0, xp.sqrt(x), 0 * x),
    "made safe": lambda xp, x, n: xp.where(x > 0, xp.sqrt(xp.where(x > 0, x, xp.ones_like(x))), 0 * x),
    "joined": lambda xp, x, n: xp.concat([xp.sqrt(x), x]),
    "summed": lambda xp, x, n: xp.sqrt(x) + xp.sum(xp.sqrt(x)),
    "broadcast": lambda xp, x, n: xp.sqrt(x[:1]) * x,
    "of rows": lambda xp, x, n: xp.sum(x[:, None] * xp.sqrt(x)[None, :], axis=1),
    "cumulated": lambda xp, x, n: xp.cumulative_sum(xp.sqrt(x), axis=0),
    "greatest": lambda xp, x, n: x * xp.max(xp.sqrt(x)),
    "matrix": lambda xp, x, n: matrix(xp, n) @ x,
    "matrix from the right": lambda xp, x, n: x @ matrix(xp, n),
    "matrix after": lambda xp, x, n: xp.asarray(np.ones((n, n)), dtype=x.dtype) @ xp.sqrt(x),
    "norm of zeros": lambda xp, x, n: x * xp.linalg.vector_norm(0 * x),
}


def constants(xp: Any, n: int) -> Any:
    values = np.ones(n)
    values[:3] = np.inf, np.nan, 0.0
    return xp.asarray(values, dtype=xp.float64)


def matrix(xp: Any, n: int) -> Any:
    values = np.ones((n, n))
    values[0, 1], values[1, 0] = np.inf, np.nan
    return xp.asarray(values, dtype=xp.float64)


def point(n: int) -> Any:
    values = np.linspace(0.0, 1.0, n)
    values[n // 2] = 0.0
    return values


@pytest.fixture(autouse=True)
def _without_numpys_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def one_by_one(backend: anyjac.Backend, f: Callable[[Any], Any], x: Any) -> Any:
    """Return the Jacobian, each row by a pullback of its own."""
    (output,), pullback, _ = backend.vjp(lambda x: ([f(x)], []), [x])
    rows = []
    for seed in np.eye(int(np.prod(output.shape))):
        (row,) = pullback([backend.asarray(seed.reshape(tuple(output.shape)))])
        rows.append(np.zeros(x.shape) if row is None else np.array(backend.to_numpy(row)))
    return np.stack(rows).reshape(*output.shape, *x.shape)


def alike(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, equal_nan=True)


QUICK = ("sqrt", "by infinity", "sliced", "made safe", "matrix")

IN_BOTH_LANES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.sweep) for name in SINGULAR]


@pytest.mark.parametrize("name", IN_BOTH_LANES)
def test_rows_in_chunks_are_rows_one_by_one(name: str, backend: anyjac.Backend) -> None:
    x = backend.asarray(point(3))
    f = lambda x: SINGULAR[name](backend.namespace, x, 3)  # noqa: E731
    expected = one_by_one(backend, f, x)
    assert name != "sqrt" or not np.isfinite(expected).all()
    for chunk_size in (None, 1, 2):
        alike(backend.to_numpy(anyjac.jacrev(f, chunk_size=chunk_size)(x)), expected)


@pytest.mark.parametrize("path", ["structured", "batched", "loop", None])
@pytest.mark.parametrize("name", SINGULAR)
def test_every_way_of_autograd_has_the_rows_of_the_loop(name: str, path: str | None) -> None:
    backend = AutogradBackend() if path is None else forced(AutogradBackend, path)
    for n in (4, 130):  # above, rows are sparse without being forced
        x = point(n)
        f = lambda x: SINGULAR[name](backend.namespace, x, n)  # noqa: B023, E731
        expected = one_by_one(backend, f, x)
        for chunk_size in (None, 1, 50) if n == 130 else (None, 3):
            alike(anyjac.jacrev(f, backend=backend, chunk_size=chunk_size)(x), expected)


@pytest.mark.parametrize("name", ["sqrt", "reciprocal", "by infinity", "matrix after", "sliced"])
def test_columns_in_chunks_are_tangents_one_by_one(name: str, backend: anyjac.Backend) -> None:
    x = backend.asarray(point(3))
    f = lambda x: SINGULAR[name](backend.namespace, x, 3)  # noqa: E731
    columns = [backend.jvp(lambda x: ([f(x)], []), [x], [backend.asarray(e)])[1][0] for e in np.eye(3)]
    expected = np.stack([np.array(backend.to_numpy(column)) for column in columns], axis=-1)
    for chunk_size in (None, 1, 2):
        alike(backend.to_numpy(anyjac.jacfwd(f, chunk_size=chunk_size)(x)), expected)


def test_a_compiled_jacobian_of_jax_keeps_the_nan_of_zero_times_infinity() -> None:
    import jax.numpy as jnp

    x = jnp.asarray(point(3))
    expected = np.diag([np.inf, np.inf, 0.5]) + np.where(np.array([[0, 1, 0], [1, 0, 0], [1, 1, 0]], bool), np.nan, 0.0)
    jacobian = anyjac.jacrev(jnp.sqrt, chunk_size=1)
    for _ in range(3):  # eager, compiled, and once more
        alike(np.asarray(jacobian(x)), expected)
    alike(np.asarray(anyjac.jit(anyjac.jacrev(jnp.sqrt))(x)), expected)


@pytest.mark.parametrize("n", [10, 200])
def test_the_jacobian_of_sqrt_at_zeros_does_not_depend_on_its_size(n: int) -> None:
    jacobian = anyjac.jacrev(np.sqrt)(np.zeros(n))
    assert np.isinf(np.diagonal(jacobian)).all()
    assert np.isnan(jacobian).sum() == n * (n - 1)


def test_a_finite_jacobian_stays_sparse_on_its_way() -> None:
    n = 4000  # dense, the rows would take two seconds on their way, and 128 MB each time
    jacobian = anyjac.jacrev(lambda x: np.sqrt(x) * 3.0)(np.full(n, 4.0))
    assert np.count_nonzero(jacobian) == n
    assert np.array_equal(np.diagonal(jacobian), np.full(n, 0.75))
