"""`jax.jit` for functions that note something beside their arrays; JAX keeps track of which note belongs where."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import jax

from anyjac_plugins import Array, StageableFunction, StagedFunction, StagedResult


class _Found(StagedResult):
    """What comes back where nothing of the function was run: JAX takes the note for a part of the results' structure.

    JAX's caches outlive the function, so they have a weak reference to the note.
    """

    __slots__ = ()

    def __init__(self, reference: weakref.ref[Any], arrays: Sequence[Array]):  # the one call that Python makes here
        self.note = reference()
        self.arrays = arrays


jax.tree_util.register_pytree_node(_Found, lambda found: (found.arrays, weakref.ref(found.note)), _Found)


def stage(fun: StageableFunction) -> StagedFunction:
    """Return `fun` compiled by `jax.jit`."""
    notes: list[Any] = []

    def run(*arrays: Array) -> StagedResult:  # a new function, since JAX knows those that it has compiled before
        noted = fun(*arrays)
        notes.append(noted.note)
        return _Found(weakref.ref(noted.note), noted.arrays)

    return jax.jit(run)
