"""Functions beyond `torch.func.vmap`: `anyjac.vmap` takes their examples singly, after a warning."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.helpers.torch_functions import HiddenSquare

import anyjac
from anyjac import UnmappedWarning, Variable

BATCH = torch.tensor([[1.0, 2.0], [-3.0, 4.0], [5.0, -6.0]], dtype=torch.float64)


def in_place(x: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(2, dtype=x.dtype)
    total += x
    return total * x


def branch(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x[0] > 0 else x * 3


UNMAPPABLE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a branch": branch,
    "a branch by a number": lambda x: x * 2 if float(x[0]) > 0 else x * 3,
    "a list of numbers": lambda x: x * x.tolist()[0],
    "a NumPy array": lambda x: x * torch.as_tensor(x.detach().numpy()),
    "a write in place": in_place,
    "a shape": lambda x: x * torch.ones(int(x[0].abs()), dtype=x.dtype).sum(),
    "a function without a map": HiddenSquare.apply,
}


@pytest.mark.filterwarnings("ignore::anyjac.LostDerivativeWarning")
@pytest.mark.parametrize("name", UNMAPPABLE)
def test_examples_are_taken_one_by_one_with_one_warning(name: str) -> None:
    f = UNMAPPABLE[name]
    expected = torch.stack([f(x) for x in BATCH])
    with pytest.warns(UnmappedWarning, match="one by one") as seen:
        torch.testing.assert_close(anyjac.vmap(f)(BATCH), expected)
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnmappedWarning)
        torch.testing.assert_close(anyjac.vmap(f)(BATCH), expected)
        rows = torch.stack([anyjac.jacrev(f)(x) for x in BATCH])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmappedWarning)
        torch.testing.assert_close(anyjac.vmap(anyjac.jacrev(f))(BATCH), rows)
        slope = anyjac.grad(lambda batch: anyjac.vmap(f)(batch).sum())(BATCH)
    torch.testing.assert_close(slope, rows.sum(1))


@pytest.mark.filterwarnings("ignore::anyjac.LostDerivativeWarning")
@pytest.mark.parametrize(
    ("f", "said"),
    [
        (lambda x: x if x[0] > 0 else -x, "it branches on the numbers of an example.*torch.where"),
        (lambda x: x * x[0].item(), "hands them to Python.*torch.where"),
        (lambda x: x * x.tolist()[0], "hands them to Python.*torch.where"),
        (lambda x: torch.zeros(2, dtype=x.dtype).add_(x), "writes in place to a tensor that the examples share.*stack"),
        (lambda x: torch.zeros(2, dtype=x.dtype).index_put_((torch.tensor([0]),), x[:1]), "writes in place.*stack"),
        (lambda x: torch.sin(x, out=torch.empty(2, dtype=x.dtype)), "writes in place.*stack"),
        (lambda x: x[x != 0], r"the shape of a result goes by the numbers.*torch.where\(mask, x, 0\)"),
        (lambda x: torch.zeros(2, dtype=x.dtype).normal_() * x, "draws random numbers into a tensor that.*torch.randn"),
        (lambda x: HiddenSquare.apply(x), "autograd.Function in it has no rule for maps.*setup_context"),
        (lambda x: torch.rrelu(x, training=True), "it says RuntimeError: vmap: we do not yet support aten::rrelu"),
    ],
)
def test_the_warning_says_what_cannot_be_mapped_and_what_can(f: Callable[..., torch.Tensor], said: str) -> None:
    with pytest.warns(UnmappedWarning, match=said):
        anyjac.vmap(f)(BATCH)


class LanguageModel(torch.nn.Module):
    """The usual one: an embedding, an LSTM, a layer for the next token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 4)
        self.lstm = torch.nn.LSTM(4, 5, batch_first=True)
        self.decoder = torch.nn.Linear(5, 7)

    def loss(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(self.embedding(tokens[None, :-1]))
        return torch.nn.functional.cross_entropy(self.decoder(hidden)[0], tokens[1:])


def test_gradients_of_each_example_of_a_recurrent_language_model() -> None:
    torch.manual_seed(0)
    model = LanguageModel().double()
    tokens = torch.randint(7, (3, 6), generator=torch.Generator().manual_seed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmappedWarning)
        found = anyjac.vmap(anyjac.grad(model.loss, model))(tokens)
    for row, example in enumerate(tokens):
        expected = anyjac.grad(model.loss, model)(example)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name][row], gradient)


def test_an_error_of_the_function_is_its_own_and_begins_nothing_again() -> None:
    runs: list[int] = []

    def fail(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        raise RuntimeError("no map of Rome")

    with pytest.raises(RuntimeError, match="no map of Rome"):
        anyjac.vmap(fail)(BATCH)
    assert runs == [1]


@pytest.mark.filterwarnings("ignore::anyjac.UnmappedWarning")
def test_a_write_of_a_variable_is_refused_in_a_loop_too() -> None:
    v = Variable(torch.zeros(2, dtype=torch.float64), name="v")

    def f(x: torch.Tensor) -> torch.Tensor:
        v.value = branch(x)
        return x

    with pytest.raises(anyjac.VariableWriteError, match="'v'"):
        anyjac.vmap(f)(BATCH)
    np.testing.assert_array_equal(v.value, [0.0, 0.0])
