"""Functions of the array API that work element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import mlx.core as mx

from .double import cos, exp, log2, log10, logaddexp, sin, tan
from .lifting import lift

SAME: Final = (
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert",
    "bitwise_or", "bitwise_xor", "conj", "cosh", "divide", "equal", "expm1", "floor_divide", "greater",
    "greater_equal", "imag", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log1p", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative", "not_equal", "real",
    "reciprocal", "remainder", "sign", "sinh", "sqrt", "square", "subtract", "tanh", "where",
)  # fmt: skip
"""Functions that MLX has under the name, and with the meaning, that the array API gives them."""

WHOLE_STAY: Final = ("ceil", "floor", "round", "trunc")
"""Functions that leave integers as they are."""


def _same_for_integers(name: str) -> Callable[[mx.array], mx.array]:
    function: Callable[[mx.array], mx.array] = getattr(mx, name)
    return lambda x: function(x) if mx.issubdtype(x.dtype, mx.inexact) else x


def clip(x: mx.array, /, min: Any = None, max: Any = None) -> mx.array:
    """Bound `x` from below and above, each bound of `x`'s dtype."""
    if min is not None:
        x = mx.maximum(x, mx.array(min, dtype=x.dtype))
    return x if max is None else mx.minimum(x, mx.array(max, dtype=x.dtype))


def signbit(x: mx.array, /) -> mx.array:
    """Return whether the sign is negative, that of zero too."""
    return mx.logical_or(x < 0, mx.logical_and(x == 0, mx.reciprocal(x) < 0))


def copysign(x1: Any, x2: Any, /) -> mx.array:
    """Return the magnitude of `x1` with the sign of `x2`."""
    x1, x2 = _arrays(x1, x2)
    return mx.where(signbit(x1) == signbit(x2), x1, -x1)


def hypot(x1: Any, x2: Any, /) -> mx.array:
    """Return the length of a vector of two components, without overflow of the squares."""
    x1, x2 = map(mx.abs, _arrays(x1, x2))
    large, small = mx.maximum(x1, x2), mx.minimum(x1, x2)
    scale = mx.stop_gradient(mx.where(large == 0, mx.ones_like(large), large))
    return scale * mx.sqrt(mx.square(large / scale) + mx.square(small / scale))


def _arrays(x1: Any, x2: Any) -> tuple[mx.array, mx.array]:
    """Return two arrays, a Python number among them in the dtype of the other."""
    if not isinstance(x1, mx.array):
        return mx.array(x1, dtype=x2.dtype), x2
    return x1, x2 if isinstance(x2, mx.array) else mx.array(x2, dtype=x1.dtype)


def positive(x: mx.array, /) -> mx.array:
    """Return `x`."""
    return x


def power(x1: Any, x2: Any, /) -> mx.array:
    """Return `x1` to the power `x2`."""
    return mx.power(x1, x2)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **{name: lift(getattr(mx, name)) for name in SAME},
    **{name: lift(_same_for_integers(name)) for name in WHOLE_STAY},
    **{function.__name__: lift(function) for function in (clip, copysign, hypot, positive, signbit)},
    **{function.__name__: lift(function) for function in (cos, exp, log2, log10, logaddexp, sin, tan)},
    "pow": lift(power),
    "bitwise_left_shift": lift(mx.left_shift),
    "bitwise_right_shift": lift(mx.right_shift),
}
"""The functions of this module by their names in the array API."""
