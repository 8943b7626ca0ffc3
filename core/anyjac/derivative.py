"""Which derivative a transform computes, as a value; and the reverse-mode Jacobian, the first of them.

Works on flat lists of arrays: trees, Variables, dtypes and packing are dealt with by its callers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from anyjac_plugins import Array, Backend, FlatFunction, Pullback

from .chunks import chunks


class Evaluated(NamedTuple):
    """What evaluating a derivative gives: outputs and aux untraced, and one list of blocks for each output."""

    outputs: list[Array]
    aux: list[Array]
    blocks: list[list[Array]]


@dataclass(frozen=True, slots=True)
class Derivative:
    """One member of the family of derivatives.

    Attributes
    ----------
    name
        What users call it.
    evaluate
        Runs a flat function exactly once at the primals, and returns its outputs, its aux arrays, and for each output
        and primal one block. The last argument is the chunk size, or None.
    """

    name: str
    evaluate: Callable[[Backend, FlatFunction, Sequence[Array], int | None], Evaluated]


def reverse_jacobian(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None
) -> Evaluated:
    """Evaluate the Jacobian by pulling back the rows of the identity, a chunk at a time, output by output.

    One block has shape ``y.shape + x.shape``.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.
    """
    if not primals:
        outputs, aux = fun()
        return Evaluated(list(outputs), list(aux), [[] for _ in outputs])
    outputs, pullback, aux = backend.vjp(fun, primals)
    blocks = [
        _blocks_of_output(backend, pullback, index, outputs, primals, chunk_size) for index in range(len(outputs))
    ]
    return Evaluated(outputs, aux, blocks)


def _blocks_of_output(
    backend: Backend,
    pullback: Pullback,
    index: int,
    outputs: Sequence[Array],
    primals: Sequence[Array],
    chunk_size: int | None,
) -> list[Array]:
    output = outputs[index]
    rows = math.prod(output.shape)
    columns = sum(math.prod(primal.shape) for primal in primals)
    parts: list[list[Array]] = [[] for _ in primals]
    if rows and columns:
        for start, stop in chunks(rows, chunk_size or backend.rows_at_once(max(rows, columns))):
            seeds: list[Array | None] = [None] * len(outputs)
            seeds[index] = backend.identity_rows(output, start, stop)
            for part, primal, computed in zip(parts, primals, backend.pullback_rows(pullback, seeds), strict=True):
                part.append(backend.zeros((stop - start, *primal.shape), primal) if computed is None else computed)
    return [_join(backend, part, output, primal) for part, primal in zip(parts, primals, strict=True)]


def _join(backend: Backend, parts: Sequence[Array], output: Array, primal: Array) -> Array:
    """Put the rows of one block together; there are none where the block is empty."""
    xp = backend.namespace
    shape = (*output.shape, *primal.shape)
    if not parts:
        return backend.zeros(shape, primal)
    return xp.reshape(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0), shape)


REVERSE_JACOBIAN = Derivative("jacrev", reverse_jacobian)
