"""The array-API namespace of the torch backend: array-api-compat's, with an `asarray` that loses no derivative.

`torch.asarray` makes a constant of a list that holds tensors, without a word; here such a list is stacked instead.
"""

from __future__ import annotations

import types
from typing import Any

import array_api_compat.torch as compat
import torch


def build_namespace() -> types.ModuleType:
    """Make the namespace."""
    namespace = types.ModuleType("anyjac_torch.array_api")
    for name in dir(compat):
        setattr(namespace, name, getattr(compat, name))
    namespace.asarray = asarray  # type: ignore[attr-defined]
    return namespace


def asarray(
    obj: Any, /, *, dtype: torch.dtype | None = None, device: Any = None, copy: bool | None = None
) -> torch.Tensor:
    """Convert to a tensor; differentiable, also where `obj` is a nested list that holds tensors."""
    if _holds_tensor(obj):
        stacked = _stacked(obj)
        return stacked.to(device=stacked.device if device is None else device, dtype=dtype)
    array: torch.Tensor = compat.asarray(obj, dtype=dtype, device=device, copy=copy)
    return array


def _holds_tensor(obj: Any) -> bool:
    if not isinstance(obj, list | tuple):
        return False
    return any(isinstance(item, torch.Tensor) or _holds_tensor(item) for item in obj)


def _stacked(obj: Any) -> torch.Tensor:
    if isinstance(obj, torch.Tensor):
        return obj
    if not isinstance(obj, list | tuple):
        return torch.as_tensor(obj)
    items = [_stacked(item) for item in obj]
    device = next((item.device for item in items if item.device.type != "cpu"), items[0].device)
    dtype = compat.result_type(*items) if len(items) > 1 else items[0].dtype
    return torch.stack([item.to(device=device, dtype=dtype) for item in items])
