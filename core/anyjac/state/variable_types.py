"""Which types are Variables, told to every backend that is loaded, whichever comes first.

A framework may need each type itself, not only a common base, before its functions take a Variable; and it may need
something else to stand for a Variable inside its own transformations. Knows types and backends; imports no Variable.
"""

from __future__ import annotations

import weakref
from typing import Any

from anyjac_plugins import Backend
from anyjac_plugins.errors import VariableWriteError

from ..selection.choice import registry
from .operators import ArrayOperators


class VariableView(ArrayOperators):
    """The value of a Variable inside a framework's own transformation: reads as the Variable, and cannot be written.

    Parameters
    ----------
    value
        What it shows.

    Examples
    --------
    >>> from anyjac.state.variable_types import VariableView
    >>> VariableView(2.0) * 3
    6.0
    """

    __slots__ = ("_shown",)

    def __init__(self, value: Any) -> None:
        self._shown = value

    @property
    def value(self) -> Any:
        """The value."""
        return self._shown

    @value.setter
    def value(self, new: Any) -> None:
        raise VariableWriteError(
            "a Variable that was given to a function of the framework as an argument cannot be written there; let the "
            "function refer to the Variable itself"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._shown, name)


_types: list[type] = [VariableView]
_backends: weakref.WeakSet[Backend] = weakref.WeakSet()


def adopt_type(cls: type) -> None:
    """Announce `cls` as a type of Variables to all loaded backends, and to those to come."""
    _types.append(cls)
    for backend in list(_backends):
        backend.adopt_variable_type(cls, VariableView)


def _introduce(backend: Backend) -> None:
    """Announce all types of Variables to a backend that is loaded."""
    for cls in _types:
        backend.adopt_variable_type(cls, VariableView)
    _backends.add(backend)


registry.subscribe(_introduce)
