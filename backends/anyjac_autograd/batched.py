"""Backward passes with a whole batch of cotangents at once.

A batch travels in a box of autograd's own tracer, whose node carries the rows, through the rule that autograd has for
one cotangent: each primitive that the rule calls is applied to the batch, see `rules.dense` and `rules.sparse`. The
value of the box is an example of a row, for shapes and dtypes alone. A node whose rule takes no batch is given row
after row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.core import SparseObject, sparse_add, vspace
from autograd.tracer import Node, isbox, new_box, register_notrace, trace_stack

from .rules import shortcuts, sparse
from .rules.dense import each_row, rule_for
from .rules.rows import Part, RowsAtIndex, map_tree, repeated, row, stacked
from .rules.sparse_rows import SparseRows, TooLargeError
from .rules.table import Array, Call, CannotBatchError, Rows, Rule
from .rules.trusted import takes_batches


class BatchNode(Node):  # type: ignore[misc]
    """A node of a backward pass that carries a batch; its box has an example of a row."""

    __slots__ = ("count", "rows")

    count: int
    rows: Rows

    def __init__(
        self,
        value: Any,
        fun: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        argnums: Sequence[int],
        parents: Sequence[BatchNode],
    ):
        self.count = parents[0].count
        batched = {argnum: parent.rows for argnum, parent in zip(argnums, parents, strict=True)}
        self.rows = _applied(Call(fun, value, args, kwargs, batched, self.count))

    def initialize_root(self, rows: Rows, count: int) -> None:
        self.rows = rows
        self.count = count


# Questions that have one answer for all rows of a batch, and these alone, are answered by the example.
for _function in (
    anp.empty_like,
    anp.iscomplexobj,
    anp.isscalar,
    anp.ndim,
    anp.ones_like,
    anp.result_type,
    anp.shape,
    anp.size,
    anp.zeros_like,
):
    register_notrace(BatchNode, _function)


_NOT_FOR_BATCHES: Final = (CannotBatchError, AttributeError, IndexError, NotImplementedError, TypeError, ValueError)
"""Errors of trusted rules for one row that are given a batch, or an example of a row. They run no code of users."""


def pull_back(order: Sequence[Any], roots: Sequence[Any], rows: Rows, count: int) -> list[Rows | None]:
    """Pull a batch of cotangents of one output back to the roots.

    Parameters
    ----------
    order
        The nodes of the graph from the output on, each after all nodes that use it; see `linear_maps.RuleNode`.
    roots
        The nodes whose cotangents are asked for.
    rows
        An array with a leading axis, or `SparseRows`.
    count
        The number of rows.

    Returns
    -------
    list
        For each root a batch, or None where it was not reached.

    Raises
    ------
    TooLargeError
        If `rows` are sparse, and would have to be dense beyond their limit.
    """
    arrived: dict[Any, tuple[Rows, bool]] = {order[0]: (rows, False)}
    with trace_stack.new_trace() as trace:
        for node in order:
            if not node.parents:
                continue  # a root keeps its gradient
            gradients = _gradients(node, arrived.pop(node)[0], count, trace)
            for parent, gradient in zip(node.parents, gradients, strict=True):
                arrived[parent] = _accumulated(arrived.get(parent), gradient)
    return [arrived[root][0] if root in arrived else None for root in roots]


# ---- one node --------------------------------------------------------------------------------------------------------


def _gradients(node: Any, rows: Rows, count: int, trace: int) -> list[Rows]:
    if takes_batches(node.maker):
        try:
            shortcut = shortcuts.RULES.get(node.maker)
            gradients = None if shortcut is None else shortcut(node, rows)
            if gradients is not None:
                return gradients
            box = new_box(_example(rows), trace, BatchNode.new_root(rows, count))
            return [_unboxed(gradient, count, trace) for gradient in node.vjp(box)]
        except TooLargeError:
            raise
        except _NOT_FOR_BATCHES:  # the rule says row by row if anything is wrong
            pass
    rows = _dense(rows)
    each = [[_plain(gradient) for gradient in node.vjp(row(rows, index))] for index in range(count)]
    return [stacked(column) for column in zip(*each, strict=True)]


def _example(rows: Rows) -> Any:
    if isinstance(rows, (tuple, list, dict)):
        return map_tree(_example, rows)
    return np.ones(rows.shape if isinstance(rows, SparseRows) else anp.shape(rows)[1:], rows.dtype)


def _unboxed(gradient: Any, count: int, trace: int) -> Rows:
    """Take the batch out of its box; a gradient without a box does not depend on the cotangent: it is zero."""
    if isbox(gradient) and gradient._trace == trace:
        return gradient._node.rows
    gradient = _plain(gradient)
    if isinstance(gradient, (tuple, list, dict)):
        raise CannotBatchError
    return repeated(gradient, count)


def _plain(gradient: Any) -> Any:
    """Make a sparse gradient dense, and refuse an array of objects."""
    space = vspace(gradient)
    value = gradient
    while isbox(value):
        value = value._value
    if isinstance(value, SparseObject):
        return sparse_add(space, None, gradient)
    if isinstance(value, np.ndarray) and value.dtype == object:
        raise CannotBatchError
    return gradient


# ---- one primitive ---------------------------------------------------------------------------------------------------


def _applied(call: Call) -> Rows:
    """Apply a primitive to batches: sparse, dense, or row by row."""
    if any(isinstance(rows, SparseRows) for rows in call.batched.values()):
        found = _tried(sparse.RULES.get(call.fun), call)
        if found is not None:
            return found
        call.batched = {position: _dense(rows) for position, rows in call.batched.items()}
    rule = rule_for(call.fun)
    batch = None if rule is each_row else _tried(rule, call)
    return each_row(call) if batch is None else batch


def _tried(rule: Rule | None, call: Call) -> Rows | None:
    """Return the batch of a rule, if its rows have the shape and dtype of a row's result; None otherwise."""
    if rule is None:
        return None
    try:
        batch = rule(call)
    except TooLargeError:
        raise
    except _NOT_FOR_BATCHES:  # row by row, the primitive itself says if anything is wrong
        return None
    if isinstance(batch, SparseRows):
        right = batch.shape == anp.shape(call.example) or isinstance(call.example, SparseObject)
        return batch if right and batch.dtype == _dtype(call.example) else None
    if batch is None or isinstance(batch, (tuple, list, dict, RowsAtIndex, Part)):
        return batch
    return batch if anp.shape(batch) == call.shape and anp.result_type(batch) == _dtype(call.example) else None


def _dtype(example: Any) -> Any:
    return example.vs.dtype if isinstance(example, SparseObject) else anp.result_type(example)


# ---- sums of gradients at a node ------------------------------------------------------------------------------------


def _accumulated(total: tuple[Rows, bool] | None, gradient: Rows) -> tuple[Rows, bool]:
    """Add a batch to the total at a node; the flag says that the total is an array of our own, to be written to."""
    if total is None:
        if isinstance(gradient, RowsAtIndex):
            return gradient.dense(), True
        return (gradient.whole() if isinstance(gradient, Part) else gradient), False
    before, ours = total
    if isinstance(gradient, Part):
        gradient = gradient.whole()
    if isinstance(before, (tuple, list, dict)):
        return map_tree(lambda one, other: _accumulated((one, False), other)[0], before, gradient), False
    if isinstance(before, SparseRows) and isinstance(gradient, SparseRows):
        joined = before.joined(gradient)
        if joined is not None:
            return joined, False
    before, ours = (before.dense(), True) if isinstance(before, SparseRows) else (before, ours)
    writable = ours and not isbox(before)
    if isinstance(gradient, RowsAtIndex):
        fits = before.dtype == gradient.rows.dtype and before.shape[1:] == gradient.shape
        if writable and fits and gradient.add_to(before):
            return before, True
        gradient = gradient.dense()
    gradient = _dense(gradient)
    refuse_to_broadcast(before, gradient)
    if writable and not isbox(gradient) and before.dtype == np.result_type(before, gradient):
        before += gradient
        return before, True
    return before + gradient, True


def refuse_to_broadcast(one: Array, other: Array) -> None:
    """Refuse to add batches whose rows differ in shape: broadcasting would take an axis of a row for that of the batch.

    Raises
    ------
    CannotBatchError
        If they differ, as where a user's rule returns a gradient that is broadcast row by row.
    """
    if one.shape != other.shape:
        raise CannotBatchError


def _dense(rows: Rows) -> Rows:
    if isinstance(rows, (tuple, list, dict)):
        return map_tree(_dense, rows)
    return rows.dense() if isinstance(rows, SparseRows) else rows
