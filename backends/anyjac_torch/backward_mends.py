"""Backward passes of PyTorch that give wrong numbers, mended by hooks on the nodes of a graph.

A hook replaces the gradients that a node has computed by those of a formula, which is made of differentiable operators
and may run for many rows at once. Nodes are known by their names; a node has one hook, whoever finds it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import torch

from anyjac_plugins import Array
from anyjac_plugins.errors import NotSupportedError

from . import private
from .graphs import nodes_behind
from .modes import is_recording
from .torch_func import is_transformed, layers

Gradients = Sequence["Array | None"]
Formula = Callable[[Gradients, Gradients], "tuple[Array | None, ...] | None"]
"""Takes the gradients of a node's inputs, as PyTorch has them, and those of its outputs; None leaves the former."""


def mend(tensor: Array) -> Array:
    """Mend the step that has made a tensor, and return the tensor."""
    node: Any = tensor.grad_fn
    if type(node).__name__ in MENDS:
        mend_node(node)
    return tensor


def mend_second_derivatives(tensors: Iterable[Array]) -> None:
    """Mend the steps behind tensors before a backward pass that will be differentiated."""
    for node in nodes_behind(tensors):
        if type(node).__name__ in SECOND:
            mend_node(node)


def mend_graph(tensors: Iterable[Array]) -> None:
    """Mend every step behind tensors, where every backward pass may be differentiated."""
    for node in nodes_behind(tensors):
        if type(node).__name__ in MENDS or type(node).__name__ in SECOND:
            mend_node(node)


def mend_node(node: Any) -> None:
    """Mend a step whose name is in `MENDS` or `SECOND`."""
    if "anyjac" in node.metadata:
        return
    node.metadata["anyjac"] = "mended"
    name = type(node).__name__
    try:
        formula = (MENDS if name in MENDS else SECOND)[name](node)
    except RuntimeError:  # what it has saved was changed in place, of which PyTorch complains in the backward pass
        return
    if formula is not None:
        node.register_hook(formula)


# ---- determinants ----------------------------------------------------------------------------------------------------

SMALL_PIVOT: Final = 1 / 3
"""Power of the precision; with smaller pivots, next to the greatest, second derivatives by an inverse lose digits."""
FEW: Final = 8
"""Rows of a matrix up to which cofactors are determinants of minors whether it is singular or not."""
MANY: Final = 32
"""Rows of a singular matrix up to which they are; there are as many minors as elements."""


def _of_determinant(node: Any) -> Formula:
    """Return the derivative of a determinant by cofactors, which singular matrices have too.

    PyTorch multiplies the determinant by an inverse, so that a singular matrix gets zeros; where it may be
    differentiated again within a transform, it takes singular values, and NaN where two are equal.
    """
    matrix, factors = private.saved(node, "A"), private.saved(node, "LU")
    determinant = private.saved(node, "result").detach()
    unchanged = private.version_of(matrix)

    def formula(inputs: Gradients, outputs: Gradients) -> tuple[Array | None, ...] | None:
        gradient = outputs[0]
        if inputs[0] is None or gradient is None or private.version_of(matrix) != unchanged or not matrix.shape[-1]:
            return None
        if is_recording():
            found = _cofactors_of_any(matrix, determinant)
        elif _is_singular(factors, determinant):
            found = cofactors(matrix)
        elif is_transformed():
            found = minors(matrix) if matrix.shape[-1] <= FEW else _of_inverse(matrix)
        else:
            return None
        return (gradient[..., None, None] * found.conj(),)

    return formula


def _is_singular(factors: Array, determinant: Array) -> bool:
    """Return whether any matrix of a batch is singular, or nearly so where second derivatives may be wanted."""
    *_, plain = layers(factors)
    *_, number = layers(determinant)
    least = torch.finfo(plain.dtype).eps ** SMALL_PIVOT if torch.is_grad_enabled() else 0.0
    with private.outside_transforms(), torch.no_grad():
        pivots = plain.diagonal(dim1=-2, dim2=-1).abs()
        small = pivots.amin(-1) <= least * pivots.amax(-1)
        return bool(small.any() or (number == 0).any() or torch.isinf(number.abs()).any())


def _cofactors_of_any(matrix: Array, determinant: Array) -> Array:
    """Return the cofactors of a matrix of which nobody knows, while a graph is recorded, whether it is singular."""
    if matrix.shape[-1] <= FEW:
        return minors(matrix)
    singular = (determinant == 0)[..., None, None]
    harmless = torch.diag(torch.arange(1.0, matrix.shape[-1] + 1, dtype=matrix.dtype, device=matrix.device))
    of_values = _of_singular_values(torch.where(singular, matrix, harmless))
    return torch.where(singular, of_values, _of_inverse(torch.where(singular, harmless, matrix)))


def cofactors(matrix: Array) -> Array:
    """Return the derivative of the determinant by each element of a matrix."""
    return minors(matrix) if matrix.shape[-1] <= MANY else _of_singular_values(matrix)


def minors(matrix: Array) -> Array:
    """Return cofactors as determinants of minors, which can be differentiated ever again."""
    rows = matrix.shape[-1]
    if rows == 1:
        return torch.ones_like(matrix)
    numbers = torch.arange(rows, device=matrix.device)
    others = numbers[:-1] + (numbers[:-1] >= numbers[:, None])
    smaller = matrix[..., others[:, None, :, None], others[None, :, None, :]]
    signs = 1 - 2 * ((numbers[:, None] + numbers) % 2)
    return mend(torch.linalg.det(smaller)) * signs


def _of_inverse(matrix: Array) -> Array:
    """Return cofactors of a regular matrix."""
    inverse, _ = torch.linalg.inv_ex(matrix)
    return mend(torch.linalg.det(matrix))[..., None, None] * inverse.mT


def _of_singular_values(matrix: Array) -> Array:
    """Return cofactors by singular values, each replaced by the product of all others.

    If two are equal, the derivative is NaN.
    """
    left, values, right = torch.linalg.svd(matrix)
    ones = torch.ones_like(values[..., :1])
    before = torch.cumprod(torch.cat([ones, values[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([ones, values[..., 1:].flip(-1)], -1), -1).flip(-1)
    turn = torch.linalg.det(left) * torch.linalg.det(right)
    return turn[..., None, None] * ((left * (before * after)[..., None, :]) @ right).conj()


# ---- distances -------------------------------------------------------------------------------------------------------


def _of_distances(node: Any) -> Formula:
    """Return the derivative of `torch.cdist`, of which PyTorch mixes up the rows of a batch, and has no second one."""
    first, second, power = private.saved(node, "x1"), private.saved(node, "x2"), private.saved(node, "p")
    unchanged = private.version_of(first), private.version_of(second)

    def formula(inputs: Gradients, outputs: Gradients) -> tuple[Array | None, ...] | None:
        gradient = outputs[0]
        if gradient is None or (private.version_of(first), private.version_of(second)) != unchanged:
            return None
        if not (torch.is_grad_enabled() or private.is_wrapped(gradient)):
            return None
        slopes = _slopes_of_distances(first[..., :, None, :] - second[..., None, :, :], power)
        of_first = torch.einsum("...pr,...prm->...pm", gradient, slopes).sum_to_size(first.shape)
        of_second = -torch.einsum("...pr,...prm->...rm", gradient, slopes).sum_to_size(second.shape)
        return tuple(None if known is None else part for known, part in zip(inputs, (of_first, of_second), strict=True))

    return formula


def _slopes_of_distances(apart: Array, power: float) -> Array:
    """Return the derivative of the norm of each vector by its elements; zeros where none is defined, as in PyTorch."""
    size, direction = apart.abs(), apart.sign()
    if power == 0.0:
        return torch.zeros_like(apart)
    if power == float("inf"):
        return direction * (size == size.amax(-1, keepdim=True))
    if power == 1.0:
        return direction
    moved = size > 0
    size = torch.where(moved, size, 1.0)  # of which every power has a derivative
    total = torch.where(moved, size**power, 0.0).sum(-1, keepdim=True)
    norm = torch.where(total > 0, total, 1.0) ** (1.0 / power)
    return torch.where(moved, direction * (size / norm) ** (power - 1.0), 0.0)


# ---- layers ----------------------------------------------------------------------------------------------------------

# PyTorch takes the bias of a layer without weights for a constant in its second derivatives, and in whatever is
# computed by a transposed pullback; in third derivatives, as in rows of columns, other parts are lost too. The formulas
# here are those of its documentation, made of single operators.


def _of_layer_norm(node: Any) -> Formula:
    axes = tuple(range(-len(private.saved(node, "normalized_shape")), 0))
    return _of_normalized(node, axes, private.saved(node, "result2"))


def _of_batch_norm(node: Any) -> Formula:
    axes = (0, *range(2, private.saved(node, "input").ndim))
    if private.saved(node, "training"):
        return _of_normalized(node, axes, private.saved(node, "result2"))
    scale = (private.saved(node, "running_var") + private.saved(node, "eps")).rsqrt()
    return _of_normalized(node, axes, scale, private.saved(node, "running_mean"))


def _of_group_norm(node: Any) -> None:
    """Refuse by name what ends in an error of PyTorch's inside."""
    _, weight, bias = (step for step, _ in node.next_functions)
    if weight is None and bias is not None and private.saved(node, "weight") is None:
        node.register_prehook(_refuse_group_norm)


def _refuse_group_norm(gradients: Gradients) -> None:
    batched = any(gradient is not None and private.is_wrapped(gradient) for gradient in gradients)
    if torch.is_grad_enabled() or not batched:  # PyTorch has another formula for many rows at once
        raise NotSupportedError(
            "PyTorch has no derivative of group_norm by a bias without weights; give weights of ones to group_norm"
        )


def _of_normalized(node: Any, axes: tuple[int, ...], scale: Array, constant: Array | None = None) -> Formula:
    """Return the derivative of a layer that normalises over some axes, and has weights and a bias along the others.

    Parameters
    ----------
    scale
        The numbers by which the layer has multiplied.
    constant
        The mean, if it and the scale are no functions of the input.
    """
    array, weight = private.saved(node, "input"), private.saved(node, "weight")
    unchanged = private.version_of(array)
    over = {axis % array.ndim for axis in axes}
    reduced = [1 if axis in over else length for axis, length in enumerate(array.shape)]
    of_layer = axes[0] < 0
    along = array.shape[axes[0] :] if of_layer else (1, -1, *[1] * (array.ndim - 2))
    factors = 1.0 if weight is None else weight.reshape(along)
    found = scale.detach().reshape(reduced)
    mean = None if constant is None else constant.detach().reshape(reduced)

    def formula(inputs: Gradients, outputs: Gradients) -> tuple[Array | None, ...] | None:
        gradient = outputs[0]
        if gradient is None or not torch.is_grad_enabled() or private.version_of(array) != unchanged:
            return None
        scaled = gradient * factors
        if mean is not None:
            direction = (array - mean) * found
            of_array = scaled * found
        else:
            centred = array - array.mean(axes, keepdim=True)
            variance = centred.square().mean(axes, keepdim=True)
            inverse = (variance + (found**-2 - variance.detach())).rsqrt()  # with the constant that the layer adds
            direction = centred * inverse
            slope = (scaled * direction).mean(axes, keepdim=True)
            of_array = inverse * (scaled - scaled.mean(axes, keepdim=True) - direction * slope)
        of_weight, of_bias = (
            each.sum_to_size(along) if of_layer else each.sum(axes) for each in (gradient * direction, gradient)
        )
        parts = zip(inputs, (of_array, of_weight, of_bias), strict=True)
        return tuple(None if known is None else part for known, part in parts)

    return formula


Makers = dict[str, Callable[[Any], "Formula | None"]]
"""Makers of formulas, by the names of nodes."""

MENDS: Final[Makers] = {
    "CdistBackward0": _of_distances,
    "LinalgDetBackward0": _of_determinant,
    "NativeGroupNormBackward0": _of_group_norm,
}
"""Nodes that are wrong, whose saved tensors are looked at when a function has run."""

SECOND: Final[Makers] = {
    "NativeBatchNormBackward0": _of_batch_norm,
    "NativeLayerNormBackward0": _of_layer_norm,
}
"""Nodes whose derivatives are wrong; before, nobody asks for what they have saved, as `checkpoint` does not keep it."""
