"""The types that a backend takes and returns: arrays, functions of flat arrays, Jacobians, opened containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Array = Any
"""An array of the backend's framework, traced or not."""


Pullback = Callable[[Sequence["Array | None"]], Sequence["Array | None"]]
"""Cotangents of all outputs in, cotangents of all primals out; None stands for zero in both."""


Pushforward = Callable[[Sequence["Array | None"]], Sequence["Array | None"]]
"""Tangents of all primals in, tangents of all outputs out; None stands for zero in both."""


FlatFunction = Callable[..., tuple[Sequence[Array], Sequence[Array]]]
"""A function of flat arrays that returns its outputs and, beside them, arrays that are not differentiated."""


class Noted:
    """What a staged function returns: arrays, and beside them a note of whatever is no array."""

    __slots__ = ("arrays", "note")

    def __init__(self, note: Any, arrays: Sequence[Array]):
        self.note = note
        self.arrays = arrays


StagedFunction = Callable[..., Noted]
"""A function of flat arrays that `Backend.stage` compiles."""


@dataclass(slots=True)
class OpenedNode:
    """A container that only a framework's registry knows, opened by `Backend.flatten_node`.

    Attributes
    ----------
    children
        What is in it.
    assemble
        Makes a container like it of other children.
    structure
        All that it has besides its children; two containers of a type are alike where these are equal.
    steps
        Tells how Python gets from it to each child, as ``".weight"`` or ``"['w']"``. Asked when there is a message to
        write, and not needed: children are counted otherwise.
    """

    children: list[Any]
    assemble: Callable[[Sequence[Any]], Any]
    structure: Any = None
    steps: Callable[[], Sequence[str]] | None = None


REVERSE: Final = "rev"


FORWARD: Final = "fwd"


AUTO: Final = "auto"


MODES: Final = (REVERSE, FORWARD, AUTO)
"""How to compute a Jacobian: row by row, column by column, or in whichever of the two is cheaper."""


class Jacobian(NamedTuple):
    """Outputs and aux without a trace, and for each output one block of shape ``y.shape + x.shape`` for each primal.

    The mode is the one that was taken, `REVERSE` or `FORWARD`.
    """

    outputs: list[Any]
    blocks: list[list[Any]]
    aux: list[Any]
    mode: str = REVERSE


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


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and one-past-last row of each chunk.

    Examples
    --------
    >>> from anyjac_plugins.backend.types import chunks
    >>> list(chunks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for start in range(0, rows, size):
        yield start, min(rows, start + size)
