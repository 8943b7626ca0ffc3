"""Both modes on JAX: `jax.vjp` and `jax.linearize`, and their linear maps, mapped over rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp

from anyjac_plugins import Array, FlatFunction, LinearMap, Pullback, Pushforward
from anyjac_plugins.backend.linear_maps import filled
from anyjac_plugins.errors import ForwardRuleError

from .meshes import in_type_of, zeros

_NO_FORWARD_RULE: Final = "(jvp) to a custom_vjp function"
"""A part of the message of JAX's TypeError, which has no type of its own."""


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""

    outputs, pull, aux = jax.vjp(_in_lists(fun), *primals, has_aux=True)
    return outputs, VjpPullback(pull, outputs), aux


def linearize(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pushforward, list[Array]]:
    """Run `fun` once and return outputs, pushforward and aux; see `anyjac_plugins.Backend.linearize`."""
    with _rules_for_rows_by_name():
        outputs, push, aux = jax.linearize(_in_lists(fun), *primals, has_aux=True)
    return outputs, LinearPushforward(push, primals), aux


def transposed(pushforward: Pushforward, outputs: Sequence[Array], primals: Sequence[Array]) -> Pullback:
    """Return the pullback that belongs to a pushforward."""
    pull = jax.linear_transpose(lambda *tangents: list(pushforward(tangents)), *primals)

    def pullback(cotangents: Sequence[Array | None]) -> list[Array]:
        return _pull_filled(pull, outputs, cotangents)

    return pullback


def jvp(
    fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
) -> tuple[list[Array], list[Array | None], list[Array]]:
    """Run `fun` once and return outputs, their tangents and aux; see `anyjac_plugins.Backend.jvp`."""
    with _rules_for_rows_by_name():
        outputs, pushed, aux = jax.jvp(_in_lists(fun), tuple(primals), tuple(_filled(tangents, primals)), has_aux=True)
    return outputs, pushed, aux


@contextlib.contextmanager
def _rules_for_rows_by_name() -> Iterator[None]:
    """Raise an error of ours where JAX finds a function with a rule for its pullback alone.

    Raises
    ------
    ForwardRuleError
        In the place of JAX's TypeError, which it subclasses.
    """
    try:
        yield
    except TypeError as error:
        if _NO_FORWARD_RULE not in str(error):
            raise
        raise ForwardRuleError(
            "the function runs one that jax.custom_vjp made, which has a rule for rows and none for tangents; take a "
            "derivative in reverse mode (jacrev, grad, vjp), or give the function its rule by jax.custom_jvp"
        ) from error


def _in_lists(fun: FlatFunction) -> Callable[..., tuple[list[Array], list[Array]]]:
    def paired(*arrays: Array) -> tuple[list[Array], list[Array]]:
        outputs, aux = fun(*arrays)
        return list(outputs), list(aux)

    return paired


class LinearPushforward:
    """The pushforward of `jax.linearize`, in the contract's terms."""

    def __init__(self, push: Callable[..., Any], primals: Sequence[Array]):
        self._push = push
        self._primals = primals

    def __call__(self, tangents: Sequence[Array | None]) -> list[Array]:
        with _rules_for_rows_by_name():
            return list(self._push(*_filled(tangents, self._primals)))

    def children(self) -> tuple[Any, Sequence[Array]]:
        """Return JAX's linear map and the arrays at its side, by which another is made."""
        return self._push, self._primals


class VjpPullback:
    """The pullback of `jax.vjp`, in the contract's terms.

    It keeps the programs that it has compiled for chunks of rows, for later chunks of the same size.
    """

    def __init__(self, pull: Callable[..., Any], outputs: Sequence[Array]):
        self._pull = pull
        self._outputs = outputs
        self._calls: dict[tuple[int, int], int] = {}
        self._compiled: dict[tuple[int, int], Callable[..., list[Array]]] = {}

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array]:
        return _pull_filled(self._pull, self._outputs, cotangents)

    def children(self) -> tuple[Any, Sequence[Array]]:
        """Return JAX's linear map and the arrays at its side, by which another is made."""
        return self._pull, self._outputs

    def rows_are_wanted_often(self, index: int, count: int) -> bool:
        """Count requests for chunks of so many rows of an output, and return whether there have been several."""
        self._calls[index, count] = self._calls.get((index, count), 0) + 1
        return self._calls[index, count] > CHUNKS_TO_COMPILE

    def compiled_identity(self, index: int, start: int, count: int) -> list[Array]:
        """Pull back rows of the identity on an output by a compiled program, and wait, so that no chunks pile up."""
        if (index, count) not in self._compiled:
            self._compiled[index, count] = jax.jit(
                lambda pull, outputs, start: _pull_identity(pull, outputs, index, start, count)
            )
        compiled = self._compiled[index, count]
        rows: list[Array] = jax.block_until_ready(compiled(self._pull, self._outputs, start))  # type: ignore[no-untyped-call]
        return rows


def _children(linear_map: Any) -> tuple[tuple[Any, Sequence[Array]], None]:
    return linear_map.children(), None


for _kind in (LinearPushforward, VjpPullback):  # so that compiled functions return them
    jax.tree_util.register_pytree_node(_kind, _children, partial(lambda kind, _, parts: kind(*parts), _kind))

FEWEST_ROWS = 16
ELEMENTS_AT_ONCE = 2**20


def rows_at_once(width: int) -> int:
    """Return as many rows as make a batch of 2^20 elements, 8 MiB of float64, or a few if that is less."""
    return max(FEWEST_ROWS, ELEMENTS_AT_ONCE // width)


CHUNKS_TO_COMPILE = 2
"""How many chunks of equal size are pulled back until the next one is worth a compilation."""


def _pull_identity(
    pull: Callable[..., Any], outputs: Sequence[Array], index: int, start: Array, count: int
) -> list[Array]:
    def row(number: Array) -> list[Array]:
        seeds: list[Array | None] = [None] * len(outputs)
        seeds[index] = one_hot(number, outputs[index])
        return _pull_filled(pull, outputs, seeds)

    return jax.vmap(row)(start + jnp.arange(count))


def one_hot(number: Array, like: Array) -> Array:
    """Return one row of the identity on the flattened `like`, in its shape."""
    row = jnp.reshape(jnp.arange(like.size) == number, like.shape).astype(like.dtype)
    # The compiler would take 0 * inf for 0 where it knows the zeros.
    return in_type_of(jax.lax.optimization_barrier(row), like)  # type: ignore[no-untyped-call]


def _pull_filled(pull: Callable[..., Any], outputs: Sequence[Array], cotangents: Sequence[Array | None]) -> list[Array]:
    return list(pull(_filled(cotangents, outputs)))


def _filled(vectors: Sequence[Array | None], like: Sequence[Array]) -> list[Array]:
    """Return vectors of the types of the arrays that they belong to, with zeros in the place of None."""
    return list(map(in_type_of, filled(vectors, like, zeros), like))


def pullback_rows(linear_map: LinearMap, vectors: Sequence[Array | None]) -> list[Array | None]:
    """Map `linear_map` over the leading axis of the vectors that are given."""
    given = [index for index, vector in enumerate(vectors) if vector is not None]

    def one_row(*rows: Array) -> Sequence[Array | None]:
        row_of_each: list[Array | None] = [None] * len(vectors)
        for index, row in zip(given, rows, strict=True):
            row_of_each[index] = row
        return linear_map(row_of_each)

    return list(jax.vmap(one_row)(*(vectors[index] for index in given)))
