"""Which backends there are: found by entry point or registered at run time, loaded one at a time.

Listing names imports nothing. A plugin is loaded alone, in a pluggy manager of its own, so that a broken one harms
nobody; its error is kept and shown in listings. Thread-safe.
"""

from __future__ import annotations

import contextlib
import difflib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, Final

from .. import environment
from ..backend.backend import Backend
from ..backend.capabilities import CAPABILITIES
from ..errors import AnyjacError, BackendUnavailableError, PluginError, UnknownBackendError
from . import hookspecs
from .loader import Kind, Plugin, found_plugins, metadata_of, refuse_other_version, told
from .retired import GUIDE, listed, retired_members, what_has_moved
from .spec import INTERFACE_VERSION, BackendSpec

KIND: Final = Kind[BackendSpec](
    title="plugin",
    hook="anyjac_backend",
    returns=BackendSpec,
    version=lambda spec: spec.interface_version,
    moved=f"{what_has_moved()}; see {GUIDE}",
)
"""What the plugin of a backend has to give."""

READY, LOADED, MISSING, DISABLED, BROKEN = "ready", "loaded", "missing", "disabled", "broken"


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """One line of the list of backends.

    Parameters
    ----------
    name
        What ``backend=`` accepts.
    state
        ``loaded``, ``ready`` (importable, not used yet), ``missing`` (its framework is not installed),
        ``disabled`` (by ``ANYJAC_DISABLE_PLUGINS``) or ``broken``.
    aliases
        Other names that ``backend=`` accepts.
    distribution, version
        The installed distribution that brings the plugin; ``run time`` for a registered object.
    framework_version
        Version of the framework, known once the backend is loaded.
    capabilities
        Known once the backend is loaded.
    summary
        One line on the framework.
    error
        Why the backend cannot be used, with the mend; None where it can.
    requires, array_modules
        The modules that the hook names: those that must be importable, and those of the framework's array types.

    Examples
    --------
    >>> import anyjac
    >>> info = anyjac.backends()[0]
    >>> info.name, info.aliases, info.error
    ('autograd', ('numpy',), None)
    """

    name: str
    state: str
    aliases: tuple[str, ...] = ()
    distribution: str = ""
    version: str = ""
    framework_version: str = ""
    capabilities: tuple[str, ...] = ()
    summary: str = ""
    error: str | None = None
    requires: tuple[str, ...] = ()
    array_modules: tuple[str, ...] = ()


@dataclass(slots=True)
class _Entry:
    """The knowledge of a backend so far; each stage of its loading fills a field that was None."""

    name: str
    plugin: Plugin[BackendSpec] | None = None
    spec: BackendSpec | None = None
    backend: Backend | None = None
    error: AnyjacError | None = None

    def distribution(self) -> tuple[str, str]:
        """Return the name and the version of the distribution it comes from, empty where its metadata lacks them."""
        if self.plugin is None or self.plugin.point.dist is None:
            return "run time", ""
        return metadata_of(self.plugin.point)

    def is_own(self) -> bool:
        """Return whether anyjac itself brings it."""
        return self.distribution()[0] == hookspecs.PROJECT

    def is_disabled(self) -> bool:
        """Return whether the environment disables it, by its name or an alias that is known."""
        names = {self.name, *(() if self.spec is None else self.spec.aliases)}
        return not names.isdisjoint(environment.disabled_plugins())

    def refuse_disabled(self) -> None:
        """Refuse it if the environment disables it.

        Raises
        ------
        BackendUnavailableError
            Naming the variable.
        """
        if self.is_disabled():
            setting = f"{environment.DISABLE_PLUGINS}={environment.read(environment.DISABLE_PLUGINS)}"
            raise BackendUnavailableError(f"backend {self.name!r} is disabled by {setting}")


class BackendRegistry:
    """The backends of this process.

    Parameters
    ----------
    on_load
        Called with each backend right after its factory returned; more of the kind may `subscribe`.

    Examples
    --------
    >>> from anyjac_plugins import BackendRegistry
    >>> "autograd" in BackendRegistry().names()
    True
    """

    def __init__(self, on_load: Callable[[Backend], None] | None = None) -> None:
        self._entries: dict[str, _Entry] | None = None
        self._lock = threading.RLock()
        self._listeners = [] if on_load is None else [on_load]
        self._by_alias: tuple[int, dict[str, _Entry]] = (-1, {})  # found before, as of a generation
        self.generation = 0
        """Grows with every registration, so that caches of what was found can be dropped."""

    # ---- listing ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all backends, usable or not, without importing anything."""
        return sorted(self._found())

    def info(self, name: str) -> BackendInfo:
        """Describe one backend; loads its light spec, never its framework."""
        entry = self._entry(name)
        distribution, version = entry.distribution()
        shown = BackendInfo(name=entry.name, state=READY, distribution=distribution, version=version)
        try:
            spec = self._spec(entry)
        except AnyjacError as error:
            state = DISABLED if entry.is_disabled() else BROKEN
            return replace(shown, state=state, error=str(error))
        shown = replace(shown, aliases=spec.aliases, summary=spec.summary)
        shown = replace(shown, requires=spec.requires, array_modules=spec.array_modules)
        if entry.error is not None:
            return replace(shown, state=BROKEN, error=str(entry.error))
        if entry.backend is not None:
            return replace(
                shown,
                state=LOADED,
                framework_version=entry.backend.version,
                capabilities=tuple(sorted(entry.backend.capabilities)),
            )
        if spec.missing():
            return replace(shown, state=MISSING, error=_missing_message(spec))
        return shown

    def specs(self) -> list[BackendSpec]:
        """Return the light specs of all backends that are neither broken nor disabled."""
        found = []
        for entry in list(self._found().values()):
            try:
                found.append(self._spec(entry))
            except AnyjacError:
                continue
        return found

    def loaded(self) -> list[Backend]:
        """Return the backends that are in use."""
        return [entry.backend for entry in list(self._found().values()) if entry.backend is not None]

    # ---- using -----------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Backend:
        """Return the backend called `name`, importing its framework on first use.

        Raises
        ------
        UnknownBackendError
            Naming what is installed and what could be.
        BackendUnavailableError
            If the plugin is disabled or its framework is missing.
        PluginError
            If the plugin is broken.
        """
        entry = self._entry(name)
        if entry.backend is not None and not environment.disabled_plugins():
            return entry.backend
        with self._lock:
            return self._load(entry)

    def register(self, backend: Backend | BackendSpec, *, replace: bool = False) -> None:
        """Add a backend at run time, as an object or as a spec.

        Raises
        ------
        PluginError
            If it is neither, declares unknown capabilities, or its name or an alias is taken and `replace` is False.
        """
        entry = _entry_of(backend)
        with self._lock:
            taken = {alias: spec.name for spec in self.specs() for alias in (spec.name, *spec.aliases)}
            taken.update((known, known) for known in self._found())
            assert entry.spec is not None
            for name in (entry.name, *entry.spec.aliases):
                if name in taken and not (replace and taken[name] == entry.name):
                    raise PluginError(
                        f"the backend name {name!r} is taken by {taken[name]!r}; pass replace=True to replace it"
                    )
            if entry.backend is not None:
                self._announce(entry.backend)
            self._found()[entry.name] = entry
            self.generation += 1

    def unregister(self, name: str) -> None:
        """Forget a backend that was registered at run time; an installed plugin of that name shows again."""
        with self._lock:
            entry = self._entry(name)
            if entry.plugin is not None:
                raise PluginError(
                    f"{name!r} is an installed plugin; block it with {environment.DISABLE_PLUGINS}={name}"
                )
            del self._found()[entry.name]
            self._found().update({n: e for n, e in _discover().items() if n == entry.name})
            self.generation += 1

    def subscribe(self, listener: Callable[[Backend], None]) -> None:
        """Let a listener be told of each backend: of those that are loaded now, and of others when they are.

        A backend that it raises an exception for cannot be used from then on, and its error says so.
        """
        with self._lock:
            self._listeners.append(listener)
            for entry in list((self._entries or {}).values()):
                if entry.backend is not None:
                    try:
                        _announce(entry.backend, listener)
                    except PluginError as error:
                        entry.backend, entry.error = None, error

    # ---- stages of one entry ---------------------------------------------------------------------------------------

    def _found(self) -> dict[str, _Entry]:
        if self._entries is None:
            with self._lock:
                if self._entries is None:
                    environment.warn_about_misspelled()
                    self._entries = _discover()
                    environment.warn_about_disabled(self._names_to_disable())
        return self._entries

    def _names_to_disable(self) -> set[str]:
        """Return the names by which the environment may disable backends; loads specs for an alias alone."""
        entries = self._found().values()
        names = {entry.name for entry in entries}
        if environment.disabled_plugins() <= names:
            return names
        for entry in entries:
            with contextlib.suppress(AnyjacError):  # of a broken or a disabled one, told where somebody asks for it
                self._spec(entry)
        return names | {alias for entry in entries if entry.spec is not None for alias in entry.spec.aliases}

    def _entry(self, name: str) -> _Entry:
        found = self._found()
        if name in found:
            return found[name]
        generation, known = self._by_alias
        if generation == self.generation and name in known:
            return known[name]
        self.specs()  # loads the descriptions, where the aliases are
        for entry in found.values():
            if entry.spec is not None and name in entry.spec.aliases:
                self._by_alias = self.generation, {**(known if generation == self.generation else {}), name: entry}
                return entry
        raise UnknownBackendError(self._unknown_message(name))

    def _spec(self, entry: _Entry) -> BackendSpec:
        entry.refuse_disabled()
        if entry.spec is None:
            if entry.error is not None:
                raise entry.error
            try:
                entry.spec = self._with_free_aliases(entry, _load_spec(entry))
            except AnyjacError as error:
                entry.error = error
                raise
            entry.refuse_disabled()  # by an alias, which was not known before
        return entry.spec

    def _with_free_aliases(self, asking: _Entry, spec: BackendSpec) -> BackendSpec:
        """Return `spec`, and refuse an alias that is taken; anyjac's own backends come first."""
        others = [entry for entry in self._found().values() if entry is not asking]
        if not asking.is_own():
            for entry in filter(_Entry.is_own, others):
                with contextlib.suppress(AnyjacError):
                    self._spec(entry)
        for entry in others:
            names = {entry.name, *(() if entry.spec is None else entry.spec.aliases)}
            taken = sorted(names & set(spec.aliases))
            if taken:
                raise PluginError(
                    f"plugin {spec.name!r} claims the alias {taken[0]!r}, which is taken by {entry.name!r}; disable "
                    f"one of them with {environment.DISABLE_PLUGINS}"
                )
        return spec

    def _load(self, entry: _Entry) -> Backend:
        spec = self._spec(entry)
        if entry.backend is None:
            if entry.error is not None:
                raise entry.error
            if spec.missing():
                raise BackendUnavailableError(_missing_message(spec))
            try:
                backend = _make_backend(spec)
                self._announce(backend)
            except AnyjacError as error:
                entry.error = error
                raise
            entry.backend = backend
        return entry.backend

    def _announce(self, backend: Backend) -> None:
        for listener in self._listeners:
            _announce(backend, listener)

    def _unknown_message(self, name: str) -> str:
        usable = [info.name for info in map(self.info, self.names()) if info.error is None]
        absent = [
            f"{spec.name} (pip install {spec.install})" for spec in self.specs() if spec.missing() and spec.install
        ]
        disabled = sorted(environment.disabled_plugins() & set(self.names()))
        known = [*self.names(), *(alias for spec in self.specs() for alias in spec.aliases)]
        close = difflib.get_close_matches(str(name), known, n=1)
        return (
            f"there is no backend {name!r}"
            + (f"; did you mean {close[0]!r}?" if close else ".")
            + f" Installed: {', '.join(usable) or 'none'}."
            + (f" To be installed: {', '.join(absent)}." if absent else "")
            + (f" Disabled by {environment.DISABLE_PLUGINS}: {', '.join(disabled)}." if disabled else "")
        )


def _discover() -> dict[str, _Entry]:
    plugins = found_plugins(KIND, entry_points(group=hookspecs.PROJECT))
    return {name: _Entry(name=name, plugin=plugin) for name, plugin in plugins.items()}


def _load_spec(entry: _Entry) -> BackendSpec:
    assert entry.plugin is not None
    spec = entry.plugin.describe()
    if spec.name != entry.name:
        raise PluginError(
            f"plugin {entry.name!r} ({entry.plugin.point.value}) describes a backend called {spec.name!r}; the two "
            f"names must be the same"
        )
    return spec


def _make_backend(spec: BackendSpec) -> Backend:
    try:
        backend = spec.factory()
    except (Exception, SystemExit) as error:
        raise PluginError(f"backend {spec.name!r} failed to start: {told(error)}") from error
    try:
        checked = _checked_backend(backend)
    except PluginError as error:
        raise PluginError(f"backend {spec.name!r} is made wrongly: {error}") from error
    if checked.name != spec.name:
        raise PluginError(
            f"backend {spec.name!r} is made wrongly: the object is called {checked.name!r}; the two names must be the "
            f"same"
        )
    return checked


def _announce(backend: Backend, listener: Callable[[Backend], None]) -> None:
    try:
        listener(backend)
    except Exception as error:
        raise PluginError(f"backend {backend.name!r} failed to take Variables: {told(error)}") from error


def _checked_backend(backend: Any) -> Backend:
    if not isinstance(backend, Backend):
        raise PluginError(f"{backend!r} is not a Backend (its class must derive from anyjac_plugins.Backend)")
    if not isinstance(getattr(backend, "name", None), str):
        raise PluginError(f"{type(backend).__qualname__} has no attribute 'name' that is a string")
    moved = retired_members(type(backend))
    if moved:
        raise PluginError(
            f"backend {backend.name!r} overrides members that are gone from interface version {INTERFACE_VERSION}, "
            f"which this anyjac speaks: {listed(moved)}; see {GUIDE}"
        )
    unknown = sorted(set(backend.capabilities) - set(CAPABILITIES))
    if unknown:
        raise PluginError(
            f"backend {backend.name!r} declares unknown capabilities {unknown}; known are {sorted(CAPABILITIES)}"
        )
    return backend


def _entry_of(backend: Backend | BackendSpec) -> _Entry:
    if isinstance(backend, BackendSpec):
        if backend.interface_version is not None:
            refuse_other_version(f"backend {backend.name!r}", backend.interface_version, KIND.moved)
        return _Entry(name=backend.name, spec=backend)
    checked = _checked_backend(backend)
    spec = BackendSpec(name=checked.name, factory=lambda: checked, array_modules=checked.array_modules)
    return _Entry(name=checked.name, spec=spec, backend=checked)


def _missing_message(spec: BackendSpec) -> str:
    modules = ", ".join(spec.missing())
    return f"backend {spec.name!r} needs {modules}, which is not installed: pip install {spec.install or modules}"
