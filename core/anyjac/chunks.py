"""How many rows of a Jacobian are computed at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

CHUNK_ELEMENTS: Final = 2**22
"""Upper bound on the elements of one chunk's seeds and of its rows where the user names no size (32 MiB of float64)."""


def rows_per_chunk(rows: int, output_size: int, input_size: int, chosen: int | None) -> int:
    """Return the number of rows to compute at once: `chosen`, or as many as keep a chunk within bounds.

    Examples
    --------
    >>> from anyjac.chunks import rows_per_chunk
    >>> rows_per_chunk(10, 10, 10, None), rows_per_chunk(10, 10, 10, 3)
    (10, 3)
    >>> rows_per_chunk(10_000, 10_000, 10, None)
    419
    """
    if chosen is None:
        chosen = CHUNK_ELEMENTS // max(1, output_size, input_size)
    return max(1, min(rows, chosen))


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and one-past-last row of each chunk.

    Examples
    --------
    >>> from anyjac.chunks import chunks
    >>> list(chunks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for start in range(0, rows, size):
        yield start, min(rows, start + size)
