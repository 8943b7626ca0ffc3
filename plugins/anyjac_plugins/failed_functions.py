"""Which user's function a flat function comes from, and a memory for functions that are to be run in another way."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from .locking import SafeLock

MAXIMUM: Final = 256
"""How many functions are remembered; then all are forgotten, for it costs little to find out again."""


def origin_of(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return the user's function that a flat function comes from; for a plain function that function itself.

    Examples
    --------
    >>> from anyjac_plugins.failed_functions import origin_of
    >>> def plain(x):
    ...     return [x], []
    >>> origin_of(plain) is plain
    True
    """
    origin: Callable[..., Any] = getattr(fun, "origin", fun)
    return origin


def code_of(fun: Callable[..., Any]) -> Hashable:
    """Return the code that stands for a function, which may be made anew for each call; its type where it has none.

    Parameters
    ----------
    fun
        A function, or a flat function, which stands for the user's.

    Examples
    --------
    >>> from anyjac_plugins.failed_functions import code_of
    >>> makers = [lambda: lambda x: x] * 2
    >>> code_of(makers[0]()) == code_of(makers[1]())
    True
    """
    origin: Any = origin_of(fun)
    while (inner := _within(origin)) is not None:
        origin = inner
    code: Hashable = getattr(origin, "__code__", None) or type(origin).__qualname__
    return code


def _within(fun: Any) -> Any:
    """Return the function that a method, a partial function or a wrapper without code of its own calls."""
    inner = getattr(fun, "__func__", getattr(fun, "func", None))
    return getattr(fun, "__wrapped__", None) if inner is None and not hasattr(fun, "__code__") else inner


class FailedFunctions:
    """Functions for which a way of computing has failed, by their code; threads may share it."""

    def __init__(self) -> None:
        self._lock = SafeLock()
        self._codes: set[Hashable] = set()

    def __contains__(self, fun: Callable[..., Any]) -> bool:
        return code_of(fun) in self._codes

    def add(self, fun: Callable[..., Any]) -> None:
        """Remember a function."""
        code = code_of(fun)
        self._lock.run(lambda: self._keep(code))

    def _keep(self, code: Hashable) -> None:
        if len(self._codes) >= MAXIMUM:
            self._codes.clear()
        self._codes.add(code)

    def clear(self) -> None:
        """Forget all functions."""
        self._lock.run(self._codes.clear)
