"""The light description of a backend: all that is known of it before its framework is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..backend.backend import Backend

INTERFACE_VERSION = 2
"""Version of the interface between anyjac and its plugins that this distribution speaks."""


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Name of a backend, the modules that it needs, and its factory.

    Parameters
    ----------
    name
        What users write in ``backend=``; the same as the entry point's name.
    factory
        Called without arguments, at most once, when the backend is first used; imports the framework and
        returns the `Backend`.
    requires
        Modules that have to be importable before `factory` is called.
    install
        What to type after ``pip install`` where one of `requires` is missing.
    array_modules
        Top-level modules in which the framework's array types are defined. Selection infers the backend from them
        without importing anything.
    aliases
        Other names for the same backend.
    summary
        One line for listings.
    interface_version
        The version of this interface that the plugin was written for, as a number: `INTERFACE_VERSION` would always
        be the one that is installed. An installed plugin that names none was written for version 1, before there were
        others; a spec that is registered at run time need not name it.

    Examples
    --------
    >>> from anyjac_plugins import BackendSpec
    >>> def make():
    ...     from my_package.backend import MyBackend
    ...     return MyBackend()
    >>> spec = BackendSpec(name="mine", factory=make, interface_version=2, requires=("my_framework",))
    >>> spec.missing()
    ('my_framework',)
    """

    name: str
    factory: Callable[[], Backend]
    requires: tuple[str, ...] = ()
    install: str = ""
    array_modules: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    summary: str = ""
    interface_version: int | None = None

    def missing(self) -> tuple[str, ...]:
        """Return those of `requires` that cannot be imported, without importing any."""
        return tuple(module for module in self.requires if not _importable(module))


def _importable(module: str) -> bool:
    """Return whether a module can be found; one in a package that cannot be found cannot either."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
    except ValueError:  # it is imported, and was made without a specification
        return True
