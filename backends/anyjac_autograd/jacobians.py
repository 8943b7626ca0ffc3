"""Rows of Jacobians on autograd: batches of cotangents, rows of identities, and `jacobian` for autograd's own users.

Rows are pulled back in one of three ways, with the same result: in a loop, in a batch, and in a sparse batch, which
keeps the elements that are not zero. Where a way does not apply, the way before it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.tracer import isbox
from autograd.wrap_util import unary_to_nary

from anyjac_plugins import Array

from . import batched, linear_maps
from .linear_maps import BackwardPass, cast, innermost
from .rules.sparse_rows import SparseRows, identity_rows
from .rules.table import Rows
from .tracing import make_tracing_thread_safe

LOOP: Final = "loop"
BATCHED: Final = "batched"
STRUCTURED: Final = "structured"

_FEW: Final = 1
"""Rows up to which a loop is as fast as a batch."""

_SMALL: Final = 2**14
"""Elements of the identity up to which its rows are better dense."""

CHUNK_BYTES: Final = 2**21
"""A batch of this size stays in the processor's cache."""

_DENSE_LIMIT: Final = 2**20
"""Elements of an array that all rows of a Jacobian together may take on the way."""


def rows_at_once(width: int, itemsize: int = 8) -> int:
    """Return how many rows of so many elements are a good batch."""
    return max(64, CHUNK_BYTES // (itemsize * max(1, width)))


def pull_rows(pullback: BackwardPass, cotangents: Sequence[Array | None], path: str | None) -> list[Array | None]:
    """Pull back a batch of cotangents; see `anyjac_plugins.Backend.pullback_rows`.

    Parameters
    ----------
    path
        `LOOP`, or the fastest way that may be taken; None to choose by the number of rows.
    """
    count = next(len(each) for each in cotangents if each is not None)
    if path != LOOP and (path is not None or count > _FEW):
        try:
            return _together(pullback, cotangents, count)
        except Exception:  # a user's rule may raise anything: in the loop, which is complete, it does so again
            pass
    return _one_by_one(pullback, cotangents, count)


def pull_identity(
    pullback: BackwardPass, outputs: Sequence[Array], index: int, start: int, stop: int, path: str | None
) -> list[Array | None]:
    """Return rows `start` to `stop` of the Jacobian of an output; None stands for zeros."""
    output = innermost(outputs[index])
    if path == STRUCTURED or (path is None and _is_large(stop - start, output)):
        try:
            return _sparsely(pullback, outputs, index, start, stop, None)
        except Exception:  # a user's rule may raise anything: it does so again with dense rows
            pass
    seeds: list[Array | None] = [None] * len(outputs)
    seeds[index] = dense_identity_rows(output, start, stop)
    return pull_rows(pullback, seeds, path)


def pull_whole_identity(
    pullback: BackwardPass, outputs: Sequence[Array], index: int, path: str | None
) -> list[Array | None] | None:
    """Return all rows of the Jacobian of an output, where they need not be in chunks; None where they must."""
    output = innermost(outputs[index])
    rows = math.prod(np.shape(output))
    if not rows or not (path == STRUCTURED or (path is None and _is_large(rows, output))):
        return None
    try:
        return _sparsely(pullback, outputs, index, 0, rows, _DENSE_LIMIT)
    except Exception:  # TooLargeError, or anything from a user's rule: it does so again with rows in chunks
        return None


def _is_large(rows: int, output: Array) -> bool:
    return rows * math.prod(np.shape(output)) >= _SMALL


def dense_identity_rows(like: Array, start: int, stop: int) -> Array:
    """Return rows `start` to `stop` of the identity, each in the shape of `like`."""
    size, shape = math.prod(np.shape(like)), np.shape(like)
    return np.eye(stop - start, size, k=start, dtype=np.result_type(like)).reshape(stop - start, *shape)


# ---- the three ways --------------------------------------------------------------------------------------------------


def _one_by_one(pullback: BackwardPass, cotangents: Sequence[Array | None], count: int) -> list[Array | None]:
    rows = [pullback([None if each is None else each[i, ...] for each in cotangents]) for i in range(count)]
    return [_stacked(column) for column in zip(*rows, strict=True)]


def _stacked(column: Sequence[Array | None]) -> Array | None:
    known = next((row for row in column if row is not None), None)
    if known is None:
        return None
    rows = [np.zeros(known.shape, known.dtype) if row is None else row for row in column]
    return anp.stack(rows) if any(map(isbox, rows)) else np.array(rows)


def _together(pullback: BackwardPass, cotangents: Sequence[Array | None], count: int) -> list[Array | None]:
    totals: list[Rows | None] = [None] * len(pullback.roots)
    for order, cotangent in zip(pullback.orders, cotangents, strict=True):
        if order is not None and cotangent is not None:
            for position, part in enumerate(batched.pull_back(order, pullback.roots, cotangent, count)):
                before = totals[position]
                if before is not None and part is not None:
                    batched.refuse_to_broadcast(before, part)
                    totals[position] = before + part
                elif before is None:
                    totals[position] = part
    return _finished(totals, pullback.primals, [each for each in cotangents if each is not None])


def _sparsely(
    pullback: BackwardPass, outputs: Sequence[Array], index: int, start: int, stop: int, limit: int | None
) -> list[Array | None]:
    order = pullback.orders[index]
    if order is None:
        return [None] * len(pullback.roots)
    output = innermost(outputs[index])
    seeds = identity_rows(np.shape(output), np.result_type(output), start, stop, limit)
    return _finished(batched.pull_back(order, pullback.roots, seeds, stop - start), pullback.primals, [])


def _finished(gradients: Sequence[Rows | None], primals: Sequence[Array], taken: list[Array]) -> list[Array | None]:
    """Return the gradients as arrays of the primals' dtypes, each in memory of its own."""
    finished: list[Array | None] = []
    for gradient, primal in zip(gradients, primals, strict=True):
        if gradient is None:
            finished.append(None)
            continue
        is_new = isinstance(gradient, SparseRows)
        rows = cast(gradient.to_array() if is_new else gradient, primal)
        if not is_new and not isbox(rows):
            if not rows.flags.writeable or any(not isbox(each) and np.may_share_memory(rows, each) for each in taken):
                rows = rows.copy()
            taken = [*taken, rows]
        finished.append(rows)
    return finished


# ---- for autograd's own users ----------------------------------------------------------------------------------------


@unary_to_nary  # type: ignore[untyped-decorator]
def _jacobian(fun: Callable[[Array], Array], x: Array) -> Array:
    outputs, pullback, _ = linear_maps.vjp(lambda box: ([fun(box)], []), [x])
    output, plain = outputs[0], np.asarray(innermost(outputs[0]))
    if plain.dtype.kind == "c":
        raise ValueError("the Jacobian of a complex result is not one of real rows; take real and imaginary part apart")
    shape = (*plain.shape, *np.shape(innermost(x)))
    if not math.prod(shape):
        return np.zeros(shape, np.result_type(innermost(x)))
    gradients = pull_whole_identity(pullback, [output], 0, None)
    parts = [] if gradients is None else [gradients[0]]
    if gradients is None:
        at_once = rows_at_once(max(plain.size, math.prod(np.shape(innermost(x)))))
        for start in range(0, plain.size, at_once):
            stop = min(plain.size, start + at_once)
            parts.append(pull_identity(pullback, [output], 0, start, stop, None)[0])
    if parts[0] is None:
        return np.zeros(shape, np.result_type(innermost(x)))
    return anp.reshape(parts[0] if len(parts) == 1 else anp.concatenate(parts), shape)


def jacobian(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `fun`, as ``autograd.jacobian`` does, by batched backward passes.

    Parameters
    ----------
    fun
        A function whose argument number `argnum` is an array or a number, and whose result is a real array or number,
        computed with `autograd.numpy`. It is called once for each Jacobian.
    argnum
        Position of the argument to differentiate with respect to.

    Returns
    -------
    callable
        Takes the arguments of `fun` and returns an array of shape ``result.shape + argument.shape``, in the
        argument's dtype where that is a floating one. It is differentiable in turn, by autograd's transforms and by
        this one.

    Raises
    ------
    ValueError
        When called, if the result of `fun` is complex.

    Notes
    -----
    ``autograd.jacobian`` makes a backward pass for each element of the result. Here a single pass serves all elements,
    or as many as fit into the processor's cache, and sparse cotangents stay sparse as long as rules allow. Derivative
    rules from outside of autograd are given cotangents singly.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from anyjac_autograd import jacobian
    >>> jacobian(lambda x: x**2 + x[::-1])(np.array([1.0, 2.0, 3.0]))
    array([[2., 0., 1.],
           [0., 5., 0.],
           [1., 0., 6.]])
    """
    make_tracing_thread_safe()
    made: Callable[..., Any] = _jacobian(fun, argnum)
    return made
