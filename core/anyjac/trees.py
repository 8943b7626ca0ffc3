"""Pytrees: taking them apart into leaves with paths, and putting them together again.

optree opens the builtin containers, in insertion order for dicts, and whatever is registered with it, globally or in
the namespace ``"anyjac"``; containers that only the backend's own registry knows are opened through
`Backend.flatten_node`. None is an empty container and stays in place. Knows nothing of derivatives or Variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import optree

NAMESPACE: Final = "anyjac"

# Insertion order is a setting of a namespace of optree; this one is ours alone, so it is set once, for good. The
# context is kept, since it would undo the setting if it were collected.
_insertion_order = optree.dict_insertion_ordered(True, namespace=NAMESPACE)
_insertion_order.__enter__()

Assemble = Callable[[Sequence[Any]], Any]
NodeOpener = Callable[[object], "tuple[list[Any], Assemble] | tuple[list[Any], Assemble, Assemble] | None"]
"""Opens a container: its children, and how to put them together again.

A third item puts them together with whatever was no child, in whose place the second leaves None.
"""


class TreeDef:
    """The structure of a pytree: all of it but its leaves."""

    __slots__ = ("_inner", "_spec", "num_leaves")

    def __init__(self, spec: optree.PyTreeSpec | None, inner: tuple[_Opened | None, ...] | None, num_leaves: int):
        self._spec = spec
        self._inner = inner
        self.num_leaves = num_leaves

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

    def paths(self) -> list[str]:
        """Return where each leaf is, written as Python would reach it: ``['w'][0].x``; empty for a bare leaf."""
        if self._spec is None:
            return [""]
        outer = [accessor.codify("") for accessor in optree.treespec_accessors(self._spec)]
        if self._inner is None:
            return outer
        return [
            place + deeper
            for place, node in zip(outer, self._inner, strict=True)
            for deeper in ([""] if node is None else node.children.paths())
        ]

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
            Whose structure was found, and whose it should be, each with its verb: ``the tangents are``.
        mend
            What to do about it.

        Examples
        --------
        >>> from anyjac.trees import flatten
        >>> _, wanted = flatten({"w": 1.0, "b": 2.0})
        >>> wanted.mismatch(flatten([1.0])[1], "the tangents are", "the inputs are", "give one for each")
        "the tangents are [*], and the inputs are {'w': *, 'b': *}, where * is an array or a number; give one for each"
        """
        if self == LEAF and found.num_leaves and isinstance(found.unflatten([_STAR] * found.num_leaves), (list, tuple)):
            mend = "make one array of the numbers"
        return f"{name} {found}, and {what} {self}, where * is an array or a number; {mend}"


class _Star:
    """A leaf, in messages."""

    def __repr__(self) -> str:
        return "*"


_STAR: Final = _Star()
_SHOWN: Final = 120


class _Opened:
    """A container that the backend's registry opened, in the place of one of optree's leaves."""

    __slots__ = ("assemble", "assemble_whole", "children", "kind")

    def __init__(self, kind: type, children: TreeDef, assemble: Assemble, assemble_whole: Assemble):
        self.kind = kind
        self.children = children
        self.assemble = assemble
        self.assemble_whole = assemble_whole

    def rebuild(self, remaining: Iterator[Any], whole: bool) -> Any:
        own = [next(remaining) for _ in range(self.children.num_leaves)]
        assemble = self.assemble_whole if whole else self.assemble
        return assemble(self.children.unflatten(own, whole=whole))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opened) and (self.kind, self.children) == (other.kind, other.children)

    __hash__ = None  # type: ignore[assignment]


_BARE: Final = frozenset({np.ndarray, bool, int, float, complex, str})
"""Types that are never containers, looked up instead of asked about."""

LEAF: Final = TreeDef(None, None, 1)
"""The structure of a bare leaf."""


def hold_back(
    children: list[Any], assemble: Assemble, held: Callable[[Any], bool]
) -> tuple[list[Any], Assemble, Assemble]:
    """Return what an opener does that opens a container without those leaves in it that are `held` back.

    Examples
    --------
    >>> from anyjac.trees import hold_back
    >>> kept, bare, whole = hold_back([1.0, "text"], list, lambda leaf: isinstance(leaf, str))
    >>> kept, bare([2.0]), whole([2.0])
    ([1.0], [2.0, None], [2.0, 'text'])
    """
    leaves, tree = flatten(children)
    are_held = [held(leaf) for leaf in leaves]

    def around(kept: Sequence[Any], *, whole: bool) -> Any:
        remaining = iter(kept)
        merged = [
            (leaf if whole else None) if is_held else next(remaining)
            for leaf, is_held in zip(leaves, are_held, strict=True)
        ]
        return assemble(tree.unflatten(merged))

    kept = [leaf for leaf, is_held in zip(leaves, are_held, strict=True) if not is_held]
    return kept, partial(around, whole=False), partial(around, whole=True)


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
    >>> from anyjac.trees import flatten
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
    inner: list[_Opened | None] = []
    for leaf in leaves:
        opened = opener(leaf)
        if opened is None:
            flat.append(leaf)
            inner.append(None)
        else:
            children, assemble, *others = opened
            deeper, treedef = flatten(children, opener)
            flat.extend(deeper)
            inner.append(_Opened(type(leaf), treedef, assemble, others[0] if others else assemble))
    if not any(inner):
        return leaves, LEAF if spec.is_leaf() else TreeDef(spec, None, len(leaves))
    return flat, TreeDef(spec, tuple(inner), len(flat))
