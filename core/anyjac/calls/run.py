"""The user's function as a function of flat arrays, which the backend runs within the scope of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from anyjac_plugins import Array

from ..state.bound import add_advice
from ..state.scope import Scope, Write
from ..state.variable import without_variables
from ..trees.objects import opener_of_objects
from .inputs import Inputs, opener_of
from .outputs import check_outputs, refuse_coroutine, split_aux
from .partition import NOTHING, Carried, carry
from .settings import Settings

OutputCheck = Callable[[Carried], None]
"""Refuses outputs of which a transform takes no derivative."""


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
        self._args = args
        self._kwargs = kwargs
        self.output: Carried
        self.aux: Carried
        self._writes: list[tuple[Write, Carried]]

    def __call__(self, *primals: Array) -> tuple[Sequence[Array], Sequence[Array]]:
        backend = self._scope.backend
        opener = opener_of(backend)
        self._scope.restart()
        args = self._inputs.into(self._scope, self._args, primals)
        self._scope.activate()
        try:
            result = self.origin(*args, **self._kwargs)
            refuse_coroutine(result)
            value, aux = split_aux(result) if self._settings.has_aux else (result, None)
            self.output = carry(backend, opener, without_variables(value))
            check_outputs(backend, self.output, holomorphic=self._settings.holomorphic)
            if self._check is not None:
                self._check(self.output)
            self._scope.check_outputs(self.output.arrays)
        except Exception as error:
            add_advice(error)
            raise
        finally:
            self._scope.deactivate()
        self.aux = carry(backend, opener_of_objects(backend, opener), aux) if self._settings.has_aux else NOTHING
        self._writes = [(write, carry(backend, None, write.value)) for write in self._scope.writes()]
        carried = [*self.aux.arrays, *(array for _, content in self._writes for array in content.arrays)]
        return self.output.arrays, carried

    def undifferentiated(self) -> Iterator[tuple[str, Any]]:
        """Yield the arguments that are not differentiated, and how messages call them."""
        differentiated = {position for position, _ in self._inputs.arguments}
        for position, value in enumerate(self._args):
            if position not in differentiated:
                yield f"argument {position}", value
        for name, value in self._kwargs.items():
            yield f"argument {name}", value

    def untraced_output(self, outputs: Sequence[Array]) -> Any:
        """Return the value, of whose arrays none is that of a Variable or an argument."""
        return self.output.around(self._unshared(outputs))

    def untraced_aux(self, carried: Sequence[Array]) -> Any:
        """Return the aux data, given the arrays that travelled beside the outputs, in the same way."""
        return self.aux.around(self._unshared(carried[: len(self.aux.arrays)]))

    def _unshared(self, arrays: Sequence[Array]) -> list[Any]:
        unshared, primals = self._scope.backend.unshared, self._inputs.primals
        return [unshared([array], primals)[0] for array in arrays]  # with each other they may share what they like

    def untraced_writes(self, carried: Sequence[Array]) -> list[Write]:
        """Return what was written to Variables, given the arrays that travelled beside the outputs."""
        remaining = iter(carried[len(self.aux.arrays) :])
        return [
            Write(write.variable, content.around([next(remaining) for _ in content.arrays]), write.created)
            for write, content in self._writes
        ]
