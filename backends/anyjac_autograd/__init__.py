"""NumPy, differentiated by autograd, as a backend of anyjac, and Jacobians for autograd's own users.

This module holds the hook; everything else is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyjac_plugins import Backend, BackendSpec, hookimpl

if TYPE_CHECKING:
    from .jacobians import jacobian

__all__ = ["anyjac_backend", "jacobian"]


def __getattr__(name: str) -> Any:
    if name == "jacobian":
        from .jacobians import jacobian

        return jacobian
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _make() -> Backend:
    from .backend import AutogradBackend

    return AutogradBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    """Describe the backend."""
    return BackendSpec(
        name="autograd",
        factory=_make,
        interface_version=2,
        requires=("autograd", "numpy"),
        install="autograd",
        array_modules=("autograd",),
        aliases=("numpy",),
        summary="NumPy, differentiated by autograd, on CPU",
    )
