"""What tells values apart that Python calls equal: 1, 1.0 and True, 0.0 and -0.0, as keys of dicts and elsewhere."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import optree

from .structure import NAMESPACE

_NUMBERS = (int, float, complex, np.generic, Decimal, Fraction)


def exactly(value: Hashable) -> Hashable:
    """Return a stand-in that is equal only to the stand-ins of values of the same types.

    Looks into tuples, frozen sets, ranges and frozen dataclasses; other objects are equal as they say themselves.

    Examples
    --------
    >>> from anyjac.trees.exact import exactly
    >>> 1 == True, exactly(1) == exactly(True), exactly((1, "a")) == exactly((1, "a"))
    (True, False, True)
    """
    kind = type(value)
    if kind is str:
        return value
    if isinstance(value, _NUMBERS):
        return kind, repr(value)
    if isinstance(value, tuple):
        return kind, tuple(map(exactly, value))
    if isinstance(value, frozenset):
        return kind, frozenset(map(exactly, value))
    if isinstance(value, range):
        return kind, value.start, value.stop, value.step
    if is_dataclass(value) and not isinstance(value, type):
        return kind, value, _exact_fields(value)
    return kind, value


def _exact_fields(value: Any) -> Hashable:
    """Return exact stand-ins of the fields that count in a comparison; None where one of them is not hashable."""
    found = tuple(exactly(getattr(value, field.name, None)) for field in fields(value) if field.compare)
    try:
        hash(found)
    except TypeError:  # the class has a hash of its own, which leaves such a field out
        return None
    return found


def exact_keys(tree: Any) -> Iterator[Hashable]:
    """Yield the exact keys of the dicts in a tree that are no text, in their order.

    Examples
    --------
    >>> from anyjac.trees.exact import exact_keys
    >>> list(exact_keys({"a": [{1: 2.0}]})) == list(exact_keys({"a": [{True: 2.0}]}))
    False
    """
    children: Any
    if isinstance(tree, dict):
        yield from exact_keys_of(tree)
        children = tree.values()
    elif isinstance(tree, (list, tuple)):
        children = tree
    elif optree.tree_is_leaf(tree, namespace=NAMESPACE):
        return
    else:
        children, metadata, _, _ = optree.tree_flatten_one_level(tree, namespace=NAMESPACE)
        yield exactly(metadata)
    for child in children:
        yield from exact_keys(child)


def exact_keys_of(mapping: Mapping[Any, Any]) -> Iterator[Hashable]:
    """Yield the exact keys of one mapping that are no text."""
    return (exactly(key) for key in mapping if type(key) is not str)
