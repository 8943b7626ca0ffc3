"""Pytrees: taking them apart into leaves with paths, and putting them together again.

optree opens the builtin containers, in insertion order for dicts, and whatever is registered with it, globally or in
the namespace ``"anyjac"``; containers that only the backend's own registry knows are opened through
`Backend.flatten_node`. None is an empty container and stays in place. Knows nothing of derivatives or Variables.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np
import optree

from anyjac_plugins import OpenedNode

NAMESPACE: Final = "anyjac"

# Insertion order is a setting of a namespace of optree; this one is ours alone, so it is set once, for good. The
# context is kept, since it would undo the setting if it were collected.
_insertion_order = optree.dict_insertion_ordered(True, namespace=NAMESPACE)
_insertion_order.__enter__()

Assemble = Callable[[Sequence[Any]], Any]
NodeOpener = Callable[[object], OpenedNode | None]
"""Opens a container; returns None for a leaf."""


@dataclass(slots=True)
class PartlyOpened(OpenedNode):
    """A container opened in part: `assemble` puts None in the place of the rest.

    Attributes
    ----------
    assemble_whole
        Puts children together with what was left out.
    """

    assemble_whole: Assemble | None = None


class TreeDef:
    """The structure of a pytree: all of it but its leaves.

    Parameters
    ----------
    spec
        The structure as optree sees it; None for a bare leaf.
    inner
        For each leaf that optree sees, the container that an opener has opened there, None where it is a leaf; None
        altogether where nothing was opened.
    num_leaves
        The number of leaves, those in opened containers counted one by one.
    """

    __slots__ = ("_inner", "_spec", "num_leaves")

    def __init__(self, spec: optree.PyTreeSpec | None, inner: tuple[_Container | None, ...] | None, num_leaves: int):
        self._spec = spec
        self._inner = inner
        self.num_leaves = num_leaves

    @property
    def spec(self) -> optree.PyTreeSpec:
        """The structure as optree sees it."""
        return _LEAF_SPEC if self._spec is None else self._spec

    def unflatten(self, leaves: Sequence[Any], *, whole: bool = False) -> Any:
        """Put leaves, of any kind, in their places; where `whole`, beside what an opener has held back."""
        if self._spec is None:
            return leaves[0]
        if self._inner is None:
            return optree.tree_unflatten(self._spec, leaves)
        remaining = iter(leaves)
        return optree.tree_unflatten(
            self._spec, [next(remaining) if node is None else node.rebuild(remaining, whole) for node in self._inner]
        )

    def paths(self, roots: Sequence[str] | None = None) -> list[str]:
        """Return where each leaf is, written as Python would reach it: ``['w'][0].x``; empty for a bare leaf.

        `roots` are other words for the first steps, if the structure is that of a list.
        """
        if self._spec is None:
            return [""]
        accessors = optree.treespec_accessors(self._spec)
        if roots is None:
            outer = [accessor.codify("") for accessor in accessors]
        else:
            outer = [roots[accessor[0].entry] + accessor[1:].codify("") for accessor in accessors]
        if self._inner is None:
            return outer
        return [
            position + deeper
            for position, node in zip(outer, self._inner, strict=True)
            for deeper in ([""] if node is None else node.paths())
        ]

    def arrange(self, leaves: list[Any], found: TreeDef) -> list[Any] | None:
        """Return leaves of another tree in the order of this structure, for its dicts may have another.

        None where the other is another structure in any other way.

        Examples
        --------
        >>> from anyjac.trees.structure import flatten
        >>> _, wanted = flatten({"w": 1.0, "b": [2.0, 3.0]})
        >>> wanted.arrange(*flatten({"b": ["two", "three"], "w": "one"}))
        ['one', 'two', 'three']
        >>> wanted.arrange(*flatten({"w": "one"})) is None
        True
        """
        if found == self:
            return leaves
        positions = _positions(self, found, 0)
        return None if positions is None else [leaves[position] for position in positions]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeDef) and (self._spec, self._inner) == (other._spec, other._inner)

    def __hash__(self) -> int:
        return hash((self._spec, self.num_leaves))

    def __repr__(self) -> str:
        return f"TreeDef({self})"

    def __str__(self) -> str:
        """Return the structure as messages show it: a star for each leaf, cut short where it is long."""
        text = repr(self.unflatten([_STAR] * self.num_leaves))
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    def mismatch(self, found: TreeDef, name: str, what: str, mend: str) -> str:
        """Return the sentence for a tree that should have had this structure and has another.

        Parameters
        ----------
        name, what
            The tree that was found and the tree with this structure, each with a verb: ``the tangents are``.
        mend
            What the user can do.

        Examples
        --------
        >>> from anyjac.trees.structure import flatten
        >>> _, wanted = flatten({"w": 1.0, "b": 2.0})
        >>> wanted.mismatch(flatten([1.0])[1], "the tangents are", "the inputs are", "give one for each")
        "the tangents are [*], and the inputs are {'w': *, 'b': *}, where * is an array or a number; give one for each"
        """
        if self == LEAF and found.num_leaves and isinstance(found.unflatten([_STAR] * found.num_leaves), (list, tuple)):
            mend = "make one array of the numbers"
        return f"{name} {found}, and {what} {self}, where * is an array or a number; {mend}"


_DICTS: Final = frozenset({dict, OrderedDict, defaultdict})


def _positions(wanted: TreeDef, found: TreeDef, first: int) -> list[int] | None:
    """Return for each leaf of `wanted` the number, counted from `first`, of its leaf in another structure."""
    outer = _outer_positions(wanted.spec, found.spec, 0)
    if outer is None:
        return None
    mine, others = wanted._inner or [None] * len(outer), found._inner or [None] * len(outer)
    firsts = list(accumulate((1 if node is None else node.children.num_leaves for node in others), initial=first))
    positions: list[int] = []
    for node, position in zip(mine, outer, strict=True):
        deeper = _inner_positions(node, others[position], firsts[position])
        if deeper is None:
            return None
        positions += deeper
    return positions


def _inner_positions(wanted: _Container | None, found: _Container | None, first: int) -> list[int] | None:
    """Return these numbers for a leaf that optree sees, which is a leaf or an opened container."""
    if wanted is None or found is None:
        return [first] if wanted is found else None
    return _positions(wanted.children, found.children, first) if wanted.is_like(found) else None


def _outer_positions(wanted: optree.PyTreeSpec, found: optree.PyTreeSpec, first: int) -> list[int] | None:
    """Return these numbers for the leaves that optree sees."""
    if wanted == found:
        return list(range(first, first + wanted.num_leaves))
    if wanted.type is not found.type or wanted.is_leaf():
        return None
    children = found.children()
    numbers: Sequence[int] = range(len(children))
    if wanted.type in _DICTS:
        number_of = {key: number for number, key in enumerate(found.entries())}
        if number_of.keys() != set(wanted.entries()):
            return None
        numbers = [number_of[key] for key in wanted.entries()]
    elif wanted.one_level() != found.one_level():
        return None
    firsts = list(accumulate((child.num_leaves for child in children), initial=first))
    positions: list[int] = []
    for number, child in zip(numbers, wanted.children(), strict=True):
        deeper = _outer_positions(child, children[number], firsts[number])
        if deeper is None:
            return None
        positions += deeper
    return positions


class _Star:
    """A leaf, in messages."""

    def __repr__(self) -> str:
        return "*"


_STAR: Final = _Star()
_SHOWN: Final = 120


class _Container:
    """A container that the backend's registry opened, in the place of one of optree's leaves."""

    __slots__ = ("assemble", "assemble_whole", "children", "count", "kind", "steps", "structure")

    def __init__(self, kind: type, opened: OpenedNode, children: TreeDef):
        self.kind = kind
        self.structure = opened.structure
        self.children = children
        self.count = len(opened.children)
        self.steps = opened.steps
        self.assemble = opened.assemble
        whole = opened.assemble_whole if isinstance(opened, PartlyOpened) else None
        self.assemble_whole = whole or opened.assemble

    def rebuild(self, remaining: Iterator[Any], whole: bool) -> Any:
        own = [next(remaining) for _ in range(self.children.num_leaves)]
        assemble = self.assemble_whole if whole else self.assemble
        return assemble(self.children.unflatten(own, whole=whole))

    def paths(self) -> list[str]:
        return self.children.paths(steps_to(self.steps, self.count))

    def is_like(self, other: _Container) -> bool:
        """Return whether all but the children is the same."""
        if self.kind is not other.kind:
            return False
        # What cannot be compared, such as arrays in a structure, is taken for another.
        with contextlib.suppress(RuntimeError, TypeError, ValueError):
            return bool(self.structure == other.structure)
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Container) and self.is_like(other) and self.children == other.children

    __hash__ = None  # type: ignore[assignment]


_LEAF_SPEC: Final = optree.treespec_leaf(namespace=NAMESPACE)

_BARE: Final = frozenset({np.ndarray, bool, int, float, complex, str})
"""Types that are never containers, looked up instead of asked about."""

LEAF: Final = TreeDef(None, None, 1)
"""The structure of a bare leaf."""


def steps_to(steps: Callable[[], Sequence[str]] | None, count: int) -> Sequence[str]:
    """Return how Python gets to each of so many children; numbers where a registry does not tell."""
    if steps is not None:
        # The class of a container, made of placeholders for this, may raise anything; the steps serve messages alone.
        with contextlib.suppress(Exception):
            found = steps()
            if len(found) == count:
                return found
    return [f"[{index}]" for index in range(count)]


def flatten(tree: Any, opener: NodeOpener | None = None) -> tuple[list[Any], TreeDef]:
    """Return the leaves of `tree`, left to right, and its structure.

    Parameters
    ----------
    tree
        Any object; one that is no known container is a leaf.
    opener
        Opens containers that optree does not know, usually `Backend.flatten_node`; it returns None for a leaf.

    Examples
    --------
    >>> from anyjac.trees.structure import flatten
    >>> leaves, treedef = flatten({"b": 1.0, "a": [2.0, None]})
    >>> leaves, treedef.paths()
    ([1.0, 2.0], ["['b']", "['a'][0]"])
    >>> treedef.unflatten(["x", "y"])
    {'b': 'x', 'a': ['y', None]}
    """
    if type(tree) in _BARE:
        return [tree], LEAF
    leaves, spec = optree.tree_flatten(tree, namespace=NAMESPACE)
    if opener is None:
        return leaves, LEAF if spec.is_leaf() else TreeDef(spec, None, len(leaves))
    flat: list[Any] = []
    inner: list[_Container | None] = []
    for leaf in leaves:
        opened = opener(leaf)
        if opened is None:
            flat.append(leaf)
            inner.append(None)
        else:
            deeper, treedef = flatten(opened.children, opener)
            flat.extend(deeper)
            inner.append(_Container(type(leaf), opened, treedef))
    if not any(inner):
        return leaves, LEAF if spec.is_leaf() else TreeDef(spec, None, len(leaves))
    return flat, TreeDef(spec, tuple(inner), len(flat))
