"""`jax.jit` for functions that note something beside their arrays; JAX keeps the note with what it compiled."""

from __future__ import annotations

import jax

from anyjac_plugins import Noted, StagedFunction

# The note is a part of the structure of the results, and so comes back with them where nothing of the function is run.
jax.tree_util.register_pytree_node(Noted, lambda noted: (noted.arrays, noted.note), Noted)


def stage(fun: StagedFunction) -> StagedFunction:
    """Return `fun` compiled by `jax.jit`."""
    return jax.jit(lambda *arrays: fun(*arrays))  # a new function, since JAX knows those that it has compiled before
