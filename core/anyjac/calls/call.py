"""The walk of one call of a transform, from the arguments to the return value.

opening -> inputs -> the function within the scope -> whatever the transform computes of it -> commit. Each step is a
function of another module; this one puts them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from anyjac_plugins import Array

from ..state.entries import Write
from ..state.scope import Scope
from .inputs import Inputs, gather_inputs
from .nonfinite import refuse_inputs
from .opening import open_call, select_backend
from .run import FlatRun, OutputCheck
from .settings import Settings

Result = TypeVar("Result")

Compute = Callable[[Scope, Inputs, FlatRun], tuple[Result, Sequence[Array]]]
"""Runs the flat function, once, and returns what the call returns, and the arrays that came beside the outputs."""


def call(
    func: Callable[..., Any],
    settings: Settings,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    compute: Compute[Result],
    check: OutputCheck | None = None,
) -> Result:
    """Return what `compute` makes of `func` at the given arguments, and store what `func` wrote to Variables."""

    def work(scope: Scope) -> tuple[Result, Sequence[Write]]:
        values = scope.values_at_entry(settings.variables, settings.companions)
        inputs = gather_inputs(settings, scope.backend, scope.device, scope.converts, values, args)
        if settings.debug_nan:
            refuse_inputs(scope.backend, settings, inputs)
        run = FlatRun(func, settings, scope, inputs, args, kwargs, check)
        result, carried = compute(scope, inputs, run)
        return result, run.untraced_writes(carried)

    selection = select_backend(settings.backend, args, kwargs, settings.variables)
    return open_call(work, selection, settings.device, differentiates=True)
