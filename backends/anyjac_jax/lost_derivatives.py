"""A look at ``x.item()``, by which alone JAX hands out the numbers of an array that is being differentiated.

Outside of compilation JAX knows these numbers, and refuses ``float(x)`` and its like all the same. Knows nothing of
derivatives.
"""

from __future__ import annotations

from typing import Any, Final

import jax

from anyjac_plugins import lost_derivatives

_item: Final[Any] = jax.core.Tracer.item

_PACKAGES: Final = ("jax", "anyjac_jax")

_MEND: Final = "compute with the array itself; where a constant is meant, take anyjac.stop_gradient(x) first"


def _watched_item(self: Any, *args: Any) -> Any:
    """Return an element as a Python number, or raise JAX's own error where it is not known."""
    number = _item(self, *args)
    if isinstance(number, float | complex) and lost_derivatives.is_watching():
        lost_derivatives.report("x.item()", _MEND, _PACKAGES)
    return number


def watch_items() -> None:
    """Report from now on each loss by ``x.item()``, in the calls of ours that are watched; may be repeated."""
    jax.core.Tracer.item = _watched_item  # type: ignore[method-assign]
