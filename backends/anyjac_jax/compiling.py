"""Programs compiled by `jax.jit`, without one pass of XLA where that pass gives wrong numbers.

The pass simplifies sums, maxima and minima over windows, of which running ones are a kind. Where the array holds
nothing but the element in its middle, as ``zeros(3).at[1].set(x)`` does for a sum, it takes what belongs to the whole
for each of the windows (seen with JAX 0.10.2 on the CPU). Programs with windows are compiled without the pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
from jax.extend.core import Jaxpr

from .own_code import equations_within

_WINDOWED: Final = ("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "reduce_window")
"""How the names of the primitives begin that XLA computes over windows."""

_OPTIONS: Final = {"xla_disable_hlo_passes": "algsimp"}


def computes_over_windows(jaxpr: Jaxpr) -> bool:
    """Return whether a program computes over windows, in the programs within it too."""
    return any(equation.primitive.name.startswith(_WINDOWED) for equation in equations_within(jaxpr))


def compiled(function: Callable[..., Any], *, windows: bool) -> Any:
    """Return a function compiled by `jax.jit`.

    Parameters
    ----------
    windows
        Whether it computes over windows.
    """
    return jax.jit(function, compiler_options=_OPTIONS) if windows else jax.jit(function)
