"""Backends that take one of their ways to a derivative, whatever the function is."""

from typing import TypeVar

from anyjac import Backend

B = TypeVar("B", bound=Backend)


def forced(kind: type[B], path: str) -> B:
    """Return a new backend that takes the path with this name always."""
    backend = kind()
    backend.paths.force(path)
    return backend
