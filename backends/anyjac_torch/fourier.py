"""Fourier transforms of PyTorch that take stacks of no arrays too, which its library refuses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import array_api_compat.torch
import torch

compat: Any = array_api_compat.torch  # much of it is made at run time, which type checkers do not see
Transform = Callable[..., torch.Tensor]


def _of_one_axis(name: str) -> Transform:
    plain: Transform = getattr(compat.fft, name)

    @functools.wraps(plain)
    def transform(
        x: torch.Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward", **options: Any
    ) -> torch.Tensor:
        run = functools.partial(plain, n=n, axis=axis, norm=norm, **options)
        return _run(run, x, [axis])

    return transform


def _of_several_axes(name: str) -> Transform:
    plain: Transform = getattr(compat.fft, name)

    @functools.wraps(plain)
    def transform(
        x: torch.Tensor,
        /,
        *,
        s: Sequence[int] | None = None,
        axes: Sequence[int] | None = None,
        norm: str = "backward",
        **options: Any,
    ) -> torch.Tensor:
        run = functools.partial(plain, s=s, axes=axes, norm=norm, **options)
        count = x.ndim if s is None else len(s)
        return _run(run, x, range(x.ndim - count, x.ndim) if axes is None else axes)

    return transform


def _run(transform: Transform, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """Transform a stack of arrays; where the stack is empty, by the shape of a transformed stack of one."""
    if x.numel():
        return transform(x)
    transformed = {axis % x.ndim for axis in axes if -x.ndim <= axis < x.ndim}
    if all(length for axis, length in enumerate(x.shape) if axis not in transformed):
        return transform(x)
    one = transform(x.new_zeros([length if axis in transformed else 1 for axis, length in enumerate(x.shape)]))
    lengths = [one.shape[axis] if axis in transformed else length for axis, length in enumerate(x.shape)]
    return one.new_zeros(lengths)


FFT: Final[Mapping[str, Transform]] = {
    **{name: _of_one_axis(name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{name: _of_several_axes(name) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
}
"""The transforms by their names in the standard."""
