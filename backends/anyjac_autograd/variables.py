"""Variables among the arguments of autograd's functions.

autograd's primitives take the boxes of the innermost trace out of their arguments and know nothing of objects that
hold boxes. A Variable beside a box would lose its derivative without a word, so ufuncs, and with them all operators,
are handed to the Variable, which replaces itself by its value; all other functions refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autograd import tracer
from autograd.numpy.numpy_boxes import ArrayBox

from anyjac_plugins.errors import InputTypeError

_adopted: frozenset[type] = frozenset()
"""The types of Variables, every subclass among them: looked up for each argument of each primitive, so quickly."""

_ufunc_of_boxes = ArrayBox.__array_ufunc__
_item_of_boxes = ArrayBox.__getitem__
_find_top_boxed_args = tracer.find_top_boxed_args


def adopt(cls: type) -> None:
    """Let instances of `cls` stand among the arguments of autograd's functions."""
    global _adopted
    _adopted = _adopted | {cls}
    ArrayBox.__array_ufunc__ = _ufunc
    ArrayBox.__getitem__ = _item
    tracer.find_top_boxed_args = _find_boxes


def unwrap(value: Any) -> Any:
    """Return what a Variable holds, also within lists and tuples; anything else as it is."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(map(unwrap, value))
    return value.value if kind in _adopted else value


def _any_adopted(values: tuple[Any, ...]) -> bool:
    return not _adopted.isdisjoint(map(type, values))


def _ufunc(self: ArrayBox, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if _any_adopted(inputs):
        return NotImplemented  # NumPy asks the Variable next
    return _ufunc_of_boxes(self, ufunc, method, *inputs, **kwargs)


def _item(self: ArrayBox, index: Any) -> Any:
    return _item_of_boxes(self, unwrap(index))


def _find_boxes(args: tuple[Any, ...]) -> Any:
    found = _find_top_boxed_args(args)
    if found[0] and _any_adopted(args):
        return _RefusedBoxes(found[0]), *found[1:]
    return found


class _RefusedBoxes(list[Any]):
    """The boxes beside a Variable: ufuncs do not look at them, all other functions do."""

    def __iter__(self) -> Iterator[Any]:
        raise InputTypeError(
            "a function of autograd.numpy was given a Variable beside a traced array; give it the Variable's .value, "
            "or use the functions of anyjac.array_namespace"
        )
