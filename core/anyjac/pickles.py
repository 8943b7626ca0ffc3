"""Functions that stand in pickles: none may move, change its name or take other parameters, nor may this module.

A pickle holds the public name of a function of anyjac, the arguments and the options as the user gave them. Loading it
calls that function, with all checks, and so all other modules may be arranged anew. Reads public names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from anyjac_plugins import Backend

Recipe = tuple[str, Mapping[str, Any]]
"""The public name of what makes a callable of a function, and the options for it besides the function."""


def make(name: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Call what anyjac has under a public name: ``grad`` with a function, or without one for a decorator.

    Examples
    --------
    >>> import operator
    >>> from anyjac.pickles import make
    >>> make("grad", (operator.neg,), {"return_value": True})
    grad(neg, return_value=True)
    """
    return _public(name)(*args, **options)


def blank(kind: str | type) -> Any:
    """Return a Variable that has no value yet, which a pickle hands to its ``__setstate__``.

    Parameters
    ----------
    kind
        The public name of a class of anyjac, or a class that a user has made of one.
    """
    cls: Any = _public(kind) if isinstance(kind, str) else kind
    return cls.__new__(cls)


def part_of_model(model: object, path: str | None) -> Any:
    """Return the `BoundVariable` for a slot in a model of another library, or for an object that is such a place.

    Parameters
    ----------
    model
        The model, or the object.
    path
        The slot's path in the model; None for the object itself.
    """
    return _public("BoundVariable").of(model, path)


def given(**options: Any) -> dict[str, Any]:
    """Return those options that were given: all but None; a backend by its name, since it belongs to a process."""
    return {
        name: value.name if isinstance(value, Backend) else value
        for name, value in options.items()
        if value is not None
    }


def _public(name: str) -> Any:
    return getattr(import_module("anyjac"), name)
