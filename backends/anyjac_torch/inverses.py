"""Inverse sines and cosines whose derivatives are on the sheet of their values, for complex numbers too.

PyTorch takes a square root of ``1 - z**2``, or the like, in which the sign of a zero is lost: on one side of each
branch cut the derivative is that of the other side. Here the value is PyTorch's, and the derivatives of all orders are
those of ``log(z + sqrt(z - 1) * sqrt(z + 1))``, the inverse of ``cosh``, whose parts PyTorch differentiates by their
values. The other three are turned into it. `torch.acos` and its like, as users call them, stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch

Function = Callable[[torch.Tensor], torch.Tensor]


def _acosh(z: torch.Tensor) -> torch.Tensor:
    below, above = torch.complex(z.real - 1, z.imag), torch.complex(z.real + 1, z.imag)
    return torch.log(z + torch.sqrt(below) * torch.sqrt(above))


def _acos(z: torch.Tensor) -> torch.Tensor:
    turned = _acosh(z)
    side = torch.where(torch.signbit(z.detach().imag), 1.0, -1.0).to(z.real.dtype)
    return torch.complex(-side * turned.imag, side * turned.real)


def _asin(z: torch.Tensor) -> torch.Tensor:
    return math.pi / 2 - _acos(z)


def _asinh(z: torch.Tensor) -> torch.Tensor:
    turned = _asin(torch.complex(-z.imag, z.real))
    return torch.complex(turned.imag, -turned.real)


def _with_slopes_of(plain: Function, formula: Function) -> Function:
    """Return a function with the values of one and the derivatives of the other, which has nearly the same values."""

    def inverse(x: torch.Tensor, /) -> torch.Tensor:
        if not x.is_complex():
            return plain(x)
        value, same = plain(x).detach(), formula(x)
        vanishing = torch.where(torch.isfinite(same.detach()), same.detach() - same, 0)
        # By parts, since a difference of complex numbers loses the sign of a zero in PyTorch.
        return torch.complex(value.real - vanishing.real, value.imag - vanishing.imag)

    inverse.__name__, inverse.__doc__ = plain.__name__, plain.__doc__
    return inverse


INVERSES: Final[Mapping[str, Function]] = {
    alias: _with_slopes_of(plain, formula)
    for plain, formula in ((torch.acos, _acos), (torch.acosh, _acosh), (torch.asin, _asin), (torch.asinh, _asinh))
    for alias in (plain.__name__, plain.__name__.replace("a", "arc", 1))
}
"""The functions by their names in the standard, and by NumPy's."""
