"""The functions by which users choose, add and list backends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from anyjac_plugins import Backend, BackendInfo, BackendSpec
from anyjac_plugins.interrupts import setting

from .choice import default_backend, in_context, named_selection, registry, set_default


@contextlib.contextmanager
def use_backend(backend: str | Backend) -> Iterator[Backend]:
    """Make a backend the chosen one for a block of code; for this thread or async task alone. Also a decorator.

    Parameters
    ----------
    backend
        A name, such as ``"torch"``, or a `Backend`.

    Yields
    ------
    Backend
        The backend.

    Raises
    ------
    UnknownBackendError, BackendUnavailableError
        On entry, if there is no such backend or it cannot be used.

    Examples
    --------
    >>> import anyjac
    >>> with anyjac.use_backend("numpy"):
    ...     print(anyjac.jacrev(lambda x: x**2)(3.0))
    6.0
    """
    chosen = get_backend(backend)
    with setting(in_context, chosen):
        yield chosen


def get_backend(backend: str | Backend | None = None) -> Backend:
    """Return a backend by name, or the one that is chosen where no arrays are in sight.

    Parameters
    ----------
    backend
        A name or alias, a `Backend` (returned as it is), or None for the choice by context, environment or default.

    Raises
    ------
    UnknownBackendError, BackendUnavailableError, PluginError
        If there is no such backend or it cannot be used; the message says what to do.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.get_backend("numpy").name
    'autograd'
    """
    named = named_selection(backend)
    return default_backend() if named is None else named.backend


def set_default_backend(name: str) -> None:
    """Set the backend that is used where nothing else decides; at first it is ``"numpy"``.

    Parameters
    ----------
    name
        The backend's name or alias.

    Raises
    ------
    UnknownBackendError, BackendUnavailableError, PluginError
        If there is no such backend or it cannot be used; the default stays as it was.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.set_default_backend("numpy")
    """
    set_default(get_backend(name))


def register_backend(backend: Backend | BackendSpec, *, replace: bool = False) -> None:
    """Add a backend to this process, as an object or as a light spec.

    Parameters
    ----------
    backend
        A `anyjac_plugins.Backend`, or a `anyjac_plugins.BackendSpec` to load it on first use.
    replace
        Whether it may take the place of a backend with the same name.

    Raises
    ------
    PluginError
        If it is neither of the two, or the name or an alias is taken.

    Examples
    --------
    >>> import anyjac
    >>> def make():
    ...     from my_package.backend import MyBackend
    ...     return MyBackend()
    >>> anyjac.register_backend(anyjac.BackendSpec(name="mine", factory=make, requires=("my_package",)))
    >>> [info.state for info in anyjac.backends() if info.name == "mine"]
    ['missing']
    >>> anyjac.unregister_backend("mine")
    """
    registry.register(backend, replace=replace)


def unregister_backend(name: str) -> None:
    """Remove a backend that `register_backend` added; an installed plugin of that name shows again.

    Parameters
    ----------
    name
        The backend's name.

    Raises
    ------
    UnknownBackendError
        If there is none of that name.
    PluginError
        If it is an installed plugin.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.register_backend(anyjac.BackendSpec(name="mine", factory=lambda: None))
    >>> anyjac.unregister_backend("mine")
    >>> "mine" in [info.name for info in anyjac.backends()]
    False
    """
    registry.unregister(name)


def backends() -> list[BackendInfo]:
    """List every backend: name, state, versions, capabilities, and the mend where it cannot be used.

    Imports no framework.

    Examples
    --------
    >>> import anyjac
    >>> [info.name for info in anyjac.backends()][:3]
    ['autograd', 'jax', 'torch']
    """
    return [registry.info(name) for name in registry.names()]


def devices(backend: str | Backend | None = None) -> list[str]:
    """Return the names of the devices that a backend finds, its default first.

    Parameters
    ----------
    backend
        A name or a `Backend`; None for the chosen one.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.devices("numpy")
    ['cpu']
    """
    chosen = get_backend(backend)
    return [chosen.device_name(device) for device in chosen.devices()]
