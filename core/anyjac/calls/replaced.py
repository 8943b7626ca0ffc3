"""Attributes that hold Variables when a function begins, and that the function must not give arrays instead.

``self.v = self.v + 1`` puts an array where the Variable was, which is lost then, and with it the state. Looks at the
objects that a function reaches directly: itself, ``self``, its closure, its globals. Knows nothing of scopes.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from anyjac_plugins.errors import VariableWriteError

from ..selection.choice import is_number, kind_of
from ..state.variable import Variable

_WITHOUT_ATTRIBUTES: Final = frozenset(
    {
        *(types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.NoneType, type),
        *(int, float, complex, bool, str, bytes, list, tuple, dict, set),
    }
)
"""Types of objects that hold nobody's state in attributes."""

_LEFT_ALONE: Final = (Variable, types.ModuleType, type)
"""The same, with all types that are derived of them: a module may be imported by a look at its attributes."""


class HeldVariable(NamedTuple):
    """A Variable in an attribute of an object, which a message calls by the name of the object."""

    name: str
    attributes: dict[str, Any]
    attribute: str
    variable: Variable


def held_variables(func: Callable[..., Any]) -> Sequence[HeldVariable]:
    """Return the Variables in attributes of the objects that a function reaches directly."""
    while isinstance(func, functools.partial):
        func = func.func
    held: list[HeldVariable] = []
    if type(func) is types.MethodType:
        _look_at("self", func.__self__, held)
        func = func.__func__
    if type(func) is not types.FunctionType:
        _look_at(f"the {type(func).__name__}", func, held)
        return held
    code = func.__code__
    if func.__closure__:
        for name, cell in zip(code.co_freevars, func.__closure__, strict=False):
            try:
                _look_at(name, cell.cell_contents, held)
            except ValueError:  # the cell has no contents yet
                continue
    if code.co_names:
        names = func.__globals__
        for name in code.co_names:
            if name in names:
                _look_at(name, names[name], held)
    return held


def _look_at(name: str, obj: Any, held: list[HeldVariable]) -> None:
    """Add the Variables in attributes of an object; a proxy is asked for nothing but its type and its attributes."""
    kind = type(obj)
    if kind in _WITHOUT_ATTRIBUTES or issubclass(kind, _LEFT_ALONE):
        return
    try:
        attributes = obj.__dict__
    except Exception:  # of any kind: a proxy stands for something that may not be there, and has no Variables then
        return
    if type(attributes) is dict:
        for attribute, value in list(attributes.items()):  # at once, for another thread may add to them
            if issubclass(type(value), Variable):
                held.append(HeldVariable(name, attributes, attribute, value))


def put_back(held: Sequence[HeldVariable]) -> Sequence[HeldVariable]:
    """Put Variables back into attributes that hold arrays or numbers now, and return these Variables."""
    replaced = [each for each in held if _is_lost(each.attributes.get(each.attribute, each.variable))]
    for each in replaced:
        each.attributes[each.attribute] = each.variable
    return replaced


def refuse_replaced(held: Sequence[HeldVariable]) -> None:
    """Refuse arrays and numbers in attributes that held Variables, and put the Variables back.

    Raises
    ------
    VariableWriteError
        Naming the attribute, the Variable and the mend.
    """
    for name, _, attribute, variable in put_back(held):
        raise VariableWriteError(
            f"{name}.{attribute} was {variable.label()} when the function began, and the function has put an array "
            f"there, by which the Variable would be lost; write its value: {name}.{attribute}.value = ..."
        )


def _is_lost(value: Any) -> bool:
    return not isinstance(value, Variable) and (is_number(value) or kind_of(value) is not None)
