"""The array-API namespace of the torch backend: array-api-compat's, with mends where torch would lose a derivative.

`torch.asarray` makes constants of the tensors in a list and `torch.linspace` of its ends, without a word.
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
    for function in (asarray, full, full_like, linspace):
        setattr(namespace, function.__name__, function)
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


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> torch.Tensor:
    """Fill a new tensor; differentiable in `fill_value`."""
    if not isinstance(fill_value, torch.Tensor):
        filled: torch.Tensor = compat.full(shape, fill_value, dtype=dtype, device=device)
        return filled
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    filled_out: torch.Tensor = fill_value.to(dtype=dtype, device=device).expand(lengths).clone()
    return filled_out


def full_like(x: torch.Tensor, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> torch.Tensor:
    """Fill a new tensor in the shape of `x`; differentiable in `fill_value`."""
    where = x.device if device is None else device
    return full(tuple(x.shape), fill_value, dtype=x.dtype if dtype is None else dtype, device=where)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> torch.Tensor:
    """Return evenly spaced numbers; differentiable in both ends."""
    ends = [end for end in (start, stop) if isinstance(end, torch.Tensor)]
    if not ends:
        spaced: torch.Tensor = compat.linspace(start, stop, num, dtype=dtype, device=device, endpoint=endpoint)
        return spaced
    of_weights = compat.result_type(*ends) if len(ends) > 1 else ends[0].dtype
    where = ends[0].device if device is None else device
    weights = compat.linspace(0.0, 1.0, num, dtype=of_weights, device=where, endpoint=endpoint)
    values: torch.Tensor = start * (1 - weights) + stop * weights
    return values.to(dtype=dtype)


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
