"""Tangents by the transpose of a pullback, and by its rows where the transpose gives NaN or infinity.

A formula of a backward pass is linear in its gradient, but not always written so: where it divides by the gradient,
takes the logarithm or masks it, the derivative of the formula is NaN although the row is finite. Then the rows of the
elements in question are pulled back, and multiplied by the tangents. So are all rows where PyTorch has no derivative of
a backward pass, by which it could be transposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from anyjac_plugins import Array, Pullback

from .graphs import NoDerivativeError
from .linear_maps import batched_rows
from .modes import is_recording
from .torch_func import is_transformed

ROWS: Final = 1024
"""Most elements that are not finite to be computed by rows; more would take too long."""
PRODUCTS: Final = 2**22
"""Most products to be summed singly, where a row itself is not finite."""


class Transposed:
    """The pushforward of a run, by the transpose of its pullback; `pullback_rows` maps it over rows like a pullback."""

    def __init__(
        self, transposed: Pullback | None, pullback: Pullback, outputs: Sequence[Array], primals: Sequence[Array]
    ):
        self.transposed = transposed
        self.refuses_batches = False
        self._pullback = pullback
        self._outputs = outputs
        self._primals = primals

    def __call__(self, tangents: Sequence[Array | None]) -> list[Array | None]:
        given = [None if tangent is None else tangent[None] for tangent in tangents]
        found = self._attempt(lambda transposed: transposed(tangents))
        if found is None:
            return [part[0] for part in self._all_by_rows(given)]
        if not self._are_suspect(found):
            return list(found)
        mended = [None if part is None else self._mended(index, part[None], given) for index, part in enumerate(found)]
        return [None if part is None else part[0] for part in mended]

    def batch(self, tangents: Sequence[Array | None]) -> list[Array | None]:
        """Push a batch of tangents forward; None and errors as in `linear_maps.batched_rows`."""
        found = self._attempt(lambda transposed: transposed.batch(tangents))
        if found is None:
            return list(self._all_by_rows(tangents))
        if not self._are_suspect(found):
            return found
        return [None if part is None else self._mended(index, part, tangents) for index, part in enumerate(found)]

    def _attempt(self, push: Callable[[Any], list[Array | None]]) -> list[Array | None] | None:
        """Push by the transpose; None, now and ever after, where PyTorch has no derivative by which to transpose."""
        if self.transposed is None:
            return None
        try:
            return push(self.transposed)
        except NoDerivativeError:
            if any(output.is_complex() for output in self._outputs):  # whose rows are not all of a derivative
                raise
            self.transposed = None
            return None

    def _all_by_rows(self, tangents: Sequence[Array | None]) -> list[Array]:
        """Push a batch of tangents forward by the rows of the Jacobian."""
        count = next(len(tangent) for tangent in tangents if tangent is not None)
        found = []
        for index, output in enumerate(self._outputs):
            elements = torch.arange(output.numel(), device=output.device)
            parts = [elements[start : start + ROWS] for start in range(0, len(elements), ROWS)]
            none = torch.zeros((0, count), dtype=output.dtype, device=output.device)
            products = torch.cat([none, *(self._by_rows(index, part, tangents, count) for part in parts)])
            found.append(products.to(output.dtype).T.reshape(count, *output.shape))
        return found

    def _are_suspect(self, found: Sequence[Array | None]) -> bool:
        """Return whether any tangent is not finite, where there are numbers to look at."""
        if is_recording() or is_transformed():
            return False
        return not all(part is None or bool(torch.isfinite(part.detach()).all()) for part in found)

    def _mended(self, index: int, batch: Array, tangents: Sequence[Array | None]) -> Array:
        """Return a batch of tangents of one output with the elements that are not finite computed by rows."""
        flat = batch.reshape(len(batch), -1)
        wrong = (~torch.isfinite(flat.detach())).any(0).nonzero()[:, 0]
        if not 0 < len(wrong) <= ROWS:
            return batch
        if flat.requires_grad:  # all elements, or the derivative of the tangents would go through NaN
            wrong = torch.arange(flat.shape[1], device=flat.device)
            if len(wrong) > ROWS:
                return batch
        products = self._by_rows(index, wrong, tangents, len(batch))
        columns = products.to(flat.dtype).T
        mended = columns if len(wrong) == flat.shape[1] else flat.index_copy(1, wrong, columns)
        return mended.reshape(batch.shape)

    def _by_rows(self, index: int, elements: Array, tangents: Sequence[Array | None], count: int) -> Array:
        """Return, for some elements of an output, the products of their rows with each tangent of a batch."""
        output = self._outputs[index]
        seeds = torch.zeros((len(elements), output.numel()), dtype=output.dtype, device=output.device)
        seeds[torch.arange(len(elements), device=seeds.device), elements] = 1
        cotangents: list[Array | None] = [None] * len(self._outputs)
        cotangents[index] = seeds.reshape(len(elements), *output.shape)
        rows = batched_rows(self._pullback, cotangents)
        if rows is None:
            each = [self._pullback([None if c is None else c[k] for c in cotangents]) for k in range(len(elements))]
            rows = [None if parts[0] is None else torch.stack(parts) for parts in zip(*each, strict=True)]
        total = torch.zeros((len(elements), count), dtype=output.dtype, device=output.device)
        for row, tangent, primal in zip(rows, tangents, self._primals, strict=True):
            if row is not None and tangent is not None and primal.numel():
                product = _product(row.reshape(len(elements), -1), tangent.reshape(count, -1))
                total = total + (product if output.is_complex() else product.real).to(output.dtype)
        return total


def _product(rows: Array, tangents: Array) -> Array:
    """Return rows times tangents; an infinite element counts nothing where its tangent is zero."""
    if is_recording() or is_transformed():  # where nobody can look at numbers
        return rows @ tangents.T
    finite = torch.isfinite(rows.detach())
    if bool(finite.all()):
        return rows @ tangents.T
    found = torch.where(finite, rows, 0) @ tangents.T
    meets = ((~finite).to(torch.float32) @ (tangents != 0).to(torch.float32).T) > 0
    which = meets.nonzero()
    if len(which) * math.prod(rows.shape[1:]) > PRODUCTS:
        return torch.where(meets, math.nan, found)
    row, tangent = rows[which[:, 0]], tangents[which[:, 1]]
    sums = torch.where(tangent == 0, 0, row * tangent).sum(1)
    return found.index_put((which[:, 0], which[:, 1]), sums)
