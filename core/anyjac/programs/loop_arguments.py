"""What the members that loop are given besides trees: functions, numbers of steps, booleans."""

from __future__ import annotations

from typing import Any

from anyjac_plugins.errors import InputTypeError, InputValueError


def check_function(function: Any, member: str, role: str = "") -> None:
    """Refuse what is not callable; `role` says which of the functions it is, where a member takes several.

    Raises
    ------
    InputTypeError
        Naming it.
    """
    if not callable(function):
        given = f"not {function!r} (of type {type(function).__qualname__})"
        raise InputTypeError(f"{member} needs a callable{f' as {role}' if role else ''}, {given}")


def check_int(name: str, number: Any, mend: str = "give an int") -> None:
    """Refuse what is no integer of Python.

    Raises
    ------
    InputTypeError
        Naming it.
    """
    if isinstance(number, bool) or not isinstance(number, int):
        raise InputTypeError(f"{name} is {number!r}, of type {type(number).__qualname__}; {mend}")


def check_count(name: str, number: Any, least: int, mend: str = "give an int") -> None:
    """Refuse what is no integer of Python, or less than the least.

    Raises
    ------
    InputTypeError, InputValueError
        Naming it.
    """
    check_int(name, number, mend)
    if number < least:
        raise InputValueError(f"{name} is {number}; give {least} or more")


def check_bool(name: str, value: Any) -> None:
    """Refuse what is neither True nor False.

    Raises
    ------
    InputTypeError
        Naming it.
    """
    if not isinstance(value, bool):
        raise InputTypeError(f"{name} is {value!r}, of type {type(value).__qualname__}; give True or False")
