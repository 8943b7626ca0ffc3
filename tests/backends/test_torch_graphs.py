"""Graphs of users around a call on PyTorch, and the results that belong to them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import optree
import pytest
import torch
from tests.helpers.torch_functions import tensor

import anyjac
from anyjac import Variable

F64 = torch.float64
X, V = tensor([1.0, 2.0]), tensor([1.0, -1.0])


def tensors_in(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in optree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def cubes(x: torch.Tensor, net: torch.nn.Module) -> torch.Tensor:
    y: torch.Tensor = net(x) ** 3
    return y


BY_THE_INPUT: dict[str, Callable[[torch.nn.Module], Any]] = {
    "jacrev": lambda net: anyjac.jacrev(net, return_value=True)(X),
    "jacrev in chunks": lambda net: anyjac.jacrev(net, chunk_size=1)(X),
    "jacfwd": lambda net: anyjac.jacfwd(net, return_value=True)(X),
    "jacobian": lambda net: anyjac.jacobian(net, return_value=True)(X),
    "grad": lambda net: anyjac.grad(lambda x: (net(x).sum(), net(x)), has_aux=True)(X),
    "value_and_grad": lambda net: anyjac.value_and_grad(lambda x: net(x).sum())(X),
    "hessian": lambda net: anyjac.hessian(lambda x: cubes(x, net).sum(), return_value=True)(X),
    "hvp": lambda net: anyjac.hvp(lambda x: cubes(x, net).sum(), return_value=True)(X, V),
    "vjp": lambda net: (lambda pull, value: (pull(V), value))(*anyjac.vjp(net, return_value=True)(X)),
    "linearize": lambda net: anyjac.linearize(net)(X)(V),
    "jvp": lambda net: anyjac.jvp(net, return_value=True)(X, V),
    "jvp by dual tensors": lambda net: anyjac.jvp(net, return_value=True)(*torch.ones(2, 2**19, 2, dtype=F64)),
    "a value without a tangent": lambda net: anyjac.jvp(lambda x: {"x": x, "y": net(X)}, return_value=True)(
        *torch.ones(2, 2**20, dtype=F64)
    ),
    "rows": lambda net: [rows.block for rows in anyjac.jacrev(net).rows(X)],
    "vmap": lambda net: anyjac.vmap(anyjac.jacrev(net, return_value=True))(torch.stack([X, V])),
    "vmap of vmap": lambda net: anyjac.vmap(anyjac.vmap(anyjac.jacrev(net)))(torch.ones(2, 2, 2, dtype=F64)),
    "jit": lambda net: anyjac.jit(anyjac.jacrev(net, return_value=True))(X),
    "some parameters": lambda net: anyjac.grad(
        lambda: net(X).sum(), anyjac.variables(net)["bias"], return_value=True
    )(),
    "a parameter alone": lambda net: anyjac.jacrev(lambda x: net.weight @ x)(X),
    "a written Variable": lambda net: _written(net),
}


def _written(net: torch.nn.Module) -> Any:
    v = Variable(X)

    def f() -> torch.Tensor:
        v.value = net(v.value)
        return v.value.sum()

    return anyjac.grad(f, v)(), v.value


@pytest.mark.parametrize("name", BY_THE_INPUT)
def test_results_by_the_input_of_a_module_belong_to_no_graph_of_its_parameters(name: str) -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 2, dtype=F64)
    found = tensors_in(BY_THE_INPUT[name](net))
    assert found
    assert not any(each.requires_grad for each in found)
    with torch.no_grad():
        torch.testing.assert_close(found, tensors_in(BY_THE_INPUT[name](net)))


def test_a_penalty_on_a_jacobian_is_differentiated_by_a_transform_around_it() -> None:
    net = torch.nn.Linear(2, 2, dtype=F64)
    found = anyjac.grad(lambda: (anyjac.jacrev(lambda x: cubes(x, net))(X) ** 2).sum(), anyjac.train_vars(net))()
    jacobian = torch.autograd.functional.jacobian(lambda x: cubes(x, net), X, create_graph=True)
    (jacobian**2).sum().backward()
    torch.testing.assert_close(found, {name: parameter.grad for name, parameter in net.named_parameters()})


def test_with_an_input_in_a_graph_the_result_stays_in_it_and_reaches_the_parameters() -> None:
    net = torch.nn.Linear(2, 2, dtype=F64)
    x = X.clone().requires_grad_()
    found = anyjac.jacrev(lambda x: cubes(x, net))(x)
    gradients = torch.autograd.grad(found.sum(), (x, *net.parameters()))
    expected = torch.autograd.functional.jacobian(lambda x: cubes(x, net), x, create_graph=True)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.sum(), (x, *net.parameters())))


LATER: dict[str, Callable[[Callable[[torch.Tensor], torch.Tensor]], Callable[[], Any]]] = {
    "vjp": lambda f: (lambda pull: lambda: pull(V))(anyjac.vjp(f)(X)),
    "linearize": lambda f: (lambda push: lambda: push(V))(anyjac.linearize(f)(X)),
    "rows": lambda f: (lambda rows: lambda: [next(rows).block])(anyjac.jacrev(f, chunk_size=1).rows(X)),
}


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode], ids=lambda context: context.__name__)
def test_products_under_no_grad_belong_to_no_graph(name: str, context: Any) -> None:
    w = tensor(3.0, requires_grad=True)
    product = LATER[name](lambda x: w * x * x)
    assert all(each.requires_grad for each in tensors_in(product()))
    with context():
        found = tensors_in(product())
    assert not any(each.requires_grad for each in found)


class Cell:
    """An object with a tensor that is no Variable."""

    def __init__(self) -> None:
        self.memory = torch.zeros(2, dtype=F64)
        self.steps = [torch.zeros(2, dtype=F64)]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.memory.copy_(x * x)
        self.steps[0][0] = x[1]
        return self.memory * x + self.steps[0]


_GLOBAL = torch.zeros(2, dtype=F64)


def _writes_a_global(x: torch.Tensor) -> torch.Tensor:
    _GLOBAL.copy_(x * x)
    return _GLOBAL * x


def _writes_in(kind: str, memory: torch.Tensor) -> Callable[[torch.Tensor], Any]:
    held = {"m": memory}

    def copied(x: torch.Tensor) -> torch.Tensor:
        memory.copy_(x * x)
        return memory * x

    def by_items(x: torch.Tensor) -> torch.Tensor:
        memory[0] = x[0] ** 2
        memory[1:] = x[1:] ** 2
        return memory * x

    def returned(x: torch.Tensor) -> torch.Tensor:
        return memory.copy_(x).mul_(x).mul_(x)

    def in_a_dict(x: torch.Tensor) -> torch.Tensor:
        held["m"].mul_(0).add_(x * x)
        return held["m"] * x

    return {"copy": copied, "items": by_items, "returned": returned, "dict": in_a_dict}[kind]


@pytest.mark.parametrize("kind", ["copy", "items", "returned", "dict"])
@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd, anyjac.jit], ids=lambda t: t.__name__)
def test_a_captured_tensor_that_is_written_keeps_its_numbers_and_leaves_the_graph(kind: str, transform: Any) -> None:
    memory = torch.zeros(2, dtype=F64)
    f = anyjac.jacrev(_writes_in(kind, memory)) if transform is anyjac.jit else transform(_writes_in(kind, memory))
    run = anyjac.jit(f) if transform is anyjac.jit else f
    for x in (X, 2 * X, 3 * X):
        torch.testing.assert_close(run(x), torch.diag(3 * x**2))
        assert not memory.requires_grad
        torch.testing.assert_close(memory, x**3 if kind == "returned" else x**2)


def test_tensors_in_attributes_globals_and_partials_leave_the_graph_too() -> None:
    cell = Cell()
    for f in (cell, cell.__call__, lambda x: cell(x)):
        torch.testing.assert_close(anyjac.jacrev(f)(X), torch.diag(3 * X**2) + tensor([[0.0, 1.0], [0.0, 0.0]]))
        assert not cell.memory.requires_grad
        assert not cell.steps[0].requires_grad
    anyjac.jacrev(_writes_a_global)(X)
    assert not _GLOBAL.requires_grad
    memory = torch.zeros(2, dtype=F64)
    anyjac.jacrev(partial(lambda m, x: m.copy_(x), memory), argnums=0)(X)
    assert not memory.requires_grad


def test_tensors_in_defaults_leave_the_graph_too() -> None:
    by_position, by_name = torch.zeros(2, dtype=F64), torch.zeros(2, dtype=F64)

    def f(x: torch.Tensor, first: torch.Tensor = by_position, *, second: torch.Tensor = by_name) -> torch.Tensor:
        return first.copy_(x) * second.copy_(x)

    torch.testing.assert_close(anyjac.jacrev(f)(X), torch.diag(2 * X))
    assert not by_position.requires_grad
    assert not by_name.requires_grad


def test_second_derivatives_go_through_a_captured_tensor_that_is_written() -> None:
    memory = torch.zeros(2, dtype=F64)
    f = _writes_in("copy", memory)
    torch.testing.assert_close(anyjac.hessian(lambda x: f(x).sum())(X), torch.diag(6 * X))
    torch.testing.assert_close(anyjac.hvp(lambda x: f(x).sum())(X, V), 6 * X * V)
    push = anyjac.linearize(f)(X)
    torch.testing.assert_close(push(V), 3 * X**2 * V)


def test_a_captured_tensor_stays_in_a_graph_of_the_users() -> None:
    w = tensor([3.0, 4.0], requires_grad=True)
    attached = w * 2
    memory = torch.zeros(2, dtype=F64)

    def f(x: torch.Tensor) -> torch.Tensor:
        memory.copy_(x * w)
        return memory + attached * x

    anyjac.jacrev(f)(X).sum().backward()
    assert w.grad is not None
    assert attached.requires_grad
    assert memory.requires_grad
