"""Boxes of tuples, lists and dicts of autograd: opened where functions return them, made where primitives need them.

Functions such as ``eigh``, ``slogdet`` and ``split`` return such a box. The other way round, a primitive of autograd's
kind takes a container of boxes as one argument, of which it has one derivative; autograd's own transforms give it a box
of the container, and ours give a plain container of boxes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from autograd import builtins
from autograd.core import primitive_jvps, primitive_vjps
from autograd.tracer import getval, isbox

from anyjac_plugins import OpenedNode

_MAKERS: Final[dict[type, Callable[[Any], Any]]] = {
    tuple: builtins.tuple,
    list: builtins.list,
    dict: builtins.dict,
}


def opened(node: object) -> OpenedNode | None:
    """Open a box of a container; None for anything else."""
    if isinstance(node, builtins.DictBox):
        keys = list(node)
        return OpenedNode(
            [node[key] for key in keys],
            lambda children: dict(zip(keys, children, strict=True)),
            tuple(keys),
            lambda: [f"[{key!r}]" for key in keys],
        )
    if isinstance(node, builtins.SequenceBox):
        kind = type(getval(node))
        return OpenedNode([node[index] for index in range(len(node))], lambda children: _sequence(kind, children), kind)
    return None


def _sequence(kind: type, children: Sequence[Any]) -> Any:
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def name_fields() -> None:
    """Let a box of a named tuple have the names of its fields; doing so twice is harmless."""
    builtins.SequenceBox.__getattr__ = _field


def _field(self: builtins.SequenceBox, name: str) -> Any:
    fields = () if name.startswith("_") else getattr(type(getval(self)), "_fields", ())
    if name not in fields:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return self[fields.index(name)]


def boxed_containers(args: Sequence[Any]) -> dict[int, Any]:
    """Return, by position, boxes for the containers of boxes that a primitive is given, if it has a rule of its own.

    Called by ``find_top_boxed_args``, whose caller is the primitive. Functions of NumPy take such containers as NumPy
    does.
    """
    found = {position: arg for position, arg in enumerate(args) if type(arg) in _MAKERS and _holds_boxes(arg)}
    if not found:
        return {}
    frame = sys._getframe(2)
    function, primitive = frame.f_locals.get("f_raw"), frame.f_locals.get("f_wrapped")
    module = str(getattr(function, "__module__", None))
    if module.startswith(("numpy", "autograd.numpy", "autograd.builtins", "autograd.core")):
        return {}
    if primitive not in primitive_vjps and primitive not in primitive_jvps:
        return {}
    return {position: _boxed(arg) for position, arg in found.items() if _is_differentiable(arg)}


def _parts(container: Any) -> Any:
    return container.values() if type(container) is dict else container


def _holds_boxes(container: Any) -> bool:
    return any(isbox(part) or (type(part) in _MAKERS and _holds_boxes(part)) for part in _parts(container))


def _is_differentiable(container: Any) -> bool:
    return all(
        _is_differentiable(part)
        if type(part) in _MAKERS
        else isbox(part) or isinstance(part, float | complex | np.ndarray | np.floating | np.complexfloating)
        for part in _parts(container)
    )


def _boxed(container: Any) -> Any:
    kind = type(container)
    if kind not in _MAKERS:
        return container
    if kind is dict:
        return builtins.dict({key: _boxed(part) for key, part in container.items()})
    return _MAKERS[kind]([_boxed(part) for part in container])
