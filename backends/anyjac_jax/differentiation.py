"""Reverse mode on JAX: `jax.vjp`, and its pullback mapped over rows."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from anyjac_plugins import Array, FlatFunction, Pullback


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""

    def paired(*arrays: Array) -> tuple[list[Array], list[Array]]:
        outputs, aux = fun(*arrays)
        return list(outputs), list(aux)

    outputs, pull, aux = jax.vjp(paired, *primals, has_aux=True)

    def pullback(cotangents: Sequence[Array | None]) -> Sequence[Array | None]:
        filled = [
            jnp.zeros_like(output) if cotangent is None else cotangent
            for output, cotangent in zip(outputs, cotangents, strict=True)
        ]
        return list(pull(filled))

    return outputs, pullback, aux


def pullback_rows(pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None]:
    """Map `pullback` over the leading axis of the cotangents that are given."""
    given = [index for index, cotangent in enumerate(cotangents) if cotangent is not None]

    def one_row(*rows: Array) -> Sequence[Array | None]:
        filled: list[Array | None] = [None] * len(cotangents)
        for index, row in zip(given, rows, strict=True):
            filled[index] = row
        return pullback(filled)

    return list(jax.vmap(one_row)(*(cotangents[index] for index in given)))
