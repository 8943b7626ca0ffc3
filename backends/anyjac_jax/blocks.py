"""Jacobians in forms that compile well, each made of one run of a function.

Rows or columns of the identity go through a linear map of JAX, a chunk at a time; nothing is kept from call to call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyjac_plugins import Array, Backend, FlatFunction, Jacobian, Pullback, Pushforward
from anyjac_plugins.backend.jacobians import cheaper_mode
from anyjac_plugins.backend.kinds import block_like
from anyjac_plugins.backend.types import FORWARD_MODE, REVERSE_MODE

from .linear_maps import jvp, linearize, one_hot, rows_at_once, transposed, vjp
from .meshes import in_type_of, within_shard_map, zeros


def recorded_jacobian(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str
) -> Jacobian:
    """Compute a Jacobian in a form that compiles well: chunks of rows in a loop, whose body is there once."""
    if mode == REVERSE_MODE:
        outputs, pullback, aux = vjp(fun, primals)
    else:
        outputs, pushforward, aux = linearize(fun, primals)
        if mode == FORWARD_MODE:
            return Jacobian(
                outputs, _blocks_by_columns(backend, pushforward, outputs, primals, chunk_size), aux, FORWARD_MODE
            )
        if cheaper_mode(backend, outputs, primals) == FORWARD_MODE and not within_shard_map():
            with contextlib.suppress(TypeError):  # a rule for rows need not be one for columns
                return Jacobian(
                    outputs, _blocks_by_columns(backend, pushforward, outputs, primals, chunk_size), aux, FORWARD_MODE
                )
        pullback = transposed(pushforward, outputs, primals)
    blocks = [_blocks(pullback, outputs, index, primals, chunk_size) for index in range(len(outputs))]
    return Jacobian(outputs, blocks, aux, REVERSE_MODE)


def _blocks(
    pullback: Pullback, outputs: Sequence[Array], index: int, primals: Sequence[Array], chunk_size: int | None
) -> list[Array]:
    """Pull back the rows of the identity for one output, a chunk at a time."""
    output = outputs[index]
    size = output.size
    columns = sum(primal.size for primal in primals)
    if not size or not columns:
        return [zeros((*output.shape, *primal.shape), primal) for primal in primals]

    def pull(seed: Array) -> list[Array]:
        seeds: list[Array | None] = [None] * len(outputs)
        seeds[index] = seed
        return list(pullback(seeds))

    if size == 1:  # a gradient: nothing to map over
        return _in_shapes(pull(in_type_of(jnp.ones(output.shape, output.dtype), output)), output, primals)

    def row(number: Array) -> list[Array]:
        return pull(one_hot(number, output))

    at_once = chunk_size or rows_at_once(max(size, columns))
    numbers = jnp.arange(size)
    found = jax.vmap(row)(numbers) if size <= at_once else jax.lax.map(row, numbers, batch_size=at_once)
    return _in_shapes(found, output, primals)


def _in_shapes(found: Sequence[Array], output: Array, primals: Sequence[Array]) -> list[Array]:
    shapes = [(*output.shape, *primal.shape) for primal in primals]
    return [
        part if part.shape == shape else jnp.reshape(part, shape) for part, shape in zip(found, shapes, strict=True)
    ]


def _blocks_by_columns(
    backend: Backend,
    pushforward: Pushforward,
    outputs: Sequence[Array],
    primals: Sequence[Array],
    chunk_size: int | None,
) -> list[list[Array]]:
    """Push the columns of the identity forward for each primal, a chunk at a time: the blocks of each output."""
    width = sum(output.size for output in outputs)
    by_primal = []
    for index, primal in enumerate(primals):
        if not primal.size or not width:
            by_primal.append(
                [zeros((*output.shape, *primal.shape), block_like(backend, output, primal)) for output in outputs]
            )
            continue
        column = _column(backend, pushforward, outputs, index, primals)
        at_once = chunk_size or rows_at_once(max(primal.size, width))
        numbers = jnp.arange(primal.size)
        if primal.size <= at_once:
            found = jax.vmap(column, out_axes=-1)(numbers)
        else:
            found = [jnp.moveaxis(part, 0, -1) for part in jax.lax.map(column, numbers, batch_size=at_once)]
        pairs = zip(found, outputs, strict=True)
        by_primal.append([jnp.reshape(part, (*output.shape, *primal.shape)) for part, output in pairs])
    return [list(blocks) for blocks in zip(*by_primal, strict=True)]


def _column(
    backend: Backend, pushforward: Pushforward, outputs: Sequence[Array], index: int, primals: Sequence[Array]
) -> Callable[[Array], list[Array]]:
    """Return a function that computes the column of a primal's element; for a complex element ``df/dx - i df/dy``."""
    primal = primals[index]
    real_outputs = not all(jnp.iscomplexobj(output) for output in outputs)

    def along(tangent: Array) -> list[Array]:
        tangents: list[Array | None] = [None] * len(primals)
        tangents[index] = tangent
        pairs = zip(pushforward(tangents), outputs, strict=True)
        return [jnp.asarray(part).astype(block_like(backend, output, primal).dtype) for part, output in pairs]

    def column(number: Array) -> list[Array]:
        tangent = one_hot(number, primal)
        if not (jnp.iscomplexobj(primal) and real_outputs):
            return along(tangent)
        return [real - 1j * imaginary for real, imaginary in zip(along(tangent), along(1j * tangent), strict=True)]

    return column


def jacobian_by_pushing_columns(backend: Backend, fun: FlatFunction, primals: Sequence[Array]) -> Jacobian:
    """Run `fun` once on all columns of the identity, where JAX pushes tangents through `fun` and cannot linearize it.

    For a complex primal and real outputs, a column is that of `_column`.
    """
    widths = [primal.size * (2 if jnp.iscomplexobj(primal) else 1) for primal in primals]
    starts = np.cumsum([0, *widths])
    columns = [
        jnp.zeros((starts[-1], primal.size), primal.dtype).at[start:stop].set(_directions(primal))
        for primal, start, stop in zip(primals, starts[:-1], starts[1:], strict=True)
    ]

    def push(*rows: Array) -> tuple[list[Array], list[Any], list[Array]]:
        return jvp(fun, primals, [jnp.reshape(row, primal.shape) for row, primal in zip(rows, primals, strict=True)])

    pushed: list[Any]
    outputs, pushed, aux = jax.vmap(push, out_axes=(None, -1, None))(*columns)
    real_outputs = not all(map(jnp.iscomplexobj, outputs))
    blocks = [
        [
            _block_of_columns(
                part[..., start:stop].astype(block_like(backend, part, primal).dtype), primal, real_outputs
            )
            for primal, start, stop in zip(primals, starts[:-1], starts[1:], strict=True)
        ]
        for part in pushed
    ]
    return Jacobian(outputs, blocks, aux, FORWARD_MODE)


def _directions(primal: Array) -> Array:
    """Return the identity on a flattened primal; for a complex one followed by i times the identity."""
    rows = jnp.eye(primal.size, dtype=primal.dtype)
    return jnp.concatenate([rows, 1j * rows]) if jnp.iscomplexobj(primal) else rows


def _block_of_columns(columns: Array, primal: Array, real_outputs: bool) -> Array:
    if jnp.iscomplexobj(primal):
        real, imaginary = columns[..., : primal.size], columns[..., primal.size :]
        columns = real - 1j * imaginary if real_outputs else real
    return jnp.reshape(columns, (*columns.shape[:-1], *primal.shape))
