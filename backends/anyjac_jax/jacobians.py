"""Compiled Jacobians, kept by what a function computed and not by which function it was.

The function runs on every call and is recorded as a program (`programs`); a program that has come several times is
compiled together with its Jacobian, and the next call that computes the same finds it by its key (`keys`), whatever
arrays the function captured. Where the program would run other code than JAX's own to be differentiated, such as the
derivative rules of a user's, the function is differentiated while it runs, and the program of its Jacobian is recorded,
which calls nothing back. A function that cannot be recorded, keyed or compiled is computed as it is, with the same
result.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from anyjac_plugins import Array, Backend, CacheInfo, FlatFunction, Jacobian, environment
from anyjac_plugins.backend.types import REVERSE_MODE
from anyjac_plugins.failed_functions import FailedFunctions, code_of
from anyjac_plugins.locking import SafeLock

from .blocks import recorded_jacobian
from .compiling import compiled, options_for
from .keys import UnkeyableError, key_of
from .linear_maps import rows_at_once
from .own_code import ForeignCodeError
from .programs import Program, outside_all_traces, trace, within_map, without_rules

CALLS_TO_COMPILE = 3
"""How often a program has to come until it is compiled: a program that runs twice does not pay for its compilation.

A program with so many rows that they take several chunks is compiled at once: it gains more than the compilation costs.
"""

MAXIMUM = 256
"""How many programs are known at a time; the one that was not seen for longest is forgotten."""

_CHECKING = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs")
"""JAX's settings under which users want to see each operation run."""

Compiled = Callable[[list[Any], Sequence[Array]], Any]
"""A kept program, of the arrays that the function captured and of the primals."""


def may_compile() -> bool:
    """Return whether to compile programs unasked: not where users want to see each operation run."""
    return environment.compiles() and not any(getattr(jax.config, name) for name in _CHECKING)


class RecordedJacobian(NamedTuple):
    """A function's Jacobian, recorded while the function was run and differentiated.

    Attributes
    ----------
    program
        Computes the outputs, and then all blocks.
    outputs, inputs
        How many there are of either.
    mode
        That of the blocks.
    """

    program: Program
    outputs: int
    inputs: int
    mode: str

    def assembled(self, outputs: Sequence[Array], aux: Sequence[Array]) -> Jacobian:
        """Return the Jacobian of the results of the program."""
        found, blocks = list(outputs[: self.outputs]), list(outputs[self.outputs :])
        starts = range(0, len(blocks), self.inputs)
        return Jacobian(found, [blocks[start : start + self.inputs] for start in starts], list(aux), self.mode)


def record_jacobian(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str
) -> RecordedJacobian:
    """Run a function once, differentiate it as it runs, and record both."""
    found: list[tuple[int, str]] = []

    def flat(*traced: Array) -> tuple[list[Array], list[Array]]:
        outputs, blocks, aux, taken = recorded_jacobian(backend, fun, traced, chunk_size, mode)
        found.append((len(outputs), taken))
        return [*outputs, *(block for row in blocks for block in row)], aux

    program = trace(flat, primals)
    outputs, taken = found[0]
    return RecordedJacobian(program, outputs, len(primals), taken)


@dataclass(slots=True)
class _Entry:
    calls: int = 0
    compiled: Compiled | None = None
    refused: bool = False


class CompiledJacobians:
    """The programs that have been seen, and the compiled Jacobians of those that were seen often."""

    def __init__(self) -> None:
        self._lock = SafeLock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._hits = self._misses = self._uncached = 0
        self._left_out = FailedFunctions()
        self._runs_foreign_code: dict[Hashable, bool] = {}  # by the codes of functions
        self._begun: set[Hashable] = set()  # the codes of functions whose first program has no entry yet

    def serves(self, fun: FlatFunction) -> bool:
        """Return whether calls of `fun` are to be recorded: not where JAX itself records already."""
        return (outside_all_traces() or within_map()) and may_compile() and fun not in self._left_out

    def leave_out(self, fun: FlatFunction) -> None:
        """Remember that `fun`, and whatever function has the same code, cannot be recorded."""
        self._left_out.add(fun)

    def runs_foreign_code(self, fun: FlatFunction) -> bool | None:
        """Return whether a function with the code of `fun` had rules of its own, say; None where nothing is known."""
        return self._runs_foreign_code.get(code_of(fun))

    def note_foreign_code(self, fun: FlatFunction, found: bool) -> None:
        """Remember whether `fun`, and whatever function has the same code, runs code that is not JAX's own."""
        code = code_of(fun)
        self._lock.run(lambda: self._note_foreign_code(code, found))

    def _note_foreign_code(self, code: Hashable, found: bool) -> None:
        if len(self._runs_foreign_code) >= MAXIMUM:  # it costs one recording to find out again
            self._runs_foreign_code.clear()
        self._runs_foreign_code[code] = found

    def find(
        self,
        backend: Backend,
        fun: FlatFunction,
        program: Program,
        chunk_size: int | None,
        mode: str,
        *,
        at_once: bool,
    ) -> _CachedJacobian | None:
        """Return the compiled Jacobian of a program; None while it is not compiled, or cannot be.

        Parameters
        ----------
        fun
            The function that the program was recorded from.
        chunk_size
            How many rows or columns to compute at once; None for a size that keeps memory within bounds.
        mode
            ``"rev"`` or ``"fwd"``.
        at_once
            Whether to compile what is seen for the first time.

        Raises
        ------
        UnfaithfulError, ForeignCodeError
            If the function had better be run again, without being recorded, or while it is differentiated.
        """
        try:
            key = program.outputs, chunk_size, mode, key_of(program.jaxpr, differentiated=True)
        except UnkeyableError:
            self._lock.run(self._count_uncached)
            return None
        at_once = at_once or _is_large(program.input_shapes(), program.output_shapes(), mode)
        code = code_of(fun)

        def look_up() -> _Entry:
            known = key in self._entries
            entry = self._entry(key, lambda: _compile(backend, program, chunk_size, mode), at_once, code in self._begun)
            if not known:
                self._begun.discard(code)
            return entry

        entry = self._lock.run(look_up)
        compiled = entry.compiled
        return None if compiled is None else _CachedJacobian(entry, compiled, program, mode)

    def find_recorded(
        self, fun: FlatFunction, recorded: RecordedJacobian, *, keep: bool, at_once: bool
    ) -> _CachedProgram | None:
        """Return the compiled program of a recorded Jacobian; None while it is not compiled.

        Parameters
        ----------
        keep
            Whether later calls of the function are recorded in this way too.

        Raises
        ------
        UnkeyableError, ForeignCodeError
            If it is never compiled.
        UnfaithfulError
            If the function had better be run again, without being recorded.
        """
        program = recorded.program
        try:
            key = program.outputs, recorded.outputs, recorded.mode, key_of(program.jaxpr, differentiated=False)
        except (UnkeyableError, ForeignCodeError):
            self._lock.run(self._count_uncached)
            raise
        outputs = program.output_shapes()[: recorded.outputs]
        at_once = at_once or _is_large(program.input_shapes(), outputs, recorded.mode)
        if not (keep or at_once):
            self._lock.run(lambda: self._count_first(code_of(fun)))
            return None
        entry = self._lock.run(lambda: self._entry(key, lambda: _compile_as_it_is(program), at_once, False))
        return None if entry.compiled is None else _CachedProgram(entry, entry.compiled, program)

    def run_loop(self, program: Program, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs of a program that is a loop, which JAX compiles in any case: once, and not in each call.

        Raises
        ------
        UnfaithfulError
            If the function had better be run again, without being recorded.
        """
        try:
            key = "loop", program.outputs, key_of(program.jaxpr, differentiated=False)
        except (UnkeyableError, ForeignCodeError):
            self._lock.run(self._count_uncached)
            return list(program.function(program.constants)(*arrays)[0])
        entry = self._lock.run(lambda: self._entry(key, lambda: _compile_as_it_is(program), True, False))
        if entry.compiled is not None:
            known = _CachedProgram(entry, entry.compiled, program)
            # As with Jacobians: no code of the user's runs here, nor in what follows.
            with contextlib.suppress(Exception):
                return known(program.constants, arrays)[0]
            known.refuse()
        return list(program.function(program.constants)(*arrays)[0])

    def _count_uncached(self) -> None:
        self._uncached += 1

    def _count_first(self, code: Hashable) -> None:
        self._misses += 1
        if len(self._begun) >= MAXIMUM:
            self._begun.clear()
        self._begun.add(code)

    def _entry(self, key: Hashable, compile: Callable[[], Compiled], at_once: bool, seen: bool) -> _Entry:
        """Return the entry of a program, compiled if due; `seen` says whether the program may have come before."""
        entry = self._entries.setdefault(key, _Entry(int(seen)))
        self._entries.move_to_end(key)
        if len(self._entries) > MAXIMUM:
            self._entries.popitem(last=False)
        entry.calls += 1
        due = at_once or entry.calls >= CALLS_TO_COMPILE
        if entry.compiled is None and not entry.refused and due:
            entry.compiled = compile()
        if entry.compiled is None:
            self._misses += 1
        else:
            self._hits += 1
        return entry

    def info(self) -> CacheInfo:
        """Return how often the cache was of use."""
        return self._lock.run(self._info)

    def _info(self) -> CacheInfo:
        known = min(MAXIMUM, len(self._entries) + len(self._begun))
        return CacheInfo(self._hits, self._misses, self._uncached, MAXIMUM, known)

    def clear(self) -> None:
        """Forget all programs, and the counts."""
        self._lock.run(self._forget)

    def _forget(self) -> None:
        self._entries.clear()
        self._left_out.clear()
        self._runs_foreign_code.clear()
        self._begun.clear()
        self._hits = self._misses = self._uncached = 0


@dataclass(slots=True)
class _Cached:
    _entry: _Entry
    _compiled: Compiled
    _program: Program

    def refuse(self) -> None:
        """Remember that the program does not compile, or does not run when compiled."""
        self._entry.refused, self._entry.compiled = True, None

    def _hand_through(self, constants: list[Any], outputs: list[Array], aux: list[Array]) -> None:
        """Put captured arrays, as they are, in the place of results that are such arrays."""
        for index, position in self._program.constant_results().items():
            where, at = (outputs, index) if index < len(outputs) else (aux, index - len(outputs))
            where[at] = jnp.asarray(constants[position])


@dataclass(slots=True)
class _CachedJacobian(_Cached):
    """A compiled Jacobian of a program."""

    _mode: str

    def __call__(self, constants: list[Any], primals: Sequence[Array]) -> Jacobian:
        outputs, blocks, aux = self._compiled(constants, primals)
        self._hand_through(constants, outputs, aux)
        return Jacobian(outputs, blocks, aux, self._mode)


@dataclass(slots=True)
class _CachedProgram(_Cached):
    """A compiled program."""

    def __call__(self, constants: list[Any], primals: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        outputs, aux = self._compiled(constants, primals)
        self._hand_through(constants, outputs, aux)
        return outputs, aux


def _is_large(inputs: Sequence[Any], outputs: Sequence[Any], mode: str) -> bool:
    """Return whether an output has more rows, or an input more columns, than are computed at once."""
    along, across = (outputs, inputs) if mode == REVERSE_MODE else (inputs, outputs)
    width = sum(aval.size for aval in across)
    return any(aval.size > rows_at_once(max(1, aval.size, width)) for aval in along)


def _compile(backend: Backend, program: Program, chunk_size: int | None, mode: str) -> Compiled:
    """Return a program's outputs, Jacobian and aux as one compiled function of its constants and primals."""
    # The program keeps the constants of the run that it was recorded in; compiled, it takes those of each call.
    program = program._replace(constants=[])

    def jacobian(constants: list[Any], primals: Sequence[Array]) -> tuple[list[Array], list[list[Array]], list[Array]]:
        return recorded_jacobian(backend, program.function(constants), primals, chunk_size, mode)[:3]

    made: Compiled = compiled(jacobian, options_for(program.jaxpr, differentiated=True))
    return made


def _compile_as_it_is(program: Program) -> Compiled:
    """Return a program as a compiled function of its constants and primals."""
    program = Program(without_rules(program.jaxpr), [], program.outputs)

    def run(constants: list[Any], primals: Sequence[Array]) -> tuple[Sequence[Array], Sequence[Array]]:
        return program.function(constants)(*primals)

    made: Compiled = compiled(run, options_for(program.jaxpr, differentiated=False))
    return made
