"""`associative_scan` against running sums, products of matrices and linear recurrences, on every backend."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Backend, Variable

NUMBERS = np.array([0.5, -1.0, 2.0, 0.25, 1.5, -0.75, 1.25])


def after(first: Any, second: Any) -> Any:
    """Return the composition of two linear functions."""
    return {"a": first["a"] * second["a"], "b": second["a"] * first["b"] + second["b"]}


@pytest.mark.parametrize("count", range(1, 8))
@pytest.mark.parametrize("reverse", [False, True])
def test_sums_up_to_each_element_are_running_sums(backend: Backend, count: int, reverse: bool) -> None:
    x = NUMBERS[:count]
    found = anyjac.associative_scan(lambda a, b: a + b, backend.asarray(x), reverse=reverse)
    expected = np.cumsum(x[::-1])[::-1] if reverse else np.cumsum(x)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-6)


def test_no_elements_are_returned_as_they_are(backend: Backend) -> None:
    found = anyjac.associative_scan(lambda a, b: a + b, backend.asarray(np.zeros((0, 2))))
    assert tuple(found.shape) == (0, 2)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_products_of_matrices_keep_their_order(backend: Backend, axis: int, reverse: bool) -> None:
    matrices = np.random.default_rng(0).normal(size=(5, 2, 2))
    place = {0: 0, 1: 1, -1: 2}[axis]

    def product(first: Any, second: Any) -> Any:
        xp = anyjac.array_namespace(first)
        first, second = xp.moveaxis(first, place, 0), xp.moveaxis(second, place, 0)
        return xp.moveaxis(second @ first if reverse else first @ second, 0, place)

    given = backend.asarray(np.ascontiguousarray(np.moveaxis(matrices, 0, place)))
    found = np.moveaxis(backend.to_numpy(anyjac.associative_scan(product, given, reverse=reverse, axis=axis)), place, 0)
    for index in range(5):
        part = matrices[index:] if reverse else matrices[: index + 1]
        expected = np.eye(2)
        for matrix in part:
            expected = expected @ matrix
        np.testing.assert_allclose(found[index], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
def test_a_linear_recurrence_has_the_derivatives_of_its_loop(backend: Backend, transform: Any) -> None:
    factor = Variable(backend.asarray(np.array(0.5)), backend=backend)

    def combined(x: Any) -> Any:
        elements = {"a": factor.value + x * 0.0, "b": x}
        return anyjac.associative_scan(after, elements)["b"]

    def looped(x: Any) -> Any:
        return anyjac.scan(lambda s, y: (factor * s + y,) * 2, 0.0 * x[0], x)[1]

    x = backend.asarray(NUMBERS)
    for found, expected in zip(transform(combined, factor, 0)(x), transform(looped, factor, 0)(x), strict=True):
        np.testing.assert_allclose(backend.to_numpy(found), backend.to_numpy(expected), rtol=1e-5, atol=1e-6)


def test_it_runs_under_vmap_and_jit(backend: Backend) -> None:
    batch = backend.asarray(np.stack([NUMBERS, 2 * NUMBERS]))

    def sums(x: Any) -> Any:
        return anyjac.associative_scan(lambda a, b: a + b, x)

    for run in (anyjac.vmap(sums), anyjac.jit(anyjac.vmap(sums))):
        np.testing.assert_allclose(backend.to_numpy(run(batch)), np.cumsum([NUMBERS, 2 * NUMBERS], axis=1), rtol=1e-6)


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "another structure": (lambda a, b: (a, b), anyjac.OutputError, "returned the structure"),
    "another shape": (lambda a, b: a.sum(), (anyjac.OutputError, anyjac.InputValueError), "shape|no axis"),
    "a boolean": (lambda a, b: a > b, anyjac.OutputError, "the output of the function of associative_scan is bool"),
    "text": (lambda a, b: "text", anyjac.OutputError, "'text', of type str"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_like_the_elements_is_refused_by_name(backend: Backend, name: str) -> None:
    function, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        anyjac.associative_scan(function, backend.asarray(NUMBERS))


def test_elements_that_do_not_fit_are_refused_by_name(backend: Backend) -> None:
    x = backend.asarray(NUMBERS)
    with pytest.raises(anyjac.InputValueError, match=r"elems\['b'\] has 3 elements .* elems\['a'\] has 7"):
        anyjac.associative_scan(after, {"a": x, "b": x[:3]})
    with pytest.raises(anyjac.InputValueError, match=r"elems has shape \(7,\), and no axis 1"):
        anyjac.associative_scan(lambda a, b: a + b, x, axis=1)
    with pytest.raises(anyjac.InputTypeError, match="reverse is 1, of type int"):
        anyjac.associative_scan(after, x, reverse=1)  # type: ignore[arg-type]
    with pytest.raises(anyjac.InputValueError, match="elems has no arrays"):
        anyjac.associative_scan(after, {})


def test_a_write_in_it_is_refused_and_undone(backend: Backend) -> None:
    v = Variable(backend.asarray(np.array(1.0)), backend=backend, name="v")

    def counting(a: Any, b: Any) -> Any:
        v.value = v.value + 1.0
        return a + b

    with pytest.raises(anyjac.VariableWriteError, match="the function of associative_scan"):
        anyjac.associative_scan(counting, backend.asarray(NUMBERS))
    assert float(v.value) == 1.0
