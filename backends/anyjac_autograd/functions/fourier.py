"""The array API's Fourier transforms for autograd's boxes, all of them from one differentiable transform of one axis.

Real transforms are made of complex ones: a real input has a Hermitian spectrum, of which `rfft` keeps one half.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import autograd.numpy as anp
import numpy as np
from autograd.extend import def_linear, defvjp, primitive

from .elementwise import as_complex

Array = Any
Norm = Literal["backward", "ortho", "forward"]
Axes = Sequence[int] | None


@primitive  # type: ignore[untyped-decorator]
def unscaled_transform(x: Array, inverse: bool) -> Array:
    """Return the unscaled transform of the last axis: sums with ``exp(-2 pi i j k / n)``; plus for the inverse."""
    return np.fft.ifft(x, norm="forward") if inverse else np.fft.fft(x)


# The matrix of the transform is symmetric, so it is its own transpose.
defvjp(unscaled_transform, lambda ans, x, inverse: lambda g: unscaled_transform(g, inverse), argnums=(0,))
def_linear(unscaled_transform)


def _scale(norm: Norm, length: int, *, inverse: bool) -> float:
    full: dict[str, bool] = {"backward": inverse, "forward": not inverse}
    return length**-0.5 if norm == "ortho" else 1.0 / length if full[norm] else 1.0


def _resized(x: Array, length: int) -> Array:
    """Cut the last axis off or fill it up with zeros."""
    missing = length - x.shape[-1]
    if missing <= 0:
        return x[..., :length]
    return anp.concatenate([x, np.zeros((*x.shape[:-1], missing), x.dtype)], -1)


def _one_axis(x: Array, n: int | None, axis: int, norm: Norm, *, inverse: bool) -> Array:
    length = x.shape[axis] if n is None else n
    moved = _resized(as_complex(anp.moveaxis(x, axis, -1)), length)
    return anp.moveaxis(unscaled_transform(moved, inverse) * _scale(norm, length, inverse=inverse), -1, axis)


def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    return _one_axis(x, n, axis, norm, inverse=False)


def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    return _one_axis(x, n, axis, norm, inverse=True)


def rfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    length = x.shape[axis] if n is None else n
    spectrum = anp.moveaxis(fft(x, n=length, axis=axis, norm=norm), axis, -1)
    return anp.moveaxis(spectrum[..., : length // 2 + 1], -1, axis)


def irfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    length = 2 * (x.shape[axis] - 1) if n is None else n
    half = _resized(as_complex(anp.moveaxis(x, axis, -1)), length // 2 + 1)
    mirrored = anp.conj(half[..., 1 : (length + 1) // 2][..., ::-1])
    real_ends = [half[..., :1]] if length % 2 else [half[..., :1], half[..., -1:]]
    ends = [as_complex(anp.real(end)) for end in real_ends]
    middle = half[..., 1 : (length + 1) // 2]
    spectrum = anp.concatenate([ends[0], middle, *ends[1:], mirrored], -1)
    return anp.moveaxis(anp.real(ifft(spectrum, norm=norm)), -1, axis)


_CONJUGATE_NORM: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def hfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    return irfft(anp.conj(x), n=n, axis=axis, norm=_CONJUGATE_NORM[norm])


def ihfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    return anp.conj(rfft(x, n=n, axis=axis, norm=_CONJUGATE_NORM[norm]))


def _lengths(x: Array, s: Sequence[int] | None, axes: Axes) -> list[tuple[int, int]]:
    """Return pairs of axis and length for a transform of several axes."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    return [(axis, x.shape[axis] if s is None else s[index]) for index, axis in enumerate(axes)]


def fftn(x: Array, /, *, s: Sequence[int] | None = None, axes: Axes = None, norm: Norm = "backward") -> Array:
    return functools.reduce(lambda y, pair: fft(y, n=pair[1], axis=pair[0], norm=norm), _lengths(x, s, axes), x)


def ifftn(x: Array, /, *, s: Sequence[int] | None = None, axes: Axes = None, norm: Norm = "backward") -> Array:
    return functools.reduce(lambda y, pair: ifft(y, n=pair[1], axis=pair[0], norm=norm), _lengths(x, s, axes), x)


def rfftn(x: Array, /, *, s: Sequence[int] | None = None, axes: Axes = None, norm: Norm = "backward") -> Array:
    *others, (axis, length) = _lengths(x, s, axes)
    half = rfft(x, n=length, axis=axis, norm=norm)
    return functools.reduce(lambda y, pair: fft(y, n=pair[1], axis=pair[0], norm=norm), others, half)


def irfftn(x: Array, /, *, s: Sequence[int] | None = None, axes: Axes = None, norm: Norm = "backward") -> Array:
    *others, (axis, length) = _lengths(x, s, axes)
    spectrum = functools.reduce(lambda y, pair: ifft(y, n=pair[1], axis=pair[0], norm=norm), others, x)
    return irfft(spectrum, n=2 * (length - 1) if s is None else length, axis=axis, norm=norm)


def _rolled(x: Array, axes: int | Sequence[int] | None, *, sign: int) -> Array:
    listed = range(x.ndim) if axes is None else [int(a) for a in np.atleast_1d(axes)]
    half = {axis: x.shape[axis] // 2 for axis in listed}
    return functools.reduce(lambda y, axis: anp.roll(y, sign * half[axis], axis), listed, x)


def fftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    return _rolled(x, axes, sign=1)


def ifftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    return _rolled(x, axes, sign=-1)


FFT: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (fft, ifft, fftn, ifftn, rfft, irfft, rfftn, irfftn, hfft, ihfft, fftshift, ifftshift)
}
