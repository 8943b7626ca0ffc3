"""Modules that the backward of a `torch.autograd.Function` runs once more, as adjoint methods and checkpoints do."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tests.helpers.torch_functions import tensor
from torch import nn
from torch.utils.checkpoint import checkpoint

import anyjac
from anyjac import LostDerivativeError, NotSupportedError

X = tensor([1.0, -0.5])


class Adjoint(torch.autograd.Function):
    """Runs a module, and once more in the pass back, where its own parameters are asked for gradients."""

    @staticmethod
    def forward(ctx: Any, module: nn.Module, x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        ctx.module = module
        ctx.save_for_backward(x, *parameters)
        with torch.no_grad():
            return module(x)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> Any:
        x, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = ctx.module(x)
            return None, *torch.autograd.grad(y, (x, *parameters), cotangent, allow_unused=True)


class Network(nn.Module):
    """A network in which two layers share a weight, and a buffer counts the runs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
        self.second.weight = self.first.weight
        self.register_buffer("runs", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return self.second(torch.tanh(self.first(x)))


class Recurrent(nn.Module):
    """An LSTM, which keeps a list of its weights besides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.LSTM(2, 2).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.cell(x[None])[0]
        return outputs[0]


def by_adjoint(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    y: torch.Tensor = Adjoint.apply(module, x, *module.parameters())
    return y


Derivative = Callable[[Callable[[torch.Tensor], torch.Tensor], nn.Module], Any]

DERIVATIVES: dict[str, Derivative] = {
    "jacrev": lambda f, net: anyjac.jacrev(lambda: f(X), anyjac.train_vars(net))(),
    "jacrev in chunks": lambda f, net: anyjac.jacrev(lambda: f(X), anyjac.train_vars(net), chunk_size=1)(),
    "jacrev by both": lambda f, net: anyjac.jacrev(f, anyjac.train_vars(net), argnums=0)(X),
    "jacrev by the input": lambda f, net: anyjac.jacrev(f)(X),
    "jacobian": lambda f, net: anyjac.jacobian(lambda: f(X), anyjac.train_vars(net), mode="rev")(),
    "grad": lambda f, net: anyjac.grad(lambda: f(X).sum(), grad_vars=net)(),
    "vector_grad": lambda f, net: anyjac.vector_grad(lambda: f(X), grad_vars=net)(),
    "value_and_grad": lambda f, net: anyjac.value_and_grad(lambda: f(X).sum(), grad_vars=net)(),
    "a pullback afterwards": lambda f, net: anyjac.vjp(lambda: f(X), anyjac.train_vars(net))()(X),
    "rows afterwards": lambda f, net: [
        block.block for block in anyjac.jacrev(lambda: f(X), anyjac.train_vars(net), chunk_size=1).rows()
    ],
    "within a gradient by something else": lambda f, net: anyjac.grad(
        lambda s: s * anyjac.grad(lambda: f(X).sum(), anyjac.train_vars(net))()["first.bias"].sum().detach()
    )(tensor(2.0)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_an_adjoint_has_the_derivatives_of_what_it_runs(name: str) -> None:
    derivative = DERIVATIVES[name]
    net, twin = Network(), Network()
    torch.testing.assert_close(derivative(lambda x: by_adjoint(net, x), net), derivative(twin, twin))
    if name != "jacrev by the input":  # where the module is PyTorch's alone
        assert int(net.runs) == int(twin.runs)  # the runs in the pass back are not stored
    assert all(isinstance(parameter, nn.Parameter) for parameter in net.parameters())
    assert net.first.weight is net.second.weight


@pytest.mark.parametrize("name", ["jacrev", "grad", "a pullback afterwards"])
def test_an_adjoint_of_a_recurrent_network(name: str) -> None:
    net = Recurrent()
    derivative = DERIVATIVES[name]
    torch.testing.assert_close(derivative(lambda x: by_adjoint(net, x), net), derivative(net, net))


def test_a_pullback_shows_the_parameters_of_its_own_run_and_leaves_the_module_as_it_is() -> None:
    net, twin = Network(), Network()
    pullback = anyjac.vjp(lambda: by_adjoint(net, X), anyjac.train_vars(net))()
    expected = anyjac.vjp(lambda: twin(X), anyjac.train_vars(twin))()(X)
    changed = torch.full((2, 2), 5.0, dtype=torch.float64)
    with torch.no_grad():
        net.first.weight.copy_(changed)
    for _ in range(2):
        torch.testing.assert_close(pullback(X), expected)
    assert torch.equal(net.first.weight, changed)
    inside = anyjac.grad(lambda: pullback(X)["first.bias"].sum() * net.first.bias.sum(), grad_vars=net)()
    torch.testing.assert_close(inside["first.bias"], expected["first.bias"].sum() * torch.ones(2).double())


def test_after_an_error_in_the_pass_back_the_module_has_its_own_parameters() -> None:
    net = Network()
    own = list(net.parameters())
    runs = []

    class Failing(Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            runs.append(1)
            if len(runs) > 1:
                raise ZeroDivisionError
            return super().forward(x)

    net.__class__ = Failing
    with pytest.raises(ZeroDivisionError):
        anyjac.grad(lambda: by_adjoint(net, X).sum(), grad_vars=net)()
    assert all(now is before for now, before in zip(net.parameters(), own, strict=True))
    assert int(net.runs) == 0


def test_threads_that_pull_back_through_one_module_run_one_after_the_other() -> None:
    net, twin = Network(), Network()
    pullbacks = [anyjac.vjp(lambda s=s: s * by_adjoint(net, X), anyjac.train_vars(net))() for s in (1.0, 2.0, 3.0)]
    expected = anyjac.vjp(lambda: twin(X), anyjac.train_vars(twin))()(X)["first.weight"]
    found: dict[int, list[torch.Tensor]] = {0: [], 1: [], 2: []}

    def pull(number: int) -> None:
        for _ in range(10):
            found[number].append(pullbacks[number](X)["first.weight"])

    threads = [threading.Thread(target=pull, args=(number,)) for number in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, gradients in found.items():
        assert len(gradients) == 10
        for gradient in gradients:
            torch.testing.assert_close(gradient, (number + 1) * expected)


SECOND: dict[str, Callable[[Callable[[], torch.Tensor], Any, Any], Callable[[], Any]]] = {
    "hvp": lambda f, bias, v: partial(anyjac.hvp(lambda: (f() ** 2).sum(), bias), v),
    "hessian": lambda f, bias, v: anyjac.hessian(lambda: (f() ** 2).sum(), bias),
    "linearize": lambda f, bias, v: anyjac.linearize(f, bias),
    "jvp": lambda f, bias, v: partial(anyjac.jvp(f, bias), v),
    "jacfwd": lambda f, bias, v: anyjac.jacfwd(f, bias),
}


@pytest.mark.parametrize("name", SECOND)
def test_what_needs_the_derivative_of_an_adjoint_is_refused(name: str) -> None:
    net = Network()
    transform = SECOND[name](lambda: by_adjoint(net, X), anyjac.variables(net)["first.bias"], X)
    for watched in (True, True, False):
        with pytest.raises(LostDerivativeError if watched else (NotSupportedError, RuntimeError)):  # PyTorch's own
            transform()


@pytest.mark.parametrize("name", [name for name in DERIVATIVES if name != "within a gradient by something else"])
def test_a_checkpoint_has_the_derivatives_of_what_it_runs(name: str) -> None:
    net, twin = Network(), Network()
    derivative = DERIVATIVES[name]
    found = derivative(lambda x: checkpoint(net, x, use_reentrant=False), net)
    torch.testing.assert_close(found, derivative(twin, twin))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
def test_a_reentrant_checkpoint_is_refused_by_the_parameters_and_by_the_input() -> None:
    net = Network()

    def f(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = checkpoint(net, x, use_reentrant=True)
        return y.sum()

    for by_parameters in (anyjac.grad(f, grad_vars=net), anyjac.vjp(f, grad_vars=net)):
        with pytest.raises(LostDerivativeError, match=r"use_reentrant=True in line \d+ .*; pass use_reentrant=False"):
            by_parameters(X)
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        anyjac.grad(f)(X)
    frozen = Network().requires_grad_(False)
    scaled = anyjac.grad(lambda s: s * checkpoint(frozen, X, use_reentrant=True).sum(), strict=True)
    assert scaled(tensor(1.0)) == frozen(X).sum()


def test_torchdiffeq_integrates_by_its_adjoint() -> None:
    torchdiffeq = pytest.importorskip("torchdiffeq")

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(2, 2).double()

        def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.layer(y))

    field, times = Field(), torch.linspace(0.0, 1.0, 3).double()

    def end(integrate: Any, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = integrate(field, x, times, rtol=1e-9, atol=1e-9)
        return y[-1]

    for derivative in (
        lambda integrate: anyjac.jacrev(lambda x: end(integrate, x), anyjac.train_vars(field), argnums=0)(X),
        lambda integrate: anyjac.grad(lambda: end(integrate, X).sum(), grad_vars=field)(),
        lambda integrate: anyjac.jacrev(lambda x: end(integrate, x))(X),
        lambda integrate: anyjac.vjp(lambda: end(integrate, X), anyjac.train_vars(field))()(X),
    ):
        found, expected = derivative(torchdiffeq.odeint_adjoint), derivative(torchdiffeq.odeint)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
