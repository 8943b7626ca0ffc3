"""Objects that no tree library knows, opened for the arrays that travel in them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from anyjac_plugins import Backend, OpenedNode

from .structure import NodeOpener, flatten


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
    """Return whether an object holds an array, and no way back to the object itself."""
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
