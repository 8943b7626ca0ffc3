"""The libraries of models that plugins bring, or that are registered in this process.

An entry point of the group ``anyjac.models``, whose name is the top-level module of the library's classes, is loaded
when an object of such a class is met, so never before the library itself. Knows nothing
of Variables.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from typing import Final

from .. import environment
from ..errors import PluginError
from ..models import ModelLibrary
from .loader import Kind, Plugin, found_plugins

GROUP: Final = "anyjac.models"
"""The entry-point group of model libraries."""


def _version_of(library: ModelLibrary) -> int | None:
    """Return the version that the classes of the plugin name themselves, and do not inherit of another package."""
    package = _package_of(type(library))
    own = (base for base in type(library).__mro__ if _package_of(base) == package)
    return next((vars(base)["interface_version"] for base in own if "interface_version" in vars(base)), None)


def _package_of(cls: type) -> str:
    return cls.__module__.partition(".")[0]


KIND: Final = Kind[ModelLibrary](
    title="plugin for models of",
    hook="anyjac_models",
    returns=ModelLibrary,
    version=_version_of,
    moved="a ModelLibrary names the version that it was written for, interface_version = 2; since version 1 nothing "
    "else has changed for libraries of models",
)
"""What a plugin for models has to give."""


class ModelLibraries:
    """The model libraries that plugins bring, or that are registered in this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._plugins: dict[str, Plugin[ModelLibrary]] | None = None
        self._libraries: dict[str, ModelLibrary] = {}
        self._of_types: dict[type, ModelLibrary | None] = {}
        self._discovering: dict[str, tuple[ModelLibrary, ...]] = {}
        self._not_imported: tuple[str, ...] | None = None

    def discovering(self, backend: str) -> Sequence[ModelLibrary]:
        """Return the libraries that find places by themselves in calls of a backend, of those that are imported."""
        if any(module in sys.modules for module in self._awaited()):
            with self._lock:
                self._discovering = {}
                self._not_imported = None
        known = self._discovering.get(backend)
        if known is None:
            known = self._discovering[backend] = tuple(self._find_discovering(backend))
        return known

    def _awaited(self) -> Sequence[str]:
        """Return the libraries that were not imported when somebody last looked."""
        if self._not_imported is None:
            self._not_imported = tuple(module for module in self._found() if module not in sys.modules)
        return self._not_imported

    def _find_discovering(self, backend: str) -> Iterator[ModelLibrary]:
        for module in dict.fromkeys((*self._libraries, *self._found())):
            with contextlib.suppress(PluginError):  # which is raised where somebody names such a model
                library = self._load(module) if module in sys.modules else None
                if library is not None and library.discovers == backend:
                    yield library

    def of(self, obj: object) -> ModelLibrary | None:
        """Return the library of models that an object's class comes from; None where no plugin knows it.

        Raises
        ------
        PluginError
            If the plugin for it is broken.
        """
        cls = type(obj)
        try:
            return self._of_types[cls]
        except KeyError:
            return self._of_types.setdefault(cls, self._find(cls))

    def register(self, module: str, library: ModelLibrary, *, replace: bool = False) -> None:
        """Add the library whose classes are defined in the top-level module `module`.

        Raises
        ------
        PluginError
            If it is no `ModelLibrary`, or `module` has one already.
        """
        if not isinstance(library, ModelLibrary):
            raise PluginError(f"{library!r} is not a ModelLibrary (its class must derive from it)")
        with self._lock:
            if not replace and (module in self._libraries or module in self._found()):
                raise PluginError(f"there is a model library for {module!r}; pass replace=True to replace it")
            self._libraries[module] = library
            self._of_types, self._discovering = {}, {}

    def unregister(self, module: str) -> None:
        """Forget the library that `register` added; an installed plugin for the same module serves again.

        Raises
        ------
        PluginError
            If none was registered.
        """
        with self._lock:
            if self._libraries.pop(module, None) is None:
                raise PluginError(f"no model library is registered for {module!r}")
            self._of_types, self._discovering = {}, {}

    def _find(self, cls: type) -> ModelLibrary | None:
        for base in cls.__mro__:
            module = _package_of(base)
            if module in self._libraries or module in self._found():
                return self._load(module)
        return None

    def _found(self) -> dict[str, Plugin[ModelLibrary]]:
        if self._plugins is None:
            self._plugins = found_plugins(KIND, entry_points(group=GROUP))
        return self._plugins

    def _load(self, module: str) -> ModelLibrary | None:
        with self._lock:
            if module not in self._libraries:
                if module in environment.disabled_plugins():
                    return None
                self._libraries[module] = self._found()[module].describe()
            return self._libraries[module]


libraries: Final = ModelLibraries()
"""The model libraries of this process."""
