"""The Jacobian in either mode, on flat lists of arrays, by nothing but a backend's linear maps.

What a backend computes that has no better way, and what a better way is compared with. Trees, Variables, dtype rules
and packing are dealt with above.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .capabilities import FORWARD as FORWARD_CAPABILITY
from .types import FORWARD, REVERSE, Jacobian, chunks

if TYPE_CHECKING:
    from .backend import Backend
    from .types import Array, FlatFunction, Pullback, Pushforward


def plain_jacobian(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str
) -> Jacobian:
    """Run `fun` once and compute its Jacobian in the given mode.

    Where that is `AUTO`, the run is made for rows, and columns are computed by `Backend.transpose` if they are cheaper,
    and if there are any: a function may have a rule for its pullback and none by which that could be transposed.
    """
    if mode == REVERSE:
        return reverse_jacobian(backend, fun, primals, chunk_size)
    if mode == FORWARD:
        outputs, pushforward, aux = backend.linearize(fun, primals)
        return Jacobian(outputs, blocks_by_columns(backend, pushforward, outputs, primals, chunk_size), aux, FORWARD)
    outputs, pullback, aux = backend.vjp(fun, primals)
    if cheaper_mode(backend, outputs, primals) == FORWARD:
        with contextlib.suppress(Exception):  # a user's rule may raise anything when transposed; rows need no transpose
            pushforward = backend.transpose(pullback, outputs, primals)
            blocks = blocks_by_columns(backend, pushforward, outputs, primals, chunk_size)
            return Jacobian(outputs, blocks, aux, FORWARD)
    return _by_rows(backend, outputs, pullback, aux, primals, chunk_size)


def cheaper_mode(backend: Backend, outputs: Sequence[Any], primals: Sequence[Any]) -> str:
    """Return the mode that costs less, by numbers of rows and columns and by what the backend can."""
    rows = sum(math.prod(output.shape) for output in outputs)
    columns = sum(math.prod(primal.shape) for primal in primals)
    forward = backend.supports(FORWARD_CAPABILITY) and columns * backend.column_cost < rows
    return FORWARD if forward else REVERSE


def reverse_jacobian(backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None) -> Jacobian:
    """Run `fun` once and pull back the rows of the identity, a chunk at a time, output by output.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.
    """
    outputs, pullback, aux = backend.vjp(fun, primals)
    return _by_rows(backend, outputs, pullback, aux, primals, chunk_size)


def _by_rows(
    backend: Backend,
    outputs: list[Array],
    pullback: Pullback,
    aux: list[Array],
    primals: Sequence[Array],
    chunk_size: int | None,
) -> Jacobian:
    indices = range(len(outputs))
    blocks = [backend.pullback_blocks(pullback, outputs, index, primals, chunk_size) for index in indices]
    return Jacobian(outputs, blocks, aux)


def blocks_by_columns(
    backend: Backend,
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
    backend: Backend,
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
    backend: Backend,
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
    identity = tangents[index] = backend.identity_rows(primal, start, stop)
    along_real = _pushed(backend, pushforward, tangents, outputs, stop - start)
    if not _is_complex(backend, primal) or all(_is_complex(backend, output) for output in outputs):
        return along_real
    tangents[index] = 1j * identity
    along_imaginary = _pushed(backend, pushforward, tangents, outputs, stop - start)
    astype = backend.namespace.astype
    return [
        astype(real, primal.dtype) - 1j * astype(imaginary, primal.dtype)
        for real, imaginary in zip(along_real, along_imaginary, strict=True)
    ]


def _pushed(
    backend: Backend, pushforward: Pushforward, tangents: Sequence[Array | None], outputs: Sequence[Array], count: int
) -> list[Array]:
    return _filled(backend, backend.pullback_rows(pushforward, tangents), outputs, count)


def _is_complex(backend: Backend, array: Array) -> bool:
    return backend.dtype_kind(array.dtype) == "complex floating"


def _beside(backend: Backend, parts: Sequence[Array], output: Array, primal: Array) -> Array:
    """Put the columns of one block beside one another, in the primal's dtype."""
    xp = backend.namespace
    shape = (*output.shape, *primal.shape)
    if not parts or not math.prod(shape):
        return backend.zeros(shape, primal)
    columns = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    return xp.astype(xp.reshape(xp.moveaxis(columns, 0, -1), shape), primal.dtype)


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
    return _filled(backend, backend.pullback_identity(pullback, outputs, index, start, stop), primals, stop - start)


def _filled(backend: Backend, rows: Sequence[Array | None], like: Sequence[Array], count: int) -> list[Array]:
    """Put zeros where there are no rows."""
    pairs = zip(rows, like, strict=True)
    return [backend.zeros((count, *array.shape), array) if part is None else part for part, array in pairs]


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
