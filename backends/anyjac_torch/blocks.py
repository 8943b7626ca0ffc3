"""Blocks of a Jacobian that belongs to no graph: one buffer of seeds and the blocks themselves, written chunk by chunk.

Knows tensors alone; how rows are pulled back is told by the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from anyjac_plugins import Array
from anyjac_plugins.jacobian import chunks

PullRows = Callable[[Array], Sequence["Array | None"]]
"""Seeds in, one to a row; for each primal its rows out, None for zeros."""


def identity_rows(like: Array, start: int, stop: int) -> Array:
    """Return rows `start` to `stop` of the identity on the flattened `like`, each in the shape of `like`."""
    rows = like.new_zeros((stop - start, like.numel()))
    rows.diagonal(start).fill_(1)
    return rows.view(-1, *like.shape)


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
    blocks = []
    memories = set()
    for part, primal in zip(parts, primals, strict=True):
        shape = output.shape + primal.shape
        block = primal.new_zeros(shape) if part is None else part.reshape(shape)
        memory = block.untyped_storage().data_ptr()
        if memory in memories or 0 in block.stride():  # the gradients of a sum repeat in memory, which users may write
            block = block.clone(memory_format=torch.contiguous_format)
        memories.add(memory)
        blocks.append(block)
    return blocks


def _seed_chunks(output: Array, size: int) -> Iterator[tuple[int, int, Array]]:
    """Yield first row, one-past-last row and seeds of each chunk, all in the same memory."""
    rows = output.numel()
    buffer = output.new_zeros((min(size, rows), rows))
    for start, stop in chunks(rows, size):
        seeds = buffer[: stop - start]
        ones = seeds.diagonal(start)
        ones.fill_(1)
        version = buffer._version
        yield start, stop, seeds.view(-1, *output.shape)
        if buffer._version == version:
            ones.zero_()
        else:  # a backward has written to the gradient that it was given
            buffer.zero_()
