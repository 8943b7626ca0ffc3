"""Which types are Variables, told to every backend that is loaded, whichever comes first.

A framework may need each type itself, not only a common base, before its functions take a Variable. Knows types and
backends; imports no Variable.
"""

from __future__ import annotations

import weakref

from anyjac_plugins import Backend

from .view import VariableView

_types: list[type] = [VariableView]
_backends: weakref.WeakSet[Backend] = weakref.WeakSet()


def adopt_type(cls: type) -> None:
    """Tell all loaded backends, and those to come, that instances of `cls` are Variables."""
    _types.append(cls)
    for backend in list(_backends):
        backend.adopt_variable_type(cls, VariableView)


def introduce(backend: Backend) -> None:
    """Tell a backend that was just loaded which types are Variables."""
    for cls in _types:
        backend.adopt_variable_type(cls, VariableView)
    _backends.add(backend)
