"""Tensors that a function finds elsewhere, and writes: they keep what was written, and leave the graph of the call.

Looks at what a function reaches directly: its closure, the globals that it names, its defaults, its arguments in a
partial, and what stands in attributes and containers of these. Knows nothing of derivatives.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Final

import torch

from anyjac_plugins import Array
from anyjac_plugins.reached import attributes_of, bound_to, named_by

_WITHOUT_TENSORS: Final = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type, str, bytes)
"""Types of objects whose attributes are no state of a function's."""


_CONTAINERS: Final = frozenset({list, tuple, dict})

_FUNCTIONS: Final = 2
"""How many functions deep a function is looked into."""


def attached_tensors(function: Any) -> list[Array]:
    """Return the tensors with a graph that a function reaches; each once."""
    found = {id(tensor): tensor for value in _reached(function) for tensor in _tensors_at(value)}
    return list(found.values())


def _reached(function: Any, functions_left: int = _FUNCTIONS) -> Iterator[Any]:
    """Yield the objects that a function reaches, and those that functions in its closure do."""
    function, bound = bound_to(function)
    for _, value in bound:
        yield value
    if type(function) is not types.FunctionType:
        yield function
        wrapped = (attributes_of(function) or {}).get("__wrapped__")
        if wrapped is not None and functions_left:
            yield from _reached(wrapped, functions_left - 1)
        return
    for _, value, container, _ in named_by(function):
        if type(container) is types.CellType and callable(value) and functions_left:
            yield from _reached(value, functions_left - 1)
        else:
            yield value


def _tensors_at(value: Any) -> Iterator[Array]:
    """Yield the tensors with a graph in an object, in its items, and in its attributes and their items."""
    kind = type(value)
    if kind is torch.Tensor:
        if value.grad_fn is not None:
            yield value
    elif kind in _CONTAINERS:
        yield from _among(value)
    elif not issubclass(kind, _WITHOUT_TENSORS):
        attributes = attributes_of(value) or {}
        yield from _among(attributes)
        for attribute in list(attributes.values()):
            if type(attribute) in _CONTAINERS and attribute:
                yield from _among(attribute)


def _among(values: Any) -> list[Array]:
    found = list(values.values()) if type(values) is dict else list(values)
    return [value for value in found if type(value) is torch.Tensor and value.grad_fn is not None]
