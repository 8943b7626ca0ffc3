"""Backends with a fault in a loop or a branch on purpose."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import jax
from tests.conformance.broken import Broken

from anyjac import Backend


class DropsTheLastWrite(Broken):
    """Returns the carry, with the values of Variables, of the step before the last."""

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        results = self.real.scan(step, carry, rows, length, reverse=reverse, unroll=unroll)[1]
        all_but_one = [row[1:] if reverse else row[:-1] for row in rows]
        return self.real.scan(step, carry, all_but_one, max(length - 1, 0), reverse=reverse, unroll=unroll)[0], results


class RunsOneStepTooMany(Broken):
    """Runs the last step of a loop twice."""

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        last, results = self.real.scan(step, carry, rows, length, reverse=reverse, unroll=unroll)
        return step(last, [row[0 if reverse else -1, ...] for row in rows])[0], results


class RunsFromTheFirstRow(Broken):
    """Runs reversed loops in the order of the rows."""

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        return self.real.scan(step, carry, rows, length, unroll=unroll)


class StacksInTheOrderOfSteps(Broken):
    """Returns the results of reversed loops in the order in which they were computed."""

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        last, results = self.real.scan(step, carry, rows, length, reverse=reverse, unroll=unroll)
        flip = self.real.namespace.flip
        return last, [flip(array, axis=0) for array in results] if reverse else results


class ForgetsWhatIsClosedOver(Broken):
    """Differentiates loops by what they carry and go along, and not by Variables that they read."""

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        def listed(carry: Any, rows: Any) -> Any:
            return tuple(list(arrays) for arrays in step(carry, rows))

        if not length:
            return self.real.scan(listed, carry, rows, length)
        converted, closed_over = jax.closure_convert(listed, list(carry), [row[0] for row in rows])
        constants = jax.lax.stop_gradient(closed_over)
        constant = lambda carry, rows: converted(carry, rows, *constants)  # noqa: E731
        return self.real.scan(constant, carry, rows, length, reverse=reverse, unroll=unroll)


class RemembersTheFirstLoop(Broken):
    """Runs the function of the first loop of a kind for ever."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.steps: dict[Any, Any] = {}

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        kind = length, *((array.shape, array.dtype) for array in [*carry, *rows])
        if kind not in self.steps:
            self.steps[kind] = jax.jit(lambda *given: self.real.scan(step, *given, length, reverse=reverse))
        return self.steps[kind](list(carry), list(rows))


class StacksInSinglePrecision(Broken):
    """Computes in double precision, and stacks results in single precision."""

    def scan(self, *args: Any, **kwargs: Any) -> Any:
        return Backend.scan(self, *args, **kwargs)

    def stack_results(self, results: Sequence[Any]) -> Any:
        xp = self.real.namespace
        stacked = self.real.stack_results(results)
        return xp.astype(stacked, xp.float32) if stacked.dtype == xp.float64 else stacked


class WritesInNoSteps(Broken):
    """Takes the step that shows the dtypes of results, where there are no rows, for one of the loop."""

    def scan(self, step: Any, carry: Any, rows: Any, length: int, *, reverse: bool = False, unroll: int = 1) -> Any:
        last, results = self.real.scan(step, carry, rows, length, reverse=reverse, unroll=unroll)
        if length:
            return last, results
        return step(carry, [self.real.namespace.ones_like(row, shape=row.shape[1:]) for row in rows])[0], results


class IgnoresMaxSteps(Broken):
    """Goes on after `max_steps` for as long as the condition holds."""

    def while_loop(self, condition: Any, step: Any, carry: Any, max_steps: int | None) -> Any:
        return self.real.while_loop(condition, step, carry, None)


class StopsOneStepEarly(Broken):
    """Counts one step too few to `max_steps`."""

    def while_loop(self, condition: Any, step: Any, carry: Any, max_steps: int | None) -> Any:
        return self.real.while_loop(condition, step, carry, max_steps and max_steps - 1)


class AsksAfterTheStep(Broken):
    """Runs the step of a `while_loop` once before it asks for the condition."""

    def while_loop(self, condition: Any, step: Any, carry: Any, max_steps: int | None) -> Any:
        return self.real.while_loop(condition, step, step(carry), max_steps)


class TakesTheNextBranch(Broken):
    """Takes the branch after the one that was asked for, where programs are recorded."""

    def branch(self, index: Any, branches: Sequence[Callable[..., Any]], operands: Sequence[Any]) -> Any:
        return self.real.branch(index, [*branches[1:], branches[0]], operands)


class WrapsNumbersOfBranches(Broken):
    """Counts branches from the end where their number is below zero."""

    def branch(self, index: Any, branches: Sequence[Callable[..., Any]], operands: Sequence[Any]) -> Any:
        return self.real.branch(index % len(branches), branches, operands)


class DecidesTheOpposite(Broken):
    """Takes true for false."""

    def decided(self, value: Any) -> Any:
        known = self.real.decided(value)
        return (not known) if isinstance(known, bool) else known


class MapsChunksBackwards(Broken):
    """Returns the results of a chunk in the reversed order."""

    def map_chunks(self, fun: Any, chunks: Any, randomness: Any) -> Any:
        flip = self.real.namespace.flip
        found = self.real.map_chunks(fun, chunks, randomness)
        return [[flip(array, axis=0) for array in results] for results in found]


class FlipsNothing(Broken):
    """Has a `flip` that gives arrays as they are."""

    @property
    def namespace(self) -> Any:
        real = self.real.namespace
        return SimpleNamespace(**{name: getattr(real, name) for name in dir(real)} | {"flip": lambda x, axis: x})


class KeepsCheckpointsConstant(Broken):
    """Gives what is computed again as a constant."""

    def checkpoint(self, function: Any, arrays: Any, *, in_loop: bool = False) -> Any:
        return [self.real.stop_gradient(array) for array in function.first(arrays)]


FAULTS_IN_LOOPS: dict[type[Broken], tuple[str, str]] = {
    # backend               framework, clause that rejects it
    DropsTheLastWrite: ("jax", "loops/variables"),
    RunsOneStepTooMany: ("autograd", "loops/scan"),
    RunsFromTheFirstRow: ("autograd", "loops/scan"),
    StacksInTheOrderOfSteps: ("autograd", "loops/scan"),
    ForgetsWhatIsClosedOver: ("jax", "loops/variables"),
    RemembersTheFirstLoop: ("jax", "loops/variables"),
    StacksInSinglePrecision: ("autograd", "loops/scan"),
    WritesInNoSteps: ("jax", "loops/zero-steps"),
    IgnoresMaxSteps: ("autograd", "loops/while-loop"),
    StopsOneStepEarly: ("autograd", "loops/while-loop"),
    AsksAfterTheStep: ("autograd", "loops/zero-steps"),
    TakesTheNextBranch: ("jax", "loops/cond"),
    WrapsNumbersOfBranches: ("jax", "loops/switch"),
    DecidesTheOpposite: ("torch", "loops/ifelse"),
    MapsChunksBackwards: ("autograd", "loops/map"),
    FlipsNothing: ("autograd", "loops/associative-scan"),
    KeepsCheckpointsConstant: ("autograd", "loops/checkpoint"),
}
"""For each backend, which framework it is made of, and the clause that rejects it."""
