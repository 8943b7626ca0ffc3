"""Loops and branches: what `anyjac.scan`, `anyjac.while_loop`, `anyjac.cond` and their kin are made of.

=================  ================================================================================================
member             override it where
=================  ================================================================================================
``records_loops``  a loop is recorded, and its body runs once for all steps; by default the body runs for each step
``decided``        a traced array has its value all the same, or an untraced one has none
``scan``           the framework has a loop over rows; by default a loop of Python runs the body
``undecided``      a function that asks for such a value can run in another way; by default it is refused
``stack_results``  stacking many small arrays has a faster way; by default that of the namespace
``while_loop``     the framework has a loop that ends with a condition; by default a loop of Python asks for its value
``branch``         a branch can be chosen by a number that is not known yet; by default such a number is refused
``checkpoint``     the framework can run a function again in the pass back; by default what a run computes is kept
=================  ================================================================================================

A body is a function of flat arrays. Where it is recorded, all that it changes is among what it is given and what it
returns; where it runs for each step, it may also keep state of its own, as anyjac's do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..errors import NotSupportedError
from .arrays import ArrayMembers
from .types import Array


class LoopStep(Protocol):
    """One step of a loop."""

    def __call__(self, carry: Sequence[Array], rows: Sequence[Array]) -> tuple[Sequence[Array], Sequence[Array]]:
        """Return the carry after the step, of the same shapes and dtypes, and the results of the step."""


class RepeatableFunction(Protocol):
    """A function of flat arrays that may run again, as it ran at first, when its derivative is asked for.

    What it writes to Variables is among its results, and written once, after the first run. What it reads of them in a
    later run are the values that it met in the first.
    """

    def first(self, arrays: Sequence[Array], seen_as: Callable[[Array], Array] | None = None) -> list[Array]:
        """Run for the first time, or from the beginning; Variables read as `seen_as` of the arrays that they hold."""

    def state(self) -> list[Array]:
        """Return the arrays of all Variables that the first run has read, as they were then; asked right after it."""

    def again(self, arrays: Sequence[Array], state: Sequence[Array]) -> list[Array]:
        """Run with Variables that hold `state`, and return results like those of the first run.

        Raises
        ------
        RepetitionError
            If other results come out, or other Variables are read.
        """


class LoopMembers(ArrayMembers):
    """The part of a backend that runs loops and branches."""

    def records_loops(self) -> bool:
        """Return whether a loop that begins here runs its body once, on traced arrays, for all steps."""
        return False

    def decided(self, value: Array) -> bool | int | None:
        """Return a boolean or an integer without axes as Python's own; None while a program is recorded without values.

        The default takes whatever is traced for unknown.
        """
        known = self.concrete(value)
        return None if known is None else self.to_numpy(known).item()

    def scan(
        self,
        step: LoopStep,
        carry: Sequence[Array],
        rows: Sequence[Array],
        length: int,
        *,
        reverse: bool = False,
        unroll: int = 1,
    ) -> tuple[list[Array], list[Array]]:
        """Run a step for each row, and return the last carry and the results of all steps, stacked.

        Parameters
        ----------
        step
            Given the carry, and one element of each of `rows`.
        carry, rows
            Where the loop begins; what it goes along, the leading axis of all of which has `length` elements.
        length
            How many steps there are; one or more, unless loops are recorded.
        reverse
            Whether the last row comes first. Results stand in the order of the rows all the same.
        unroll
            How many steps a compiler is to write one after the other; the default knows no compiler.
        """
        results: list[Sequence[Array]] = [()] * length
        each = [_rows_of(self, array) for array in rows]
        carry = [self.copy(array) for array in carry]  # a step may change in place what it is given
        for index in reversed(range(length)) if reverse else range(length):
            carry, found = step(carry, [column[index] for column in each])
            results[index] = [self.copy(array) for array in found]  # and what a step before it has returned
            del found  # an array that nobody else refers to may be written in place by the next step
        return list(carry), [self.stack_results(column) for column in zip(*results, strict=True)]

    def stack_results(self, results: Sequence[Array]) -> Array:
        """Return the results of all steps, one or more, as one array with a new axis in front."""
        return self.namespace.stack(results)

    def while_loop(
        self,
        condition: Callable[[Sequence[Array]], Array],
        step: Callable[[Sequence[Array]], Sequence[Array]],
        carry: Sequence[Array],
        max_steps: int | None,
    ) -> tuple[list[Array], bool]:
        """Run a step as long as a condition holds, and return the last carry, and whether the loop came to its end.

        Parameters
        ----------
        condition
            Given the carry, returns a boolean without axes.
        step
            Given the carry, returns the next one.
        carry
            Where the loop begins.
        max_steps
            After how many steps the loop ends though the condition holds; None for no such number.

        Returns
        -------
        carry, is_complete
            `is_complete` is false where the condition still holds after `max_steps`. A recorded loop, which cannot
            tell, returns true, and NaN in the place of all numbers where the condition still holds.
        """
        steps = 0
        carry = [self.copy(array) for array in carry]  # a step may change in place what it is given
        while self._known(condition(carry)):
            if steps == max_steps:
                return list(carry), False
            carry = step(carry)
            steps += 1
        return list(carry), True

    def _known(self, flag: Array) -> bool | int:
        known = self.decided(flag)
        if known is None:
            raise self.undecided("the condition of while_loop")
        return known

    def branch(
        self, index: Array, branches: Sequence[Callable[..., Sequence[Array]]], operands: Sequence[Array]
    ) -> list[Array]:
        """Return what the branch with a number returns of the operands.

        Parameters
        ----------
        index
            An integer without axes, whose value is not known while a program is recorded. Numbers below zero mean the
            first branch, those past the end the last.
        branches
            Functions of the operands that return arrays of the same shapes and dtypes.
        operands
            Arrays.
        """
        raise self.undecided("which function of cond or switch is to run")

    def checkpoint(
        self, function: RepeatableFunction, arrays: Sequence[Array], *, in_loop: bool = False
    ) -> list[Array]:
        """Run a function once, and again in each pass back, so that its intermediate results need not be kept.

        The default keeps it: the derivatives are the same, and no memory is saved.

        Parameters
        ----------
        function
            Runs on `arrays` now, by its `first`.
        in_loop
            Whether it is a stretch of a loop of anyjac's, whose carry and Variables nobody changes in place.
        """
        return list(function.first(arrays))

    def undecided(self, what: str) -> NotSupportedError:
        """Return the error for what depends on a value that is not known while a program is recorded."""
        return NotSupportedError(
            f"{what} is not known while backend {self.name!r} records a program, and the backend has no way to decide "
            f"it later; use where(condition, x, y) of its namespace, or leave this function uncompiled"
        )


def _rows_of(backend: LoopMembers, array: Array) -> Sequence[Array]:
    """Return what an array has along its first axis."""
    unstack = getattr(backend.namespace, "unstack", None)
    return [array[index, ...] for index in range(array.shape[0])] if unstack is None else unstack(array)
