"""The array-API namespace of the MLX backend, put together from the modules that hold its functions.

What is missing raises an error that names it, and that counts as an AttributeError, so that `hasattr` works.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Final

import mlx.core as mx

from anyjac_plugins import NotSupportedError

from . import creation, elementwise, linear_algebra, manipulation, reductions, selecting
from .conversion import DTYPES

CONSTANTS: Final = ("e", "inf", "nan", "newaxis", "pi")


class MissingError(NotSupportedError, AttributeError):
    """The namespace has no function of this name."""


class Namespace(types.ModuleType):
    """A module that says what it lacks."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise MissingError(f"the namespace {self.__name__} of backend 'mlx' has no {name!r}; write it with others")


def build_namespace() -> types.ModuleType:
    """Make the namespace."""
    namespace = _module(
        "anyjac_mlx.array_api",
        {
            **creation.FUNCTIONS,
            **elementwise.FUNCTIONS,
            **manipulation.FUNCTIONS,
            **reductions.FUNCTIONS,
            **selecting.FUNCTIONS,
            **linear_algebra.MAIN,
        },
    )
    for name, dtype in DTYPES.items():
        setattr(namespace, name, dtype)
    for name in CONSTANTS:
        setattr(namespace, name, getattr(mx, name))
    namespace.linalg = _module("anyjac_mlx.array_api.linalg", linear_algebra.FUNCTIONS)  # type: ignore[attr-defined]
    namespace.__array_api_version__ = "2024.12"  # type: ignore[attr-defined]
    namespace.__array_namespace_info__ = mx.__array_namespace_info__  # type: ignore[attr-defined]
    return namespace


def _module(name: str, functions: Mapping[str, Callable[..., Any]]) -> Namespace:
    module = Namespace(name)
    for key, function in functions.items():
        setattr(module, key, function)
    return module
