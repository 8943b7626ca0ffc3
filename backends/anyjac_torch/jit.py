"""Functions recorded as graphs of operators by `make_fx`, for `torch.compile`: one graph for each kind of tensors.

A graph holds the backward passes too, chunk by chunk, and no Python; tensors that the function finds elsewhere are
constants of the graph.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import torch

from anyjac_plugins import AnyjacError, Array, StageableFunction, StagedAgainError, StagedFunction, StagedResult
from anyjac_plugins.errors import UncompiledWarning
from anyjac_plugins.interrupts import run_and_end
from anyjac_plugins.locking import release
from anyjac_plugins.tracebacks import innermost, is_by_statement, module_of

from . import code_generation, private
from .errors import in_short
from .first_runs import RecordedRun, Run, first_results, twin_of
from .loops import UnrecordableError
from .modes import is_recording
from .past_operators import PastOperators
from .python_numbers import DOUBLE, PythonNumbers
from .random_states import RandomStates
from .torch_func import is_transformed
from .uncompiled import compiled_functions_as_they_are
from .varying_shapes import operator_with_varying_shape
from .writes import Writes, same

Compile = Callable[[Any, Sequence[Array]], Callable[..., Any]]
"""Compiles a graph for tensors like those of an example."""

_RECORDING_ELSEWHERE = "FX to symbolically trace a dynamo-optimized function"
"""PyTorch's refusal, before any computation, of a compiled function that is called while any thread records."""

_ASKS_FOR_NUMBERS = "get value out of a tracing tensor"
"""PyTorch's refusal of a branch on numbers that differ from call to call, which stays one: see docs/compiling."""

_CASTING = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia")
"""Kinds of devices that have an autocast of their own."""


def compile_graph(recorded: Any, example: Sequence[Array], compile: Callable[..., Any]) -> Any:
    """Return a recorded graph compiled.

    `CompiledFunction` keeps one graph for each kind of tensors. So the code generator is handed the graph itself,
    without the guards by which `torch.compile` looks at the tensors of each call; but for tensors of other classes, and
    for a graph that has found leaves of another graph. A graph with complex numbers runs as it was recorded: the
    generator writes no code for them, and its way around that has given wrong numbers. So does a graph on which the
    generator fails, and every graph where PyTorch finds no compiler.

    Parameters
    ----------
    compile
        Compiles a graph with guards.
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
        return private.generate_code(recorded, example, code_generation.options())
    except Exception as error:  # of the code generator, the C++ compiler or a file; the graph runs without all three
        warnings.warn(
            f"PyTorch fails to compile what anyjac.jit has recorded, and runs it uncompiled; it says {in_short(error)}",
            UncompiledWarning,
            stacklevel=2,
        )
        return recorded.forward


def _has_complex_numbers(recorded: Any) -> bool:
    values = (node.meta.get("val") for node in recorded.graph.nodes)
    return any(isinstance(value, torch.Tensor) and value.is_complex() for value in values)


class CompiledFunction:
    """A function with a compiled graph for each kind of tensors.

    It runs uncompiled where its tensors belong to a graph of `torch.autograd`, or a transform of `torch.func` runs.
    """

    def __init__(self, fun: StageableFunction, compile: Compile):
        self._fun = fun
        self._as_it_is: StagedFunction = getattr(fun, "as_it_is", fun)
        self._compile = compile
        self._compiled: dict[Hashable, tuple[_Graph, Any]] = {}
        self._varying: set[Hashable] = set()

    def __call__(self, *arrays: Any) -> StagedResult:
        numbers: tuple[int, ...] = ()
        if not all(isinstance(array, torch.Tensor) for array in arrays):
            numbers = tuple(index for index, array in enumerate(arrays) if not isinstance(array, torch.Tensor))
        tensors = list(map(_in_full, arrays)) if numbers else arrays
        if _belongs_to_a_trace(tensors):
            return self._as_it_is(*_as_seen(tensors, numbers))
        kind = (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            _casts() if private.autocast_is_on() else None,
            numbers,
            *[(type(t), t.shape, t.stride(), t.dtype, t.device, t.is_conj(), t.is_neg()) for t in tensors],
        )
        found = self._compiled.get(kind)
        if found is None:
            if kind in self._varying:
                return self._as_it_is(*_as_seen(tensors, numbers))
            return self._first_call(kind, tensors, numbers)
        graph, note = found
        return StagedResult(note, graph(*tensors))

    def _first_call(self, kind: Hashable, tensors: Sequence[Array], numbers: tuple[int, ...]) -> StagedResult:
        """Compile and run; run uncompiled while another thread compiles, since PyTorch compiles in one at a time.

        Waiting for that thread may last for ever: it may itself wait for a Variable that this call owns.
        """
        lock = private.compile_lock()
        if lock._is_owned():  # by a call around this one, which releases it
            return self._as_it_is(*_as_seen(tensors, numbers))

        def compiled() -> StagedResult:
            if not lock.acquire(blocking=False):
                return self._as_it_is(*_as_seen(tensors, numbers))
            return self._recorded_call(kind, tensors, numbers)

        try:
            return run_and_end(compiled, partial(release, lock))
        except _UnrecordedError as failed:
            reason = failed.reason
        returned = self._as_it_is(*_as_seen(tensors, numbers))  # from which an error of the function's own comes
        self._varying.add(kind)
        _say_uncompiled(reason)
        return returned

    def _recorded_call(self, kind: Hashable, tensors: Sequence[Array], numbers: tuple[int, ...]) -> StagedResult:
        """Make a call and keep its compiled graph; after an error, restore the tensors that were found elsewhere.

        The error may be the core's: Variables were read that have to be inputs, so that the run was for nothing.
        """
        twins = list(map(twin_of, tensors))
        random = RandomStates()
        writes = Writes(twins, random)

        def recorded() -> StagedResult:
            try:
                graph, returned = self._record(twins, tensors, writes, numbers)
            except UnrecordableError as error:
                random.restore()
                raise _UnrecordedError(str(error)) from error
            except (AnyjacError, StagedAgainError):
                raise
            except Exception as error:  # of PyTorch's, or of anything that the function calls and that finds a tracer
                if _ASKS_FOR_NUMBERS in str(error) or _is_own(error):
                    raise
                random.restore()
                raise _UnrecordedError(f"PyTorch fails to record it; it says {in_short(error)}") from error
            run = RecordedRun(graph.module, graph.recorded, twins, returned.arrays, writes, random)
            results = _first_results(graph, run, tensors)
            if graph.holds_once:
                self._varying.add(kind)
            else:
                self._compiled[kind] = graph, returned.note
            writes.keep()
            return StagedResult(returned.note, results)

        return run_and_end(recorded, writes.undo)

    def _record(
        self, twins: Sequence[Array], tensors: Sequence[Array], writes: Writes, numbers: tuple[int, ...]
    ) -> tuple[_Graph, StagedResult]:
        runs: list[StagedResult] = []

        def flat(*tensors: Array) -> Sequence[Array]:
            seen = _as_seen(tensors, numbers)
            with_digits = PythonNumbers([seen[n] for n in numbers], [tensors[n] for n in numbers])
            with with_digits if numbers else contextlib.nullcontext(), PastOperators(twins, writes):
                runs.append(self._fun(*seen))
            return list(runs[-1].arrays)

        with writes, compiled_functions_as_they_are():
            recorded: Any = private.make_fx(flat, decomposition_table=private.DRAWN_ALIKE)(*twins)
        varying = operator_with_varying_shape(recorded)
        if varying is not None:
            _say_uncompiled(
                f"the shape of what {varying} returns depends on values, and a compiled function has the same shapes "
                f"in every call; write it with torch.where and sums of fixed shapes to have it compiled"
            )
            return _Graph(recorded, recorded.forward, holds_once=True), runs[0]
        with private.autocast_off():  # the casts of autocast are steps of the graph
            compiled = self._compile(recorded, tensors)
        return _Graph(recorded, compiled), runs[0]


def _is_own(error: Exception) -> bool:
    """Return whether code outside PyTorch has raised an error, by a statement, so that another run would too."""
    where = innermost(error)
    return is_by_statement(where) and module_of(where).partition(".")[0] != "torch"


class _UnrecordedError(Exception):
    """PyTorch fails to record a function."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def _say_uncompiled(reason: str) -> None:
    warnings.warn(f"anyjac.jit runs a function uncompiled on PyTorch, since {reason}", UncompiledWarning, stacklevel=2)


def _first_results(graph: _Graph, run: RecordedRun, tensors: Sequence[Array]) -> Sequence[Array]:
    """Return the results of a recorded graph; generated code with other results is dropped, and then the graph."""
    checks = () if graph.holds_once else (graph.run_uncompiled, graph.hold_once)
    for drop in checks[0 if graph.is_compiled else 1 :]:
        results = first_results(run, graph, tensors, compiled=graph.is_compiled)
        if results is not None:
            if not run.writes.elsewhere:
                return results
            break
        drop()
    for twin, tensor in zip(run.twins, tensors, strict=True):
        if not same(twin, tensor):
            tensor.copy_(twin)
    return run.results


class _Graph:
    """A recorded graph, and the graph compiled; both hold the casts of autocast, which is off while they run.

    Attributes
    ----------
    module
        The graph as PyTorch has recorded it.
    recorded
        Runs it as it was recorded.
    is_compiled
        Whether it runs compiled.
    holds_once
        Whether it is right for the call alone that was recorded.
    """

    def __init__(self, module: Any, compiled: Run, *, holds_once: bool = False):
        self.holds_once = holds_once
        casts = private.autocast_is_on()
        self.module = module
        self.is_compiled = compiled != module.forward
        self.recorded: Run = _without_autocast(module.forward) if casts else module.forward
        self._compiled = _without_autocast(compiled) if casts else compiled

    def __call__(self, *tensors: Array) -> Sequence[Array]:
        try:
            return self._compiled(*tensors)
        except RuntimeError as error:
            if _RECORDING_ELSEWHERE not in str(error):
                raise
        return self.recorded(*tensors)

    def run_uncompiled(self) -> None:
        """Run as recorded from now on."""
        self._compiled = self.recorded
        self.is_compiled = False

    def hold_once(self) -> None:
        """Hold for the call alone that was recorded."""
        self.holds_once = True


def _without_autocast(function: Run) -> Run:
    def run(*tensors: Array) -> Sequence[Array]:
        with private.autocast_off():
            return function(*tensors)

    return run


def _casts() -> Hashable:
    """Return the dtypes to which autocast casts operators, by kind of device."""
    return tuple((kind, torch.get_autocast_dtype(kind)) for kind in _CASTING if torch.is_autocast_enabled(kind))


def _in_full(array: Any) -> Array:
    """Return a number as a tensor with all its digits; a tensor as it is."""
    if isinstance(array, torch.Tensor):
        return array
    return torch.as_tensor(array, dtype={float: torch.float64, complex: torch.complex128}.get(type(array)))


def _as_seen(tensors: Sequence[Array], numbers: Sequence[int]) -> Sequence[Array]:
    """Return tensors as a function sees them: those of numbers no more precise than the others."""
    if not numbers or any(t.dtype in DOUBLE for index, t in enumerate(tensors) if index not in numbers):
        return tensors
    default = torch.get_default_dtype()
    dtypes = {torch.float64: default, torch.complex128: default.to_complex()}
    return [t.to(dtypes.get(t.dtype, t.dtype)) if index in numbers else t for index, t in enumerate(tensors)]


def _belongs_to_a_trace(tensors: Sequence[Array]) -> bool:
    if is_recording() or is_transformed():
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
