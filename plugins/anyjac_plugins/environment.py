"""The variables of the environment that anyjac reads, as one table, and the search for misspelled ones.

Reads `os.environ`. Does not cache: a variable changed while the program runs is seen by the next call.
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Collection

from .errors import InputValueError, UnknownEnvironmentVariableWarning

BACKEND = "ANYJAC_BACKEND"
DEVICE = "ANYJAC_DEVICE"
COMPILE = "ANYJAC_COMPILE"
DISABLE_PLUGINS = "ANYJAC_DISABLE_PLUGINS"
STRICT = "ANYJAC_STRICT"
FORCE_PATH = "ANYJAC_FORCE_PATH"

KNOWN: dict[str, str] = {
    BACKEND: "name of the backend to use where neither an argument nor a context says which",
    DEVICE: "device to work on where no `device=` says which, such as `cpu` or `cuda:0`",
    COMPILE: "`off` to compile nothing but what `jit` is asked to; `auto`, the default, where it is faster",
    DISABLE_PLUGINS: "names or aliases of backend plugins to leave unused, separated by commas",
    STRICT: "`1` for an error where a derivative is lost to Python, as by `float(x)`; `0`, the default, for a warning",
    FORCE_PATH: "for tests: the one way to compute Jacobians, as `backend=path`, separated by commas",
}


_ENCODED = {name: os.fsencode(name) for name in KNOWN}

_HOLDS_BYTES = os.name == "posix" and {bytes} == {type(key) for key in getattr(os.environ, "_data", ())}
"""Whether `os.environ` keeps its variables in a dict by encoded names, in which an unset one is quickly missed.

The dict is private to CPython. Elsewhere, or where `os.environ` is something else, variables are read as usual.
"""


def _is_unset(name: str) -> bool:
    """Return whether a variable is certainly unset, as most are.

    Each call of a transform reads up to five. `os.environ` answers by two exceptions, which take 0.7 microseconds and
    not 0.15.
    """
    data = getattr(os.environ, "_data", None)
    return _HOLDS_BYTES and type(data) is dict and name in _ENCODED and _ENCODED[name] not in data


def read(name: str) -> str | None:
    """Return the variable's text without surrounding blanks, or None where it is unset or empty."""
    if _is_unset(name):
        return None
    text = os.environ.get(name)
    return None if text is None else text.strip() or None


def disabled_plugins() -> frozenset[str]:
    """Return the plugin names that ``ANYJAC_DISABLE_PLUGINS`` blocks."""
    listed = read(DISABLE_PLUGINS)
    if listed is None:
        return frozenset()
    return frozenset(name.strip() for name in listed.split(",") if name.strip())


def compiles() -> bool:
    """Return whether a backend may compile what nobody asked it to.

    Raises
    ------
    InputValueError
        If ``ANYJAC_COMPILE`` is neither ``off`` nor ``auto``.
    """
    wanted = read(COMPILE)
    if wanted not in (None, "auto", "off"):
        raise InputValueError(f"{COMPILE} is {wanted!r}; it can be 'off' or 'auto'")
    return wanted != "off"


def is_strict() -> bool:
    """Return whether a derivative that is lost to Python is an error in all calls.

    Raises
    ------
    InputValueError
        If ``ANYJAC_STRICT`` is neither ``1`` nor ``0``.
    """
    wanted = read(STRICT)
    if wanted not in (None, "0", "1"):
        raise InputValueError(f"{STRICT} is {wanted!r}; it can be '1' or '0'")
    return wanted == "1"


def forced_path(backend: str, paths: Collection[str]) -> str | None:
    """Return the path that ``ANYJAC_FORCE_PATH`` names for `backend`, None where it names none.

    Raises
    ------
    InputValueError
        If it is none of `paths`, or if the variable is not made of ``backend=path``.
    """
    entries = [entry.partition("=") for entry in (read(FORCE_PATH) or "").split(",") if entry.strip()]
    if not all(sign for _, sign, _ in entries):
        raise InputValueError(f"{FORCE_PATH} is {read(FORCE_PATH)!r}; it has to be like 'jax=native,torch=rows'")
    path = {name.strip(): path.strip() for name, _, path in entries}.get(backend)
    if path is not None and path not in paths:
        raise InputValueError(f"{FORCE_PATH} asks backend {backend!r} for path {path!r}; it has {', '.join(paths)}")
    return path


def warn_about_disabled(installed: Collection[str]) -> None:
    """Warn for each name in ``ANYJAC_DISABLE_PLUGINS`` that is no installed plugin's, aliases included."""
    for name in sorted(disabled_plugins() - set(installed)):
        warnings.warn(
            f"{DISABLE_PLUGINS} names {name!r}, and no plugin of that name is installed; there are "
            f"{', '.join(sorted(installed))}",
            UnknownEnvironmentVariableWarning,
            stacklevel=2,
        )


def in_use() -> dict[str, str]:
    """Return every variable that begins with ``ANYJAC_``, known or not, with its value."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("ANYJAC_")}


def misspelled() -> dict[str, str | None]:
    """Return the unknown ``ANYJAC_*`` variables, each with the known name that it resembles most, if any."""
    unknown = [name for name in in_use() if name not in KNOWN]
    return {name: next(iter(difflib.get_close_matches(name.upper(), KNOWN, n=1, cutoff=0.8)), None) for name in unknown}


def warn_about_misspelled() -> None:
    """Warn once for each unknown ``ANYJAC_*`` variable, naming the one that was probably meant."""
    for name, meant in misspelled().items():
        hint = f"; did you mean {meant}?" if meant else f"; known are {', '.join(KNOWN)}"
        warnings.warn(
            f"the environment variable {name} means nothing to anyjac{hint}",
            UnknownEnvironmentVariableWarning,
            stacklevel=2,
        )
