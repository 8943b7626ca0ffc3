"""`vmap(randomness=...)` on PyTorch: random numbers of each example, the same for all, or none, in every way to map."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import anyjac
from anyjac import RandomnessError, vmap

BATCH = torch.ones(6, 4, dtype=torch.float64)
GENERATOR = torch.Generator()
RECURRENT = torch.nn.LSTM(1, 4, num_layers=2, dropout=0.5).double()
LAYERS = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5)).double()


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(1)
    GENERATOR.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anyjac.UnmappedWarning)
        yield


def noise(x: Any) -> Any:
    return x + torch.rand(4, dtype=x.dtype)


def dropped(x: Any) -> Any:
    return functional.dropout(x, 0.5)


def attention(x: Any) -> Any:
    rows = x.reshape(1, 2, 2)
    return functional.scaled_dot_product_attention(rows, rows, rows, dropout_p=0.5).reshape(4)


def branching(x: Any) -> Any:
    return dropped(x) if x[0] > 0 else x


DRAWING: dict[str, Callable[[Any], Any]] = {
    "rand": noise,
    "a generator of the user's": lambda x: x + torch.rand(4, generator=GENERATOR, dtype=x.dtype),
    "dropout": dropped,
    "dropout in a module": lambda x: LAYERS(x),
    "dropout in attention": attention,
    "of probabilities": lambda x: torch.bernoulli(x / 2),
    "a permutation": lambda x: torch.randperm(20)[:4] * x,
    "in place": lambda x: torch.empty(4, dtype=x.dtype).normal_() * x,
    "in place in an example": lambda x: x.clone().uniform_(),
    "without a rule for maps": lambda x: torch.rrelu(-x, training=True),
    "one by one": branching,
    "in a map": vmap(lambda y: y * torch.rand((), dtype=y.dtype), randomness="different"),
    "in a gradient": anyjac.grad(lambda x: (dropped(x) ** 2).sum()),
    "in a Jacobian, one by one": anyjac.jacrev(branching),
    "between recurrent layers": lambda x: RECURRENT(x[:, None])[0],
    "in a checkpoint": anyjac.grad(lambda x: (checkpoint(dropped, x, use_reentrant=False) ** 2).sum()),
    "in a tangent": lambda x: anyjac.jvp(dropped)(x, x),
}


def are_alike(rows: Any) -> bool:
    return bool((rows == rows[:1]).all())


@pytest.mark.parametrize("chunk_size", [None, 1, 4])
@pytest.mark.parametrize("name", DRAWING)
def test_the_same_numbers_in_all_chunks_and_as_one_example_draws_them(name: str, chunk_size: int | None) -> None:
    f = DRAWING[name]
    mapped = vmap(f, randomness="same", chunk_size=chunk_size)
    for _ in range(2):  # at first a function may have to be begun again
        _seed(2)
        found = mapped(BATCH)
        after = torch.rand(2), torch.rand(2, generator=GENERATOR)
        assert are_alike(found)
        _seed(2)
        one = vmap(f, randomness="same")(BATCH[:1])
        torch.testing.assert_close(found[:1], one)
        torch.testing.assert_close(after, (torch.rand(2), torch.rand(2, generator=GENERATOR)))


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("name", DRAWING)
def test_different_numbers_for_each_example_by_default(name: str, chunk_size: int | None) -> None:
    many = torch.ones(12, 4, dtype=torch.float64)
    assert not are_alike(vmap(DRAWING[name], chunk_size=chunk_size)(many))
    assert not are_alike(vmap(DRAWING[name], randomness="different", chunk_size=chunk_size)(many))


@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize("name", DRAWING)
def test_random_numbers_are_refused_and_none_is_drawn(name: str, chunk_size: int | None) -> None:
    expected = torch.get_rng_state(), GENERATOR.get_state()
    for _ in range(2):
        with pytest.raises(RandomnessError, match=r"random numbers.* randomness='error'; say randomness='different'"):
            vmap(DRAWING[name], randomness="error", chunk_size=chunk_size)(BATCH)
        torch.testing.assert_close((torch.get_rng_state(), GENERATOR.get_state()), expected)


def test_an_operator_that_is_seen_to_draw_is_named() -> None:
    with pytest.raises(RandomnessError, match=r"^aten\.\w+ draws random numbers"):
        vmap(branching, randomness="error")(BATCH)


@pytest.mark.parametrize("randomness", ["error", "same"])
def test_what_draws_no_numbers_is_let_through(randomness: Any) -> None:
    quiet: dict[str, Callable[[Any], Any]] = {
        "dropout that is off": lambda x: functional.dropout(x, 0.5, training=False),
        "a branch": lambda x: 2 * x if x[0] > 0 else x,
        "attention without dropout, one by one": lambda x: (
            functional.scaled_dot_product_attention(*[x.reshape(1, 2, 2)] * 3).reshape(4) if x[0] > 0 else x
        ),
        "an operator for training alone": lambda x: torch.rrelu(x, training=False),
    }
    for f in quiet.values():
        torch.testing.assert_close(vmap(f, randomness=randomness)(BATCH), torch.stack([f(x) for x in BATCH]))


def test_a_map_in_a_map_keeps_to_both() -> None:
    def pair(inner: Any, outer: Any, f: Callable[[Any], Any]) -> Any:
        return vmap(vmap(f, randomness=inner), randomness=outer)(torch.ones(3, 5, 4, dtype=torch.float64))

    for f in (noise, branching):
        found = pair("same", "different", f)
        assert are_alike(found.transpose(0, 1))
        assert not are_alike(found)
        found = pair("different", "same", f)
        assert are_alike(found)
        assert not are_alike(found.transpose(0, 1))
        for kinds in (("error", "same"), ("different", "error"), ("same", "error")):
            with pytest.raises(RandomnessError):
                pair(*kinds, f)


def test_within_the_frameworks_own_map() -> None:
    outer = torch.func.vmap(vmap(noise, randomness="same", chunk_size=2), randomness="different")
    found = outer(torch.ones(3, 5, 4, dtype=torch.float64))
    assert are_alike(found.transpose(0, 1))
    assert not are_alike(found)


def test_the_same_numbers_in_a_compiled_function() -> None:
    compiled = anyjac.jit(vmap(anyjac.grad(lambda x: (dropped(x) ** 2).sum()), randomness="same"))
    first, second = compiled(BATCH.repeat(1, 8)), compiled(BATCH.repeat(1, 8))
    assert are_alike(first)
    assert are_alike(second)
    assert not torch.equal(first, second)


def test_chunks_with_the_same_numbers_are_not_compiled_to_chunks_with_others() -> None:
    with pytest.raises(anyjac.NotSupportedError, match=r"'torch' cannot compile.*leave chunk_size out"):
        anyjac.jit(vmap(noise, randomness="same", chunk_size=2))(BATCH)
    with pytest.raises(RandomnessError, match="randomness='error'"):
        anyjac.jit(vmap(noise, randomness="error"))(BATCH)
    quiet = anyjac.jit(vmap(lambda x: 2 * x, randomness="same", chunk_size=2))
    torch.testing.assert_close(quiet(BATCH), 2 * BATCH)


def test_after_an_error_nothing_follows_operators() -> None:
    def fails(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        vmap(fails, randomness="same")(BATCH)
    assert not are_alike(vmap(noise)(BATCH))


def _seed(number: int) -> None:
    torch.manual_seed(number)
    GENERATOR.manual_seed(number)
