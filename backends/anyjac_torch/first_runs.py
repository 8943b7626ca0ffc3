"""The first run of a compiled graph, whose results are held against those of the operators that were recorded.

PyTorch's compiler has generated wrong code, without a word, of graphs that are right; `overlapping` has one case.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from anyjac_plugins import Array
from anyjac_plugins.errors import UncompiledWarning

from .agreement import difference
from .errors import in_short
from .modes import copied
from .random_states import RandomStates
from .writes import Writes

Run = Callable[..., Sequence[Array]]


@dataclass(frozen=True)
class RecordedRun:
    """A run of a function by which its operators were recorded as a graph."""

    module: Any
    """The graph."""
    run: Run
    """Runs the graph as it was recorded."""
    twins: Sequence[Array]
    """What the function was given in the place of its arguments, and may have written."""
    results: Sequence[Array]
    """What the function returned."""
    writes: Writes
    """What it has written."""
    before: RandomStates
    """The states of random number generators before the run."""


def first_results(
    recorded: RecordedRun, run: Run, tensors: Sequence[Array], *, compiled: bool
) -> Sequence[Array] | None:
    """Run a graph on the arguments of a recorded run; None, after a warning, where it does not do the same.

    It writes to the arguments what the graph says; after a warning nobody knows what it has written. If the recorded
    run has written to memory elsewhere, that stays as it is, and the graph is given copies of the arguments. The graph
    as it was recorded does something else where the function has set a state of random numbers, which is no step.

    Parameters
    ----------
    compiled
        Whether what is run is generated code.
    """
    after = recorded.before.now()
    written = any(map(recorded.writes.wrote, recorded.twins))
    inputs = list(map(twin_of, tensors)) if written else tensors
    given = list(map(twin_of, tensors)) if recorded.writes.elsewhere else tensors
    try:
        results, seen = _run_aside(recorded, run, given)
        expected = [*recorded.results, *recorded.twins, *recorded.writes.elsewhere]
        told = difference(seen, expected, recorded.module, inputs, lambda t: _run_aside(recorded, recorded.run, t)[1])
    except Exception as error:  # the function itself has run without one
        told = f"it raises {in_short(error)}"
    finally:
        after.restore()
    if told is None:
        return results
    operators = sorted({str(node.target) for node in recorded.module.graph.nodes if node.op == "call_function"})
    what = (
        "PyTorch's compiler changes what anyjac.jit has recorded, which runs uncompiled"
        if compiled
        else "anyjac.jit runs a function uncompiled on PyTorch, since its operators alone do not do what it does"
    )
    warnings.warn(
        f"{what}: {told}. The operators are {', '.join(operators)[:400]}",
        UncompiledWarning,
        stacklevel=2,
    )
    return None


def _run_aside(recorded: RecordedRun, run: Run, tensors: Sequence[Array]) -> tuple[Sequence[Array], list[Array]]:
    """Run with memory elsewhere and random numbers as before the recorded run, and leave memory elsewhere as it is.

    Returns
    -------
    results, seen
        What the run returned; the same, the arguments, and memory elsewhere, as the run has left them.
    """
    recorded.before.restore()
    elsewhere = recorded.writes.elsewhere
    with recorded.writes.set_back():
        results = run(*tensors)
        if not elsewhere:
            return results, [*results, *tensors]
        return results, [tensor.clone() for tensor in (*results, *tensors, *elsewhere)]


def twin_of(tensor: Array) -> Array:
    """Return a tensor of the same contents and strides in memory of its own, to which a run may write."""
    twin: Array = copied(tensor)
    if twin.stride() == tensor.stride():
        return twin
    memory = tensor.untyped_storage().clone()
    return torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(
        memory, tensor.storage_offset(), tensor.shape, tensor.stride()
    )
