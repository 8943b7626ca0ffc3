"""Columns of Jacobians, which are what forward mode computes: a pushforward of the columns of an identity."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .kinds import block_like, is_complex
from .linear_maps import filled
from .rows import RowMembers
from .types import Array, Pushforward, chunks


def blocks_by_columns(
    backend: RowMembers,
    pushforward: Pushforward,
    outputs: Sequence[Array],
    primals: Sequence[Array],
    chunk_size: int | None,
) -> list[list[Array]]:
    """Push the columns of the identity forward, a chunk at a time, primal by primal: the blocks of each output.

    A real output of a complex primal has two directional derivatives for each of its elements, which make one of
    ``df/dx - i df/dy``.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.
    """
    by_primal = [
        _columns_of_primal(backend, pushforward, outputs, index, primals, chunk_size) for index in range(len(primals))
    ]
    return [list(blocks) for blocks in zip(*by_primal, strict=True)] if primals else [[] for _ in outputs]


def _columns_of_primal(
    backend: RowMembers,
    pushforward: Pushforward,
    outputs: Sequence[Array],
    index: int,
    primals: Sequence[Array],
    chunk_size: int | None,
) -> list[Array]:
    primal = primals[index]
    columns = math.prod(primal.shape)
    width = max(columns, sum(math.prod(output.shape) for output in outputs))
    parts: list[list[Array]] = [[] for _ in outputs]
    if width:
        for start, stop in chunks(columns, chunk_size or backend.rows_at_once(width)):
            found = _pushed_identity(backend, pushforward, outputs, index, primals, start, stop)
            for part, column in zip(parts, found, strict=True):
                part.append(column)
    return [_beside(backend, part, output, primal) for part, output in zip(parts, outputs, strict=True)]


def _pushed_identity(
    backend: RowMembers,
    pushforward: Pushforward,
    outputs: Sequence[Array],
    index: int,
    primals: Sequence[Array],
    start: int,
    stop: int,
) -> list[Array]:
    """Return columns `start` to `stop` for one primal, as rows of each output: ``(stop - start, *y.shape)``."""
    primal = primals[index]
    tangents: list[Array | None] = [None] * len(primals)
    identity = tangents[index] = backend.seeds(primal, start, stop)
    along_real = _pushed(backend, pushforward, tangents, outputs, stop - start)
    if not is_complex(backend, primal) or all(is_complex(backend, output) for output in outputs):
        return along_real
    tangents[index] = 1j * identity
    along_imaginary = _pushed(backend, pushforward, tangents, outputs, stop - start)
    astype = backend.namespace.astype
    return [
        astype(real, primal.dtype) - 1j * astype(imaginary, primal.dtype)
        for real, imaginary in zip(along_real, along_imaginary, strict=True)
    ]


def _pushed(
    backend: RowMembers,
    pushforward: Pushforward,
    tangents: Sequence[Array | None],
    outputs: Sequence[Array],
    count: int,
) -> list[Array]:
    return filled(backend.pullback_rows(pushforward, tangents), outputs, backend.zeros, (count,))


def _beside(backend: RowMembers, parts: Sequence[Array], output: Array, primal: Array) -> Array:
    """Join the chunks of columns of one block, in the primal's dtype; in the output's, for a complex one of a real."""
    xp = backend.namespace
    shape = (*output.shape, *primal.shape)
    like = block_like(backend, output, primal)
    if not parts or not math.prod(shape):
        return backend.zeros(shape, like)
    columns = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    return xp.astype(xp.reshape(xp.moveaxis(columns, 0, -1), shape), like.dtype)
