"""Errors of PyTorch for tensors in the wrong place, and their meaning."""

from __future__ import annotations

import re
from typing import Final

_NUMPY: Final = re.compile(
    r"Can't call numpy\(\) on Tensor|Cannot access data pointer of Tensor|'numpy\.ndarray' and 'Tensor'"
)
_ARGUMENT: Final = re.compile(r"must be (a )?Tensor, not|[Ee]xpected (a )?Tensor|'Tensor'|tuple of Tensors")

_UNMAPPED: Final = (
    (
        re.compile(r"\.item\(\)|data-dependent control flow|data pointer", re.IGNORECASE),
        "it branches on the numbers of an example, or hands them to Python; torch.where, and indices that are tensors, "
        "can be mapped",
    ),
    (
        re.compile("dynamic shape"),
        "the shape of a result goes by the numbers of an example, as that of x[mask] does; torch.where(mask, x, 0) can "
        "be mapped",
    ),
    (
        re.compile("inplace randomness"),
        "it draws random numbers into a tensor that the examples share; torch.rand and torch.randn can be mapped",
    ),
    (
        re.compile("same randomness with a batched"),
        "it draws the same numbers for probabilities that differ; numbers that are drawn before the call, and passed "
        "with None in in_axes, can be mapped",
    ),
    (
        re.compile(r"doesn't match the broadcast shape|there exists a Tensor|work on out=|updated in place"),
        "it writes in place to a tensor that the examples share; results put together by torch.stack, and writes to "
        "torch.zeros_like(x), can be mapped",
    ),
    (
        re.compile("setup_context"),
        "an autograd.Function in it has no rule for maps, as generate_vmap_rule and setup_context give it",
    ),
)
"""What PyTorch says of functions that it cannot map, what it means, and what can be mapped in their place."""


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


def why_unmapped(error: Exception) -> str:
    """Return what of a function PyTorch could not map, the mend, and what PyTorch says."""
    said = str(error)
    known = next((words for pattern, words in _UNMAPPED if pattern.search(said)), None)
    return f"it says {in_short(error)}" if known is None else f"{known} ({in_short(error)})"


def in_short(error: Exception) -> str:
    """Return kind and beginning of an error, in one line, for a warning to quote."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
