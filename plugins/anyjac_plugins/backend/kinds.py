"""Kinds of dtypes: which arrays are complex, and of which dtype a block is. Holds no array."""

from __future__ import annotations

import functools
from typing import Any, Final

from .arrays import ArrayMembers
from .types import Array

REAL: Final = "real floating"
COMPLEX_KIND: Final = "complex floating"


@functools.lru_cache(maxsize=64)
def kind_of_dtype(backend: ArrayMembers, dtype: Any) -> str:
    """Return what a backend says of a dtype, which never changes, and takes longer to ask than to remember."""
    return backend.dtype_kind(dtype)


def is_complex(backend: ArrayMembers, array: Array) -> bool:
    """Return whether an array of a backend holds complex numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> from anyjac_plugins.backend.kinds import is_complex
    >>> is_complex(anyjac.get_backend("numpy"), np.array(1j))
    True
    """
    return kind_of_dtype(backend, array.dtype) == COMPLEX_KIND


def block_like(backend: ArrayMembers, output: Array, primal: Array) -> Array:
    """Return the array whose dtype a block has: the primal, or a complex output of a real primal.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> from anyjac_plugins.backend.kinds import block_like
    >>> block_like(anyjac.get_backend("numpy"), np.ones(2, np.complex128), np.ones(3)).dtype
    dtype('complex128')
    """
    return output if is_complex(backend, output) and not is_complex(backend, primal) else primal
