"""Traced numbers for an array of NumPy: ``a += box``, ``out=a``.

An array of NumPy cannot hold them. If nobody else refers to the array, a new one in its place is the same; if it is the
value of a Variable, the Variable can hold the new one. Whatever else would be wrong without a word, and is refused.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox

from anyjac_plugins.errors import InputTypeError, InputValueError

from ..functions.elementwise import astype, broadcast_to

Array = Any
Replace = Callable[[Any, Any], bool]
"""Lets the Variable that reads as an array hold another one, and returns whether there is one."""


def owners_of(ufunc: np.ufunc, out: np.ndarray[Any, Any], inputs: tuple[Any, ...], references: int) -> int:
    """Return how many objects refer to an array, besides the call that is to write the array.

    Parameters
    ----------
    ufunc, out, inputs
        What the call is of, what it is to write, and what it is given.
    references
        What ``sys.getrefcount`` says at the beginning of ``__array_ufunc__``.
    """
    if not any(each is out for each in inputs):
        return references - _OF_A_KEYWORD
    return references - (_OF_A_PRODUCT if ufunc is np.matmul else _OF_AN_OPERATOR)


class _Counter:
    """Counts the references to an array that a call makes by itself."""

    def __init__(self) -> None:
        self.count = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        self.count = sys.getrefcount(kwargs["out"][0])
        return kwargs["out"][0]


def _references_of_an_operator() -> int:
    counter, owner = _Counter(), [np.zeros(1)]
    owner[0] += counter  # type: ignore[call-overload]
    return counter.count - 1  # that of the list


def _references_of_a_product() -> int:
    counter: Any = _Counter()
    owner = [np.zeros((1, 1))]
    owner[0] @= counter
    return int(counter.count - 1)


def _references_of_a_keyword() -> int:
    counter, owner = _Counter(), [np.zeros(1)]
    np.add(1.0, counter, out=owner[0])  # type: ignore[call-overload]
    return counter.count - 1


_OF_AN_OPERATOR: Final = _references_of_an_operator()
_OF_A_PRODUCT: Final = _references_of_a_product()
_OF_A_KEYWORD: Final = _references_of_a_keyword()


def put(name: str, out: Any, result: Any, owners: int, replace: Replace) -> Array:
    """Return what stands for an array that a result was to be written into.

    Parameters
    ----------
    name
        How messages call the function that writes.
    out
        The array of NumPy.
    result
        What was computed: a box, or an array of NumPy, which is simply written.
    owners
        See `owners_of`.
    replace
        See `Replace`.

    Raises
    ------
    InputTypeError
        If somebody else refers to the array.
    """
    if not isinstance(result, ArrayBox):
        out[...] = result
        return out
    result = _fitted(name, out, result)
    if out.base is None:
        if owners == 0 or (owners == 1 and replace(out, result)):
            return result
    elif owners == 0 and type(out.base) is np.ndarray and out.base.dtype == out.dtype:
        others = sys.getrefcount(out.base) - 2  # besides the argument, and the array itself
        if others == 0 or (others == 1 and replace(out.base, _with_part(out.base, out, result))):
            return result
    raise InputTypeError(
        f"{name} would write traced numbers into an array of NumPy, which cannot hold them, and which may be in use "
        f"elsewhere; make a new array: a = a + b, or anyjac.at(a)[index].add(b); a Variable is written as "
        f"v.value += b, while nothing else refers to the array of its value"
    )


def _fitted(name: str, out: np.ndarray[Any, Any], result: Array) -> Array:
    """Return the result in the shape and the dtype of the array, by NumPy's rules."""
    if not np.can_cast(result.dtype, out.dtype, "same_kind"):
        raise InputTypeError(f"{name} has a result of dtype {result.dtype}, which an array of {out.dtype} cannot hold")
    if result.shape != out.shape:
        if np.broadcast_shapes(result.shape, out.shape) != out.shape:
            raise InputValueError(f"{name} has a result of shape {result.shape}, and is to write one of {out.shape}")
        result = broadcast_to(result, out.shape)
    return astype(result, out.dtype)


def _with_part(base: np.ndarray[Any, Any], part: np.ndarray[Any, Any], result: Array) -> Array:
    """Return an array with new elements where a part of it is."""
    start = part.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    offsets = _offsets(base).ravel()
    order = np.argsort(offsets)
    chosen = order[np.searchsorted(offsets, start + _offsets(part).ravel(), sorter=order)]
    source = np.full(base.size, -1)
    source[chosen] = np.arange(part.size)
    gathered = anp.reshape(result, (-1,))[np.maximum(source, 0)]
    return anp.reshape(anp.where(source >= 0, gathered, base.ravel()), base.shape)


def _offsets(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where the elements of an array lie in its memory, in bytes after the first."""
    offsets = np.zeros(array.shape, np.intp)
    for axis, (length, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        offsets = offsets + (np.arange(length) * stride).reshape(-1, *(1,) * (array.ndim - axis - 1))
    return offsets


# ---- traced arrays ---------------------------------------------------------------------------------------------------

_OPERATORS: Final = {
    "__iadd__": operator.add,
    "__isub__": operator.sub,
    "__imul__": operator.mul,
    "__itruediv__": operator.truediv,
    "__ifloordiv__": operator.floordiv,
    "__imod__": operator.mod,
    "__ipow__": operator.pow,
    "__imatmul__": operator.matmul,
}


class _CountedBox:
    """Counts the references to an operand on the left that Python makes by itself."""

    def __iadd__(self, other: object) -> int:
        return sys.getrefcount(self)


def _references_of_a_box() -> int:
    owner: list[Any] = [_CountedBox()]
    owner[0] += 1
    return int(owner[0])


_OF_A_BOX: Final = _references_of_a_box()


def make_operators(replace: Replace) -> dict[str, Callable[[Any, Any], Any]]:
    """Return the operators that write a traced array in place, by which Python puts a new one there.

    For the value of a Variable that is right if nobody else refers to the array: whoever does would see the write in an
    array of NumPy, and does not see it in a traced one.
    """
    return {name: _written(name, function, replace) for name, function in _OPERATORS.items()}


def _written(name: str, function: Callable[[Any, Any], Any], replace: Replace) -> Callable[[Any, Any], Any]:
    def write(self: ArrayBox, other: Any) -> Any:
        if sys.getrefcount(self) > _OF_A_BOX and replace(self, self):
            raise InputTypeError(
                "the traced value of a Variable would be written in place while something else refers to it, which "
                "would see the write in an array of NumPy, and not here; write v.value = v.value + b, or keep copies"
            )
        return function(self, other)

    write.__name__ = name
    return write
