"""The rows of a Jacobian, as many at a time as are computed at once."""

from __future__ import annotations

from collections.abc import Iterator


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
