"""Containers and Variables: what the framework's functions take besides arrays.

=======================  ==========================================================================================
member                   override it where
=======================  ==========================================================================================
``flatten_node``         the framework has a registry of containers of its own, such as PyTorch's and JAX's
``adopt_variable_type``  the framework's functions or operators do not ask an object of another class what it is
``adopt_linear_map``     the framework's compiler returns containers of its registry alone
=======================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .required import RequiredMembers
from .types import OpenedNode


class ContainerMembers(RequiredMembers):
    """The part of a backend that knows containers of arrays."""

    def flatten_node(self, node: object) -> OpenedNode | None:
        """Open one container that only the framework's own registry knows.

        Returns None for anything that is no such container.
        """
        return None

    def adopt_variable_type(self, cls: type, view: type) -> None:
        """Make the framework's functions take Variables, instances of `cls`, for what their ``.value`` holds.

        Called for each type of Variables when the backend is loaded, and for types that are defined later. The default
        relies on the array protocols that `cls` implements. A framework that takes objects apart puts them together as
        ``view(value)``, which reads as a Variable does.

        A traced array must not take a Variable beside it for a constant: its operators either know `cls`, or return
        NotImplemented for it, so that the Variable's own operator puts its value there.
        """

    def adopt_linear_map(
        self,
        cls: type,
        take_apart: Callable[[Any], tuple[Sequence[Any], Any]],
        put_together: Callable[[Any, Sequence[Any]], Any],
    ) -> None:
        """Make instances of `cls`, the linear maps that `anyjac.vjp` or `anyjac.linearize` returns, containers.

        Called once for each of the two types. The default does nothing.

        Parameters
        ----------
        cls
            The type.
        take_apart
            Returns children and the rest: the children are the linear map of the backend, which had better be a
            container too, and lists of arrays.
        put_together
            Makes a linear map of the rest and other children, whatever these are.
        """
