"""Which traces of JAX the arrays in a pytree belong to."""

from __future__ import annotations

from typing import Any

import jax


def is_traced(tree: Any) -> bool:
    """Return whether any leaf of a pytree is traced."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def in_same_traces(old: Any, new: Any) -> bool:
    """Return whether all tracers in `new` belong to traces of which `old` holds tracers too.

    Then whoever has put the tracers of `old` there, and takes them out again when the trace ends, will do so with those
    of `new`.
    """
    return _traces_of(new) <= _traces_of(old)


def _traces_of(tree: Any) -> set[int]:
    return {id(leaf._trace) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.core.Tracer)}
