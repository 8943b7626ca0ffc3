"""Which scope is the innermost one here and now, and what a scope and a Variable know of each other.

A scope is found through a context variable, so threads and async tasks have their own. Reads no value and holds none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from anyjac_plugins import Backend, Holder, ModelLibrary


class Place(Protocol):
    """A Variable, as far as a scope is concerned with it."""

    backend: Backend
    _value: Any

    @property
    def _holder(self) -> Holder | None:
        """What holds the value in a model of another library; None for a Variable that holds it itself."""
        ...

    def keep(self) -> Any:
        """Return what can be assigned to `_value` to bring back what is there now."""
        ...

    def bring_back(self, kept: Any) -> None:
        """Make sure that it is what it was when `keep` returned that."""
        ...

    def models(self) -> Iterator[tuple[ModelLibrary, Any]]:
        """Yield the models of other libraries of which it is a part."""
        ...

    def parts_of(self, model: Any) -> Sequence[Place]:
        """Return all parts of such a model, in the order in which calls wait for them."""
        ...

    def committed(self) -> Any:
        """Return the value outside all scopes."""
        ...

    def take_back(self, leaves: Sequence[Any], backend: Backend, *, moved: bool) -> list[Any]:
        """Turn untraced arrays of a call into those to store."""
        ...

    def label(self) -> str:
        """Return how messages call it."""
        ...


class ActiveScope(Protocol):
    """The scope of a running call, as far as whoever reads and writes Variables is concerned with it."""

    backend: Backend
    device: Any
    closed: bool

    @property
    def parent(self) -> ActiveScope | None:
        """The scope around it; None for the outermost one."""
        ...

    def read(self, variable: Place) -> Any:
        """Return the value of a Variable in the scope."""
        ...

    def peek(self, variable: Place) -> Any:
        """Return what a Variable is worth in the scope for a look at it, which neither owns nor copies it."""
        ...

    def write(self, variable: Place, value: Any) -> None:
        """Give a Variable a value, already checked, for later reads and for the commit."""
        ...

    def create(self, variable: Place, value: Any) -> None:
        """Take in a Variable that is made while the scope is active."""
        ...


_current: ContextVar[ActiveScope | None] = ContextVar("anyjac_scope", default=None)


innermost_scope = _current.get
"""Return the scope that was activated last, which may be over; None where none was: the cheapest thing to ask."""


def current_scope() -> ActiveScope | None:
    """Return the innermost scope of this thread or task, None outside all transforms.

    A context that was copied inside a call, as a task of asyncio does, can outlive it; its scopes are over then.
    """
    scope = _current.get()
    while scope is not None and scope.closed:
        scope = scope.parent
    return scope


set_innermost_scope = _current.set
"""Make a scope the innermost one of this thread or task, or none at all."""


class _Expired:
    """What a Variable holds that was made inside a trace of a framework which has ended."""

    def __repr__(self) -> str:
        return "<expired>"


_EXPIRED = _Expired()


def is_expired(value: Any) -> bool:
    """Return whether a Variable's value went away with the call in which the Variable was made."""
    return value is _EXPIRED


def expired() -> Any:
    """Return the mark of a Variable that has no value outside the call in which it is made."""
    return _EXPIRED
