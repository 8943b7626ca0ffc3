"""What is PyTorch's alone: graphs around a call, operators that cannot be batched, functorch, in-place changes."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from tests.helpers.forced_paths import forced
from tests.helpers.torch_functions import HiddenSquare, tensor

import anyjac
from anyjac import Variable, jacrev
from anyjac_conformance import check_backend, select
from anyjac_torch.backend import TorchBackend
from anyjac_torch.writes import same

F64 = torch.float64


def test_a_result_is_no_part_of_a_graph_where_none_is_around() -> None:
    result, value = jacrev(lambda x: x**2, return_value=True)(tensor([1.0, 2.0]))
    assert not result.requires_grad
    assert not value.requires_grad


def test_a_leaf_of_the_users_graph_can_be_differentiated_through_the_jacobian() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    jacrev(lambda x: x**3)(x).sum().backward()
    assert torch.equal(x.grad, tensor([6.0, 12.0]))


def test_a_closed_over_parameter_stays_connected() -> None:
    w = tensor(3.0, requires_grad=True)
    jacobian, value = jacrev(lambda x: w * x**2, return_value=True)(tensor([1.0, 2.0]))
    (jacobian.sum() + value.sum()).backward()
    assert w.grad.item() == (2 + 4) + (1 + 4)


def test_under_no_grad_a_result_is_a_constant() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    with torch.no_grad():
        jacobian = jacrev(lambda x: x**3)(x)
    assert not jacobian.requires_grad
    assert torch.equal(jacobian, torch.diag(tensor([3.0, 12.0])))


def test_the_gradients_of_the_users_leaves_are_left_alone() -> None:
    x, w = tensor([1.0], requires_grad=True), tensor(2.0, requires_grad=True)
    jacrev(lambda x: w * x)(x)
    assert x.grad is None
    assert w.grad is None


class RowByRow(torch.autograd.Function):
    """A square whose backward needs a number on the host, which no vmap gives."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        assert isinstance(float(gradient.sum()), float)
        return 2 * x * gradient


def test_a_backward_that_cannot_be_batched_is_run_row_by_row() -> None:
    runs = []

    def f(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return RowByRow.apply(x)

    assert torch.equal(jacrev(f)(tensor([1.0, 2.0, 3.0])), torch.diag(tensor([2.0, 4.0, 6.0])))
    assert runs == [1]


def test_a_backward_that_refused_one_batch_is_not_asked_again() -> None:
    asked = []

    class Refusing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            asked.append(1)
            return gradient * 2 * (float(gradient.sum()) ** 0)

    jacobian = jacrev(Refusing.apply, chunk_size=2)(tensor([1.0, 2.0, 3.0, 4.0]))
    assert torch.equal(jacobian, 2 * torch.eye(4, dtype=F64))
    assert len(asked) == 1 + 4


class InPlaceBackward(torch.autograd.Function):
    """Writes to the gradient that it is given, as PyTorch asks nobody to do and many do."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return -x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient.neg_().add_(0)


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_a_backward_may_write_to_its_gradient(chunk_size: int | None) -> None:
    jacobian = jacrev(InPlaceBackward.apply, chunk_size=chunk_size)(tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert torch.equal(jacobian, -torch.eye(5, dtype=F64))


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_each_block_has_memory_of_its_own(chunk_size: int | None) -> None:
    x = tensor([1.0, 2.0, 3.0])
    of_x, of_y = jacrev(lambda x, y: x + y, argnums=(0, 1), chunk_size=chunk_size)(x, x)
    of_x += 1
    assert torch.equal(of_y, torch.eye(3, dtype=F64))
    of_sum = jacrev(torch.sum, chunk_size=chunk_size)(x)
    of_sum[0] += 1
    assert of_sum.tolist() == [2.0, 1.0, 1.0]


def test_in_inference_mode_derivatives_are_not_zero() -> None:
    with torch.inference_mode():
        jacobian = jacrev(lambda x: x**2)(tensor([1.0, 2.0]))
    assert torch.equal(jacobian, torch.diag(tensor([2.0, 4.0])))


OF_SAVED_RESULTS = [torch.tanh, torch.exp, torch.sqrt, torch.relu, torch.sigmoid, torch.nn.Softmax(dim=0)]


@pytest.mark.parametrize("operator", OF_SAVED_RESULTS)
@pytest.mark.parametrize("chunk_size", [None, 1])
def test_operators_that_save_their_results_are_differentiated_in_inference_mode(
    operator: Any, chunk_size: int | None
) -> None:
    x = tensor([0.5, 1.5])
    expected = jacrev(operator)(x), anyjac.hessian(lambda x: operator(x)[0])(x)
    with torch.inference_mode():
        for point in (x, x.clone()):
            torch.testing.assert_close(jacrev(operator, chunk_size=chunk_size)(point), expected[0])
        torch.testing.assert_close(anyjac.hessian(lambda x: operator(x)[0])(x), expected[1])
        mapped = anyjac.vmap(anyjac.grad(lambda x: operator(x)[0]))(torch.stack([x, x]))
        torch.testing.assert_close(mapped[1], expected[0][0])


@pytest.mark.parametrize("compiled", [False, True])
def test_variables_are_read_and_written_in_inference_mode(compiled: bool) -> None:
    v, unused = Variable(tensor([1.0, 2.0])), Variable(tensor(3.0))

    def f(x: torch.Tensor) -> torch.Tensor:
        v.value.mul_(2)
        return (torch.tanh(x * v.value) * unused.value).sum()

    run = anyjac.jit(anyjac.grad(f)) if compiled else anyjac.grad(f)
    with torch.inference_mode():
        for factor in (2.0, 4.0):
            weights = factor * tensor([1.0, 2.0])
            expected = 3.0 * weights / torch.cosh(0.5 * weights) ** 2
            torch.testing.assert_close(run(tensor([0.5, 0.5])), expected)
        assert anyjac.vmap(lambda x: x * unused.value)(tensor([1.0, 2.0])).tolist() == [3.0, 6.0]
    assert v.value.tolist() == [4.0, 8.0]
    assert not v.value.is_inference()


def test_a_tensor_that_was_made_in_inference_mode_is_differentiated() -> None:
    with torch.inference_mode():
        x = tensor([1.0, 2.0])
    assert torch.equal(jacrev(lambda x: x**2)(x), torch.diag(tensor([2.0, 4.0])))


def test_an_attribute_of_a_custom_function_is_not_taken_for_a_leaf() -> None:
    class Marked(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.variable = "anything"
            return x * 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient

    result, value = jacrev(lambda x: Marked.apply(x) ** 2, return_value=True)(tensor([1.0, 2.0]))
    assert not result.requires_grad
    assert not value.requires_grad


def test_a_checkpointed_function_draws_the_same_numbers_again() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        dropped = lambda x: torch.nn.functional.dropout(x * 2)  # noqa: E731
        return torch.utils.checkpoint.checkpoint(dropped, x, use_reentrant=False)

    x = torch.arange(1.0, 9.0)
    jacobian, value = jacrev(f, return_value=True)(x)
    assert torch.equal(jacobian @ x, value)


def test_a_hook_on_a_tensor_changes_the_gradient() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.register_hook(lambda gradient: gradient * 10)
        return y * 1

    assert torch.equal(jacrev(f, chunk_size=2)(tensor([1.0, 2.0, 3.0])), 20 * torch.eye(3, dtype=F64))


def test_a_pullback_is_differentiable_in_its_cotangents() -> None:
    backend = anyjac.get_backend("torch")
    _, pullback, _ = backend.vjp(lambda x: ([x * torch.tensor([2.0, 3.0])], []), [torch.ones(2)])
    _, transposed, _ = backend.vjp(lambda c: (pullback([c]), []), [torch.ones(2)])
    assert torch.equal(transposed([tensor([1.0, 1.0]).float()])[0], torch.tensor([2.0, 3.0]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("path", ["batched", "rows"])
def test_every_path_gives_what_is_documented(path: str) -> None:
    check_backend(forced(TorchBackend, path), scenarios=select(["arrays", "composition", "dtypes"]))


def test_a_forced_path_is_taken() -> None:
    batched, rows = forced(TorchBackend, "batched"), forced(TorchBackend, "rows")
    seen: list[bool] = []

    def f(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.register_hook(lambda gradient: seen.append(torch._C._functorch.is_batchedtensor(gradient)))
        return y * 1

    for backend, point in ((batched, [1.0]), (batched, [1.0, 2.0]), (rows, [1.0]), (rows, [1.0, 2.0])):
        jacrev(f, backend=backend)(tensor(point))
    assert seen == [True, True, False, False, False]


class FailingBackward(torch.autograd.Function):
    """Raises in its backward, batched or not."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 1

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no derivative here")


def test_an_error_in_a_backward_reaches_the_user_and_leaves_variables_alone() -> None:
    v = Variable(tensor(1.0))

    def f(x: torch.Tensor) -> torch.Tensor:
        v.value = tensor(2.0)
        return FailingBackward.apply(x)

    with pytest.raises(RuntimeError, match="no derivative here"):
        jacrev(f)(tensor([1.0]))
    assert v.value.item() == 1.0


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacrev, torch.func.jacfwd])
def test_transforms_of_torch_func_around_a_call(transform: Any) -> None:
    result = transform(lambda x: jacrev(lambda y: y**3)(x))(tensor(2.0))
    assert result.item() == 12.0


def test_torch_func_inside_a_call() -> None:
    jacobian = jacrev(torch.func.jacrev(lambda x: x**3))(tensor([1.0, 2.0]))
    assert torch.equal(torch.einsum("iij->ij", jacobian), torch.diag(tensor([6.0, 12.0])))


def test_vmap_of_a_call_with_variables_in_both_places() -> None:
    w = Variable(tensor([2.0, 3.0]))
    of_w, of_x = torch.func.vmap(jacrev(lambda x: w * x, w, 0))(tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert torch.equal(of_w, torch.stack([torch.diag(tensor([1.0, 2.0])), torch.diag(tensor([3.0, 4.0]))]))
    assert torch.equal(of_x, torch.stack([torch.diag(tensor([2.0, 3.0]))] * 2))


def test_the_complex_convention_holds_within_functorch_too() -> None:
    z = torch.tensor([1 + 2j, 3 - 1j])
    gradient = torch.func.vmap(jacrev(lambda z: (z * z.conj()).real))(z)
    assert torch.allclose(gradient, 2 * z.conj())


def test_in_place_changes_in_the_function_are_differentiated() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        y[0] = y[0] * 10
        return y.mul_(2)

    assert torch.equal(jacrev(f)(tensor([1.0, 2.0])), torch.diag(tensor([20.0, 2.0])))


def test_an_in_place_change_of_a_variable_is_a_write() -> None:
    v = Variable(tensor([1.0, 2.0]))

    def f(x: torch.Tensor) -> torch.Tensor:
        v.value.mul_(2)
        v.value[0] = x
        return v.value * 1

    of_v, of_x = jacrev(f, v, 0)(tensor(5.0))
    assert torch.equal(of_v, torch.diag(tensor([0.0, 2.0])))
    assert torch.equal(of_x, tensor([1.0, 0.0]))
    assert torch.equal(v.value, tensor([5.0, 4.0]))


def test_an_in_place_change_is_undone_by_an_exception() -> None:
    v = Variable(tensor([1.0, 2.0]))

    def f(x: torch.Tensor) -> torch.Tensor:
        v.value.add_(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(f)(tensor(1.0))
    assert torch.equal(v.value, tensor([1.0, 2.0]))


def test_a_list_of_tensors_keeps_its_derivative_in_the_namespace() -> None:
    xp = anyjac.get_backend("torch").namespace
    f = lambda x: xp.asarray([[x[0] * x[1], 2.0], [x[1], x[0]]])  # noqa: E731
    assert torch.equal(jacrev(f)(tensor([3.0, 5.0]))[0, 0], tensor([5.0, 3.0]))
    assert xp.asarray([1.0, 2.0]).shape == (2,)
    assert xp.asarray([[tensor(1.0)], (2,)]).dtype == F64


def test_a_tensor_of_a_graph_is_refused_by_a_variable_with_the_mend() -> None:
    attached = tensor(1.0, requires_grad=True) * 2
    with pytest.raises(anyjac.TracerLeakError, match="detach"):
        Variable(attached)
    v = Variable(tensor(1.0))
    with pytest.raises(anyjac.TracerLeakError, match="detach"):
        v.value = attached
    v.value = attached.detach()
    assert v.value.item() == 2.0


def test_a_leaf_that_requires_a_gradient_is_copied_as_a_constant() -> None:
    parameter = torch.nn.Parameter(tensor([1.0, 2.0]))
    v = Variable(parameter)
    assert not v.value.requires_grad
    assert torch.equal(jacrev(lambda: v * v, v)(), torch.diag(tensor([2.0, 4.0])))


def test_modules_can_be_called_in_a_function() -> None:
    linear = torch.nn.Linear(2, 3, dtype=F64)
    jacobian = jacrev(linear)(tensor([1.0, 2.0]))
    assert torch.equal(jacobian, linear.weight.detach())


def test_float32_stays_float32_beside_numpy_constants() -> None:
    x = torch.tensor([1.0, 2.0])
    assert jacrev(lambda x: x * torch.as_tensor(np.float32(2.0)))(x).dtype == torch.float32


def test_a_compiled_transform_is_right_on_every_call() -> None:
    compiled = anyjac.get_backend("torch").framework_transforms.compile(jacrev(lambda x: x**2))
    for point in ([1.0, 2.0], [3.0, 4.0]):
        assert torch.equal(compiled(tensor(point)), torch.diag(2 * tensor(point)))


def test_writes_within_a_transform_of_torch_func_are_seen_though_no_version_tells_them() -> None:
    v, unused = Variable(tensor([1.0, 2.0])), Variable(tensor([1.0, float("nan")]))

    def f(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            torch._foreach_mul_([v.value], 2.0)
        v.value.data.add_(1.0)
        return (v.value * x * unused.value).sum()

    with torch.inference_mode():
        anyjac.grad(f)(tensor([1.0, 1.0]))
    assert v.value.tolist() == [3.0, 5.0]
    with pytest.raises(anyjac.VariableWriteError, match="is written in a function that vmap maps"):
        anyjac.vmap(anyjac.grad(f))(tensor([[1.0, 1.0]]))
    assert anyjac.vmap(anyjac.grad(lambda x: x * unused.value[0]))(tensor([3.0])).tolist() == [1.0]


def test_saved_tensor_hooks_are_refused_within_transforms_of_torch_func() -> None:
    def with_hooks(x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.graph.save_on_cpu():
            return (x**2).sum()

    with pytest.raises(RuntimeError, match="do not support saved tensor hooks"):
        torch.func.vmap(anyjac.grad(with_hooks))(torch.ones(2, 3))


def test_a_failure_within_transforms_of_torch_func_leaves_no_level_behind() -> None:
    def fails(x: torch.Tensor) -> torch.Tensor:
        raise OSError("out of paper")

    for mapping in (torch.func.vmap, anyjac.vmap):
        with pytest.raises(OSError, match="out of paper"):
            mapping(anyjac.grad(fails))(torch.ones(2, 3))
    assert torch._C._functorch.peek_interpreter_stack() is None
    assert not torch._C._functorch.get_inplace_requires_grad_allowed()


@pytest.mark.parametrize("grad_enabled", [True, False])
def test_a_gradient_within_a_map_is_differentiable_where_gradients_are_enabled(grad_enabled: bool) -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    with torch.set_grad_enabled(grad_enabled):
        slopes = anyjac.vmap(anyjac.grad(lambda x: (x**3).sum()))(x)
    assert slopes.requires_grad == grad_enabled
    torch.testing.assert_close(slopes.detach(), 3.0 * x.detach() ** 2)
    if grad_enabled:
        (curvature,) = torch.autograd.grad(slopes.sum(), x)
        torch.testing.assert_close(curvature, 6.0 * x.detach())


def test_random_numbers_are_other_ones_for_each_example() -> None:
    drawn = anyjac.vmap(lambda x: x * torch.rand(()))(torch.ones(100))
    assert len(set(drawn.tolist())) > 90


def test_a_map_of_gradients_is_right_within_a_function_that_dynamo_compiles() -> None:
    mapped = anyjac.vmap(anyjac.grad(lambda w, x: torch.tanh(w * x).sum()), (None, 0))
    w, x = torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    compiled = torch.compile(lambda w, x: 2.0 * mapped(w, x), backend="eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(w, x), 2.0 * x * (1.0 - torch.tanh(w * x) ** 2))


class Outputs(dict[str, Any]):
    """What a model returns, as libraries of models register it with PyTorch: a dict with attributes."""


def test_containers_that_are_registered_with_pytorch_are_trees() -> None:
    register = torch.utils._pytree.register_pytree_node
    register(Outputs, lambda d: (list(d.values()), list(d)), lambda v, k: Outputs(zip(k, v, strict=True)))
    x = torch.tensor([1.0, 2.0])
    loss, aux = anyjac.grad(lambda x: ((x * x).sum(), Outputs(logits=2.0 * x, name="a")), has_aux=True)(x)
    assert type(aux) is Outputs
    assert aux["name"] == "a"
    assert aux["logits"].grad_fn is None
    jacobian = anyjac.jacrev(lambda d: Outputs(y=d["x"] * 2.0))(Outputs(x=x))
    assert (type(jacobian), type(jacobian["y"])) == (Outputs, Outputs)
    np.testing.assert_array_equal(jacobian["y"]["x"], 2.0 * np.eye(2))
    assert loss.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "second",
    [
        lambda f, x: anyjac.hessian(f)(x),
        lambda f, x: anyjac.jacrev(anyjac.grad(f))(x),
        lambda f, x: anyjac.hvp(f)(x, x),
    ],
    ids=["hessian", "rows of the gradient", "product"],
)
def test_the_derivative_of_a_backward_that_hides_what_it_computes_is_no_zero(second: Any) -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    f = lambda x: HiddenSquare.apply(x).sum()  # noqa: E731
    np.testing.assert_array_equal(anyjac.grad(f)(x), [2.0, 4.0])
    with pytest.raises(anyjac.NotSupportedError, match=r"backward of a torch\.autograd\.Function"):
        second(f, x)


def test_tensors_on_two_devices_are_not_the_same_and_no_error() -> None:
    assert same(torch.ones(2), torch.ones(2))
    assert not same(torch.ones(2), torch.ones(2, device="meta"))
