"""Between NumPy and MLX, without a loss that MLX would be silent about: it makes float32 of NumPy's float64."""

from __future__ import annotations

from typing import Any, Final

import mlx.core as mx
import numpy as np

from anyjac_plugins import NotSupportedError

DTYPES: Final[dict[str, mx.Dtype]] = {
    "bool": mx.bool_,
    **{name: getattr(mx, name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: getattr(mx, name) for name in ("float16", "bfloat16", "float32", "float64", "complex64")},
}
"""MLX's dtypes by the names that they have in the array API."""


def from_numpy(array: np.ndarray[Any, Any] | np.generic, dtype: mx.Dtype | None = None) -> mx.array:
    """Return NumPy's array as one of MLX, of the same dtype where none is asked for.

    Raises
    ------
    NotSupportedError
        For a dtype that MLX lacks.
    """
    if dtype is None and array.dtype.name not in DTYPES:
        raise NotSupportedError(f"MLX has no dtype {array.dtype.name}; name another one for the array")
    return mx.array(np.asarray(array), dtype=DTYPES[array.dtype.name] if dtype is None else dtype)


def to_numpy(array: mx.array) -> np.ndarray[Any, Any]:
    """Return an array on the host, apart from MLX's own memory; bfloat16, which NumPy lacks, as float32."""
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
