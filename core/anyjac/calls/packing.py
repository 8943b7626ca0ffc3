"""What a transform returns: derivatives arranged by arguments and Variables, and what comes beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from anyjac_plugins import Array, Backend
from anyjac_plugins.backend.kinds import block_like

from ..trees.partition import Partition
from .dtypes import float0, is_trivial
from .inputs import Inputs
from .settings import Settings

Packer = Callable[[Any, Any, Any], Any]
PackingTable = Mapping[tuple[bool, bool], Packer]

#        has_aux return_value           g, loss value, aux data
PACKING: Final[PackingTable] = {
    (False, False): lambda g, value, aux: g,
    (True, False): lambda g, value, aux: (g, aux),
    (False, True): lambda g, value, aux: (g, value),
    (True, True): lambda g, value, aux: (g, value, aux),
}

#        has_aux return_value           g, loss value, aux data
VALUE_FIRST: Final[PackingTable] = {
    (False, True): lambda g, value, aux: (value, g),
    (True, True): lambda g, value, aux: ((value, aux), g),
}

#        Variables arguments            var_grads, arg_grads
DERIVATIVES: Final[dict[tuple[bool, bool], Callable[[Any, Any], Any]]] = {
    (False, True): lambda var_grads, arg_grads: arg_grads,
    (True, False): lambda var_grads, arg_grads: var_grads,
    (True, True): lambda var_grads, arg_grads: (var_grads, arg_grads),
}


def pack_gradient(settings: Settings, inputs: Inputs, arrays: Sequence[Any], shape: tuple[int, ...] = ()) -> Any:
    """Arrange one array for each primal as the contract arranges a derivative of one output.

    Integers, which have no derivative, get zeros of float0, with `shape` before their own.
    """
    var_grads, arg_grads = _of_variables_and_arguments(settings, inputs, arrays, shape)
    return DERIVATIVES[settings.variables_tree is not None, bool(settings.argnums)](var_grads, arg_grads)


def pack_jacobian(
    backend: Backend,
    settings: Settings,
    inputs: Inputs,
    output: Partition,
    outputs: Sequence[Array],
    blocks: Sequence[Sequence[Array]],
) -> Any:
    """Arrange blocks as the contract arranges a Jacobian: the tree of the output outside, that of the inputs inside."""
    pairs = [
        _of_variables_and_arguments(settings, inputs, row, shape)
        for shape, row in _rows_of_leaves(backend, output, inputs, outputs, blocks)
    ]
    has_variables = settings.variables_tree is not None
    return DERIVATIVES[has_variables, bool(settings.argnums)](
        output.tree.unflatten([var_grads for var_grads, _ in pairs]) if has_variables else None,
        output.tree.unflatten([arg_grads for _, arg_grads in pairs]),
    )


def _of_variables_and_arguments(
    settings: Settings, inputs: Inputs, arrays: Sequence[Any], shape: tuple[int, ...]
) -> tuple[Any, Any]:
    by_argument = [given.blocks(arrays, shape) for _, given in inputs.arguments]
    arg_grads = by_argument[0] if settings.single_argument else tuple(by_argument)
    if settings.variables_tree is None:
        return None, arg_grads
    by_variable = [given.blocks(arrays, shape) for _, given in inputs.variables]
    return settings.variables_tree.unflatten(by_variable), arg_grads


def _rows_of_leaves(
    backend: Backend,
    output: Partition,
    inputs: Inputs,
    outputs: Sequence[Array],
    blocks: Sequence[Sequence[Array]],
) -> Iterator[tuple[tuple[int, ...], Sequence[Array]]]:
    """Yield, for each leaf of the output, its shape and its blocks; those of a constant are zeros."""
    differentiated = zip(outputs, blocks, strict=True)
    for leaf, is_array in zip(output.leaves, output.is_array, strict=True):
        if is_array:
            array, row = next(differentiated)
            yield tuple(array.shape), row
        else:
            shape = tuple(getattr(leaf, "shape", ()))
            yield shape, [_zeros(backend, leaf, (*shape, *primal.shape), primal) for primal in inputs.primals]


def _zeros(backend: Backend, leaf: Any, shape: tuple[int, ...], primal: Array) -> Any:
    """Return the block of a constant; that of a derivative which is trivial is as trivial."""
    if is_trivial(leaf):
        return np.zeros(shape, float0)
    constant = backend.import_array(leaf) if hasattr(leaf, "dtype") else backend.asarray(leaf * 1.0)
    return backend.zeros(shape, block_like(backend, constant, primal))
