"""A loop within its call: a body that reads and writes Variables, as steps on flat arrays for a backend to run.

Where the backend runs the body for each step, Variables keep their values in the scope of the call from one step to the
next. Where it records the body, they travel in the carry: which ones, one recording of the body tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputValueError, MixedBackendsError, OutputError

from ..calls.containers import opener_of, opener_without
from ..calls.labels import leaf_label
from ..calls.opening import open_call, select_backend
from ..calls.outputs import take_apart
from ..calls.run import run_in_scope
from ..selection.choice import Selection
from ..selection.conversion import Label, to_array
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import Variable, without_variables
from ..trees.partition import Partition
from ..trees.structure import flatten
from .carried import Carried, WiderCarryError, is_no_array, type_label

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
        labels = [partial(leaf_label, label, self._tree, index) for index in range(len(leaves))]
        self.arrays = [
            to_array(scope.backend, leaf, where, device=scope.device, converts=scope.converts)
            for leaf, where in zip(leaves, labels, strict=True)
        ]
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
    """How a loop runs, as in `Backend.scan`."""

    reverse: bool
    unroll: int


def run_loop(scope: Scope, body: Body, carry: Carried, rows: Rows, options: LoopOptions) -> tuple[Any, list[Write]]:
    """Run a loop in the scope of its call, and return the pair of carry and results, and what is to be committed."""
    while True:
        loop = _Loop(scope, body, carry, rows, options)
        try:
            return loop.recorded() if scope.backend.records_loops() else loop.at_once()
        except WiderCarryError as wider:
            carry.widen(wider.index, wider.dtype)
            scope.forget()


class NewlyWrittenError(Exception):
    """A recorded body has written Variables that are not carried yet."""

    def __init__(self, variables: Sequence[Variable]):
        super().__init__(variables)
        self.variables = variables


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
        return self._backend.scan(step, carry, rows.arrays, rows.length, reverse=options.reverse, unroll=options.unroll)

    def _step(self, carry: Sequence[Array], rows: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        after, result = self._body.call(self._carry.tree_of(carry), self._rows.tree_of(rows))
        return self._carry.taken(after, self._body.returned), self._results.taken(result)

    # ---- the body is recorded --------------------------------------------------------------------------------------

    def recorded(self) -> tuple[Any, list[Write]]:
        """Record the body, with the Variables that it writes in the carry."""
        state = CarriedVariables(self._scope, ())
        while True:
            try:
                return self._recorded_with(state)
            except NewlyWrittenError as found:
                state = state.with_more(found.variables)

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


def with_value(write: Write, content: Partition) -> Write:
    """Return a write with the value that was taken out of it."""
    return Write(write.variable, content.combine(content.arrays), write.created)


class Results:
    """What the steps of a loop return besides the carry: the same tree of arrays in each step.

    Parameters
    ----------
    backend
        The backend of the call.
    """

    def __init__(self, backend: Backend):
        self._backend = backend
        self._opener = opener_of(backend)
        self._found: Partition | None = None

    def taken(self, value: Any) -> list[Array]:
        """Return the arrays of the result of one step.

        Raises
        ------
        OutputError
            Naming what is no array, or a structure that differs from that of another step.
        """
        parts = take_apart(self._backend, without_variables(value), self._opener)
        first = self._found
        if first is not None and first.tree != parts.tree:
            raise OutputError(
                f"the function returned the structure {parts.tree} in one step, and {first.tree} in another; results "
                f"are stacked, so return the same structure in all steps"
            )
        arrays = parts.leaves
        for index, is_array in enumerate(parts.is_array):
            if not is_array:
                arrays = self._made_arrays(parts)
                break
        parts.release()  # so that nothing is kept of a trace that ends
        self._found = parts
        return list(arrays)

    def _made_arrays(self, parts: Partition) -> list[Array]:
        why = "and results are stacked, so that they are arrays and numbers alone"
        return [
            to_array(
                self._backend,
                leaf,
                partial(leaf_label, lambda: "the result of a step", parts.tree, index),
                converts=False,
                error=OutputError,
                why=why,
            )
            for index, leaf in enumerate(parts.leaves)
        ]

    def tree_of(self, stacked: Sequence[Array]) -> Any:
        """Return the tree with what has been stacked of all steps."""
        assert self._found is not None
        return self._found.tree.unflatten(list(stacked))


class CarriedVariables:
    """The Variables that a recorded body writes, whose values go in and come out as arrays.

    Parameters
    ----------
    scope
        The scope of the call.
    variables
        The Variables, as far as they are known.

    Attributes
    ----------
    arrays
        The values with which they begin.
    """

    def __init__(self, scope: Scope, variables: Sequence[Variable]):
        self._scope = scope
        self._variables = variables
        values = [flatten(value) for value in scope.values_at_entry(variables)]
        self._trees = [tree for _, tree in values]
        self.arrays: list[Array] = [leaf for leaves, _ in values for leaf in leaves]
        self._types = [(tuple(array.shape), array.dtype) for array in self.arrays]
        self._written: set[int] = set()

    def with_more(self, variables: Sequence[Variable]) -> CarriedVariables:
        """Return the same with more Variables."""
        return CarriedVariables(self._scope, (*self._variables, *variables))

    def run(
        self, func: Callable[..., Any], call: Callable[[], Result], arrays: Sequence[Array]
    ) -> tuple[Result, list[Array]]:
        """Run a body once, with the Variables at these values, and return its result and their values after it.

        Raises
        ------
        NewlyWrittenError
            If it writes others besides.
        """
        remaining = iter(arrays)
        trees = [tree.unflatten([next(remaining) for _ in range(tree.num_leaves)]) for tree in self._trees]
        values = list(zip(self._variables, trees, strict=True))
        result, writes = run_in_scope(self._scope, func, (), {}, lambda found: found, values, call)
        self._scope.forget()
        written = {id(write.variable): content for write, content in writes if not write.created}
        new = [write.variable for write, _ in writes if not write.created and not self._carries(write.variable)]
        if new:
            raise NewlyWrittenError(new)
        self._written |= set(written)
        after: list[Array] = []
        for (variable, before), tree in zip(values, self._trees, strict=True):
            content = written.get(id(variable))
            after += flatten(before)[0] if content is None else self._checked(variable, content, tree, len(after))
        return result, after

    def _carries(self, variable: Variable) -> bool:
        return any(variable is other for other in self._variables)

    def _checked(self, variable: Variable, content: Partition, tree: Any, first: int) -> list[Array]:
        """Return the arrays of a written value, which a Variable that may be reshaped could have changed in kind."""
        if content.tree != tree:
            raise OutputError(f"{variable.label()} holds {tree} before a step and {content.tree} after it; a loop "
                              f"needs the same structure in all steps")  # fmt: skip
        for array, (shape, dtype) in zip(content.leaves, self._types[first:], strict=False):
            if tuple(array.shape) != shape or array.dtype != dtype:
                raise OutputError(
                    f"{variable.label()} is {type_label(self._scope.backend, shape, dtype)} before a step and "
                    f"{type_label(self._scope.backend, array.shape, array.dtype)} after it; a loop needs the same shape "
                    f"and dtype in all steps"
                )
        return content.leaves

    def writes(self, arrays: Sequence[Array]) -> list[Write]:
        """Return what is to be committed, given the values after the last step."""
        remaining = iter(arrays)
        found = []
        for variable, tree in zip(self._variables, self._trees, strict=True):
            value = tree.unflatten([next(remaining) for _ in range(tree.num_leaves)])
            if id(variable) in self._written:
                found.append(Write(variable, value, created=False))
        return found
