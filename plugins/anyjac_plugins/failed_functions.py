"""Which user's function a flat function comes from, and a memory for functions that are to be run in another way."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from .locking import SafeLock

MAXIMUM: Final = 256
"""How many functions are remembered; then all are forgotten, for it costs little to find out again."""


def code_of(fun: Callable[..., Any]) -> Hashable:
    """Return what stands for a function that may be made anew for each call: its code, or its type.

    Parameters
    ----------
    fun
        A function, or what has the user's function as its attribute ``origin``.

    Examples
    --------
    >>> from anyjac_plugins.failed_functions import code_of
    >>> makers = [lambda: lambda x: x] * 2
    >>> code_of(makers[0]()) == code_of(makers[1]())
    True
    """
    origin: Any = getattr(fun, "origin", fun)
    while (inner := getattr(origin, "__func__", getattr(origin, "func", None))) is not None:
        origin = inner
    code: Hashable = getattr(origin, "__code__", None) or type(origin).__qualname__
    return code


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
