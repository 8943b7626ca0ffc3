"""Graphs of `torch.autograd`: walks through them, and their gradients in the contract's terms.

PyTorch's gradients are the conjugate of the contract's for complex numbers, so cotangents are conjugated on their way
in and gradients on their way out; for real tensors that does nothing. Sparse gradients are made dense.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from anyjac_plugins import Array


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
    if tensor._is_zerotensor():  # a mark for zeros that has no memory, which users could not read
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.conj().resolve_conj() if tensor.is_complex() else tensor
