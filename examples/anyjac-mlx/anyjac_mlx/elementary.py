"""Elementary functions in double precision, where MLX computes them, or their derivatives, in single precision.

On the CPU, MLX's sine, cosine and exponential of float64 are right to seven digits; what it derives from them is too.
Here they are made of functions that are right to all digits, with rules of their own. Other dtypes go to MLX.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import mlx.core as mx

from .tracing import Value, run

Function = Callable[..., Any]

ROUNDING_OF_E: Final = 5.318e-17
"""How much the logarithm of the double nearest to e is below 1."""


def _of_half_angle(combine: Function, native: Function) -> Function:
    def function(x: Any) -> Any:
        return combine(mx.tan(x / 2)) if x.dtype == mx.float64 else native(x)

    return function


def _exp(x: Any) -> Any:
    if x.dtype != mx.float64:
        return mx.exp(x)
    return mx.power(mx.array(math.e, dtype=mx.float64), x) * mx.where(mx.isinf(x), 1, 1 + ROUNDING_OF_E * x)


_sin = _of_half_angle(lambda t: 2 * t / (1 + t * t), mx.sin)
_cos = _of_half_angle(lambda t: (1 - t * t) / (1 + t * t), mx.cos)


def _elementwise(value: Function, derivative: Function) -> Function:
    """Make a function of one array out of its value and its derivative, a function of traced arrays."""

    def function(x: Value) -> Value:
        return run(
            lambda arrays: [value(arrays[0])], [x], lambda inputs, cotangents: [cotangents[0] * derivative(inputs[0])]
        )[0]

    return function


sin: Function = _elementwise(_sin, lambda x: cos(x))
cos: Function = _elementwise(_cos, lambda x: -sin(x))
tan: Function = _elementwise(mx.tan, lambda x: 1 + tan(x) ** 2)
exp: Function = _elementwise(_exp, lambda x: exp(x))
log2: Function = _elementwise(mx.log2, lambda x: 1 / (x * math.log(2)))
log10: Function = _elementwise(mx.log10, lambda x: 1 / (x * math.log(10)))

ELEMENTARY: Final[dict[str, Function]] = {
    "cos": cos,
    "exp": exp,
    "log10": log10,
    "log2": log2,
    "sin": sin,
    "tan": tan,
}
