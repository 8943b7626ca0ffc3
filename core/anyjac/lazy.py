"""Packages whose names are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(
    package: dict[str, Any], homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package
        The package's ``globals()``.
    homes
        For each module, the names of the package that are defined there.

    Returns
    -------
    tuple
        The two functions.

    Examples
    --------
    >>> from anyjac.lazy import lazily
    >>> get, _ = lazily({"__name__": "mine"}, {"math": ["tau"]})
    >>> get("tau")
    6.283185307179586
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        found: object = getattr(import_module(home_of[name]), name)
        package[name] = found
        return found

    def listed() -> list[str]:
        return sorted({*home_of, *({"__version__"} & set(package))})

    return get, listed
