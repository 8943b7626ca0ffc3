"""The page on singularities shows what each backend gives, its ways around are right, and `debug_nan` leads there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.helpers.repository import ROOT

import anyjac
from anyjac import NonFiniteError
from anyjac_conformance.singularities import SINGULARITIES, Singularity, found_by, gradient, tables

PAGE = (ROOT / "docs" / "singularities.rst").read_text()
COLUMNS = ("autograd", "jax", "torch")
WAYS = [each for each in SINGULARITIES if each.instead is not None]

by_text = pytest.mark.parametrize("each", WAYS, ids=lambda each: each.text)


def test_the_page_shows_what_a_backend_gives(backend: anyjac.Backend) -> None:
    first, second = tables(dict.fromkeys(COLUMNS, found_by(backend)))
    shown = PAGE.partition("\n\n")[2].partition("\n\n")[2]
    assert second in PAGE
    assert column(shown, backend.name) == column(first, backend.name)


def column(table: str, name: str) -> list[str]:
    """Return the cells of one column of a table that stands at the beginning of a text."""
    rule, heading, _, *lines = table.splitlines()
    assert heading.split() == ["function", *COLUMNS]
    start = heading.index(name)
    end = rule.find(" ", start)
    return [line[start : None if end < 0 else end].strip() for line in lines[: len(SINGULARITIES)]]


@by_text
def test_a_way_around_has_the_derivative_zero(backend: anyjac.Backend, each: Singularity) -> None:
    assert each.instead is not None
    np.testing.assert_allclose(gradient(backend, each.instead, each.point), np.zeros(each.point.shape), atol=1e-12)


@by_text
def test_a_way_around_is_the_same_function_elsewhere(backend: anyjac.Backend, each: Singularity) -> None:
    assert each.instead is not None
    away = np.arange(1.0, 1.0 + each.point.size).reshape(each.point.shape) / 4
    mine, theirs = (
        backend.to_numpy(f(backend.namespace, backend.asarray(away))) for f in (each.instead, each.function)
    )
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    slopes = [gradient(backend, f, away) for f in (each.instead, each.function)]
    np.testing.assert_allclose(*slopes, rtol=1e-9)


def test_second_derivatives_of_a_series_are_right_too(backend: anyjac.Backend) -> None:
    sinc: Any = next(each.instead for each in WAYS if each.text.startswith("sin"))
    curvature = anyjac.hessian(lambda x: sinc(backend.namespace, x), backend=backend)(backend.asarray(np.array(0.0)))
    np.testing.assert_allclose(backend.to_numpy(curvature), -1 / 3)


NOT_FINITE = [each for each in SINGULARITIES if each.text.startswith(("sqrt", "eigh", "hypot"))]
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda make, x: make(x),
    "jacfwd": lambda make, x: make(x),
    "vjp": lambda make, x: make(x)(x.sum() * 0 + 1),
    "jvp": lambda make, x: make(x * 0 + 1, x),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("each", NOT_FINITE, ids=lambda each: each.text)
@pytest.mark.parametrize("transform", CALLS)
def test_debug_nan_names_the_way(backend: anyjac.Backend, each: Singularity, transform: str) -> None:
    make = getattr(anyjac, transform)(lambda x: each.function(backend.namespace, x), argnums=0, debug_nan=True)
    title = PAGE.splitlines()[0]
    with pytest.raises(NonFiniteError, match=rf"output itself is finite: change the argument by where .*'{title}'"):
        CALLS[transform](make, backend.asarray(each.point))


def test_an_output_that_is_not_finite_has_no_way_around(backend: anyjac.Backend) -> None:
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        anyjac.grad(backend.namespace.log, debug_nan=True)(backend.asarray(np.array(0.0)))
    assert "change the argument" not in str(caught.value)
