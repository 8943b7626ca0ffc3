"""Functions that run again in the pass back: a primitive of our own, whose rules are further runs of the function.

The first run is one on plain arrays, of which nothing is kept but what goes in and what comes out. What goes in are the
arguments and all Variables that the run has read. A function that closes over boxes besides would lose their
derivatives: its result shows them, and it runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.core import primitive_jvps, primitive_vjps, vspace
from autograd.tracer import isbox, primitive

from anyjac_plugins import Array
from anyjac_plugins.backend.loops import RepeatableFunction

from . import forward, jacobians, linear_maps
from .linear_maps import BackwardPass, innermost, makers_with_arguments
from .rules import shortcuts
from .rules.sparse_rows import SparseRows
from .rules.table import Rows

_DIFFERENTIABLE: Final = "fc"
"""The kinds of dtypes that have derivatives."""


def checkpoint(function: RepeatableFunction, arrays: Sequence[Array], in_loop: bool) -> list[Array]:
    """Run a function on plain arrays, and return results that are differentiated by running it again."""
    if _only_tangents(arrays):
        return function.first(arrays)  # of which forward mode keeps nothing
    kept = arrays if in_loop else [_own(array) for array in arrays]
    found = function.first([innermost(array) for array in arrays], innermost)
    state = function.state()
    if not any(map(isbox, (*arrays, *state))):
        return found
    if any(map(isbox, found)):  # of a closure
        return function.first(arrays)
    repeated = _Repeated(function, len(arrays), found)
    given = [*kept, *(state if in_loop else map(_own, state))]
    results = list(found)
    for group in repeated.groups:
        packed = _run(repeated, group, *given)
        for number, array in repeated.unpacked(group, packed):
            results[number] = array
    return results


def _only_tangents(arrays: Sequence[Array]) -> bool:
    """Return whether some arrays carry tangents, and none belongs to a trace of reverse mode."""
    layers = [layer for array in arrays for layer in _boxes_of(array)]
    return bool(layers) and all(isinstance(layer._node, forward.TangentNode) for layer in layers)


def _boxes_of(array: Array) -> list[Any]:
    found = []
    while isbox(array):
        found.append(array)
        array = array._value
    return found


def _own(array: Array) -> Array:
    """Return an array that nobody changes in place."""
    return array if isbox(array) else np.array(array)


class _Repeated:
    """A function with the results of its first run.

    Attributes
    ----------
    groups
        The numbers of the results that have derivatives, those of one dtype together: what one node computes.
    """

    def __init__(self, function: RepeatableFunction, count: int, found: Sequence[Array]):
        self._function = function
        self._count = count
        self._found = [np.asarray(array) for array in found]
        dtypes = {array.dtype: None for array in self._found if array.dtype.kind in _DIFFERENTIABLE}
        self.groups = [
            tuple(number for number, array in enumerate(self._found) if array.dtype == dtype) for dtype in dtypes
        ]

    def first(self, group: Sequence[int]) -> Array:
        """Return the packed results of the first run."""
        return _packed([self._found[number] for number in group])

    def again(self, group: Sequence[int], given: Sequence[Array]) -> Array:
        """Return the packed results of one more run."""
        found = self._function.again(given[: self._count], given[self._count :])
        return _packed([found[number] for number in group])

    def unpacked(self, group: Sequence[int], packed: Array) -> list[tuple[int, Array]]:
        """Return results by their numbers."""
        if len(group) == 1:
            return [(group[0], packed)]
        found, start = [], 0
        for number in group:
            like = self._found[number]
            found.append((number, anp.reshape(packed[start : start + like.size], like.shape)))
            start += like.size
        return found


def _packed(arrays: Sequence[Array]) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    return anp.concatenate([anp.reshape(array, (-1,)) for array in arrays])


@primitive  # type: ignore[untyped-decorator]
def _run(repeated: _Repeated, group: Sequence[int], *given: Array) -> Array:
    """Return what the first run has computed of these arrays."""
    return repeated.first(group)


_FIRST: Final = 2
"""The number of the first array among the arguments of the primitive."""


def _of_chosen(argnums: Sequence[int], args: Sequence[Any]) -> tuple[Callable[..., Any], list[Array]]:
    """Return the function as one of some of its arrays, and these."""
    repeated, group, *given = args

    def fun(*chosen: Array) -> tuple[list[Array], list[Array]]:
        arrays = list(given)
        for argnum, array in zip(argnums, chosen, strict=True):
            arrays[argnum - _FIRST] = array
        return [repeated.again(group, arrays)], []

    return fun, [args[argnum] for argnum in argnums]


def _backward_pass(argnums: Sequence[int], args: Sequence[Any]) -> BackwardPass:
    return linear_maps.vjp(*_of_chosen(argnums, args))[1]


def _make_pullback(
    argnums: Sequence[int], value: Array, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Callable[[Array], tuple[Array, ...]]:
    def pullback(cotangent: Array) -> tuple[Array, ...]:
        gradients = _backward_pass(argnums, args)([cotangent])
        filled = zip(gradients, argnums, strict=True)
        return tuple(vspace(args[n]).zeros() if found is None else found for found, n in filled)

    return pullback


def _pull_rows(node: Any, rows: Rows) -> list[Rows]:
    """Pull a whole batch of cotangents back after one more run."""
    dense = rows.dense() if isinstance(rows, SparseRows) else rows
    gradients = jacobians.pull_rows(_backward_pass(node.argnums, node.args), [dense], None)
    count = anp.shape(dense)[0]
    return [
        np.zeros((count, *anp.shape(innermost(node.args[n]))), np.result_type(innermost(node.args[n])))
        if found is None
        else found
        for found, n in zip(gradients, node.argnums, strict=True)
    ]


def _push(
    argnums: Sequence[int], tangents: Sequence[Array], value: Array, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Array:
    _, (pushed,), _ = forward.jvp(*_of_chosen(argnums, args), tangents)
    return vspace(value).zeros() if pushed is None else pushed


primitive_vjps[_run] = _make_pullback
primitive_jvps[_run] = _push
makers_with_arguments.add(_make_pullback)
shortcuts.RULES[_make_pullback] = _pull_rows
