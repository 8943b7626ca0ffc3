"""The hooks that a plugin implements, and the markers for both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from .spec import BackendSpec

if TYPE_CHECKING:
    from ..models import ModelLibrary

PROJECT = "anyjac"
"""Name of pluggy's project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def anyjac_backend() -> BackendSpec:  # type: ignore[empty-body]
    """Describe the backend that this plugin brings.

    The module that holds the implementation must import nothing heavy: it is loaded to list what is installed.
    """


@hookspec(firstresult=True)
def anyjac_models() -> ModelLibrary:  # type: ignore[empty-body]
    """Return what anyjac needs to know of a library's models.

    The module that holds the implementation is loaded when the first object of that library is met.
    """
