"""Programs compiled by `jax.jit`, without one pass of XLA where that pass gives wrong numbers.

The pass simplifies sums over windows, of which running sums are one kind. Where the summed array is zero but for the
element in its middle, as ``zeros(3).at[1].set(x)`` is, it takes the sum of everything for each of the partial sums
(seen with JAX 0.10.2 on the CPU). Programs with such sums are compiled without the pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
from jax.extend.core import Jaxpr

from .own_code import inner_programs

WINDOW_SUMS: Final = frozenset({"cumsum", "reduce_window", "reduce_window_sum"})
"""Names of the primitives that XLA computes as sums over windows."""

_OPTIONS: Final = {"xla_disable_hlo_passes": "algsimp"}


def sums_over_windows(jaxpr: Jaxpr) -> bool:
    """Return whether a program has sums over windows, in the programs within it too."""
    return any(
        equation.primitive.name in WINDOW_SUMS
        or any(sums_over_windows(inner) for value in equation.params.values() for inner in inner_programs(value))
        for equation in jaxpr.eqns
    )


def compiled(function: Callable[..., Any], *, sums: bool) -> Any:
    """Return a function compiled by `jax.jit`.

    Parameters
    ----------
    sums
        Whether it has sums over windows.
    """
    return jax.jit(function, compiler_options=_OPTIONS) if sums else jax.jit(function)
