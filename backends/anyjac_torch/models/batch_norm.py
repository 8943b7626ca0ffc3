"""Batch normalisation by operators that modes see, for cases in which the kernels would lose the running statistics.

The kernels write statistics without counting up versions, take none that are differentiated, and know neither recorded
graphs nor transforms.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from anyjac_plugins import Array

from ..torch_func import mapped_levels

Replace = Callable[[Array, Array], None]
"""Shows the second tensor instead of the first."""


def with_fixed_statistics(
    input: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """Return `torch.nn.functional.batch_norm` with given statistics, which may be differentiated."""
    shape = [-1 if axis == 1 else 1 for axis in range(input.ndim)]
    scale = torch.rsqrt(var + eps) * (1 if weight is None else weight)
    result = (input - mean.view(shape)) * scale.view(shape)
    return result if bias is None else result + bias.view(shape)


def with_statistics_of_batch(
    input: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    bias: Array | None,
    momentum: float,
    eps: float,
    replace: Replace,
) -> Array:
    """Return `torch.nn.functional.batch_norm` in training, and update the running statistics.

    Derivatives go through statistics that are differentiated; mean and variance of the input are constants in the
    update, as in the kernels.
    """
    result = functional.batch_norm(input, None, None, weight, bias, True, momentum, eps)
    others = [axis for axis in range(input.ndim) if axis != 1]
    seen = input.detach()
    for statistic, of_batch in ((mean, seen.mean(others)), (var, seen.var(others))):
        _move(statistic, of_batch, momentum, replace)
    return result


def _move(statistic: Array, seen: Array, momentum: float, replace: Replace) -> None:
    with torch.set_grad_enabled(torch.is_grad_enabled() and statistic.requires_grad):
        if mapped_levels(seen) <= mapped_levels(statistic):
            statistic.mul_(1 - momentum).add_(seen, alpha=momentum)
        else:
            replace(statistic, statistic * (1 - momentum) + momentum * seen)
