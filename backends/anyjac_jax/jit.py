"""`jax.jit` for functions that return a note beside their arrays; JAX keeps each note with its compiled program."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax

from anyjac_plugins import Array, StageableFunction, StagedFunction, StagedResult

from .compiling import compiled, options_for
from .programs import outside_all_traces


class _Results(StagedResult):
    """The results of a compiled call, in which the function was not run: their structure brings back the note.

    JAX's caches outlive the function, so that they have a weak reference to the note.
    """

    __slots__ = ()

    def __init__(
        self, reference: weakref.ref[Any], arrays: Sequence[Array]
    ):  # the only function of Python in a compiled call
        self.note = reference()
        self.arrays = arrays


jax.tree_util.register_pytree_node(_Results, lambda found: (found.arrays, weakref.ref(found.note)), _Results)


class _Staged:
    """A function compiled for each kind of arguments, with all options of XLA that any kind has needed so far.

    JAX compiles and runs in one call; so the program is looked at after its first call, and what was compiled without
    an option that it needs is thrown away.
    """

    __slots__ = ("_compiled", "_function", "_notes", "_options")

    def __init__(self, fun: StageableFunction):
        self._notes: list[Any] = []
        self._function = self._noting(fun)
        self._options: dict[str, Any] = {}
        self._compiled = compiled(self._function, self._options)

    def _noting(self, fun: StageableFunction) -> Callable[..., StagedResult]:
        notes = self._notes

        def run(*arrays: Array) -> StagedResult:  # a new function, since JAX knows those that it has compiled before
            noted = fun(*arrays)
            notes.append(noted.note)
            return _Results(weakref.ref(noted.note), noted.arrays)

        return run

    def __call__(self, *arrays: Any) -> StagedResult:
        if self._options and not outside_all_traces():  # another program of JAX takes no options for a part of it
            return self._function(*arrays)
        known = len(self._notes)
        found: StagedResult = self._compiled(*arrays)
        if len(self._notes) == known:
            return found
        traced = self._compiled.trace(*arrays)  # which JAX remembers, and does not run
        needed = options_for(traced.jaxpr.jaxpr, differentiated=False)
        if needed.items() <= self._options.items():
            return found
        self._options |= needed
        self._compiled = compiled(self._function, self._options)
        return self(*arrays)


def stage(fun: StageableFunction) -> StagedFunction:
    """Return `fun` compiled by `jax.jit`."""
    return _Staged(fun)
