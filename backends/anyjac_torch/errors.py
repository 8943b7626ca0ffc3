"""Errors of PyTorch for tensors in the wrong place, and their meaning."""

from __future__ import annotations

import re
from typing import Final

_NUMPY: Final = re.compile(
    r"Can't call numpy\(\) on Tensor|Cannot access data pointer of Tensor|'numpy\.ndarray' and 'Tensor'"
)
_NUMBER: Final = "get value out of a tracing tensor"
_ARGUMENT: Final = re.compile(r"must be (a )?Tensor, not|[Ee]xpected (a )?Tensor|'Tensor'|tuple of Tensors")


def explained(error: Exception) -> str | None:
    """Return what is meant by an error; None where there is nothing to say."""
    if _NUMBER in str(error):
        return (
            f"a compiled function asks a tensor for its number, for a branch, a shape or an index perhaps, which "
            f"differs from call to call: write torch.where, or name the argument in static_argnums ({error})"
        )
    if _NUMPY.search(str(error)) is None:
        return None
    return (
        f"NumPy and a tensor that is differentiated meet: use functions of torch, or those of "
        f"anyjac.array_namespace(x), and make constants tensors, by their asarray ({error})"
    )


def refuses(error: Exception) -> bool:
    """Return whether an error is what PyTorch says of an argument that is none of its tensors."""
    return _ARGUMENT.search(str(error)) is not None
