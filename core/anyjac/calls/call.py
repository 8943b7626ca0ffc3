"""The walk of one call of a transform, from its arguments to what it returns.

selection -> inputs -> scope around the function -> whatever the transform computes of it -> commit. Each step is a
function of another module; this one puts them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from anyjac_plugins import Array
from anyjac_plugins.interrupts import run_and_end

from ..selection.choice import select_device
from ..state.scope import Scope
from .inputs import Inputs, gather_inputs
from .nonfinite import refuse_inputs
from .opening import select_backend
from .run import FlatRun, OutputCheck
from .settings import Settings

Result = TypeVar("Result")

Finish = Callable[[Scope, Inputs, "FlatRun"], tuple[Result, Sequence[Array]]]
"""Runs the flat function, once, and returns what the call returns, and the arrays that came beside the outputs."""


def call(
    func: Callable[..., Any],
    settings: Settings,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    finish: Finish[Result],
    check: OutputCheck | None = None,
) -> Result:
    """Return what `finish` makes of `func` at the given arguments, and store what `func` wrote to Variables."""
    backend, explicit = select_backend(settings.backend, args, kwargs, settings.variables)
    device = select_device(backend, settings.device)
    scope = Scope(backend, device, explicit, differentiates=True)

    def within() -> Result:
        with backend.device_scope(device):
            inputs = gather_inputs(settings, scope, args)
            if settings.debug_nan:
                refuse_inputs(backend, settings, inputs)
            run = FlatRun(func, settings, scope, inputs, args, kwargs, check)
            result, carried = finish(scope, inputs, run)
            scope.commit(run.untraced_writes(carried))
            return result

    return run_and_end(within, scope.close)
