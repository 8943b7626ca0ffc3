"""Which derivative rules may be given a whole batch of cotangents at once.

A rule that was written for one cotangent may branch on it, convert it to a number or hand it to foreign code, and a
batch would then give a wrong derivative without an error. autograd's own rules were read for that; rules from
elsewhere are given one cotangent at a time.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autograd.numpy import linalg

_READ: Final = ("autograd.builtins", "autograd.core", "autograd.numpy.", "autograd.scipy.", "anyjac_autograd.")
_NOT_AMONG_THEM: Final = ("autograd.scipy.integrate",)
_LOOK_AT_VALUES: Final = frozenset({linalg.grad_eigh})

_known: weakref.WeakKeyDictionary[Callable[..., Any], bool] = weakref.WeakKeyDictionary()


def takes_batches(maker: Callable[..., Any]) -> bool:
    """Return whether the rule of a `maker` that is registered with autograd may be given a batch."""
    try:
        known = _known.get(maker)
    except Exception:  # of any kind: of an object of a user's that has no hash, or takes no weak reference
        return False
    if known is None:
        known = _known[maker] = all(_was_read(function) for function in _within(maker, set()))
    return known


def _was_read(function: Callable[..., Any]) -> bool:
    module = str(getattr(function, "__module__", None))
    return module.startswith(_READ) and not module.startswith(_NOT_AMONG_THEM) and function not in _LOOK_AT_VALUES


def _within(value: Any, seen: set[int]) -> Iterator[Callable[..., Any]]:
    """Yield all functions in `value`: those that a closure, a partial or a container holds."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        yield from _within((value.func, value.args, value.keywords), seen)
    elif isinstance(value, Mapping):
        yield from _within(tuple(value.values()), seen)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _within(part, seen)
    elif callable(value):
        yield value
        code, cells = getattr(value, "__code__", None), getattr(value, "__closure__", None) or ()
        for name, cell in zip(code.co_freevars if code else (), cells, strict=True):
            if name != "fun":  # the primitive itself, which is not asked for a derivative
                yield from _within(cell.cell_contents, seen)
