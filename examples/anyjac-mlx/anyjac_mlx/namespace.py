"""The array namespace of the MLX backend: the functions of `mlx.core`, lifted to traced arrays.

A lifted function takes Variables and NumPy's arrays for what they hold. Keywords of the array API that MLX lacks are
taken here; the rest of the standard that MLX lacks is refused by name.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, Final

import mlx.core as mx
import numpy as np

from anyjac_plugins.errors import DeviceError, NotSupportedError

from .elementary import ELEMENTARY
from .tracing import Traced, run, untraced

DEVICE: Final = "cpu"

DTYPES: Final = {
    "bool": mx.bool_,
    **{name: getattr(mx, name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: getattr(mx, name) for name in ("float16", "bfloat16", "float32", "float64", "complex64")},
}

PLAIN: Final = frozenset(
    {"all", "any", "argmax", "argmin", "argsort", "array_equal", "ceil", "count_nonzero", "equal", "floor"}
    | {"floor_divide", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and"}
    | {"logical_not", "logical_or", "logical_xor", "not_equal", "ones_like", "round", "searchsorted", "sign", "trunc"}
    | {"zeros_like"}
)
"""Functions that are constant between jumps, computed on plain arrays."""

variable_types: list[type] = []
"""Types of Variables, whose ``.value`` is meant."""


# ---- lifting -------------------------------------------------------------------------------------------------------


def known(value: Any) -> Any:
    """Return a Variable's content, and NumPy's arrays and scalars as MLX's and Python's."""
    if isinstance(value, tuple(variable_types)):
        value = getattr(value, "value")  # noqa: B009 - the types come at run time
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return from_numpy(value)
    if type(value) in (list, tuple):
        return type(value)(map(known, value))
    return value


def from_numpy(value: np.ndarray[Any, Any]) -> Any:
    """Convert, keeping the dtype: MLX by itself makes float32 of float64."""
    dtype = DTYPES.get(value.dtype.name)
    if dtype is None:
        raise NotSupportedError(f"backend 'mlx' has no dtype {value.dtype}")
    return mx.array(value.tolist() if value.dtype.name == "bfloat16" else value, dtype=dtype)


def lift(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function that records what `function` does to traced arrays."""

    @functools.wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        _check_device(kwargs.pop("device", None))
        args, kwargs = known(args), {key: known(value) for key, value in kwargs.items()}
        traced = [x for x in _leaves((args, tuple(kwargs.values()))) if isinstance(x, Traced)]
        if not traced:
            return _evaluated(function(*args, **kwargs))
        shape: list[Any] = []

        def operation(arrays: list[Any]) -> list[Any]:
            given = {id(x): array for x, array in zip(traced, arrays, strict=True)}
            result = function(*_replaced(args, given), **{key: _replaced(x, given) for key, x in kwargs.items()})
            shape[:] = [type(result) if isinstance(result, list | tuple) else None]
            return list(result) if isinstance(result, list | tuple) else [result]

        results = run(operation, list(traced))
        return results[0] if shape[0] is None else shape[0](results)

    return lifted


def _evaluated(result: Any) -> Any:
    """Compute a result now: what is still to be computed belongs to the thread that asked for it."""
    mx.eval(result)
    return result


def _of_operand(function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(function)(lambda x, /: function(as_operand(x)))


def as_operand(x: Any) -> Any:
    """Return what a Variable or NumPy's array holds as an array of MLX, traced or not."""
    value = known(x)
    return value if isinstance(value, Traced | mx.array) else mx.array(value)


def _leaves(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list | tuple) else [value]


def _replaced(value: Any, given: dict[int, Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_replaced(item, given) for item in value)
    return given.get(id(value), value)


def on_plain_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function that is constant: it sees traced arrays as plain ones."""

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        _check_device(kwargs.pop("device", None))
        return function(*(untraced(known(x)) for x in args), **{key: untraced(known(x)) for key, x in kwargs.items()})

    return plain


def _check_device(device: Any) -> None:
    if device not in (None, DEVICE, mx.cpu):
        raise DeviceError(f"backend 'mlx' has no device {device!r}; present: {DEVICE}")


# ---- functions that MLX has otherwise, or not ------------------------------------------------------------------------


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """Make an array of numbers, a NumPy array, or nested lists that may hold arrays."""
    _check_device(device)
    value = known(obj)
    if isinstance(value, list | tuple):
        value = SPECIAL["stack"]([asarray(item) for item in value]) if _holds_array(value) else mx.array(value)
    elif not isinstance(value, Traced | mx.array):
        value = mx.array(value)
    return value if dtype is None or value.dtype == dtype else SPECIAL["astype"](value, dtype)


def _holds_array(value: list[Any] | tuple[Any, ...]) -> bool:
    return any(isinstance(leaf, Traced | mx.array) for leaf in _leaves(value))


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    """Convert; to integers and bools as a constant."""
    return x.astype(dtype)


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """Return the places of what is not zero, along each axis."""
    return tuple(mx.array(found) for found in np.nonzero(np.array(x.astype(mx.float32))))


def getitem(x: Any, index: Any) -> Any:
    """Index; MLX has no masks, so that one becomes the places where it is true."""
    parts = index if isinstance(index, tuple) else (index,)
    spread: list[Any] = []
    for part in parts:
        is_mask = isinstance(part, mx.array | np.ndarray) and str(part.dtype).endswith("bool")
        spread.extend(nonzero(mx.array(part)) if is_mask else [part])
    return x[tuple(spread) if isinstance(index, tuple) or len(spread) > 1 else spread[0]]


def logaddexp(x1: Any, x2: Any, /) -> Any:
    """Add exponentials, in double precision too."""
    x1, x2 = as_operand(x1), as_operand(x2)
    apart = SPECIAL["abs"](x1 - x2)
    return SPECIAL["maximum"](x1, x2) + SPECIAL["log1p"](ELEMENTARY["exp"](-apart))


def _reduction(native: Callable[..., Any], of_nothing: float) -> Callable[..., Any]:
    """Make a reduction that knows its result for arrays without elements, from which MLX may not come back."""

    @functools.wraps(native)
    def reduce(x: Any, /, *, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
        x = x if dtype is None else x.astype(dtype)
        if x.size:
            return native(x, axis=axis, keepdims=keepdims)
        shape = np.sum(np.empty(x.shape), axis=axis, keepdims=keepdims).shape
        return mx.full(shape, of_nothing, dtype=x.dtype)

    return lift(reduce)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Return the norm of vectors."""
    if axis is None and not keepdims:
        x, axis = mx.reshape(x, (-1,)), 0
    return mx.linalg.norm(x, ord, axis=axis, keepdims=keepdims)


SPECIAL: Final[dict[str, Callable[..., Any]]] = {
    "abs": lift(mx.abs),
    "asarray": asarray,
    "astype": lift(astype),
    "getitem": lift(getitem),
    "log1p": lift(mx.log1p),
    "logaddexp": logaddexp,
    "maximum": lift(mx.maximum),
    "nonzero": on_plain_arrays(nonzero),
    "prod": _reduction(mx.prod, 1.0),
    "stack": lift(mx.stack),
    "sum": _reduction(mx.sum, 0.0),
}

LINEAR_ALGEBRA: Final = {
    "matmul": mx.matmul,
    "matrix_transpose": mx.matrix_transpose,
    "outer": mx.outer,
    "tensordot": mx.tensordot,
    "trace": mx.trace,
    "vecdot": mx.vecdot,
    "vector_norm": vector_norm,
}


# ---- the module ----------------------------------------------------------------------------------------------------


def build_namespace() -> types.ModuleType:
    """Make the namespace, and give traced arrays their operators."""
    namespace = _module("anyjac_mlx.array_api", mx)
    for name, special in {**DTYPES, **SPECIAL}.items():
        setattr(namespace, name, special)
    for name, function in ELEMENTARY.items():
        setattr(namespace, name, _of_operand(function))
    namespace.linalg = _module("anyjac_mlx.array_api.linalg", mx.linalg)  # type: ignore[attr-defined]
    namespace.fft = _module("anyjac_mlx.array_api.fft", mx.fft)  # type: ignore[attr-defined]
    for name, native in LINEAR_ALGEBRA.items():
        setattr(namespace.linalg, name, lift(native))
    namespace.__array_namespace_info__ = mx.__array_namespace_info__  # type: ignore[attr-defined]
    return namespace


def _module(name: str, framework: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    for attribute in dir(framework):
        found = getattr(framework, attribute)
        if attribute.startswith("_") or isinstance(found, types.ModuleType):
            continue
        if isinstance(found, type) or not callable(found) or attribute in ("isdtype", "finfo", "iinfo"):
            setattr(module, attribute, found)
        else:
            setattr(module, attribute, (on_plain_arrays if attribute in PLAIN else lift)(found))

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise NotSupportedError(f"backend 'mlx' has no function {attribute!r} in {name}; MLX lacks it")

    module.__getattr__ = missing  # type: ignore[method-assign]
    return module
