"""What the steps of a loop return besides the carry, to be stacked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import OutputError

from ..calls.containers import opener_of
from ..calls.labels import leaf_label
from ..calls.outputs import take_apart
from ..selection.conversion import to_array
from ..state.variable import without_variables
from ..trees.partition import Partition


class Results:
    """What the steps of a loop return besides the carry: the same tree of arrays in each step.

    Parameters
    ----------
    backend
        The backend of the call.
    """

    def __init__(self, backend: Backend):
        self._backend = backend
        self._opener = opener_of(backend)
        self._found: Partition | None = None

    def taken(self, value: Any) -> list[Array]:
        """Return the arrays of the result of one step.

        Raises
        ------
        OutputError
            Naming what is no array, or a structure that differs from that of another step.
        """
        parts = take_apart(self._backend, without_variables(value), self._opener)
        first = self._found
        if first is not None and first.tree != parts.tree:
            raise OutputError(
                f"the function returned the structure {parts.tree} in one step, and {first.tree} in another; results "
                f"are stacked, so return the same structure in all steps"
            )
        arrays = parts.leaves if all(parts.is_array) else self._made_arrays(parts)
        parts.release()  # so that nothing is kept of a trace that ends
        self._found = parts
        return list(arrays)

    def _made_arrays(self, parts: Partition) -> list[Array]:
        why = "and results are stacked, so that they are arrays and numbers alone"
        return [
            to_array(
                self._backend,
                leaf,
                partial(leaf_label, lambda: "the result of a step", parts.tree, index),
                converts=False,
                error=OutputError,
                why=why,
            )
            for index, leaf in enumerate(parts.leaves)
        ]

    def tree_of(self, stacked: Sequence[Array]) -> Any:
        """Return the tree with what has been stacked of all steps."""
        assert self._found is not None
        return self._found.tree.unflatten(list(stacked))
