"""`map`: a function over the elements of arrays, one after the other or some at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjac_plugins import Array, Backend

from ..calls.settings import check_chunk_size
from ..state.entries import Write
from ..state.scope import Scope
from ..trees.structure import flatten
from .carried import Carried
from .loop_arguments import check_function
from .looping import Body, LoopOptions, Rows, open_loop, run_loop
from .scans import for_loop
from .vmap import vmap


def map(f: Callable[..., Any], *xs: Any, chunk_size: int | None = None) -> Any:
    """Run a function for each element of arrays, some elements at once.

    Parameters
    ----------
    f
        Takes one element of each of `xs`, and returns a tree of arrays and numbers.
    *xs
        What to go along: arrays, or trees of them, with the same number of elements along their first axes.
    chunk_size
        How many elements to compute at once, by `vmap`; None for one after the other, which is `for_loop`.

    Returns
    -------
    ys
        The results for all elements, stacked along a new first axis.

    Raises
    ------
    InputTypeError, InputValueError, OutputError
        As in `for_loop` and `vmap`.
    VariableWriteError
        If `f` writes a Variable, and `chunk_size` is given: elements that are computed at once would each write another
        value. One after the other they go on with what the one before has written.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> anyjac.map(lambda x: x * x, np.array([1.0, 2.0, 3.0]), chunk_size=2)
    array([1., 4., 9.])
    """
    check_chunk_size(chunk_size)
    check_function(f, "map")
    if chunk_size is None:
        return for_loop(f, *xs)

    def work(scope: Scope) -> tuple[Any, list[Write]]:
        rows = Rows(scope, xs, lambda: "xs", None, "arrays to go along")
        return _in_chunks(scope, f, rows, min(chunk_size, max(1, rows.length))), []

    return open_loop(work, f, xs)


def _in_chunks(scope: Scope, f: Callable[..., Any], rows: Rows, size: int) -> Any:
    """Return the results for all elements: of whole chunks, in a loop, and of those that are left."""
    backend, mapped = scope.backend, vmap(f)
    whole = rows.length - rows.length % size
    parts = []
    if whole:
        body = Body(f, lambda carry, row: (carry, mapped(*row)), "the carry")
        chunks = rows.with_arrays([_split(backend, array[:whole, ...], size) for array in rows.arrays])
        options = LoopOptions(reverse=False, unroll=1)
        (_, found), _ = run_loop(scope, body, Carried(scope, None, lambda: "the carry"), chunks, options)
        leaves, tree = flatten(found)
        joined = [backend.namespace.reshape(leaf, (whole, *leaf.shape[2:])) for leaf in leaves]
        parts.append((joined, tree))
    if whole < rows.length or not whole:
        left = rows.tree_of([array[whole:, ...] for array in rows.arrays])
        found, _ = scope.run(lambda: mapped(*left))
        parts.append(flatten(found))
    tree = parts[0][1]
    columns = zip(*(leaves for leaves, _ in parts), strict=True)
    return tree.unflatten([c[0] if len(c) == 1 else backend.namespace.concat(list(c), axis=0) for c in columns])


def _split(backend: Backend, array: Array, size: int) -> Array:
    """Return an array with its first axis in two: chunks, and elements of a chunk."""
    return backend.namespace.reshape(array, (array.shape[0] // size, size, *array.shape[1:]))
