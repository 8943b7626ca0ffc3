"""`GradientTransform`: a function together with the derivative that is taken of it."""

from __future__ import annotations

import copy
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from anyjac_plugins.errors import InputTypeError

from .call import call
from .derivative import Derivative
from .settings import Settings


class GradientTransform:
    """A callable that returns a derivative of the function it wraps.

    It takes the function's arguments, and behaves as the function otherwise: it has its name, docstring and
    signature, keeps it as ``__wrapped__``, and binds ``self`` where it is an attribute of a class. It holds no state
    between calls, so threads may share one, and it can be copied and pickled when its function can.

    Made by `jacrev` and its family, not by hand.

    Examples
    --------
    >>> import anyjac
    >>> transform = anyjac.jacrev(lambda x: x**2, return_value=True)
    >>> transform
    jacrev(<lambda>, return_value=True)
    >>> slope, value = transform(3.0)
    >>> float(slope), float(value)
    (6.0, 9.0)
    """

    __wrapped__: Callable[..., Any]
    __name__: str

    def __init__(self, func: Callable[..., Any], derivative: Derivative, settings: Settings):
        if not callable(func) and not hasattr(func, "__get__"):
            raise InputTypeError(
                f"{derivative.name} needs a callable, not {func!r} (of type {type(func).__qualname__})"
            )
        functools.update_wrapper(self, func, updated=())
        self.__wrapped__ = func
        self._derivative = derivative
        self._settings = settings

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return call(self.__wrapped__, self._derivative, self._settings, args, kwargs)

    def __get__(self, instance: object | None, owner: type | None = None) -> GradientTransform:
        bind = getattr(type(self.__wrapped__), "__get__", None)
        if bind is None:
            return self
        bound = bind(self.__wrapped__, instance, owner)
        return self if bound is self.__wrapped__ else GradientTransform(bound, self._derivative, self._settings)

    def __repr__(self) -> str:
        return f"{self._derivative.name}({_name_of(self.__wrapped__)}{self._settings.describe()})"

    def __reduce__(self) -> Any:
        """Pickle by name where the transform has taken its function's place in a module, as a decorator does."""
        if _found_by_name(self):
            return self.__wrapped__.__qualname__
        return _rebuild, (self.__wrapped__, self._derivative, self._settings)

    def __copy__(self) -> GradientTransform:
        return _rebuild(self.__wrapped__, self._derivative, self._settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> GradientTransform:
        func = copy.deepcopy(self.__wrapped__, memo)
        # A plain function is not copied, so it goes on using its Variables, and so must the transform.
        settings = self._settings if func is self.__wrapped__ else copy.deepcopy(self._settings, memo)
        return _rebuild(func, self._derivative, settings)


def _rebuild(func: Callable[..., Any], derivative: Derivative, settings: Settings) -> GradientTransform:
    return GradientTransform(func, derivative, settings)


def _found_by_name(transform: GradientTransform) -> bool:
    func = transform.__wrapped__
    if not isinstance(func, types.FunctionType):
        return False
    found: Any = sys.modules.get(func.__module__)
    for part in func.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is transform


def _name_of(func: Callable[..., Any]) -> str:
    name = getattr(func, "__qualname__", None)
    if name is None:
        return repr(func)
    return str(name).rpartition("<locals>.")[2]
