"""`associative_scan`: all partial results of an associative function, in logarithmically many steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputValueError, OutputError

from ..calls.containers import opener_without
from ..calls.labels import output_label
from ..calls.run import run_in_scope
from ..selection.conversion import to_array
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import without_variables
from ..trees.structure import flatten
from .axes import behind, in_front
from .carried import arrays_of, is_no_array, leaf_labels_of, type_label
from .loop_arguments import check_bool, check_function, check_int
from .looping import open_loop

Tree = TypeVar("Tree")
Combine = Callable[[Sequence[Array], Sequence[Array]], list[Array]]


def associative_scan(f: Callable[[Tree, Tree], Tree], elems: Tree, reverse: bool = False, axis: int = 0) -> Tree:
    """Combine elements from the first up to each one, by an associative function.

    Parameters
    ----------
    f
        Takes two trees like `elems`, each with some of the elements along the axis, and returns such a tree: element by
        element the combination of both. ``f(a, f(b, c))`` is ``f(f(a, b), c)``, which nobody checks. It may read
        Variables, and write none.
    elems
        A tree of arrays with the same number of elements along `axis`.
    reverse
        Whether to combine from the last element down to each one; `f` is given later elements first then, as in
        `jax.lax.associative_scan`.
    axis
        The axis of the elements in all arrays.

    Returns
    -------
    combined
        A tree like `elems`: at each place the combination of all elements up to it.

    Raises
    ------
    InputTypeError, InputValueError
        For arguments of which nothing can be combined, naming them.
    OutputError
        If `f` returns another structure, shape or dtype than it was given.
    VariableWriteError
        If `f` writes a Variable.

    Notes
    -----
    `f` runs about ``2 * log2(n)`` times, on many elements at once, where `scan` has `n` steps, one after the other. So
    it pays on devices with many units, and costs about twice as many operations.

    References
    ----------
    G. E. Blelloch, "Prefix sums and their applications", Technical Report CMU-CS-90-190, Carnegie Mellon University
    (1990).

    Examples
    --------
    A linear recurrence, ``s[t] = a[t] * s[t - 1] + b[t]``, as the composition of linear functions:

    >>> import numpy as np
    >>> import anyjac
    >>> def after(first, second):
    ...     (a1, b1), (a2, b2) = first, second
    ...     return a1 * a2, a2 * b1 + b2
    >>> _, sums = anyjac.associative_scan(after, (np.full(3, 0.5), np.array([1.0, 2.0, 3.0])))
    >>> sums
    array([1.  , 2.5 , 4.25])
    """
    check_function(f, "associative_scan")
    check_bool("reverse", reverse)
    check_int("axis", axis)

    def work(scope: Scope) -> tuple[Tree, list[Write]]:
        elements = _Elements(scope, elems, axis)

        def combined() -> list[Array]:
            with scope.reading_only("the function of associative_scan"):
                return _combined(scope.backend, partial(elements.combine, f), elements.arrays, reverse)

        arrays, _ = run_in_scope(scope, f, (), {}, lambda found: found, work=combined)
        return elements.result(arrays), []

    result: Tree = open_loop(work, f, (elems,))
    return result


class _Elements:
    """The elements that are combined.

    Attributes
    ----------
    arrays
        Their arrays, with the axis in front.
    """

    def __init__(self, scope: Scope, value: Any, axis: int):
        self._backend = scope.backend
        self._axis = axis
        self._opener = opener_without(scope.backend, is_no_array)
        leaves, self._tree = flatten(without_variables(value), self._opener)
        labels = leaf_labels_of(lambda: "elems", self._tree)
        given = arrays_of(scope, leaves, labels)
        if not given:
            raise InputValueError("elems has no arrays; give a tree of one or more")
        self._given = given
        self.arrays = [in_front(scope.backend, array, axis, label) for array, label in zip(given, labels, strict=True)]
        for array, label in zip(self.arrays, labels, strict=True):
            if array.shape[0] != self.arrays[0].shape[0]:
                raise InputValueError(
                    f"{label()} has {array.shape[0]} elements along the axis, and {labels[0]()} has "
                    f"{self.arrays[0].shape[0]}; both need as many"
                )

    def combine(self, f: Callable[[Any, Any], Any], first: Sequence[Array], second: Sequence[Array]) -> list[Array]:
        """Return what the function makes of two runs of elements.

        Raises
        ------
        OutputError
            Naming where structure, shape or dtype is another one.
        """
        result = f(self._tree_of(first), self._tree_of(second))
        leaves, tree = flatten(without_variables(result), self._opener)
        arranged = self._tree.arrange(leaves, tree)
        if arranged is None:
            raise OutputError(
                f"the function of associative_scan returned the structure {tree}, and was given {self._tree}; it must "
                f"return the same structure"
            )
        backend, found = self._backend, []
        for index, (leaf, given) in enumerate(zip(arranged, first, strict=True)):
            array = _front_of_result(backend, leaf, self._axis, output_label(self._tree, index))
            if tuple(array.shape) != tuple(given.shape) or array.dtype != given.dtype:
                raise OutputError(
                    f"{output_label(self._tree, index)()} of the function of associative_scan is "
                    f"{type_label(backend, array.shape, array.dtype)}, and what it was given is "
                    f"{type_label(backend, given.shape, given.dtype)}, with the axis in front; both have to be alike"
                )
            found.append(array)
        return found

    def _tree_of(self, arrays: Sequence[Array]) -> Any:
        moved = [behind(self._backend.namespace.moveaxis, array, self._axis, lambda: "elems") for array in arrays]
        return self._tree.unflatten(moved, whole=True)

    def result(self, arrays: Sequence[Array]) -> Any:
        """Return the tree with combined elements in the place of the given arrays, which keep their memory."""
        moved = [behind(self._backend.namespace.moveaxis, array, self._axis, lambda: "elems") for array in arrays]
        return self._tree.unflatten(self._backend.unshared(moved, self._given), whole=True)


def _front_of_result(backend: Backend, leaf: Any, axis: int, label: Callable[[], str]) -> Array:
    """Return a result of the user's function as an array with the axis in front."""
    array = to_array(backend, leaf, label, converts=False, error=OutputError, why="which is no array of numbers")
    return in_front(backend, array, axis, label)


def _combined(backend: Backend, combine: Combine, arrays: Sequence[Array], reverse: bool) -> list[Array]:
    if not reverse:
        return _from_the_first(backend, combine, arrays)
    flip = partial(backend.namespace.flip, axis=0)
    return [flip(array) for array in _from_the_first(backend, combine, [flip(array) for array in arrays])]


def _from_the_first(backend: Backend, combine: Combine, arrays: Sequence[Array]) -> list[Array]:
    """Combine pairs of neighbours, then all partial results of the pairs, and fill in what is between."""
    count = arrays[0].shape[0]
    if count < 2:
        return list(arrays)
    pairs = combine([a[: count - 1 : 2, ...] for a in arrays], [a[1::2, ...] for a in arrays])
    odd = _from_the_first(backend, combine, pairs)
    if count == 2:
        return [backend.namespace.concat([a[:1, ...], o], axis=0) for a, o in zip(arrays, odd, strict=True)]
    before = [o[: (count - 1) // 2, ...] for o in odd]
    even = combine(before, [a[2::2, ...] for a in arrays])
    return [_interleaved(backend, a[:1, ...], e, o) for a, e, o in zip(arrays, even, odd, strict=True)]


def _interleaved(backend: Backend, first: Array, even: Array, odd: Array) -> Array:
    """Return the elements at even places, of which the first stands apart, and those at odd places, in turn."""
    xp = backend.namespace
    even, pairs = xp.concat([first, even], axis=0), odd.shape[0]
    turns = xp.reshape(xp.stack([even[:pairs, ...], odd], axis=1), (2 * pairs, *odd.shape[1:]))
    return turns if even.shape[0] == pairs else xp.concat([turns, even[pairs:, ...]], axis=0)
