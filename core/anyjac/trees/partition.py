"""A tree taken apart into its arrays and the rest, and put together again around other arrays.

What counts as an array is told from outside; knows no backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from anyjac_plugins import Array, OpenedNode

from .structure import LEAF, PartlyOpened, TreeDef, flatten, steps_to


class _Gap:
    def __repr__(self) -> str:
        return "<array>"


GAP: Final = _Gap()
"""Stands among leaves where an array was taken out."""


def fill(leaves: Iterable[Any], arrays: Iterable[Array]) -> list[Any]:
    """Return the leaves with arrays, in order, in the gaps."""
    remaining = iter(arrays)
    return [next(remaining) if leaf is GAP else leaf for leaf in leaves]


class Skeleton:
    """A tree without its arrays.

    Attributes
    ----------
    tree
        The structure.
    rest
        The leaves, with `GAP` for each array.
    count
        How many arrays there were.
    """

    __slots__ = ("count", "rest", "tree")

    def __init__(self, tree: TreeDef, rest: Sequence[Any]):
        self.tree = tree
        self.rest = rest
        self.count = sum(leaf is GAP for leaf in rest)

    @property
    def is_bare(self) -> bool:
        """Whether the tree is one array, in no container."""
        return self.tree is LEAF and self.count == 1

    def combine(self, arrays: Iterable[Array], *, whole: bool = False) -> Any:
        """Return the tree around arrays, in new containers; where `whole`, beside what an opener has held back."""
        return self.tree.unflatten(fill(self.rest, arrays), whole=whole)


@dataclass(slots=True)
class Partition:
    """A tree taken apart into arrays and the rest.

    Attributes
    ----------
    original
        The tree as it was given.
    tree, leaves
        Its structure, and all its leaves.
    is_array
        For each leaf whether it is one of the arrays.
    arrays
        The arrays, in order.
    """

    original: Any
    tree: TreeDef
    leaves: list[Any]
    is_array: list[bool]
    arrays: list[Array]

    def release(self) -> list[Array]:
        """Return the arrays, of which the partition keeps none from now on: gaps stand in their places.

        Examples
        --------
        >>> from anyjac.trees.partition import partition
        >>> from anyjac.trees.structure import flatten
        >>> parts = partition([2.0], *flatten([2.0]), [True])
        >>> parts.release(), parts.arrays, parts.combine([3.0])
        ([2.0], [<array>], [3.0])
        """
        arrays = self.arrays
        if arrays:
            self.original, self.arrays = None, [GAP] * len(arrays)
            self.leaves = [GAP if yes else leaf for leaf, yes in zip(self.leaves, self.is_array, strict=True)]
        return arrays

    def combine(self, arrays: Iterable[Array]) -> Any:
        """Return the tree with other arrays in it; the very object if the tree has no arrays."""
        return self.skeleton().combine(arrays) if self.arrays else self.original

    def skeleton(self, rest: Callable[[Any], Any] = lambda leaf: leaf) -> Skeleton:
        """Return the tree without its arrays, and with `rest` of every other leaf."""
        pairs = zip(self.leaves, self.is_array, strict=True)
        return Skeleton(self.tree, [GAP if is_array else rest(leaf) for leaf, is_array in pairs])


NO_TREE: Final = Partition(None, flatten(None)[1], [], [], [])
"""The partition of None."""


def partition(value: Any, leaves: list[Any], tree: TreeDef, is_array: list[bool]) -> Partition:
    """Take a tree, given its leaves and structure, apart into those that are arrays and the rest.

    Examples
    --------
    >>> from anyjac.trees.partition import partition
    >>> from anyjac.trees.structure import flatten
    >>> tree = {"w": 2.0, "kind": "linear"}
    >>> parts = partition(tree, *flatten(tree), [True, False])
    >>> parts.arrays, parts.combine([3.0])
    ([2.0], {'w': 3.0, 'kind': 'linear'})
    """
    arrays = [leaf for leaf, yes in zip(leaves, is_array, strict=True) if yes]
    return Partition(value, tree, leaves, is_array, arrays)


def without_arrays(parts: Partition, indices: Sequence[int]) -> Partition:
    """Return a partition in which some of the arrays, by their numbers among the leaves, count as the rest."""
    is_array = [yes and index not in indices for index, yes in enumerate(parts.is_array)]
    return partition(parts.original, parts.leaves, parts.tree, is_array)


def with_leaves(parts: Partition, leaves: Mapping[int, Any]) -> Partition:
    """Return a partition with others in the place of some leaves, by their numbers, that are none of its arrays."""
    every = [leaves.get(index, leaf) for index, leaf in enumerate(parts.leaves)]
    return Partition(parts.tree.unflatten(every), parts.tree, every, parts.is_array, parts.arrays)


def hold_back(opened: OpenedNode, held: Callable[[Any], bool]) -> PartlyOpened:
    """Return an opened container without the leaves that are `held` back.

    Examples
    --------
    >>> from anyjac_plugins import OpenedNode
    >>> from anyjac.trees.partition import hold_back
    >>> part = hold_back(OpenedNode([1.0, "text"], list), lambda leaf: isinstance(leaf, str))
    >>> part.children, part.assemble([2.0]), part.assemble_whole([2.0])
    ([1.0], [2.0, None], [2.0, 'text'])
    """
    leaves, tree = flatten(opened.children)
    parts = partition(opened.children, leaves, tree, [not held(leaf) for leaf in leaves])
    whole, partly = parts.skeleton(), parts.skeleton(lambda _: None)

    def assemble(skeleton: Skeleton, kept: Sequence[Any]) -> Any:
        return opened.assemble(skeleton.combine(kept))

    def steps() -> list[str]:
        paths = tree.paths(steps_to(opened.steps, len(opened.children)))
        return [path for path, is_kept in zip(paths, parts.is_array, strict=True) if is_kept]

    return PartlyOpened(parts.arrays, partial(assemble, partly), opened.structure, steps, partial(assemble, whole))
