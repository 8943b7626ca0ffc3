"""NumPy's elementwise functions (ufuncs) for autograd's boxes: a table, and their methods and keywords."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.core import primitive_vjps
from autograd.tracer import trace_primitives_map

from anyjac_plugins.errors import NotSupportedError

from ..functions import elementwise
from ..functions.elementwise import astype
from ..linear_maps import innermost
from . import reductions

Array = Any
Function = Callable[..., Any]

ALMOST_CONSTANT: Final = frozenset(
    (
        *(
            np.bitwise_and,
            np.bitwise_or,
            np.bitwise_xor,
            np.bitwise_count,
            np.ceil,
            np.equal,
            np.floor,
            np.floor_divide,
        ),
        *(
            np.gcd,
            np.greater,
            np.greater_equal,
            np.invert,
            np.isfinite,
            np.isinf,
            np.isnan,
            np.isnat,
            np.lcm,
            np.left_shift,
        ),
        *(np.less, np.less_equal, np.logical_and, np.logical_not, np.logical_or, np.logical_xor, np.not_equal),
        *(np.right_shift, np.rint, np.signbit, np.trunc),
    )
)
"""Functions whose results change nowhere, or in jumps alone; of integers, which are never boxes, among them."""

_OF_AUTOGRAD: Final = (
    *(np.absolute, np.add, np.arccos, np.arccosh, np.arcsin, np.arcsinh, np.arctan, np.arctan2, np.arctanh),
    *(np.conjugate, np.cos, np.cosh, np.deg2rad, np.degrees, np.divide, np.exp, np.exp2, np.expm1, np.fabs, np.fmax),
    *(np.fmin, np.log, np.log10, np.log1p, np.log2, np.logaddexp, np.logaddexp2, np.matmul, np.maximum, np.minimum),
    *(np.multiply, np.negative, np.power, np.rad2deg, np.radians, np.reciprocal, np.remainder, np.sin, np.sinh),
    *(np.sqrt, np.square, np.subtract, np.tan, np.tanh),
)
"""Functions of which autograd's derivative is right."""


def _cbrt(x: Array) -> Array:
    return np.copysign(1.0, innermost(x)).astype(x.dtype) * anp.abs(x) ** (1.0 / 3.0)


def _fmod(x1: Array, x2: Array) -> Array:
    return x1 - x2 * np.trunc(innermost(x1) / innermost(x2))


def _modf(x: Array) -> tuple[Array, Array]:
    whole = np.trunc(innermost(x))
    return x - whole, whole


def _heaviside(x1: Array, x2: Array) -> Array:
    plain = innermost(x1)
    step = np.heaviside(plain, 0.0)
    return elementwise.where(np.equal(plain, 0), x2 * np.ones_like(step), step)


def _float_power(x1: Array, x2: Array) -> Array:
    return anp.power(*(x * np.ones((), np.float64) for x in (x1, x2)))


def _matvec(x1: Array, x2: Array) -> Array:
    return anp.matmul(x1, x2[..., None])[..., 0]


def _vecmat(x1: Array, x2: Array) -> Array:
    return anp.matmul(anp.conj(x1)[..., None, :], x2)[..., 0, :]


_SINCE_NUMPY_2_2: Final[dict[str, Function]] = {"matvec": _matvec, "vecmat": _vecmat}

UFUNCS: Final[dict[np.ufunc, Function]] = {
    **{ufunc: trace_primitives_map[ufunc] for ufunc in _OF_AUTOGRAD},
    np.cbrt: _cbrt,
    np.copysign: elementwise.copysign,
    np.divmod: lambda x1, x2: (np.floor_divide(innermost(x1), innermost(x2)), anp.mod(x1, x2)),
    np.float_power: _float_power,
    np.fmod: _fmod,
    np.heaviside: _heaviside,
    np.hypot: elementwise.hypot,
    np.ldexp: lambda x1, x2: x1 * np.ldexp(np.ones((), x1.dtype), innermost(x2)),
    np.modf: _modf,
    np.positive: elementwise.positive,
    np.sign: elementwise.sign,
    np.vecdot: elementwise.vecdot,
    **{getattr(np, name): rule for name, rule in _SINCE_NUMPY_2_2.items() if hasattr(np, name)},
}
"""Differentiable functions, by ufunc."""

_REDUCED: Final[dict[np.ufunc, Function]] = {
    np.add: reductions.sum_,
    np.maximum: reductions.max_,
    np.minimum: reductions.min_,
    np.multiply: reductions.prod,
}

_ACCUMULATED: Final[dict[np.ufunc, Function]] = {np.add: reductions.cumsum, np.multiply: reductions.cumprod}


def called(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """Call a ufunc with boxes among its inputs.

    Raises
    ------
    NotSupportedError
        If nobody knows its derivative.
    """
    if ufunc in ALMOST_CONSTANT:
        return ufunc(*map(innermost, inputs))
    rule = UFUNCS.get(ufunc)
    if rule is not None:
        return rule(*inputs)
    primitive = _registered(ufunc)
    if primitive is None:
        raise NotSupportedError(
            f"the backend 'autograd' has no derivative for numpy's function {ufunc.__name__!r}; write it with others"
        )
    return primitive(*inputs, called_by_autograd_dispatcher=True)


def _registered(ufunc: np.ufunc) -> Function | None:
    """Return a primitive for a ufunc whose derivative autograd, SciPy's part of it, or the user has registered."""
    primitive = trace_primitives_map.get(ufunc)
    if primitive is None and "scipy.special" in sys.modules:
        import autograd.scipy.special  # noqa: F401  registers SciPy's

        primitive = trace_primitives_map.get(ufunc)
    known: Function | None = primitive if primitive in primitive_vjps else None
    return known


def called_where(ufunc: np.ufunc, inputs: tuple[Any, ...], where: Any, out: Any) -> Any:
    """Call a ufunc for some elements alone; the others are those of `out`, and no derivative is taken there."""
    mask = np.asarray(innermost(where))
    shape = np.broadcast_shapes(mask.shape, *(np.shape(innermost(each)) for each in inputs))
    mask = np.broadcast_to(mask, shape)
    if not mask.any():
        return out
    numbers = np.maximum(np.cumsum(mask.ravel()) - 1, 0).reshape(shape)
    selected = [elementwise.broadcast_to(_array(each), shape)[mask] for each in inputs]
    return elementwise.where(mask, called(ufunc, tuple(selected))[numbers], out)


def _array(value: Any) -> Array:
    return value if hasattr(value, "dtype") else np.asarray(value)


def with_dtype(ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: Any) -> Any:
    """Call a ufunc with its inputs in a dtype."""
    return astype(called(ufunc, tuple(astype(_array(each), dtype) for each in inputs)), dtype)


def method_called(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call ``ufunc.reduce``, ``ufunc.accumulate`` or ``ufunc.outer``.

    Raises
    ------
    NotSupportedError
        For any other method or ufunc.
    """
    if method == "outer" and len(inputs) == 2 and not kwargs:
        left, right = map(_array, inputs)
        return called(ufunc, (anp.reshape(left, (*left.shape, *(1,) * right.ndim)), right))
    if method == "reduce" and ufunc in ALMOST_CONSTANT:
        return ufunc.reduce(*map(innermost, inputs), **{name: innermost(value) for name, value in kwargs.items()})
    rules = {"reduce": _REDUCED, "accumulate": _ACCUMULATED}.get(method, {})
    rule = rules.get(ufunc)
    if rule is not None:
        array, *rest = inputs
        names = ("axis", "dtype", "out", "keepdims", "initial", "where")
        options = {"axis": 0, **dict(zip(names, rest, strict=False)), **kwargs}
        if options.get("dtype") is None:
            options.pop("dtype", None)
        return rule(array, **options)
    hint = "; anyjac.at(array)[index] changes elements" if method == "at" else ""
    raise NotSupportedError(f"the backend 'autograd' has no derivative for numpy's {ufunc.__name__}.{method}{hint}")
