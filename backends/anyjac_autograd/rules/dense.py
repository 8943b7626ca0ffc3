"""How autograd's primitives act on a batch: a table from primitive to rule, and the rules.

A batch has one leading axis more than the array of a single row. A rule is given a `Call` and returns
the batch of results; it is written with `autograd.numpy`, so that batches may belong to an outer trace. Where there is
no rule, or a rule gives up by `CannotBatchError`, `each_row` calls the primitive once for each row. Whatever a rule
returns is compared with one row's result in shape and dtype, see `batched`.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd import builtins
from autograd.core import VSpace
from autograd.numpy import fft, linalg, numpy_vjps, numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import getval, trace_primitives_map

from ..functions import elementwise, fourier
from .rows import (
    Part,
    RowsAtIndex,
    aligned,
    batch_index,
    flat,
    gather,
    repeated,
    row,
    scatter,
    shifted,
    stacked,
)
from .table import Call, CannotBatchError, Rows, Rule, RuleTable

RULES: Final = RuleTable()
"""The rules, by primitive."""


def rule_for(fun: Callable[..., Any]) -> Rule:
    """Return the rule for a primitive; universal functions share a rule."""
    known = RULES.get(fun)
    if known is not None:
        return known
    raw = getattr(fun, "fun", None)
    return by_elements if isinstance(raw, np.ufunc) and raw.nout == 1 and not raw.signature else each_row


# ---- row by row ------------------------------------------------------------------------------------------------------


def each_row(call: Call) -> Rows:
    """Call the primitive for each row."""
    rows = (
        call.substituted({position: row(batch, i) for position, batch in call.batched.items()})
        for i in range(call.count)
    )
    return stacked([call.fun(*args, **call.kwargs) for args in rows])


# ---- elementwise -----------------------------------------------------------------------------------------------------


@RULES.of(
    anp.angle,
    anp.clip,
    anp.imag,
    anp.isclose,
    anp.iscomplex,
    anp.isreal,
    anp.nan_to_num,
    anp.real,
    anp.sinc,
    elementwise.hypot,
)
def by_elements(call: Call) -> Rows:
    """Broadcast batches against arrays, each aligned to the right."""
    ndim = max(call.ndim(position) for position in range(len(call.args)))
    return call.fun(
        *call.substituted({position: aligned(b, ndim) for position, b in call.batched.items()}), **call.kwargs
    )


@RULES.of(trace_primitives_map[np.where])
def _where(call: Call) -> Rows:
    if len(call.args) != 3:
        raise CannotBatchError
    return by_elements(call)


@RULES.of(anp.full)
def _full(call: Call) -> Rows:
    filled = aligned(call.batched[1], anp.ndim(call.example)) + np.zeros(call.shape, anp.result_type(call.example))
    return anp._astype(filled, anp.result_type(call.example))


# ---- sums of cotangents ----------------------------------------------------------------------------------------------


@RULES.of(VSpace.add)
def _add(call: Call) -> Rows:
    parts = [call.batched[i] if i in call.batched else repeated(call.args[i], call.count) for i in (1, 2)]
    if not all(isinstance(getval(part), np.ndarray) for part in parts) or parts[0].shape != parts[1].shape:
        raise CannotBatchError
    return parts[0] + parts[1]


# ---- reductions ------------------------------------------------------------------------------------------------------


@RULES.of(
    anp.all,
    anp.amax,
    anp.amin,
    anp.any,
    anp.count_nonzero,
    anp.max,
    anp.min,
    anp.prod,
    anp.sum,
    numpy_wrapper._primitive_mean,
    numpy_wrapper._primitive_std,
    numpy_wrapper._primitive_var,
)
def _reduce(call: Call) -> Rows:
    x = call.only
    ndim = call.ndim(0)
    if len(call.args) > 2:
        raise CannotBatchError
    axis = call.option(1, "axis")
    options = {name: value for name, value in call.kwargs.items() if name != "axis"}
    if ndim == 0:
        return call.fun(anp.reshape(x, (call.count, 1)), axis=1, **{**options, "keepdims": False})
    return call.fun(x, axis=tuple(range(1, ndim + 1)) if axis is None else shifted(axis, ndim), **options)


@RULES.of(anp.cumprod, anp.cumsum)
def _cumulate(call: Call) -> Rows:
    axis = call.option(1, "axis")
    if axis is None:
        return call.fun(flat(call.only), axis=1)
    return call.fun(call.only, axis=shifted(axis, call.ndim(0)))


# ---- shapes ----------------------------------------------------------------------------------------------------------


@RULES.of(anp.atleast_1d, anp.atleast_2d, anp.atleast_3d, anp.expand_dims, anp.ravel, anp.reshape, anp.squeeze)
def _reshape(call: Call) -> Rows:
    if call_order(call) not in (None, "C"):
        raise CannotBatchError
    return anp.reshape(call.only, call.shape)


def call_order(call: Call) -> Any:
    """Return the order of elements that a call asks for; None for the default."""
    position = {anp.reshape: 2, anp.ravel: 1}.get(call.fun)
    return call.kwargs.get("order") if position is None else call.option(position, "order")


@RULES.of(anp.transpose)
def _transpose(call: Call) -> Rows:
    ndim = call.ndim(0)
    axes = call.option(1, "axes")
    axes = range(ndim)[::-1] if axes is None else axes
    return anp.transpose(call.only, (0, *(shifted(axis, ndim) for axis in axes)))


@RULES.of(anp.rollaxis)
def _rollaxis(call: Call) -> Rows:
    ndim, start = call.ndim(0), call.option(2, "start", 0)
    return anp.rollaxis(call.only, shifted(call.args[1], ndim), (start + ndim if start < 0 else start) + 1)


@RULES.of(anp.roll)
def _roll(call: Call) -> Rows:
    x, shift, axis = call.only, call.option(1, "shift"), call.option(2, "axis")
    if axis is None:
        return anp.reshape(anp.roll(flat(x), shift, axis=1), anp.shape(x))
    return anp.roll(x, shift, axis=shifted(axis, call.ndim(0)))


@RULES.of(anp.tril, anp.triu)
def _triangle(call: Call) -> Rows:
    if call.ndim(0) < 2:
        raise CannotBatchError
    return call.fun(call.only, *call.args[1:], **call.kwargs)


@RULES.of(anp.repeat)
def _repeat(call: Call) -> Rows:
    axis, repeats = call.option(2, "axis"), call.option(1, "repeats")
    if axis is None:
        return anp.repeat(flat(call.only), repeats, axis=1)
    return anp.repeat(call.only, repeats, axis=shifted(axis, call.ndim(0)))


@RULES.of(anp.diag)
def _diag(call: Call) -> Rows:
    x, k = call.only, call.option(1, "k", 0)
    if call.ndim(0) == 2:
        return x[(slice(None), *np.nonzero(np.eye(x.shape[1], x.shape[2], k=k, dtype=bool)))]
    if k:
        raise CannotBatchError
    return x[:, :, None] * np.eye(anp.shape(x)[1], dtype=anp.result_type(x))


@RULES.of(anp.pad)
def _pad(call: Call) -> Rows:
    widths = np.broadcast_to(np.asarray(call.args[1]), (anp.ndim(call.example), 2))
    return anp.pad(call.only, [(0, 0), *(tuple(map(int, each)) for each in widths)], *call.args[2:], **call.kwargs)


@RULES.of(numpy_wrapper.array_from_args)
def _array_from_args(call: Call) -> Rows:
    if call.args[0] or call.args[1]:
        raise CannotBatchError
    return anp.stack(_parts(call, 2), axis=1)


def _parts(call: Call, first: int) -> list[Rows]:
    """Return batches of the operands from position `first` on."""
    return [
        call.batched[i] if i in call.batched else repeated(call.args[i], call.count)
        for i in range(first, len(call.args))
    ]


# ---- indices ---------------------------------------------------------------------------------------------------------


@RULES.of(ArrayBox.__getitem__)
def _getitem(call: Call) -> Rows:
    if not isinstance(getval(call.only), np.ndarray):
        raise CannotBatchError
    return call.only[batch_index(call.args[1])]


# ---- products --------------------------------------------------------------------------------------------------------

_BATCH: Final = "Z"
_LETTERS: Final = string.ascii_lowercase


def contracted(call: Call, left: int, subscripts: str, right: int, others: str, out: str) -> Rows:
    """Sum products of two operands over the letters that `out` lacks, and cast as the primitive does."""
    x, y = call.operand(left), call.operand(right)
    if left in call.batched:
        subscripts = _BATCH + subscripts
    if right in call.batched:
        others = _BATCH + others
    out = _BATCH + out
    if left not in call.batched:  # so that the axis of the batch comes first in the product
        x, subscripts, y, others = y, others, x, subscripts
    shared = [letter for letter in subscripts if letter in others]
    if any(letter in out for letter in shared):
        result = anp.einsum(f"{subscripts},{others}->{out}", x, y, optimize=True)
    else:
        result = anp.tensordot(x, y, ([subscripts.index(c) for c in shared], [others.index(c) for c in shared]))
        order = "".join(c for c in subscripts + others if c not in shared)
        if order != out:
            result = anp.transpose(result, [order.index(c) for c in out])
    dtype = anp.result_type(call.example)
    if dtype.kind != "c" and anp.iscomplexobj(result):
        result = anp.real(result)
    return result if anp.result_type(result) == dtype else anp._astype(result, dtype)


def _of_dot(ndim: int, other: int) -> tuple[str, str, str]:
    """Return the subscripts of the two factors of `dot`, and of the product."""
    x, y = _LETTERS[:ndim], _LETTERS[ndim : ndim + other]
    if ndim and other:
        position = max(other - 2, 0)
        y = y[:position] + x[-1] + y[position + 1 :]
    return x, y, _free(x, y)


def _product(call: Call, x: str, y: str, out: str) -> Rows:
    return contracted(call, 0, x, 1, y, out)


def _pulled_to_left(call: Call, x: str, y: str, out: str) -> Rows:
    return contracted(call, 1, out, 0, y, x)


def _pulled_to_right(call: Call, x: str, y: str, out: str) -> Rows:
    return contracted(call, 1, out, 0, x, y)


def _free(x: str, y: str) -> str:
    return "".join(c for c in x if c not in y) + "".join(c for c in y if c not in x)


def _of_tensordot(axes: Any, ndim: int, other: int) -> tuple[str, str, str]:
    x, y = _LETTERS[:ndim], list(_LETTERS[ndim : ndim + other])
    if isinstance(axes, int | np.integer):
        pairs = zip(range(ndim - axes, ndim), range(axes), strict=True)
    else:
        pairs = zip(*(np.atleast_1d(np.asarray(each, dtype=int)).tolist() for each in axes), strict=True)
    for left, right in pairs:
        y[right] = x[left]
    return x, "".join(y), _free(x, "".join(y))


@RULES.of(anp.inner)
def _inner(call: Call) -> Rows:
    ndim, other = call.ndim(0), call.ndim(1)
    x, y, out = _of_tensordot(([ndim - 1], [other - 1]) if ndim and other else 0, ndim, other)
    return contracted(call, 0, x, 1, y, out)


@RULES.of(anp.outer)
def _outer(call: Call) -> Rows:
    flattened = {i: flat(batch) for i, batch in call.batched.items()}
    x, y = (flattened[i] if i in flattened else anp.reshape(call.args[i], (1, -1)) for i in (0, 1))
    return x[:, :, None] * y[:, None, :]


@RULES.of(anp.matmul)
def _matmul(call: Call) -> Rows:
    ndim, other = call.ndim(0), call.ndim(1)
    if 1 not in call.batched and 1 <= other <= 2:  # one product of two matrices, and not a batch of them
        return anp.tensordot(call.batched[0], call.args[1], ([ndim], [0]))
    if 0 not in call.batched and ndim <= 2 and other <= 2:
        x, y, out = _of_dot(ndim, other)
        return contracted(call, 0, x, 1, y, out)
    x, y = call.operand(0), call.operand(1)
    x = anp.expand_dims(x, -2) if ndim == 1 else x
    y = anp.expand_dims(y, -1) if other == 1 else y
    most = max(ndim, other, 2)
    x = aligned(x, most) if 0 in call.batched else x
    y = aligned(y, most) if 1 in call.batched else y
    return anp.reshape(anp.matmul(x, y), call.shape)


@RULES.of(anp.einsum)
def _einsum(call: Call) -> Rows:
    if not isinstance(call.args[0], str):
        raise CannotBatchError
    subscripts = call.args[0].replace(" ", "")
    inputs, arrow, out = subscripts.partition("->")
    if not arrow:
        if "." in inputs:
            raise CannotBatchError
        out = "".join(sorted(c for c in set(inputs) - {","} if inputs.count(c) == 1))
    batch = next(letter for letter in string.ascii_uppercase[::-1] if letter not in subscripts)
    names = [(batch if i in call.batched else "") + name for i, name in enumerate(inputs.split(","), 1)]
    operands = [call.operand(i) for i in range(1, len(call.args))]
    options = {"optimize": True, **call.kwargs} if len(operands) > 1 else call.kwargs
    return anp.einsum(f"{','.join(names)}->{batch}{out}", *operands, **options)


# ---- linear algebra and Fourier transforms ---------------------------------------------------------------------------


@RULES.of(linalg.solve)
def _solve(call: Call) -> Rows:
    """Solve for all right-hand sides of a batch with one factorisation."""
    matrix, right = call.args[0], call.operand(1)
    if 0 in call.batched or anp.ndim(matrix) != 2 or call.ndim(1) not in (1, 2):
        raise CannotBatchError
    if call.ndim(1) == 1:
        return anp.transpose(linalg.solve(matrix, anp.transpose(right)))
    size, columns = anp.shape(right)[1:]
    side_by_side = anp.reshape(anp.transpose(right, (1, 0, 2)), (size, call.count * columns))
    solved = anp.reshape(linalg.solve(matrix, side_by_side), (size, call.count, columns))
    return anp.transpose(solved, (1, 0, 2))


# ---- rules of one expression -----------------------------------------------------------------------------------------


def _as_for_one_row(call: Call) -> Rows:
    """Call a primitive that leaves the axes in front alone."""
    return call.fun(call.only, *call.args[1:], **call.kwargs)


def _axis(call: Call, position: int, name: str, default: Any = None) -> Any:
    """Return the argument that names an axis, or several, as counted in the batch."""
    return shifted(call.option(position, name, default), call.ndim(0))


def _transform(call: Call) -> Rows:
    return call.fun(call.only, call.option(1, "n"), _axis(call, 2, "axis", -1), call.option(3, "norm"))


RULES.update(
    {
        VSpace.covector: lambda call: anp.conj(call.batched[1]) if call.args[0].iscomplex else call.batched[1],
        anp.array_split: lambda call: call.fun(call.only, call.args[1], _axis(call, 2, "axis", 0)),
        anp.broadcast_to: lambda call: anp.broadcast_to(aligned(call.only, anp.ndim(call.example)), call.shape),
        anp.diagonal: lambda call: anp.diagonal(
            call.only, call.option(1, "offset", 0), _axis(call, 2, "axis1", 0), _axis(call, 3, "axis2", 1)
        ),
        anp.diff: lambda call: anp.diff(call.only, call.option(1, "n", 1), _axis(call, 2, "axis", -1)),
        anp.dot: lambda call: _product(call, *_of_dot(call.ndim(0), call.ndim(1))),
        anp.fliplr: lambda call: call.only[:, :, ::-1],
        anp.flipud: lambda call: call.only[:, ::-1],
        anp.moveaxis: lambda call: anp.moveaxis(call.only, _axis(call, 1, "source"), _axis(call, 2, "destination")),
        anp.split: lambda call: call.fun(call.only, call.args[1], _axis(call, 2, "axis", 0)),
        anp.swapaxes: lambda call: anp.swapaxes(call.only, _axis(call, 1, "axis1"), _axis(call, 2, "axis2")),
        anp.tensordot: lambda call: _product(
            call, *_of_tensordot(call.option(2, "axes", 2), call.ndim(0), call.ndim(1))
        ),
        builtins.container_take: lambda call: call.only[call.args[1]],
        builtins.container_untake: lambda call: Part(call.only, call.args[1], call.args[2]),
        builtins.make_sequence: lambda call: call.args[0](_parts(call, 1)),
        fft.fft: _transform,
        fft.ifft: _transform,
        fft.irfft: _transform,
        fft.rfft: _transform,
        fft.truncate_pad: lambda call: call.fun(call.only, (call.count, *call.args[1])),
        fourier.unscaled_transform: _as_for_one_row,
        gather: _as_for_one_row,
        linalg.det: _as_for_one_row,
        linalg.inv: _as_for_one_row,
        numpy_vjps.dot_adjoint_0: lambda call: _pulled_to_left(call, *_of_dot(call.args[2][1], call.args[3][1])),
        numpy_vjps.dot_adjoint_1: lambda call: _pulled_to_right(call, *_of_dot(call.args[2][1], call.args[3][1])),
        numpy_vjps.tensordot_adjoint_0: lambda call: _pulled_to_left(call, *_of_tensordot(*call.args[2:5])),
        numpy_vjps.tensordot_adjoint_1: lambda call: _pulled_to_right(call, *_of_tensordot(*call.args[2:5])),
        numpy_vjps.untake: lambda call: RowsAtIndex(call.only, call.args[1], call.args[2].shape),
        numpy_wrapper._array_from_scalar_or_array: lambda call: anp._astype(
            anp.reshape(call.batched[2], call.shape), anp.result_type(call.example)
        ),
        numpy_wrapper._astype: _as_for_one_row,
        numpy_wrapper.concatenate_args: lambda call: call.fun(
            shifted(call.args[0], anp.ndim(call.example)), *_parts(call, 1)
        ),
        numpy_wrapper.make_diagonal: _as_for_one_row,
        scatter: _as_for_one_row,
    }
)
