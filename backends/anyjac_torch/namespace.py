"""The array-API namespace of the torch backend: array-api-compat's, with mends where that leaves the standard.

`torch.asarray` makes constants of the tensors in a list and `torch.linspace` of its ends, without a word. Torch has no
derivative for the quotient rounded down, which is constant between its jumps, nor for unique values; it
takes any two integers, or floats, for castable; its standard deviation takes no correction but an integer; and the
derivatives of four are on the wrong sheet on one side of each branch cut, see `inverses`.
"""

from __future__ import annotations

import types
from typing import Any, Final, NamedTuple

import array_api_compat.torch as compat
import torch

from .inverses import INVERSES


def build_namespace() -> types.ModuleType:
    """Make the namespace."""
    namespace = types.ModuleType("anyjac_torch.array_api")
    for name in dir(compat):
        setattr(namespace, name, getattr(compat, name))
    for function in (asarray, can_cast, floor_divide, full, full_like, linspace, std, *UNIQUE):
        setattr(namespace, function.__name__, function)
    for name, inverse in INVERSES.items():
        setattr(namespace, name, inverse)
    namespace.moveaxis = torch.movedim  # type: ignore[attr-defined]
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


def can_cast(from_: Any, to: torch.dtype, /) -> bool:
    """Return whether promotion leads from one dtype, or that of a tensor, to another."""
    given = from_.dtype if isinstance(from_, torch.Tensor) else from_
    try:
        return bool(compat.result_type(given, to) == to)
    except TypeError:  # no promotion leads anywhere from both
        return False


def std(
    x: torch.Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False, **options: Any
) -> torch.Tensor:
    """Return the standard deviation."""
    deviation: torch.Tensor = torch.sqrt(compat.var(x, axis=axis, correction=correction, keepdims=keepdims, **options))
    return deviation


def floor_divide(x1: Any, x2: Any, /) -> torch.Tensor:
    """Divide and round down: constant between jumps."""
    quotient: torch.Tensor = compat.floor_divide(_constant(x1), _constant(x2))
    return quotient


def _constant(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x


# ---- unique values -------------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """The results of `unique_all`."""

    values: torch.Tensor
    indices: torch.Tensor
    inverse_indices: torch.Tensor
    counts: torch.Tensor


class UniqueCounts(NamedTuple):
    """The results of `unique_counts`."""

    values: torch.Tensor
    counts: torch.Tensor


class UniqueInverse(NamedTuple):
    """The results of `unique_inverse`."""

    values: torch.Tensor
    inverse_indices: torch.Tensor


def unique_all(x: torch.Tensor, /) -> UniqueAll:
    """Return the distinct values, each from where it first occurs, so that derivatives go there."""
    plain = x.detach().reshape(-1)
    if plain.is_complex():  # which torch.unique does not take, but as rows of two numbers
        _, inverse, counts = torch.unique(torch.view_as_real(plain), return_inverse=True, return_counts=True, dim=0)
    else:
        _, inverse, counts = torch.unique(plain, return_inverse=True, return_counts=True)
    numbers = torch.arange(plain.numel(), device=x.device)
    first = torch.full_like(counts, plain.numel()).scatter_reduce(0, inverse, numbers, "amin")
    return UniqueAll(x.reshape(-1)[first], first, inverse.reshape(x.shape), counts)


def unique_counts(x: torch.Tensor, /) -> UniqueCounts:
    """Return the distinct values, and how often each occurs."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: torch.Tensor, /) -> UniqueInverse:
    """Return the distinct values, and the index of the value of each element of `x`."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: torch.Tensor, /) -> torch.Tensor:
    """Return the distinct values."""
    return unique_all(x).values


UNIQUE: Final = (unique_all, unique_counts, unique_inverse, unique_values)


# ---- nested lists --------------------------------------------------------------------------------------------------


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
