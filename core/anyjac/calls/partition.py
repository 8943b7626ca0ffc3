"""A pytree of anything, taken apart into the arrays of a backend and the rest, and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from anyjac_plugins import Array, Backend

from ..trees.structure import LEAF, NodeOpener, TreeDef, flatten
from .dtypes import is_trivial


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


class Skeleton:
    """A tree of results without its arrays."""

    __slots__ = ("_is_array", "_leaves", "_tree", "count")

    def __init__(self, carried: Carried):
        self.count = len(carried.arrays)
        self._tree = carried.tree
        self._is_array = carried.is_array
        self._leaves = [
            None if is_array else leaf for leaf, is_array in zip(carried.leaves, carried.is_array, strict=True)
        ]

    @property
    def is_bare(self) -> bool:
        """Whether it is one array, in no tree."""
        return self._tree is LEAF and self.count == 1

    def around(self, arrays: Sequence[Array]) -> Any:
        """Put the tree together again, in new containers."""
        remaining = iter(arrays)
        return self._tree.unflatten(
            [next(remaining) if is_array else leaf for leaf, is_array in zip(self._leaves, self._is_array, strict=True)]
        )
