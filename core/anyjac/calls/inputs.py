"""The inputs of one call: arguments and Variables taken apart into primals, and put back together around traced ones.

Checks dtypes and converts at the border. Knows trees and backends, nothing of derivatives or of packing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from anyjac_plugins import NESTED, Array, Backend, OpenedNode
from anyjac_plugins.errors import DtypeError, InputTypeError, MixedBackendsError
from anyjac_plugins.loading.models import libraries

from ..callables.wrapper import DECORATE_OUTSIDE
from ..selection.choice import NUMPY, is_array_of_any, is_number, kind_of
from ..state.scope import Scope
from ..state.variable import Variable, without_variables
from ..trees.structure import LEAF, NodeOpener, TreeDef, flatten, hold_back
from .dtypes import check_input, float0
from .settings import Settings


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

    def into(self, scope: Scope, args: tuple[Any, ...], primals: Sequence[Array]) -> list[Any]:
        """Put traced primals into the scope's Variables and return the arguments with theirs."""
        for variable, given in self.variables:
            scope.substitute(variable, given.around(primals))
        traced = list(args)
        for position, given in self.arguments:
            traced[position] = given.around(primals)
        return traced


def gather_inputs(settings: Settings, scope: Scope, args: tuple[Any, ...]) -> Inputs:
    """Collect and check what a call differentiates.

    Raises
    ------
    InputTypeError, InputValueError, DtypeError, NotSupportedError, MixedBackendsError
        Naming the argument or Variable, and the path in it.
    """
    gather = _Gatherer(settings, scope.backend, scope.device, scope.converts)
    known: dict[int, Input] = {}
    variables = []
    for variable in settings.companions:
        scope.take_models_of(variable)
    for index, variable in enumerate(settings.variables):
        if id(variable) not in known:
            label = partial(settings.variable_label, index)
            known[id(variable)] = gather.take(scope.value_at_entry(variable), label)
        variables.append((variable, known[id(variable)]))
    arguments = [
        (position, gather.take(without_variables(args[position]), partial("argument {}".format, position)))
        for position in settings.positions(len(args))
    ]
    # A backend that does not nest need not know its own traces, so a call within a call is refused whatever it does.
    if not scope.backend.supports(NESTED) and scope.is_differentiated():
        raise scope.backend.unsupported(NESTED)
    return Inputs(variables, arguments, gather.primals)


class _Gatherer:
    """Takes inputs one after the other and numbers their primals.

    A label says, when asked, how messages call an input; most calls never ask.
    """

    def __init__(self, settings: Settings, backend: Backend, device: Any, converts: bool):
        self._settings = settings
        self._backend = backend
        self._device = device
        self._converts = converts
        self.primals: list[Array] = []

    def take(self, value: Any, label: Callable[[], str]) -> Input:
        if self._backend.is_array(value):
            array = self._to_array(value, label)
            return Input(LEAF, [array], [self._number(array, label)])
        leaves, tree = flatten(value, opener_without(self._backend, _is_no_input))
        arrays: list[Array] = []
        primals: list[int | None] = []
        for index, leaf in enumerate(leaves):
            where = partial(_place, label, tree, index)
            arrays.append(self._to_array(leaf, where))
            primals.append(self._number(arrays[-1], where))
        return Input(tree, arrays, primals)

    def _number(self, array: Array, where: Callable[[], str]) -> int | None:
        settings = self._settings
        if not check_input(
            self._backend, array.dtype, where, holomorphic=settings.holomorphic, allow_int=settings.allow_int
        ):
            return None
        self.primals.append(array)
        return len(self.primals) - 1

    def _to_array(self, leaf: Any, where: Callable[[], str]) -> Array:
        backend = self._backend
        if backend.is_array(leaf):
            return leaf if self._device is None else backend.asarray(leaf, device=self._device)
        if is_number(leaf):
            return backend.asarray(leaf, device=self._device)
        kind = kind_of(leaf)
        if not is_array_of_any(leaf):
            raise InputTypeError(
                f"{where()} is {leaf!r}, of type {type(leaf).__qualname__}, which cannot be differentiated; "
                f"{_OF_A_CLASS if isinstance(leaf, type) else 'leave it out of argnums, or make it an array'}"
            )
        if kind != NUMPY and not self._converts:
            raise MixedBackendsError(f"{where()} is an array of {kind}, and this call runs on {backend.name}")
        if kind == NUMPY and leaf.dtype.kind not in "biufcV":
            raise DtypeError(f"{where()} is a NumPy array of dtype {leaf.dtype}, which cannot be differentiated")
        return backend.import_array(leaf, device=self._device)


_OF_A_CLASS: Final = f"leave it out of argnums; for a class method, {DECORATE_OUTSIDE}"


def _place(label: Callable[[], str], tree: TreeDef, index: int) -> str:
    """Return how messages call one leaf; only asked for when there is something to say."""
    return label() + tree.paths()[index]


def opener_without(backend: Backend, left_out: Callable[[Any, bool], bool]) -> NodeOpener:
    """Return what opens containers that only the backend knows, without some of the leaves in them.

    Parameters
    ----------
    left_out
        Tells of a leaf whether it is one of these; it is told, too, whether the library that the container comes from
        holds it back, since it is no parameter.
    """
    opener = opener_of(backend)

    def open_partly(node: object) -> OpenedNode | None:
        opened = opener(node)
        if opened is None:
            return None
        library = libraries.of(node)

        def is_held(leaf: Any) -> bool:
            if isinstance(leaf, Variable) or opener(leaf) is not None:
                return False
            return left_out(leaf, library is not None and library.holds_back(leaf, node))

        return hold_back(opened, is_held)

    return open_partly


def _is_no_input(leaf: Any, held_back: bool) -> bool:
    """Tell whether a leaf of a container is not differentiated, as the activation function of a layer."""
    return held_back or not (is_array_of_any(leaf) or is_number(leaf))


def opener_of(backend: Backend) -> NodeOpener:
    """Return what opens the containers that only the backend knows; arrays and Variables are leaves."""

    def opener(leaf: object) -> OpenedNode | None:
        return None if backend.is_array(leaf) or isinstance(leaf, Variable) else backend.flatten_node(leaf)

    return opener
