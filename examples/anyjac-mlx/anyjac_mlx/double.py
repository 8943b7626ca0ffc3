"""Functions in double precision where MLX has single precision in them or in their derivatives.

It computes exponential, sine and cosine in single precision whatever the dtype says [1]_, and uses the last in the
derivative of the tangent; those of logarithms to other bases have a constant of single precision. Its power and its
tangent are exact to the last digits; here exponential, sine and cosine are made of those.

References
----------
.. [1] https://github.com/ml-explore/mlx/issues/3047
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import mlx.core as mx

Function = Callable[[mx.array], mx.array]


def exp(x: mx.array, /) -> mx.array:
    """Return the exponential."""
    return mx.power(mx.array(math.e, dtype=x.dtype), x) if x.dtype == mx.float64 else mx.exp(x)


def sin(x: mx.array, /) -> mx.array:
    """Return the sine."""
    return _sin(x) if x.dtype == mx.float64 else mx.sin(x)


def cos(x: mx.array, /) -> mx.array:
    """Return the cosine."""
    return _cos(x) if x.dtype == mx.float64 else mx.cos(x)


def tan(x: mx.array, /) -> mx.array:
    """Return the tangent."""
    return _tan(x) if x.dtype == mx.float64 else mx.tan(x)


def log2(x: mx.array, /) -> mx.array:
    """Return the logarithm to base 2."""
    return _log2(x) if x.dtype == mx.float64 else mx.log2(x)


def log10(x: mx.array, /) -> mx.array:
    """Return the logarithm to base 10."""
    return _log10(x) if x.dtype == mx.float64 else mx.log10(x)


def logaddexp(x1: Any, x2: Any, /) -> mx.array:
    """Return the logarithm of a sum of exponentials, without overflow."""
    greatest = mx.maximum(x1, x2)
    shift = mx.stop_gradient(mx.where(mx.isinf(greatest), mx.zeros_like(greatest), greatest))
    return shift + mx.log(exp(x1 - shift) + exp(x2 - shift))


def _with_slope(function: Function, slope: Callable[[mx.array, mx.array], mx.array]) -> Function:
    """Return a function with the derivative that `slope` makes of argument and value."""
    custom: Any = mx.custom_function(function)
    custom.vjp(lambda primal, cotangent, output: cotangent * slope(primal, output))
    custom.vmap(lambda x, axis: (custom(x), axis))  # or else the map would leave the derivative behind
    custom.jvp(lambda primals, tangents: tangents[0] * slope(primals[0], custom(primals[0])))
    found: Function = custom
    return found


def _sine_by_half_angle(x: mx.array) -> mx.array:
    half = mx.tan(0.5 * x)
    return 2 * half / (1 + half * half)


def _cosine_by_half_angle(x: mx.array) -> mx.array:
    half = mx.tan(0.5 * x)
    return (1 - half * half) / (1 + half * half)


_sin: Final[Function] = _with_slope(_sine_by_half_angle, lambda x, y: _cos(x))
_cos: Final[Function] = _with_slope(_cosine_by_half_angle, lambda x, y: -_sin(x))
_tan: Final[Function] = _with_slope(mx.tan, lambda x, y: 1 + y * y)
_log2: Final[Function] = _with_slope(mx.log2, lambda x, y: 1 / (x * math.log(2)))
_log10: Final[Function] = _with_slope(mx.log10, lambda x, y: 1 / (x * math.log(10)))
