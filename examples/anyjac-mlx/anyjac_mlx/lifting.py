"""Functions of MLX's arrays made into functions of traced ones too."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from anyjac_plugins import NotSupportedError

from .conversion import from_numpy
from .tracing import Traced, record
from .variables import unwrap

Function = Callable[..., Any]


class _Here:
    """Marks the place of an array in what a function returns."""


_HERE = _Here()


def lift(function: Function) -> Function:
    """Return `function` as one that takes traced arrays, and Variables, and is differentiated through.

    Parameters
    ----------
    function
        A pure function of arrays of MLX, which may stand in lists and tuples. It is called again for derivatives, by
        `mlx.core.vjp`, so it must not change anything, nor use traced arrays other than its arguments.

    Examples
    --------
    >>> import anyjac
    >>> import mlx.core as mx
    >>> from anyjac_mlx.lifting import lift
    >>> anyjac.jacrev(lift(mx.sigmoid))(mx.array(0.0))
    array(0.25, dtype=float32)
    """

    @functools.wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        arguments = (_prepared(args), {key: _prepared(value) for key, value in kwargs.items()})
        traced = list(_traced_in(arguments))
        if not traced:
            return function(*arguments[0], **arguments[1])
        forms: list[Any] = []

        def operation(*arrays: mx.array) -> list[mx.array]:
            args, kwargs = _replaced(arguments, Traced, iter(arrays))
            result = function(*args, **kwargs)
            if not forms:  # it is the first run; later ones are for derivatives
                forms.append(_replaced(result, mx.array, itertools.repeat(_HERE)))
            return list(_arrays_in(result))

        results = record(operation, traced)
        return _replaced(forms[0], _Here, iter(results))

    return lifted


def _prepared(value: Any) -> Any:
    """Put arrays in the place of Variables and of NumPy's arrays, which MLX would narrow to 32 bits."""
    if type(value) in (list, tuple):
        return type(value)(map(_prepared, value))
    value = unwrap(value)
    if isinstance(value, np.generic):  # one on the left would make an array of NumPy's of MLX's on its right
        return value.item()
    return from_numpy(value) if isinstance(value, np.ndarray) else value


def _traced_in(value: Any) -> Iterator[Traced]:
    if isinstance(value, Traced):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _traced_in(item)
    elif isinstance(value, dict):
        yield from _traced_in(list(value.values()))


def _arrays_in(result: Any) -> Sequence[mx.array]:
    if isinstance(result, list | tuple):
        return [array for item in result for array in _arrays_in(item)]
    if isinstance(result, np.ndarray | np.generic):
        raise NotSupportedError("a function of traced arrays returned NumPy's, which have no derivative")
    return [result] if isinstance(result, mx.array) else []


def _replaced(value: Any, kind: type, replacements: Iterator[Any]) -> Any:
    """Return a tree with all leaves of one kind replaced, in order."""
    if isinstance(value, kind):
        return next(replacements)
    if isinstance(value, list | tuple):
        items = [_replaced(item, kind, replacements) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: _replaced(item, kind, replacements) for key, item in value.items()}
    return value
