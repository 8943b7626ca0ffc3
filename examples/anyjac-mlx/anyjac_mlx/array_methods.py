"""What one does with an array: operators, methods and attributes of traced arrays, and what MLX's own arrays lack.

MLX's operators raise an error for an operand that they do not know, where Python's protocol has them return
NotImplemented, so that nothing that stands on their right is ever asked. Traced arrays and Variables have to be.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any, Final

import mlx.core as mx

from anyjac_plugins import InputTypeError, NotSupportedError, lost_derivatives

from . import double
from .lifting import lift
from .tracing import Traced, innermost
from .variables import is_variable

CPU: Final = mx.Device(mx.cpu)
"""The one device of this backend: the others have no float64."""

BINARY: Final = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
"""Operators that have a reflected form and one in place."""

SHIFTS: Final = ("lshift", "rshift")
"""Those whose reflected form MLX lacks."""

COMPARISONS: Final = ("eq", "ne", "lt", "le", "gt", "ge")
UNARY: Final = ("neg", "abs", "invert")
NUMBERS: Final = ("int", "float", "complex", "index")
LINEAR: Final = ("T", "mT", "real", "imag")
"""Properties that are arrays."""

PLAIN: Final = ("shape", "dtype", "ndim", "size", "itemsize", "nbytes")
"""Properties that are none."""

METHODS: Final = (
    "abs", "all", "any", "argmax", "argmin", "astype", "conj", "cummax", "cummin", "cumprod", "cumsum", "diag",
    "diagonal", "flatten", "log", "log1p", "max", "mean", "min", "moveaxis", "prod", "reciprocal", "reshape",
    "round", "rsqrt", "split", "sqrt", "square", "squeeze", "std", "sum", "swapaxes", "transpose", "var",
)  # fmt: skip

DOUBLE: Final = ("cos", "exp", "log10", "log2", "sin")
"""Methods that MLX computes in single precision."""


def complete(namespace: Any) -> None:
    """Give traced arrays, and MLX's own, what the array API knows an array by; may be repeated."""
    _complete_traced(namespace)
    if not hasattr(mx.array, "to_device"):
        _mend_array()


# ---- traced arrays -------------------------------------------------------------------------------------------------


_CONSTANT: Final = "take anyjac.stop_gradient(x) first, where a constant is meant"


def _complete_traced(namespace: Any) -> None:
    table: dict[str, Any] = {
        **{f"__{name}__": _left(_operator(name)) for name in (*BINARY, *SHIFTS, *COMPARISONS)},
        **{f"__r{name}__": _right(_operator(name)) for name in (*BINARY, *SHIFTS)},
        **{f"__{name}__": lift(getattr(operator, f"__{name}__")) for name in UNARY},
        **{f"__{name}__": _refuse_number(name) for name in NUMBERS},
        **{name: property(lift(_getter(name))) for name in LINEAR},
        **{name: property(_of_innermost(name)) for name in PLAIN},
        **{name: lift(getattr(mx.array, name)) for name in METHODS},
        **{name: lift(getattr(double, name)) for name in DOUBLE},
        "__pos__": lambda self: self,
        "__getitem__": lift(mx.array.__getitem__),
        "__setitem__": _refuse_assignment,
        "__bool__": lambda self: bool(innermost(self)),
        "__len__": lambda self: len(innermost(self)),
        "__iter__": _iterate,
        "__hash__": object.__hash__,
        "__repr__": lambda self: f"Traced({innermost(self)!r})",
        "__array_namespace__": lambda self, *, api_version=None: namespace,
        "__array_ufunc__": None,  # NumPy's arrays leave operators to the traced one on their right
        "__array__": _refuse_numpy,
        "__mlx_array__": _refuse_mlx,
        "item": _numbers_by("item"),
        "tolist": _numbers_by("tolist"),
        "device": property(lambda self: CPU),
        "to_device": _to_device,
    }
    for name, member in table.items():
        setattr(Traced, name, member)


def _operator(name: str) -> Callable[[Any, Any], Any]:
    found: Callable[[Any, Any], Any] = getattr(operator, f"__{name}__")
    return found


def _left(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    lifted = lift(function)
    return lambda self, other: NotImplemented if is_variable(other) else lifted(self, other)


def _right(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    lifted = lift(function)
    return lambda self, other: lifted(other, self)


def _numbers_by(name: str) -> Callable[[Traced], Any]:
    """Return a method that hands out numbers, and reports that their derivative is lost."""

    def numbers(self: Traced) -> Any:
        array = innermost(self)
        if lost_derivatives.is_watching() and mx.issubdtype(array.dtype, mx.inexact):
            lost_derivatives.report(
                f"x.{name}()", f"compute with the array itself, or {_CONSTANT}", ("anyjac_mlx", "mlx")
            )
        return getattr(array, name)()

    return numbers


def _refuse_number(name: str) -> Callable[[Any], Any]:
    """Return a conversion that raises an error: MLX's functions would take the number, without a word."""

    def convert(self: Traced) -> Any:
        raise InputTypeError(
            f"{name} of a traced array loses its derivative; compute with the array itself, or {_CONSTANT}"
        )

    return convert


def _getter(name: str) -> Callable[[Any], Any]:
    return lambda self: getattr(self, name)


def _of_innermost(name: str) -> Callable[[Any], Any]:
    return lambda self: getattr(innermost(self), name)


def _iterate(self: Traced) -> Iterator[Any]:
    return (self[i] for i in range(len(innermost(self))))


def _to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    return self


def _refuse_assignment(self: Traced, index: Any, value: Any) -> None:
    raise InputTypeError("a traced array is not written in place; use anyjac.at(x)[...].set, or .add")


def _refuse_numpy(self: Traced, dtype: Any = None, copy: bool | None = None) -> None:
    raise InputTypeError(
        "NumPy was given a traced array, and would lose its derivative; use xp = anyjac.array_namespace(x), or "
        "anyjac.stop_gradient"
    )


def _refuse_mlx(self: Traced) -> None:
    raise NotSupportedError(
        "a function of mlx.core was given a traced array; use xp = anyjac.array_namespace(x), or "
        "anyjac_mlx.lifting.lift(function)"
    )


# ---- MLX's own arrays ----------------------------------------------------------------------------------------------


def _mend_array() -> None:
    for name in BINARY:
        for full in (f"__{name}__", f"__i{name}__"):
            setattr(mx.array, full, _leaving(getattr(mx.array, full)))
    for name in (*SHIFTS, *COMPARISONS):
        full = f"__{name}__"
        setattr(mx.array, full, _leaving(getattr(mx.array, full)))
    mx.array.device = property(lambda self: CPU)  # type: ignore[attr-defined]
    mx.array.to_device = _to_device  # type: ignore[attr-defined]


def _leaving(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operator of MLX's that leaves traced arrays and Variables to their own operators."""

    @functools.wraps(method)
    def operate(self: Any, other: Any) -> Any:
        return NotImplemented if isinstance(other, Traced) or is_variable(other) else method(self, other)

    return operate
