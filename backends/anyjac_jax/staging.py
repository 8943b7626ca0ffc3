"""`jax.jit` for functions that note something beside their arrays; JAX keeps track of which note belongs where."""

from __future__ import annotations

import weakref
from typing import Any

import jax

from anyjac_plugins import Array, Noted, StagedFunction

# The note is a part of the structure of the results, and so comes back with them where nothing of the function is run.
# JAX's caches outlive the function, so they get a weak reference to it.
jax.tree_util.register_pytree_node(
    Noted, lambda noted: (noted.arrays, weakref.ref(noted.note)), lambda note, arrays: Noted(note(), arrays)
)


def stage(fun: StagedFunction) -> StagedFunction:
    """Return `fun` compiled by `jax.jit`."""
    notes: list[Any] = []

    def run(*arrays: Array) -> Noted:  # a new function, since JAX knows those that it has compiled before
        noted = fun(*arrays)
        notes.append(noted.note)
        return noted

    return jax.jit(run)
