"""A backend that passes everything on to a real one and raises at the n-th call of any of its members."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyjac
from anyjac import Backend


class FaultError(Exception):
    """What a faulty backend raises."""


class FaultyBackend(Backend):
    """Raises at call number `fail_at`, counted from 0 over all members; None for never."""

    def __init__(self, real: Backend) -> None:
        self.name = f"faulty-{real.name}"
        self.version = real.version
        self.capabilities = real.capabilities
        self.real = real
        self.calls = 0
        self.fail_at: int | None = None

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__")
        if name in own or name.startswith("_"):
            return object.__getattribute__(self, name)
        member = getattr(own["real"], name)
        return _Counted(self, member) if callable(member) and name != "namespace" else member

    namespace = None
    is_array = asarray = devices = device_of = vjp = None


class _Counted:
    """A member of the real backend that counts its calls, and those of the pullback that it hands out."""

    def __init__(self, backend: FaultyBackend, member: Any) -> None:
        self._backend, self._member = backend, member

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        number, self._backend.calls = self._backend.calls, self._backend.calls + 1
        if number == self._backend.fail_at:
            raise FaultError(f"call {number}")
        return self._member(*args, **kwargs)


@contextmanager
def faulty(real: Backend) -> Iterator[FaultyBackend]:
    """Register a faulty backend for a block of code."""
    backend = FaultyBackend(real)
    anyjac.register_backend(backend)
    try:
        yield backend
    finally:
        backend.fail_at = None
        anyjac.unregister_backend(backend.name)
