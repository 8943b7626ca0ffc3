"""Tensors, and functions with a backward of their own, as users of PyTorch write them."""

from typing import Any

import torch


def tensor(values: Any, *, requires_grad: bool = False) -> torch.Tensor:
    """Return numbers as a tensor of float64."""
    return torch.tensor(values, dtype=torch.float64, requires_grad=requires_grad)


class HiddenSquare(torch.autograd.Function):
    """A square whose backward computes with NumPy, of which PyTorch knows nothing."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return torch.from_numpy(2.0 * cotangent.detach().numpy() * x.detach().numpy())
