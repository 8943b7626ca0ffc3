"""The derivative of ``numpy.sinc``, which autograd divides by the square of its argument, so that zero has none."""

from __future__ import annotations

import math
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp

from ..linear_maps import innermost

Array = Any

_SMALL: Final = 0.05
"""Up to which magnitude the series is taken; its first term that is left out is below rounding there."""
_SERIES: Final = tuple((-1) ** n * 2 * n * math.pi ** (2 * n) / math.factorial(2 * n + 1) for n in range(1, 7))
"""Coefficients of the odd powers, from the first on."""


def mend_sinc() -> None:
    """Give autograd the rule; doing so twice is harmless."""
    defvjp(anp.sinc, lambda ans, x: lambda g: g * _slope(x))


def _slope(x: Array) -> Array:
    """Return the derivative, which can be differentiated ever again, at zero too."""
    near = np.abs(innermost(x)) < _SMALL
    far, small = anp.where(near, 1.0, x), anp.where(near, x, 0.0)
    series = small * 0.0
    for coefficient in reversed(_SERIES):
        series = series * small**2 + coefficient
    return anp.where(near, series * small, (anp.cos(anp.pi * far) - anp.sinc(far)) / far)
