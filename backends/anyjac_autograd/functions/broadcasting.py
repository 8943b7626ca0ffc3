"""The derivative of ``autograd.numpy.broadcast_to`` with new axes, and to a shape that is a list or a number.

autograd has a rule for axes of length 1 alone, and fails an assertion for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd.extend import defvjp

Array = Any


def mend_broadcasting() -> None:
    """Give autograd the rule; doing so twice is harmless."""
    defvjp(anp.broadcast_to, _summed)


def _summed(ans: Array, x: Array, shape: Any, subok: bool = False) -> Callable[[Array], Array]:
    """Return the rule for cotangents, which sums along the axes that were made or stretched."""
    inner, outer = anp.shape(x), anp.shape(ans)
    new = len(outer) - len(inner)
    axes = (*range(new), *(new + axis for axis, length in enumerate(inner) if length == 1 != outer[new + axis]))
    return lambda g: anp.reshape(anp.sum(g, axis=axes), inner) if axes else g
