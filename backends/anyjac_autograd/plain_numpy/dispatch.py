"""NumPy's dispatch protocols on autograd's boxes: `numpy`'s own functions are given boxes, and differentiated.

What NumPy has and the tables have not is refused by name. autograd's functions go on as before.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import Box, isbox

from anyjac_plugins.errors import InputTypeError, LostDerivativeError, NotSupportedError

from ..linear_maps import innermost
from ..variables import any_adopted, replace_value, unwrap
from . import in_place, ufuncs
from .moves import plain
from .objects import is_array_of_objects, together
from .table import CONSTANT, DIFFERENTIABLE, WRITING

_ufunc_of_autograd = ArrayBox.__array_ufunc__

_AT: Final = "anyjac.at(array)[index].set(value) makes the changed array"

_ELEMENT_METHODS: Final = (
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "conjugate", "cos", "cosh"),
    *("deg2rad", "degrees", "exp", "exp2", "expm1", "fabs", "hypot", "log", "log10", "log1p", "log2", "rad2deg"),
    *("radians", "rint", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "fmod", "logaddexp", "logaddexp2"),
)
"""Methods by which NumPy applies functions to arrays of objects."""


_METHODS: Final = ("clip", "conj", "copy", "cumprod", "diagonal", "dot", "prod", "ptp", "repeat", "take", "trace")
"""Methods of arrays that autograd's boxes lack, or have for some arguments alone: the functions of the same names."""

_ATTRIBUTES: Final = ("imag", "real")

_NUMBERS: Final = ("__complex__", "__float__", "__int__", "item", "tobytes", "tolist")
"""Methods by which numbers leave an array."""

_WRITES: Final = ("fill", "itemset", "partition", "put", "resize", "setfield", "sort")
"""Methods that write into an array."""


def install() -> None:
    """Give boxes the protocols; doing so twice is harmless."""
    ArrayBox.__array_ufunc__ = _array_ufunc
    ArrayBox.__array_function__ = _array_function
    for name in _NUMBERS:
        setattr(ArrayBox, name, _refuse_number)
    for name in (*_ELEMENT_METHODS, *_METHODS):
        setattr(ArrayBox, name, _method(getattr(np, name)))
    for name, method in in_place.make_operators(replace_value).items():
        setattr(ArrayBox, name, method)
    ArrayBox.__array__ = property(_refuse_complex_objects)
    ArrayBox.compress = lambda self, condition, axis=None: np.compress(condition, self, axis)
    for name in _ATTRIBUTES:
        setattr(ArrayBox, name, property(getattr(np, name)))
    for name in (*_WRITES, "__setitem__"):
        setattr(ArrayBox, name, _refuse_write)
    ArrayBox.__iter__ = _iterate
    ArrayBox.__len__ = _length
    ArrayBox.__format__ = _format
    for name in ("__copy__", "__deepcopy__"):  # whose graph would be another one, and the derivative zero
        setattr(Box, name, lambda self, *memo: self)
    Box.__reduce_ex__ = _refuse_pickling


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


def _refuse_write(self: ArrayBox, *args: Any, **kwargs: Any) -> NoReturn:
    raise InputTypeError(f"a traced array of autograd cannot be written: {_AT}; np.sort and its like return new arrays")


def _iterate(self: ArrayBox) -> Any:
    if not self.ndim:
        raise TypeError("iteration over a 0-d array")
    return (self[index] for index in range(len(self)))


def _refuse_pickling(self: Box, protocol: int) -> NoReturn:
    raise LostDerivativeError("a traced array of autograd cannot be pickled: its derivative would be lost")


def _format(self: ArrayBox, spec: str) -> str:
    return format(innermost(self), spec) if spec else str(self)


def _length(self: ArrayBox) -> int:
    if not self.ndim:
        raise InputTypeError(
            "a traced number of autograd has no length; np.stack and np.array put numbers together, and functions of "
            "other frameworks do not, unless the transform is given the framework by backend="
        )
    return int(self.shape[0])


def _refuse_number(self: ArrayBox, *args: Any) -> NoReturn:
    raise LostDerivativeError(
        f"a traced number cannot become a number of Python or an element of a NumPy array: its derivative would be "
        f"lost; compute with functions of numpy, not of math; put numbers together with np.stack or np.array; {_AT}; "
        f"anyjac.stop_gradient makes a constant on purpose"
    )


# ---- elementwise functions -------------------------------------------------------------------------------------------


def _array_ufunc(self: ArrayBox, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    out = kwargs.pop("out", None)
    references = 0 if out is None or isbox(out[0]) else sys.getrefcount(out[0])
    if any_adopted(inputs):
        return NotImplemented  # NumPy asks the Variable next
    if any(_is_of_others(each) for each in inputs):
        return (
            NotImplemented
            if method != "__call__" or out
            else _ufunc_of_autograd(self, ufunc, method, *inputs, **kwargs)
        )
    owners = 0 if out is None or isbox(out[0]) else in_place.owners_of(ufunc, out[0], inputs, references)
    inputs = tuple(map(together, inputs))
    if any(map(is_array_of_objects, inputs)):
        raise InputTypeError(f"numpy's {ufunc.__name__} was given an array of objects, which are no numbers")
    if method != "__call__":
        result = ufuncs.method_called(ufunc, method, inputs, kwargs)
    else:
        result = _called(ufunc, inputs, kwargs, out)
    return result if out is None else _put(f"numpy's {ufunc.__name__}", out, result, owners)


def _is_of_others(value: Any) -> bool:
    """Return whether a value has a say of its own in NumPy's functions of elements."""
    override = getattr(type(value), "__array_ufunc__", None)
    return override is not None and override is not np.ndarray.__array_ufunc__ and not isbox(value)


def _called(ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Any:
    options = {name: value for name, value in kwargs.items() if not _is_default(name, value, ufunc)}
    dtype, where = options.pop("dtype", None), options.pop("where", True)
    if options:
        raise NotSupportedError(
            f"numpy's function {ufunc.__name__!r} takes no {', '.join(options)} beside traced arrays"
        )
    if where is not True:
        if out is None or dtype is not None:
            raise NotSupportedError(
                f"numpy's function {ufunc.__name__!r} with where= needs out= beside traced arrays, and no dtype"
            )
        return ufuncs.called_where(ufunc, inputs, where, out[0])
    return ufuncs.called(ufunc, inputs) if dtype is None else ufuncs.with_dtype(ufunc, inputs, dtype)


_MATRIX_AXES: Final = ([(-2, -1), (-2, -1), (-2, -1)], [(-2, -1)] * 3)


def _is_default(name: str, value: Any, ufunc: np.ufunc) -> bool:
    if name == "axes":
        return ufunc is np.matmul and list(value) in _MATRIX_AXES
    return name in ("order", "subok") or (name == "casting" and value == "same_kind")


def _put(name: str, out: tuple[Any, ...], result: Any, owners: int) -> Any:
    if len(out) != 1 or isbox(out[0]) or type(out[0]) is not np.ndarray:
        raise InputTypeError(f"{name} cannot write traced numbers into out=; take what it returns")
    return in_place.put(name, out[0], result, owners, replace_value)


# ---- all other functions ---------------------------------------------------------------------------------------------


def _array_function(
    self: ArrayBox, func: Callable[..., Any], types: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    if any(not issubclass(kind, (ArrayBox, np.ndarray)) for kind in types):
        return NotImplemented
    args = tuple(together(unwrap(arg)) for arg in args)
    options = {name: together(unwrap(value)) for name, value in kwargs.items()}
    name = f"{func.__module__}.{func.__name__}"
    if func in CONSTANT:
        return func(*map(plain, args), **{key: plain(value) for key, value in options.items()})
    if func in WRITING:
        raise NotSupportedError(f"{name} cannot write into a traced array, or write traced numbers; {_AT}")
    rule = DIFFERENTIABLE.get(func)
    if rule is None:
        raise NotSupportedError(
            f"the backend 'autograd' has no derivative for {name}; write it with other functions of numpy"
        )
    if options.pop("out", None) is not None:
        raise NotSupportedError(f"{name} takes no out= beside traced arrays; take what it returns")
    try:
        return rule(*args, **options)
    except TypeError:
        _refuse_arguments(name, rule, args, options)
        raise


def _refuse_arguments(name: str, rule: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Refuse by name what NumPy's function takes and a rule does not."""
    signature = inspect.signature(rule)
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        raise NotSupportedError(f"{name} takes the arguments {signature} beside traced arrays: {error}") from None


def _refuse_complex_objects(box: ArrayBox) -> Callable[..., NoReturn]:
    """Return what NumPy calls to make an array of a complex box; a real one has no such method.

    NumPy puts boxes into arrays of objects, which compute as boxes do, but whose ``.real`` is the array itself and
    whose ``.imag`` is zero: attributes that nobody is asked for. Of real numbers both are right.
    """
    if not np.issubdtype(box.dtype, np.complexfloating):
        raise AttributeError("__array__")
    return _refuse_complex_object


def _refuse_complex_object(*args: Any, **kwargs: Any) -> NoReturn:
    raise InputTypeError(
        "np.array or np.asarray was given a traced complex number, of which an array of objects would lose the "
        "imaginary part; put numbers together with np.stack or np.concatenate"
    )
