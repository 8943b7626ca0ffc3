"""The array-API namespace of the torch backend: array-api-compat's, with mends where that leaves the standard.

`torch.asarray` makes constants of the tensors in a list and `torch.linspace` of its ends, without a word. Torch has no
derivative for the quotient rounded down, which is constant between its jumps, nor for unique values; it
takes any two integers, or floats, for castable; its standard deviation takes no correction but an integer; and the
derivatives of four are on the wrong sheet on one side of each branch cut, see `inverses`.

Mapped over an axis, torch has no rule for `moveaxis`, for writing by a mask or for the imaginary part of a conjugate;
and where a function wants more axes than an element has, it may take the mapped one, without a word.
"""

from __future__ import annotations

import contextlib
import math
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import array_api_compat.torch
import torch

from anyjac_plugins.errors import NotSupportedError

from .fourier import FFT
from .inverses import INVERSES
from .torch_func import mapped_levels

compat: Any = array_api_compat.torch  # much of it is made at run time, which type checkers do not see


def build_namespace() -> types.ModuleType:
    """Make the namespace."""
    namespace = types.ModuleType("anyjac_torch.array_api")
    for name in dir(compat):
        setattr(namespace, name, getattr(compat, name))
    for function in (*_CREATION, *_ARITHMETIC, *_BY_VALUES):
        setattr(namespace, function.__name__, function)
    for name, inverse in INVERSES.items():
        setattr(namespace, name, inverse)
    namespace.moveaxis = torch.movedim  # type: ignore[attr-defined]
    namespace.linalg = _module("linalg", compat.linalg, _LINEAR_ALGEBRA)  # type: ignore[attr-defined]
    namespace.fft = _module("fft", compat.fft, FFT)  # type: ignore[attr-defined]
    return namespace


def _module(name: str, plain: types.ModuleType, mends: Mapping[str, Any]) -> types.ModuleType:
    module = types.ModuleType(f"anyjac_torch.array_api.{name}")
    for attribute in dir(plain):
        setattr(module, attribute, mends.get(attribute, getattr(plain, attribute)))
    return module


# ---- creation and dtypes -------------------------------------------------------------------------------------------


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


# ---- arithmetic and shapes -------------------------------------------------------------------------------------------


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


def sign(x: torch.Tensor, /) -> torch.Tensor:
    """Return the sign, NaN for NaN, and for complex numbers ``x / abs(x)``."""
    if x.dtype.is_complex:
        zero = x.detach() == 0
        return torch.where(zero, 0, x / torch.abs(torch.where(zero, 1, x)))
    found = torch.sign(x)
    return torch.where(torch.isnan(x), torch.nan, found) if x.dtype.is_floating_point else found


def imag(x: torch.Tensor, /) -> torch.Tensor:
    """Return the imaginary part."""
    return torch.imag(x.resolve_conj())


def vecdot(x1: torch.Tensor, x2: torch.Tensor, /, *, axis: int = -1) -> torch.Tensor:
    """Multiply vectors, the first of them conjugated."""
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"x1 and x2 have {x1.shape[axis]} and {x2.shape[axis]} elements along axis {axis}")
    dtype = compat.result_type(x1, x2)
    left, right = x1.to(dtype), x2.to(dtype)
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.sum(left * right, dim=axis, dtype=dtype)
    product: torch.Tensor = torch.linalg.vecdot(left, right, dim=axis)
    return product


def solve(x1: torch.Tensor, x2: torch.Tensor, /) -> torch.Tensor:
    """Solve linear equations; a right side of one axis is a vector, mapped or not."""
    columns = x2[:, None] if x2.ndim == 1 else x2
    # PyTorch mistakes a mapped axis for one of these.
    stack = torch.broadcast_shapes(x1.shape[:-2], columns.shape[:-2])  # type: ignore[no-untyped-call]
    dtype = compat.result_type(x1, x2)
    sides = [side.to(dtype).expand(*stack, *side.shape[-2:]) for side in (x1, columns)]
    solution: torch.Tensor = torch.linalg.solve(*sides)
    return solution[..., 0] if x2.ndim == 1 else solution


def vector_norm(x: torch.Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> torch.Tensor:
    """Return norms of vectors; the greatest magnitude of none is 0."""
    if ord == math.inf and not x.numel():
        return torch.sum(torch.abs(x), dim=axis, keepdim=keepdims)
    norm: torch.Tensor = compat.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
    return norm


def argmax(x: torch.Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> torch.Tensor:
    """Return where the greatest elements are."""
    return _found_by(compat.argmax, x, axis, keepdims)


def argmin(x: torch.Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> torch.Tensor:
    """Return where the least elements are."""
    return _found_by(compat.argmin, x, axis, keepdims)


def _found_by(search: Callable[..., torch.Tensor], x: torch.Tensor, axis: int | None, keepdims: bool) -> torch.Tensor:
    if axis is None and keepdims:
        return search(x).reshape((1,) * x.ndim)
    return search(x, axis=axis, keepdims=keepdims)


def unstack(x: torch.Tensor, /, *, axis: int = 0) -> tuple[torch.Tensor, ...]:
    """Take an array apart along an axis."""
    return tuple(torch.unbind(_with_axes(x, 1, "unstack"), axis))


def roll(x: torch.Tensor, /, shift: Any, *, axis: Any = None) -> torch.Tensor:
    """Shift elements along axes, in a circle."""
    return torch.roll(x, shift, axis) if x.ndim else x.clone()


def tril(x: torch.Tensor, /, *, k: int = 0) -> torch.Tensor:
    """Return the lower triangle of each matrix."""
    return torch.tril(_with_axes(x, 2, "tril"), k)


def triu(x: torch.Tensor, /, *, k: int = 0) -> torch.Tensor:
    """Return the upper triangle of each matrix."""
    return torch.triu(_with_axes(x, 2, "triu"), k)


def _with_axes(x: torch.Tensor, count: int, name: str) -> torch.Tensor:
    if x.ndim < count:
        raise ValueError(f"{name} needs an array of {count} axes or more, and got one of shape {tuple(x.shape)}")
    return x


def _constant(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x


# ---- shapes that depend on values ------------------------------------------------------------------------------------


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


def nonzero(x: torch.Tensor, /) -> tuple[torch.Tensor, ...]:
    """Return where elements are not zero, axis by axis."""
    with _refused_where_mapped("nonzero", x):
        indices: tuple[torch.Tensor, ...] = torch.nonzero(_with_axes(x, 1, "nonzero"), as_tuple=True)
        return indices


def repeat(x: torch.Tensor, repeats: Any, /, *, axis: int | None = None) -> torch.Tensor:
    """Repeat elements, each as often as `repeats` says."""
    with _refused_where_mapped("repeat", x, repeats):
        repeated: torch.Tensor = compat.repeat(x, repeats, axis=axis)
        return repeated


@contextlib.contextmanager
def _refused_where_mapped(name: str, *arguments: Any) -> Iterator[None]:
    """Name a function whose result has a shape that depends on values, where PyTorch cannot map it over them."""
    try:
        yield
    except RuntimeError as error:
        if not any(isinstance(argument, torch.Tensor) and mapped_levels(argument) for argument in arguments):
            raise
        raise NotSupportedError(
            f"{name} on backend 'torch' cannot be mapped over an axis, since the shape of its result depends on the "
            "values of each element; call it outside of vmap, or in a Python loop over the elements"
        ) from error


def unique_all(x: torch.Tensor, /) -> UniqueAll:
    """Return the distinct values, each from where it first occurs, so that derivatives go there."""
    plain = x.detach().reshape(-1)
    with _refused_where_mapped("unique_all", plain):
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


_CREATION: Final = (asarray, can_cast, full, full_like, linspace)
_ARITHMETIC: Final = (argmax, argmin, floor_divide, imag, roll, sign, std, tril, triu, unstack, vecdot)
_LINEAR_ALGEBRA: Final = {"solve": solve, "vecdot": vecdot, "vector_norm": vector_norm}
_BY_VALUES: Final = (nonzero, repeat, unique_all, unique_counts, unique_inverse, unique_values)


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
