"""The types that a backend takes and returns: arrays, functions of flat arrays, linear maps, Jacobians, containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

Result = TypeVar("Result")

Array = Any
"""An array of the backend's framework, traced or not."""


LinearMap = Callable[[Sequence["Array | None"]], Sequence["Array | None"]]
"""A pullback or a pushforward: arrays in, arrays out, where None stands for zero in both."""

Randomness = Literal["error", "different", "same"]
"""What `anyjac.vmap` makes of random numbers: none, numbers of each example's own, or the same for all."""

Pullback = LinearMap
"""The linear map from cotangents of all outputs to cotangents of all primals, as `Backend.vjp` returns it."""

Pushforward = LinearMap
"""The linear map from tangents of all primals to tangents of all outputs, as `Backend.linearize` returns it."""


class FlatFunction(Protocol):
    """A function of flat arrays that returns its outputs and, beside them, arrays that are not differentiated.

    A backend passes on whatever the function raises: errors of the user's, and those of anyjac. It may run the function
    again from its beginning, where a member of `Backend` says so: what an abandoned run wrote is forgotten.

    A plain function is a flat function. Those that anyjac makes are of the kind `FlatUserFunction`.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Sequence[Array], Sequence[Array]]:
        """Return outputs and aux arrays. Arrays are given by position, one for each primal."""


class Resumption(Protocol):
    """Models of other libraries as they were when a function ended."""

    def run(self, work: Callable[[], Result]) -> Result:
        """Do some work while models hold the values that they held then, traced or not, and return its result."""
        ...


class FlatUserFunction(FlatFunction, Protocol):
    """A flat function that anyjac has made of a user's function, in each call anew.

    `anyjac_plugins.failed_functions.origin_of` reads the first attribute of any flat function.
    """

    @property
    def origin(self) -> Callable[..., Any]:
        """The user's function that it comes from."""

    @property
    def resumption(self) -> Resumption | None:
        """What a pullback runs in that may run models once more, asked for after a run; None where there are none."""


class StagedResult:
    """The results of a staged function: arrays, and beside them a note of whatever is no array."""

    __slots__ = ("arrays", "note")

    def __init__(self, note: Any, arrays: Sequence[Array]):
        self.note = note
        self.arrays = arrays


class StagedFunction(Protocol):
    """A function of flat arrays that may be compiled, as `Backend.stage` returns it."""

    def __call__(self, *args: Any, **kwargs: Any) -> StagedResult:
        """Return arrays and a note. Arrays, and numbers among them, are given by position."""


class StagedAgainError(Exception):
    """Raised by a function that is being compiled, for anyjac to see: the function will be staged again with more."""


class StageableFunction(StagedFunction, Protocol):
    """The function of flat arrays that `Backend.stage` is given.

    A call may raise a `StagedAgainError`, for anyjac to see, and is made again then; the backend passes it on.
    """

    def as_it_is(self, *arrays: Array) -> StagedResult:
        """Return the same without compilation, for a call that is not to be compiled after all."""


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
        Returns how Python gets from it to each child, as ``".weight"`` or ``"['w']"``. Asked when there is a message to
        write, and not needed: children are counted otherwise.
    """

    children: list[Any]
    assemble: Callable[[Sequence[Any]], Any]
    structure: Any = None
    steps: Callable[[], Sequence[str]] | None = None


REVERSE_MODE: Final = "rev"
FORWARD_MODE: Final = "fwd"
AUTO_MODE: Final = "auto"

MODES: Final = (REVERSE_MODE, FORWARD_MODE, AUTO_MODE)
"""How to compute a Jacobian: row by row, column by column, or in whichever of the two is cheaper."""


class Jacobian(NamedTuple):
    """Outputs and aux without a trace, and for each output one block of shape ``y.shape + x.shape`` for each primal.

    The mode is the one that was taken, ``"rev"`` or ``"fwd"``.
    """

    outputs: list[Any]
    blocks: list[list[Any]]
    aux: list[Any]
    mode: str = REVERSE_MODE


@dataclass(slots=True)
class OutputRows:
    """Rows of the Jacobian of one output, as `Backend.output_rows` is asked for them.

    Parameters
    ----------
    pullback, outputs
        What `Backend.vjp` returned.
    index
        Which of the outputs it is.
    primals
        The arrays that are differentiated.
    chunk_size
        How many rows to compute at once, where all are wanted; None for `Backend.rows_at_once`.
    span
        The first row and the one past the last; None where all are wanted.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> from anyjac_plugins import OutputRows
    >>> backend = anyjac.get_backend("numpy")
    >>> primals = [np.array([1.0, 2.0, 3.0])]
    >>> outputs, pullback, _ = backend.vjp(lambda x: ([x**2], []), primals)
    >>> (rows,) = backend.output_rows(OutputRows(pullback, outputs, 0, primals, span=(1, 3)))
    >>> rows
    array([[0., 4., 0.],
           [0., 0., 6.]])
    """

    pullback: Pullback
    outputs: Sequence[Array]
    index: int
    primals: Sequence[Array]
    chunk_size: int | None = None
    span: tuple[int, int] | None = None

    @property
    def output(self) -> Array:
        """The output whose rows are wanted."""
        return self.outputs[self.index]

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading axes of the result: those of the output, or an axis that counts the rows of a span."""
        if self.span is None:
            return tuple(self.output.shape)
        start, stop = self.span
        return (stop - start,)


@dataclass(frozen=True, slots=True)
class FunctionRun:
    """A run of a function, and of one of its derivatives, in which `Backend.find_nonfinite` looks for an operator.

    Its results are the outputs; with `cotangents` the gradients for the primals, with `tangents` the tangents of the
    outputs.

    Parameters
    ----------
    fun, primals
        As in `Backend.vjp`; the function may be run again.
    cotangents, tangents
        The vectors that were pulled back, or pushed forward; None where neither was done.
    """

    fun: FlatFunction
    primals: Sequence[Array]
    cotangents: Sequence[Array | None] | None = None
    tangents: Sequence[Array | None] | None = None


@dataclass(frozen=True, slots=True)
class LinearMapCall:
    """A call of a linear map, in which `Backend.find_nonfinite` looks for an operator.

    The function whose derivative the map is cannot be run again; the map can.

    Parameters
    ----------
    linear_map
        As `Backend.vjp`, `Backend.linearize` or `Backend.transpose` returned it.
    vectors
        What it was called with.
    """

    linear_map: LinearMap
    vectors: Sequence[Array | None]


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
