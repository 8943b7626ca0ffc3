"""autograd's array-API namespace: every function of its tables against central differences, all else refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac_autograd import traced
from anyjac_autograd.backend import AutogradBackend

XP = anyjac.get_backend("autograd").namespace
LINALG = XP.linalg

VECTOR = np.array([0.31, -0.72, 0.55, 1.27])
POSITIVE = np.array([0.31, 0.72, 0.55, 1.27])
SMALL = np.array([0.31, -0.72, 0.55, 0.11])
MATRIX = np.array([[2.1, 0.3, -0.4], [0.2, 1.7, 0.5], [-0.3, 0.6, 1.9]])
BATCH = np.stack([MATRIX, MATRIX.T + 0.1 * np.eye(3)])
OTHER = np.array([1.3, 0.4, -0.9, 0.2])

UNARY: dict[str, np.ndarray] = {
    "abs": VECTOR,
    "acos": SMALL,
    "acosh": POSITIVE + 1,
    "asin": SMALL,
    "asinh": VECTOR,
    "atan": VECTOR,
    "atanh": SMALL,
    "conj": VECTOR,
    "cos": VECTOR,
    "cosh": VECTOR,
    "exp": VECTOR,
    "expm1": VECTOR,
    "imag": VECTOR,
    "log": POSITIVE,
    "log10": POSITIVE,
    "log1p": POSITIVE,
    "log2": POSITIVE,
    "negative": VECTOR,
    "positive": VECTOR,
    "real": VECTOR,
    "reciprocal": VECTOR,
    "sin": VECTOR,
    "sinh": VECTOR,
    "sqrt": POSITIVE,
    "square": VECTOR,
    "tan": VECTOR,
    "tanh": VECTOR,
}

BINARY = ("add", "atan2", "divide", "hypot", "logaddexp", "maximum", "minimum", "multiply", "subtract")

OTHERS: dict[str, list[tuple[Callable[[Any], Any], np.ndarray]]] = {
    "asarray": [(lambda x: XP.asarray([x[0], [x[1]][0], 2.0]), VECTOR), (XP.asarray, VECTOR)],
    "astype": [(lambda x: XP.astype(x, XP.float64), VECTOR), (lambda x: XP.real(XP.astype(x, XP.complex128)), VECTOR)],
    "broadcast_arrays": [(lambda x: XP.broadcast_arrays(x, np.zeros((2, 1)))[0], VECTOR)],
    "broadcast_to": [(lambda x: XP.broadcast_to(x, (2, 4)), VECTOR)],
    "clip": [
        (lambda x: XP.clip(x, min=-0.5, max=0.5), VECTOR),
        (lambda x: XP.clip(x, min=x * x - 0.3), VECTOR),
        (lambda x: XP.clip(x, max=x * x), VECTOR),
    ],
    "concat": [
        (lambda x: XP.concat([x, 2 * x, OTHER]), VECTOR),
        (lambda x: XP.concat([x, x * x], axis=1), MATRIX),
        (lambda x: XP.concat([x, x[0]], axis=None), MATRIX),
    ],
    "cumulative_sum": [
        (XP.cumulative_sum, VECTOR),
        (lambda x: XP.cumulative_sum(x, axis=-1, include_initial=True), MATRIX),
    ],
    "diff": [
        (XP.diff, VECTOR),
        (lambda x: XP.diff(x, axis=0, n=2), MATRIX),
        (lambda x: XP.diff(x, append=x[:1]), VECTOR),
    ],
    "expand_dims": [(lambda x: XP.expand_dims(x, axis=1), VECTOR)],
    "flip": [(XP.flip, MATRIX), (lambda x: XP.flip(x, axis=-1), MATRIX)],
    "matmul": [(lambda x: XP.matmul(x, x), MATRIX), (lambda x: XP.matmul(x, x[0, :, 0]), BATCH)],
    "matrix_transpose": [(XP.matrix_transpose, BATCH), (lambda x: x.mT @ x, BATCH)],
    "max": [(XP.max, VECTOR), (lambda x: XP.max(x, axis=1, keepdims=True), MATRIX)],
    "mean": [(XP.mean, VECTOR), (lambda x: XP.mean(x, axis=(0, 1)), BATCH)],
    "min": [(XP.min, VECTOR), (lambda x: XP.min(x, axis=0), MATRIX)],
    "moveaxis": [(lambda x: XP.moveaxis(x, 0, -1), BATCH)],
    "permute_dims": [(lambda x: XP.permute_dims(x, (2, 0, 1)), BATCH)],
    "pow": [(lambda x: XP.pow(x, 3), VECTOR), (lambda x: XP.pow(x, x + 1), POSITIVE), (lambda x: x**2.5, POSITIVE)],
    "prod": [
        (XP.prod, VECTOR),
        (XP.prod, np.array([0.0, 2.0, 3.0])),
        (lambda x: XP.prod(x, axis=(0, 2), keepdims=True), BATCH),
    ],
    "remainder": [(lambda x: XP.remainder(x, 0.4), VECTOR)],
    "repeat": [(lambda x: XP.repeat(x, 3), VECTOR), (lambda x: XP.repeat(x, 2, axis=1), MATRIX)],
    "reshape": [(lambda x: XP.reshape(x, (3, -1)), BATCH)],
    "roll": [(lambda x: XP.roll(x, 1), MATRIX), (lambda x: XP.roll(x, (1, -1), axis=(0, 1)), MATRIX)],
    "sort": [(XP.sort, VECTOR), (lambda x: XP.sort(x, axis=0, descending=True), MATRIX)],
    "squeeze": [(lambda x: XP.squeeze(x[:, None, :], axis=1), MATRIX)],
    "stack": [(lambda x: XP.stack([x, x * x], axis=-1), VECTOR)],
    "std": [(lambda x: XP.std(x, correction=1), VECTOR), (lambda x: XP.std(x, axis=1, keepdims=True), MATRIX)],
    "sum": [(XP.sum, VECTOR), (lambda x: XP.sum(x, axis=1), MATRIX), (lambda x: XP.sum(x, dtype=XP.float64), VECTOR)],
    "take": [
        (lambda x: XP.take(x, np.array([2, 0, 2])), VECTOR),
        (lambda x: XP.take(x, np.array([1, 1]), axis=1), MATRIX),
    ],
    "take_along_axis": [(lambda x: XP.take_along_axis(x, np.array([[0, 2], [1, 1], [2, 0]]), axis=1), MATRIX)],
    "tensordot": [
        (lambda x: XP.tensordot(x, x, axes=1), MATRIX),
        (lambda x: XP.tensordot(x, x, axes=((0,), (1,))), MATRIX),
    ],
    "tile": [(lambda x: XP.tile(x, (2, 2)), VECTOR)],
    "tril": [(lambda x: XP.tril(x, k=-1), BATCH)],
    "triu": [(lambda x: XP.triu(x, k=1), BATCH)],
    "unstack": [(lambda x: XP.unstack(x, axis=1)[2], MATRIX)],
    "var": [(lambda x: XP.var(x, correction=1), VECTOR), (lambda x: XP.var(x, axis=0), MATRIX)],
    "vecdot": [(lambda x: XP.vecdot(x, x * x), MATRIX), (lambda x: XP.vecdot(x, OTHER), VECTOR)],
    "where": [(lambda x: XP.where(x > 0, x * x, 3 * x), VECTOR), (lambda x: XP.where(x > 0, x, 1.0), VECTOR)],
}

LINEAR_ALGEBRA: dict[str, list[tuple[Callable[[Any], Any], np.ndarray]]] = {
    "cholesky": [
        (lambda x: LINALG.cholesky(x @ x.mT), MATRIX),
        (lambda x: LINALG.cholesky(x @ x.mT, upper=True), BATCH),
    ],
    "det": [(LINALG.det, MATRIX)],
    "diagonal": [(LINALG.diagonal, BATCH), (lambda x: LINALG.diagonal(x, offset=-1), MATRIX)],
    "eigh": [(lambda x: LINALG.eigh(x + x.mT).eigenvalues, MATRIX)],
    "inv": [(LINALG.inv, MATRIX), (LINALG.inv, BATCH)],
    "outer": [(lambda x: LINALG.outer(x, x), VECTOR)],
    "slogdet": [(lambda x: LINALG.slogdet(x).logabsdet, MATRIX)],
    "solve": [
        (lambda x: LINALG.solve(x, x[0]), MATRIX),
        (lambda x: LINALG.solve(x, x @ x), BATCH),
        (lambda x: LINALG.solve(MATRIX, x), MATRIX),
    ],
    "trace": [(LINALG.trace, BATCH), (lambda x: LINALG.trace(x, offset=1), MATRIX)],
    "vector_norm": [(LINALG.vector_norm, VECTOR), (lambda x: LINALG.vector_norm(x, axis=1), MATRIX)],
}


def _bodies() -> list[tuple[str, Callable[[Any], Any], np.ndarray]]:
    unary = [(name, getattr(XP, name), point) for name, point in UNARY.items()]
    binary = [
        (name, body, VECTOR)
        for name in BINARY
        for f in [getattr(XP, name)]
        for body in (lambda x, f=f: f(x, OTHER), lambda x, f=f: f(OTHER, x), lambda x, f=f: f(x, x * x))
    ]
    others = [(name, *case) for table in (OTHERS, LINEAR_ALGEBRA) for name, cases in table.items() for case in cases]
    return unary + binary + others


def _central_differences(function: Callable[[Any], Any], point: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Differentiate with the central formula of sixth order (Fornberg, Math. Comp. 51, 1988)."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    columns = []
    for index in np.ndindex(point.shape):
        direction = np.zeros(point.shape)
        direction[index] = step
        pairs = ((w, function(point + k * direction), function(point - k * direction)) for k, w in weights.items())
        columns.append(np.asarray(sum(w * (ahead - behind) for w, ahead, behind in pairs)) / step)
    stacked = np.stack(columns, axis=-1)
    return stacked.reshape(*stacked.shape[:-1], *point.shape)


@pytest.mark.parametrize(("name", "body", "point"), _bodies(), ids=lambda case: case if isinstance(case, str) else "")
def test_a_function_of_the_standard_has_the_right_first_and_second_derivative(
    name: str, body: Callable[[Any], Any], point: np.ndarray
) -> None:
    first = anyjac.jacrev(body)
    second = anyjac.jacrev(first)
    assert np.allclose(first(point), _central_differences(body, point), rtol=1e-8, atol=1e-8)
    assert np.allclose(second(point), _central_differences(first, point), rtol=1e-7, atol=1e-7)


def test_every_entry_of_the_tables_is_tested() -> None:
    assert set(UNARY) | set(BINARY) | set(OTHERS) == set(traced.MAIN)
    assert set(LINEAR_ALGEBRA) | {"matmul", "matrix_transpose", "tensordot", "vecdot"} == set(traced.LINALG)


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "can_cast": (XP.float64,),
    "equal": (OTHER,),
    "floor_divide": (OTHER,),
    "greater": (OTHER,),
    "greater_equal": (OTHER,),
    "less": (OTHER,),
    "less_equal": (OTHER,),
    "logical_and": (True,),
    "logical_or": (True,),
    "logical_xor": (True,),
    "not_equal": (OTHER,),
    "searchsorted": (OTHER,),
}


@pytest.mark.parametrize("name", sorted(traced.CONSTANT - {"isdtype", "finfo", "iinfo"}))
def test_a_function_that_is_constant_almost_everywhere_gives_what_it_gives_for_plain_arrays(name: str) -> None:
    function = getattr(XP, name)
    rest = ARGUMENTS.get(name, ())
    point = np.sort(VECTOR) if name == "searchsorted" else VECTOR
    seen: list[Any] = []

    def body(x: Any) -> Any:
        seen.append(function(x > 0 if name.startswith("logical") else x, *rest))
        return x

    anyjac.jacrev(body)(point)
    plain = function(point > 0 if name.startswith("logical") else point, *rest)
    if name != "empty_like":
        assert str(seen[0]) == str(plain)


UNSUPPORTED: dict[str, Callable[[Any], Any]] = {
    "cumulative_prod": lambda x: XP.cumulative_prod(x),
    "copysign": lambda x: XP.copysign(x, OTHER),
    "nextafter": lambda x: XP.nextafter(x, OTHER),
    "meshgrid": lambda x: XP.meshgrid(x, x),
    "linspace": lambda x: XP.linspace(x[0], x[1], 3),
    "repeat": lambda x: XP.repeat(x, np.array([1, 2, 1, 1])),
    "vector_norm": lambda x: LINALG.vector_norm(x, ord=1),
    "svd": lambda x: LINALG.svd(XP.reshape(x, (2, 2))),
    "qr": lambda x: LINALG.qr(XP.reshape(x, (2, 2))),
    "cross": lambda x: LINALG.cross(x[:3], x[1:]),
    "rfft": lambda x: XP.fft.rfft(x),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_function_without_a_derivative_here_is_refused_by_name(name: str) -> None:
    with pytest.raises(anyjac.NotSupportedError, match=name):
        anyjac.jacrev(UNSUPPORTED[name])(VECTOR)


def test_plain_arrays_get_what_array_api_compat_gives() -> None:
    assert np.array_equal(XP.linalg.svdvals(MATRIX), np.linalg.svd(MATRIX, compute_uv=False))
    assert np.array_equal(XP.fft.fft(VECTOR), np.fft.fft(VECTOR))
    assert np.array_equal(XP.cumulative_prod(VECTOR), np.cumprod(VECTOR))


def test_boxes_have_the_attributes_of_an_array_of_the_standard() -> None:
    def body(x: Any) -> Any:
        assert x.__array_namespace__() is XP
        assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((3, 3), 2, 9, np.dtype(float), "cpu")
        assert x.to_device("cpu") is x
        return (+x).mT

    anyjac.jacrev(body)(MATRIX)


def test_making_the_backend_twice_changes_nothing() -> None:
    AutogradBackend()
    assert anyjac.jacrev(lambda x: XP.sin(x))(0.0) == 1.0
