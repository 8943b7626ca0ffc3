"""NumPy, differentiated by autograd, as a backend of anyjac. This module holds the hook alone."""

from anyjac_plugins import Backend, BackendSpec, hookimpl


def _make() -> Backend:
    from .backend import AutogradBackend

    return AutogradBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    """Describe the backend."""
    return BackendSpec(
        name="autograd",
        factory=_make,
        requires=("autograd", "numpy"),
        install="autograd",
        array_modules=("autograd",),
        aliases=("numpy",),
        summary="NumPy, differentiated by autograd, on CPU",
    )
