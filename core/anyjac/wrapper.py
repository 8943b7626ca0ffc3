"""What every callable that anyjac makes of a function has in common: it passes for that function."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, Self

from anyjac_plugins.errors import InputTypeError


class Wrapper:
    """A callable that has the name, docstring and signature of the function it wraps, and binds ``self`` as it does.

    Copies and pickles make it again from its function and its options, so that a subclass that keeps more than these
    starts afresh.
    """

    __wrapped__: Callable[..., Any]
    __name__: str

    def __init__(self, func: Callable[..., Any], made_by: str):
        if not callable(func) and not hasattr(func, "__get__"):
            raise InputTypeError(f"{made_by} needs a callable, not {func!r} (of type {type(func).__qualname__})")
        functools.update_wrapper(self, func, updated=())
        self.__wrapped__ = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _options(self) -> tuple[Any, ...]:
        """Return what a subclass is made of besides the function, in the order of its parameters."""
        raise NotImplementedError

    def _around(self, func: Callable[..., Any]) -> Self:
        """Wrap another function, with the same options."""
        return type(self)(func, *self._options())

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        bound = bind(self.__wrapped__, instance, owner)
        return self if bound is self.__wrapped__ else self._around(bound)

    def __copy__(self) -> Self:
        return self._around(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._around(copy.deepcopy(self.__wrapped__, memo))

    def __reduce__(self) -> Any:
        """Pickle by name where it has taken its function's place in a module, as a decorator does."""
        if self._found_by_name():
            return self.__wrapped__.__qualname__
        return type(self), (self.__wrapped__, *self._options())

    def _found_by_name(self) -> bool:
        func = inspect.unwrap(self)
        if not isinstance(func, types.FunctionType):
            return False
        found: Any = sys.modules.get(func.__module__)
        for part in func.__qualname__.split("."):
            found = getattr(found, part, None)
        return found is self


def bind(func: Callable[..., Any], instance: object | None, owner: type | None) -> Callable[..., Any]:
    """Return a function as an attribute of an object or of its class; the function itself where it does not bind."""
    binds = getattr(type(func), "__get__", None)
    bound: Callable[..., Any] = func if binds is None else binds(func, instance, owner)
    return bound


def name_of(func: Callable[..., Any]) -> str:
    """Return how the repr of what wraps a function calls it."""
    name = None if isinstance(func, Wrapper) else getattr(func, "__qualname__", None)
    return repr(func) if name is None else str(name).rpartition("<locals>.")[2]
