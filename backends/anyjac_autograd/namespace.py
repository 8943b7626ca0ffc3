"""The array-API namespace of the autograd backend: NumPy's for plain arrays, a differentiable one for boxes.

Each function of the standard looks at its arguments. Plain arrays go to `array_api_compat.numpy`; with a box among
them, the function's entry in the tables of `functions.elementwise` is called. What has no entry there raises
`NotSupportedError` by name, so that no derivative is lost in silence.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import array_api_compat.numpy as compat
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox

from anyjac_plugins.errors import NotSupportedError

from .functions import elementwise
from .functions.fourier import FFT
from .functions.linear_algebra import LINALG
from .linear_maps import innermost
from .plain_numpy.objects import together
from .variables import unwrap

Function = Callable[..., Any]


@functools.cache  # boxes can have one namespace alone
def build_namespace() -> types.ModuleType:
    """Make the namespace, and give boxes the attributes by which the standard's array object is known."""
    namespace = _module("anyjac_autograd.array_api", compat, elementwise.MAIN)
    namespace.linalg = _module("anyjac_autograd.array_api.linalg", compat.linalg, LINALG)  # type: ignore[attr-defined]
    namespace.fft = _module("anyjac_autograd.array_api.fft", compat.fft, FFT)  # type: ignore[attr-defined]
    for name in ("__array_api_version__", "__array_namespace_info__"):
        setattr(namespace, name, getattr(compat, name))
    ArrayBox.__array_namespace__ = lambda self, *, api_version=None: namespace
    ArrayBox.device = property(lambda self: "cpu")
    ArrayBox.to_device = lambda self, device, /, *, stream=None: self
    ArrayBox.mT = property(elementwise.matrix_transpose)
    ArrayBox.__pos__ = elementwise.positive
    ArrayBox.__deepcopy__ = lambda self, memo: elementwise.positive(self)  # or a copy would be a constant
    ArrayBox.__floordiv__ = namespace.floor_divide
    ArrayBox.__rfloordiv__ = lambda self, other: namespace.floor_divide(other, self)
    return namespace


def _module(name: str, plain: types.ModuleType, table: Mapping[str, Function]) -> types.ModuleType:
    module = types.ModuleType(name)
    for attribute in dir(plain):
        found = getattr(plain, attribute)
        if attribute.startswith("_"):
            continue
        if isinstance(found, (type, types.ModuleType)) or not callable(found):
            setattr(module, attribute, found)
        else:
            setattr(module, attribute, _choosing(attribute, found, table.get(attribute)))
    return module


def _choosing(name: str, plain: Function, differentiable: Function | None) -> Function:
    """Make the function that calls `plain` for plain arrays and its counterpart where one argument is a box."""

    @functools.wraps(plain)
    def function(*args: Any, **kwargs: Any) -> Any:
        args = tuple(together(unwrap(arg)) for arg in args)
        kwargs = {key: together(unwrap(value)) for key, value in kwargs.items()}
        if not _any_box(args) and not _any_box(kwargs.values()):
            return plain(*args, **kwargs)
        if name in elementwise.CONSTANT:
            return plain(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})
        if differentiable is None:
            raise NotSupportedError(
                f"the backend 'autograd' has no derivative for the array-API function {name!r}; write it with others"
            )
        return differentiable(*args, **kwargs)

    return function


def _any_box(values: Any) -> bool:
    return any(isinstance(value, ArrayBox) or (isinstance(value, list | tuple) and _any_box(value)) for value in values)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    plain = innermost(value)
    return np.asarray(plain) if isinstance(plain, np.generic) else plain
