"""Functions that may run again in the pass back, with the Variables of their first run: `Backend.checkpoint`.

The first run is one of the call around it; what the function writes comes out among its results, to be written once. A
later run has a scope of its own, with the values that Variables had at first, and all that it writes is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anyjac_plugins import Array
from anyjac_plugins.errors import RepetitionError
from anyjac_plugins.interrupts import run_and_end

from ..calls.containers import opener_of
from ..calls.outputs import refuse_traced_objects, take_apart
from ..calls.run import run_in_scope
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import Variable, without_variables
from ..trees.objects import opener_of_objects
from ..trees.partition import Partition, Skeleton
from ..trees.structure import TreeDef, flatten


class FunctionOfArrays:
    """A function of flat arrays that reads Variables and writes none, as a function that may run again.

    Parameters
    ----------
    call
        The function.
    """

    def __init__(self, call: Callable[[Sequence[Array]], list[Array]]):
        self._call = call

    def first(self, arrays: Sequence[Array], seen_as: Callable[[Array], Array] | None = None) -> list[Array]:
        """Run."""
        return self._call(arrays)

    def state(self) -> list[Array]:
        """Return nothing: what the function reads is recorded with it."""
        return []

    def again(self, arrays: Sequence[Array], state: Sequence[Array]) -> list[Array]:
        """Run."""
        return self._call(arrays)


class RepeatableRun:
    """A run of a user's function that may be repeated.

    Parameters
    ----------
    scope
        The scope of the first run.
    func
        The user's function.
    arguments
        Its arguments, args and kwargs, with gaps for arrays.
    call
        Given arguments, runs the function in another way than once, as a loop does; None for once.
    """

    def __init__(
        self, scope: Scope, func: Callable[..., Any], arguments: Skeleton, call: Callable[..., Any] | None = None
    ):
        self._backend = scope.backend
        self._device = scope.device
        self._converts = scope.converts
        self._owner = scope.owner
        self._scope: Scope | None = scope
        self._func = func
        self._arguments = arguments
        self._call = call
        self._output: Skeleton
        self._writes: list[tuple[Write, Skeleton]]
        self._read: list[tuple[Variable, TreeDef]] = []
        self._state: list[Array] | None = None

    # ---- the first run ---------------------------------------------------------------------------------------------

    def first(self, arrays: Sequence[Array], seen_as: Callable[[Array], Array] | None = None) -> list[Array]:
        """Run in the scope of the call, from the beginning; see `RepeatableFunction.first`."""
        scope = self._scope
        assert scope is not None
        self._state = None
        scope.show_as(seen_as)
        try:
            scope.share_models()
            output, writes = self._run_in(scope, arrays, ())
        finally:
            scope.show_as(None)
        self._output = output.skeleton()
        self._writes = [(write, content.skeleton()) for write, content in writes]
        return [*output.arrays, *(array for _, content in writes for array in content.arrays)]

    def state(self) -> list[Array]:
        """Return the arrays of the Variables that the first run has read; see `RepeatableFunction.state`."""
        if self._state is None:
            assert self._scope is not None
            variables = self._scope.read_besides([])
            values = [flatten(value) for value in self._scope.values_at_entry(variables)]
            self._read = [(variable, tree) for variable, (_, tree) in zip(variables, values, strict=True)]
            self._state = [leaf for leaves, _ in values for leaf in leaves]
        return self._state

    def result(self, arrays: Sequence[Array]) -> Any:
        """Return what the function returned, around the arrays that came out."""
        return self._output.combine(arrays[: self._output.count])

    def writes(self, arrays: Sequence[Array]) -> list[Write]:
        """Return what the function wrote, around the arrays that came out."""
        remaining = iter(arrays[self._output.count :])
        return [Write(write.variable, content.combine(remaining), write.created) for write, content in self._writes]

    @property
    def count(self) -> int:
        """The number of arrays in the result; those that were written follow."""
        return self._output.count

    def end(self) -> None:
        """Let go of the scope of the first run, which is over."""
        self._scope = None

    # ---- later runs ------------------------------------------------------------------------------------------------

    def again(self, arrays: Sequence[Array], state: Sequence[Array]) -> list[Array]:
        """Run in a scope of its own; see `RepeatableFunction.again`."""
        remaining = iter(state)
        values = [
            (variable, tree.unflatten([next(remaining) for _ in range(tree.num_leaves)]))
            for variable, tree in self._read
        ]
        scope = Scope(self._backend, self._device, self._converts, repeats=self._owner)
        output, writes = run_and_end(lambda: self._run_in(scope, arrays, values), scope.close)
        same = output.skeleton().tree == self._output.tree and len(output.arrays) == self._output.count
        same_writes = [id(write.variable) for write, _ in writes if not write.created] == [
            id(write.variable) for write, _ in self._writes if not write.created
        ]
        if not same or not same_writes:
            raise RepetitionError(
                f"a checkpointed function, which runs again for its derivative, has returned or written something else "
                f"than in its first run ({output.tree} after {self._output.tree}); let it depend on its arguments and "
                f"on Variables alone"
            )
        return [*output.arrays, *(array for _, content in writes for array in content.arrays)]

    # ---- any run ---------------------------------------------------------------------------------------------------

    def _run_in(
        self, scope: Scope, arrays: Sequence[Array], values: Sequence[tuple[Variable, Any]]
    ) -> tuple[Partition, list[tuple[Write, Partition]]]:
        args, kwargs = self._arguments.combine(arrays)
        call = self._call
        work = None if call is None else partial(call, *args, **kwargs)
        if call is not None:  # in a loop, whose arrays hold no Variables
            args, kwargs = (), {}
        return run_in_scope(scope, self._func, args, kwargs, self._take, values, work)

    def _take(self, result: Any) -> Partition:
        backend = self._backend
        output = take_apart(backend, without_variables(result), opener_of_objects(backend, opener_of(backend)))
        refuse_traced_objects(backend, output, "the result")
        return output


def run_repeatable(
    scope: Scope,
    func: Callable[..., Any],
    arguments: Skeleton,
    arrays: Sequence[Array],
    call: Callable[..., Any] | None = None,
    *,
    in_loop: bool = False,
) -> tuple[Any, list[Write]]:
    """Run a user's function, which the backend may run again later, and return the result and all writes.

    Parameters
    ----------
    arrays
        Those in the gaps of `arguments`.
    in_loop
        As in `Backend.checkpoint`.
    """
    run = RepeatableRun(scope, func, arguments, call)
    found = scope.backend.checkpoint(run, arrays, in_loop=in_loop)
    run.end()
    own = scope.backend.unshared(found[: run.count], arrays)
    return run.result(own), run.writes(found)
