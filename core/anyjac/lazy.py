"""Packages whose names are imported when they are first used."""

from __future__ import annotations

import sys
from importlib import import_module
from types import SimpleNamespace

TYPE_CHECKING = False  # True for type checkers; the module typing would take longer to import than everything here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def lazily(
    package: dict[str, Any], homes: Mapping[str, Sequence[str]], *, unlisted: Mapping[str, Sequence[str]] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package
        The package's ``globals()``.
    homes
        For each module, the names of the package that are defined there.
    unlisted
        More of these, which ``__dir__`` leaves out.

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
    listed_names = {name for names in homes.values() for name in names}
    home_of = {name: home for part in (homes, unlisted or {}) for home, names in part.items() for name in names}

    def get(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        found: object = getattr(import_module(home_of[name]), name)
        package[name] = found
        return found

    def listed() -> list[str]:
        return sorted({*listed_names, *({"__version__"} & set(package))})

    return get, listed


def homes_in(module: str) -> dict[str, list[str]]:
    """Return which names the import statements of a module take from where; nothing is imported for that.

    The module's code runs with an ``__import__`` that writes down what it is asked for. Unlike reading the source, this
    takes some microseconds, and works where only compiled files are installed. Where no importer hands code out, the
    module is imported, and has all its names itself.

    Parameters
    ----------
    module
        The name of a module that consists of ``from … import …`` alone. Its package has been imported.

    Returns
    -------
    dict
        For each module that is named there, the names that are taken from it.

    Examples
    --------
    >>> from anyjac.lazy import homes_in
    >>> homes_in("anyjac.returned_types")["anyjac.derivatives.rows"]
    ['RowBlock']
    """
    package = module.rpartition(".")[0]
    homes: dict[str, list[str]] = {}

    def note(name: str, _globals: object, _locals: object, names: Sequence[str], level: int) -> SimpleNamespace:
        homes.setdefault(f"{package}.{name}" if level else name, []).extend(names)
        return SimpleNamespace(**dict.fromkeys(names))

    code = _code_of(module, sys.modules[package].__path__)
    if code is None:
        return {module: [name for name in vars(import_module(module)) if not name.startswith("_")]}
    exec(code, {"__builtins__": {"__import__": note}})
    return homes


def _code_of(module: str, path: Sequence[str]) -> Any:
    """Return the code of a module, from the first importer that hands code out; None where no importer does.

    The importer of pytest, for one, can only run a module. It stands before Python's own wherever anyjac is installed,
    since a plugin of pytest comes with anyjac.
    """
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
    found = (finder.find_spec(module, path) for finder in finders)
    loaders: Any = (spec.loader for spec in found if spec is not None)
    codes = (loader.get_code(module) for loader in loaders if hasattr(loader, "get_code"))
    return next((code for code in codes if code is not None), None)
