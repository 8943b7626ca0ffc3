"""Whether results of generated code are those of the operators that were recorded, within rounding.

The compiler may add numbers in another order. So much is allowed for as recorded results change where inputs do in
their last digits. Knows tensors and graphs alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from anyjac_plugins import Array

RELATIVE: Final = 0.5
"""Power of the precision by which an element may be off, in units of itself."""
ABSOLUTE: Final = 0.75
"""The same, in units of the greatest element."""
NOISE: Final = 100.0
"""By how many changes of the results an element may be off, where inputs change in their last digits."""

AT_ONCE: Final = 2**22
"""Elements that are compared at once."""

Rerun = Callable[[Sequence[Array]], Sequence[Array]]
"""Runs the recorded operators on other inputs, with the same random numbers, and leaves nothing changed."""


def difference(
    found: Sequence[Array], expected: Sequence[Array], recorded: Any, inputs: Sequence[Array], rerun: Rerun
) -> str | None:
    """Return a description of the first result that is not as recorded; None where all are.

    Parameters
    ----------
    recorded
        The graph. Tensors that the run has written may follow the results of the graph.
    inputs
        The tensors that the results were computed of.
    """
    precision = _precision(recorded)
    wanted = _results_with_values(recorded, len(expected))
    found, expected = _plain(found), _plain(expected)
    suspects = [number for number in wanted if not _agree(found[number], expected[number], precision)]
    if not suspects:
        return None
    again = _plain(rerun([tensor.clone() for tensor in inputs]))
    unlike = [number for number in suspects if not _agree(again[number], expected[number], precision)]
    if unlike:  # as where the function has set a state of random numbers, which is no step of a graph
        return f"the recorded operators do not repeat result {unlike[0]}"
    nudged = [_plain(rerun([_nudged(tensor, precision, phase) for tensor in inputs])) for phase in (0.0, 1.0, 2.0)]
    for number in suspects:
        noise = [_distance(results[number], expected[number]) for results in nudged]
        described = _described(found[number], expected[number], precision, noise)
        if described is not None:
            return f"result {number} {described}"
    return None


# ---- graphs ----------------------------------------------------------------------------------------------------------

_PASSING_ON: Final = ("_to_copy", "alias", "clone", "detach", "expand", "output", "reshape", "view")


def _precision(recorded: Any) -> float:
    """Return the precision of the least precise floats in a graph; 0 where there are none."""
    values = [node.meta.get("val") for node in recorded.graph.nodes]
    dtypes = {value.dtype for value in values if isinstance(value, torch.Tensor)}
    return max((torch.finfo(dtype).eps for dtype in dtypes if dtype.is_floating_point or dtype.is_complex), default=0.0)


def _results_with_values(recorded: Any, count: int) -> list[int]:
    """Return the numbers of the results to be compared: not of those of `torch.empty` to which nothing is written."""
    (results,) = next(node for node in recorded.graph.nodes if node.op == "output").args
    return [number for number in range(count) if number >= len(results) or not _is_empty(results[number])]


def _is_empty(node: Any) -> bool:
    while isinstance(node, torch.fx.Node) and all(_name(user) in _PASSING_ON for user in node.users):
        if _name(node).removeprefix("new_").startswith("empty"):
            return True
        if _name(node) not in _PASSING_ON:
            return False
        node = node.args[0]
    return False


def _name(node: Any) -> str:
    return str(getattr(node.target, "__name__", node.target)).partition(".")[0]


# ---- numbers ---------------------------------------------------------------------------------------------------------


def _plain(tensors: Sequence[Array]) -> list[Array]:
    """Return tensors without graphs, where there are numbers of double precision: MPS has none."""
    plain = [tensor.detach() for tensor in tensors]
    return [tensor.cpu() if tensor.device.type == "mps" else tensor for tensor in plain]


def _agree(mine: Array, recorded: Array, precision: float) -> bool:
    if not _same_kind(mine, recorded):
        return False
    if mine.layout != torch.strided or torch.equal(mine, recorded):
        return True
    greatest = _greatest(recorded)
    parts = (flat.reshape(-1).split(AT_ONCE) for flat in (mine, recorded))
    return all(bool(_is_close(left, right, precision, greatest, 0.0).all()) for left, right in zip(*parts, strict=True))


def _same_kind(mine: Array, recorded: Array) -> bool:
    kinds = [(tensor.shape, tensor.dtype, tensor.device, tensor.layout) for tensor in (mine, recorded)]
    return kinds[0] == kinds[1]


def _greatest(tensor: Array) -> float:
    """Return the greatest finite magnitude; of booleans 1."""
    sizes = _wide(tensor).abs()
    finite = sizes[torch.isfinite(sizes)]
    return float(finite.max()) if finite.numel() else 0.0


def _is_close(mine: Array, recorded: Array, precision: float, greatest: float, allowed: Array | float) -> Array:
    """Return for each element whether it is as recorded, within rounding."""
    size = _wide(recorded).abs().nan_to_num(0.0, 0.0, 0.0)
    return _distance(mine, recorded) <= precision**RELATIVE * size + precision**ABSOLUTE * greatest + allowed


def _distance(left: Array, right: Array) -> Array:
    """Return how far elements are apart: 0 where both are the same or NaN, else infinity where one is not finite."""
    equal = (left == right) | ((left != left) & (right != right))
    apart = (_wide(left) - _wide(right)).abs()
    return torch.where(equal, 0.0, torch.where(torch.isfinite(apart), apart, math.inf))


def _wide(tensor: Array) -> Array:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def _nudged(tensor: Array, precision: float, phase: float) -> Array:
    """Return a tensor with its last digits changed."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return tensor.clone()
    directions = torch.cos(torch.arange(tensor.numel(), device=tensor.device) + phase).reshape(tensor.shape)
    return (tensor + 4.0 * precision * (tensor.abs() + _greatest(tensor)) * directions).to(tensor.dtype)


def _described(mine: Array, recorded: Array, precision: float, noise: Sequence[Array]) -> str | None:
    """Return the first element that is off by more than the noise."""
    if not _same_kind(mine, recorded):
        return f"is of {mine.dtype}{list(mine.shape)}, and as recorded of {recorded.dtype}{list(recorded.shape)}"
    most = torch.stack(list(noise)).amax(0)
    allowed = torch.where(torch.isfinite(most), NOISE * _greatest(most), math.inf)
    wrong = ~_is_close(mine, recorded, precision, _greatest(recorded), allowed)
    wrong |= torch.isfinite(recorded) & ~torch.isfinite(mine)  # whatever noise there is near a pole, a number is better
    if not wrong.any():
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    return f"is {mine[index].item()} at {list(index)}, and {recorded[index].item()} as recorded"
