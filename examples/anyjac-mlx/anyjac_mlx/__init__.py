"""MLX as a backend of anyjac. This module holds the hook alone and imports nothing heavy."""

from anyjac_plugins import Backend, BackendSpec, hookimpl


def _make() -> Backend:
    from .backend import MlxBackend

    return MlxBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    """Describe the backend."""
    return BackendSpec(
        name="mlx",
        factory=_make,
        interface_version=2,
        requires=("mlx.core", "numpy"),
        install="anyjac-mlx",
        array_modules=("mlx", "anyjac_mlx"),
        summary="MLX, on CPU, where it has float64",
    )
