"""Derivatives on PyTorch of functions with code that is not PyTorch's own: rules, hooks, custom operators, subclasses.

What such code refuses when rows are batched or the function is recorded is computed by rows, or uncompiled.
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.helpers.torch_functions import HiddenSquare, tensor

import anyjac

Function = Callable[[torch.Tensor], torch.Tensor]
X = tensor([0.5, -1.0, 2.0])
INDICES = torch.tensor([[0, 1, 2], [1, 2, 0]])

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*nested tensors"),
]


def square(backward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Function:
    """Return a square with a backward of its own."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
            return backward(cotangent, ctx.saved_tensors[0])

    return Square.apply  # type: ignore[no-any-return]


def refusing(error: type[Exception]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a backward that refuses batches by an error of a kind."""

    def backward(cotangent: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if "BatchedTensor" in repr(cotangent):
            raise error("one row")
        return 2 * cotangent * x

    return backward


def hooked(hook: Callable[[torch.Tensor], Any]) -> Function:
    def f(x: torch.Tensor) -> torch.Tensor:
        y = x**2
        if y.requires_grad:
            y.register_hook(hook)
        return y.sin()

    return f


@torch.library.custom_op("anyjac_tests::refuses_maps", mutates_args=())
def refuses_maps(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(x)


@refuses_maps.register_vmap
def _(info: Any, dims: Any, x: torch.Tensor) -> Any:
    raise ValueError("no map")


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0])


refuses_maps.register_autograd(
    lambda ctx, cotangent: 0 * refuses_maps(cotangent) + cotangent * ctx.saved_tensors[0].cos(), setup_context=_keep
)


@torch.library.custom_op("anyjac_tests::without_a_fake", mutates_args=())
def without_a_fake(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(x.detach().numpy() ** 3)


without_a_fake.register_autograd(lambda ctx, cotangent: cotangent * 3 * ctx.saved_tensors[0] ** 2, setup_context=_keep)


class Marked(torch.Tensor):
    """A subclass that does nothing."""


def sparse(values: torch.Tensor) -> torch.Tensor:
    return torch.sparse_coo_tensor(INDICES, values, (3, 3))


ERRORS = (TypeError, ValueError, AttributeError, KeyError, IndexError, AssertionError, ZeroDivisionError)

FUNCTIONS: dict[str, Function] = {
    **{f"a backward that raises {error.__name__}": square(refusing(error)) for error in ERRORS},
    "a backward that writes": square(lambda g, x: torch.zeros_like(x).add_(2 * g * x)),
    "a backward that copies": square(lambda g, x: 2 * copy.deepcopy(g) * x),
    "a hook that raises": hooked(lambda g: refusing(TypeError)(g, X)),
    "an operator that refuses maps": lambda x: refuses_maps(x**2),
    "an operator without a fake": lambda x: without_a_fake(x**2),
    "a subclass": lambda x: (x.as_subclass(Marked) ** 2).sin().as_subclass(torch.Tensor),
    "a sparse matrix": lambda x: torch.sparse.mm(sparse(X), x[:, None])[:, 0] ** 2,
    "sparse values": lambda x: torch.sparse.mm(sparse(x), X[:, None])[:, 0],
    "rows of a sparse matrix": lambda x: (sparse(X).to_sparse_csr() @ x) ** 2,
    "nested tensors": lambda x: torch.nested.to_padded_tensor(torch.nested.as_nested_tensor([x[:2] ** 2, x]), 0.0),
    "quantised constants": lambda x: torch.quantize_per_tensor(X.float(), 0.1, 0, torch.qint8).dequantize() * x,
    "a branch of PyTorch's": lambda x: torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,)),
}


def native_rows(f: Function) -> torch.Tensor:
    """Return the Jacobian by `torch.autograd.grad`, row by row."""
    x = X.clone().requires_grad_()
    y = f(x)
    seeds = torch.eye(y.numel(), dtype=y.dtype).reshape(y.numel(), *y.shape)
    rows = [torch.autograd.grad(y, x, seed, retain_graph=True)[0] for seed in seeds]
    return torch.stack(rows).reshape(*y.shape, *x.shape).detach()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_are_those_of_pytorch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/usr/bin/no-such-compiler")  # what cannot be recorded is in question here
    f = FUNCTIONS[name]
    expected = native_rows(f)
    transforms: list[Function] = [anyjac.jacrev(f), anyjac.jit(anyjac.jacrev(f))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anyjac.UncompiledWarning)
        for transform in transforms:
            for _ in range(3):
                torch.testing.assert_close(transform(X), expected)
        compiled = anyjac.jit(f)
        for _ in range(3):
            torch.testing.assert_close(compiled(X), f(X))


def test_a_function_that_cannot_be_recorded_says_so_once() -> None:
    compiled = anyjac.jit(FUNCTIONS["quantised constants"])
    with pytest.warns(anyjac.UncompiledWarning, match="fails to record it"):
        compiled(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anyjac.UncompiledWarning)
        torch.testing.assert_close(compiled(2 * X), FUNCTIONS["quantised constants"](2 * X))


def test_a_variable_is_read_and_written_in_a_function_that_cannot_be_recorded() -> None:
    v = anyjac.Variable(tensor(1.0))

    @anyjac.jit
    def f(x: torch.Tensor) -> torch.Tensor:
        v.value = v + 1.0
        return FUNCTIONS["quantised constants"](x) * v.value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anyjac.UncompiledWarning)
        for count in (2.0, 3.0, 4.0):
            torch.testing.assert_close(f(X), FUNCTIONS["quantised constants"](X) * count)
            assert float(v.value) == count


def test_an_error_of_the_function_is_its_own_and_the_function_runs_once() -> None:
    runs: list[int] = []

    def fail(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as raised:
        anyjac.jit(fail)(X)
    assert runs == [1]
    assert raised.value.__cause__ is None


HIDING: dict[str, Function] = {
    "a backward in NumPy": HiddenSquare.apply,
    "a hook": hooked(lambda g: torch.tensor(g.tolist(), dtype=g.dtype)),
    "sparse values": FUNCTIONS["sparse values"],
    "a sparse tensor made dense": lambda x: sparse(x**2).to_dense(),
    "a sum of a sparse tensor": lambda x: torch.sparse.sum(sparse(x**2)),
}


@pytest.mark.parametrize("name", HIDING)
def test_columns_through_a_backward_that_hides_what_it_computes_are_no_zeros(name: str) -> None:
    with pytest.raises(anyjac.NotSupportedError, match="cannot push tangents forward"):
        anyjac.jacfwd(HIDING[name])(X)


# ---- random numbers --------------------------------------------------------------------------------------------------


def seeded(x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(3, dtype=x.dtype) * x


def forked(x: torch.Tensor) -> torch.Tensor:
    with torch.random.fork_rng():
        return seeded(x)


RANDOM: dict[str, Function] = {
    "dropout": lambda x: torch.nn.functional.dropout(x**2, 0.5),
    "normal numbers": lambda x: torch.randn(3, dtype=x.dtype) * x,
    "a seed": seeded,
    "a fork": forked,
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_without_a_compiler_are_those_of_the_operators(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/usr/bin/no-such-compiler")
    f = RANDOM[name]
    torch.manual_seed(0)
    expected = [f(X) for _ in range(3)]
    compiled = anyjac.jit(f)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anyjac.UncompiledWarning)
        for numbers in expected:
            torch.testing.assert_close(compiled(X), numbers)
