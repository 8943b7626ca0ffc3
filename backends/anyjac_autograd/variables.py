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
from numpy import ndarray

from anyjac_plugins.errors import InputTypeError

from .containers import boxed_containers

_adopted: frozenset[type] = frozenset()
"""The types of Variables, every subclass among them: looked up for each argument of each primitive, so quickly."""

_CONTAINERS = frozenset({tuple, list, dict})
_item_of_boxes = ArrayBox.__getitem__
_find_top_boxed_args = tracer.find_top_boxed_args


def adopt(cls: type) -> None:
    """Let instances of `cls` stand among the arguments of autograd's functions."""
    global _adopted
    _adopted = _adopted | {cls}
    ArrayBox.__getitem__ = _item
    tracer.find_top_boxed_args = _find_boxes


def unwrap(value: Any) -> Any:
    """Return what a Variable holds, also within lists and tuples; anything else as it is."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(map(unwrap, value))
    return value.value if kind in _adopted else value


def any_adopted(values: tuple[Any, ...]) -> bool:
    """Return whether one of some values is a Variable."""
    return not _adopted.isdisjoint(map(type, values))


def replace_value(array: Any, new: Any) -> bool:
    """Let a Variable that reads as an array in the running call hold a new value; return whether there is any."""
    variable = next((cls for cls in _adopted if hasattr(cls, "replace_value")), None)
    return variable is not None and bool(variable.replace_value(array, new))


def _item(self: ArrayBox, index: Any) -> Any:
    return _item_of_boxes(self, unwrap(index))


def _find_boxes(args: tuple[Any, ...]) -> Any:
    if not _CONTAINERS.isdisjoint(map(type, args)):
        boxes = boxed_containers(args)
        if boxes:
            return _find_boxes(tuple(boxes.get(position, arg) for position, arg in enumerate(args)))
    found = _find_top_boxed_args(args)
    for arg in args if found[0] else ():
        kind = type(arg)
        if kind not in _CONTAINERS:
            if kind in _adopted:
                return _RefusedBoxes(found[0], "a Variable", "give it the Variable's .value"), *found[1:]
            if kind is ndarray and arg.dtype.char == "O":
                # as if it had a say of its own, so that NumPy hands a ufunc to the box, which puts the objects together
                return (
                    _RefusedBoxes(found[0], "an array of objects", "put these together with stack"),
                    *found[1:3],
                    True,
                )
    return found


class _RefusedBoxes(list[Any]):
    """The boxes beside what autograd cannot take: ufuncs do not look at them, all other functions do."""

    def __init__(self, boxes: list[Any], beside: str, mend: str) -> None:
        super().__init__(boxes)
        self._words = beside, mend

    def __iter__(self) -> Iterator[Any]:
        beside, mend = self._words
        raise InputTypeError(
            f"a function of autograd.numpy was given {beside} beside a traced array; {mend}, or use the functions of "
            f"numpy or of anyjac.array_namespace"
        )
