"""The axes of `vmap`, as users write them, and spread over the leaves of trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import optree

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputTypeError, InputValueError

from ..calls.settings import is_int
from ..selection.conversion import Label
from ..state.variable import without_variables
from ..trees.structure import NAMESPACE, NodeOpener, flatten

_NONE: Final = object()
"""None in a tree of axes, where it would be an empty container."""


def checked(axes: Any, name: str) -> Any:
    for axis in optree.tree_leaves(axes, none_is_leaf=True, namespace=NAMESPACE):
        if not is_int(axis) and axis is not None:
            raise InputTypeError(
                f"{name} must hold ints, None and nothing else, and has {axis!r} (of type {type(axis).__qualname__})"
            )
    return axes


def checked_by_keyword(kwarg_axes: Any) -> Any:
    if not (kwarg_axes is None or is_int(kwarg_axes) or isinstance(kwarg_axes, Mapping)):
        raise InputTypeError(
            f"kwarg_axes must be an int, None, or a dict with axes by the names of keyword arguments, and is "
            f"{kwarg_axes!r}"
        )
    return checked(kwarg_axes, "kwarg_axes")


def for_each_argument(in_axes: Any, count: int) -> Sequence[Any]:
    if in_axes is None or is_int(in_axes):
        return [in_axes] * count
    if not isinstance(in_axes, (tuple, list)):
        raise InputTypeError(f"in_axes must be an int, or a sequence with one entry for each argument, not {in_axes!r}")
    if len(in_axes) != count:
        raise InputValueError(f"in_axes={in_axes!r} has {len(in_axes)} entries, and the call {count} arguments")
    return in_axes


def for_each_keyword(kwarg_axes: Any, names: Iterable[str]) -> Mapping[str, Any]:
    """Return the axes of each keyword argument; None for an argument that every example is given whole."""
    if not isinstance(kwarg_axes, Mapping):
        return dict.fromkeys(names, kwarg_axes)
    unknown = sorted(kwarg_axes.keys() - set(names))
    if unknown:
        raise InputValueError(f"kwarg_axes names {unknown[0]!r}, and the call has no keyword argument of this name")
    return {name: kwarg_axes.get(name) for name in names}


def for_each_leaf(
    axes: Any, tree: Any, count: int, opener: NodeOpener, name: str = "in_axes"
) -> Sequence[Any] | Iterator[Any]:
    """Return the axis of each leaf of a tree, of which the tree of axes is a prefix."""
    return [axes] * count if axes is None or is_int(axes) else _broadcast(axes, tree, opener, name)


def _broadcast(axes: Any, tree: Any, opener: NodeOpener, name: str) -> Iterator[Any]:
    marked = optree.tree_map(lambda axis: _NONE if axis is None else axis, axes, none_is_leaf=True, namespace=NAMESPACE)
    leaves, structure = flatten(tree)
    try:
        broadcast = optree.tree_broadcast_prefix(marked, tree, namespace=NAMESPACE)
    except ValueError as error:
        raise InputValueError(f"{name} has {axes!r}, which is no prefix of the tree {structure}") from error
    arranged = structure.arrange(*flatten(broadcast))  # for its dicts have the order of the axes
    assert arranged is not None
    for axis, leaf in zip(arranged, leaves, strict=True):
        for _ in flatten(without_variables(leaf), opener)[0]:
            yield None if axis is _NONE else axis


def in_front(backend: Backend, array: Array, axis: int, label: Label) -> Array:
    if not -len(array.shape) <= axis < len(array.shape):
        raise InputValueError(f"{label()} has shape {tuple(array.shape)}, and no axis {axis} to map over")
    return array if axis in (0, -len(array.shape)) else backend.namespace.moveaxis(array, axis, 0)


def behind(moveaxis: Callable[[Array, int, int], Array], array: Array, axis: int, label: Label) -> Array:
    if not -len(array.shape) <= axis < len(array.shape):
        raise InputValueError(
            f"{label()} has shape {tuple(array.shape)} with the mapped axis in front, and that cannot be axis {axis}, "
            f"as out_axes says"
        )
    return array if axis in (0, -len(array.shape)) else moveaxis(array, 0, axis)
