"""The inputs of one call: arguments and Variables taken apart into primals, and put back together around traced ones.

Checks dtypes and converts at the border. Knows trees and backends, nothing of derivatives or of packing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from anyjac_plugins import Array, Backend

from ..callables.wrapper import DECORATE_OUTSIDE
from ..selection.array_protocols import is_subclass_of_numpys
from ..selection.choice import is_array_of_any, is_number
from ..selection.conversion import Label, to_array
from ..state.variable import Variable, without_variables
from ..trees.structure import LEAF, TreeDef, flatten
from .containers import opener_without
from .dtypes import check_input, float0
from .labels import argument_label, leaf_label
from .settings import Settings


class _Shape(NamedTuple):
    shape: tuple[int, ...]


@dataclass(slots=True)
class Input:
    """One differentiated argument or Variable.

    Attributes
    ----------
    tree
        Its structure.
    leaves
        Its arrays at entry.
    primals
        For each leaf its index among the primals of the call, or None for an integer that is not differentiated.
    """

    tree: TreeDef
    leaves: list[Array]
    primals: list[int | None]

    def around(self, primals: Sequence[Array]) -> Any:
        """Return the input with its differentiated leaves replaced by traced ones."""
        leaves = zip(self.leaves, self.primals, strict=True)
        return self.tree.unflatten([leaf if index is None else primals[index] for leaf, index in leaves], whole=True)

    def without_arrays(self) -> Input:
        """Return the input with shapes in the place of its arrays, which is enough to arrange derivatives."""
        return Input(self.tree, [_Shape(tuple(leaf.shape)) for leaf in self.leaves], self.primals)

    def blocks(self, row: Sequence[Array], output_shape: tuple[int, ...]) -> Any:
        """Return the tree of Jacobian blocks of one output leaf, picked from its blocks for all primals."""
        return self.tree.unflatten(
            [
                np.zeros((*output_shape, *leaf.shape), float0) if index is None else row[index]
                for leaf, index in zip(self.leaves, self.primals, strict=True)
            ]
        )


@dataclass(slots=True)
class Inputs:
    """All that one call differentiates with respect to.

    Attributes
    ----------
    variables
        For each leaf of ``grad_vars``, in order, its Variable and input; one that stands there twice has one input.
    arguments
        Position and input of each differentiated argument, in the order of ``argnums``.
    primals
        The arrays that are differentiated.
    """

    variables: list[tuple[Variable, Input]]
    arguments: list[tuple[int, Input]]
    primals: list[Array]

    def traced(self, args: Sequence[Any], primals: Sequence[Array]) -> tuple[list[Any], list[tuple[Variable, Any]]]:
        """Return the arguments, and the Variables with their values, around traced primals."""
        traced = list(args)
        for position, given in self.arguments:
            traced[position] = given.around(primals)
        return traced, [(variable, given.around(primals)) for variable, given in self.variables]

    def without_arrays(self) -> Inputs:
        """Return the inputs with shapes in the place of all arrays, which is enough to arrange derivatives."""
        variables = [(variable, given.without_arrays()) for variable, given in self.variables]
        return Inputs(variables, [(number, given.without_arrays()) for number, given in self.arguments], [])

    def labels(self, settings: Settings) -> list[str]:
        """Return for each primal where it stands: ``argument 0['w']``, or ``grad_vars[1] ('gain')``."""
        labels = [""] * len(self.primals)
        given = [(settings.variable_label(index), each) for index, (_, each) in enumerate(self.variables)]
        given += [(argument_label(position)(), each) for position, each in self.arguments]
        for label, each in given:
            for number, path in zip(each.primals, each.tree.paths(), strict=True):
                if number is not None:
                    labels[number] = labels[number] or label + path
        return labels


def gather_inputs(
    settings: Settings, backend: Backend, device: Any, converts: bool, values: Sequence[Any], args: tuple[Any, ...]
) -> Inputs:
    """Collect and check what a call differentiates.

    Parameters
    ----------
    backend, device, converts
        Those of the call.
    values
        What the Variables of the settings are worth as the call begins.
    args
        The positional arguments.

    Raises
    ------
    InputTypeError, InputValueError, DtypeError, NotSupportedError, MixedBackendsError
        Naming the argument or Variable, and the path in it.
    """
    gather = _Gatherer(settings, backend, device, converts)
    known: dict[int, Input] = {}
    variables = []
    for index, (variable, value) in enumerate(zip(settings.variables, values, strict=True)):
        if id(variable) not in known:
            known[id(variable)] = gather.take(value, partial(settings.variable_label, index))
        variables.append((variable, known[id(variable)]))
    arguments = [
        (position, gather.take(without_variables(args[position]), argument_label(position)))
        for position in settings.positions(len(args))
    ]
    return Inputs(variables, arguments, gather.primals)


class _Gatherer:
    """Takes inputs one after the other and numbers their primals."""

    def __init__(self, settings: Settings, backend: Backend, device: Any, converts: bool):
        self._settings = settings
        self._backend = backend
        self._device = device
        self._converts = converts
        self.primals: list[Array] = []

    def take(self, value: Any, label: Label) -> Input:
        if self._backend.is_array(value):
            array = self._to_array(value, label)
            return Input(LEAF, [array], [self._number(array, label)])
        leaves, tree = flatten(value, opener_without(self._backend, _is_no_input))
        arrays: list[Array] = []
        primals: list[int | None] = []
        for index, leaf in enumerate(leaves):
            of_leaf = partial(leaf_label, label, tree, index)
            arrays.append(self._to_array(leaf, of_leaf))
            primals.append(self._number(arrays[-1], of_leaf))
        return Input(tree, arrays, primals)

    def _number(self, array: Array, label: Label) -> int | None:
        settings = self._settings
        if not check_input(
            self._backend, array.dtype, label, holomorphic=settings.holomorphic, allow_int=settings.allow_int
        ):
            return None
        self.primals.append(array)
        return len(self.primals) - 1

    def _to_array(self, leaf: Any, label: Label) -> Array:
        if self._device is None and self._backend.is_array(leaf) and not is_subclass_of_numpys(leaf):
            return leaf
        why = _NO_CLASS if isinstance(leaf, type) else _NO_OBJECT
        return to_array(self._backend, leaf, label, device=self._device, converts=self._converts, why=why)


_NO_OBJECT: Final = "which cannot be differentiated; leave it out of argnums, or make it an array"
_NO_CLASS: Final = f"which cannot be differentiated; leave it out of argnums; for a class method, {DECORATE_OUTSIDE}"


def _is_no_input(leaf: Any, held_back: bool) -> bool:
    """Return whether a leaf of a container is not differentiated, as the activation function of a layer."""
    return held_back or not (is_array_of_any(leaf) or is_number(leaf))
