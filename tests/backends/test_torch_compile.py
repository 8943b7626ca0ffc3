"""Derivatives of functions that `torch.compile` has compiled, whose backward pass has no derivative of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tests.helpers.threads import run_in_threads

import anyjac

X = torch.tensor([1.0, 2.0], dtype=torch.float64)
ONES = torch.ones_like(X)
ROWS, CURVATURE = torch.diag(3 * X**2), torch.diag(6 * X)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    torch.compiler.reset()


def cubes() -> Any:
    return torch.compile(lambda x: x**3, backend="aot_eager")


def total() -> Any:
    return torch.compile(lambda x: (x**3).sum(), backend="aot_eager")


CASES: dict[str, tuple[Callable[[], torch.Tensor], torch.Tensor]] = {
    "jacrev": (lambda: anyjac.jacrev(cubes())(X), ROWS),
    "jacfwd": (lambda: anyjac.jacfwd(cubes())(X), ROWS),
    "jvp": (lambda: anyjac.jvp(cubes())(ONES, X), 3 * X**2),
    "linearize": (lambda: anyjac.linearize(cubes())(X)(ONES), 3 * X**2),
    "vjp": (lambda: anyjac.vjp(cubes())(X)(ONES), 3 * X**2),
    "hessian": (lambda: anyjac.hessian(total())(X), CURVATURE),
    "hvp": (lambda: anyjac.hvp(total())(ONES, X), 6 * X),
    "rows of rows": (lambda: anyjac.jacrev(anyjac.jacrev(total()))(X), CURVATURE),
    "compiled at every level": (
        lambda: torch.compile(
            anyjac.jacrev(torch.compile(anyjac.jacrev(total()), backend="aot_eager")), backend="eager"
        )(X),
        CURVATURE,
    ),
    "columns of rows": (lambda: anyjac.jacfwd(anyjac.jacrev(total()))(X), CURVATURE),
    "rows of columns": (lambda: anyjac.jacrev(anyjac.jacfwd(total()))(X), CURVATURE),
    "rows of a pullback": (lambda: anyjac.jacrev(lambda x: anyjac.vjp(cubes())(x)(ONES))(X), CURVATURE),
    "third": (lambda: anyjac.jacrev(anyjac.hessian(total()))(X).sum((1, 2)), torch.full((2,), 6.0, dtype=X.dtype)),
    "mapped": (lambda: anyjac.vmap(anyjac.hessian(total()))(X[None])[0], CURVATURE),
    "compiled outside": (lambda: torch.compile(anyjac.hessian(total()), backend="aot_eager")(X), CURVATURE),
    "in a graph of the user's": (lambda: _in_a_graph(total()), CURVATURE),
}


def _in_a_graph(compiled: Any) -> torch.Tensor:
    x = X.clone().requires_grad_()
    slope = anyjac.jacrev(compiled)(x)
    return torch.stack([torch.autograd.grad(part, x, retain_graph=True)[0] for part in slope])


@pytest.mark.parametrize("case", CASES)
def test_a_derivative_of_a_compiled_function_is_right(case: str) -> None:
    compute, expected = CASES[case]
    for _ in range(2):
        torch.testing.assert_close(compute(), expected)


def test_a_compiled_function_is_compiled_again_when_no_derivative_of_its_derivative_is_taken_any_more() -> None:
    compiled = total()
    run_in_threads([lambda: anyjac.hessian(compiled)(X)] * 3)
    with pytest.raises(ZeroDivisionError):
        anyjac.hessian(lambda x: compiled(x) / (1 // 0))(X)
    compiled(X)
    assert torch.compiler.is_compiling() is False
    runs: list[bool] = []
    seen = torch.compile(lambda x: (runs.append(torch.compiler.is_compiling()), x * 2)[1], backend="eager")
    seen(X)
    assert runs == [True]
