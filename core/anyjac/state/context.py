"""Which scope is the innermost one here and now, and what a Variable asks of a scope.

A scope is found through a context variable, so threads and async tasks have their own. Reads no value and holds none.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

from anyjac_plugins import Backend


class ActiveScope(Protocol):
    """The scope of a running call, as far as whoever reads and writes Variables is concerned with it."""

    backend: Backend
    device: Any
    closed: bool
    owner: Any

    @property
    def parent(self) -> ActiveScope | None:
        """The scope around this one; None for the outermost scope."""
        ...

    def read(self, variable: Any) -> Any:
        """Return the value of a Variable in the scope."""
        ...

    def peek(self, variable: Any, stored: Any) -> Any:
        """Return the value of a Variable for a look alone, which owns and copies nothing; `stored` where no scope has.

        Parameters
        ----------
        variable
            The Variable.
        stored
            The value that the Variable holds outside all scopes.
        """
        ...

    def write(self, variable: Any, value: Any) -> None:
        """Give a Variable a value, already checked, for later reads and for the commit."""
        ...

    def replace(self, array: Any, new: Any) -> bool:
        """Write another array to the Variable that reads as this very array; return whether there is one."""
        ...

    def create(self, variable: Any, value: Any) -> None:
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


class _NoValue:
    """The value of a Variable that was made inside a trace of a framework which has ended."""

    def __repr__(self) -> str:
        return "<expired>"


_EXPIRED = _NoValue()


def is_expired(value: Any) -> bool:
    """Return whether a Variable's value went away with the call in which the Variable was made."""
    return value is _EXPIRED


def expired() -> Any:
    """Return the mark of a Variable that has no value outside the call in which it is made."""
    return _EXPIRED
