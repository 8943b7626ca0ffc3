"""A backend that passes everything on to a real one and raises at the n-th call of any of its members."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyjac
from anyjac import Backend


class FaultError(Exception):
    """The error that a faulty backend raises."""


class FaultyBackend(Backend):
    """Raises at call number `fail_at`, counted from 0 over all members, the namespace and every pullback; None: never.

    Jacobians and their rows are computed by the defaults of `Backend`, so that each row is a call that may fail.
    `called` holds the names of all members that were called.
    """

    def __init__(self, real: Backend) -> None:
        self.name = f"faulty-{real.name}"
        self.version = real.version
        self.capabilities = real.capabilities
        self.real = real
        self.calls = 0
        self.fail_at: int | None = None
        self.called: set[str] = set()
        self.error: type[BaseException] = FaultError

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__")
        if name in own or name.startswith("_"):
            return object.__getattribute__(self, name)
        if name == "namespace":
            return _CountedNamespace(self, own["real"].namespace)
        if name == "vjp":
            return _Counted(self, name, self._vjp)
        if name == "pullback_rows":
            return _Counted(self, name, self._pullback_rows)
        if name in ("jacobian", "output_rows"):
            return functools.partial(getattr(Backend, name), self)
        member = getattr(own["real"], name)
        return _Counted(self, name, member) if callable(member) else member

    namespace = None
    is_array = asarray = devices = device_of = vjp = None

    def _count(self, name: str) -> None:
        self.called.add(name)
        number, self.calls = self.calls, self.calls + 1
        if number == self.fail_at:
            raise self.error(f"call {number}")

    def _vjp(self, fun: Any, primals: Sequence[Any]) -> Any:
        outputs, pullback, aux = self.real.vjp(fun, primals)
        return outputs, _Counted(self, "the pullback", pullback), aux

    def _pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> Any:
        return Backend.pullback_rows(self, linear_map, vectors)


class _Counted:
    """A member of the real backend whose calls are counted."""

    def __init__(self, backend: FaultyBackend, name: str, member: Any) -> None:
        self._backend, self._name, self._member = backend, name, member

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._backend._count(self._name)
        return self._member(*args, **kwargs)


class _CountedNamespace:
    """The real backend's namespace, with its functions counted and its dtypes as they are."""

    def __init__(self, backend: FaultyBackend, real: Any) -> None:
        self._backend, self._real = backend, real

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._real, name)
        if not callable(member) or isinstance(member, type):
            return member
        return _Counted(self._backend, f"xp.{name}", member)


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
