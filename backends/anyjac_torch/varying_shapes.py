"""Recorded graphs in which a shape depends on the values of tensors, and which hold for one call alone.

A graph has shapes of the call that was recorded wherever Python has seen them: in ``x.new_zeros(y.shape)``, in a
division by ``len(y)``, in a backward pass. Where ``y`` is ``x[x > 0]``, the next call has another length.
"""

from __future__ import annotations

from typing import Any

import torch

_FLAGS = (torch.bool, torch.uint8)


def operator_with_varying_shape(recorded: Any) -> str | None:
    """Return the name of an operator whose result has a shape that depends on values; None where a graph has none."""
    for node in recorded.graph.nodes:
        tags = getattr(node.target, "tags", ())
        if torch.Tag.dynamic_output_shape in tags and (node.target is not _INDEX or _has_flags(node.args[1])):
            return str(node.target)
    return None


_INDEX: Any = torch.ops.aten.index.Tensor


def _has_flags(indices: Any) -> bool:
    """Return whether a mask is among the indices of ``x[...]``; others have shapes of their own."""
    values = (index.meta.get("val") for index in indices if index is not None)
    return any(getattr(value, "dtype", None) in _FLAGS for value in values)
