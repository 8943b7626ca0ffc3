"""Tensors whose elements share memory, made contiguous before PyTorch's compiler writes to them.

The compiler makes a write to the memory of `base` of ``index_put(base, ...)`` if nobody else needs that memory. It does
not ask whether elements of `base` share a place there. Those of ``zeros.expand(rows, n)`` do, to which the backward
passes of `torch.index_select`, `torch.take` and their like are scattered for many rows at once: each row then got the
sum of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch

from anyjac_plugins import Array

VERSION: Final = "anyjac: contiguous bases, 1"
"""Names what `make_bases_contiguous` does, among the keys of the compiler's cache."""

_WRITING: Final = frozenset(
    {
        "_unsafe_index_put",
        "as_strided_scatter",
        "diagonal_scatter",
        "index_put",
        "select_scatter",
        "slice_scatter",
    }
)
"""Operators that the compiler turns into writes to their first argument."""


def make_bases_contiguous(graph: Any) -> None:
    """Copy, in a graph that is about to be compiled, each base of a write whose elements share memory."""
    for node, base in list(_written_bases(graph)):
        with graph.inserting_before(node):
            copy = graph.call_function(
                torch.ops.aten.clone.default, (base,), {"memory_format": torch.contiguous_format}
            )
        copy.meta["val"] = base.meta["val"].clone(memory_format=torch.contiguous_format)
        node.update_arg(0, copy)


def _written_bases(graph: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the steps that will be writes to a base whose elements share memory, and those bases."""
    for node in graph.nodes:
        name = getattr(node.target, "__name__", "").partition(".")[0]
        if node.op == "call_function" and name in _WRITING:
            value = node.args[0].meta.get("val")
            if isinstance(value, torch.Tensor) and shares_memory_within(value):
                yield node, node.args[0]


def shares_memory_within(tensor: Array) -> bool:
    """Return whether two elements of a tensor may stand at the same place in memory."""
    axes = sorted((stride, length) for stride, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1)
    reach = 0
    for stride, length in axes:
        if stride <= reach:
            return True
        reach += stride * (length - 1)
    return False
