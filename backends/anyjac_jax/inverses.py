"""Inverse sines and cosines whose derivatives are on the sheet of their values, for complex numbers too.

JAX takes a square root of the argument, whose sign is wrong for `acosh` in half of the plane, and for the others on one
side of each branch cut. The value of the function knows its sheet: where ``z = cosh(w)``, the derivative of ``w`` is
``1 / sinh(w)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import jax
import jax.numpy as jnp

Array = Any

_SLOPES: Final[dict[str, Callable[[Array], Array]]] = {
    # name    the derivative of the function that it inverts, at its value w
    "acos": lambda w: -jnp.sin(w),
    "acosh": jnp.sinh,
    "asin": jnp.cos,
    "asinh": jnp.cosh,
}


def _with_slope(name: str, slope: Callable[[Array], Array]) -> Callable[[Array], Array]:
    plain = getattr(jnp, name)
    of_complex = jax.custom_jvp(plain)

    def rule(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        value = of_complex(*primals)
        return value, tangents[0] / slope(value)

    of_complex.defjvp(rule)

    def inverse(x: Array, /) -> Array:
        return of_complex(jnp.asarray(x)) if jnp.iscomplexobj(x) else plain(x)

    inverse.__name__, inverse.__doc__ = name, plain.__doc__
    return inverse


INVERSES: Final[Mapping[str, Callable[[Array], Array]]] = {
    alias: function
    for name, slope in _SLOPES.items()
    for function in (_with_slope(name, slope),)
    for alias in (name, name.replace("a", "arc", 1))
}
"""The functions by their names in the standard, and by NumPy's."""
