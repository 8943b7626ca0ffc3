"""Functions recorded as graphs of operators by `make_fx`, for `torch.compile`: one graph for each kind of tensors.

A graph holds the backward passes too, chunks and all, and nothing of Python; what the function finds elsewhere is a
constant of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from anyjac_plugins import Array, StageableFunction, StagedFunction, StagedResult
from anyjac_plugins.errors import UncompiledWarning
from anyjac_plugins.interrupts import run_and_end
from anyjac_plugins.locking import release

from . import code_generation
from .modes import copied, is_recording
from .past_operators import PastOperators
from .torch_func import is_transformed
from .writes import Writes

Compile = Callable[[Any, Sequence[Array]], Callable[..., Any]]
"""Compiles a graph for tensors like those of an example."""

_RECORDING_ELSEWHERE = "FX to symbolically trace a dynamo-optimized function"
"""What PyTorch says, before it does anything, to a compiled function that is called while any thread records."""

_CASTING = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia")
"""Kinds of devices that have an autocast of their own."""

_DOUBLE = (torch.float64, torch.complex128)


def compile_graph(recorded: Any, example: Sequence[Array], compile: Callable[..., Any]) -> Any:
    """Return a recorded graph compiled.

    `Staged` has told what a call is like, so that the code generator is handed the graph itself, without the guards by
    which `torch.compile` would tell it again in each call; but for tensors of other classes, and for a graph that is
    part of another by the leaves that it has found. A graph with complex numbers runs as it was recorded: the code
    generator has none for them, and what it leaves to others has been wrong. So does one that it fails on, and every
    one where PyTorch finds no compiler.

    Parameters
    ----------
    compile
        What compiles it otherwise.
    """
    if not any(node.op == "call_function" for node in recorded.graph.nodes) or _has_complex_numbers(recorded):
        return recorded.forward
    if not code_generation.is_possible():
        return recorded.forward
    held = [value for value in vars(recorded).values() if isinstance(value, torch.Tensor)]
    held += [*recorded.parameters(), *recorded.buffers()]
    plain = all(type(tensor) is torch.Tensor for tensor in example)
    if not plain or any(tensor.requires_grad for tensor in (*held, *example)):
        return compile(recorded)
    try:
        return torch._inductor.compile(recorded, list(example))
    except Exception as error:
        warnings.warn(
            f"PyTorch fails to compile what anyjac.jit has recorded, and runs it uncompiled; it says "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            UncompiledWarning,
            stacklevel=2,
        )
        return recorded.forward


def _has_complex_numbers(recorded: Any) -> bool:
    values = (node.meta.get("val") for node in recorded.graph.nodes)
    return any(isinstance(value, torch.Tensor) and value.is_complex() for value in values)


class Staged:
    """A function that is compiled for each kind of tensors that it is called with.

    Where its tensors belong to a graph of `torch.autograd`, or a transform of `torch.func` runs, it is run as it is.
    """

    def __init__(self, fun: StageableFunction, compile: Compile):
        self._fun = fun
        self._as_it_is: StagedFunction = getattr(fun, "as_it_is", fun)
        self._compile = compile
        self._compiled: dict[Hashable, tuple[_Graph, Any]] = {}

    def __call__(self, *arrays: Any) -> StagedResult:
        tensors = arrays if all(isinstance(array, torch.Tensor) for array in arrays) else _tensors(arrays)
        if _belongs_to_a_trace(tensors):
            return self._as_it_is(*tensors)
        kind = (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            _casts() if torch._C._is_any_autocast_enabled() else None,
            *[(type(t), t.shape, t.stride(), t.dtype, t.device, t.is_conj(), t.is_neg()) for t in tensors],
        )
        found = self._compiled.get(kind)
        if found is None:
            return self._first_call(kind, tensors)
        graph, note = found
        return StagedResult(note, graph(*tensors))

    def _first_call(self, kind: Hashable, tensors: Sequence[Array]) -> StagedResult:
        """Compile and run; run as it is while another thread compiles, for PyTorch does that in one at a time.

        To wait for the other would be to wait for ever where it waits for a Variable that this call owns.
        """
        from torch._dynamo import convert_frame

        lock: Any = convert_frame.compile_lock
        if lock._is_owned():  # so that below it is, if it is, by this very call
            return self._as_it_is(*tensors)

        def compiled() -> StagedResult:
            if not lock.acquire(blocking=False):
                return self._as_it_is(*tensors)
            return self._recorded_call(kind, tensors)

        return run_and_end(compiled, partial(release, lock))

    def _recorded_call(self, kind: Hashable, tensors: Sequence[Array]) -> StagedResult:
        """Make a call and keep what is compiled of it; after an error, tensors found elsewhere are as they were.

        An error of the core says that the run was for nothing, as Variables were read that have to be inputs.
        """
        twins = list(map(_twin, tensors))
        writes = Writes(twins)

        def recorded() -> StagedResult:
            graph, noted = self._record(twins, tensors, writes)
            if writes.elsewhere:  # which the recorded run has changed, and is not to be changed once more
                results: Sequence[Array] = noted.arrays
                _copy_written(writes, twins, tensors)
            else:
                results = graph(*tensors)  # which compiles it
            self._compiled[kind] = graph, noted.note
            writes.keep()
            return StagedResult(noted.note, results)

        return run_and_end(recorded, writes.undo)

    def _record(self, twins: Sequence[Array], tensors: Sequence[Array], writes: Writes) -> tuple[_Graph, StagedResult]:
        runs: list[StagedResult] = []

        def flat(*tensors: Array) -> Sequence[Array]:
            with PastOperators(twins, writes):
                runs.append(self._fun(*tensors))
            return list(runs[-1].arrays)

        with writes:
            recorded: Any = make_fx(flat)(*twins)
        with torch._C._DisableAutocast():  # whose casts are steps of the graph
            compiled = self._compile(recorded, tensors)
        return _Graph(recorded, compiled), runs[0]


class _Graph:
    """A recorded function and what was compiled of it; autocast, if it was on, is part of it and not done again."""

    def __init__(self, recorded: Any, compiled: Callable[..., Sequence[Array]]):
        casts = torch._C._is_any_autocast_enabled()
        self._recorded = _without_autocast(recorded.forward) if casts else recorded.forward
        self._compiled = _without_autocast(compiled) if casts else compiled

    def __call__(self, *tensors: Array) -> Sequence[Array]:
        try:
            return self._compiled(*tensors)
        except RuntimeError as error:
            if _RECORDING_ELSEWHERE not in str(error):
                raise
        return self._recorded(*tensors)


def _without_autocast(function: Callable[..., Sequence[Array]]) -> Callable[..., Sequence[Array]]:
    def run(*tensors: Array) -> Sequence[Array]:
        with torch._C._DisableAutocast():
            return function(*tensors)

    return run


def _casts() -> Hashable:
    """Return to which dtypes operators are cast by autocast, for each kind of device where they are."""
    return tuple((kind, torch.get_autocast_dtype(kind)) for kind in _CASTING if torch.is_autocast_enabled(kind))


def _tensors(arrays: Sequence[Any]) -> list[Array]:
    """Turn numbers among tensors into tensors, as precise as the others, which they are not to make more precise."""
    double = any(isinstance(array, torch.Tensor) and array.dtype in _DOUBLE for array in arrays)
    wide = {float: torch.float64, complex: torch.complex128} if double else {}
    return [
        array if isinstance(array, torch.Tensor) else torch.as_tensor(array, dtype=wide.get(type(array)))
        for array in arrays
    ]


def _twin(tensor: Array) -> Array:
    """Return a tensor of the same contents and strides in memory of its own, since the function may write to it."""
    twin: Array = copied(tensor)
    if twin.stride() == tensor.stride():
        return twin
    memory = tensor.untyped_storage().clone()
    return torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(
        memory, tensor.storage_offset(), tensor.shape, tensor.stride()
    )


def _copy_written(writes: Writes, twins: Sequence[Array], tensors: Sequence[Array]) -> None:
    """Write to tensors what a run has written to their twins."""
    for twin, tensor in zip(twins, tensors, strict=True):
        if writes.wrote(twin):
            tensor.copy_(twin)


def _belongs_to_a_trace(tensors: Sequence[Array]) -> bool:
    if is_recording() or is_transformed():
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
