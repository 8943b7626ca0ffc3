"""`jax.jit` for functions that return a note beside their arrays; JAX keeps each note with its compiled program."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax

from anyjac_plugins import Array, StageableFunction, StagedFunction, StagedResult

from .compiling import compiled, computes_over_windows
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
    """A function compiled for each kind of arguments, with care from the first kind on that needs any.

    JAX compiles and runs in one call; so the program is looked at after its first call, and what a careless compiler
    has made of it is thrown away.
    """

    __slots__ = ("_careful", "_notes", "_plain")

    def __init__(self, fun: StageableFunction):
        self._notes: list[Any] = []
        self._plain = compiled(self._traced(fun), windows=False)
        self._careful: Callable[..., StagedResult] | None = None

    def _traced(self, fun: StageableFunction) -> Callable[..., StagedResult]:
        notes = self._notes

        def run(*arrays: Array) -> StagedResult:  # a new function, since JAX knows those that it has compiled before
            noted = fun(*arrays)
            notes.append(noted.note)
            return _Results(weakref.ref(noted.note), noted.arrays)

        return run

    def __call__(self, *arrays: Any) -> StagedResult:
        if self._careful is not None:
            return self._run_with_care(self._careful, arrays)
        known = len(self._notes)
        found: StagedResult = self._plain(*arrays)
        if len(self._notes) == known:
            return found
        if not computes_over_windows(self._plain.trace(*arrays).jaxpr.jaxpr):  # which JAX remembers, and does not run
            return found
        self._careful = compiled(self._plain.__wrapped__, windows=True)
        return self._run_with_care(self._careful, arrays)

    def _run_with_care(self, careful: Callable[..., StagedResult], arrays: Sequence[Any]) -> StagedResult:
        """Run with options; within another program of JAX, which takes none, as a part of that program."""
        found: StagedResult = (careful if outside_all_traces() else self._plain.__wrapped__)(*arrays)
        return found


def stage(fun: StageableFunction) -> StagedFunction:
    """Return `fun` compiled by `jax.jit`."""
    return _Staged(fun)
