"""Opening a call, and ending it: backend, device, the scope of Variables, and what is stored when all has gone well.

Whatever runs a user's function is opened here: transforms, checks, compiled and mapped functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from anyjac_plugins import Backend
from anyjac_plugins.interrupts import run_and_end

from ..selection.choice import Selection, kind_of, select, select_device
from ..state.context import current_scope
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import Variable, value_here
from ..trees.structure import flatten
from .clearer_errors import clearer_error

Result = TypeVar("Result")


def open_call(
    work: Callable[[Scope], tuple[Result, Sequence[Write] | None]],
    selection: Selection,
    device: Any,
    *,
    differentiates: bool = False,
    maps: bool = False,
) -> Result:
    """Do the work of a call in a scope of its own, store what the call has written, and return its result.

    Parameters
    ----------
    work
        Given the scope, returns the result and the untraced writes; None for a call that stores nothing.
    selection
        The backend, and whether arrays of other frameworks are converted.
    device
        What the user asked for: a device, its name, or None.
    differentiates, maps
        As in `Scope`.

    Raises
    ------
    DeviceError
        If the backend has no such device.
    NotSupportedError
        If the call differentiates within another, and the backend does not nest.
    TracerLeakError
        If a value that was written still belongs to a trace.
    """
    backend, converts = selection
    chosen = select_device(backend, device)
    scope = Scope(backend, chosen, converts, differentiates=differentiates, maps=maps)

    def within() -> Result:
        try:
            with backend.device_scope(chosen):
                result, writes = work(scope)
                if writes is not None:
                    scope.commit(writes)
                return result
        except Exception as error:  # of any kind: the user's own, which goes on
            clearer = clearer_error(error, backend)
            if clearer is None:
                raise
            raise clearer from error

    return run_and_end(within, scope.close)


def open_scope(work: Callable[[Scope], Result], backend: Backend, device: Any, converts: bool) -> Result:
    """Do some work in a scope of its own, from which nothing is stored, where backend and device are known."""
    scope = Scope(backend, device, converts)
    return run_and_end(lambda: work(scope), scope.close)


def select_backend(
    backend: str | Backend | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    variables: Sequence[Variable],
) -> Selection:
    """Return the backend of a call: named by somebody, or inferred from arguments and Variables."""
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
        yield from flatten(value_here(variable))[0]


def _leaves_in(tree: Any) -> Iterator[Any]:
    for leaf in flatten(tree)[0]:
        if isinstance(leaf, Variable):
            yield from flatten(value_here(leaf))[0]
        else:
            yield leaf
