"""The three ways in which the autograd backend pulls rows back give the same, whatever a function is made of."""

import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import autograd.numpy as anp
import autograd.scipy.linalg as scipy_linalg
import autograd.scipy.signal as scipy_signal
import autograd.scipy.special as scipy_special
import autograd.scipy.stats as scipy_stats
import numpy as np
import pytest
from autograd import builtins
from autograd.core import defvjp as core_defvjp
from autograd.extend import defvjp, primitive
from autograd.tracer import getval
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.forced_paths import forced

import anyjac
from anyjac import jacrev
from anyjac_autograd import batched, jacobians
from anyjac_autograd.backend import AutogradBackend
from anyjac_autograd.rules import dense
from anyjac_autograd.rules.sparse_rows import SparseRows
from anyjac_autograd.rules.table import CannotBatchError
from anyjac_conformance import check_backend
from anyjac_conformance.array_api import CONSTANT, RIGHT, TABLE, check

PATHS = AutogradBackend().paths.names
Array = Any
Function = Callable[[Array], Array]


BACKENDS = {path: forced(AutogradBackend, path) for path in PATHS}
FAST = ("structured", "batched")


def jacobian(f: Function, path: str, **options: Any) -> Function:
    return jacrev(f, backend=BACKENDS[path], **options)


def assert_paths_agree(f: Function, x: Array, *, order: int = 1, tolerance: float = 1e-9, **options: Any) -> None:
    def at(path: str) -> Array:
        g = f
        for _ in range(order):
            g = jacobian(g, path, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return g(x)

    expected = at("loop")
    for path in FAST:
        found = at(path)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# ---- tables of operations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_every_path_gives_what_is_documented(path: str) -> None:
    check_backend(forced(AutogradBackend, path))


@pytest.mark.exhaustive
@pytest.mark.parametrize("path", FAST)
@pytest.mark.parametrize("name", sorted({*TABLE, *CONSTANT}))
def test_functions_of_the_standard_have_right_derivatives_on_every_path(name: str, path: str) -> None:
    bodies = [*TABLE.get(name, []), *([CONSTANT[name]] if name in CONSTANT else [])]
    assert {check(BACKENDS[path], name, body).status for body in bodies} == {RIGHT}


_random = np.random.default_rng(0)
V, A, M = _random.normal(size=5), _random.normal(size=(4, 5)), _random.normal(size=(5, 6))
T, B = _random.normal(size=(2, 3, 4)), _random.normal(size=(2, 4, 5))
S = (lambda a: a @ a.T + 4 * np.eye(4))(_random.normal(size=(4, 4)))
CHOSEN = np.array([0, 2, 2, 1])
la, fft = anp.linalg, anp.fft

OPERATIONS: dict[str, tuple[Function, Array]] = {
    "append": (lambda x: anp.append(x, x[:2]), V),
    "array": (lambda x: anp.array([[x[0], x[1] * 2], [x[2], x[0]]]), V),
    "array of an array": (lambda x: anp.array(x, ndmin=3) * 2, V),
    "astype": (lambda x: x.astype(np.float32).astype(np.float64) * 2, V),
    "broadcast": (lambda x: x[:, None] * np.ones((5, 3)) + x.reshape(5, 1), V),
    "broadcast_to": (lambda x: anp.broadcast_to(anp.reshape(x, (1, 5)), (3, 5)), V),
    "cholesky": (lambda x: la.cholesky(x @ x.T + np.eye(4)), S),
    "clip": (lambda x: anp.clip(x, -0.5, 0.5), A),
    "complex on the way": (lambda x: anp.abs(x + 1j * x**2), V),
    "convolve": (lambda x: scipy_signal.convolve(x, V[:3]), V),
    "cross": (lambda x: anp.cross(x, V[:3]), V[:3]),
    "cumsum": (lambda x: anp.cumsum(x, axis=1), A),
    "cumsum of all": (anp.cumsum, A),
    "det": (lambda x: la.det(x) * V, S),
    "diag of a matrix": (lambda x: anp.diag(x, 1), S),
    "diag of a vector": (anp.diag, V),
    "diagonal": (lambda x: anp.diagonal(x, axis1=-1, axis2=-2), S),
    "diff": (lambda x: anp.diff(x, n=2, axis=1), A),
    "dot 1 1": (lambda x: anp.dot(x, x) * V, V),
    "dot 1 2": (lambda x: anp.dot(x, M), V),
    "dot 2 1 left": (lambda x: anp.dot(x, V), A),
    "dot 2 1 right": (lambda x: anp.dot(A, x), V),
    "dot 2 2": (lambda x: anp.dot(x, x.T), A),
    "dot 3 3": (lambda x: anp.dot(B, x), _random.normal(size=(2, 5, 3))),
    "dot of a number": (lambda x: anp.dot(2.0, x), A),
    "eigh": (lambda x: la.eigh(x + x.T)[0], S),
    "eigh of equal eigenvalues": (lambda x: la.eigh(x)[0][:1] * V, np.eye(4)),
    "eigh vectors": (lambda x: la.eigh(x + x.T)[1] ** 2, S),
    "einsum": (lambda x: anp.einsum("ij,jk,i->k", x, M, A[:, 0]), A),
    "einsum ellipsis": (lambda x: anp.einsum("...ij,jk->...ik", x, M), B),
    "einsum implicit": (lambda x: anp.einsum("ij,jk", x, M), A),
    "einsum lists": (lambda x: anp.einsum(x, [0, 1], M, [1, 2], [0, 2]), A),
    "einsum trace": (lambda x: anp.einsum("ij->j", x), A),
    "expand_dims": (lambda x: anp.expand_dims(x, 1), V),
    "fft": (lambda x: anp.real(fft.fft(x)), V),
    "fft2": (lambda x: anp.real(fft.fft2(x)), S),
    "flip": (lambda x: anp.flipud(x) * anp.fliplr(x), A),
    "full": (lambda x: anp.full((5,), x[0]) * x, V),
    "gamma": (lambda x: scipy_special.gamma(anp.abs(x)), V),
    "get array": (lambda x: x[CHOSEN] ** 2, A),
    "get array column": (lambda x: x[:, CHOSEN] ** 2, A),
    "get arrays": (lambda x: x[CHOSEN, CHOSEN], A),
    "get arrays apart": (lambda x: x[CHOSEN % 2, :, CHOSEN], T),
    "get ellipsis": (lambda x: x[..., 1] * x[..., 0], T),
    "get list": (lambda x: x[[0, 2]], A),
    "get mask": (lambda x: x[A > 0] ** 2, A),
    "get none": (lambda x: x[:, None, 1] * x[0], A),
    "get slice": (lambda x: x[1:] * x[:-1], A),
    "gradient": (anp.gradient, V),
    "independent": (lambda x: np.ones(5) + 0 * x, V),
    "inner": (lambda x: anp.inner(x, A), V),
    "inv": (la.inv, S),
    "kron": (lambda x: anp.kron(x, A[:2, :2]), V[:4].reshape(2, 2)),
    "linspace": (lambda x: anp.linspace(x[0], x[1], 7), V),
    "logsumexp": (lambda x: scipy_special.logsumexp(x, axis=1), A),
    "matmul 1 1": (lambda x: (x @ x) * V, V),
    "matmul 1 2": (lambda x: x @ M, V),
    "matmul 2 1": (lambda x: A @ x, V),
    "matmul 2 1 left": (lambda x: x @ V, A),
    "matmul 2 2": (lambda x: x @ x.T @ x, A),
    "matmul 2 3": (lambda x: A @ x, _random.normal(size=(2, 5, 3))),
    "matmul 3 1": (lambda x: x @ V, B),
    "matmul 3 3": (lambda x: B @ x, _random.normal(size=(2, 5, 3))),
    "max": (lambda x: anp.max(x, axis=1), A),
    "maximum": (lambda x: anp.maximum(x, 0.3) * anp.minimum(x, x[0]), A),
    "mean": (lambda x: x - anp.mean(x, axis=0, keepdims=True), A),
    "moveaxis": (lambda x: anp.moveaxis(x, 0, -1), T),
    "nan_to_num": (anp.nan_to_num, V),
    "norm": (lambda x: la.norm(x, axis=1), A),
    "norm.logpdf": (lambda x: scipy_stats.norm.logpdf(x, 0.0, 1.0), V),
    "outer": (lambda x: anp.outer(x, x), V),
    "pad": (lambda x: anp.pad(x, ((1, 2), (0, 1)), mode="constant"), A),
    "pinv": (la.pinv, A),
    "power": (lambda x: anp.power(anp.abs(x), 1.5) + 2.0**x, A),
    "prod": (lambda x: anp.prod(x, axis=1), A),
    "repeat": (lambda x: anp.repeat(x, 3, axis=1) * 2, A),
    "reshape in order F": (lambda x: anp.reshape(x, (5, 4), order="F"), A),
    "roll": (lambda x: anp.roll(x, 2, axis=1) * anp.roll(x, 1), A),
    "rollaxis": (lambda x: anp.rollaxis(x, 2, 0), T),
    "rot90": (anp.rot90, A),
    "slogdet": (lambda x: la.slogdet(x)[1] * V, S),
    "solve": (lambda x: la.solve(x, A), S),
    "solve right": (lambda x: la.solve(S, x), A),
    "solve vector": (lambda x: la.solve(S, x), V[:4]),
    "solve_triangular": (lambda x: scipy_linalg.solve_triangular(np.tril(S), x, lower=True), A),
    "sort": (anp.sort, V),
    "split": (lambda x: anp.concatenate(anp.split(x, 2, axis=0)[::-1]), A),
    "split in places": (lambda x: anp.split(x, [1, 3])[1] ** 2, A),
    "squeeze": (lambda x: anp.squeeze(x[None], axis=0) * 2, A),
    "stack": (lambda x: anp.stack([x, x**2, np.ones(5)], axis=1), V),
    "std": (lambda x: anp.std(x, axis=1), A),
    "sum": (lambda x: anp.sum(x**2, axis=(0, 2)), T),
    "sum keepdims": (lambda x: x * anp.sum(x, axis=1, keepdims=True), A),
    "sum of all": (lambda x: anp.sum(x) * x, V),
    "svd": (lambda x: la.svd(x, full_matrices=False)[1], A),
    "swapaxes": (lambda x: anp.swapaxes(x, 0, 2), T),
    "tensordot": (lambda x: anp.tensordot(T, x, ([1, 2], [0, 1])), _random.normal(size=(3, 4, 2))),
    "tensordot 0": (lambda x: anp.tensordot(x, V, 0), V),
    "tensordot permuted": (lambda x: anp.tensordot(T, x, ([2, 0], [0, 1])), _random.normal(size=(4, 2, 3))),
    "tile": (lambda x: anp.tile(x, (2, 3)), A),
    "trace": (lambda x: anp.trace(x) * V, S),
    "transpose": (lambda x: anp.transpose(x, (2, 0, 1)), T),
    "triangle": (lambda x: anp.tril(x) + anp.triu(x, 1) ** 2, S),
    "tuple": (lambda x: builtins.tuple((x * 2, x**2))[1], V),
    "var": (lambda x: anp.var(x, axis=0), A),
    "where": (lambda x: anp.where(V > 0, x, x**2), V),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_autograd_agree_on_all_paths(name: str) -> None:
    f, x = OPERATIONS[name]
    assert_paths_agree(f, x)
    assert_paths_agree(f, x, chunk_size=3)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name, (_, x) in OPERATIONS.items() if x.size <= 20])
def test_second_derivatives_agree_on_all_paths(name: str) -> None:
    f, x = OPERATIONS[name]
    assert_paths_agree(f, x, order=2, tolerance=1e-7)


def test_most_operations_are_not_looped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    looped: dict[str, set[str]] = {}
    for module in (batched, dense):
        monkeypatch.setattr(module, "each_row", lambda call: looped[name].add(call.fun.__name__) or 1 / 0)
    for name in OPERATIONS.keys() - LOOPED:
        f, x = OPERATIONS[name]
        looped[name] = set()
        jacobian(f, "batched")(x)
    assert {name: functions for name, functions in looped.items() if functions} == {}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_rule_fails_on_a_batch_but_by_saying_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "_NOT_FOR_BATCHES", CannotBatchError)
    f, x = OPERATIONS[name]
    monkeypatch.setattr(jacobians, "_one_by_one", lambda *_: pytest.fail("the batch has failed"))
    jacobian(f, "batched")(x)
    monkeypatch.setattr(jacobians, "dense_identity_rows", lambda *_: pytest.fail("the sparse batch has failed"))
    jacobian(f, "structured")(x)


LOOPED = {
    *("convolve", "cross", "diag of a matrix", "einsum lists", "fft2", "gradient", "reshape in order F", "rot90"),
    "solve_triangular",
}


# ---- compositions ----------------------------------------------------------------------------------------------------

STEPS: dict[str, Function] = {
    "tanh": anp.tanh,
    "square": lambda x: x * x,
    "scale": lambda x: 0.5 * x - 1,
    "shift": lambda x: anp.roll(x, 1),
    "reverse": lambda x: x[::-1],
    "neighbours": lambda x: x[1:] * x[:-1] if len(x) > 1 else x,
    "doubled": lambda x: anp.concatenate([x, anp.sin(x)]),
    "repeated": lambda x: x[np.arange(len(x)).repeat(2)],
    "outer": lambda x: (x[:, None] - x[None, :3])[:, 0],
    "matrix": lambda x: np.cos(np.arange(3 * len(x))).reshape(3, len(x)).astype(x.dtype) @ x,
    "pairs": lambda x: anp.sum(anp.reshape(anp.concatenate([x, x]), (2, -1)), axis=0),
    "mean": lambda x: x - anp.mean(x),
    "where": lambda x: anp.where(np.arange(len(x)) % 2 == 0, x, 0 * x),
    "clipped": lambda x: anp.maximum(x, 0.1),
    "stacked": lambda x: anp.stack([x, 2 * x], axis=1)[:, 1],
    "cumulative": anp.cumsum,
}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    size=st.integers(1, 7),
    dtype=st.sampled_from([np.float64, np.float32]),
    chunk_size=st.sampled_from([None, 2]),
)
def test_compositions_agree_on_all_paths(steps: list[str], size: int, dtype: Any, chunk_size: int | None) -> None:
    def f(x: Array) -> Array:
        for step in steps:
            x = STEPS[step](x)
        return x

    x = np.linspace(-0.7, 0.9, size).astype(dtype)
    assert_paths_agree(f, x, tolerance=1e-9 if dtype == np.float64 else 1e-3, chunk_size=chunk_size)


@settings(max_examples=25, deadline=None)
@given(shape=st.lists(st.integers(0, 3), max_size=3), axis=st.integers(-3, 2), keepdims=st.booleans())
def test_reductions_agree_for_every_shape_and_axis(shape: list[int], axis: int, keepdims: bool) -> None:
    x = np.cos(np.arange(float(math.prod(shape)))).reshape(shape)
    chosen = axis if -len(shape) <= axis < len(shape) else None
    assert_paths_agree(lambda x: anp.sum(x * x, axis=chosen, keepdims=keepdims), x)


# ---- rules from elsewhere --------------------------------------------------------------------------------------------


def doubling(rule: Function) -> Function:
    """Make a primitive that doubles an array, with the derivative rule given."""

    @primitive
    def double(x: Array) -> Array:
        return 2 * x

    defvjp(double, lambda ans, x: rule)
    return double


RULES: dict[str, Function] = {
    "raw NumPy": lambda g: np.multiply(np.asarray(g), 2.0),
    "a branch": lambda g: 2 * g if np.any(g) else np.zeros_like(g),
    "a number": lambda g: 2 * g * (1.0 + 0 * float(np.sum(g))),
    "a list": lambda g: np.array([2 * float(each) for each in g]),
    "the value": lambda g: 2 * getval(g),
    "a comparison": lambda g: np.where(g > 0, 2 * g, 2 * g),
    "the first element": lambda g: 2 * g if g[0] else g + g,
    "in place": lambda g: np.multiply(g, 2, out=g),
    "argmax": lambda g: np.eye(len(g))[np.argmax(g)] * 2,
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", RULES)
def test_a_rule_from_elsewhere_is_given_one_cotangent_at_a_time(name: str, path: str) -> None:
    double = doubling(RULES[name])
    found = jacobian(lambda x: double(anp.tanh(x)), path)(np.zeros(6))
    assert np.array_equal(found, 2 * np.eye(6))


def test_a_rule_that_replaces_one_of_autograds_is_not_taken_for_it() -> None:
    @primitive
    def halved(x: Array) -> Array:
        return x / 2

    core_defvjp(halved, lambda ans, x: lambda g: g / 2 if g.any() else g)
    for path in PATHS:
        assert np.array_equal(jacobian(halved, path)(np.ones(5)), np.eye(5) / 2)


@pytest.mark.parametrize("path", PATHS)
def test_a_gradient_that_autograd_broadcasts_is_broadcast_within_its_row(path: str) -> None:
    of_first = doubling(lambda g: g[0])
    right = np.eye(3)
    right[0] += 1
    assert np.array_equal(jacobian(lambda x: of_first(x) + x, path)(np.ones(3)), right)
    of_two = jacobian(lambda x: (of_first(x) + x, anp.tanh(x * 0)), path)(np.ones(3))
    assert np.array_equal(of_two[0], right)


def test_an_error_in_a_rule_is_raised_as_it_is() -> None:
    def fail(g: Array) -> Array:
        raise ZeroDivisionError("no derivative here")

    for path in PATHS:
        with pytest.raises(ZeroDivisionError, match="no derivative here"):
            jacobian(doubling(fail), path)(np.ones(6))


# ---- outputs and inputs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_trees_of_outputs_and_inputs(path: str) -> None:
    def f(p: Any) -> Any:
        return {"product": p["a"] * p["b"], "sums": (anp.sum(p["a"]), p["b"][::-1]), "constant": np.ones(2)}

    a, b = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    found = jacobian(f, path)({"a": a, "b": b})
    assert np.array_equal(found["product"]["a"], np.diag(b))
    assert np.array_equal(found["product"]["b"], np.diag(a))
    assert np.array_equal(found["sums"][0]["a"], np.ones(5))
    assert np.array_equal(found["sums"][0]["b"], np.zeros(5))
    assert np.array_equal(found["sums"][1]["b"], np.eye(5)[::-1])
    assert np.array_equal(found["constant"]["a"], np.zeros((2, 5)))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_each_block_has_memory_of_its_own(path: str, chunk_size: int | None) -> None:
    x = np.arange(6.0)
    of_x, of_y = jacobian(lambda x, y: x + y, path, argnums=(0, 1), chunk_size=chunk_size)(x, x)
    of_x += 1
    assert np.array_equal(of_y, np.eye(6))
    of_sum = jacobian(lambda x: anp.sum(anp.reshape(x, (2, 3)), axis=0), path, chunk_size=chunk_size)(x)
    of_sum[0, 0] += 1
    assert of_sum.sum() == 7.0
    assert np.array_equal(x, np.arange(6.0))


@pytest.mark.parametrize("path", PATHS)
def test_a_matrix_of_the_user_is_not_written_to(path: str) -> None:
    matrix = np.arange(30.0).reshape(6, 5)
    kept = matrix.copy()
    found = jacobian(lambda x: matrix @ x + matrix @ x, path)(np.ones(5))
    found += 1
    assert np.array_equal(matrix, kept)
    assert np.array_equal(found, 2 * kept + 1)


@pytest.mark.parametrize("path", PATHS)
def test_scalars_and_empty_arrays(path: str) -> None:
    assert jacobian(lambda x: x**2, path)(np.float64(3.0)) == 6.0
    assert jacobian(lambda x: x[:0], path)(np.ones(6)).shape == (0, 6)
    assert jacobian(lambda x: anp.concatenate([x, np.ones(6)]), path)(np.ones(0)).shape == (6, 0)
    assert np.array_equal(jacobian(lambda x: anp.stack([x] * 6), path)(np.array(2.0)), np.ones(6))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes_are_kept_on_all_paths(dtype: Any) -> None:
    x = np.linspace(-1, 1, 6).astype(dtype)
    tolerance = {np.float16: 1e-2, np.float32: 1e-5, np.float64: 1e-12}[dtype]
    assert_paths_agree(lambda x: anp.tanh(x)[::-1] * x + anp.mean(x), x, tolerance=tolerance)


@pytest.mark.parametrize("path", PATHS)
def test_holomorphic_functions_have_complex_derivatives(path: str) -> None:
    z = np.linspace(0.3, 1, 6) + 1j * np.linspace(-1, 0.5, 6)
    found = jacobian(lambda z: anp.exp(z) * z[::-1] + 1j * z, path, holomorphic=True)(z)
    expected = np.diag(np.exp(z) * z[::-1] + 1j) + np.diag(np.exp(z))[:, :] @ np.eye(6)[::-1]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("path", PATHS)
def test_real_functions_of_complex_numbers(path: str) -> None:
    z = np.linspace(0.3, 1, 6) + 1j * np.linspace(-1, 0.5, 6)
    found = jacobian(lambda z: anp.real(z * anp.conj(z)) + anp.imag(z), path)(z)
    np.testing.assert_allclose(found, np.diag(2 * z.conj() - 1j))


@pytest.mark.parametrize("path", PATHS)
def test_a_real_input_takes_the_real_part_of_what_was_complex_on_the_way(path: str) -> None:
    x = np.linspace(0.1, 1, 6)
    found = jacobian(lambda x: anp.real(anp.exp(1j * x) * (2 + 1j)), path)(x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.diag(np.real(1j * np.exp(1j * x) * (2 + 1j))))


# ---- nesting and threads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_third_derivatives(path: str) -> None:
    third = jacobian(jacobian(jacobian(lambda x: x**4, path), path), path)
    x = np.array([1.0, 2.0, 3.0])
    expected = np.zeros((3, 3, 3, 3))
    expected[(np.arange(3),) * 4] = 24 * x
    np.testing.assert_allclose(third(x), expected)


@pytest.mark.parametrize("path", PATHS)
def test_a_jacobian_whose_function_closes_over_a_traced_array(path: str) -> None:
    def outer(w: Array) -> Array:
        return jacobian(lambda x: anp.where(x > 0, anp.dot(x, np.eye(5)) * w, w[::-1] * x), path)(np.ones(5))

    w = np.arange(5.0)
    expected = np.zeros((5, 5, 5))
    expected[(np.arange(5),) * 3] = 1.0
    assert np.array_equal(jacobian(outer, path)(w), expected)


def test_threads_with_nested_derivatives() -> None:
    points = [np.linspace(0.1, 1 + k, 6) for k in range(8)]

    def f(x: Array) -> Array:
        return anp.sum(anp.tanh(x[:, None] * x[None, :]) ** 2, axis=1)

    second = {path: jacobian(jacobian(f, path), path) for path in PATHS}
    expected = [second["loop"](x) for x in points]
    with ThreadPoolExecutor(8) as pool:
        for path in FAST:
            for found, right in zip(pool.map(second[path], points * 3), expected * 3, strict=True):
                np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


# ---- which way is taken ----------------------------------------------------------------------------------------------


def test_a_large_diagonal_is_computed_at_once_and_sparsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobians, "_together", lambda *_: pytest.fail("dense seeds were made"))
    x = np.linspace(-1, 1, 300)
    found = jacrev(lambda x: anp.tanh(x) + anp.roll(x, 1), backend=AutogradBackend())(x)
    expected = np.diag(1 - np.tanh(x) ** 2)
    expected[np.arange(300), np.arange(-1, 299)] += 1
    np.testing.assert_allclose(found, expected)


def test_sums_along_an_axis_stay_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparseRows, "dense", lambda *_: pytest.fail("rows were made dense"))
    x = np.linspace(-1, 1, 600)
    found = jacrev(lambda x: anp.sum(anp.tanh(anp.reshape(x, (200, 3))), axis=1), backend=AutogradBackend())(x)
    expected = np.repeat(np.eye(200), 3, axis=1) * (1 - np.tanh(x) ** 2)
    np.testing.assert_allclose(found, expected)


def test_rows_that_become_dense_beyond_the_limit_are_computed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobians, "_DENSE_LIMIT", 1000)
    x = np.linspace(-1, 1, 150)
    found = jacrev(lambda x: anp.cumsum(anp.tanh(anp.cumsum(x))), backend=AutogradBackend())(x)
    lower = np.tri(150)
    np.testing.assert_allclose(found, lower @ np.diag(1 - np.tanh(np.cumsum(x)) ** 2) @ lower, atol=1e-12)


def test_a_forced_loop_makes_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "pull_back", lambda *_: pytest.fail("a batch was made"))
    assert np.array_equal(jacobian(lambda x: x * 2, "loop")(np.ones(6)), 2 * np.eye(6))


def test_rows_are_chosen_to_fit_into_the_cache() -> None:
    backend = AutogradBackend()
    assert backend.rows_at_once(10**6) == 64
    assert backend.rows_at_once(256) * 256 * 8 == 2**21


def test_the_function_runs_once() -> None:
    runs = []

    def f(x: Array) -> Array:
        runs.append(1)
        return x * 2

    anyjac.jacrev(f)(np.ones(200))
    assert runs == [1]


def test_with_a_device_arrays_of_subclasses_are_plain_ones() -> None:
    found = jacrev(lambda x: x * x, device="cpu")(np.ma.array([1.0, 2.0], mask=[False, False]))
    assert np.array_equal(found, [[2.0, 0.0], [0.0, 4.0]])
