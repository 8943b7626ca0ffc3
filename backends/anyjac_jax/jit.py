"""`jax.jit` for functions that return a note beside their arrays; JAX keeps each note with its compiled program."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import jax

from anyjac_plugins import Array, StageableFunction, StagedFunction, StagedResult


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


def stage(fun: StageableFunction) -> StagedFunction:
    """Return `fun` compiled by `jax.jit`."""
    notes: list[Any] = []

    def run(*arrays: Array) -> StagedResult:  # a new function, since JAX knows those that it has compiled before
        noted = fun(*arrays)
        notes.append(noted.note)
        return _Results(weakref.ref(noted.note), noted.arrays)

    return jax.jit(run)
