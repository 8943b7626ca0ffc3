"""Which traces of JAX the arrays in a pytree belong to."""

from __future__ import annotations

from typing import Any

import jax


def is_traced(tree: Any) -> bool:
    """Tell whether any leaf of a pytree is traced."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def in_same_traces(old: Any, new: Any) -> bool:
    """Tell whether all that is traced in `new` belongs to traces that `old` holds tracers of too.

    Then whoever has put tracers into the place of `old`, and takes them out again when the trace ends, will do so with
    `new`.
    """
    return _traces_of(new) <= _traces_of(old)


def _traces_of(tree: Any) -> set[int]:
    return {id(leaf._trace) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.core.Tracer)}
