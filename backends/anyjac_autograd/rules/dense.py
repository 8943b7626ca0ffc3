"""How autograd's primitives act on a batch: a table from primitive to rule, and the rules.

A batch has one leading axis more than the array that a primitive believes to have. A rule is given a `Call` and returns
the batch of results; it is written with `autograd.numpy`, so that batches may belong to an outer trace. Where there is
no rule, or a rule gives up by `CannotBatchError`, `each_row` calls the primitive once for each row. Whatever a rule
returns is compared with one row's result in shape and dtype, see `batched`.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd import builtins
from autograd.core import SparseObject, VSpace
from autograd.extend import defvjp, primitive
from autograd.numpy import fft, linalg, numpy_vjps, numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import getval, isbox, trace_primitives_map

from ..functions import elementwise, fourier

Array = Any
Rows = Any
"""A batch: an array with a leading axis, a tuple, list or dict of batches, `Scattered`, `Part` or `SparseRows`."""


class CannotBatchError(Exception):
    """Raised by a rule that does not know what to do with a call."""


@dataclass(slots=True)
class Call:
    """One call of a primitive with batches among its arguments.

    Parameters
    ----------
    fun
        The primitive.
    example
        Its result for one row, of which only the structure, the shape and the dtype mean anything.
    args, kwargs
        Its arguments, with an example in each place of a batch.
    batched
        The batches, by position.
    count
        The number of rows.
    """

    fun: Callable[..., Any]
    example: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    batched: Mapping[int, Rows]
    count: int

    def substituted(self, changes: Mapping[int, Any]) -> list[Any]:
        """Return the arguments with some of them replaced."""
        args = list(self.args)
        for position, value in changes.items():
            args[position] = value
        return args

    def option(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument that may be given by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def operand(self, position: int) -> Array:
        """Return the batch in this place or, where there is none, the array."""
        return self.batched.get(position, self.args[position])

    def ndim(self, position: int) -> int:
        """Return the number of axes of an operand, without the one of the batch."""
        return int(anp.ndim(self.operand(position))) - (position in self.batched)

    @property
    def only(self) -> Array:
        """The one batch of a call whose first argument is one, and no other."""
        if self.batched.keys() != {0}:
            raise CannotBatchError
        return self.batched[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the batch of results."""
        return (self.count, *anp.shape(self.example))


Rule = Callable[[Call], Rows]

RULES: Final[dict[Callable[..., Any], Rule]] = {}
"""The rules, by primitive."""


def _rule(*primitives: Callable[..., Any]) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(primitives, rule))
        return rule

    return enter


def rule_for(fun: Callable[..., Any]) -> Rule:
    """Return the rule for a primitive; universal functions have one in common."""
    known = RULES.get(fun)
    if known is not None:
        return known
    raw = getattr(fun, "fun", None)
    return by_elements if isinstance(raw, np.ufunc) and raw.nout == 1 and not raw.signature else each_row


# ---- row by row ------------------------------------------------------------------------------------------------------


def each_row(call: Call) -> Rows:
    """Call the primitive for each row."""
    rows = (
        call.substituted({place: row(batch, i) for place, batch in call.batched.items()}) for i in range(call.count)
    )
    return stacked([call.fun(*args, **call.kwargs) for args in rows])


def row(batch: Rows, index: int) -> Any:
    """Return one row of a batch of arrays or containers."""
    if isinstance(batch, (tuple, list, dict)):
        return map_tree(lambda part: row(part, index), batch)
    if isinstance(batch, (Scattered, Part)):
        raise CannotBatchError
    taken = batch[index, ...]
    return taken if isbox(taken) else taken.copy()  # a rule may write to what it is given


def stacked(rows: Sequence[Any]) -> Rows:
    """Make a batch of single results."""
    first = rows[0]
    if isinstance(first, (tuple, list, dict)):
        return map_tree(lambda *parts: stacked(parts), *rows)
    if isinstance(getval(first), SparseObject):
        raise CannotBatchError
    if any(map(isbox, rows)):
        return anp.stack(list(rows))
    return np.stack([np.asarray(each) for each in rows])


def map_tree(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply `function` to the parts of one or several containers that are built alike."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: function(*(tree[key] for tree in trees)) for key in first}
    parts = [function(*parts) for parts in zip(*trees, strict=True)]
    return first._make(parts) if hasattr(first, "_make") else type(first)(parts)


# ---- axes and shapes -------------------------------------------------------------------------------------------------


def shifted(axis: Any, ndim: int) -> Any:
    """Return one axis, or several, as counted in the batch."""
    if isinstance(axis, (tuple, list)):
        return tuple(shifted(each, ndim) for each in axis)
    return int(axis) % max(ndim, 1) + 1


def aligned(batch: Array, ndim: int) -> Array:
    """Give each row of a batch as many axes as `ndim`, by ones in front, for broadcasting."""
    shape = anp.shape(batch)
    missing = ndim - len(shape) + 1
    return anp.reshape(batch, (shape[0], *(1,) * missing, *shape[1:])) if missing > 0 else batch


def repeated(array: Array, count: int) -> Array:
    """Make a batch of rows that are all the same."""
    if isbox(array):
        return anp.reshape(array, (1, *array.shape)) + np.zeros((count, *(1,) * array.ndim), array.dtype)
    plain = np.asarray(array)
    return np.broadcast_to(plain, (count, *plain.shape))


def flat(batch: Array) -> Array:
    """Flatten each row."""
    shape = anp.shape(batch)
    return anp.reshape(batch, (shape[0], math.prod(shape[1:])))


# ---- elementwise -----------------------------------------------------------------------------------------------------


@_rule(
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
    ndim = max(call.ndim(place) for place in range(len(call.args)))
    return call.fun(*call.substituted({place: aligned(b, ndim) for place, b in call.batched.items()}), **call.kwargs)


@_rule(trace_primitives_map[np.where])
def _where(call: Call) -> Rows:
    if len(call.args) != 3:
        raise CannotBatchError
    return by_elements(call)


@_rule(numpy_wrapper._astype)
def _astype(call: Call) -> Rows:
    return call.fun(call.only, *call.args[1:], **call.kwargs)


@_rule(numpy_wrapper._array_from_scalar_or_array)
def _array(call: Call) -> Rows:
    return anp._astype(anp.reshape(call.batched[2], call.shape), anp.result_type(call.example))


@_rule(anp.full)
def _full(call: Call) -> Rows:
    filled = aligned(call.batched[1], anp.ndim(call.example)) + np.zeros(call.shape, anp.result_type(call.example))
    return anp._astype(filled, anp.result_type(call.example))


# ---- sums of cotangents ----------------------------------------------------------------------------------------------


@_rule(VSpace.add)
def _add(call: Call) -> Rows:
    parts = [call.batched[i] if i in call.batched else repeated(call.args[i], call.count) for i in (1, 2)]
    if not all(isinstance(getval(part), np.ndarray) for part in parts):
        raise CannotBatchError
    return parts[0] + parts[1]


@_rule(VSpace.covector)
def _covector(call: Call) -> Rows:
    return anp.conj(call.batched[1]) if call.args[0].iscomplex else call.batched[1]


# ---- reductions ------------------------------------------------------------------------------------------------------


@_rule(
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


@_rule(anp.cumprod, anp.cumsum)
def _cumulate(call: Call) -> Rows:
    axis = call.option(1, "axis")
    if axis is None:
        return call.fun(flat(call.only), axis=1)
    return call.fun(call.only, axis=shifted(axis, call.ndim(0)))


@_rule(anp.diff)
def _diff(call: Call) -> Rows:
    return anp.diff(call.only, call.option(1, "n", 1), shifted(call.option(2, "axis", -1), call.ndim(0)))


# ---- shapes ----------------------------------------------------------------------------------------------------------


@_rule(anp.atleast_1d, anp.atleast_2d, anp.atleast_3d, anp.expand_dims, anp.ravel, anp.reshape, anp.squeeze)
def _reshape(call: Call) -> Rows:
    if call_order(call) not in (None, "C"):
        raise CannotBatchError
    return anp.reshape(call.only, call.shape)


def call_order(call: Call) -> Any:
    """Return the order of elements that a call asks for, where it is one that may."""
    place = {anp.reshape: 2, anp.ravel: 1}.get(call.fun)
    return call.kwargs.get("order") if place is None else call.option(place, "order")


@_rule(anp.transpose)
def _transpose(call: Call) -> Rows:
    ndim = call.ndim(0)
    axes = call.option(1, "axes")
    axes = range(ndim)[::-1] if axes is None else axes
    return anp.transpose(call.only, (0, *(shifted(axis, ndim) for axis in axes)))


@_rule(anp.swapaxes)
def _swapaxes(call: Call) -> Rows:
    axes = call.option(1, "axis1"), call.option(2, "axis2")
    return anp.swapaxes(call.only, *shifted(axes, call.ndim(0)))


@_rule(anp.moveaxis)
def _moveaxis(call: Call) -> Rows:
    axes = call.option(1, "source"), call.option(2, "destination")
    return anp.moveaxis(call.only, *(shifted(axis, call.ndim(0)) for axis in axes))


@_rule(anp.rollaxis)
def _rollaxis(call: Call) -> Rows:
    ndim, start = call.ndim(0), call.option(2, "start", 0)
    return anp.rollaxis(call.only, shifted(call.args[1], ndim), (start + ndim if start < 0 else start) + 1)


@_rule(anp.roll)
def _roll(call: Call) -> Rows:
    x, shift, axis = call.only, call.option(1, "shift"), call.option(2, "axis")
    if axis is None:
        return anp.reshape(anp.roll(flat(x), shift, axis=1), anp.shape(x))
    return anp.roll(x, shift, axis=shifted(axis, call.ndim(0)))


@_rule(anp.flipud)
def _flipud(call: Call) -> Rows:
    return call.only[:, ::-1]


@_rule(anp.fliplr)
def _fliplr(call: Call) -> Rows:
    return call.only[:, :, ::-1]


@_rule(anp.tril, anp.triu)
def _triangle(call: Call) -> Rows:
    if call.ndim(0) < 2:
        raise CannotBatchError
    return call.fun(call.only, *call.args[1:], **call.kwargs)


@_rule(anp.repeat)
def _repeat(call: Call) -> Rows:
    axis, repeats = call.option(2, "axis"), call.option(1, "repeats")
    if axis is None:
        return anp.repeat(flat(call.only), repeats, axis=1)
    return anp.repeat(call.only, repeats, axis=shifted(axis, call.ndim(0)))


@_rule(anp.broadcast_to)
def _broadcast_to(call: Call) -> Rows:
    return anp.broadcast_to(aligned(call.only, anp.ndim(call.example)), call.shape)


@_rule(anp.diagonal)
def _diagonal(call: Call) -> Rows:
    axes = call.option(2, "axis1", 0), call.option(3, "axis2", 1)
    return anp.diagonal(call.only, call.option(1, "offset", 0), *shifted(axes, call.ndim(0)))


@_rule(numpy_wrapper.make_diagonal)
def _make_diagonal(call: Call) -> Rows:
    return call.fun(call.only, *call.args[1:], **call.kwargs)  # knows the last axes only


@_rule(anp.diag)
def _diag(call: Call) -> Rows:
    x, k = call.only, call.option(1, "k", 0)
    if call.ndim(0) == 2:
        return x[(slice(None), *np.nonzero(np.eye(x.shape[1], x.shape[2], k=k, dtype=bool)))]
    if k:
        raise CannotBatchError
    return x[:, :, None] * np.eye(anp.shape(x)[1], dtype=anp.result_type(x))


@_rule(anp.split, anp.array_split)
def _split(call: Call) -> Rows:
    return call.fun(call.only, call.args[1], shifted(call.option(2, "axis", 0), call.ndim(0)))


@_rule(anp.pad)
def _pad(call: Call) -> Rows:
    widths = np.broadcast_to(np.asarray(call.args[1]), (anp.ndim(call.example), 2))
    return anp.pad(call.only, [(0, 0), *(tuple(map(int, each)) for each in widths)], *call.args[2:], **call.kwargs)


@_rule(numpy_wrapper.concatenate_args)
def _concatenate(call: Call) -> Rows:
    parts = [call.batched[i] if i in call.batched else repeated(call.args[i], call.count) for i in _after(call, 1)]
    return call.fun(shifted(call.args[0], anp.ndim(call.example)), *parts)


@_rule(numpy_wrapper.array_from_args)
def _array_from_args(call: Call) -> Rows:
    if call.args[0] or call.args[1]:
        raise CannotBatchError
    parts = [call.batched[i] if i in call.batched else repeated(call.args[i], call.count) for i in _after(call, 2)]
    return anp.stack(parts, axis=1)


def _after(call: Call, first: int) -> range:
    return range(first, len(call.args))


# ---- indices ---------------------------------------------------------------------------------------------------------


def batch_index(index: Any) -> tuple[Any, ...]:
    """Return the index that takes from each row of a batch what `index` takes from an array.

    Raises
    ------
    CannotBatchError
        If NumPy would not leave the axis of the batch in front, or the index is of an unusual kind.
    """
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.asarray(part) if isinstance(part, list) else part for part in parts)
    if not all(_is_plain(part) for part in parts):
        raise CannotBatchError
    if any(isinstance(part, np.ndarray) for part in parts):
        places = [k for k, part in enumerate(parts) if isinstance(part, np.ndarray | int | np.integer)]
        if places != list(range(places[0], places[-1] + 1)):
            raise CannotBatchError
    return (slice(None), *parts)


def _is_plain(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return part.dtype.kind in "iu" or (part.dtype.kind == "b" and part.ndim > 0)
    return not isinstance(part, bool) and (
        part is None or part is Ellipsis or isinstance(part, int | np.integer | slice)
    )


def positions(index: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return, in the shape of what `index` takes, the places of the elements in the flattened array."""
    index = np.asarray(index, dtype=np.int64) if isinstance(index, list) and not index else index
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[index])


@_rule(ArrayBox.__getitem__)
def _getitem(call: Call) -> Rows:
    if not isinstance(getval(call.only), np.ndarray):
        raise CannotBatchError
    return call.only[batch_index(call.args[1])]


_BASIC: Final = (int, slice, type(None), type(Ellipsis))


class Scattered:
    """A batch of rows that stand at an index of larger arrays of zeros, not made yet."""

    __slots__ = ("index", "rows", "shape")

    def __init__(self, rows: Array, index: Any, shape: tuple[int, ...]):
        self.rows = rows
        self.index = index
        self.shape = shape

    def dense(self) -> Array:
        """Make the arrays."""
        if self._is_simple:
            result = np.zeros((len(self.rows), *self.shape), self.rows.dtype)
            result[batch_index(self.index)] = self.rows
            return result
        places = positions(self.index, self.shape)
        rows = anp.broadcast_to(self.rows, (len(self.rows), *places.shape))
        spread = scattered(flat(rows), places.ravel(), math.prod(self.shape))
        return anp.reshape(spread, (len(self.rows), *self.shape))

    def add_to(self, total: np.ndarray[Any, Any]) -> bool:
        """Add in place, where that is simple; say whether it was."""
        if self._is_simple:
            total[batch_index(self.index)] += self.rows
        return self._is_simple

    @property
    def _is_simple(self) -> bool:
        """Whether the elements are different ones, of an array that can be written to."""
        if isbox(self.rows):
            return False
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        return all(type(part) in _BASIC or isinstance(part, np.integer) for part in parts)


@primitive  # type: ignore[untyped-decorator]
def scattered(x: Array, places: Array, size: int) -> Array:
    """Add the elements of the last axis to zeros, each in its place of `size`; several in one place add up."""
    result = np.zeros((*x.shape[:-1], size), x.dtype)
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    if len(first) == len(places):
        result[..., places] = x
    elif len(first):
        result[..., ordered[first]] = np.add.reduceat(x[..., order], first, axis=-1, dtype=x.dtype)
    return result


@primitive  # type: ignore[untyped-decorator]
def gathered(x: Array, places: Array, size: int) -> Array:
    """Take elements of the last axis, of which there are `size`."""
    return x[..., places]


defvjp(scattered, lambda ans, x, places, size: lambda g: gathered(g, places, size), argnums=(0,))
defvjp(gathered, lambda ans, x, places, size: lambda g: scattered(g, places, size), argnums=(0,))


@_rule(fourier._sums, gathered, scattered)
def _on_the_last_axis(call: Call) -> Rows:
    return call.fun(call.only, *call.args[1:], **call.kwargs)


@_rule(numpy_vjps.untake)
def _untake(call: Call) -> Rows:
    return Scattered(call.only, call.args[1], call.args[2].shape)


# ---- containers ------------------------------------------------------------------------------------------------------


class Part:
    """A batch that stands in one place of containers, beside zeros that are not made yet."""

    __slots__ = ("index", "rows", "space")

    def __init__(self, rows: Rows, index: Any, space: Any):
        self.rows = rows
        self.index = index
        self.space = space

    def whole(self) -> Rows:
        """Make the containers."""
        count = _count(self.rows)
        whole = self.space._map(lambda space: np.zeros((count, *space.shape), space.dtype))
        if not isinstance(self.index, slice):
            return self.space._subval(whole, self.index, self.rows)
        for place, part in zip(range(*self.index.indices(len(whole))), self.rows, strict=True):
            whole = self.space._subval(whole, place, part)
        return whole


def _count(rows: Rows) -> int:
    while isinstance(rows, (tuple, list, dict)):
        rows = next(iter(rows.values() if isinstance(rows, dict) else rows))
    return len(rows)


@_rule(builtins.container_take)
def _container_take(call: Call) -> Rows:
    return call.only[call.args[1]]


@_rule(builtins.container_untake)
def _container_untake(call: Call) -> Rows:
    return Part(call.only, call.args[1], call.args[2])


@_rule(builtins.make_sequence)
def _make_sequence(call: Call) -> Rows:
    parts = [call.batched[i] if i in call.batched else repeated(call.args[i], call.count) for i in _after(call, 1)]
    return call.args[0](parts)


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
        place = max(other - 2, 0)
        y = y[:place] + x[-1] + y[place + 1 :]
    return x, y, _free(x, y)


def _free(x: str, y: str) -> str:
    return "".join(c for c in x if c not in y) + "".join(c for c in y if c not in x)


@_rule(anp.dot)
def _dot(call: Call) -> Rows:
    x, y, out = _of_dot(call.ndim(0), call.ndim(1))
    return contracted(call, 0, x, 1, y, out)


@_rule(numpy_vjps.dot_adjoint_0)
def _dot_adjoint_0(call: Call) -> Rows:
    x, y, out = _of_dot(call.args[2][1], call.args[3][1])
    return contracted(call, 1, out, 0, y, x)


@_rule(numpy_vjps.dot_adjoint_1)
def _dot_adjoint_1(call: Call) -> Rows:
    x, y, out = _of_dot(call.args[2][1], call.args[3][1])
    return contracted(call, 1, out, 0, x, y)


def _of_tensordot(axes: Any, ndim: int, other: int) -> tuple[str, str, str]:
    x, y = _LETTERS[:ndim], list(_LETTERS[ndim : ndim + other])
    if isinstance(axes, int | np.integer):
        pairs = zip(range(ndim - axes, ndim), range(axes), strict=True)
    else:
        pairs = zip(*(np.atleast_1d(np.asarray(each, dtype=int)).tolist() for each in axes), strict=True)
    for left, right in pairs:
        y[right] = x[left]
    return x, "".join(y), _free(x, "".join(y))


@_rule(anp.tensordot)
def _tensordot(call: Call) -> Rows:
    x, y, out = _of_tensordot(call.option(2, "axes", 2), call.ndim(0), call.ndim(1))
    return contracted(call, 0, x, 1, y, out)


@_rule(numpy_vjps.tensordot_adjoint_0)
def _tensordot_adjoint_0(call: Call) -> Rows:
    x, y, out = _of_tensordot(*call.args[2:5])
    return contracted(call, 1, out, 0, y, x)


@_rule(numpy_vjps.tensordot_adjoint_1)
def _tensordot_adjoint_1(call: Call) -> Rows:
    x, y, out = _of_tensordot(*call.args[2:5])
    return contracted(call, 1, out, 0, x, y)


@_rule(anp.inner)
def _inner(call: Call) -> Rows:
    ndim, other = call.ndim(0), call.ndim(1)
    x, y, out = _of_tensordot(([ndim - 1], [other - 1]) if ndim and other else 0, ndim, other)
    return contracted(call, 0, x, 1, y, out)


@_rule(anp.outer)
def _outer(call: Call) -> Rows:
    flattened = {i: flat(batch) for i, batch in call.batched.items()}
    x, y = (flattened[i] if i in flattened else anp.reshape(call.args[i], (1, -1)) for i in (0, 1))
    return x[:, :, None] * y[:, None, :]


@_rule(anp.matmul)
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


@_rule(anp.einsum)
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
    operands = [call.operand(i) for i in _after(call, 1)]
    options = {"optimize": True, **call.kwargs} if len(operands) > 1 else call.kwargs
    return anp.einsum(f"{','.join(names)}->{batch}{out}", *operands, **options)


# ---- linear algebra and Fourier transforms ---------------------------------------------------------------------------


@_rule(linalg.det, linalg.inv)
def _of_matrices(call: Call) -> Rows:
    return call.fun(call.only)


@_rule(linalg.solve)
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


@_rule(fft.fft, fft.ifft, fft.irfft, fft.rfft)
def _transform(call: Call) -> Rows:
    axis = shifted(call.option(2, "axis", -1), call.ndim(0))
    return call.fun(call.only, call.option(1, "n"), axis, call.option(3, "norm"))


@_rule(fft.truncate_pad)
def _truncate_pad(call: Call) -> Rows:
    return call.fun(call.only, (call.count, *call.args[1]))
