"""JAX as a backend of anyjac. This module holds the hook alone and imports nothing heavy."""

from anyjac_plugins import Backend, BackendSpec, hookimpl
from anyjac_plugins.installing import extra


def _make() -> Backend:
    from .backend import JaxBackend

    return JaxBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    """Describe the backend."""
    return BackendSpec(
        name="jax",
        factory=_make,
        interface_version=2,
        requires=("jax", "jaxlib"),
        install=extra("jax"),
        array_modules=("jax", "jaxlib"),
        summary="JAX, on CPU, GPU and TPU",
    )
