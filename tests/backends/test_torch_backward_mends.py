"""Derivatives that PyTorch's own backward passes have wrong, or have not: right in every mode, or refused by name."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.helpers.forced_paths import forced
from tests.helpers.torch_functions import tensor
from torch.nn import functional

import anyjac
from anyjac_torch.backend import TorchBackend

Function = Callable[[torch.Tensor], torch.Tensor]

DUALS = forced(TorchBackend, "forward")


def eye(like: torch.Tensor) -> list[torch.Tensor]:
    return [row.reshape(like.shape) for row in torch.eye(like.numel(), dtype=like.dtype)]


def by_tangents(f: Function, x: torch.Tensor, backend: Any = None) -> torch.Tensor:
    columns = [anyjac.jvp(f, backend=backend)(direction, x) for direction in eye(x)]
    return torch.stack(columns, -1).reshape(*columns[0].shape, *x.shape)


def by_pushforward(push: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    columns = [push(direction) for direction in eye(x)]
    return torch.stack(columns, -1).reshape(*columns[0].shape, *x.shape)


FIRST: dict[str, Callable[[Function, torch.Tensor], torch.Tensor]] = {
    "rows": lambda f, x: anyjac.jacrev(f)(x),
    "rows one by one": lambda f, x: anyjac.jacrev(f, chunk_size=1)(x),
    "columns": lambda f, x: anyjac.jacfwd(f)(x),
    "tangents": by_tangents,
    "dual tensors": lambda f, x: by_tangents(f, x, DUALS),
    "linearize": lambda f, x: by_pushforward(anyjac.linearize(f)(x), x),
    "mapped rows": lambda f, x: anyjac.vmap(anyjac.jacrev(f))(torch.stack([x, x + 0.1]))[0],
    "mapped columns": lambda f, x: anyjac.vmap(anyjac.jacfwd(f))(torch.stack([x, x + 0.1]))[0],
    "compiled rows": lambda f, x: anyjac.jit(anyjac.jacrev(f))(x),
}

SECOND: dict[str, Callable[[Function, torch.Tensor], torch.Tensor]] = {
    "hessian": lambda f, x: anyjac.hessian(f)(x),
    "rows of rows": lambda f, x: anyjac.jacrev(anyjac.jacrev(f))(x),
    "rows of columns": lambda f, x: anyjac.jacrev(anyjac.jacfwd(f))(x),
    "columns of columns": lambda f, x: anyjac.jacfwd(anyjac.jacfwd(f))(x),
    "products": lambda f, x: torch.stack([anyjac.hvp(f)(d, x) for d in eye(x)]).reshape(*x.shape, *x.shape),
    "mapped": lambda f, x: anyjac.vmap(anyjac.hessian(f))(torch.stack([x, x + 0.1]))[0],
    "compiled": lambda f, x: anyjac.jit(anyjac.hessian(f))(x),
}


def ways(table: dict[str, Any], *quick: str) -> list[Any]:
    """Return the ways to a derivative; all but a few are for the exhaustive lane."""
    return [pytest.param(way, marks=() if way in quick else pytest.mark.sweep) for way in table]


def differences(f: Function, x: torch.Tensor, step: float = 1e-3) -> torch.Tensor:
    columns = [
        (8 * (f(x + step * d) - f(x - step * d)) - (f(x + 2 * step * d) - f(x - 2 * step * d))) / (12 * step)
        for d in eye(x)
    ]
    return torch.stack(columns, -1).reshape(*columns[0].shape, *x.shape)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


# ---- determinants --------------------------------------------------------------------------------------------------


def expanded(matrix: torch.Tensor) -> torch.Tensor:
    """Return a determinant by the expansion along the first row, of which every derivative is right."""
    rows = matrix.shape[-1]
    if rows == 1:
        return matrix[..., 0, 0]
    others = [[k for k in range(rows) if k != column] for column in range(rows)]
    return sum(
        (-1) ** column * matrix[..., 0, column] * expanded(matrix[..., 1:, :][..., others[column]])
        for column in range(rows)
    )


def without_rank(rows: int, rank: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows)
    left, right = (torch.randn(shape, generator=generator).double() for shape in ((rows, rank), (rank, rows)))
    return left @ right


MATRICES: dict[str, torch.Tensor] = {
    "of the report": tensor([[1.0, 2.0], [2.0, 4.0]]),
    "singular but for rounding": torch.arange(9.0, dtype=torch.float64).reshape(3, 3) + 1.0,
    "of rank 1": without_rank(3, 1),
    "zeros": torch.zeros(3, 3, dtype=torch.float64),
    "nilpotent": tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    "one zero": torch.zeros(1, 1, dtype=torch.float64),
    "of rank 4": without_rank(5, 4),
    "with a row of zeros": tensor([[2.0, 1.0, 0.5], [0.0, 0.0, 0.0], [1.0, 3.0, -1.0]]),
    "with two equal singular values": torch.eye(3, dtype=torch.float64),
    "regular": tensor([[2.0, 1.0, 0.5], [0.3, -1.0, 0.7], [1.0, 3.0, -1.0]]),
}
DETERMINANTS: dict[str, Function] = {"linalg.det": torch.linalg.det, "det": torch.det, "method": torch.Tensor.det}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("way", ways(FIRST, "rows", "columns"))
def test_the_derivative_of_a_determinant_is_made_of_cofactors(way: str, name: str) -> None:
    matrix = MATRICES[name]
    assert_close(FIRST[way](torch.linalg.det, matrix), anyjac.jacrev(expanded)(matrix))


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("way", ways(SECOND, "hessian", "rows of rows"))
def test_the_second_derivative_of_a_determinant_is_made_of_minors(way: str, name: str) -> None:
    matrix = MATRICES[name]
    assert_close(SECOND[way](torch.linalg.det, matrix), anyjac.jacrev(anyjac.jacrev(expanded))(matrix))


@pytest.mark.parametrize("name", DETERMINANTS)
def test_every_name_of_the_determinant_has_the_derivative(name: str) -> None:
    assert_close(anyjac.grad(DETERMINANTS[name])(MATRICES["of the report"]), tensor([[4.0, -2.0], [-2.0, 1.0]]))
    xp = anyjac.get_backend("torch").namespace
    assert_close(anyjac.grad(xp.linalg.det)(MATRICES["of the report"]), tensor([[4.0, -2.0], [-2.0, 1.0]]))


def test_a_third_derivative_of_a_determinant() -> None:
    matrix = MATRICES["singular but for rounding"]
    thrice = lambda f: anyjac.jacrev(anyjac.jacrev(anyjac.jacrev(f)))(matrix)  # noqa: E731
    assert_close(thrice(torch.linalg.det), thrice(expanded))


def test_in_a_batch_each_matrix_has_its_derivative() -> None:
    batch = torch.stack([MATRICES["zeros"], MATRICES["regular"], MATRICES["nilpotent"]])
    assert_close(anyjac.jacrev(torch.linalg.det)(batch), anyjac.jacrev(expanded)(batch))
    assert anyjac.jacrev(torch.linalg.det)(torch.ones(2, 0, 0)).shape == (2, 2, 0, 0)


def test_a_singular_matrix_of_complex_numbers() -> None:
    matrix = torch.tensor([[1 + 1j, 2.0], [2.0, 4.0 / (1 + 1j)]], dtype=torch.complex128)
    expected = torch.tensor([[2.0 - 2.0j, -2.0], [-2.0, 1 + 1j]], dtype=torch.complex128)
    assert_close(anyjac.grad(torch.linalg.det, holomorphic=True)(matrix), expected)


@pytest.mark.parametrize("rows", [9, 40])
@pytest.mark.parametrize("way", ["rows", "columns", "compiled rows", "mapped rows"])
def test_large_singular_matrices(rows: int, way: str) -> None:
    matrix = torch.diag((torch.arange(rows) != 3).double())
    assert_close(FIRST[way](torch.linalg.det, matrix), torch.diag((torch.arange(rows) == 3).double()))


def test_a_second_derivative_of_a_large_singular_matrix() -> None:
    curvature = anyjac.hessian(torch.linalg.det)(torch.diag(torch.arange(33.0, dtype=torch.float64)))
    assert curvature[0, 0, 1, 1].item() == pytest.approx(math.factorial(32))


def test_a_determinant_that_is_too_small_for_a_float_has_a_derivative() -> None:
    assert_close(anyjac.grad(torch.linalg.det)(torch.eye(2).double() * 1e-200) * 1e200, torch.eye(2).double())


SINGULAR: dict[str, Function] = {
    # functions that have no derivative at a singular matrix
    "inv": torch.linalg.inv,
    "inv_ex": lambda a: torch.linalg.inv_ex(a)[0],
    "logdet": torch.logdet,
    "matrix_power": lambda a: torch.linalg.matrix_power(a, -1),
    "slogdet": lambda a: torch.linalg.slogdet(a)[1],
    "solve": lambda a: torch.linalg.solve(a, a[0]),
    "solve_ex": lambda a: torch.linalg.solve_ex(a, a[0])[0],
    "tensorinv": lambda a: torch.linalg.tensorinv(a, 1),
    "cholesky": lambda a: torch.linalg.cholesky(a @ a.mT),
    "lu_factor": lambda a: torch.linalg.lu_factor(a)[0],
    "lu": lambda a: torch.linalg.lu(a)[2],
}


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
def test_what_a_singular_matrix_has_no_derivative_of_is_no_zero(transform: Any, name: str) -> None:
    try:
        found = transform(SINGULAR[name])(MATRICES["of the report"])
    except RuntimeError as error:
        assert "singular" in str(error) or "zero" in str(error) or "positive" in str(error)  # noqa: PT017
    else:
        assert not found.isfinite().any()


# ---- distances and layers ------------------------------------------------------------------------------------------

X = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64).reshape(3, 4) ** 2 - tensor([0.3, 0.1, 0.9, 0.0])
IMAGES = torch.linspace(-1.0, 2.0, 24, dtype=torch.float64).reshape(2, 4, 3) ** 3
POINT = tensor([0.3, -1.2, 0.7, 2.0])
ONES = torch.ones(4, dtype=torch.float64)


def running(b: torch.Tensor) -> torch.Tensor:
    return functional.batch_norm(X * b, 0.1 * ONES, 2.0 * ONES, None, b)


MENDED: dict[str, Function] = {
    **{
        f"cdist by the power {power}": lambda b, power=power: torch.cdist(X * b, X[1:] * b + (ONES > 2) + 0.3, p=power)
        for power in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf)
    },
    "cdist of equal points": lambda b: torch.cdist(X * b, X[1:] * b) ** 2,
    "cdist of batches": lambda b: torch.cdist(IMAGES.mT * b, X),
    "layer_norm": lambda b: functional.layer_norm(X, (4,), None, b),
    "layer_norm of both": lambda b: functional.layer_norm(X * b, (4,), None, b),
    "layer_norm over two axes": lambda b: functional.layer_norm(X * b, (3, 4), None, X + b),
    "layer_norm with constant weights": lambda b: functional.layer_norm(X * b, (4,), X[0], b),
    "layer_norm with weights": lambda b: functional.layer_norm(X * b, (4,), b, b),
    "batch_norm": lambda b: functional.batch_norm(X * b, None, None, None, b, True),
    "batch_norm of constants": lambda b: functional.batch_norm(X, None, None, None, b, True),
    "batch_norm of images": lambda b: functional.batch_norm(IMAGES * b[:, None], None, None, None, b, True),
    "batch_norm with weights": lambda b: functional.batch_norm(X * b, None, None, b, b, True),
    "batch_norm by running statistics": running,
    "instance_norm": lambda b: functional.instance_norm(IMAGES * b[:, None], None, None, None, b),
    "group_norm with weights": lambda b: functional.group_norm(IMAGES * b[:, None], 2, b, b),
    "group_norm without": lambda b: functional.group_norm(IMAGES * b[:, None], 2),
    "rms_norm": lambda b: functional.rms_norm(X * b, (4,)),
    "batch_norm by running statistics with weights": lambda b: functional.batch_norm(X * b, ONES, ONES, b, b),
}


@pytest.mark.parametrize("name", MENDED)
@pytest.mark.parametrize("way", ways(FIRST, "rows", "columns"))
def test_distances_and_layers_have_the_derivative(way: str, name: str) -> None:
    assert_close(FIRST[way](MENDED[name], POINT), differences(MENDED[name], POINT, 1e-4))


@pytest.mark.parametrize("name", MENDED)
@pytest.mark.parametrize("way", ways(SECOND, "hessian", "rows of rows"))
def test_distances_and_layers_have_the_second_derivative(way: str, name: str) -> None:
    total = lambda b: torch.cos(MENDED[name](b)).sum()  # noqa: E731
    torch.testing.assert_close(
        SECOND[way](total, POINT), differences(anyjac.grad(total), POINT, 1e-4), rtol=1e-5, atol=1e-6
    )


def test_the_distances_of_the_report() -> None:
    a, b = tensor([[0.0], [3.0]]), tensor([[1.0], [7.0]])
    expected = tensor([[-1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert torch.equal(anyjac.jacrev(lambda a: torch.cdist(a, b))(a).reshape(4, 2), expected)
    anyjac.check_derivative(lambda a: torch.cdist(a, b), a)


def test_a_graph_of_the_user_s_that_a_call_has_walked_through_has_the_derivative_too() -> None:
    w = tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    determinant = torch.linalg.det(w)
    anyjac.grad(lambda x: x * determinant)(tensor(3.0))
    determinant.backward()
    assert w.grad is not None
    assert w.grad.tolist() in ([[4.0, -2.0], [-2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]])


def test_group_norm_by_a_bias_without_weights_is_refused_by_name() -> None:
    f = lambda b: functional.group_norm(IMAGES, 2, None, b).sum()  # noqa: E731
    with pytest.raises(anyjac.NotSupportedError, match="group_norm by a bias without weights; give weights of ones"):
        anyjac.grad(f)(POINT)


# ---- backward passes without a derivative --------------------------------------------------------------------------

WITHOUT: dict[str, tuple[Function, str]] = {
    "hardsigmoid": (lambda b: functional.hardsigmoid(2.0 * b), "hardsigmoid"),
    "pdist": (lambda b: functional.pdist(X * b), "pdist"),
    "multi_margin_loss": (lambda b: functional.multi_margin_loss(X * b, torch.tensor([0, 1, 2])), "multi_margin_loss"),
    "multilabel_margin_loss": (
        lambda b: functional.multilabel_margin_loss(X * b, torch.tensor([[0, 1, -1, 2]] * 3)),
        "multilabel_margin_loss",
    ),
    "embedding_bag": (
        lambda b: functional.embedding_bag(torch.tensor([[0, 1], [2, 2]]), X * b),
        "embedding_bag",
    ),
}


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize("way", ways(FIRST, "rows", "columns"))
def test_forward_mode_goes_by_rows_where_a_backward_pass_has_no_derivative(way: str, name: str) -> None:
    f, _ = WITHOUT[name]
    assert_close(FIRST[way](f, POINT), differences(f, POINT, 1e-4))


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize("way", ways(SECOND, "hessian", "rows of rows"))
def test_second_derivatives_are_refused_by_name_where_there_are_none(way: str, name: str) -> None:
    f, named = WITHOUT[name]
    with pytest.raises(anyjac.NotSupportedError, match=f"no derivative of the backward pass of {named}"):
        SECOND[way](lambda b: torch.cos(f(b)).sum(), POINT)


def attention(x: torch.Tensor) -> torch.Tensor:
    query = x[None, None, :, None] * torch.ones(2, dtype=x.dtype)
    return functional.scaled_dot_product_attention(query, 2.0 * query, query**2)


@pytest.mark.parametrize("way", ways(FIRST, "rows", "columns"))
def test_attention_has_first_derivatives(way: str) -> None:
    if not way.startswith("mapped"):
        assert_close(FIRST[way](attention, POINT), differences(attention, POINT, 1e-4))


@pytest.mark.parametrize("way", ways(SECOND, "hessian", "rows of rows", "products"))
def test_second_derivatives_of_attention_name_the_kernel_that_has_them(way: str) -> None:
    total = lambda x: torch.cos(attention(x)).sum()  # noqa: E731
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        found = SECOND[way](total, POINT)
    torch.testing.assert_close(found, differences(anyjac.grad(total), POINT, 1e-4), rtol=1e-5, atol=1e-6)
    if way != "mapped":  # PyTorch maps over attention by single operators
        with pytest.raises(anyjac.NotSupportedError, match=r"sdpa_kernel\(torch\.nn\.attention\.SDPBackend\.MATH\)"):
            SECOND[way](total, POINT)


def test_a_loss_of_no_outputs_is_pushed_forward() -> None:
    assert anyjac.jacfwd(lambda b: functional.pdist(b[None]))(POINT).shape == (0, 4)
