"""Derivatives of inverse sines and cosines of complex numbers, on the sheet of their values.

autograd writes ``1 / sqrt(z**2 - 1)`` for ``acosh``, whose square root has the wrong sign in half of the plane, and the
like for the others, where the sign is wrong on one side of each branch cut. The value of the function knows its sheet:
where ``z = cosh(w)``, the derivative of ``w`` is ``1 / sinh(w)``. The rules for real numbers are those of autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import autograd.numpy as anp
from autograd.extend import defvjp

Array = Any

_SLOPES: Final[dict[Callable[..., Array], tuple[Callable[[Array], Array], Callable[[Array], Array]]]] = {
    # function     the inverse of its derivative, by a real x, and by its complex value w
    anp.arccos: (lambda x: -anp.sqrt(1 - x**2), lambda w: -anp.sin(w)),
    anp.arcsin: (lambda x: anp.sqrt(1 - x**2), anp.cos),
    anp.arccosh: (lambda x: anp.sqrt(x**2 - 1), anp.sinh),
    anp.arcsinh: (lambda x: anp.sqrt(x**2 + 1), anp.cosh),
}


def mend_inverses() -> None:
    """Give autograd the rules; doing so twice is harmless."""
    for function, (of_real, of_value) in _SLOPES.items():
        defvjp(function, _rule(of_real, of_value))


def _rule(of_real: Callable[[Array], Array], of_value: Callable[[Array], Array]) -> Callable[..., Any]:
    def maker(ans: Array, x: Array) -> Callable[[Array], Array]:
        return lambda g: g / (of_value(ans) if anp.iscomplexobj(x) else of_real(x))

    return maker
