"""Errors of PyTorch for tensors in the wrong place, and their meaning."""

from __future__ import annotations

import re
from typing import Final

_NUMPY: Final = re.compile(
    r"Can't call numpy\(\) on Tensor|Cannot access data pointer of Tensor|'numpy\.ndarray' and 'Tensor'"
)
_ARGUMENT: Final = re.compile(r"must be (a )?Tensor, not|[Ee]xpected (a )?Tensor|'Tensor'|tuple of Tensors")


def explained(error: Exception) -> str | None:
    """Return what is meant by an error; None where there is nothing to say."""
    if _NUMPY.search(str(error)) is None:
        return None
    return (
        f"NumPy and a tensor that is differentiated meet: use functions of torch, or those of "
        f"anyjac.array_namespace(x), and make constants tensors, by their asarray ({error})"
    )


def refuses(error: Exception) -> bool:
    """Return whether an error is what PyTorch says of an argument that is none of its tensors."""
    return _ARGUMENT.search(str(error)) is not None


def in_short(error: Exception) -> str:
    """Return kind and beginning of an error, in one line, for a warning to quote."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
