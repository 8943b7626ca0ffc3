"""Which derivative a transform computes, as a value; the reverse-mode Jacobian is the first of them.

Works on flat lists of arrays: trees, Variables, dtypes and packing are dealt with by its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anyjac_plugins import Array, Backend, FlatFunction, Jacobian


@dataclass(frozen=True, slots=True)
class Derivative:
    """One member of the family of derivatives.

    Attributes
    ----------
    name
        What users call it.
    evaluate
        Runs a flat function at the primals, and returns its outputs, one block for each output and primal, and its aux
        arrays. The last argument is the chunk size, or None.
    """

    name: str
    evaluate: Callable[[Backend, FlatFunction, Sequence[Array], int | None], Jacobian]


def _reverse_jacobian(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None
) -> Jacobian:
    if not primals:
        outputs, aux = fun()
        return Jacobian(list(outputs), [[] for _ in outputs], list(aux))
    return backend.jacobian(fun, primals, chunk_size)


REVERSE_JACOBIAN = Derivative("jacrev", _reverse_jacobian)
