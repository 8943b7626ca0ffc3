"""What every callable that anyjac makes of a function has in common: it passes for that function."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any, Self

from anyjac_plugins.errors import InputTypeError


class InstanceAttribute:
    """An attribute of each instance that is computed when it is looked at, and that the class itself does not have."""

    def __init__(self, compute: Callable[[Any], Any]):
        self._compute = compute

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            raise AttributeError
        return self._compute(instance)


class Wrapper:
    """A callable that has the name, docstring and signature of the function it wraps, and binds ``self`` as it does.

    Copies and pickles make it again from its function and its options, so that a subclass that keeps more than these
    starts afresh.
    """

    # No attribute is annotated here in the class: from Python 3.14 on an instance would show that for its function's.

    if "__annotations__" not in functools.WRAPPER_ASSIGNMENTS:
        # As from Python 3.14 on, where a copy would be made before all names in them are defined.
        __annotations__ = InstanceAttribute(lambda wrapper: wrapper.__wrapped__.__annotations__)

    def __init__(self, func: Callable[..., Any], made_by: str):
        if not callable(func) and not hasattr(func, "__get__"):
            raise InputTypeError(f"{made_by} needs a callable, not {func!r} (of type {type(func).__qualname__})")
        self.__name__: str  # which not every callable has
        functools.update_wrapper(self, func, updated=())
        self.__wrapped__: Callable[..., Any] = func

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
        """Pickle by name where it has taken its function's place in a module or a class, as a decorator does.

        Raises
        ------
        PicklingError
            If it wraps a method whose place another wrapper has taken, since a method is pickled by its name.
        """
        func = self._innermost()
        if isinstance(func, types.MethodType):
            owner, name = func.__self__, func.__name__
            found = getattr(owner, name, None)
            if _are_same(found, self):
                return getattr, (owner, name)
            if found != func:
                raise pickle.PicklingError(
                    f"cannot pickle {self!r}: it wraps a method that is pickled by its name, and {name!r} of "
                    f"{type(owner).__name__} is another one, {found!r}"
                )
        elif isinstance(func, types.FunctionType):
            owner, name = _owner_of(func)
            found = getattr(owner, name, None)
            if found is self:
                return func.__qualname__
            if _are_same(found, self):  # a static method is bound anew each time
                return getattr, (owner, name)
        return type(self), (self.__wrapped__, *self._options())

    def _innermost(self) -> Callable[..., Any]:
        func: Any = self
        while isinstance(func, Wrapper):
            func = func.__wrapped__
        return inspect.unwrap(func) if isinstance(func, types.FunctionType) else func  # type: ignore[no-any-return]


def signature_of(func: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function, whose annotations may name what is not defined yet."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(func, annotation_format=Format.FORWARDREF)
    return inspect.signature(func)


def _owner_of(func: types.FunctionType) -> tuple[Any, str]:
    """Return the module or class in which a function is defined, None where it cannot be found, and its name there."""
    owner: Any = sys.modules.get(func.__module__)
    *path, name = func.__qualname__.split(".")
    for part in path:
        owner = getattr(owner, part, None)
    return owner, name


def _are_same(one: object, other: object) -> bool:
    """Tell whether two objects are the same, or are made in the same way of the same function."""
    if not isinstance(one, Wrapper) or not isinstance(other, Wrapper):
        return one is other or (isinstance(one, types.MethodType) and one == other)
    options = zip(one._options(), other._options(), strict=False)
    return (
        type(one) is type(other)
        and all(mine is theirs for mine, theirs in options)
        and _are_same(one.__wrapped__, other.__wrapped__)
    )


class Deferred:
    """The decorator that a maker of wrappers returns where it is given no function yet.

    Parameters
    ----------
    make
        Wraps a function.
    text
        How it was made, as it would be written.
    """

    def __init__(self, make: Callable[[Callable[..., Any]], Wrapper], text: str):
        self._make = make
        self._text = text

    def __call__(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise InputTypeError(
                f"{self._text} is a decorator: it takes the function alone, and what it returns takes the arguments, "
                f"as in {self._text}(f)(x)"
            )
        return self._make(func)

    def __repr__(self) -> str:
        return self._text


def bind(func: Callable[..., Any], instance: object | None, owner: type | None) -> Callable[..., Any]:
    """Return a function as an attribute of an object or of its class; the function itself where it does not bind."""
    binds = getattr(type(func), "__get__", None)
    bound: Callable[..., Any] = func if binds is None else binds(func, instance, owner)
    return bound


def name_of(func: Callable[..., Any]) -> str:
    """Return how the repr of what wraps a function calls it."""
    name = None if isinstance(func, Wrapper) else getattr(func, "__qualname__", None)
    return repr(func) if name is None else str(name).rpartition("<locals>.")[2]
