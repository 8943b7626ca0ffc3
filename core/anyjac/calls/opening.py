"""The backend of a call: the one that is named, or what arguments and Variables say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjac_plugins import Backend

from ..selection.choice import Selection, kind_of, select
from ..state.context import current_scope
from ..state.variable import Variable
from ..trees.structure import flatten


def select_backend(
    backend: str | Backend | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    variables: Sequence[Variable],
) -> Selection:
    """Return the backend of a call: the one that is named, or what arguments and Variables say."""
    enclosing = current_scope()
    return select(backend, _all_leaves(args, kwargs, variables), None if enclosing is None else enclosing.backend)


def _all_leaves(args: tuple[Any, ...], kwargs: Mapping[str, Any], variables: Sequence[Variable]) -> Iterator[Any]:
    """Yield what may tell the framework: leaves of all arguments, then what the Variables hold."""
    for value in (*args, *kwargs.values()):
        if kind_of(value) is not None and not isinstance(value, tuple):  # as torch.Size is, which is no array
            yield value
        else:
            yield from _leaves_in(value)
    for variable in variables:
        yield from flatten(variable.value)[0]


def _leaves_in(tree: Any) -> Iterator[Any]:
    for leaf in flatten(tree)[0]:
        if isinstance(leaf, Variable):
            yield from flatten(leaf.value)[0]
        else:
            yield leaf
