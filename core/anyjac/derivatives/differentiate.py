"""The members of the family as values, and the steps that all derivatives by blocks have in common.

`differentiate` computes a block for each output and primal; products with vectors are in `products`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from anyjac_plugins import Array, Backend, FlatFunction, Jacobian

from ..calls.call import call
from ..calls.dtypes import REAL_ALONE
from ..calls.inputs import Inputs
from ..calls.nonfinite import Look
from ..calls.packing import PACKING, PackingTable, pack_gradient, pack_jacobian
from ..calls.run import FlatRun, OutputCheck
from ..calls.settings import Settings
from ..state.scope import Scope

Operand = Callable[[Callable[..., Any], Settings], "tuple[Callable[..., Any], Settings]"]
"""Turns a function and the settings of a transform into those whose Jacobian in reverse mode is the derivative."""

Evaluate = Callable[[Backend, FlatFunction, Sequence[Array], "int | None"], Jacobian]
"""Runs a flat function at the primals and computes blocks; the last argument is the chunk size, or None."""


class Request(NamedTuple):
    """One call of a transform.

    Parameters
    ----------
    func
        The user's function.
    settings
        The settings of the transform.
    args, kwargs
        The arguments of the call.
    note_mode
        Called with the mode in which a Jacobian was computed.
    """

    func: Callable[..., Any]
    settings: Settings
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    note_mode: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Derivative:
    """One member of the family of derivatives.

    Attributes
    ----------
    name
        The public name of the member.
    apply
        Computes the derivative.
    operand
        Returns the function whose Jacobian the derivative is, for rows and linear operators; None where there is none.
    options
        The options beside the settings.
    picks_mode
        Whether the derivative picks its mode, so that the repr names the mode of the last call.
    implies_value
        Whether the value is returned without ``return_value``.
    direction
        The name of the argument that transforms take before those of the function, if any.
    """

    name: str
    apply: Callable[[Request], Any]
    operand: Operand | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    picks_mode: bool = False
    implies_value: bool = False
    direction: str = ""


def itself(func: Callable[..., Any], settings: Settings) -> tuple[Callable[..., Any], Settings]:
    """Return function and settings as they are, but for what rows cannot do: the derivative is the Jacobian itself."""
    return func, settings if settings.outputs == REAL_ALONE else replace(settings, outputs=REAL_ALONE)


def differentiate(
    request: Request,
    evaluate: Evaluate,
    *,
    check: OutputCheck | None = None,
    summed: bool = False,
    table: PackingTable = PACKING,
) -> Any:
    """Differentiate a function at the given arguments and return what the settings ask for.

    Parameters
    ----------
    summed
        Whether the blocks are one row for all outputs together.
    table
        In which order derivative, value and aux data are returned.
    """
    settings = request.settings

    def compute(scope: Scope, inputs: Inputs, run: FlatRun) -> tuple[Any, Sequence[Array]]:
        outputs, blocks, aux, mode = _evaluated(scope.backend, run, inputs.primals)
        request.note_mode(mode)
        if settings.debug_nan:
            Look(scope, settings, inputs, run).at_blocks(outputs, blocks, mode, summed=summed)
        if summed:
            g = pack_gradient(settings, inputs, blocks[0])
        else:
            g = pack_jacobian(scope.backend, settings, inputs, run.output, outputs, blocks)
        value = run.untraced_output(outputs) if settings.return_value else None
        return table[settings.has_aux, settings.return_value](g, value, run.untraced_aux(aux)), aux

    def _evaluated(backend: Backend, run: FlatRun, primals: Sequence[Array]) -> Jacobian:
        if primals:
            return evaluate(backend, run, primals, settings.chunk_size)
        outputs, aux = run()
        return Jacobian(list(outputs), [[] for _ in outputs] or [[]], list(aux))

    return call(request.func, settings, request.args, request.kwargs, compute, check)
