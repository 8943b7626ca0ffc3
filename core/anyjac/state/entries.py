"""One Variable in a scope, and the value to be stored for it when the call has succeeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

from anyjac_plugins import Backend
from anyjac_plugins.errors import TracerLeakError

from ..trees.structure import flatten
from .bound import BoundVariable
from .context import expired
from .variable import Variable, kept_value, store, take_back


class Content:
    """The leaves and the structure of a value, to see later whether they are still the same.

    No leaf is kept alive: whether an array of NumPy may be written with traced numbers, its references tell.
    """

    __slots__ = ("_leaves", "_tree")

    def __init__(self, value: Any):
        leaves, self._tree = flatten(value)
        self._leaves = [_reference_to(leaf) for leaf in leaves]

    def is_that_of(self, value: Any) -> bool:
        """Return whether a value has the very same leaves, in the same structure."""
        leaves, tree = flatten(value)
        return tree == self._tree and all(a is b() for a, b in zip(leaves, self._leaves, strict=True))


def _reference_to(leaf: Any) -> Callable[[], Any]:
    try:
        return ref(leaf)
    except TypeError:  # a traced array of autograd, which is none of NumPy's
        return lambda: leaf


@dataclass(slots=True)
class Entry:
    """One Variable in one scope.

    Attributes
    ----------
    value
        The scope's private copy: what reads give.
    original
        What the copy was made from; in-place changes of the copy show against it.
    written
        Whether the Variable was assigned in the scope.
    created
        Whether the Variable itself was made in the scope.
    content
        What the copy was made of; None where it is a bare array, or belongs to a model.
    """

    variable: Variable
    value: Any
    original: Any
    written: bool = False
    created: bool = False
    content: Content | None = None

    def has_other_content(self) -> bool:
        """Return whether something was put into a container of the copy, or taken out, as by ``v.value["a"] = x``."""
        return self.content is not None and not self.content.is_that_of(self.value)

    def changed_in_place(self, backend: Backend) -> bool:
        """Return whether an array of the copy was written to, in containers that are as they were."""
        if backend.is_array(self.value):
            return backend.changed_in_place(self.value, self.original)
        values, _ = flatten(self.value)
        originals, _ = flatten(self.original)
        return any(map(backend.changed_in_place, values, originals))


@dataclass(slots=True)
class Write:
    """A value that is to be committed to a Variable.

    Attributes
    ----------
    created
        Whether the Variable itself was made in the scope.
    """

    variable: Variable
    value: Any
    created: bool

    def final_value(self, backend: Backend, *, moved: bool) -> Any:
        """Return the value as the Variable stores it outside all scopes.

        Parameters
        ----------
        backend
            The backend of the call.
        moved
            Whether the call worked on a device of its own.

        Raises
        ------
        TracerLeakError
            Naming the Variable, if the value still belongs to a trace.
        """
        leaves, tree = flatten(self.value)
        if any(backend.is_array(leaf) and backend.is_traced(leaf) for leaf in leaves):
            if self.created:  # it lived in a call that a trace of the framework records, and ends with that trace
                return expired()
            if isinstance(self.variable, BoundVariable) and self.variable.holder.takes(self.value):
                return self.value
            raise TracerLeakError(
                f"the value written to {self.variable.label()} belongs to a trace of {backend.name} that is still "
                f"being made, so it cannot be stored; write a constant (stop the gradient, or detach it), or keep the "
                f"write out of the framework's own jit, vmap, grad and loops"
            )
        return tree.unflatten(take_back(self.variable, leaves, backend, moved=moved))


def store_all(values: Sequence[tuple[Variable, Any]], kept: Mapping[int, Any]) -> None:
    """Store the final values of Variables, or, if an interrupt arrives between two of them, none.

    Parameters
    ----------
    values
        The Variables with their final values.
    kept
        By the identity of a Variable what it held before, where that was kept already.
    """
    before = [
        (variable, kept[id(variable)] if id(variable) in kept else kept_value(variable)) for variable, _ in values
    ]
    try:
        for variable, value in values:
            store(variable, value)
    except BaseException:  # an interrupt too: all Variables, or none
        for variable, value in before:
            store(variable, value)
        raise
