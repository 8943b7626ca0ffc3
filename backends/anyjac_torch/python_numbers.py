"""Python's numbers in a function that is recorded: tensors with the digits that the numbers have.

A number is a tensor of the default dtype there, and ``1 / n`` of an integer `n` too, so that digits would be lost where
it meets a tensor of double precision. So each has a companion of double precision, which takes its place then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

from anyjac_plugins import Array

from .private import is_wrapped
from .writes import tensors_in

DOUBLE: Final = (torch.float64, torch.complex128)


class PythonNumbers(TorchFunctionMode):
    """A mode in which numbers that meet tensors of double precision have all their digits.

    Numbers that are differentiated are tensors as any others.

    Parameters
    ----------
    numbers, companions
        The tensors that stand for numbers, and what they are in double precision.
    """

    def __init__(self, numbers: Sequence[Array], companions: Sequence[Array]):
        super().__init__()
        self._known = {id(n): (n, wide) for n, wide in zip(numbers, companions, strict=True)}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator."""
        named = dict(kwargs or {})
        tensors = list(tensors_in((args, tuple(named.values()))))
        if not any(id(tensor) in self._known for tensor in tensors):
            return func(*args, **named)
        others = [tensor for tensor in tensors if id(tensor) not in self._known]
        if not others:
            return self._of_numbers(func, args, named)
        if any(other.dtype in DOUBLE for other in others):
            args, named = _mapped(args, self._precise), _mapped(named, self._precise)
        return func(*args, **named)

    def _of_numbers(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call an operator on numbers alone; the result is a number, unless a dtype was asked for."""
        result = func(*args, **named)
        if not isinstance(result, torch.Tensor) or result.ndim or "dtype" in named or func in _CONVERSIONS:
            return result
        if result.dtype.is_floating_point or result.dtype.is_complex:
            wide = func(*_mapped(args, self._wide), **_mapped(named, self._wide))
            if not (wide.requires_grad or result.requires_grad or is_wrapped(result)):
                self._known[id(result)] = result, wide
        else:
            self._known[id(result)] = result, result
        return result

    def _wide(self, tensor: Array) -> Array:
        _, wide = self._known.get(id(tensor), (tensor, tensor))
        return wide.to(torch.float64) if not (wide.is_floating_point() or wide.is_complex()) else wide

    def _precise(self, tensor: Array) -> Array:
        """Return the companion of a number, unless the number is an integer."""
        if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.requires_grad:
            return tensor
        return self._known.get(id(tensor), (tensor, tensor))[1]


_CONVERSIONS: Final = frozenset(
    {
        torch.Tensor.to,
        torch.Tensor.type,
        torch.Tensor.float,
        torch.Tensor.half,
        torch.Tensor.bfloat16,
        torch.Tensor.requires_grad_,
    }
)


def _mapped(value: Any, change: Callable[[Array], Array]) -> Any:
    """Return arguments with their tensors changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    return value
