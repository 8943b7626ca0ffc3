"""Derivative rules for batches that need no box: for the primitives of which most functions are made.

A table from primitive to rule. A rule is given a node and the batch that arrives there, and returns the batch for each
parent, or None where the general way, see `batched`, is to be taken. The numbers are those of autograd's rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.core import primitive_vjps
from autograd.numpy import numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import isbox

from ..functions import elementwise
from ..linear_maps import innermost, makers_with_arguments
from .rows import RowsAtIndex, positions
from .sparse_rows import SparseRows, keeps_zeros
from .table import Rows

Rule = Callable[[Any, Rows], "list[Rows] | None"]

_OF_EACH_ELEMENT: Final = (
    *(
        getattr(anp, name)
        for name in (
            *("abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh"),
            *("cos", "cosh", "deg2rad", "degrees", "divide", "exp", "exp2", "expm1", "fabs", "fmax", "fmin", "hypot"),
            *("log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "maximum", "minimum", "mod", "multiply"),
            *("negative", "power", "rad2deg", "radians", "reciprocal", "remainder", "sin", "sinc", "sinh", "sqrt"),
            *("square", "subtract", "tan", "tanh", "true_divide"),
        )
    ),
    elementwise.hypot,
)


def _elementwise(node: Any, rows: Rows) -> list[Rows] | None:
    """Multiply by the derivatives of the elements, which the rule returns for ones."""
    shape = _shape(rows)
    if rows.dtype.kind != "f":
        return None  # a complex number has more derivatives than one
    ones = np.ones(shape, rows.dtype)
    gradients = []
    for factor in node.vjp(ones):
        if factor is ones:
            gradients.append(rows)
        elif not isbox(factor) and not keeps_zeros(factor):
            return None  # the rule itself says what becomes of the zeros
        elif _shape_of(factor) != shape or anp.result_type(factor) != rows.dtype:
            return None  # something was broadcast, or is complex
        elif not isinstance(rows, SparseRows):
            gradients.append(rows * factor)
        elif isbox(factor):
            return None
        else:
            gradients.append(rows.scaled(np.asarray(factor)))
    return gradients


def _vector_times_matrix(node: Any, rows: Rows) -> list[Rows] | None:
    """Pull back to a vector that a matrix was multiplied with, from either side."""
    if len(node.argnums) != 1:
        return None
    (position,) = node.argnums
    vector, matrix = node.args[position], node.args[1 - position]
    if anp.ndim(vector) != 1 or anp.ndim(matrix) != 2:
        return None
    dtype = anp.result_type(vector)
    if not dtype == anp.result_type(matrix) == rows.dtype or dtype.kind != "f":
        return None
    transposed = anp.transpose(matrix) if position == 0 else matrix
    if not isinstance(rows, SparseRows):
        return [anp.dot(rows, transposed)]
    if isbox(transposed) or not rows.is_few or not keeps_zeros(np.asarray(transposed)):
        return None
    return [rows.times(np.asarray(transposed), dtype)]


def _of_getitem(node: Any, rows: Rows) -> list[Rows] | None:
    array, index = node.args
    shape = _shape_of(array)
    if not isinstance(innermost(array), np.ndarray) or isbox(index):
        return None
    if not isinstance(rows, SparseRows):
        return [RowsAtIndex(rows, index, shape)]
    target = positions(index, shape)
    return [rows.moved(target.reshape(-1), shape)] if target.shape == rows.shape else None


def _of_concatenate(node: Any, rows: Rows) -> list[Rows] | None:
    axis, parts = node.args[0], node.args[1:]
    shape = _shape(rows)
    axis %= len(shape)
    ends = list(itertools.accumulate(int(_shape_of(part)[axis]) for part in parts))
    slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    before = (slice(None),) * axis
    if not isinstance(rows, SparseRows):
        return [rows[(slice(None), *before, slices[argnum - 1])] for argnum in node.argnums]
    numbers = np.arange(rows.size).reshape(shape)
    taken = []
    for argnum in node.argnums:
        source = numbers[(*before, slices[argnum - 1])]
        taken.append(rows.taken(source, source.shape))
    return taken


def _of_array(node: Any, rows: Rows) -> list[Rows] | None:
    """Pull back through a copy."""
    return [rows] if node.args[:2] == ((), {}) and node.argnums == (2,) else None


def _of_array_of_elements(node: Any, rows: Rows) -> list[Rows] | None:
    if isinstance(rows, SparseRows):
        numbers = np.arange(rows.size).reshape(rows.shape)
        return [rows.taken(numbers[argnum - 2], rows.shape[1:]) for argnum in node.argnums]
    return [rows[:, argnum - 2] for argnum in node.argnums]


def _of_reshape(node: Any, rows: Rows) -> list[Rows] | None:
    """Pull back through a change of shape, in the default order of elements."""
    if len(node.args) != 2 or node.kwargs:
        return None
    shape = _shape_of(node.args[0])
    return [rows.like_shape(shape) if isinstance(rows, SparseRows) else anp.reshape(rows, (len(rows), *shape))]


def _of_sum(node: Any, rows: Rows) -> list[Rows] | None:
    if len(node.args) > 2 or node.kwargs.keys() - {"axis", "keepdims"} or isinstance(rows, SparseRows) or isbox(rows):
        return None
    (x, *axis) = node.args
    shape = _shape_of(x)
    if anp.result_type(x) != rows.dtype:
        return None
    kept = np.sum(np.empty(shape, bool), axis=axis[0] if axis else node.kwargs.get("axis"), keepdims=True).shape
    return [np.broadcast_to(rows.reshape(len(rows), *kept), (len(rows), *shape))]


def _shape(rows: Rows) -> tuple[int, ...]:
    return rows.shape if isinstance(rows, SparseRows) else tuple(rows.shape[1:])


def _shape_of(operand: Any) -> tuple[int, ...]:
    return operand.shape if hasattr(operand, "shape") else np.shape(operand)


_BY_ARGUMENTS: Final[dict[Callable[..., Any], Rule]] = {
    ArrayBox.__getitem__: _of_getitem,
    anp.dot: _vector_times_matrix,
    anp.expand_dims: _of_reshape,
    anp.matmul: _vector_times_matrix,
    anp.reshape: _of_reshape,
    anp.sum: _of_sum,
    numpy_wrapper._array_from_scalar_or_array: _of_array,
    numpy_wrapper.array_from_args: _of_array_of_elements,
    numpy_wrapper.concatenate_args: _of_concatenate,
}

RULES: Final[dict[Callable[..., Any], Rule]] = {
    **{primitive_vjps[function]: _elementwise for function in _OF_EACH_ELEMENT},
    **{primitive_vjps[function]: rule for function, rule in _BY_ARGUMENTS.items()},
}
"""The rules, by the maker of autograd's own rule for a primitive: a primitive with a user's rule has none here."""

makers_with_arguments.update(primitive_vjps[function] for function in _BY_ARGUMENTS)
