"""Pushforwards by the transpose of a backward pass, and by its rows where a rule from elsewhere hides a computation.

A rule may compute with NumPy, of which autograd knows nothing: its own derivative is then zero, without a word, or an
error. autograd's own rules were read for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anyjac_plugins import Array, Pullback, Pushforward

from .forward import agrees, push_by_rows
from .linear_maps import BackwardPass, innermost
from .rules.trusted import takes_batches


def has_foreign_rules(pullback: BackwardPass) -> bool:
    """Return whether any rule in a backward pass comes from elsewhere."""
    nodes = {node for order in pullback.orders for node in order or () if node.parents}
    return not all(takes_batches(maker) for maker in {id(node.maker): node.maker for node in nodes}.values())


def checked_transpose(
    pullback: Pullback, transpose: Callable[[], Pushforward], outputs: Sequence[Array], primals: Sequence[Array]
) -> Pushforward:
    """Return the transpose of a pullback if it agrees with the pullback on one pair of vectors, otherwise its rows."""
    try:
        transposed = transpose()
        tangents = [_somewhere(primal) for primal in primals]
        pushed = transposed(tangents)
        for index, (output, tangent) in enumerate(zip(outputs, pushed, strict=True)):
            found = np.zeros_like(innermost(output)) if tangent is None else tangent
            used, given = _used(_row_of(pullback, outputs, index), tangents, output)
            if not agrees(used, output, given, found):
                return _ByRows(pullback, outputs)
    except Exception:  # a user's rule may raise anything when traced; by rows it is not
        return _ByRows(pullback, outputs)
    return transposed


class _ByRows:
    """The pushforward that multiplies tangents by the rows of a pullback."""

    def __init__(self, pullback: Pullback, outputs: Sequence[Array]):
        self._pullback = pullback
        self._outputs = outputs

    def __call__(self, tangents: Sequence[Array | None]) -> list[Array | None]:
        found: list[Array | None] = []
        for index, output in enumerate(self._outputs):
            used, given = _used(_row_of(self._pullback, self._outputs, index), tangents, output)
            found.append(push_by_rows(used, output, given) if given else None)
        return found


def _row_of(pullback: Pullback, outputs: Sequence[Array], index: int) -> Callable[[Any], list[Array | None]]:
    """Return the pullback of one output alone."""

    def pulled_back(cotangent: Array) -> list[Array | None]:
        cotangents: list[Array | None] = [None] * len(outputs)
        cotangents[index] = cotangent
        return list(pullback(cotangents))

    return pulled_back


def _used(
    pulled_back: Callable[[Any], list[Array | None]], tangents: Sequence[Array | None], output: Array
) -> tuple[Callable[[Any], list[Any]], list[Any]]:
    """Return a pullback and tangents without the primals that have no tangent, and with zeros for None."""
    numbers = [number for number, tangent in enumerate(tangents) if tangent is not None]
    given: list[Any] = [tangents[number] for number in numbers]

    def filled(cotangent: Any) -> list[Any]:
        gradients = pulled_back(cotangent)
        return [
            np.zeros_like(innermost(tangent)) if gradients[number] is None else gradients[number]
            for number, tangent in zip(numbers, given, strict=True)
        ]

    return filled, given


def _somewhere(primal: Array) -> Array:
    plain = np.asarray(innermost(primal))
    return np.asarray(np.cos(2.0 + np.arange(plain.size)).reshape(plain.shape).astype(plain.dtype))
