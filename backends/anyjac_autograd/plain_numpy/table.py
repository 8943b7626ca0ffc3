"""Which functions of NumPy take autograd's boxes, and how: three tables by function; whatever is in none is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from .computations import COMPUTATIONS
from .moves import MOVES
from .reductions import REDUCTIONS

Function = Callable[..., Any]

DIFFERENTIABLE: Final[dict[Function, Function]] = {**MOVES, **REDUCTIONS, **COMPUTATIONS}
"""Differentiable functions, by function of NumPy."""

CONSTANT: Final = frozenset(
    {
        *(np.all, np.allclose, np.any, np.argmax, np.argmin, np.argpartition, np.argsort, np.argwhere, np.around),
        *(np.array2string, np.array_equal, np.array_equiv, np.array_repr, np.array_str, np.can_cast, np.common_type),
        *(np.count_nonzero, np.digitize, np.empty_like, np.fix, np.flatnonzero, np.iscomplex, np.iscomplexobj),
        *(np.isclose, np.isin, np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.lexsort),
        *(np.linalg.matrix_rank, np.may_share_memory, np.min_scalar_type, np.nanargmax, np.nanargmin, np.ndim),
        *(np.nonzero, np.ones_like, np.result_type, np.round, np.searchsorted, np.shape, np.shares_memory, np.size),
        *(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, np.zeros_like),
    }
)
"""Functions whose results change nowhere, or in jumps alone."""

WRITING: Final = frozenset(
    {np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask},
)
"""Functions that write into an array."""
