"""The outputs of one call: what the function returned, taken apart, checked, and put together again untraced."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from anyjac_plugins import Array, Backend, OpenedNode
from anyjac_plugins.errors import OutputError

from .dtypes import check_output, float0
from .selection import NUMPY, kind_of
from .trees import LEAF, NodeOpener, TreeDef, flatten


@dataclass(slots=True)
class Carried:
    """A pytree of anything, whose arrays travel through a differentiation to come back untraced.

    Attributes
    ----------
    original
        The tree as the function made it.
    arrays
        Its arrays of the call's backend, in order.
    """

    original: Any
    tree: TreeDef
    leaves: list[Any]
    is_array: list[bool]
    arrays: list[Array]

    def around(self, arrays: Sequence[Array]) -> Any:
        """Return the tree with its arrays replaced, and all else as it was; the very object if it had none."""
        if not self.arrays:
            return self.original
        remaining = iter(arrays)
        return self.tree.unflatten(
            [next(remaining) if is_array else leaf for leaf, is_array in zip(self.leaves, self.is_array, strict=True)]
        )


NOTHING: Final = Carried(None, flatten(None)[1], [], [], [])
"""What a function without aux data has of them."""


def carry(backend: Backend, opener: NodeOpener | None, value: Any) -> Carried:
    """Take a pytree apart into the backend's arrays and the rest."""
    if backend.is_array(value) and not is_trivial(value):
        return Carried(value, LEAF, [value], [True], [value])
    leaves, tree = flatten(value, opener)
    is_array = [backend.is_array(leaf) and not is_trivial(leaf) for leaf in leaves]
    return Carried(value, tree, leaves, is_array, [leaf for leaf, yes in zip(leaves, is_array, strict=True) if yes])


def opener_of_objects(backend: Backend, opener: NodeOpener | None) -> NodeOpener:
    """Return an opener that looks into objects too, which no tree library knows, for arrays that travel in them.

    These are dataclasses, namespaces, and subclasses of dict and list; one that holds no array stays the very object.
    """

    def opened(node: Any) -> OpenedNode | None:
        known = None if opener is None else opener(node)
        if known is not None:
            return known
        parts = _parts_of(node)
        if not parts or not _holds_array(backend, opener, node, ()):
            return None
        return OpenedNode(list(parts.values()), partial(_with_parts, node, list(parts)))

    return opened


def _parts_of(node: Any) -> dict[Any, Any] | None:
    """Return what an object holds, by keys, indices or names; None for what is not looked into."""
    if isinstance(node, dict):
        return dict(node)
    if isinstance(node, list):
        return dict(enumerate(node))
    if isinstance(node, SimpleNamespace):
        return dict(vars(node))
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        names = [field.name for field in dataclasses.fields(node)]
        return {name: getattr(node, name) for name in names if hasattr(node, name)}
    return None


def _holds_array(backend: Backend, opener: NodeOpener | None, node: Any, around: tuple[int, ...]) -> bool:
    """Tell whether there is an array in what an object holds, and no way back to the object itself."""
    inside = (*around, id(node))
    for leaf in flatten(list((_parts_of(node) or {}).values()), opener)[0]:
        if id(leaf) in inside:
            return False
        if backend.is_array(leaf) or (_parts_of(leaf) and _holds_array(backend, opener, leaf, inside)):
            return True
    return False


def _with_parts(node: Any, names: Sequence[Any], parts: Sequence[Any]) -> Any:
    """Return a copy of an object that holds other things under the same names."""
    twin = copy.copy(node)
    for name, part in zip(names, parts, strict=True):
        if isinstance(node, dict):
            dict.__setitem__(twin, name, part)
        elif isinstance(node, list):
            list.__setitem__(twin, name, part)
        else:
            object.__setattr__(twin, name, part)  # which a frozen one has no other way for
    return twin


def is_trivial(leaf: Any) -> bool:
    """Tell whether a leaf is a derivative by integers, which is no array to compute with."""
    return type(leaf) is np.ndarray and leaf.dtype == float0


def refuse_coroutine(result: Any) -> None:
    """Refuse what a coroutine function returns, and close it, so that nobody waits for it.

    Raises
    ------
    OutputError
        If it is a coroutine.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise OutputError("the function is a coroutine function; differentiate a plain one, and await around the call")


def split_aux(result: Any) -> tuple[Any, Any]:
    """Return output and aux data of a function that promised a pair.

    Raises
    ------
    OutputError
        If it returned anything else.
    """
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return result[0], result[1]
    got = type(result).__qualname__ + (f" of {len(result)}" if isinstance(result, (tuple, list)) else "")
    raise OutputError(f"has_aux=True needs a function that returns a pair (output, aux data), and it returned a {got}")


def check_outputs(backend: Backend, outputs: Carried, *, holomorphic: bool) -> None:
    """Refuse outputs that have no derivative.

    Numbers of Python and NumPy arrays on another framework are constants, whose derivative is zero.

    Raises
    ------
    OutputError, DtypeError
        Naming what was returned, and where in the output.
    """
    if not outputs.leaves:
        raise OutputError(
            f"the function returned {outputs.original!r}, which holds no array; return what to differentiate"
        )
    for index, (leaf, is_array) in enumerate(zip(outputs.leaves, outputs.is_array, strict=True)):
        where = partial(_place, outputs.tree, index)
        if is_array:
            check_output(backend, leaf.dtype, where, holomorphic=holomorphic)
        elif isinstance(leaf, bool) or not isinstance(leaf, (int, float, complex)):
            _check_constant(backend, leaf, where, holomorphic)
        elif isinstance(leaf, complex) and not holomorphic:
            raise OutputError(f"{where()} is {leaf!r}, a complex number; pass holomorphic=True for complex outputs")


def _check_constant(backend: Backend, leaf: Any, where: partial[str], holomorphic: bool) -> None:
    if kind_of(leaf) != NUMPY:
        raise OutputError(
            f"{where()} is {leaf!r}, of type {type(leaf).__qualname__}, which is no array of {backend.name}; return it "
            f"as aux data"
        )
    if is_trivial(leaf):  # which is differentiated once more
        return
    check_output(backend, backend.import_array(leaf).dtype, where, holomorphic=holomorphic)


def _place(tree: TreeDef, index: int) -> str:
    path = tree.paths()[index]
    return f"output{path}" if path else "the output"
