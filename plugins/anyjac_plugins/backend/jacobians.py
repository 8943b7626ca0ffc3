"""Whole Jacobians, in either mode, on flat lists of arrays.

=================================  ================================================================================
member                             override it where
=================================  ================================================================================
``jacobian``                       the framework needs no seeds, or can keep something from call to call; by default
                                   rows or columns of an identity go through what `vjp` or `linearize` returns
``column_cost``                    a column costs more or less than two rows
``cache_info``, ``cache_clear``    the backend keeps compiled Jacobians by itself
=================================  ================================================================================

Trees, Variables, dtype rules and packing are dealt with above.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from .capabilities import FORWARD
from .columns import blocks_by_columns
from .rows import RowMembers
from .types import FORWARD_MODE, REVERSE_MODE, Array, CacheInfo, FlatFunction, Jacobian, OutputRows, Pullback


class JacobianMembers(RowMembers):
    """The part of a backend that computes whole Jacobians."""

    column_cost: ClassVar[float] = 2.0
    """How many rows cost as much as a column, where either may be computed. A pullback of a pullback is about two."""

    def jacobian(
        self, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None = None, mode: str = REVERSE_MODE
    ) -> Jacobian:
        """Run `fun` at `primals` and return its outputs, its Jacobian, and its aux.

        The default multiplies the identity by what `vjp` or `linearize` return. A backend that overrides it may run
        `fun` again from its beginning if it must; what the first run did is forgotten then.

        Parameters
        ----------
        fun, primals
            As in `vjp`; there is at least one primal.
        chunk_size
            How many rows or columns to compute at once; None for `rows_at_once`.
        mode
            ``"rev"``, ``"fwd"``, which is only asked of a backend that declares ``forward``, or ``"auto"``.
        """
        return plain_jacobian(self, fun, primals, chunk_size, mode)

    def cache_info(self) -> CacheInfo:
        """Return how often compiled Jacobians that the backend keeps were of use; all zero where it keeps none."""
        return CacheInfo()

    def cache_clear(self) -> None:
        """Forget all compiled Jacobians."""


def plain_jacobian(
    backend: JacobianMembers, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str
) -> Jacobian:
    """Run `fun` once and compute its Jacobian in the given mode.

    Where that is ``"auto"``, the run is made for rows, and columns are computed by `Backend.transpose` if they are
    cheaper, and if there are any: a function may have a rule for its pullback and none by which that could be
    transposed.
    """
    if mode == REVERSE_MODE:
        return reverse_jacobian(backend, fun, primals, chunk_size)
    if mode == FORWARD_MODE:
        outputs, pushforward, aux = backend.linearize(fun, primals)
        return Jacobian(
            outputs, blocks_by_columns(backend, pushforward, outputs, primals, chunk_size), aux, FORWARD_MODE
        )
    outputs, pullback, aux = backend.vjp(fun, primals)
    if cheaper_mode(backend, outputs, primals) == FORWARD_MODE:
        with contextlib.suppress(Exception):  # a user's rule may raise anything when transposed; rows need no transpose
            pushforward = backend.transpose(pullback, outputs, primals)
            blocks = blocks_by_columns(backend, pushforward, outputs, primals, chunk_size)
            return Jacobian(outputs, blocks, aux, FORWARD_MODE)
    return _by_rows(backend, outputs, pullback, aux, primals, chunk_size)


def cheaper_mode(backend: JacobianMembers, outputs: Sequence[Any], primals: Sequence[Any]) -> str:
    """Return the mode that costs less, by numbers of rows and columns and by what the backend can."""
    rows = sum(math.prod(output.shape) for output in outputs)
    columns = sum(math.prod(primal.shape) for primal in primals)
    forward = backend.supports(FORWARD) and columns * backend.column_cost < rows
    return FORWARD_MODE if forward else REVERSE_MODE


def reverse_jacobian(
    backend: JacobianMembers, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None
) -> Jacobian:
    """Run `fun` once and pull back the rows of the identity, a chunk at a time, output by output.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.
    """
    outputs, pullback, aux = backend.vjp(fun, primals)
    return _by_rows(backend, outputs, pullback, aux, primals, chunk_size)


def _by_rows(
    backend: JacobianMembers,
    outputs: list[Array],
    pullback: Pullback,
    aux: list[Array],
    primals: Sequence[Array],
    chunk_size: int | None,
) -> Jacobian:
    indices = range(len(outputs))
    blocks = [backend.output_rows(OutputRows(pullback, outputs, index, primals, chunk_size)) for index in indices]
    return Jacobian(outputs, blocks, aux)
