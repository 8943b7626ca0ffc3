"""Walks through graphs of `torch.autograd`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from anyjac_plugins import Array

AccumulateGrad: Any = torch._C._functions.AccumulateGrad  # type: ignore[attr-defined]
"""The node of a leaf, which it has as its ``variable``."""


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
