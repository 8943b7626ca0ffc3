"""The cache of `torch.nn.utils.parametrize.cached`, apart for each running call.

Tensors that a call computes of its parameters belong to the graph of that call, and are of no use around it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from .. import private

_Cache = dict[tuple[int, str], Any]

_of_call: ContextVar[_Cache | None] = ContextVar("anyjac_parametrizations", default=None)
"""The cache of the innermost running call; None outside all calls."""


class OwnCache:
    """The cache of one call, from `begin` to `end`; both may be repeated."""

    def __init__(self) -> None:
        self._begun = False
        self._around: _Cache | None = None

    def begin(self) -> None:
        """Use this cache instead of that around the call, if PyTorch caches now."""
        if self._begun or not private.parametrizations_are_cached():
            return
        cache = private.parametrization_cache()
        if not isinstance(cache, _CacheByCall):
            private.set_parametrization_cache(_CacheByCall(cache))
        self._around = _of_call.get()
        self._begun = True
        _of_call.set({})

    def end(self) -> None:
        """Use the cache around the call again."""
        if self._begun:
            _of_call.set(self._around)
        self._begun = False
        self._around = None


class _CacheByCall(_Cache):
    """The dict that PyTorch takes for its cache until the outermost ``cached()`` ends."""

    def get(self, key: tuple[int, str], default: Any = None) -> Any:
        known = _of_call.get()
        return super().get(key, default) if known is None else known.get(key, default)

    def __setitem__(self, key: tuple[int, str], value: Any) -> None:
        known = _of_call.get()
        if known is None:
            super().__setitem__(key, value)
        else:
            known[key] = value
