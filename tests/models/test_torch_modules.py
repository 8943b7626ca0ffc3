"""PyTorch's modules in ``grad_vars``, against `torch.autograd` on the same modules."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from tests.helpers.open_calls import make_impatient
from tests.helpers.threads import in_another_thread, run_in_threads
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrize
from torch.overrides import _get_current_function_mode_stack
from torch.utils.checkpoint import checkpoint

import anyjac


class Residual(nn.Module):
    """A block as ResNets are made of, with a head."""

    def __init__(self):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)
        self.second, self.norm2 = nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        y = self.norm2(self.second(torch.relu(self.norm1(self.first(x)))))
        return self.head(torch.relu(x + y).mean((2, 3)))


class Accumulator(nn.Module):
    """A cell that replaces its state by assignment."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, -1.0], dtype=torch.float64))
        self.register_buffer("state", torch.ones(2, dtype=torch.float64))

    def forward(self, x):
        self.state = self.state * self.weight + x
        return self.state.sum()


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    torch.manual_seed(0)
    yield
    assert not _get_current_function_mode_stack()


@pytest.fixture
def net():
    return Residual().double()


@pytest.fixture
def images():
    return torch.randn(4, 2, 5, 5, dtype=torch.float64)


def state_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same_state(module, expected):
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])


def native_gradients(loss, module):
    module.zero_grad()
    loss().backward()
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


def squares(module, x):
    return (module(x) ** 2).sum()


# ---- a checkpoint, which runs a module again in the pass back --------------------------------------------------------


def test_statistics_of_a_checkpoint_move_once_and_not_at_all_after_an_error():
    norm, layer, x = nn.BatchNorm1d(2), nn.Linear(2, 1), torch.randn(4, 2)

    def through(factor):
        return layer(checkpoint(norm, x, use_reentrant=False)).sum() * factor

    twin = copy.deepcopy(norm)
    twin(x)
    anyjac.grad(lambda: through(1.0), grad_vars=[norm, layer])()
    assert_same_state(norm, twin.state_dict())
    before = copy.deepcopy(norm.state_dict())
    with pytest.raises(anyjac.NonFiniteError):
        anyjac.grad(lambda: torch.sqrt(through(0.0)), grad_vars=[norm, layer], debug_nan=True)()
    assert_same_state(norm, before)


# ---- numbers -----------------------------------------------------------------------------------------------------


def test_the_gradient_of_a_residual_block_and_its_running_statistics_are_those_of_autograd(net, images):
    twin = copy.deepcopy(net)
    found = anyjac.grad(lambda x: squares(net, x), grad_vars=anyjac.train_vars(net))(images)
    expected = native_gradients(lambda: squares(twin, images), twin)
    assert list(found) == [name for name, _ in net.named_parameters()]
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)
    assert_same_state(net, twin.state_dict())
    assert int(net.norm1.num_batches_tracked) == 1


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd, anyjac.jacobian])
def test_a_jacobian_is_that_of_functional_call_and_statistics_move_once(net, images, transform):
    twin = copy.deepcopy(net)
    found = transform(lambda x: net(x), grad_vars=net)(images)
    parameters, buffers = dict(twin.named_parameters()), dict(twin.named_buffers())
    expected = torch.func.jacrev(lambda p: functional_call(copy.deepcopy(twin).eval(), p, images))(parameters)
    twin(images)
    assert_same_state(net, twin.state_dict())
    assert {name: block.shape for name, block in found.items()} == {n: b.shape for n, b in expected.items()}
    assert buffers.keys().isdisjoint(found)
    net.eval()
    for name, block in transform(lambda x: net(x), grad_vars=net)(images).items():
        reference = torch.func.jacrev(lambda p: functional_call(net, p, images))(dict(net.named_parameters()))
        torch.testing.assert_close(block, reference[name])


def test_parameters_and_arguments_come_as_a_pair(net, images):
    net.eval()
    by_parameters, by_images = anyjac.grad(lambda x: squares(net, x), grad_vars=net, argnums=0)(images)
    leaf = images.clone().requires_grad_()
    expected = native_gradients(lambda: squares(net, leaf), net)
    torch.testing.assert_close(by_images, leaf.grad)
    torch.testing.assert_close(by_parameters["head.weight"], expected["head.weight"])


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_a_recurrent_network_keeps_its_own_list_of_weights(make):
    network = make(2, 3, num_layers=2).double()
    before = list(network._flat_weights)
    x = torch.randn(5, 1, 2, dtype=torch.float64)
    found = anyjac.grad(lambda: (network(x)[0] ** 2).sum(), grad_vars=network)()
    expected = native_gradients(lambda: (network(x)[0] ** 2).sum(), network)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)
    assert all(now is then for now, then in zip(network._flat_weights, before, strict=True))


def test_an_lstm_cell_unrolled_over_time():
    cell = nn.LSTMCell(2, 3).double()
    x = torch.randn(4, 1, 2, dtype=torch.float64)

    def loss():
        h = c = torch.zeros(1, 3, dtype=torch.float64)
        for step in x:
            h, c = cell(step, (h, c))
        return (h**2).sum()

    found = anyjac.grad(loss, grad_vars=cell)()
    for name, gradient in native_gradients(loss, cell).items():
        torch.testing.assert_close(found[name], gradient)


def test_tied_parameters_are_one():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh(), nn.Linear(3, 3, bias=False)).double()
    net[2].weight = net[0].weight
    x = torch.randn(3, dtype=torch.float64)
    found = anyjac.grad(lambda: net(x).sum(), grad_vars=net)()
    assert list(found) == ["0.weight"]
    torch.testing.assert_close(found["0.weight"], native_gradients(lambda: net(x).sum(), net)["0.weight"])
    assert net[0].weight is net[2].weight


def test_a_state_that_the_forward_assigns_is_stored_and_differentiated_through():
    cell = Accumulator()
    parts = anyjac.variables(cell)
    found = anyjac.grad(lambda x: cell(x) + cell(x), grad_vars=parts)(torch.ones(2, dtype=torch.float64))
    w = cell.weight.detach()
    torch.testing.assert_close(found["state"], w + w**2)
    torch.testing.assert_close(found["weight"], 1 + 2 * w + 1)
    torch.testing.assert_close(cell.state, (w + 1) * w + 1)
    assert not cell.state.requires_grad


def test_running_statistics_can_be_differentiated_where_they_are_used():
    norm = nn.BatchNorm1d(3).double().eval()
    x = torch.randn(5, 3, dtype=torch.float64)
    views = anyjac.variables(norm)
    found = anyjac.grad(lambda: (norm(x) ** 2).sum(), grad_vars=[views["running_mean"], views["running_var"]])()
    mean, var = norm.running_mean.clone().requires_grad_(), norm.running_var.clone().requires_grad_()
    (((x - mean) / torch.sqrt(var + norm.eps)) ** 2).sum().backward()
    torch.testing.assert_close(found, [mean.grad, var.grad])


@pytest.mark.parametrize(("momentum", "compiled"), [(0.1, False), (0.1, True), (None, False)])
def test_batch_normalisation_that_is_called_twice_is_differentiated_twice(momentum, compiled):
    norm = nn.BatchNorm1d(3, momentum=momentum).double()
    twin = copy.deepcopy(norm)
    a, b = torch.randn(2, 4, 3, dtype=torch.float64)

    def loss(norm):
        return (norm(a) ** 3).sum() + (norm(b) ** 3).sum()

    transform = anyjac.grad(lambda: loss(norm), grad_vars=norm)
    run = anyjac.jit(transform) if compiled else transform
    for _ in range(2):
        torch.testing.assert_close(run(), native_gradients(lambda: loss(twin), twin))
        assert_same_state(norm, twin.state_dict())


@pytest.mark.parametrize("wrap", [lambda transform: transform, anyjac.jit], ids=["plain", "compiled"])
def test_statistics_that_move_do_not_stand_against_a_backward_of_torch(wrap):
    norm = nn.BatchNorm1d(3).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    run = wrap(anyjac.grad(lambda x: (norm(x) ** 3).sum(), grad_vars=norm))
    expected = native_gradients(lambda: (norm(x) ** 3).sum(), norm)
    for _ in range(2):
        norm.zero_grad()
        loss = (norm(x) ** 3).sum()
        run(2 * x)
        loss.backward()
        torch.testing.assert_close(norm.weight.grad, expected["weight"])


def test_a_state_within_a_graph_of_torch_is_replaced_and_the_graph_goes_on():
    cell, twin = Accumulator(), Accumulator()
    x = torch.ones(2, dtype=torch.float64)
    loss, expected = (cell(x) * cell.state).sum(), (twin(x) * twin.state).sum()
    anyjac.grad(lambda x: cell(x), grad_vars=cell)(x)
    twin(x)
    torch.testing.assert_close(cell.state, twin.state.detach())
    loss.backward(), expected.backward()
    torch.testing.assert_close(cell.weight.grad, twin.weight.grad)


def test_running_statistics_are_differentiated_where_they_move():
    norm = nn.BatchNorm1d(3, momentum=0.2).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    views = anyjac.variables(norm)
    statistics = [views["running_mean"], views["running_var"]]
    before = norm.running_var.clone()

    def moved():
        norm(x), norm(x)
        return norm.running_mean.sum(), norm.running_var**2

    of_mean, of_square = anyjac.jacrev(moved, grad_vars=statistics)()
    torch.testing.assert_close(of_mean[0], torch.full((3,), 0.64, dtype=torch.float64))
    torch.testing.assert_close(of_square[1], torch.diag(2 * norm.running_var * 0.64))
    assert not of_mean[1].any()
    torch.testing.assert_close(norm.running_var, 0.64 * before + 0.36 * x.var(0))


def test_sparse_gradients_of_embeddings_are_dense_blocks():
    words, layer = torch.tensor([[0, 1], [1, 3]]), nn.Embedding(4, 2, sparse=True).double()
    twin = nn.Embedding.from_pretrained(layer.weight.detach(), freeze=False)
    views = [anyjac.variables(module)["weight"] for module in (layer, twin)]

    def of_both(derivative):
        return [
            derivative(lambda m=m: (m(words) ** 3).sum(), view) for m, view in zip((layer, twin), views, strict=True)
        ]

    bag, dense_bag = nn.EmbeddingBag(4, 2, sparse=True), nn.EmbeddingBag(4, 2)
    dense_bag.load_state_dict(bag.state_dict())
    pairs = [
        of_both(lambda f, w: anyjac.grad(f, w)()),
        of_both(lambda f, w: anyjac.jit(anyjac.grad(f, w))()),
        of_both(lambda f, w: anyjac.hessian(f, w)()),
        of_both(lambda f, w: anyjac.hvp(f, w)(torch.ones(4, 2).double())),
        of_both(lambda f, w: anyjac.vmap(anyjac.grad(lambda x: x * f(), w))(torch.ones(3).double())),
        [anyjac.grad(lambda m=m: (m(words) ** 2).sum(), grad_vars=m)()["weight"] for m in (bag, dense_bag)],
    ]
    for found, expected in pairs:
        torch.testing.assert_close(found, expected)
    weight = anyjac.Variable(layer.weight)
    found = anyjac.grad(lambda: nn.functional.embedding(words, weight.value, sparse=True).sum(), weight)()
    assert found.tolist() == [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]


def test_an_embedding_that_nobody_named_keeps_its_sparse_gradient():
    words, table, layer = torch.tensor([0, 2]), nn.Embedding(3, 2, sparse=True), nn.Linear(2, 1)
    scale = torch.ones(2, requires_grad=True)  # by which the gradient belongs to a graph of the user's
    anyjac.grad(lambda: layer(table(words) * scale).sum(), grad_vars=layer)()["weight"].sum().backward()
    assert table.weight.grad.is_sparse


def test_complex_parameters_follow_the_convention_of_the_contract():
    layer = nn.Linear(1, 1, bias=False).to(torch.complex128)
    value = complex(layer.weight.detach().item())
    found = anyjac.grad(lambda: (layer.weight.abs() ** 2).sum(), grad_vars=layer)()["weight"]
    assert found.item() == pytest.approx(2 * value.conjugate())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_blocks_have_the_dtypes_of_their_parameters(dtype):
    layer = nn.Linear(2, 2).to(dtype)
    found = anyjac.jacrev(lambda: layer(torch.ones(2, dtype=dtype)), grad_vars=layer)()
    assert {block.dtype for block in found.values()} == {dtype}


def test_many_parameters_are_pushed_forward_by_dual_tensors():
    layer = nn.Linear(600, 600).double()  # too large for transposes
    x = torch.randn(600, dtype=torch.float64)
    views = anyjac.variables(layer)
    tangents = {name: torch.randn_like(view.value) for name, view in views.items()}
    value, pushed = anyjac.jvp(lambda: layer(x), views, return_value=True)(tangents)[::-1]
    torch.testing.assert_close(value, layer(x).detach())
    torch.testing.assert_close(pushed, tangents["weight"] @ x + tangents["bias"])


# ---- places ------------------------------------------------------------------------------------------------------


def test_variables_have_the_names_of_the_state_dict_and_train_vars_the_trained_ones(net):
    net.head.bias.requires_grad_(False)
    assert list(anyjac.variables(net)) == list(net.state_dict())
    expected = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    assert list(anyjac.train_vars(net)) == expected


def test_modules_are_found_in_other_objects_beside_variables(net):
    class Agent:
        def __init__(self):
            self.scale = anyjac.TrainVar(2.0)
            self.nets = [net]

        def __call__(self, x):
            return self.nets[0](x)

    found = anyjac.variables(Agent())
    assert list(found)[:2] == ["scale", "nets[0].first.weight"]
    assert len(found) == 1 + len(net.state_dict())


def test_results_mirror_what_grad_vars_holds(net, images):
    views = anyjac.variables(net)
    chosen = (views["head.bias"], [net.head.weight, views["head.bias"]], {"norm": net.norm1})
    one, (two, three), rest = anyjac.grad(lambda: squares(net.eval(), images), grad_vars=chosen)()
    assert one.shape == three.shape == (3,)
    assert two.shape == (3, 2)
    assert list(rest["norm"]) == ["weight", "bias"]


def test_a_parameter_is_one_variable_however_often_it_is_named(net):
    assert anyjac.variables(net)["head.weight"] is anyjac.variables(net.head)["weight"]


def test_a_parameter_by_itself_is_differentiated_by_modules_and_by_closures():
    layer = nn.Linear(2, 2).double()
    x = torch.randn(2, dtype=torch.float64)
    weight = layer.weight
    found = anyjac.grad(lambda: layer(x).sum() + (weight**2).sum() + sum(weight[0]), grad_vars=weight)()
    expected = native_gradients(lambda: layer(x).sum() + (weight**2).sum() + sum(weight[0]), layer)
    torch.testing.assert_close(found, expected["weight"])


def test_a_parameter_named_by_itself_and_by_its_module_is_one_variable(net, images):
    net.eval()
    expected = native_gradients(lambda: squares(net, images), net)["head.weight"]
    for grad_vars in ((net.head.weight, net), (anyjac.variables(net), net.head.weight), (net.head, net.head.weight)):
        found = anyjac.grad(lambda: squares(net, images), grad_vars=grad_vars, allow_int=True)()
        for part in found:
            names = ("head.weight", "weight")
            part = part if not isinstance(part, dict) else next(part[name] for name in names if name in part)
            torch.testing.assert_close(part, expected)


def test_a_parameter_that_became_known_by_two_ways_is_refused_and_no_derivative_is_lost(net, images):
    net.eval()
    alone = anyjac.grad(lambda: squares(net, images), grad_vars=net.head.weight)
    expected = native_gradients(lambda: squares(net, images), net)["head.weight"]
    torch.testing.assert_close(alone(), expected)
    outer = anyjac.jacrev(alone, grad_vars=net)
    with pytest.raises(anyjac.InputValueError, match="by itself and as part of a module"):
        outer()
    torch.testing.assert_close(alone(), expected)


def test_parameters_tied_across_models_are_one_variable():
    encoder, decoder = nn.Linear(3, 3, bias=False).double(), nn.Linear(3, 3, bias=False).double()
    decoder.weight = encoder.weight
    x = torch.randn(3, dtype=torch.float64)
    one, two = anyjac.grad(lambda: decoder(encoder(x)).sum(), grad_vars=(encoder, decoder))()
    expected = native_gradients(lambda: decoder(encoder(x)).sum(), encoder)["weight"]
    torch.testing.assert_close(one["weight"], expected)
    torch.testing.assert_close(two["weight"], expected)


def test_a_closure_that_refers_to_a_parameter_sees_the_differentiated_one(net):
    weight = net.head.weight
    found = anyjac.grad(lambda: (weight**2).sum(), grad_vars=net)()
    torch.testing.assert_close(found["head.weight"], 2 * weight.detach())


def test_a_parameter_used_past_the_operators_is_refused_and_not_taken_for_a_constant():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    layer = nn.Linear(2, 2).double()
    weight = layer.weight
    with pytest.raises(anyjac.NotSupportedError, match="past PyTorch's operators"):
        anyjac.grad(lambda: Double.apply(weight).sum(), grad_vars=weight)()
    found = anyjac.grad(lambda: Double.apply(layer.weight).sum(), grad_vars=layer)()
    assert found["weight"].tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_a_parameter_that_is_replaced_on_the_module_is_followed():
    layer = nn.Linear(2, 2, bias=False).double()
    views = anyjac.variables(layer)
    layer.load_state_dict({"weight": torch.full((2, 2), 3.0, dtype=torch.float64)}, assign=True)
    found = anyjac.grad(lambda: (layer.weight**2).sum(), grad_vars=views)()
    assert found["weight"].tolist() == [[6.0, 6.0], [6.0, 6.0]]


def test_writing_a_view_writes_the_parameter_that_an_optimizer_knows(net):
    weight, view = net.head.weight, anyjac.variables(net)["head.weight"]
    view.value = torch.zeros(3, 2, dtype=torch.float64)
    assert net.head.weight is weight
    assert weight.requires_grad
    assert not weight.any()
    with pytest.raises(anyjac.VariableWriteError, match=r"'head.weight' of a Linear holds float64\[3, 2\]"):
        view.value = torch.zeros(2, dtype=torch.float64)


# ---- after the call ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_every_parameter_and_buffer_is_as_it_was(net, images, error):
    before, objects = state_of(net), dict(net.named_parameters())

    def fails(x):
        net(x)
        raise error

    with pytest.raises(error):
        anyjac.grad(fails, grad_vars=net)(images)
    assert_same_state(net, before)
    assert all(parameter is objects[name] for name, parameter in net.named_parameters())


def test_when_the_output_is_refused_statistics_are_as_they_were(net, images):
    before = state_of(net)
    with pytest.raises(anyjac.OutputError):
        anyjac.grad(lambda x: net(x), grad_vars=net)(images)
    assert_same_state(net, before)


def _by_data(tensor):
    tensor.data.add_(1.0)


def _by_view_of_data(tensor):
    tensor.detach()[0].data[:1] += 1.0


def _by_other_data(tensor):
    tensor.data = torch.renorm(tensor.data, p=2, dim=0, maxnorm=0.1)


def _by_numpy(tensor):
    tensor.detach().numpy()[:] = 3.0


def _by_array(tensor):
    np.asarray(tensor.detach())[0] += 1.0


def _by_list(tensor):
    with torch.no_grad():
        torch._foreach_mul_([tensor], 0.5)


BY_NUMPY = [_by_numpy, _by_array]  # whose arrays are no part of a graph
WAYS = [_by_data, _by_view_of_data, _by_other_data, *BY_NUMPY, _by_list]
of_writes = pytest.mark.parametrize("write", WAYS)


class Constrained(nn.Linear):
    """A layer that changes its weight and a buffer whenever it is called."""

    def __init__(self, write):
        super().__init__(3, 2, dtype=torch.float64)
        self.write = write
        self.register_buffer("seen", torch.ones(2, 3, dtype=torch.float64))

    def forward(self, x):
        self.write(self.weight)
        self.write(self.seen)
        return super().forward(x) + (self.seen * x).sum(-1)[:2]


@pytest.mark.parametrize(
    ("write", "wrap"),
    [(write, lambda transform: transform) for write in WAYS] + [(w, anyjac.jit) for w in WAYS if w not in BY_NUMPY],
)
@pytest.mark.parametrize("train", [True, False])
def test_writes_that_pass_over_versions_are_stored(write, wrap, train):
    layer = Constrained(write).train(train)
    twin, x = copy.deepcopy(layer), torch.randn(2, 3, dtype=torch.float64)
    weight, closed_over = layer.weight, layer.weight
    run = wrap(anyjac.grad(lambda x: squares(layer, x) + closed_over.sum(), grad_vars=layer))
    for _ in range(2):
        found = run(x)
        expected = native_gradients(lambda: squares(twin, x) + twin.weight.sum(), twin)
        torch.testing.assert_close(found, expected)
        assert_same_state(layer, twin.state_dict())
    assert layer.weight is weight
    assert layer.weight.requires_grad


@of_writes
def test_after_an_error_what_was_written_over_versions_is_as_it_was(write):
    layer = Constrained(write)
    before = state_of(layer)

    def fails():
        layer(torch.ones(2, 3, dtype=torch.float64))
        raise ZeroDivisionError

    for run in (anyjac.grad(fails, grad_vars=layer), anyjac.jit(anyjac.grad(fails, grad_vars=layer))):
        with pytest.raises((ZeroDivisionError, anyjac.TracerLeakError)):  # jit hands out no arrays of NumPy
            run()
        assert_same_state(layer, before)


@of_writes
def test_writes_that_pass_over_versions_are_stored_once_by_nested_transforms(write):
    layer = Constrained(write)
    twin, x = copy.deepcopy(layer), torch.randn(2, 3, dtype=torch.float64)
    bias = anyjac.variables(layer)["bias"]
    anyjac.jacrev(anyjac.grad(lambda: squares(layer, x), grad_vars=layer), grad_vars=bias)()
    twin(x)
    assert_same_state(layer, twin.state_dict())


def test_data_may_be_read_and_then_nothing_is_stored():
    layer = nn.Linear(3, 2).double()
    x, versions = torch.randn(3, dtype=torch.float64), [parameter._version for parameter in layer.parameters()]

    def loss():
        scale = layer.weight.data.norm() + float(layer.bias.detach().numpy().sum())
        return layer(x).sum() / scale

    scale = float(layer.weight.detach().norm() + layer.bias.detach().sum())
    found = anyjac.grad(loss, grad_vars=layer)()
    torch.testing.assert_close(found["bias"], torch.full((2,), 1 / scale, dtype=torch.float64))
    assert [parameter._version for parameter in layer.parameters()] == versions


def test_within_transforms_of_torch_writes_to_data_are_seen_and_assignments_refused():
    def run(write):
        layer = Constrained(write)
        x = torch.ones(2, 3, dtype=torch.float64)
        with torch.inference_mode():
            found = anyjac.grad(lambda: squares(layer, x), grad_vars=layer)()
        return layer, found, x

    layer, found, x = run(_by_data)
    twin = Constrained(_by_data)
    twin.load_state_dict({**layer.state_dict(), "weight": layer.weight - 1.0, "seen": layer.seen - 1.0})
    torch.testing.assert_close(found, native_gradients(lambda: squares(twin, x), twin))
    assert layer.seen.unique().tolist() == [2.0]
    with pytest.raises(RuntimeError, match=r"mutating directly with `.data`"):
        run(_by_other_data)


@pytest.mark.parametrize("write", [_by_data, _by_view_of_data, _by_list])
def test_what_writes_over_versions_is_refused_by_name_where_it_is_mapped(write):
    layer = Constrained(write)
    before = state_of(layer)
    with pytest.raises(anyjac.VariableWriteError, match="'weight' of a Constrained is written in a function that vmap"):
        anyjac.vmap(anyjac.grad(lambda x: squares(layer, x), grad_vars=layer))(torch.ones(4, 2, 3).double())
    assert_same_state(layer, before)


def test_a_buffer_that_appears_in_the_call_is_refused_and_removed():
    layer = nn.Linear(2, 2)

    def grows():
        layer.register_buffer("late", layer.weight.sum())
        return layer.weight.sum()

    with pytest.raises(anyjac.VariableWriteError, match="gave 'late' to the module"):
        anyjac.grad(grows, grad_vars=layer)()
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_an_optimizer_steps_on_what_a_transform_returns():
    layer = nn.Linear(2, 1).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    x = torch.ones(2, dtype=torch.float64)
    losses = []
    for _ in range(3):
        gradients, loss = anyjac.grad(lambda: squares(layer, x), grad_vars=layer, return_value=True)()
        for name, parameter in layer.named_parameters():
            parameter.grad = gradients[name]
        optimizer.step()
        losses.append(float(loss))
    assert losses == sorted(losses, reverse=True)


# ---- composition -------------------------------------------------------------------------------------------------


def test_transforms_nest_over_a_module():
    layer = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).double()
    x = torch.randn(2, dtype=torch.float64)
    views = anyjac.train_vars(layer)
    inner = anyjac.jacrev(lambda: squares(layer, x), grad_vars=views["0.weight"])
    found = anyjac.jacrev(inner, grad_vars=views["0.weight"])()
    hessian = anyjac.hessian(lambda: squares(layer, x), grad_vars=views["0.weight"])()
    fixed = dict(layer.named_parameters())
    expected = torch.func.hessian(lambda w: (functional_call(layer, {**fixed, "0.weight": w}, x) ** 2).sum())(
        fixed["0.weight"].detach()
    )
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(hessian, expected.detach())


def test_statistics_move_once_under_nested_transforms(net, images):
    twin = copy.deepcopy(net)
    anyjac.jacrev(anyjac.grad(lambda x: squares(net, x), grad_vars=net.norm1), grad_vars=net.head)(images)
    twin(images)
    assert_same_state(net, twin.state_dict())


def test_rows_and_the_linear_operator_agree_with_the_jacobian(net, images):
    net.eval()
    weight = anyjac.variables(net)["head.weight"]
    transform = anyjac.jacrev(lambda: net(images), grad_vars=weight, chunk_size=5)
    whole = transform().reshape(12, 6)
    rows = torch.cat([block.block for block in transform.rows()])
    torch.testing.assert_close(rows.reshape(12, 6), whole)
    operator = transform.as_linear_operator()
    torch.testing.assert_close(torch.as_tensor(operator.rmatvec(np.ones(12))), whole.sum(0))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_step_follows_the_module_and_others_who_write_it(compiled):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    x, twin, views = torch.randn(4, 2, dtype=torch.float64), copy.deepcopy(net), anyjac.train_vars(net)

    def step(x):
        gradients = anyjac.grad(lambda x: squares(net, x + 1), grad_vars=views)(x)
        for name, view in views.items():
            view.value = view - 0.01 * gradients[name]
        return net[0].weight.sum()

    run = anyjac.jit(step) if compiled else step
    for _ in range(3):
        returned = run(x)
        gradients = native_gradients(lambda: squares(twin, x + 1), twin)
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                parameter -= 0.01 * gradients[name]
        assert_same_state(net, twin.state_dict())
        torch.testing.assert_close(returned, net[0].weight.detach().sum())
        with torch.no_grad():
            net[0].weight.add_(0.5), twin[0].weight.add_(0.5)


def test_a_module_is_mapped_over_examples_and_its_statistics_are_not(net, images):
    of_each = anyjac.vmap(anyjac.grad(lambda x: squares(net.eval(), x[None]), grad_vars=net.head))(images)
    one = anyjac.grad(lambda x: squares(net, x[None]), grad_vars=net.head)(images[2])
    torch.testing.assert_close(of_each["weight"][2], one["weight"])
    cell = Accumulator()
    before = cell.state
    with pytest.raises(anyjac.VariableWriteError, match="'state' of a Accumulator is written in a function that vmap"):
        anyjac.vmap(anyjac.grad(lambda x: cell(x), grad_vars=cell))(torch.ones(3, 2, dtype=torch.float64))
    assert cell.state is before


@pytest.mark.parametrize("over", ["input", "weight"])
def test_statistics_that_move_in_a_map_are_refused_by_their_name(over):
    norm = nn.BatchNorm1d(2).double()
    before = state_of(norm)
    x = torch.randn(3, 4, 2, dtype=torch.float64)

    def loss(x, factor):
        return (factor * norm(x) ** 3).sum()

    in_axes, arguments = ((0, None), (x, 2.0)) if over == "input" else ((None, 0), (x[0], torch.ones(3)))
    with pytest.raises(anyjac.VariableWriteError, match="'running_mean' of a BatchNorm1d is written in a function"):
        anyjac.vmap(anyjac.grad(loss, grad_vars=norm), in_axes)(*arguments)
    assert_same_state(norm, before)


def test_what_parametrizations_have_cached_belongs_to_one_call():
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 1, bias=False)).double()
    x = torch.randn(3, 2, dtype=torch.float64)
    run = anyjac.grad(lambda: squares(layer, x), grad_vars=layer)
    expected, weights = run(), []
    with parametrize.cached():
        outside = layer.weight

        def twice():
            weights[:] = [layer.weight, layer.weight]
            inner = anyjac.grad(lambda: squares(layer, x), grad_vars=layer)()
            torch.testing.assert_close(inner, expected)
            assert layer.weight is weights[0]
            return squares(layer, x)

        for _ in range(2):
            torch.testing.assert_close(run(), expected)
            torch.testing.assert_close(anyjac.grad(twice, grad_vars=layer)(), expected)
            assert weights[0] is weights[1]
            assert layer.weight is outside
    torch.testing.assert_close(native_gradients(lambda: squares(layer, x), layer), expected)
    assert parametrize._cache == {}


def test_within_transforms_of_torch_the_numbers_are_the_same(net, images):
    twin = copy.deepcopy(net)
    weights = anyjac.variables(net)["head.bias"]

    def outer(x):
        return anyjac.grad(lambda x: squares(net, x), grad_vars=weights)(x).sum()

    net.eval(), twin.eval()
    found = torch.func.grad(outer)(images)
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(squares(twin, leaf), twin.head.bias, create_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(gradient.sum(), leaf)[0])
    with torch.inference_mode():
        torch.testing.assert_close(anyjac.grad(lambda: squares(net, images), grad_vars=weights)(), gradient.detach())


def test_two_threads_lose_no_batch(net, images):
    run = anyjac.grad(lambda x: squares(net, x), grad_vars=net)
    parts = (anyjac.variables(net)["head.weight"], net.norm1)
    other = anyjac.grad(lambda x: squares(net, x), grad_vars=parts)
    run_in_threads([lambda f=f: [f(images) for _ in range(10)] for f in (run, other, run, other)])
    assert int(net.norm1.num_batches_tracked) == 40
    assert all(isinstance(parameter, nn.Parameter) for parameter in net.parameters())


def test_another_thread_reads_views_untraced_while_a_call_runs(net, images):
    view = anyjac.variables(net)["head.weight"]
    expected, seen = view.value.clone(), []

    def loss(x):
        seen.append(in_another_thread(view.committed))
        return squares(net, x)

    anyjac.grad(loss, grad_vars=net)(images)
    assert not seen[0].requires_grad
    torch.testing.assert_close(seen[0], expected)


def test_a_view_is_no_constant_in_a_thread_that_the_function_starts(net, images, monkeypatch):
    make_impatient(monkeypatch)
    view = anyjac.variables(net)["head.weight"]
    with pytest.raises(anyjac.ConcurrencyError, match=r"'head\.weight' of a Linear is read in a thread"):
        anyjac.grad(lambda x: squares(net, x) * in_another_thread(lambda: view.value.sum()), grad_vars=net)(images)


def test_a_transform_is_copied_and_pickled_with_its_module():
    step = Step(Accumulator())
    for twin in (copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        x = torch.ones(2, dtype=torch.float64)
        torch.testing.assert_close(twin(x)["weight"], torch.ones(2, dtype=torch.float64))
        assert twin.cell.state.tolist() == [1.5, 0.0]
        assert step.cell.state.tolist() == [1.0, 1.0]


class Step:
    """A gradient beside its module."""

    def __init__(self, cell):
        self.cell = cell
        self.gradient = anyjac.grad(cell.forward, grad_vars=cell)

    def __call__(self, x):
        return self.gradient(x)


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_an_integer_buffer_is_refused_by_its_name_or_gives_zeros_without_a_dtype(net, images):
    views = anyjac.variables(net)
    with pytest.raises(anyjac.DtypeError, match=r"norm1\.num_batches_tracked"):
        anyjac.grad(lambda: squares(net, images), grad_vars=views)()
    assert int(net.norm1.num_batches_tracked) == 0
    found = anyjac.grad(lambda: squares(net, images), grad_vars=views, allow_int=True)()
    assert found["norm1.num_batches_tracked"].dtype == anyjac.float0
    assert int(net.norm1.num_batches_tracked) == 1


@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_another_backend_is_refused_since_the_module_computes_with_torch(net, images, backend):
    with pytest.raises(anyjac.MixedBackendsError, match=r"'first\.weight' of a Conv2d is part of a model"):
        anyjac.grad(lambda: squares(net, images), grad_vars=net, backend=backend)()


def test_a_frozen_parameter_by_itself_is_refused(net):
    net.head.weight.requires_grad_(False)
    with pytest.raises(anyjac.InputTypeError, match="name it by its module"):
        anyjac.grad(lambda: net.head.weight.sum(), grad_vars=net.head.weight)


def test_a_frozen_parameter_of_a_module_can_be_differentiated(net):
    net.head.weight.requires_grad_(False)
    view = anyjac.variables(net)["head.weight"]
    found = anyjac.grad(lambda: net.head.weight.sum(), grad_vars=view)()
    assert found.tolist() == np.ones((3, 2)).tolist()
    assert not net.head.weight.requires_grad


def test_lazy_modules_and_scripts_are_refused():
    with pytest.raises(anyjac.InputTypeError, match="call the module once before"):
        anyjac.variables(nn.LazyLinear(3))
    with pytest.raises(anyjac.NotSupportedError, match="use the module that it was made of"):
        anyjac.variables(torch.jit.script(nn.Linear(2, 2)))


def test_a_plain_tensor_is_no_variable():
    with pytest.raises(anyjac.InputTypeError, match="not a Variable"):
        anyjac.grad(lambda: 0.0, grad_vars=torch.ones(2))


def test_a_part_that_another_replaces_on_the_module_is_seen_by_the_next_call():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    gradient = anyjac.grad(lambda x: net(x).sum(), grad_vars={"net": net, "scale": nn.Parameter(torch.ones(1))})
    x = torch.ones(3, 2)
    gradient(x)
    net[1] = nn.Linear(2, 1)
    assert gradient(x)["net"]["1.bias"].tolist() == [3.0]
    net.append(nn.Linear(1, 1))
    assert list(gradient(x)["net"]) == [name for name, _ in net.named_parameters()]
    net.requires_grad_(False)
    assert gradient(x)["net"] == {}


def test_a_transform_that_is_copied_with_its_model_follows_the_copy():
    class Model:
        def __init__(self):
            self.net = nn.Sequential(nn.Linear(2, 1))
            self.gradient = anyjac.grad(self.loss, grad_vars=self.net)

        def loss(self, x):
            return self.net(x).sum()

    model = Model()
    twin = copy.deepcopy(model)
    twin.net[0] = nn.Linear(2, 1)
    x = torch.ones(3, 2)
    for each in (model, twin):
        assert each.gradient(x)["0.bias"].tolist() == [3.0]


@pytest.mark.parametrize("grad_vars", [lambda bn: bn, lambda bn: [bn]], ids=["alone", "in a list"])
def test_a_module_of_which_nothing_is_trained_takes_part_all_the_same(grad_vars):
    bn = nn.BatchNorm1d(3).requires_grad_(False)
    x = torch.randn(4, 3)

    def fails(x):
        bn(x)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - of no message
        anyjac.grad(fails, grad_vars=grad_vars(bn), argnums=0)(x)
    assert int(bn.num_batches_tracked) == 0
    gradient = anyjac.grad(lambda x: (bn(x) ** 3).sum(), grad_vars=grad_vars(bn))(x)  # chosen by the argument
    assert gradient.shape == x.shape
    assert int(bn.num_batches_tracked) == 1
