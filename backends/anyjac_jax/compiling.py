"""Programs compiled by `jax.jit`, without what XLA makes of some of them where that gives wrong numbers.

Sums, maxima and minima over windows, of which running ones are a kind, are simplified wrongly: where the array holds
nothing but the element in its middle, as ``zeros(3).at[1].set(x)`` does for a sum, the pass takes what belongs to the
whole for each of the windows.

The derivative of a maximum is one where an element equals it. XLA may compute the elements twice, once for the maximum
and once for the comparison, and round one of both by a fused multiply and add, as in ``max(x - mean(x))``: then no
element equals the maximum, and the derivative is zero. The code that the emitters of fusions write does so.

Both were seen with JAX 0.10.2 on the CPU, in `jax.jit` too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from .own_code import equations_within

_WINDOWED: Final = ("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "reduce_window")
"""How the names of the primitives begin that XLA computes over windows."""
_EXTREMES: Final = frozenset({"max", "min", "reduce_max", "reduce_min", "scatter-max", "scatter-min"})
"""The primitives whose derivatives compare what they were given with what they gave."""

_OPTIONS_OF_WINDOWS: Final = {"xla_disable_hlo_passes": "algsimp"}
_OPTIONS_OF_EXTREMES: Final = {"xla_cpu_use_fusion_emitters": False}

Options = Mapping[str, Any]


def options_for(jaxpr: Jaxpr, *, differentiated: bool) -> Options:
    """Return the options with which a program is compiled.

    Parameters
    ----------
    differentiated
        Whether the program is going to be differentiated. Otherwise its derivatives are among its equations.
    """
    equations = list(equations_within(jaxpr))
    names = {equation.primitive.name for equation in equations}
    options: dict[str, Any] = {}
    if any(name.startswith(_WINDOWED) for name in names):
        options |= _OPTIONS_OF_WINDOWS
    compares = differentiated or any(map(_compares_floats, equations))
    if compares and not names.isdisjoint(_EXTREMES) and _are_known(*_OPTIONS_OF_EXTREMES):
        options |= _OPTIONS_OF_EXTREMES
    return options


def compiled(function: Callable[..., Any], options: Options) -> Any:
    """Return a function compiled by `jax.jit`, with options of XLA."""
    return jax.jit(function, compiler_options=dict(options)) if options else jax.jit(function)


def _compares_floats(equation: Any) -> bool:
    return equation.primitive.name == "eq" and jnp.issubdtype(equation.invars[0].aval.dtype, jnp.inexact)


@functools.cache
def _are_known(*options: str) -> bool:
    """Return whether XLA knows options by name, which come and go with its versions."""
    try:
        jax.jit(lambda: 0.0, compiler_options=dict.fromkeys(options, False)).lower().compile()
    except Exception:  # XLA's own, of a kind that differs from version to version
        return False
    return True
