"""Loops and branches by JAX's own, which record a body once for all steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from anyjac_plugins import Array
from anyjac_plugins.backend.loops import LoopStep, RepeatableFunction


def scan(
    step: LoopStep, carry: Sequence[Array], rows: Sequence[Array], length: int, reverse: bool, unroll: int
) -> tuple[list[Array], list[Array]]:
    """Run a step for each row, by `jax.lax.scan`."""

    def body(carry: list[Array], rows: list[Array]) -> tuple[list[Array], list[Array]]:
        after, results = step(carry, rows)
        return list(after), list(results)

    last, results = jax.lax.scan(body, list(carry), list(rows), length, reverse, unroll)
    return list(last), list(results)


def while_loop(
    condition: Callable[[Sequence[Array]], Array],
    step: Callable[[Sequence[Array]], Sequence[Array]],
    carry: Sequence[Array],
    max_steps: int | None,
) -> tuple[list[Array], Array]:
    """Run a step as long as a condition holds, and return the last carry, and whether the condition has ended the loop.

    With a greatest number of steps it is a scan of as many, of which those after the end do nothing, and which has a
    derivative in both modes. Where the condition still holds, no number of the carry is one: what is recorded cannot
    raise an error.
    """
    begin = list(carry)
    if max_steps is None:
        last = jax.lax.while_loop(lambda now: condition(list(now)), lambda now: list(step(list(now))), begin)
        return list(last), jnp.array(True)

    def go_on(now: list[Array]) -> tuple[list[Array], Array]:
        after = list(step(now))
        return after, condition(after)

    def body(state: tuple[list[Array], Array], _: None) -> tuple[tuple[list[Array], Array], None]:
        now, holds = state
        return jax.lax.cond(holds, go_on, lambda now: (now, holds), now), None

    (last, holds), _ = jax.lax.scan(body, (begin, condition(begin)), None, max_steps)
    return [_without_numbers(array, holds) for array in last], jnp.logical_not(holds)


def _without_numbers(array: Array, holds: Array) -> Array:
    """Return an array, in which no number is one where a condition still holds."""
    if jnp.issubdtype(array.dtype, jnp.inexact):
        return jnp.where(holds, jnp.full_like(array, jnp.nan), array)
    if jnp.issubdtype(array.dtype, jnp.integer):
        return jnp.where(holds, jnp.full_like(array, np.iinfo(array.dtype).min), array)
    return array


def branch(index: Array, branches: Sequence[Callable[..., Sequence[Array]]], operands: Sequence[Array]) -> list[Array]:
    """Return what one of several branches returns, by `jax.lax.switch`."""

    def listed(branch: Callable[..., Sequence[Array]]) -> Callable[..., list[Array]]:
        return lambda *operands: list(branch(*operands))

    return list(jax.lax.switch(index, [listed(each) for each in branches], *operands))


def checkpoint(function: RepeatableFunction, arrays: Sequence[Array], in_loop: bool) -> list[Array]:
    """Record a function, to be computed again for its derivative, by `jax.checkpoint`.

    In a loop the compiler cannot join the two computations, and need not be kept from it.
    """

    def run(*given: Array) -> list[Array]:
        return function.first(given)

    return list(jax.checkpoint(run, prevent_cse=not in_loop)(*arrays))
