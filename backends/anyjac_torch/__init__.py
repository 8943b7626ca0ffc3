"""PyTorch as a backend of anyjac. This module holds the hook alone and imports nothing heavy."""

from anyjac_plugins import Backend, BackendSpec, hookimpl
from anyjac_plugins.installing import extra


def _make() -> Backend:
    from .backend import TorchBackend

    return TorchBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    """Describe the backend."""
    return BackendSpec(
        name="torch",
        factory=_make,
        interface_version=2,
        requires=("torch",),
        install=extra("torch"),
        array_modules=("torch",),
        summary="PyTorch, on CPU and CUDA",
    )
