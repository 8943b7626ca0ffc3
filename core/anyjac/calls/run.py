"""The user's function as a function of flat arrays, which the backend runs within the scope of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from anyjac_plugins import Array
from anyjac_plugins.backend.kinds import is_complex

from ..state.bound import add_advice
from ..state.entries import Write
from ..state.resuming import Resumption
from ..state.scope import Scope
from ..state.variable import Variable, without_variables
from ..trees.objects import opener_of_objects
from ..trees.partition import GAP, NO_TREE, Partition, with_leaves, without_arrays
from .constants import Constants
from .containers import opener_of
from .dtypes import OutputRule
from .inputs import Inputs
from .labels import argument_label
from .outputs import check_outputs, refuse_coroutine, refuse_traced_objects, split_aux, take_apart
from .places import Place, places_in
from .replaced import lost_variable, take_back_replaced
from .settings import Settings

Result = TypeVar("Result")

OutputCheck = Callable[[Partition], None]
"""Refuses outputs of which a transform takes no derivative."""


def run_in_scope(
    scope: Scope,
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    take: Callable[[Any], Result],
    values: Iterable[tuple[Variable, Any]] | None = None,
    work: Callable[[], Any] | None = None,
) -> tuple[Result, list[tuple[Write, Partition]]]:
    """Run a user's function within a scope.

    Parameters
    ----------
    take
        Takes apart what the function returned, while Variables still read as the function saw them.
    values
        As in `Scope.run`.
    work
        Runs the function in another way than once, as a loop does, and returns what `take` is given.

    Returns
    -------
    taken, writes
        What `take` made of the result, and what was written to Variables, with its arrays taken out: the writes
        themselves have no value.

    Raises
    ------
    OutputError
        If the function is a coroutine function.
    VariableWriteError
        If the function has put an array where a Variable stood.
    """

    def find() -> list[Place]:
        return places_in(func, args, kwargs)

    held = find()

    def run() -> Result:
        lost: Sequence[Place] = ()
        try:
            try:
                result = func(*args, **kwargs) if work is None else work()
            finally:
                if held:
                    lost = take_back_replaced(held, find)  # after an error too every Variable is where it was
            if lost:
                raise lost_variable(lost[0])
            refuse_coroutine(result)
            return take(result)
        except Exception as error:  # of any kind: the user's own, which goes on
            if scope.differentiates:  # advice is on options of transforms, which jit and vmap lack
                add_advice(error)
            raise

    taken, writes = scope.run(run, values)
    return taken, [
        (Write(write.variable, None, write.created), take_apart(scope.backend, write.value)) for write in writes
    ]


class FlatRun:
    """The user's function as a function of flat arrays, within the scope of the call.

    What it returns besides arrays (structure, strings, any object) stays here, where the rest of the call finds it. It
    is run once, or again from its beginning by a backend that could not use the first run, of which nothing remains.

    Attributes
    ----------
    origin
        The user's function.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        settings: Settings,
        scope: Scope,
        inputs: Inputs,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        check: OutputCheck | None,
    ):
        self.origin = func
        self._check = check
        self._settings = settings
        self._scope = scope
        self._inputs = inputs
        constants = Constants(scope.backend, scope.device)
        self._args = constants.among(args, {position for position, _ in inputs.arguments})
        self._kwargs = constants.by_name(kwargs)
        self.output: Partition
        self.aux: Partition
        self._integers: list[int]
        self._writes: list[tuple[Write, Partition]]

    def __call__(self, *primals: Array) -> tuple[Sequence[Array], Sequence[Array]]:
        args, values = self._inputs.traced(self._args, primals)
        (self.output, self.aux), self._writes = run_in_scope(
            self._scope, self.origin, args, self._kwargs, self._take, values
        )
        # Of a trace that ends nothing is kept, for which JAX looks under `jax.checking_leaks`.
        self._scope.forget()
        carried = [*self.aux.release(), *(array for _, value in self._writes for array in value.release())]
        return self.output.release(), [*self._released_integers(), *carried]

    def _released_integers(self) -> list[Array]:
        """Return the integers of the output, of which nothing is kept until they come back untraced."""
        integers = [self.output.leaves[index] for index in self._integers]
        if integers:
            self.output = with_leaves(self.output, dict.fromkeys(self._integers, GAP))
        return integers

    def _output_rule(self) -> OutputRule:
        """Return which outputs are let through, given what the inputs are."""
        rule = self._settings.outputs
        if rule.complex_of_real and any(is_complex(self._scope.backend, primal) for primal in self._inputs.primals):
            return replace(rule, complex_of_real=False)
        return rule

    def settle_output(self, carried: Sequence[Array]) -> Partition:
        """Return the output with its integers, which travelled among the carried arrays and are untraced now."""
        if self._integers:
            untraced = self._unshared(carried[: len(self._integers)])
            self.output = with_leaves(self.output, dict(zip(self._integers, untraced, strict=True)))
        return self.output

    def _take(self, result: Any) -> tuple[Partition, Partition]:
        """Take output and aux data apart, and refuse outputs that have no derivative."""
        scope, backend, settings = self._scope, self._scope.backend, self._settings
        opener = opener_of(backend)
        value, aux = split_aux(result) if settings.has_aux else (result, None)
        output = take_apart(backend, without_variables(value), opener)
        integers = check_outputs(backend, output, holomorphic=settings.holomorphic, rule=self._output_rule())
        self._integers = integers
        output = without_arrays(output, integers) if integers else output
        if self._check is not None:
            self._check(output)
        scope.check_outputs(output.arrays)
        if not settings.has_aux:
            return output, NO_TREE
        carried = take_apart(backend, aux, opener_of_objects(backend, opener))
        refuse_traced_objects(backend, carried, "the aux data")
        return output, carried

    @property
    def resumption(self) -> Resumption | None:
        """The state of models of other libraries when the function ended, to be shown again; None without models."""
        return self._scope.resumption()

    def undifferentiated(self) -> Iterator[tuple[str, Any]]:
        """Yield the arguments that are not differentiated, and how messages call them."""
        differentiated = {position for position, _ in self._inputs.arguments}
        for position, value in enumerate(self._args):
            if position not in differentiated:
                yield argument_label(position)(), value
        for name, value in self._kwargs.items():
            yield f"argument {name}", value

    def untraced_output(self, outputs: Sequence[Array]) -> Any:
        """Return the value, of whose arrays none is that of a Variable or an argument."""
        return self.output.combine(self._unshared(outputs))

    def untraced_aux(self, carried: Sequence[Array]) -> Any:
        """Return the aux data, given the arrays that travelled beside the outputs, in the same way."""
        first = len(self._integers)
        return self.aux.combine(self._unshared(carried[first : first + len(self.aux.arrays)]))

    def _unshared(self, arrays: Sequence[Array]) -> list[Any]:
        unshared, primals = self._scope.backend.unshared, self._inputs.primals
        return [unshared([array], primals)[0] for array in arrays]  # with each other they may share what they like

    def untraced_writes(self, carried: Sequence[Array]) -> list[Write]:
        """Return what was written to Variables, given the arrays that travelled beside the outputs."""
        remaining = iter(carried[len(self._integers) + len(self.aux.arrays) :])
        return [
            Write(write.variable, content.combine([next(remaining) for _ in content.arrays]), write.created)
            for write, content in self._writes
        ]
