"""What pickles look for in the module ``anyjac.jitted`` of then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjac import jit
from anyjac.pickles import make

__all__ = ["Jitted", "jit"]


def Jitted(func: Callable[..., Any], backend: Any, device: Any) -> Any:  # noqa: N802
    """Make the compiled function."""
    return make("jit", (func,), {"backend": backend, "device": device})
