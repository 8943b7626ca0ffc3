"""The hook of a third-party backend; it imports nothing heavy."""

from anyjac_plugins import Backend, BackendSpec, hookimpl


def make() -> Backend:
    from .backend import MinimalBackend

    return MinimalBackend()


@hookimpl
def anyjac_backend() -> BackendSpec:
    return BackendSpec(name="minimal", factory=make, interface_version=2, requires=("numpy",), install="anyjac-minimal")
