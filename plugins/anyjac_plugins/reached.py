"""Reach of a function before a run: the values bound to a function, the values named by code, attributes of objects.

Looks one step far; how far to go on, and at what, is for those who ask. Runs nothing of the user's but properties.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Sequence
from typing import Any

Named = tuple[str, Any, Any, Any]
"""How a message writes a value, the value, what holds it (a cell, a dict, or an empty tuple), and the key there."""


def bound_to(func: Any) -> tuple[Any, Sequence[tuple[str, Any]]]:
    """Return the function within partials and a method, and the values that these add, as messages write them.

    Examples
    --------
    >>> from functools import partial
    >>> from anyjac_plugins.reached import bound_to
    >>> bound_to(partial(pow, 2))
    (<built-in function pow>, [('argument 0 of the partial', 2)])
    """
    if type(func) is types.FunctionType:  # as most are
        return func, ()
    bound: list[tuple[str, Any]] = []
    while issubclass(type(func), functools.partial):
        bound += [(f"argument {position} of the partial", value) for position, value in enumerate(func.args)]
        bound += [(f"argument {name} of the partial", value) for name, value in func.keywords.items()]
        func = func.func
    if type(func) is types.MethodType:
        bound.append(("self", func.__self__))
        func = func.__func__
    return func, bound


def named_by(func: types.FunctionType) -> Iterator[Named]:
    """Yield the values that the code of a function names: in its closure, among its globals and its defaults.

    Examples
    --------
    >>> from anyjac_plugins.reached import named_by
    >>> def scaled(x, by=2.0):
    ...     return x * by
    >>> list(named_by(scaled))
    [('a default of scaled', 2.0, (), '')]
    """
    code, names = func.__code__, func.__globals__
    if func.__closure__:
        for name, cell in zip(code.co_freevars, func.__closure__, strict=False):
            try:
                yield name, cell.cell_contents, cell, "cell_contents"
            except ValueError:  # the cell has no contents yet
                continue
    for name in code.co_names:
        if name in names:
            yield name, names[name], names, name
    if func.__defaults__:
        for value in func.__defaults__:
            yield f"a default of {func.__name__}", value, (), ""
    if func.__kwdefaults__:
        for name, value in func.__kwdefaults__.items():
            yield f"the default of {name}", value, (), ""


def attributes_of(thing: Any) -> dict[str, Any] | None:
    """Return the attributes of an object; None where there are none, as in a proxy for something that is missing.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from anyjac_plugins.reached import attributes_of
    >>> attributes_of(SimpleNamespace(mass=2.0)), attributes_of(1.0)
    ({'mass': 2.0}, None)
    """
    try:
        attributes = thing.__dict__
    except Exception:  # of any kind, as a proxy raises it
        return None
    return attributes if type(attributes) is dict else None
