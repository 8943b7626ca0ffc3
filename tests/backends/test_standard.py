"""The functions of the array API on every backend: each derivative is right, or refused where this list says so."""

import warnings
from typing import Any

import pytest
from tests.helpers.repository import ROOT

import anyjac
from anyjac_conformance import array_api
from anyjac_conformance.array_api import CONSTANT, TABLE, Body, check
from anyjac_conformance.array_api_points import DERIVATIVES, EDGES, EDGES_OF_PAIRS, NAMES, SHARED, check_points
from anyjac_conformance.verdicts import REFUSED, RIGHT, WRONG, Verdict

PAGE = ROOT / "docs" / "array-api.rst"

REFUSALS = {
    "autograd": (),
    "jax": (),
    "torch": (),
}
"""Functions without a derivative in a framework, which refuses them."""


def _bodies(name: str) -> list[Body]:
    return [*TABLE.get(name, []), *([CONSTANT[name]] if name in CONSTANT else [])]


def _expected(backend: str, name: str) -> list[str]:
    return [REFUSED if name in REFUSALS[backend] else RIGHT for _ in _bodies(name)]


def _verdict(backend: anyjac.Backend, name: str, body: Body) -> Verdict:
    """Check a body; on JAX in a compiled function, but for bodies that need to know their values."""
    compiled = backend.name == "jax"
    verdict = check(backend, name, body, compiled=compiled)
    return check(backend, name, body) if compiled and verdict.status == REFUSED else verdict


@pytest.mark.exhaustive_on("jax", "torch")
@pytest.mark.parametrize("name", sorted({*TABLE, *CONSTANT}))
def test_first_and_second_derivatives_are_right_or_refused(backend: anyjac.Backend, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of functions that it cannot batch
        verdicts = [_verdict(backend, name, body) for body in _bodies(name)]
    assert [verdict.status for verdict in verdicts] == _expected(backend.name, name), verdicts


@pytest.mark.exhaustive_on("jax")
@pytest.mark.parametrize("name", sorted(NAMES))
def test_derivatives_are_right_far_and_wide(backend: anyjac.Backend, name: str) -> None:
    verdicts = list(check_points(backend, name))
    assert {verdict.status for verdict in verdicts} == {RIGHT}, verdicts


@pytest.mark.parametrize(
    ("table", "name", "wrong"),
    [
        (DERIVATIVES, "sqrt", (lambda z, w: -0.5 / w, lambda z, w: -0.25 / w**3)),
        (EDGES, "exp", [(0.0, 0.0)]),
        (EDGES_OF_PAIRS, "hypot", [((3e200, 4e200), (0.6, 1.25))]),
        (EDGES_OF_PAIRS, "add", [((0.0, 0.0), SHARED)]),
    ],
)
def test_a_wrong_derivative_is_seen_far_and_wide(monkeypatch: Any, table: Any, name: str, wrong: Any) -> None:
    monkeypatch.setitem(table, name, wrong)
    assert WRONG in [verdict.status for verdict in check_points(anyjac.get_backend("numpy"), name)]


def test_the_page_shows_the_table_as_it_is() -> None:
    names = sorted({*TABLE, *CONSTANT})
    table = array_api.table({backend: {name: _expected(backend, name) for name in names} for backend in REFUSALS})
    assert table in PAGE.read_text()


def test_every_function_of_the_standard_is_in_the_table() -> None:
    namespace = anyjac.get_backend("numpy").namespace
    info = namespace.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"]
    listed = {name.rpartition(".")[2] for name in (*TABLE, *CONSTANT, *array_api.BY_NATURE)}
    assert set(STANDARD.split()) <= listed


STANDARD = """
abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or
bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor floor_divide
greater greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp
logical_and logical_not logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive
pow real reciprocal remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc asarray full
full_like linspace meshgrid ones_like tril triu zeros_like astype take take_along_axis matmul matrix_transpose
tensordot vecdot broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape
roll squeeze stack tile unstack argmax argmin count_nonzero nonzero searchsorted where unique_all
unique_counts unique_inverse unique_values argsort sort cumulative_prod cumulative_sum max mean min prod std
sum var all any diff cholesky cross det diagonal eigh eigvalsh inv matrix_norm matrix_power matrix_rank outer
pinv qr slogdet solve svd svdvals trace vector_norm fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft
fftshift ifftshift
"""
"""The functions of the standard, 2024.12, that take an array; creation from numbers, `dtypes` and DLPack left out."""
