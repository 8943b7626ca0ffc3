"""Functions of the array API that change shapes, and that put arrays together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import mlx.core as mx
import numpy as np

from .conversion import to_numpy
from .lifting import lift

SAME: Final = ("broadcast_to", "flip", "moveaxis", "permute_dims", "squeeze", "stack", "tile", "unstack")
"""Functions that MLX has under the name, and with the meaning, that the array API gives them."""


def broadcast_arrays(*arrays: mx.array) -> list[mx.array]:
    """Return the arrays in their common shape."""
    return list(mx.broadcast_arrays(*arrays))


def concat(arrays: Sequence[mx.array], /, *, axis: int | None = 0) -> mx.array:
    """Join arrays along an axis that they have, in the dtype to which they are promoted."""
    dtype = mx.result_type(*arrays)
    return mx.concatenate([array.astype(dtype) for array in arrays], axis=axis)


def expand_dims(x: mx.array, /, *, axis: int | Sequence[int] = 0) -> mx.array:
    """Insert axes of length one."""
    return mx.expand_dims(x, axis)


def reshape(x: mx.array, /, shape: Sequence[int], *, copy: bool | None = None) -> mx.array:
    """Return the elements in another shape."""
    return mx.reshape(x, shape)


def repeat(x: mx.array, repeats: Any, /, *, axis: int | None = None) -> mx.array:
    """Repeat elements, each as often as an integer says, or one integer for each."""
    if isinstance(repeats, int):
        return mx.repeat(x, repeats, axis=axis)
    flat = mx.reshape(x, (-1,)) if axis is None else x
    places = np.repeat(np.arange(flat.shape[axis or 0]), to_numpy(repeats))
    return mx.take(flat, mx.array(places), axis=axis or 0)


def roll(x: mx.array, /, shift: int | Sequence[int], *, axis: int | Sequence[int] | None = None) -> mx.array:
    """Shift elements along axes; what leaves at one end comes in at the other."""
    if not math.prod(x.shape):
        return x
    rolled: Any = mx.roll  # whose annotations forbid more than one axis
    return rolled(x, shift if isinstance(shift, int) else tuple(shift), axis)  # type: ignore[no-any-return]


def diff(
    x: mx.array, /, *, axis: int = -1, n: int = 1, prepend: mx.array | None = None, append: mx.array | None = None
) -> mx.array:
    """Return differences of neighbours, taken `n` times."""
    parts = [part for part in (prepend, x, append) if part is not None]
    joined = mx.concatenate(parts, axis=axis) if len(parts) > 1 else x
    return mx.diff(joined, n, axis)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **{name: lift(getattr(mx, name)) for name in SAME},
    **{f.__name__: lift(f) for f in (broadcast_arrays, concat, diff, expand_dims, repeat, reshape, roll)},
    "broadcast_shapes": mx.broadcast_shapes,
}
"""The functions of this module by their names in the array API."""
