"""`Rows`: the Jacobian in blocks of rows, for one that does not fit in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from anyjac_plugins.errors import DtypeError, InputTypeError, InputValueError

from ..pickles import make
from ..trees.structure import flatten
from .linearisation import Linearisation, LinearisationView, OutputLeaf

Out = TypeVar("Out")

Progress = Callable[[int, int], object]
"""Called with the number of rows that are done, and the number of all rows."""


class RowBlock(NamedTuple):
    """Some consecutive rows of the Jacobian of one leaf of the output.

    Parameters
    ----------
    path : str
        The path to the leaf in the output, as in Python, such as ``"['force'][0]"``; empty where the output is one
        array.
    start, stop : int
        The first row and one past the last, counted from 0 in each leaf; row ``i`` is that of element ``i`` of the
        flattened leaf.
    block : pytree
        The rows, packed as the transform packs a Jacobian, without the tree of the output: an array of shape
        ``(stop - start, *x.shape)`` in the place of each input leaf ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> rows = anyjac.jacrev(lambda x: {"twice": 2 * x}, chunk_size=1).rows(np.array([1.0, 2.0]))
    >>> next(rows)
    RowBlock(path="['twice']", start=0, stop=1, block=array([[2., 0.]]))
    """

    path: str
    start: int
    stop: int
    block: Any

    def __reduce__(self) -> Any:
        return make, ("RowBlock", tuple(self), {})


class Rows(LinearisationView, Iterator[RowBlock]):
    """The Jacobian of one call, as an iterator over blocks of rows; made by `GradientTransform.rows`.

    The function has run before the first block is asked for; each block is computed on demand. The leaves of the
    output follow in the order of its tree, and no block has rows of two leaves. ``len`` is the number of all blocks,
    however many have been taken.

    An iterator is consumed once. With the last block, or by `close`, the iterator drops all arrays that the function
    computed, except `value` and `aux`; a ``with`` statement closes it at the end. Threads may share an iterator: each
    block goes to one thread. After an error the next attempt computes the same block.

    Attributes
    ----------
    value
        The output of the function, untraced, in its own tree.
    aux
        The aux data with ``has_aux=True``, None otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> rows = anyjac.jacrev(lambda x: x**2, chunk_size=2).rows(np.array([1.0, 2.0, 3.0]))
    >>> len(rows), rows.value
    (2, array([1., 4., 9.]))
    >>> for rows_of_y in rows:
    ...     print(rows_of_y.start, rows_of_y.stop, rows_of_y.block.tolist())
    0 2 [[2.0, 0.0, 0.0], [0.0, 4.0, 0.0]]
    2 3 [[0.0, 0.0, 6.0]]
    """

    def __init__(self, linearisation: Linearisation):
        self.value = linearisation.value
        self.aux = linearisation.aux
        self._source: Linearisation | None = linearisation
        self._lock = linearisation.lock
        self._sizes = [(leaf, linearisation.at_once(leaf.size)) for leaf in linearisation.leaves]
        self._all_rows = sum(leaf.size for leaf, _ in self._sizes)
        self._taken = 0
        self._callbacks: list[Progress] = []
        if not len(self):
            self.close()

    # ---- iteration -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(math.ceil(leaf.size / size) for leaf, size in self._sizes)

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> RowBlock:
        rows, done = self._take()
        self._report(done)
        return rows

    def on_progress(self, callback: Progress) -> Rows:
        """Have `callback` called after each block.

        Parameters
        ----------
        callback
            Called with the number of rows that are done and the number of all rows, of all leaves of the output
            together; by `into` when the rows have been written. An exception that it raises ends the iteration.

        Returns
        -------
        Rows
            The same iterator.

        Examples
        --------
        >>> import numpy as np
        >>> import anyjac
        >>> rows = anyjac.jacrev(lambda x: x**2, chunk_size=2).rows(np.ones(3))
        >>> for _ in rows.on_progress(lambda done, total: print(f"{done} of {total}")):
        ...     pass
        2 of 3
        3 of 3
        """
        if not callable(callback):
            raise InputTypeError(
                f"on_progress needs a callable that takes (done, total), not {callback!r} (of type "
                f"{type(callback).__qualname__})"
            )
        self._callbacks.append(callback)
        return self

    def close(self) -> None:
        """Drop the arrays that the function computed, so that no more blocks follow; may be repeated.

        Examples
        --------
        >>> import anyjac
        >>> rows = anyjac.jacrev(lambda x: x**2).rows(3.0)
        >>> rows.close()
        >>> list(rows), float(rows.value)
        ([], 9.0)
        """
        self._source = None

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---- all rows into memory that is there ------------------------------------------------------------------------

    def into(self, out: Out) -> Out:
        """Write all rows into an array, block by block, and return it.

        For one output leaf ``y`` and one input leaf ``x``; where there are more, take the blocks from the iterator.

        Parameters
        ----------
        out
            Anything with a shape, a dtype of NumPy's or none, and assignment to slices: a `numpy.memmap`, an array, a
            dataset of a file. Its shape is that of the matrix, ``(y.size, x.size)``, that of the block,
            ``y.shape + x.shape``, or ``(y.size, *x.shape)``. Complex rows need a complex dtype; floats are rounded to
            a narrower one.

        Returns
        -------
        object
            `out`.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If `out` cannot hold the Jacobian, if there are several leaves, if blocks have been taken already, or if
            the iterator is closed before the last one.
        TracerLeakError
            If the rows belong to a trace that is being made, and so have no numbers to write.

        Notes
        -----
        After an error the rows before the block that failed have been written.

        Examples
        --------
        >>> import numpy as np
        >>> import anyjac
        >>> anyjac.jacrev(lambda x: x**2).rows(np.array([1.0, 2.0])).into(np.zeros((2, 2), np.float32))
        array([[2., 0.],
               [0., 4.]], dtype=float32)
        """
        if self._taken or (self._source is None and len(self)):
            raise InputValueError(
                f"into() writes all rows, and {self._taken} of {len(self)} blocks have been taken from this iterator, "
                f"or it was closed; call rows() again"
            )
        source = self._source
        if source is None:  # there are no rows
            return out
        write = _writer(out, *self._shapes(source))
        while self._source is not None:
            rows, done = self._take()
            write(rows.start, rows.stop, source.to_host(flatten(rows.block)[0][0]))
            self._report(done)
        if self._taken < len(self):
            raise InputValueError(f"the iterator was closed when {self._taken} of {len(self)} blocks had been written")
        return out

    # ---- within ----------------------------------------------------------------------------------------------------

    def _take(self) -> tuple[RowBlock, int]:
        """Compute the next block, and count the rows up to its end."""
        return self._lock.run(self._take_alone)

    def _take_alone(self) -> tuple[RowBlock, int]:
        source = self._source
        if source is None:
            raise StopIteration
        source.refuse_ended()
        leaf, start, stop, before = self._span(self._taken)
        rows = RowBlock(source.paths[leaf.number], start, stop, source.rows(leaf, start, stop))
        self._taken += 1
        if self._taken == len(self):
            self.close()
        return rows, before + stop

    def _span(self, number: int) -> tuple[OutputLeaf, int, int, int]:
        """Return the leaf of a block, its first and one-past-last row, and the number of rows of the leaves before."""
        before = 0
        for leaf, size in self._sizes:
            start = number * size
            if start < leaf.size:
                return leaf, start, min(leaf.size, start + size), before
            number -= math.ceil(leaf.size / size)
            before += leaf.size
        raise IndexError(number)

    def _report(self, done: int) -> None:
        for callback in self._callbacks:
            callback(done, self._all_rows)

    def _shapes(self, source: Linearisation) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of the only output and the only input."""
        inputs, _ = flatten(source.pack(source.primals, ()))
        if (len(self._sizes), len(inputs)) != (1, 1):
            raise InputValueError(
                f"into() needs one output leaf and one input leaf, and here are {len(self._sizes)} and {len(inputs)}; "
                f"take the blocks from the iterator"
            )
        return self._sizes[0][0].shape, tuple(inputs[0].shape)


def _writer(out: Any, output: Sequence[int], given: Sequence[int]) -> Callable[[int, int, np.ndarray[Any, Any]], None]:
    """Return a function that writes rows ``start`` to ``stop`` into `out`, in a shape of the Jacobian."""
    shape = getattr(out, "shape", None)
    if shape is None:
        raise InputTypeError(f"into() needs an array with a shape, not {out!r:.60} (of type {type(out).__qualname__})")
    rows, columns = math.prod(output), math.prod(given)
    matrix, flat_output, block = (rows, columns), (rows, *given), (*output, *given)
    dtype = getattr(out, "dtype", None)

    def write(start: int, stop: int, values: np.ndarray[Any, Any]) -> None:
        if isinstance(dtype, np.dtype) and not np.can_cast(values.dtype, dtype, "same_kind"):
            raise DtypeError(f"into() was given an array of {dtype}, which cannot hold rows of {values.dtype}")
        if tuple(shape) == matrix:
            out[start:stop] = values.reshape(stop - start, columns)
        elif tuple(shape) == flat_output:
            out[start:stop] = values
        else:
            for row, of_element in zip(range(start, stop), values, strict=True):
                out[tuple(int(index) for index in np.unravel_index(row, output))] = of_element

    if tuple(shape) not in (matrix, flat_output, block):
        shapes = " or ".join(str(fitting) for fitting in dict.fromkeys((matrix, block, flat_output)))
        raise InputValueError(f"into() was given an array of shape {tuple(shape)}, and the Jacobian needs {shapes}")
    return write
