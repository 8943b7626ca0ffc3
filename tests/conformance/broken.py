"""A backend to be given a fault on purpose."""

from typing import Any

from tests.helpers.wrapped_backend import WrappedBackend

from anyjac import Backend
from anyjac_plugins import OutputRows


class Broken(WrappedBackend):
    """A backend that passes everything on to a real one."""

    def __init__(self, real: Backend) -> None:
        self.name = f"broken-{real.name}"
        self.version = real.version
        self.capabilities = real.capabilities
        self.real = real

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__")
        ours = (kind.__dict__ for kind in type(self).__mro__ if issubclass(kind, Broken))
        if name in own or name.startswith("__") or any(name in members for members in ours):
            return object.__getattribute__(self, name)
        return getattr(own["real"], name)

    # The defaults, which use the members that are broken below; the backend's own ways may pass them by.

    def jacobian(self, fun: Any, primals: Any, chunk_size: int | None = None, mode: str = "rev") -> Any:
        return Backend.jacobian(self, fun, primals, chunk_size, mode)

    def output_rows(self, wanted: OutputRows) -> Any:
        return Backend.output_rows(self, wanted)
