"""Variables that a recorded loop or branch writes: their values travel in and out as arrays.

Which Variables these are, a recording tells: one that writes others is begun again with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from anyjac_plugins import Array
from anyjac_plugins.errors import OutputError, TracerLeakError

from ..calls.run import run_in_scope
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import Variable
from ..trees.partition import Partition
from ..trees.structure import flatten
from .carried import type_label

Result = TypeVar("Result")

Values = Sequence[tuple[Variable, Any]]
Run = tuple[Result, list[tuple[Write, Partition]]]


def with_value(write: Write, content: Partition) -> Write:
    """Return a write with the value that was taken out of it."""
    return Write(write.variable, content.combine(content.arrays), write.created)


class NewlyWrittenError(Exception):
    """A recorded body has written Variables that are not carried yet."""

    def __init__(self, variables: Sequence[Variable]):
        super().__init__(variables)
        self.variables = variables


def with_all_written(scope: Scope, record: Callable[[CarriedVariables], Result], *, repeats: bool) -> Result:
    """Make a recording with all Variables that its body writes, found by recordings before, and return the result.

    Parameters
    ----------
    record
        Records, given the Variables as far as they are known.
    repeats
        As in `CarriedVariables`.
    """
    state = CarriedVariables(scope, (), repeats=repeats)
    while True:
        try:
            return record(state)
        except NewlyWrittenError as found:
            state = state.with_more(found.variables)


class CarriedVariables:
    """The Variables that a recorded body writes, whose values go in and come out as arrays.

    Parameters
    ----------
    scope
        The scope of the call.
    variables
        The Variables, as far as they are known.
    repeats
        Whether the body runs again and again, as in a loop.

    Attributes
    ----------
    arrays
        The values with which they begin.
    """

    def __init__(self, scope: Scope, variables: Sequence[Variable], *, repeats: bool):
        self._scope = scope
        self._repeats = repeats
        self._variables = variables
        values = [flatten(value) for value in scope.values_at_entry(variables)]
        self._trees = [tree for _, tree in values]
        self.arrays: list[Array] = [leaf for leaves, _ in values for leaf in leaves]
        self._types = [(tuple(array.shape), array.dtype) for array in self.arrays]
        self._written: set[int] = set()

    def with_more(self, variables: Sequence[Variable]) -> CarriedVariables:
        """Return the same with more Variables."""
        return CarriedVariables(self._scope, (*self._variables, *variables), repeats=self._repeats)

    def run(
        self, func: Callable[..., Any], call: Callable[[], Result], arrays: Sequence[Array]
    ) -> tuple[Result, list[Array]]:
        """Run a body once, with the Variables at these values, and return its result and their values after it.

        Raises
        ------
        NewlyWrittenError
            If it writes others besides.
        TracerLeakError
            If it makes a Variable in one step for the next one to read.
        """
        remaining = iter(arrays)
        trees = [tree.unflatten([next(remaining) for _ in range(tree.num_leaves)]) for tree in self._trees]
        values = list(zip(self._variables, trees, strict=True))
        result, writes = self._run_once(func, call, values)
        if self._repeats and any(write.created for write, _ in writes):
            self._run_next(func, call, values)
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

    def _run_once(self, func: Callable[..., Any], call: Callable[[], Result], values: Values) -> Run[Result]:
        result, writes = run_in_scope(self._scope, func, (), {}, lambda found: found, values, call)
        self._scope.forget()
        return result, writes

    def _run_next(self, func: Callable[..., Any], call: Callable[[], Any], values: Values) -> None:
        """Run a body once more that has made Variables, to see that the next step does without them."""
        try:
            self._run_once(func, call, values)
        except TracerLeakError as error:
            raise TracerLeakError(
                f"a step of the loop has made a Variable that the next step reads, and {self._scope.backend.name!r} "
                f"records one step for all; make the Variable before the loop ({error})"
            ) from error

    def _carries(self, variable: Variable) -> bool:
        return any(variable is other for other in self._variables)

    def _checked(self, variable: Variable, content: Partition, tree: Any, first: int) -> list[Array]:
        """Return the arrays of a written value, which a Variable that may be reshaped could have changed in kind."""
        if content.tree != tree:
            raise OutputError(f"{variable.label()} holds {tree} before a step and {content.tree} after it; a loop "
                              f"needs the same structure in all steps")  # fmt: skip
        for array, (shape, dtype) in zip(content.leaves, self._types[first:], strict=False):
            if tuple(array.shape) != shape or array.dtype != dtype:
                before, now = (shape, dtype), (array.shape, array.dtype)
                raise OutputError(
                    f"{variable.label()} is {type_label(self._scope.backend, *before)} before a step and "
                    f"{type_label(self._scope.backend, *now)} after it; a loop needs the same shape and dtype in all "
                    f"steps"
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
