"""Arrays of objects that hold boxes, put together into one box.

``np.array([x[0], x[1]])`` of boxes is an array of objects to NumPy, which asks nobody. What such an array enters
puts it together first.
"""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import isbox

from anyjac_plugins.errors import InputTypeError

Array = Any


def is_array_of_objects(value: Any) -> bool:
    """Return whether a value is an array of objects of NumPy."""
    return type(value) is np.ndarray and value.dtype.char == "O"


def unwrapped(value: Any) -> Any:
    """Return NumPy's own array of the objects in a masked array or in a matrix; any other value as given.

    Functions of ``np.ma`` make such arrays of boxes.

    Raises
    ------
    InputTypeError
        If boxes stand beside masked elements, and the mask would be lost.
    """
    if not isinstance(value, np.ndarray) or type(value) is np.ndarray or value.dtype.char != "O":
        return value
    objects = np.asarray(value.data if isinstance(value, np.ma.MaskedArray) else value)
    if np.ma.is_masked(value) and any(map(isbox, objects.ravel())):
        raise InputTypeError(
            "a masked array holds traced numbers, and its mask would be lost; choose the elements with np.where, and a "
            "mask that is an array of its own"
        )
    return objects


def together(value: Any) -> Any:
    """Return one box for an array of objects with boxes among them, also within lists and tuples; else the value.

    Objects that are plain numbers, as NumPy's functions make constants of such arrays, become an array of numbers.

    Raises
    ------
    InputTypeError
        If an object beside the boxes is no number; for complex boxes, and for what NumPy takes for the imaginary part
        of such an array, which it marks as not to be written.
    """
    kind = type(value)
    if kind is list or kind is tuple:
        parts = [together(part) for part in value]
        return kind(parts) if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    if not is_array_of_objects(value):
        return value
    elements = list(value.ravel())
    traced = any(map(isbox, elements))
    if not (traced or value.flags.writeable) and all(element == 0 for element in elements):
        raise InputTypeError(
            "the imaginary part of an array of objects is zero to NumPy, whatever numbers it holds; put numbers "
            "together with np.stack or np.concatenate, and take np.imag of that"
        )
    for element in elements:
        if isinstance(element, ArrayBox):
            fits = element.ndim == 0
            if np.issubdtype(element.dtype, np.complexfloating):
                raise InputTypeError(
                    "an array of objects holds traced complex numbers, of which NumPy takes the real part for the "
                    "whole; put numbers together with np.stack or np.concatenate"
                )
        else:
            fits = isinstance(element, bool | int | float | complex | np.number | np.bool_)
        if not fits:
            if not traced:
                return value
            raise InputTypeError(
                f"an array of objects holds traced numbers, and beside them {element!r} of type "
                f"{type(element).__qualname__}, which is no number; put arrays together with np.stack or np.concatenate"
            )
    return anp.reshape(anp.array(elements), value.shape) if elements else value
