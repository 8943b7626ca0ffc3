"""Rows of Jacobians, which are what reverse mode computes: two members, and how many rows are good at once.

=================  ================================================================================================
member             override it where
=================  ================================================================================================
``pullback_rows``  the framework pulls many cotangents back at once; by default one follows the other
``output_rows``    the cotangents' being rows of an identity is of use, or all rows of an output can be had at once, or
                   be written where they are to stay; by default `pullback_rows` of `seeds`, chunk by chunk
``rows_at_once``   another size of chunks is faster; by default one has 2^22 elements, 32 MiB of float64
=================  ================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .linear_maps import LinearMapMembers, filled
from .types import Array, LinearMap, OutputRows, chunks


class RowMembers(LinearMapMembers):
    """The part of a backend that computes rows of Jacobians."""

    def pullback_rows(self, linear_map: LinearMap, vectors: Sequence[Array | None]) -> list[Array | None]:
        """Map a batch of vectors: each that is not None has a leading axis, and so has each result.

        The default calls the map row by row.

        Parameters
        ----------
        linear_map
            The very object that `vjp`, `linearize` or `transpose` returned.
        vectors
            Its cotangents or tangents, one batch for each; not all are None.
        """
        count = next(each.shape[0] for each in vectors if each is not None)
        rows = [linear_map([None if each is None else each[i, ...] for each in vectors]) for i in range(count)]
        return [_stacked(self, column) for column in zip(*rows, strict=True)]

    def output_rows(self, wanted: OutputRows) -> list[Array]:
        """Return rows of the Jacobian of one output: for each primal an array of shape ``wanted.shape + x.shape``.

        Where all rows are wanted, the default asks for them chunk by chunk, as spans.
        """
        if wanted.span is None:
            return _all_rows(self, wanted)
        start, stop = wanted.span
        seeds: list[Array | None] = [None] * len(wanted.outputs)
        seeds[wanted.index] = self.seeds(wanted.output, start, stop)
        return filled(self.pullback_rows(wanted.pullback, seeds), wanted.primals, self.zeros, (stop - start,))

    def rows_at_once(self, width: int) -> int:
        """Return how many rows to pull back at once, or columns to push forward, where the user names no number.

        The default keeps seeds and rows within 2^22 elements each.

        Parameters
        ----------
        width
            Elements of one cotangent, or of all gradients of one row, whichever is more.
        """
        return max(1, 2**22 // max(1, width))


def _stacked(backend: RowMembers, column: Sequence[Array | None]) -> Array | None:
    """Return the rows of one result as one array; None where none of them is there."""
    known = next((row for row in column if row is not None), None)
    if known is None:
        return None
    xp = backend.namespace
    return xp.stack([xp.zeros_like(known) if row is None else row for row in column])


def _all_rows(backend: RowMembers, wanted: OutputRows) -> list[Array]:
    """Return all rows of one output, put together of spans, each of which is asked of `Backend.output_rows`."""
    pullback, outputs, index, primals = wanted.pullback, wanted.outputs, wanted.index, wanted.primals
    shape = outputs[index].shape
    rows = math.prod(shape)
    columns = sum(math.prod(primal.shape) for primal in primals)
    if not rows or not columns:
        return [backend.zeros((*shape, *primal.shape), primal) for primal in primals]
    spans = chunks(rows, wanted.chunk_size or backend.rows_at_once(max(rows, columns)))
    parts = [backend.output_rows(OutputRows(pullback, outputs, index, primals, None, span)) for span in spans]
    xp = backend.namespace
    together = parts[0] if len(parts) == 1 else [xp.concat(column, axis=0) for column in zip(*parts, strict=True)]
    pairs = zip(together, primals, strict=True)
    return [xp.reshape(part, (*shape, *primal.shape)) for part, primal in pairs]
