"""How autograd's primitives act on `SparseRows`: a table from primitive to rule, and the rules.

A rule returns None for a call that it does not know; then the rows are made dense, and the rules for batches apply.
Nothing here takes an operand that belongs to an outer trace.
"""

from __future__ import annotations

import math
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.numpy import numpy_vjps, numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import isbox, trace_primitives_map

from .dense import call_order
from .rows import positions
from .sparse_rows import Array, SparseRows, keeps_zeros
from .table import Call, RuleTable

RULES: Final = RuleTable()
"""The rules, by primitive."""


def _constant(call: Call, position: int) -> Array | None:
    """Return an operand if it is a plain array; None otherwise."""
    operand = call.args[position]
    return None if position in call.batched or isbox(operand) else np.asarray(operand)


def _beside_a_constant(call: Call) -> tuple[int, SparseRows, Array] | None:
    """Return, of a call with two operands, the position of the rows, the rows and the constant beside them."""
    ((position, rows), *more) = call.batched.items()
    constant = _constant(call, 1 - position)
    if more or constant is None:
        return None
    return position, rows, constant


def _raw(call: Call) -> Any:
    """Return NumPy's function, of which the primitive is made."""
    return call.fun.fun  # type: ignore[attr-defined]


def _result_shape(call: Call) -> tuple[int, ...]:
    return tuple(anp.shape(call.example))


# ---- elementwise -----------------------------------------------------------------------------------------------------


@RULES.of(anp.divide, anp.multiply, anp.true_divide)
def _scale(call: Call) -> SparseRows | None:
    operands = _beside_a_constant(call)
    if operands is None:
        return None
    position, rows, constant = operands
    shape = _result_shape(call)
    if (position == 1 and call.fun is not anp.multiply) or math.prod(shape) != rows.size:
        return None
    if not (
        keeps_zeros(constant) if call.fun is anp.multiply else (constant != 0).all() and not np.isnan(constant).any()
    ):
        return None
    if constant.ndim:
        constant = np.broadcast_to(constant, shape).reshape(-1)
        constant = constant[rows.index] if rows.size else np.ones(rows.index.shape, constant.dtype)
    elif isinstance(call.args[1 - position], int | float | complex):
        constant = call.args[1 - position]  # a Python number is no reason for another dtype
    value: Array = _raw(call)(rows.value, constant)
    return rows.with_values(value).like_shape(shape)


@RULES.of(anp.conj, anp.negative, anp.real)
def _unary(call: Call) -> SparseRows:
    rows: SparseRows = call.only
    return rows.like(rows.index, _raw(call)(rows.value))


@RULES.of(numpy_wrapper._astype)
def _astype(call: Call) -> SparseRows:
    rows: SparseRows = call.only
    return rows.like(rows.index, rows.value.astype(anp.result_type(call.example)))


@RULES.of(anp.add, anp.subtract)
def _add(call: Call) -> SparseRows | None:
    if len(call.batched) == 1:
        return _add_zeros(call)
    one, other = call.batched[0], call.batched[1]
    if not (isinstance(one, SparseRows) and isinstance(other, SparseRows)) or one.shape != other.shape:
        return None
    return one.joined(other if call.fun is anp.add else other.like(other.index, -other.value))


def _add_zeros(call: Call) -> SparseRows | None:
    """Broadcast rows: autograd does so by adding zeros."""
    operands = _beside_a_constant(call)
    if operands is None or call.fun is not anp.add:
        return None
    _, rows, constant = operands
    if constant.any():
        return None
    rows = rows.like(rows.index, rows.value.astype(anp.result_type(call.example), copy=False))
    return _broadcast(rows, _result_shape(call))


def _broadcast(rows: SparseRows, shape: tuple[int, ...]) -> SparseRows | None:
    if rows.shape == shape:
        return rows
    size = math.prod(shape)
    if not rows.size or not size:
        return None
    source = np.broadcast_to(np.arange(rows.size).reshape(rows.shape), shape).reshape(-1)
    targets = np.argsort(source, kind="stable").reshape(rows.size, size // rows.size)
    return rows.spread(targets, np.ones(targets.shape[1], rows.dtype), shape)


@RULES.of(trace_primitives_map[np.where])
def _where(call: Call) -> SparseRows | None:
    if len(call.args) != 3 or len(call.batched) != 1 or 0 in call.batched:
        return None
    ((position, rows),) = call.batched.items()
    assert isinstance(rows, SparseRows)
    condition, other = _constant(call, 0), _constant(call, 3 - position)
    if condition is None or other is None or other.any() or _result_shape(call) != rows.shape or not rows.size:
        return None
    chosen = np.broadcast_to(condition, rows.shape).reshape(-1)[rows.index].astype(bool) ^ (position == 2)
    dtype = anp.result_type(call.example)
    value: Array = np.where(chosen, rows.value, np.zeros((), dtype)).astype(dtype, copy=False)
    return rows.like(rows.index, np.where(rows.index >= 0, value, np.zeros((), dtype)))


# ---- shapes and elements ---------------------------------------------------------------------------------------------


@RULES.of(anp.atleast_1d, anp.atleast_2d, anp.expand_dims, anp.ravel, anp.reshape, anp.squeeze)
def _reshape(call: Call) -> SparseRows | None:
    rows: SparseRows = call.only
    return rows.like_shape(_result_shape(call)) if call_order(call) in (None, "C") else None


@RULES.of(
    anp.diagonal,
    anp.fliplr,
    anp.flipud,
    anp.moveaxis,
    anp.roll,
    anp.rollaxis,
    anp.rot90,
    anp.swapaxes,
    anp.transpose,
)
def _move(call: Call) -> SparseRows | None:
    rows: SparseRows = call.only
    source = _raw(call)(np.arange(rows.size).reshape(rows.shape), *call.args[1:], **call.kwargs)
    return rows.taken(source, _result_shape(call))


@RULES.of(ArrayBox.__getitem__)
def _getitem(call: Call) -> SparseRows | None:
    rows: SparseRows = call.only
    return rows.taken(positions(call.args[1], rows.shape), _result_shape(call))


@RULES.of(numpy_vjps.untake)
def _untake(call: Call) -> SparseRows:
    rows: SparseRows = call.only
    shape = call.args[2].shape
    target = positions(call.args[1], shape)
    return rows.moved(np.broadcast_to(target, rows.shape).reshape(-1), shape)


@RULES.of(numpy_wrapper.concatenate_args)
def _concatenate(call: Call) -> SparseRows | None:
    axis, *parts = call.args
    shape = _result_shape(call)
    ends = np.cumsum([anp.shape(part)[axis] for part in parts])[:-1]
    total: SparseRows | None = None
    for position, target in enumerate(np.split(np.arange(math.prod(shape)).reshape(shape), ends, axis=axis), 1):
        rows = call.batched.get(position)
        if rows is None:
            constant = _constant(call, position)
            if constant is None or constant.any():
                return None
            continue
        if not isinstance(rows, SparseRows):
            return None
        moved = rows.moved(target.reshape(-1), shape)
        total = moved if total is None else total.joined(moved)
        if total is None:
            return None
    if total is None:
        return None
    return total.like(total.index, total.value.astype(anp.result_type(call.example), copy=False))


@RULES.of(anp.sum)
def _sum(call: Call) -> SparseRows | None:
    if len(call.args) > 2 or call.kwargs.keys() - {"axis", "keepdims"}:
        return None
    rows: SparseRows = call.only
    axis = call.option(1, "axis")
    kept = np.sum(np.empty(rows.shape, bool), axis=axis, keepdims=True).shape
    target = np.broadcast_to(np.arange(math.prod(kept)).reshape(kept), rows.shape).reshape(-1)
    return rows.moved(target, _result_shape(call))


# ---- products --------------------------------------------------------------------------------------------------------


@RULES.of(numpy_vjps.dot_adjoint_0)
def _dot_adjoint_0(call: Call) -> Any:
    """Pull back through ``dot(A, B)`` to A."""
    right = _constant(call, 0)
    if right is None or 1 not in call.batched:
        return None
    return _to_the_left(call, call.batched[1], right, call.args[2][1], call.args[3][1])


@RULES.of(numpy_vjps.dot_adjoint_1)
def _dot_adjoint_1(call: Call) -> Any:
    """Pull back through ``dot(A, B)`` to B."""
    left = _constant(call, 0)
    if left is None or 1 not in call.batched:
        return None
    return _to_the_right(call, call.batched[1], left, call.args[2][1], call.args[3][1])


def _to_the_left(call: Call, rows: SparseRows, right: Array, ndim: int, other: int) -> Any:
    dtype = anp.result_type(call.example)
    if _is_real_part(dtype, rows, right) or not keeps_zeros(right):
        return None
    if (ndim, other) == (1, 2) and rows.is_few:
        return rows.times(right.T, dtype)
    if (ndim, other) == (2, 1):
        shape = _result_shape(call)
        targets = np.arange(shape[0] * shape[1]).reshape(shape)
        return _as_dtype(rows.spread(targets, right, shape), dtype)
    return None


def _to_the_right(call: Call, rows: SparseRows, left: Array, ndim: int, other: int) -> Any:
    dtype = anp.result_type(call.example)
    if _is_real_part(dtype, rows, left) or not keeps_zeros(left):
        return None
    if (ndim, other) == (2, 1) and rows.is_few:
        return rows.times(left, dtype)
    if (ndim, other) == (1, 2):
        shape = _result_shape(call)
        targets = np.arange(shape[0] * shape[1]).reshape(shape).T
        return _as_dtype(rows.spread(targets, left, shape), dtype)
    return None


def _is_real_part(dtype: Any, *factors: Any) -> bool:
    return dtype.kind != "c" and any(factor.dtype.kind == "c" for factor in factors)


def _as_dtype(rows: SparseRows | None, dtype: Any) -> SparseRows | None:
    return None if rows is None else rows.like(rows.index, rows.value.astype(dtype, copy=False))


@RULES.of(anp.matmul)
def _matmul(call: Call) -> Any:
    """Multiply by a matrix from the right, or make outer products, as the rules of `matmul` do."""
    if call.batched.keys() == {0}:
        return _matmul_left(call, call.batched[0], _constant(call, 1))
    if call.batched.keys() == {1}:
        return _matmul_right(call, call.batched[1], _constant(call, 0))
    return None


def _matmul_left(call: Call, rows: SparseRows, right: Array | None) -> Any:
    if right is None or right.ndim != 2 or not keeps_zeros(right):
        return None
    shape = _result_shape(call)
    if rows.size == right.shape[0] and rows.is_few:
        return rows.times(right, anp.result_type(call.example)).reshape(len(rows), *shape)
    if rows.shape[-1:] == (1,) and rows.size == shape[0] and len(shape) == 2:
        targets = np.arange(shape[0] * shape[1]).reshape(shape)
        return rows.spread(targets, right[0], shape)
    return None


def _matmul_right(call: Call, rows: SparseRows, left: Array | None) -> Any:
    if left is None or left.ndim != 2 or not keeps_zeros(left):
        return None
    shape = _result_shape(call)
    if rows.size == left.shape[1] and rows.shape[0] == rows.size and rows.is_few:
        return rows.times(left.T, anp.result_type(call.example)).reshape(len(rows), *shape)
    if rows.shape[:1] == (1,) and left.shape[1] == 1 and len(shape) == 2:
        targets = np.arange(shape[0] * shape[1]).reshape(shape).T
        return rows.spread(targets, left[:, 0], shape)
    return None
