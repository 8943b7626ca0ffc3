"""The Jacobian in reverse mode, on flat lists of arrays, by nothing but a backend's pullbacks.

What a backend computes that has no better way, and what a better way is compared with. Trees, Variables, dtype rules
and packing are dealt with above.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .backend import Array, Backend, FlatFunction, Pullback


class Jacobian(NamedTuple):
    """Outputs and aux without a trace, and for each output one block of shape ``y.shape + x.shape`` for each primal."""

    outputs: list[Any]
    blocks: list[list[Any]]
    aux: list[Any]


class CacheInfo(NamedTuple):
    """How often a backend's cache of compiled Jacobians was of use.

    Parameters
    ----------
    hits
        Calls that ran compiled.
    misses
        Calls that did not, since what they computed had not come often enough yet.
    uncached
        Calls for which nothing can be kept.
    maxsize, currsize
        How many different computations are kept at most, and now.

    Examples
    --------
    >>> import anyjac
    >>> info = anyjac.cache_info()
    >>> info.currsize <= info.maxsize
    True
    """

    hits: int = 0
    misses: int = 0
    uncached: int = 0
    maxsize: int = 0
    currsize: int = 0


def reverse_jacobian(backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None) -> Jacobian:
    """Run `fun` once and pull back the rows of the identity, a chunk at a time, output by output.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.
    """
    outputs, pullback, aux = backend.vjp(fun, primals)
    blocks = [blocks_of_output(backend, pullback, outputs, index, primals, chunk_size) for index in range(len(outputs))]
    return Jacobian(outputs, blocks, aux)


def row_chunks(
    backend: Backend,
    pullback: Pullback,
    outputs: Sequence[Array],
    index: int,
    primals: Sequence[Array],
    chunk_size: int | None,
) -> Iterator[list[Array]]:
    """Yield the rows of output `index`, a chunk after the other: for each primal an array ``(rows, *x.shape)``.

    There are none where the block is empty.
    """
    rows = math.prod(outputs[index].shape)
    columns = sum(math.prod(primal.shape) for primal in primals)
    if not rows or not columns:
        return
    for start, stop in chunks(rows, chunk_size or backend.rows_at_once(max(rows, columns))):
        yield rows_between(backend, pullback, outputs, index, primals, start, stop)


def rows_between(
    backend: Backend,
    pullback: Pullback,
    outputs: Sequence[Array],
    index: int,
    primals: Sequence[Array],
    start: int,
    stop: int,
) -> list[Array]:
    """Return rows `start` to `stop` of output `index`: for each primal an array ``(stop - start, *x.shape)``."""
    computed = backend.pullback_identity(pullback, outputs, index, start, stop)
    return [
        backend.zeros((stop - start, *primal.shape), primal) if part is None else part
        for part, primal in zip(computed, primals, strict=True)
    ]


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and one-past-last row of each chunk.

    Examples
    --------
    >>> from anyjac_plugins.jacobian import chunks
    >>> list(chunks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for start in range(0, rows, size):
        yield start, min(rows, start + size)


def blocks_of_output(
    backend: Backend,
    pullback: Pullback,
    outputs: Sequence[Array],
    index: int,
    primals: Sequence[Array],
    chunk_size: int | None,
) -> list[Array]:
    """Return the block of one output for each primal."""
    parts = list(row_chunks(backend, pullback, outputs, index, primals, chunk_size))
    columns = zip(*parts, strict=True) if parts else ((),) * len(primals)
    return [_join(backend, column, outputs[index], primal) for column, primal in zip(columns, primals, strict=True)]


def _join(backend: Backend, parts: Sequence[Array], output: Array, primal: Array) -> Array:
    """Put the rows of one block together; there are none where the block is empty."""
    xp = backend.namespace
    shape = (*output.shape, *primal.shape)
    if not parts:
        return backend.zeros(shape, primal)
    return xp.reshape(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0), shape)
