"""Callables made of a function, each of which passes for the function: the base of all that transforms return."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Self

from anyjac_plugins.errors import InputTypeError

from ..pickles import Recipe, make


class InstanceAttribute:
    """A property of instances alone: the class itself does not have the attribute."""

    def __init__(self, compute: Callable[[Any], Any]):
        self._compute = compute

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            raise AttributeError
        return self._compute(instance)


class Wrapper:
    """A callable with the name, docstring and signature of the wrapped function, which binds ``self`` as functions do.

    Copies and pickles are made anew of function and options, so that whatever else a subclass keeps starts afresh.
    """

    # No attribute is annotated here in the class: from Python 3.14 on an instance would show that for its function's.

    if "__annotations__" not in functools.WRAPPER_ASSIGNMENTS:
        # As from Python 3.14 on, where a copy would be made before all names in them are defined.
        __annotations__ = InstanceAttribute(lambda wrapper: wrapper.__wrapped__.__annotations__)

    def __init__(self, func: Callable[..., Any], made_by: str):
        if not callable(func) and not hasattr(func, "__get__"):
            raise InputTypeError(f"{made_by} needs a callable, not {func!r} (of type {type(func).__qualname__})")
        func = bound_to_its_class(func)
        self.__name__: str  # which not every callable has
        functools.update_wrapper(self, func, updated=())
        self.__wrapped__: Callable[..., Any] = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _options(self) -> tuple[Any, ...]:
        """Return what a subclass is made of besides the function, in the order of its parameters."""
        raise NotImplementedError

    def _recipe(self) -> Recipe:
        """Return how pickles make it of the function."""
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

        Otherwise a pickle makes it of its function, by the public function that has made it.

        Raises
        ------
        PicklingError
            If it wraps a method whose place another wrapper has taken, since a method is pickled by its name.
        """
        func = self._innermost()
        if isinstance(func, types.MethodType):
            owner, name = func.__self__, func.__name__
            found = bound_to_its_class(getattr(owner, name, None))
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
        name, options = self._recipe()
        return make, (name, (self.__wrapped__,), options)

    def _of_class(self, cls: type) -> Callable[..., Any] | None:
        """Return the wrapper bound to a class, or None where it is no class method of that class.

        ``classmethod`` binds by itself up to Python 3.12. Later Pythons call the wrapper with the class as the first
        argument; only the members of the class tell whether this is a class method or an ordinary argument.
        """
        if not _has_class_method(cls, self) and not self._is_class_method:
            return None
        bound: Callable[..., Any] = self.__get__(cls, cls)
        return bound

    def _refuse_without_class(self, asked: str, args: tuple[Any, ...]) -> None:
        """Refuse to be asked for what takes the arguments of a class method, and is given no class.

        Raises
        ------
        InputTypeError
            If a ``classmethod`` holds the wrapper. From Python 3.13 on its attributes are those of the wrapper alone.
        """
        given = args[0] if args else None
        if self._is_class_method or (isinstance(given, type) and _has_class_method(given, self)):
            raise InputTypeError(
                f"{asked} of {self!r} does not get the class: classmethod stands around it, and from Python 3.13 on "
                f"hands the class to calls alone; {DECORATE_OUTSIDE}"
            )

    @functools.cached_property
    def _is_class_method(self) -> bool:
        """Whether a ``classmethod`` holds the wrapper, as far as can be known without the class."""
        return is_class_method(self)

    def _innermost(self) -> Callable[..., Any]:
        func: Any = self
        while isinstance(func, Wrapper):
            func = func.__wrapped__
        return inspect.unwrap(func) if isinstance(func, types.FunctionType) else func  # type: ignore[no-any-return]


DECORATE_OUTSIDE = "decorate outside of classmethod, in the line above it"
"""What mends a class method that does not get its class."""


def bound_to_its_class(func: Any) -> Any:
    """Return a class method as the wrapper bound to its class, where Python hands out a method object of the two."""
    if isinstance(func, types.MethodType) and isinstance(func.__func__, Wrapper) and isinstance(func.__self__, type):
        return func.__func__._of_class(func.__self__) or func
    return func


def is_class_method(wrapper: Wrapper) -> bool:
    """Return whether a ``classmethod`` holds a wrapper, as far as can be known without the class.

    It is known of functions that are defined in the body of a class, or that name their first argument ``cls``.
    """
    func = wrapper._innermost()
    if not isinstance(func, types.FunctionType) or not _may_be_class_method(func):
        return False
    owner, name = _owner_of(func)
    if isinstance(owner, type):
        found = vars(owner).get(name)
        plain = found.__func__ if isinstance(found, staticmethod) else found
        if _has_class_method(owner, wrapper):
            return True
        if plain is wrapper or plain is func:
            return False
    # A class within a function cannot be looked up, and other decorators may stand around classmethod.
    return any(_holds(found, wrapper) for found in chain(_members_of_all_classes(), gc.get_objects()))


def _members_of_all_classes() -> Iterator[object]:
    """Yield what all classes have, since the collector does not know of objects that `gc.freeze` has put aside."""
    seen: dict[int, type] = {}  # by identity, since a class may be unhashable
    found: list[type] = [object]
    while found:
        cls = found.pop()
        if id(cls) not in seen:
            seen[id(cls)] = cls
            found.extend(type.__subclasses__(cls))
            yield from tuple(vars(cls).values())


def _has_class_method(cls: type, wrapper: Wrapper) -> bool:
    """Return whether a class or a base class has a class method around a wrapper."""
    name, spaces = getattr(wrapper, "__name__", ""), [vars(base) for base in cls.__mro__]
    if any(_holds(space.get(name), wrapper) for space in spaces):
        return True
    return any(_holds(member, wrapper) for space in spaces for member in tuple(space.values()))


def _holds(member: object, wrapper: Wrapper) -> bool:
    """Return whether a member of a class is a class method around a wrapper; other wrappers may stand between."""
    while issubclass(type(member), Wrapper):  # which, unlike isinstance, asks no proxy what it stands for
        member = member.__wrapped__  # type: ignore[attr-defined]
    if not issubclass(type(member), classmethod):
        return False
    held: object = member.__func__  # type: ignore[attr-defined]
    while isinstance(held, Wrapper):
        if held is wrapper:
            return True
        held = held.__wrapped__
    return False


def _may_be_class_method(func: types.FunctionType) -> bool:
    """Return whether a function is defined in the body of a class, or names its first argument ``cls``."""
    outer = func.__qualname__.rpartition(".")[0]
    return (outer != "" and not outer.endswith("<locals>")) or func.__code__.co_varnames[:1] == ("cls",)


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
    """Return whether two objects are the same, or are made in the same way of the same function."""
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
    wrap
        Wraps a function.
    text
        How it was made, as it would be written.
    recipe
        Returns how pickles make it.
    """

    def __init__(self, wrap: Callable[[Callable[..., Any]], Wrapper], text: str, recipe: Callable[[], Recipe]):
        self._wrap = wrap
        self._text = text
        self._recipe = recipe

    def __call__(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise InputTypeError(
                f"{self._text} is a decorator: it takes the function alone, and what it returns takes the arguments, "
                f"as in {self._text}(f)(x)"
            )
        return self._wrap(func)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> Any:
        name, options = self._recipe()
        return make, (name, (), options)

    def __repr__(self) -> str:
        return self._text


def bind(func: Callable[..., Any], instance: object | None, owner: type | None) -> Callable[..., Any]:
    """Return a function as an attribute of an object or of its class; the function itself where it does not bind."""
    binds = getattr(type(func), "__get__", None)
    bound: Callable[..., Any] = func if binds is None else binds(func, instance, owner)
    return bound


def name_of(func: Callable[..., Any]) -> str:
    """Return how the repr of what wraps a function calls it."""
    name = None if isinstance(func, Wrapper) else getattr(func, "__qualname__", getattr(func, "__name__", None))
    return repr(func) if name is None else str(name).rpartition("<locals>.")[2]
