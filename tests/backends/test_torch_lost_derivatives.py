"""Derivatives that are lost or kept on PyTorch, in tables of the lines of users."""

import cmath
import copy
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.autograd.functional as functional
import torch.utils.checkpoint
from tests.helpers.torch_functions import tensor

import anyjac
from anyjac import LostDerivativeError, LostDerivativeWarning

X = tensor([1.0, 2.0])
Line = Callable[[torch.Tensor], Any]


def _put_into_numpy(x: torch.Tensor) -> torch.Tensor:
    numbers = np.zeros(2)
    numbers[0] = x[0]
    return torch.from_numpy(numbers) * x


LOST: dict[str, tuple[Line, str]] = {
    "float": (lambda x: float(x[0]) * x, "float(x)"),
    "complex": (lambda x: complex(x[0]).real * x, "complex(x)"),
    "item": (lambda x: x[0].item() * x, "x.item()"),
    "tolist": (lambda x: x.tolist()[0] * x, "x.tolist()"),
    "math": (lambda x: math.sin(x[0]) * x, "float(x), or a function of math"),
    "cmath": (lambda x: cmath.sin(x[0]).real * x, "complex(x), or a function of cmath"),
    "fsum": (lambda x: math.fsum(x) * x, "float(x)"),
    "a number of NumPy": (lambda x: float(np.float64(x[0])) * x, "float(x)"),
    "an element of NumPy's": (_put_into_numpy, "float(x)"),
    "storage": (lambda x: torch.tensor(x.storage().tolist()) * x, "x.storage()"),
    "tensor of a list": (lambda x: torch.tensor([x[0] * x[1], x[1]]), "torch.tensor"),
    "tensor of a nested list": (lambda x: torch.tensor([[x[0]], [x[1]]]) * x, "torch.tensor"),
    "tensor of a tensor": (lambda x: torch.tensor(x * x), "torch.tensor"),
    "as_tensor of a list": (lambda x: torch.as_tensor([x[0], x[1]]) * x, "torch.as_tensor"),
    "asarray of a list": (lambda x: torch.asarray([x[0], x[1]]) * x, "torch.asarray"),
    "FloatTensor": (lambda x: torch.FloatTensor([x[0], x[1]]) * x, "float(x)"),
    "Tensor": (lambda x: torch.Tensor([x[0], x[1]]) * x, "float(x)"),
    "new_tensor": (lambda x: x.new_tensor([x[0], x[1]]) * x, "x.new_tensor"),
    "new": (lambda x: x.new([x[0], x[1]]) * x, "x.new"),
    "deepcopy": (lambda x: copy.deepcopy(x) * x, "copy.deepcopy(x)"),
    "copy": (lambda x: copy.copy(x) * x, "copy.copy(x), or pickle"),
    "copy of a result": (lambda x: copy.copy(x * 2) * x, "copy.copy(x), or pickle"),
    "pickle": (lambda x: pickle.loads(pickle.dumps(x)) * x, "copy.copy(x), or pickle"),
    "linspace": (lambda x: torch.linspace(x[0], x[1], 2) * x, "linspace, an operator without a derivative"),
    "logspace": (lambda x: torch.logspace(x[0], x[1], 2) * x, "logspace, an operator without a derivative"),
    "bits": (lambda x: x.view(torch.int64).view(torch.float64) * x, "view, an operator without a derivative"),
    "within a map": (lambda x: torch.func.vmap(lambda y: y * float(x[0]))(x), "float(x)"),
    "within a gradient": (lambda x: torch.func.grad(lambda y: (y * float(x[0])).sum())(x) * x, "float(x)"),
    "within forward mode": (lambda x: torch.func.jvp(lambda y: y * y[0].item(), (x,), (x,))[0], "x.item()"),
    "a list in a keyword": (lambda x: torch.tensor(data=[x[0], x[1]]) * x, "torch.tensor"),
}
"""Lines that lose a derivative, and how the message calls them."""


@pytest.mark.parametrize("name", LOST)
@pytest.mark.filterwarnings("ignore:To copy construct:UserWarning", "ignore:TypedStorage:UserWarning")
@pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")
def test_a_lost_derivative_is_shown(name: str) -> None:
    line, called = LOST[name]
    with pytest.warns(LostDerivativeWarning) as seen:
        anyjac.jacrev(line)(X)
    assert any(f"a derivative is lost: {called}" in str(each.message) for each in seen)
    assert all(each.filename == __file__ for each in seen if issubclass(each.category, LostDerivativeWarning))
    with pytest.raises(
        RuntimeError if name == "a number of NumPy" else LostDerivativeError
    ):  # by what NumPy tries next
        anyjac.jacrev(line, strict=True)(X)


REFUSED_BY_PYTORCH: dict[str, Line] = {
    "numpy": lambda x: torch.as_tensor(x.numpy()) * x,
    "array": lambda x: torch.as_tensor(np.array(x, copy=True)) * x,
    "array of a list": lambda x: torch.as_tensor(np.array([x[0], x[1]])) * x,
    "a ufunc": np.sin,
    "from_dlpack": lambda x: torch.from_dlpack(x) * x,
    "from_dlpack of NumPy": lambda x: torch.as_tensor(np.from_dlpack(x)) * x,
    "set_": lambda x: x.new_zeros(2).set_(x) * x,
    "full": lambda x: torch.full((2,), x[0]) * x,
    "an exponent of a norm": lambda x: torch.norm(x, p=x[0]),
}


@pytest.mark.parametrize("name", REFUSED_BY_PYTORCH)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_what_pytorch_refuses_itself_stays_refused(name: str) -> None:
    with pytest.raises((RuntimeError, TypeError, BufferError)):
        anyjac.jacrev(REFUSED_BY_PYTORCH[name])(X)


KEPT: dict[str, Line] = {
    "detach": lambda x: x.detach() * x,
    "data": lambda x: x.data * x,
    "stop_gradient": lambda x: float(anyjac.stop_gradient(x)[0]) * x,
    "numpy with force": lambda x: torch.as_tensor(x.numpy(force=True)) * x,
    "no_grad": lambda x: _without_gradients(x) * x,
    "int": lambda x: int(x[1]) * x,
    "a branch": lambda x: x if x[0] > 0 and x[1] else 2 * x,
    "an index": lambda x: x[x.argmax()] * torch.sort(x).values,
    "shapes": lambda x: torch.ones(1).expand_as(x) * torch.zeros(2).view_as(x) + x.new_ones(2) + torch.ones_like(x) * x,
    "broadcast": lambda x: sum(torch.broadcast_tensors(torch.ones(1), x)),
    "casts": lambda x: x.to(torch.float32).to(x).long() * torch.ones(2).to(x).type_as(x) * x,
    "steps": lambda x: x.round() + x.sign() + x.floor() + x,
    "a mantissa": lambda x: torch.frexp(x)[0],
    "random": lambda x: (torch.normal(x, 0.0) + torch.rand_like(x) * 0 + torch.bernoulli(x * 0)) * x,
    "a mask": lambda x: torch.where(x > 1, x, 0.0) + (x > 1) * x,
    "indices": lambda x: torch.zeros(2).index_put((torch.tensor([0]),), x[:1].float()) + x,
    "a tensor as it is": lambda x: torch.as_tensor(x) * x.contiguous().requires_grad_(),
    "numbers of the same dtype": lambda x: x.new_tensor([1.0, 2.0]) * x + x.new([1.0, 2.0]) + x.new_full((2,), 3.0),
    "counts": lambda x: torch.histc(x, 2) * x,
    "a library function of PyTorch": lambda x: (
        torch.nn.functional.gelu(x) + torch.func.jacrev(lambda y: y**3)(x).sum(0)
    ),
    "a second derivative of PyTorch": lambda x: torch.func.hessian(lambda y: (y**3).sum())(x).sum(0),
    "a parameter that is not differentiated": lambda x: float(_WEIGHT) * x,
}
"""Lines that lose nothing, or a derivative on purpose."""

_WEIGHT = torch.nn.Parameter(tensor(3.0))


def _without_gradients(x: torch.Tensor) -> float:
    with torch.no_grad():
        return float(x.sum()) + x[0].item()


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd], ids=lambda transform: transform.__name__)
def test_what_loses_nothing_is_let_through(transform: Any, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", LostDerivativeWarning)
        transform(KEPT[name], strict=True)(X)


# ---- gradients that are computed within the function -----------------------------------------------------------------


def _backward(x: torch.Tensor, **options: Any) -> torch.Tensor:
    (x**3).sum().backward(**options)
    assert x.grad is not None
    return x.grad


def _backward_of_a_function(x: torch.Tensor, **options: Any) -> torch.Tensor:
    torch.autograd.backward((x**3).sum(), **options)
    assert x.grad is not None
    return x.grad


def _one_step_of_a_learner(x: torch.Tensor, **options: Any) -> torch.Tensor:
    w = torch.ones(2, dtype=x.dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad((w * x**3).sum(), w, **options)
    return 3 * gradient / x


GRADIENTS: dict[str, Callable[..., torch.Tensor]] = {
    "autograd.grad": lambda x, **options: torch.autograd.grad((x**3).sum(), x, **options)[0],
    "autograd.grad by another input": _one_step_of_a_learner,
    "functional.jacobian": lambda x, **options: functional.jacobian(lambda y: (y**3).sum(), x, **options),
    "functional.vjp": lambda x, **options: functional.vjp(lambda y: (y**3).sum(), x, **options)[1],
    "functional.jvp": lambda x, **options: torch.stack(
        [functional.jvp(lambda y: (y**3).sum(), x, row, **options)[1] for row in torch.eye(2, dtype=x.dtype)]
    ),
    "functional.hvp": lambda x, **options: functional.hvp(lambda y: (y**4).sum() / 4, x, x / x, **options)[1],
    "functional.vhp": lambda x, **options: functional.vhp(lambda y: (y**4).sum() / 4, x, x / x, **options)[1],
    "functional.hessian": lambda x, **options: functional.hessian(lambda y: (y**4).sum() / 4, x, **options).sum(0),
    "functional.jacobian of a closure": lambda x, **options: functional.jacobian(
        lambda y: (3 * x**2 * y).sum(), torch.ones(2, dtype=x.dtype), **options
    ),
    "backward": _backward,
    "autograd.backward": _backward_of_a_function,
}
"""Ways to compute 3 x^2, the derivative of which is 6 x on the diagonal."""


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.filterwarnings("ignore:Using backward\\(\\) with create_graph:UserWarning")
def test_a_gradient_within_the_function_is_refused_unless_its_graph_is_kept(name: str) -> None:
    gradient = GRADIENTS[name]
    for transform in (anyjac.jacrev, anyjac.jacfwd, anyjac.vjp):
        with pytest.raises(LostDerivativeError, match=r"in line \d+ of .*test_torch_lost.* create_graph=True"):
            transform(gradient)(X)
    right = torch.diag(6 * X)
    assert torch.equal(anyjac.jacrev(lambda x: gradient(x, create_graph=True))(X), right)


TRANSFORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "torch.func.grad": lambda x: torch.func.grad(lambda y: (y**3).sum())(x),
    "torch.func.jacrev": lambda x: torch.func.jacrev(lambda y: (y**3).sum())(x),
    "torch.func.jacfwd": lambda x: torch.func.jacfwd(lambda y: (y**3).sum())(x),
    "torch.func.hessian": lambda x: torch.func.hessian(lambda y: (y**4).sum() / 4)(x).sum(0),
    "torch.func.vjp": lambda x: torch.func.vjp(lambda y: (y**3).sum(), x)[1](torch.ones((), dtype=x.dtype))[0],
    "torch.func.jvp": lambda x: torch.func.jvp(lambda y: y**3, (x,), (x / x,))[1],
    "torch.func.functional_call": lambda x: torch.func.functional_call(_Cube(), {"w": x}, (x,)),
    "anyjac.grad": lambda x: anyjac.grad(lambda y: (y**3).sum())(x),
    "anyjac.vjp": lambda x: anyjac.vjp(lambda y: (y**3).sum())(x)(torch.ones((), dtype=x.dtype)),
    "anyjac.linearize": lambda x: anyjac.linearize(lambda y: y**3)(x)(x / x),
}
"""The same by transforms, which keep the graph."""


class _Cube(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * self.w * x


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_within_the_function_keeps_its_derivative(name: str) -> None:
    assert torch.equal(anyjac.jacrev(TRANSFORMS[name], strict=True)(X), torch.diag(6 * X))


def test_a_linearisation_of_pytorch_is_refused_since_it_detaches_what_it_keeps() -> None:
    with pytest.raises(LostDerivativeError, match=r"torch\.func\.linearize in line \d+ of .*test_torch_lost"):
        anyjac.jacrev(lambda x: torch.func.linearize(lambda y: y**3, x)[1](torch.ones_like(x)))(X)


def test_gradients_of_what_does_not_depend_on_the_inputs_are_let_through() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        w = tensor([1.0, 2.0], requires_grad=True)
        (gradient,) = torch.autograd.grad((w**2).sum(), w)
        (w**2).sum().backward()
        assert w.grad is not None
        constant = functional.jacobian(lambda y: y.sum(), x.detach())
        return gradient * w.grad * constant * x

    assert torch.equal(anyjac.jacrev(f, strict=True)(X), torch.diag(tensor([4.0, 16.0])))


def test_a_compiled_function_within_is_followed() -> None:
    @torch.compile(backend="eager")
    def compiled(x: torch.Tensor) -> torch.Tensor:
        return x.sin() * x

    assert torch.allclose(anyjac.jacrev(compiled, strict=True)(X), torch.diag(X.cos() * X + X.sin()))
