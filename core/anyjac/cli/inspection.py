"""What is installed here, as data: the numbers behind ``anyjac backends`` and ``anyjac info``."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict
from typing import Any

from anyjac_plugins import JIT, BackendInfo, environment
from anyjac_plugins.errors import AnyjacError

from .. import __version__
from ..selection.public import backends, devices, get_backend


def loaded_backends() -> list[BackendInfo]:
    """Load every backend that can be loaded, and describe all of them; a failure harms no other backend."""
    for info in backends():
        if info.error is None:
            try:
                get_backend(info.name)
            except AnyjacError:
                continue  # its entry in the list now says why
    return backends()


def information() -> dict[str, Any]:
    """Return versions, backends with their devices, and the environment, ready for JSON.

    Returns
    -------
    dict
        ``anyjac``, ``python`` and ``platform`` (texts); ``backends``, a list with the fields of `BackendInfo` and
        for each ``devices`` and ``jit``, what `jit` does there (``"compiles"`` or ``"runs functions as they are"``;
        None where the backend cannot be used); ``environment``, the ``ANYJAC_*`` variables as
        ``{"value", "known", "meant"}``.

    Examples
    --------
    >>> from anyjac.cli.inspection import information
    >>> sorted(information())
    ['anyjac', 'backends', 'environment', 'platform', 'python']
    """
    misspelled = environment.misspelled()
    return {
        "anyjac": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "backends": [{**asdict(info), "devices": _devices(info), "jit": _jit(info)} for info in loaded_backends()],
        "environment": {
            name: {"value": value, "known": name not in misspelled, "meant": misspelled.get(name)}
            for name, value in environment.in_use().items()
        },
    }


def _jit(info: BackendInfo) -> str | None:
    if info.error is not None:
        return None
    return "compiles" if JIT in info.capabilities else "runs functions as they are"


def _devices(info: BackendInfo) -> list[str]:
    return devices(info.name) if info.error is None else []
