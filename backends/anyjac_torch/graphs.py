"""Graphs of `torch.autograd`: walks through them, and their gradients in the contract's terms.

PyTorch's gradients are the conjugate of the contract's for complex numbers, so cotangents are conjugated on their way
in and gradients on their way out; for real tensors that does nothing. Sparse gradients are made dense.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import torch

from anyjac_plugins import Array
from anyjac_plugins.errors import NotSupportedError

from .private import is_zero_mark, run_backward

_WITHOUT: Final = re.compile(r"derivative for '?(?:aten::)?(\w+?)'? is not implemented")

_IN_PLACE_OF_ATTENTION: Final = (
    "compute attention within `with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):`, by single "
    "operators"
)


class NoDerivativeError(NotSupportedError):
    """PyTorch has no derivative of an operator, most often one of a backward pass."""


def gradients(
    outputs: Sequence[Array], cotangents: Sequence[Array], roots: Sequence[Array], *, differentiable: bool
) -> tuple[Array | None, ...]:
    """Return the gradients of roots, None for zeros.

    Raises
    ------
    NoDerivativeError
        Naming the operator.
    """
    try:
        return run_backward(outputs, cotangents, roots, differentiable=differentiable)
    except RuntimeError as error:
        found = _WITHOUT.search(str(error))
        if found is None or isinstance(error, NotSupportedError):
            raise
        name = found[1]
        of = f"the backward pass of {name.removesuffix('_backward').strip('_')}" if "_backward" in name else name
        other = _IN_PLACE_OF_ATTENTION if "scaled_dot_product" in name else "write this step with other operators"
        raise NoDerivativeError(
            f"PyTorch has no derivative of {of} ({name}), which this computation needs; {other}, or ask for first "
            f"derivatives alone"
        ) from error


def nodes_behind(tensors: Iterable[Array]) -> Iterator[Any]:
    """Yield each node of the graphs that tensors were computed in, once."""
    pending: list[Any] = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    seen = set(pending)
    while pending:
        node = pending.pop()
        yield node
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)


def conjugated(tensor: Array | None) -> Array | None:
    """Return a cotangent of PyTorch in the contract's terms, or the reverse."""
    if tensor is None:
        return None
    if tensor.is_sparse:  # as the gradient of an embedding may be, while a block is an array like its input
        tensor = tensor.to_dense(masked_grad=False)
    if is_zero_mark(tensor):  # a mark for zeros that has no memory, which users could not read
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.conj().resolve_conj() if tensor.is_complex() else tensor
