"""A loop within its call: a body that reads and writes Variables, as steps on flat arrays for a backend to run.

Where the backend runs the body for each step, Variables keep their values in the scope of the call from one step to the
next. Where it records the body, they travel in the carry: which ones, one recording of the body tells.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputValueError, MixedBackendsError

from ..calls.containers import opener_without
from ..calls.opening import open_call, select_backend
from ..calls.run import run_in_scope
from ..selection.choice import Selection
from ..selection.conversion import Label
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import Variable, without_variables
from ..trees.structure import flatten
from .carried import Carried, arrays_of, is_no_array, leaf_labels_of
from .carried_variables import CarriedVariables, with_all_written, with_value
from .step_results import Results
from .stretches import Stretches

Result = TypeVar("Result")

Work = Callable[[Scope], tuple[Result, Sequence[Write]]]


def open_loop(work: Work[Result], func: Callable[..., Any], values: Sequence[Any]) -> Result:
    """Open the call of a loop or a branch, whose backend its arrays tell, the call around it, or its Variables.

    Parameters
    ----------
    work
        As in `open_call`.
    func
        The user's function.
    values
        What is given to the loop besides.
    """
    known: tuple[Variable, ...] = ()
    while True:
        try:
            return open_call(work, _selected(func, values, known), None)
        except MixedBackendsError as error:  # of a Variable of another framework, where nothing else has told of it
            variable = error.variable
            if not isinstance(variable, Variable) or any(variable is other for other in known):
                raise
            known = (*known, variable)


def _selected(func: Callable[..., Any], values: Sequence[Any], known: tuple[Variable, ...]) -> Selection:
    if known:
        try:
            return select_backend(None, tuple(values), {}, known)
        except MixedBackendsError:
            pass  # which the call itself explains better
    return select_backend(None, tuple(values), {}, ())


class Rows:
    """What a loop goes along: a tree of arrays with a leading axis in common.

    Parameters
    ----------
    scope
        The scope of the call.
    value
        The tree.
    label
        Says how messages call the tree.
    length
        How many steps the user asked for; None where the arrays tell.
    needs
        What a message asks for where neither tells.

    Attributes
    ----------
    arrays
        The arrays.
    length
        How many steps there are.

    Raises
    ------
    InputTypeError, InputValueError
        Naming an array without a leading axis, or of another length than the others or the number of steps.
    """

    def __init__(self, scope: Scope, value: Any, label: Label, length: int | None, needs: str):
        opener = opener_without(scope.backend, is_no_array)
        leaves, self._tree = flatten(without_variables(value), opener)
        labels = leaf_labels_of(label, self._tree)
        self.arrays = arrays_of(scope, leaves, labels)
        found, told = length, "length"
        for array, where in zip(self.arrays, labels, strict=True):
            if not len(array.shape):
                raise InputValueError(f"{where()} has no axis, and a loop goes along the first; give it one, or close "
                                      f"over it")  # fmt: skip
            size = int(array.shape[0])
            if found is None:
                found, told = size, where()
            elif size != found:
                given = f"length is {found}" if told == "length" else f"{told} has {found}"
                raise InputValueError(f"{where()} has {size} elements along the first axis, and {given}; both need as "
                                      f"many")  # fmt: skip
        if found is None:
            raise InputValueError(f"nothing says how many steps there are; give {needs}")
        self.length = found

    def with_arrays(self, arrays: Sequence[Array]) -> Rows:
        """Return the same tree of other arrays to go along, one or more."""
        rows = copy.copy(self)
        rows.arrays, rows.length = list(arrays), int(arrays[0].shape[0])
        return rows

    def tree_of(self, arrays: Sequence[Array]) -> Any:
        """Return the tree with the elements of one step in it."""
        return self._tree.unflatten(arrays, whole=True)


@dataclass(frozen=True, slots=True)
class Body:
    """What a user's function is in a loop.

    Parameters
    ----------
    func
        The function.
    call
        Runs it for one step: given carry and row, returns carry and result.
    returned
        Who returns the carry, for messages.
    """

    func: Callable[..., Any]
    call: Callable[[Any, Any], tuple[Any, Any]]
    returned: str


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a loop runs, as in `Backend.scan`.

    Attributes
    ----------
    stretch
        How many steps are computed again together for a derivative; None where all that they compute is kept. True
        stands for the root of the number of steps.
    """

    reverse: bool
    unroll: int
    stretch: int | bool = False

    def steps_of(self, length: int) -> int | None:
        """Return how many steps of a loop of some length are computed again together; None for none."""
        if self.stretch is False:
            return None
        return math.isqrt(max(0, length - 1)) + 1 if self.stretch is True else self.stretch


def run_loop(scope: Scope, body: Body, carry: Carried, rows: Rows, options: LoopOptions) -> tuple[Any, list[Write]]:
    """Run a loop in the scope of its call, and return the pair of carry and results, and what is to be committed."""

    def run() -> tuple[Any, list[Write]]:
        loop = _Loop(scope, body, carry, rows, options)
        return loop.recorded() if scope.backend.records_loops() else loop.at_once()

    return carry.widened(run)


class _Loop:
    """One run of a loop."""

    def __init__(self, scope: Scope, body: Body, carry: Carried, rows: Rows, options: LoopOptions):
        self._scope = scope
        self._backend = scope.backend
        self._body = body
        self._carry = carry
        self._rows = rows
        self._options = options
        self._results = Results(scope.backend)

    # ---- the body runs for each step -------------------------------------------------------------------------------

    def at_once(self) -> tuple[Any, list[Write]]:
        """Run the body for each step, with Variables in the scope."""
        found, writes = run_in_scope(self._scope, self._body.func, (), {}, lambda found: found, work=self._steps)
        if not self._rows.length:
            self._scope.forget()
            writes = []
        carry, results = found
        return self._finished(carry, results), [with_value(write, content) for write, content in writes]

    def _steps(self) -> tuple[list[Array], list[Array]]:
        carry, rows = self._carry.arrays, self._rows
        if rows.length:
            return self._run(self._step, carry)
        ones = [_one_row(self._backend, array) for array in rows.arrays]
        _, results = self._step(carry, ones)  # for the shapes and dtypes of the results
        stacked = [self._backend.namespace.stack([array])[:0, ...] for array in results]
        return list(carry), stacked

    def _run(self, step: Callable[..., Any], carry: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        rows, options = self._rows, self._options
        stretch = options.steps_of(rows.length)
        if stretch is not None and rows.length:
            stretches = Stretches(self._scope, self._body.func, step, stretch, options.reverse, options.unroll)
            return stretches.run(carry, rows.arrays, rows.length)
        return self._backend.scan(step, carry, rows.arrays, rows.length, reverse=options.reverse, unroll=options.unroll)

    def _step(self, carry: Sequence[Array], rows: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        after, result = self._body.call(self._carry.tree_of(carry), self._rows.tree_of(rows))
        return self._carry.taken(after, self._body.returned), self._results.taken(result)

    # ---- the body is recorded --------------------------------------------------------------------------------------

    def recorded(self) -> tuple[Any, list[Write]]:
        """Record the body, with the Variables that it writes in the carry."""
        return with_all_written(self._scope, self._recorded_with, repeats=True)

    def _recorded_with(self, state: CarriedVariables) -> tuple[Any, list[Write]]:
        own = len(self._carry.arrays)

        def step(carry: Sequence[Array], rows: Sequence[Array]) -> tuple[list[Array], list[Array]]:
            def call() -> tuple[list[Array], list[Array]]:
                return self._step(carry[:own], rows)

            (after, results), written = state.run(self._body.func, call, carry[own:])
            return [*after, *written], results

        carry, results = self._run(step, [*self._carry.arrays, *state.arrays])
        writes = state.writes(carry[own:]) if self._rows.length else []
        return self._finished(carry[:own], results), writes

    def _finished(self, carry: Sequence[Array], results: Sequence[Array]) -> tuple[Any, Any]:
        given = [*self._carry.arrays, *self._rows.arrays]
        unshared = self._backend.unshared([*carry, *results], given)
        return self._carry.tree_of(unshared[: len(carry)]), self._results.tree_of(unshared[len(carry) :])


def _one_row(backend: Backend, empty: Array) -> Array:
    """Return an element of ones, in the place of none."""
    return backend.namespace.ones_like(backend.zeros(tuple(empty.shape[1:]), empty))
