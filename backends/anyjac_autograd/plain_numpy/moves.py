"""Functions of NumPy that move elements, leave some out and repeat some: all of them by the one rule of indexing.

The function itself is applied to the numbers of the elements, and what it returns is an index. So every argument and
every corner of it means what it means to NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox

from anyjac_plugins.errors import NotSupportedError

from ..functions import elementwise
from ..functions.elementwise import astype
from ..linear_maps import innermost

Array = Any
Function = Callable[..., Any]


class _Numbers:
    """Numbers for the elements of some arrays, and these arrays in one row."""

    def __init__(self, *, zero: bool) -> None:
        self._parts: list[Any] = [np.zeros(1, bool)] if zero else []
        self._count = len(self._parts)

    def of(self, value: Any) -> Any:
        """Return numbers in the shape of an array, or of each in lists and tuples."""
        if isinstance(value, list | tuple):
            return type(value)(map(self.of, value))
        shape = value.shape if isinstance(value, ArrayBox) else np.shape(value)
        size = math.prod(shape)
        numbers = np.arange(self._count, self._count + size).reshape(shape)
        self._parts.append(value)
        self._count += size
        return numbers

    def taken(self, chosen: Any) -> Any:
        """Return the elements of some numbers, in an array or in each of some arrays."""
        row = self._row()
        if isinstance(chosen, list | tuple):
            return type(chosen)(row[each] for each in chosen)
        return row[chosen]

    def _row(self) -> Array:
        dtype = np.result_type(
            *(part if isinstance(part, bool | int | float | complex) else _dtype(part) for part in self._parts)
        )
        parts = [
            anp.reshape(part, (-1,)) if isinstance(part, ArrayBox) else np.ravel(np.asarray(part, dtype))
            for part in self._parts
        ]
        return parts[0] if len(parts) == 1 else anp.concatenate(parts, 0)


def _dtype(part: Any) -> Any:
    return part.dtype if isinstance(part, ArrayBox) else np.asarray(part).dtype


def moving(
    function: Function, *values: tuple[int, str], zero: bool = False, given: Mapping[str, Any] = MappingProxyType({})
) -> Function:
    """Return the differentiable form of a function that moves elements.

    Parameters
    ----------
    function
        A function of NumPy.
    values
        Position and name of each argument whose elements are moved; all that are given by position where there is none.
    zero
        Whether zeros may stand among the results.
    given
        Values of arguments that are moved too, where the user gives none.
    """

    def differentiable(*args: Any, **kwargs: Any) -> Any:
        numbers = _Numbers(zero=zero)
        dtype = kwargs.pop("dtype", None)
        positions = {position for position, _ in values} if values else range(len(args))
        named = {name: kwargs.get(name, given.get(name)) for position, name in values if position >= len(args)}
        moved = [numbers.of(arg) if position in positions else plain(arg) for position, arg in enumerate(args)]
        options = {name: plain(value) for name, value in kwargs.items()}
        options |= {name: numbers.of(value) for name, value in named.items() if value is not None}
        result = numbers.taken(function(*moved, **options))
        return result if dtype is None else astype(result, dtype)

    return differentiable


def plain(value: Any) -> Any:
    """Return a value without boxes, also within lists and tuples."""
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return innermost(value)


def pad(array: Array, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Array:
    """Pad by the modes that move elements, or by constants."""
    if mode == "constant":
        constants = kwargs.pop("constant_values", 0)
        if kwargs or isinstance(constants, ArrayBox):
            raise NotSupportedError("numpy.pad of a traced array takes constant_values that are not traced, no more")
        inside = np.pad(np.ones(np.shape(array), bool), pad_width)
        around = np.pad(np.zeros_like(innermost(array)), pad_width, constant_values=constants)
        numbers = np.pad(np.arange(inside.sum()).reshape(np.shape(array)), pad_width)
        if not inside.any():
            return array * 0 + around if array.shape == around.shape else around
        return anp.where(inside, anp.reshape(array, (-1,))[numbers], around)
    if mode not in ("edge", "reflect", "symmetric", "wrap") or kwargs.get("reflect_type", "even") != "even":
        raise NotSupportedError(
            f"numpy.pad of a traced array has the modes constant, edge, reflect (even), symmetric (even) and wrap, not "
            f"{mode!r}"
        )
    return moving(np.pad, (0, "array"))(array, pad_width, mode, **kwargs)


def ravel(a: Any, order: str = "C") -> Array:
    """Flatten an array."""
    return anp.reshape(a, (-1,)) if order == "C" else _in_other_order(a, order)


_in_other_order = moving(np.ravel, (0, "a"))


def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Choose elements, or say where a condition holds."""
    if x is None and y is None:
        return np.where(innermost(condition))
    return elementwise.where(condition, x, y)


MOVES: Final[dict[Function, Function]] = {
    **{
        function: moving(function, (0, name))
        for function, name in (
            *((np.array_split, "ary"), (np.delete, "arr"), (np.diagonal, "a"), (np.fliplr, "m")),
            *((np.flipud, "m"), (np.moveaxis, "a"), (np.repeat, "a"), (np.rollaxis, "a")),
            *((np.rot90, "m"), (np.split, "ary"), (np.hsplit, "ary"), (np.vsplit, "ary"), (np.dsplit, "ary")),
            *((np.take, "a"), (np.take_along_axis, "arr"), (np.tile, "A"), (np.unstack, "x")),
            (np.resize, "a"),
        )
    },
    **{
        function: moving(function, (0, name), zero=True)
        for function, name in ((np.diag, "v"), (np.diagflat, "v"), (np.tril, "m"), (np.triu, "m"))
    },
    **{
        function: moving(function)
        for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays, np.meshgrid)
    },
    **{
        function: moving(function, (0, name))
        for function, name in (
            *(
                (np.block, "arrays"),
                (np.column_stack, "tup"),
                (np.dstack, "tup"),
                (np.hstack, "tup"),
                (np.vstack, "tup"),
            ),
        )
    },
    np.broadcast_to: lambda array, shape, subok=False: elementwise.broadcast_to(
        array, (shape,) if isinstance(shape, int) else shape
    ),
    np.flip: lambda m, axis=None: elementwise.flip(m, axis=axis),
    np.ravel: ravel,
    np.roll: lambda a, shift, axis=None: elementwise.roll(a, shift, axis=axis),
    np.squeeze: anp.squeeze,
    np.append: moving(np.append, (0, "arr"), (1, "values")),
    np.choose: moving(np.choose, (1, "choices")),
    np.compress: moving(np.compress, (1, "a")),
    np.extract: moving(np.extract, (1, "arr")),
    np.insert: moving(np.insert, (0, "arr"), (2, "values")),
    np.pad: pad,
    np.select: moving(np.select, (1, "choicelist"), (2, "default"), given={"default": 0}),
    np.where: where,
}
"""Functions of NumPy that move elements."""
