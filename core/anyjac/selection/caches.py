"""What backends have compiled and kept, to look at and to forget."""

from __future__ import annotations

from collections.abc import Sequence

from anyjac_plugins import Backend, CacheInfo

from .choice import registry
from .public import get_backend


def cache_info(backend: str | Backend | None = None) -> CacheInfo:
    """Return how often compiled Jacobians were of use.

    On JAX the function runs on every call and is recorded as a program; a program that has come three times is
    compiled together with its Jacobian, and kept. ``ANYJAC_COMPILE=off`` leaves everything uncompiled.

    Parameters
    ----------
    backend
        A name or a `Backend`; None for all that have been loaded, added up.

    Returns
    -------
    CacheInfo
        A named tuple: ``hits``, calls that ran compiled; ``misses``, calls that did not, since what they computed had
        not come often enough; ``uncached``, calls for which nothing can be kept; ``maxsize`` and ``currsize``, how
        many programs are kept at most, and now.

    Raises
    ------
    UnknownBackendError, BackendUnavailableError, PluginError
        If there is no such backend or it cannot be used.

    Examples
    --------
    NumPy computes at once and compiles nothing:

    >>> import anyjac
    >>> anyjac.cache_info("numpy")
    CacheInfo(hits=0, misses=0, uncached=0, maxsize=0, currsize=0)
    """
    found = [each.cache_info() for each in _chosen(backend)]
    return CacheInfo(*map(sum, zip(*found, strict=True))) if found else CacheInfo()


def cache_clear(backend: str | Backend | None = None) -> None:
    """Forget compiled Jacobians, and the counts of `cache_info`.

    Parameters
    ----------
    backend
        A name or a `Backend`; None for all that have been loaded.

    Raises
    ------
    UnknownBackendError, BackendUnavailableError, PluginError
        If there is no such backend or it cannot be used.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.cache_clear()
    >>> anyjac.cache_info().currsize
    0
    """
    for each in _chosen(backend):
        each.cache_clear()


def _chosen(backend: str | Backend | None) -> Sequence[Backend]:
    return registry.loaded() if backend is None else [get_backend(backend)]
