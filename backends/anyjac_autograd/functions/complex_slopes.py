"""Derivatives of functions of complex numbers, where the rules of autograd are wrong or not finite.

autograd writes ``1 / sqrt(z**2 - 1)`` for ``acosh``, whose square root has the wrong sign in half of the plane, and the
like for the others, where the sign is wrong on one side of each branch cut. The value of the function knows its sheet:
where ``z = cosh(w)``, the derivative of ``w`` is ``1 / sinh(w)``. For ``tanh`` autograd divides by the square of
``cosh``, which overflows far from zero, where the slope is small. The rules for real numbers are those of autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp

from ..linear_maps import innermost

Array = Any
Slope = Callable[[Array], Array]

_INVERSES: Final[dict[Callable[..., Array], tuple[Slope, Slope]]] = {
    # function     the inverse of its derivative, by a real x, and by its complex value w
    anp.arccos: (lambda x: -anp.sqrt(1 - x**2), lambda w: -anp.sin(w)),
    anp.arcsin: (lambda x: anp.sqrt(1 - x**2), anp.cos),
    anp.arccosh: (lambda x: anp.sqrt(x**2 - 1), anp.sinh),
    anp.arcsinh: (lambda x: anp.sqrt(x**2 + 1), anp.cosh),
}


def mend_complex_slopes() -> None:
    """Give autograd the rules; doing so twice is harmless."""
    for function, (of_real, of_value) in _INVERSES.items():
        defvjp(function, _by_value(of_real, of_value))
    defvjp(anp.tanh, _by_argument(lambda x: anp.cosh(x) ** 2, _slope_of_tanh))
    defvjp(anp.tan, _by_argument(lambda x: anp.cos(x) ** 2, lambda z: _slope_of_tanh(1j * z)))


def _by_value(of_real: Slope, of_value: Slope) -> Callable[..., Any]:
    def maker(ans: Array, x: Array) -> Callable[[Array], Array]:
        return lambda g: g / (of_value(ans) if anp.iscomplexobj(x) else of_real(x))

    return maker


def _by_argument(inverse_of_real: Slope, of_complex: Slope) -> Callable[..., Any]:
    def maker(ans: Array, x: Array) -> Callable[[Array], Array]:
        return lambda g: g * of_complex(x) if anp.iscomplexobj(x) else g / inverse_of_real(x)

    return maker


def _slope_of_tanh(z: Array) -> Array:
    """Return ``1 / cosh(z)**2`` by an exponential that is small far from zero."""
    away = np.where(innermost(z).real < 0, 2.0, -2.0)
    small = anp.exp(away * z)
    return 4 * small / (1 + small) ** 2
