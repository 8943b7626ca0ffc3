"""Openers of the containers that only a backend's framework knows, with or without some of the leaves in them.

Arrays and Variables are leaves. Asks the backend and the libraries of models what they know; reads no value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjac_plugins import Backend, OpenedNode
from anyjac_plugins.loading.models import libraries

from ..state.variable import Variable
from ..trees.partition import hold_back
from ..trees.structure import NodeOpener


def opener_of(backend: Backend) -> NodeOpener:
    """Return an opener of the containers that only the backend's framework knows."""

    def opener(leaf: object) -> OpenedNode | None:
        return None if backend.is_array(leaf) or isinstance(leaf, Variable) else backend.flatten_node(leaf)

    return opener


def opener_without(backend: Backend, left_out: Callable[[Any, bool], bool]) -> NodeOpener:
    """Return an opener of the same containers that leaves out some of the leaves in them.

    Parameters
    ----------
    left_out
        Returns whether a leaf is left out, given the leaf, and whether the library of the container holds the leaf
        back as no parameter.
    """
    opener = opener_of(backend)

    def open_partly(node: object) -> OpenedNode | None:
        opened = opener(node)
        if opened is None:
            return None
        library = libraries.of(node)

        def is_left_out(leaf: Any) -> bool:
            if isinstance(leaf, Variable) or opener(leaf) is not None:
                return False
            return left_out(leaf, library is not None and library.holds_back(leaf, node))

        return hold_back(opened, is_left_out)

    return open_partly
