"""Choosing the backend and the device: argument, context, environment, arrays, enclosing call, default.

Holds the process's `BackendRegistry`. Reads the types of arrays, never their values, and imports no framework until a
backend is chosen.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from anyjac_plugins import Backend, BackendRegistry, environment
from anyjac_plugins.errors import AnyjacError, BackendUnavailableError, InputTypeError, MixedBackendsError

from ..trees.structure import flatten

NUMPY = "numpy"
"""What plain NumPy arrays count as: they go with any framework, and alone they mean the backend of this alias."""


class Selection(NamedTuple):
    """A backend, and whether arrays of other frameworks are converted, as they are where somebody named the backend."""

    backend: Backend
    converts: bool


registry = BackendRegistry()

in_context: ContextVar[Backend | None] = ContextVar("anyjac_backend", default=None)
"""The backend of the innermost `use_backend`."""
chosen_in_context = in_context.get
"""Return the backend of the innermost `use_backend` here, None where there is none."""

_default = NUMPY
_PLAIN = (str, bytes, int, float, complex, type(None), types.FunctionType, types.MethodType, type)
_kinds: dict[type, str | None] = {}
_kinds_generation = -1


def select(backend: str | Backend | None, values: Iterable[Any], enclosing: Backend | None = None) -> Selection:
    """Choose for a call: what is named, else what the types of `values` say, else `enclosing`, else the default.

    Raises
    ------
    MixedBackendsError
        If nobody named a backend and `values` come from several frameworks.
    """
    named = named_selection(backend)
    if named is not None:
        return named
    kinds = _kinds_of(values)
    framework = _only_framework(kinds)
    if framework is not None:
        return Selection(registry.get(framework), converts=False)
    if enclosing is not None:
        return Selection(enclosing, converts=False)
    return Selection(registry.get(NUMPY) if kinds else default_backend(), converts=False)


def framework_of(values: Iterable[Any]) -> str | None:
    """Return the backend's name for the one framework that `values` come from; None for NumPy's and Python's numbers.

    Raises
    ------
    MixedBackendsError
        If they come from several.
    """
    return _only_framework(_kinds_of(values))


def named_backend() -> Backend | None:
    """Return the backend that context or environment name, None where they name none."""
    named = named_selection(None)
    return None if named is None else named.backend


def select_device(backend: Backend, device: Any) -> Any:
    """Return the backend's object for `device` or for ``ANYJAC_DEVICE``; None where neither is given."""
    if device is not None:
        return backend.resolve_device(device)
    wanted = environment.read(environment.DEVICE)
    if wanted is None:
        return None
    with _from(environment.DEVICE):
        return backend.resolve_device(wanted)


def kind_of(value: Any) -> str | None:
    """Return the backend's name that the type of `value` stands for, ``"numpy"`` for NumPy's own, None for no array."""
    global _kinds_generation
    if _kinds_generation != registry.generation:
        _kinds.clear()
        _kinds_generation = registry.generation
    cls = type(value)
    try:
        return _kinds[cls]
    except KeyError:
        return _kinds.setdefault(cls, _kind_of_type(cls))


def is_array_of_any(value: Any) -> bool:
    """Return whether something is an array of some framework, and not another object of one, such as a function."""
    return kind_of(value) is not None and hasattr(value, "dtype")


def is_number(value: Any) -> bool:
    """Return whether something is a number of Python."""
    return isinstance(value, (bool, int, float, complex))


def _kinds_of(values: Iterable[Any]) -> set[str]:
    """Return the kinds of leaves, and of those in containers that only an imported framework's registry knows."""
    kinds: set[str] = set()
    for value in values:
        kind = kind_of(value)
        if kind is not None:
            kinds.add(kind)
        elif not isinstance(value, _PLAIN):
            kinds |= _kinds_of(_leaves_of_container(value) or _array_of_jax(value))
    return kinds


def _array_of_jax(value: Any) -> list[Any]:
    """Return the array that an object is for JAX, of whose protocols for arrays this alone tells a framework."""
    if hasattr(type(value), "__jax_array__"):
        with contextlib.suppress(Exception):  # of any kind: whoever converts the object says what is wrong
            array = value.__jax_array__()
            return [array] if kind_of(array) is not None else []
    return []


def _leaves_of_container(value: Any) -> list[Any]:
    for backend in imported_backends():
        opened = backend.flatten_node(value)
        if opened is not None:
            return flatten(opened.children)[0]
    return []


def _only_framework(kinds: set[str]) -> str | None:
    frameworks = kinds - {NUMPY}
    if len(frameworks) > 1:
        raise MixedBackendsError(
            f"the arrays of this call come from several frameworks: {', '.join(sorted(frameworks))}; say which one is "
            f"meant, with backend= or anyjac.use_backend, and the others are converted"
        )
    return frameworks.pop() if frameworks else None


def imported_backends() -> Iterator[Backend]:
    """Yield the backends whose frameworks are imported."""
    for spec in registry.specs():
        if any(module in sys.modules for module in spec.array_modules):
            with contextlib.suppress(AnyjacError):
                yield registry.get(spec.name)


def _kind_of_type(cls: type) -> str | None:
    owners = _owners_of_modules(registry.generation)
    for base in cls.__mro__:
        owner = owners.get(base.__module__.partition(".")[0])
        if owner is not None:
            return owner
    return None


@functools.lru_cache(maxsize=1)
def _owners_of_modules(generation: int) -> dict[str, str]:
    """Return for each framework's top module the backend's name; `generation` is that of the registry."""
    owners = {module: spec.name for spec in registry.specs() for module in spec.array_modules}
    return {**owners, "numpy": NUMPY}


def is_framework_type(cls: type) -> bool:
    """Return whether a type is defined by a framework, and not by somebody who derives from the framework's types."""
    return cls.__module__.partition(".")[0] in _owners_of_modules(registry.generation)


def set_default(backend: Backend) -> None:
    """Let a backend be the one that is used where nothing else decides."""
    global _default
    _default = backend.name


def default_backend() -> Backend:
    """Return the backend that is used where nothing else decides."""
    try:
        return registry.get(_default)
    except AnyjacError as error:
        raise BackendUnavailableError(
            f"nothing says which backend is meant, and the default one, {_default!r}, cannot be used: {error} Name one "
            f"with backend=, anyjac.use_backend or {environment.BACKEND}"
        ) from error


def named_selection(backend: str | Backend | None) -> Selection | None:
    """Return the backend that is given, or named by context or environment; None where nobody names any."""
    wanted = backend if backend is not None else in_context.get()
    if wanted is None:
        wanted = environment.read(environment.BACKEND)
        if wanted is None:
            return None
        with _from(environment.BACKEND):
            return Selection(registry.get(wanted), converts=True)
    if isinstance(wanted, Backend):
        return Selection(wanted, converts=True)
    if not isinstance(wanted, str):
        raise InputTypeError(f"backend must be a name or a Backend, not {wanted!r}")
    return Selection(registry.get(wanted), converts=True)


@contextlib.contextmanager
def _from(variable: str) -> Iterator[None]:
    """Add to an error that the environment asked for the backend or device."""
    try:
        yield
    except AnyjacError as error:
        error.add_note(f"it is the environment variable {variable} that asks for it")
        raise
