"""The MLX backend of anyjac: the hook, which is read to list what is installed and so imports nothing heavy."""

from anyjac_plugins import Backend, BackendSpec, hookimpl


def make() -> Backend:
    """Import MLX and make the backend; called when it is first used."""
    from .backend import MlxBackend

    return MlxBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    """Describe the backend."""
    return BackendSpec(
        name="mlx",
        factory=make,
        requires=("mlx.core",),
        install="anyjac-mlx",
        array_modules=("mlx", "anyjac_mlx"),
        summary="MLX on the CPU",
    )
