"""Arguments of a compiled function that are static: the function sees their very values, and may branch on them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from anyjac_plugins.errors import InputTypeError, InputValueError

from ..callables.wrapper import signature_of
from ..calls.settings import is_int

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class StaticValue:
    """Stands for an argument that is static, whatever it is: a leaf among the arguments."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


@dataclass(frozen=True, slots=True)
class StaticArguments:
    """Which arguments are static.

    Attributes
    ----------
    positions
        Positions of positional arguments; negative ones count from the end.
    names
        Names of keyword arguments.
    """

    positions: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return what was given, as options of `jit`."""
        given: dict[str, tuple[Any, ...]] = {"static_argnums": self.positions, "static_argnames": self.names}
        return {name: value[0] if len(value) == 1 else value for name, value in given.items() if value}

    def completed(self, func: Callable[..., Any]) -> StaticArguments:
        """Return the same with the names of the positions, and the positions of the names, that a signature tells.

        Raises
        ------
        InputValueError
            If the function takes no such argument.
        """
        try:
            parameters = signature_of(func).parameters
        except (TypeError, ValueError):  # some callables have no signature
            return self
        kinds = {parameter.kind for parameter in parameters.values()}
        by_position = [name for name, parameter in parameters.items() if parameter.kind in _BY_POSITION]
        by_name = {name for name, parameter in parameters.items() if parameter.kind in _BY_NAME}
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            for number in self.positions:
                if not -len(by_position) <= number < len(by_position):
                    raise InputValueError(
                        f"static_argnums has {number}, and the function takes {len(by_position)} positional arguments"
                    )
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            for name in self.names:
                if name not in parameters:
                    raise InputValueError(f"static_argnames has {name!r}, and the function takes no such argument")
        fits = [number for number in self.positions if -len(by_position) <= number < len(by_position)]
        names = {by_position[number] for number in fits} & by_name
        positions = {by_position.index(name) for name in self.names if name in by_position}
        return StaticArguments(
            tuple(dict.fromkeys((*self.positions, *sorted(positions)))),
            tuple(dict.fromkeys((*self.names, *sorted(names)))),
        )

    def marked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call, with a `StaticValue` in the place of each that is static."""
        positions = {number + len(args) if number < 0 else number for number in self.positions}
        return (
            tuple(StaticValue(arg) if number in positions else arg for number, arg in enumerate(args)),
            {name: StaticValue(arg) if name in self.names else arg for name, arg in kwargs.items()},
        )


def checked_static_arguments(argnums: Any, argnames: Any) -> StaticArguments:
    """Return which arguments are static, as the options of `jit` say.

    Raises
    ------
    InputTypeError
        For anything but ints and names.
    InputValueError
        For a position or a name that is given twice.
    """
    positions = _several(argnums, "static_argnums", is_int, "an int or a sequence of ints")
    names = _several(argnames, "static_argnames", lambda name: isinstance(name, str), "a name or a sequence of names")
    for option, values in (("static_argnums", positions), ("static_argnames", names)):
        if len(set(values)) < len(values):
            raise InputValueError(f"{option}={values} names an argument twice")
    return StaticArguments(tuple(map(int, positions)), names)


def _several(given: Any, option: str, fits: Callable[[Any], bool], wanted: str) -> tuple[Any, ...]:
    """Return the values of an option that takes one or several."""
    if given is None:
        return ()
    if fits(given):
        return (given,)
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(map(fits, given)):
        raise InputTypeError(f"{option} must be {wanted}, not {given!r}")
    return tuple(given)
