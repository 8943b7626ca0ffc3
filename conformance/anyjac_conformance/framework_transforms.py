"""The framework's own gradient, compiler and map, as the backend offers them. Reads `Backend.framework_transforms`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from anyjac import Backend, PluginError
from anyjac_plugins import GRAD, JIT, VMAP

FIELDS: Final = {GRAD: "grad", JIT: "compile", VMAP: "vmap"}
"""The fields of `anyjac_plugins.FrameworkTransforms` by the capabilities that they go with."""


def framework_transform(backend: Backend, capability: str) -> Callable[..., Any]:
    """Return the framework's own transform that a capability means.

    Raises
    ------
    NotSupportedError
        If the backend neither declares it nor offers it.
    PluginError
        If the backend declares it and does not offer it.
    """
    field = FIELDS[capability]
    found: Callable[..., Any] | None = getattr(backend.framework_transforms, field)
    if found is not None:
        return found
    if not backend.supports(capability):
        raise backend.unsupported(capability)
    raise PluginError(
        f"backend {backend.name!r} declares {capability!r} and does not offer the framework's own transform; set "
        f"framework_transforms = FrameworkTransforms({field}=...) on {type(backend).__qualname__}"
    )
