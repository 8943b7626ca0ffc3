"""Blocks of a Jacobian that belongs to no graph: one buffer of seeds and the blocks themselves, written chunk by chunk.

Knows tensors alone; how rows are pulled back is told by the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from anyjac_plugins import Array
from anyjac_plugins.backend.types import chunks

from .modes import is_recording
from .private import version_of
from .torch_func import is_transformed

PullRows = Callable[[Array], Sequence["Array | None"]]
"""Seeds in, one to a row; for each primal its rows out, None for zeros."""


def identity_rows(like: Array, start: int, stop: int) -> Array:
    """Return rows `start` to `stop` of the identity on the flattened `like`, each in the shape of `like`."""
    columns = like.numel()
    if is_recording() and is_transformed():  # `torch.func.linearize` forgets what is written in place
        rows = torch.eye(columns, dtype=like.dtype, device=like.device)[start:stop]
    elif start == 0 and not is_recording():
        rows = torch.eye(stop, columns, dtype=like.dtype, device=like.device)
    else:
        rows = like.new_zeros((stop - start, columns))  # compiled, it is read; `eye` is computed anew at each use
        rows.diagonal(start).fill_(1)
    return rows if like.ndim == 1 else rows.view(-1, *like.shape)


def filled_blocks(pull_rows: PullRows, output: Array, primals: Sequence[Array], size: int) -> list[Array]:
    """Return one block for each primal, computed `size` rows at once."""
    blocks = [primal.new_empty((output.numel(), *primal.shape)) for primal in primals]
    for start, stop, seeds in _seed_chunks(output, size):
        for block, part in zip(blocks, pull_rows(seeds), strict=True):
            block[start:stop] = 0 if part is None else part
    return [block.view(output.shape + primal.shape) for block, primal in zip(blocks, primals, strict=True)]


def whole_blocks(pull_rows: PullRows, output: Array, primals: Sequence[Array]) -> list[Array]:
    """Return one block for each primal, computed all at once."""
    parts = pull_rows(identity_rows(output, 0, output.numel()))
    shapes = [output.shape + primal.shape for primal in primals]
    blocks = [
        primal.new_zeros(shape) if part is None else part if part.shape == shape else part.reshape(shape)
        for part, primal, shape in zip(parts, primals, shapes, strict=True)
    ]
    return [_apart(block, blocks[:index]) for index, block in enumerate(blocks)]


def _apart(block: Array, others: Sequence[Array]) -> Array:
    """Return a block in memory of its own; gradients of a sum repeat a number there, or are the same tensor."""
    memory = block.untyped_storage().data_ptr() if others else None
    if 0 in block.stride() or any(other.untyped_storage().data_ptr() == memory for other in others):
        return block.clone(memory_format=torch.contiguous_format)
    return block


def _seed_chunks(output: Array, size: int) -> Iterator[tuple[int, int, Array]]:
    """Yield first row, one-past-last row and seeds of each chunk, all in the same memory."""
    rows = output.numel()
    buffer = output.new_zeros((min(size, rows), rows))
    for start, stop in chunks(rows, size):
        seeds = buffer[: stop - start]
        ones = seeds.diagonal(start)
        ones.fill_(1)
        version = version_of(buffer)
        yield start, stop, seeds.view(-1, *output.shape)
        if version_of(buffer) == version:
            ones.zero_()
        else:  # a backward has written to the gradient that it was given
            buffer.zero_()
