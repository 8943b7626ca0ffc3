"""The cache of `torch.nn.utils.parametrize.cached`, apart for each running call.

What a call computes of its parameters belongs to its graph, which ends with it, and what was computed around it belongs
to none of its own.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from .. import private

_Known = dict[tuple[int, str], Any]

_of_call: ContextVar[_Known | None] = ContextVar("anyjac_parametrizations", default=None)
"""What the innermost running call has computed; None outside all calls."""


class OwnCache:
    """What one call has computed, from `begin` to `end`; both may be repeated."""

    def __init__(self) -> None:
        self._begun = False
        self._around: _Known | None = None

    def begin(self) -> None:
        """Use it in the place of what was computed around the call, if PyTorch keeps anything now."""
        if self._begun or not private.parametrizations_are_cached():
            return
        cache = private.parametrization_cache()
        if not isinstance(cache, _CacheByCall):
            private.set_parametrization_cache(_CacheByCall(cache))
        self._around = _of_call.get()
        self._begun = True
        _of_call.set({})

    def end(self) -> None:
        """Use what was used before again."""
        if self._begun:
            _of_call.set(self._around)
        self._begun = False
        self._around = None


class _CacheByCall(_Known):
    """What PyTorch takes for its cache, and leaves with the outermost ``cached()``."""

    def get(self, key: tuple[int, str], default: Any = None) -> Any:
        known = _of_call.get()
        return super().get(key, default) if known is None else known.get(key, default)

    def __setitem__(self, key: tuple[int, str], value: Any) -> None:
        known = _of_call.get()
        if known is None:
            super().__setitem__(key, value)
        else:
            known[key] = value
