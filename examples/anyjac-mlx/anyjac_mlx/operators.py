"""Operators between MLX arrays, traced arrays and Variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import mlx.core as mx
import numpy as np

from .namespace import SPECIAL, lift, on_plain_arrays, variable_types
from .tracing import Traced

BINARY: Final = {
    "add": mx.add,
    "sub": mx.subtract,
    "mul": mx.multiply,
    "truediv": mx.divide,
    "floordiv": mx.floor_divide,
    "mod": mx.remainder,
    "pow": mx.power,
    "matmul": mx.matmul,
}
"""Operators that have a reflected form, and the functions that they stand for."""

COMPARISONS: Final = {
    "eq": mx.equal,
    "ne": mx.not_equal,
    "lt": mx.less,
    "le": mx.less_equal,
    "gt": mx.greater,
    "ge": mx.greater_equal,
}

OPERANDS: Final = (Traced, mx.array, np.ndarray, np.generic, bool, int, float, complex)


def give_operators_to_traced_arrays() -> None:
    """Define the operators of `Traced`; what they do not know, such as a Variable, is asked itself."""
    for name, function in BINARY.items():
        lifted = on_plain_arrays(function) if name == "floordiv" else lift(function)
        setattr(Traced, f"__{name}__", _binary(lifted))
        setattr(Traced, f"__r{name}__", _binary(lambda x, y, lifted=lifted: lifted(y, x)))
    for name, function in COMPARISONS.items():
        setattr(Traced, f"__{name}__", _binary(on_plain_arrays(function)))
    members: dict[str, Any] = {
        "__hash__": object.__hash__,
        "__neg__": lift(mx.negative),
        "__pos__": lambda self: self,
        "__abs__": lift(mx.abs),
        "__getitem__": SPECIAL["getitem"],
        "__iter__": lambda self: (self[place] for place in range(len(self))),
        "T": property(lift(mx.transpose)),
        "mT": property(lift(mx.matrix_transpose)),
    }
    for name, member in members.items():
        setattr(Traced, name, member)


def _binary(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return function(self, other) if isinstance(other, OPERANDS) else NotImplemented

    return operator


def let_arrays_ask_their_right_operand() -> None:
    """Let operators of MLX arrays leave traced arrays and Variables on their right to those.

    MLX raises an error for operands that it does not know, and ``==`` is False for them; Python would ask the right
    operand if it were NotImplemented.
    """
    for name in (*BINARY, *(f"i{name}" for name in BINARY), *COMPARISONS):
        own = getattr(mx.array, f"__{name}__", None)
        if own is not None:
            setattr(mx.array, f"__{name}__", _asking(own))


def _asking(own: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return NotImplemented if isinstance(other, (Traced, *variable_types)) else own(self, other)

    return operator
