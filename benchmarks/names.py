"""What the contenders of anyjac are called, and the compiler that some of them use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import anyjac

Transform = Callable[[Callable[..., Any]], Callable[..., Any]]


OURS: Final = "anyjac.jacrev"


OURS_COMPILED: Final = "anyjac.jit(anyjac.jacrev)"


def compiler() -> Transform | None:
    """Return `anyjac.jit` where this anyjac has it."""
    return getattr(anyjac, "jit", None)
