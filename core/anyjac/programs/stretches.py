"""Loops whose steps are computed again in the pass back, a stretch of steps at a time.

Carry and Variables at the beginning of each stretch are kept, and all that one stretch computes while it runs again: of
`n` steps in stretches of `k` that is ``n / k + k`` steps, the least for `k` the root of `n`. The number of steps
computed doubles. Source: A. Griewank, Optimization Methods and Software 1 (1992) 35, with one level of his recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from anyjac_plugins import Array
from anyjac_plugins.backend.loops import LoopStep

from ..calls.opening import open_scope
from ..state.scope import Scope
from ..trees.partition import GAP, Skeleton
from ..trees.structure import flatten
from .repeating import FunctionOfArrays, run_repeatable

CarryAndResults = tuple[list[Array], list[Array]]


class Stretches:
    """A loop in stretches.

    Parameters
    ----------
    scope
        The scope of the loop.
    func
        The user's function.
    step
        One step on flat arrays.
    size
        The number of steps in a stretch; the last one may have fewer.
    reverse, unroll
        As in `Backend.scan`.
    """

    def __init__(self, scope: Scope, func: Callable[..., Any], step: LoopStep, size: int, reverse: bool, unroll: int):
        self._scope = scope
        self._backend = scope.backend
        self._func = func
        self._step = step
        self._size = size
        self._reverse = reverse
        self._unroll = unroll

    def run(self, carry: Sequence[Array], rows: Sequence[Array], length: int) -> CarryAndResults:
        """Run all steps, one or more, and return the last carry and the results of all steps, stacked."""
        if self._backend.records_loops():
            return self._recorded(carry, rows, length)
        found: list[list[Array]] = []
        for start, stop in self._bounds(length):
            carry, results = self._at_once(carry, [array[start:stop, ...] for array in rows], stop - start)
            found.append(results)
        return list(carry), self._joined(found)

    def _bounds(self, length: int) -> Iterator[tuple[int, int]]:
        """Yield where stretches begin and end among the rows, in the order in which they run."""
        for done in range(0, length, self._size):
            count = min(self._size, length - done)
            yield (length - done - count, length - done) if self._reverse else (done, done + count)

    def _joined(self, found: Sequence[list[Array]]) -> list[Array]:
        """Return the results of all stretches, which are given in the order in which they ran, in that of the rows."""
        in_order = found[::-1] if self._reverse else found
        if len(in_order) == 1:
            return in_order[0]
        return [self._backend.namespace.concat(column, axis=0) for column in zip(*in_order, strict=True)]

    def _scanned(self, carry: Sequence[Array], rows: Sequence[Array], length: int) -> CarryAndResults:
        return self._backend.scan(self._step, carry, rows, length, reverse=self._reverse, unroll=self._unroll)

    # ---- the body runs for each step -------------------------------------------------------------------------------

    def _at_once(self, carry: Sequence[Array], rows: Sequence[Array], length: int) -> CarryAndResults:
        """Run one stretch, in a scope of its own within that of the loop."""
        _, tree = flatten(((list(carry), list(rows)), {}))
        arguments = Skeleton(tree, [GAP] * (len(carry) + len(rows)))

        def call(carry: list[Array], rows: list[Array]) -> CarryAndResults:
            return self._scanned(carry, rows, length)

        def work(scope: Scope) -> CarryAndResults:
            given = [*carry, *rows]
            found, writes = run_repeatable(scope, self._func, arguments, given, call, in_loop=True)
            scope.commit(writes)
            return found  # type: ignore[no-any-return]

        scope = self._scope
        return open_scope(work, self._backend, scope.device, scope.converts)

    # ---- the body is recorded --------------------------------------------------------------------------------------

    def _recorded(self, carry: Sequence[Array], rows: Sequence[Array], length: int) -> CarryAndResults:
        """Record a loop over whole stretches, and the rest after it."""
        count, rest = divmod(length, self._size)
        cut = length - rest if not self._reverse else rest
        front, back = [array[:cut, ...] for array in rows], [array[cut:, ...] for array in rows]
        whole, remaining = (back, front) if self._reverse else (front, back)
        found = []
        if count:
            xp, own = self._backend.namespace, len(carry)
            several = [xp.reshape(array, (count, self._size, *array.shape[1:])) for array in whole]

            def stretch(carry: Sequence[Array], rows: Sequence[Array]) -> CarryAndResults:
                both = self._repeatable(carry, rows, self._size)
                return both[:own], both[own:]

            carry, results = self._backend.scan(stretch, carry, several, count, reverse=self._reverse)
            found.append([xp.reshape(array, (count * self._size, *array.shape[2:])) for array in results])
        if rest:
            own = len(carry)
            both = self._repeatable(carry, remaining, rest)
            carry, results = both[:own], both[own:]
            found.append(results)
        return list(carry), self._joined(found)

    def _repeatable(self, carry: Sequence[Array], rows: Sequence[Array], length: int) -> list[Array]:
        own = len(carry)

        def scanned(arrays: Sequence[Array]) -> list[Array]:
            last, results = self._scanned(arrays[:own], arrays[own:], length)
            return [*last, *results]

        return self._backend.checkpoint(FunctionOfArrays(scanned), [*carry, *rows], in_loop=True)
