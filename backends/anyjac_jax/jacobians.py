"""Compiled Jacobians, kept by what a function computed and not by which function it was.

The function runs on every call and is recorded as a program (`programs`); a program that has come several times is
compiled together with its Jacobian, and the next call that computes the same finds it by its key (`keys`), whatever
arrays the function captured. A function that cannot be recorded, keyed or compiled is computed as it is, with the same
result.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from anyjac_plugins import Array, Backend, CacheInfo, FlatFunction, Jacobian, Pullback, Pushforward, environment
from anyjac_plugins.backend.jacobians import cheaper_mode
from anyjac_plugins.backend.types import FORWARD_MODE, REVERSE_MODE
from anyjac_plugins.failed_functions import FailedFunctions
from anyjac_plugins.locking import SafeLock

from .keys import UnkeyableError, key_of
from .linear_maps import linearize, one_hot, rows_at_once, transposed, vjp
from .meshes import in_type_of, within_shard_map, zeros
from .programs import Program, outside_all_traces, within_map

CALLS_TO_COMPILE = 3
"""How often a program has to come until it is compiled: a program that runs twice does not pay for its compilation.

A program with so many rows that they take several chunks is compiled at once: it gains more than the compilation costs.
"""

MAXIMUM = 256
"""How many programs are known at a time; the one that was not seen for longest is forgotten."""

_CHECKING = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs")
"""JAX's settings under which users want to see each operation run."""

CompiledJacobian = Callable[[list[Any], Sequence[Array]], tuple[list[Array], list[list[Array]], list[Array]]]


def may_compile() -> bool:
    """Return whether to compile programs unasked: not where users want to see each operation run."""
    return environment.compiles() and not any(getattr(jax.config, name) for name in _CHECKING)


@dataclass(slots=True)
class _Entry:
    calls: int = 0
    compiled: CompiledJacobian | None = None
    refused: bool = False


class CompiledJacobians:
    """The programs that have been seen, and the compiled Jacobians of those that were seen often."""

    def __init__(self) -> None:
        self._lock = SafeLock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._hits = self._misses = self._uncached = 0
        self._left_out = FailedFunctions()

    def serves(self, fun: FlatFunction) -> bool:
        """Return whether calls of `fun` are to be recorded: not where JAX itself records already."""
        return (outside_all_traces() or within_map()) and may_compile() and fun not in self._left_out

    def leave_out(self, fun: FlatFunction) -> None:
        """Remember that `fun`, and whatever function has the same code, cannot be recorded."""
        self._left_out.add(fun)

    def find(
        self, backend: Backend, program: Program, chunk_size: int | None, mode: str, *, at_once: bool
    ) -> _CachedJacobian | None:
        """Return the compiled Jacobian of a program; None while it is not compiled, or cannot be.

        Parameters
        ----------
        chunk_size
            How many rows or columns to compute at once; None for a size that keeps memory within bounds.
        mode
            ``"rev"`` or ``"fwd"``.
        at_once
            Whether to compile what is seen for the first time.
        """
        try:
            key = program.outputs, chunk_size, mode, key_of(program.jaxpr)
        except UnkeyableError:
            self._lock.run(self._count_uncached)
            return None
        at_once = at_once or _is_large(program, mode)
        entry = self._lock.run(lambda: self._entry(key, lambda: _compile(backend, program, chunk_size, mode), at_once))
        compiled = entry.compiled
        return None if compiled is None else _CachedJacobian(entry, compiled, program.constant_results(), mode)

    def _count_uncached(self) -> None:
        self._uncached += 1

    def _entry(self, key: Hashable, compile: Callable[[], CompiledJacobian], at_once: bool) -> _Entry:
        """Return what is known of a program, compiled if it is due."""
        entry = self._entries.setdefault(key, _Entry())
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
        return self._lock.run(lambda: CacheInfo(self._hits, self._misses, self._uncached, MAXIMUM, len(self._entries)))

    def clear(self) -> None:
        """Forget all programs, and the counts."""
        self._lock.run(self._forget)

    def _forget(self) -> None:
        self._entries.clear()
        self._left_out.clear()
        self._hits = self._misses = self._uncached = 0


@dataclass(slots=True)
class _CachedJacobian:
    """A compiled Jacobian, with the results that are captured arrays, which are handed through as they are."""

    _entry: _Entry
    _compiled: CompiledJacobian
    _constant_results: dict[int, int]
    _mode: str

    def __call__(self, constants: list[Any], primals: Sequence[Array]) -> Jacobian:
        outputs, blocks, aux = self._compiled(constants, primals)
        for index, position in self._constant_results.items():
            if index < len(outputs):
                outputs[index] = jnp.asarray(constants[position])
            else:
                aux[index - len(outputs)] = jnp.asarray(constants[position])
        return Jacobian(outputs, blocks, aux, self._mode)

    def refuse(self) -> None:
        """Remember that the program does not compile, or does not run when compiled."""
        self._entry.refused, self._entry.compiled = True, None


def _is_large(program: Program, mode: str) -> bool:
    """Return whether an output has more rows, or an input more columns, than are computed at once."""
    inputs: list[Any] = [variable.aval for variable in program.jaxpr.invars]
    outputs: list[Any] = program.output_shapes()
    along, across = (outputs, inputs) if mode == REVERSE_MODE else (inputs, outputs)
    width = sum(aval.size for aval in across)
    return any(aval.size > rows_at_once(max(1, aval.size, width)) for aval in along)


def _compile(backend: Backend, program: Program, chunk_size: int | None, mode: str) -> CompiledJacobian:
    """Return a program's outputs, Jacobian and aux as one compiled function of its constants and primals."""
    # The program keeps the constants of the run that it was recorded in; compiled, it takes those of each call.
    program = program._replace(constants=[])

    def jacobian(constants: list[Any], primals: Sequence[Array]) -> tuple[list[Array], list[list[Array]], list[Array]]:
        return recorded_jacobian(backend, program.function(constants), primals, chunk_size, mode)[:3]

    return jax.jit(jacobian)


def recorded_jacobian(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str
) -> Jacobian:
    """Compute a Jacobian in a form that compiles well: chunks of rows in a loop, whose body is there once."""
    if mode == REVERSE_MODE:
        outputs, pullback, aux = vjp(fun, primals)
    else:
        outputs, pushforward, aux = linearize(fun, primals)
        if mode == FORWARD_MODE:
            return Jacobian(outputs, _blocks_by_columns(pushforward, outputs, primals, chunk_size), aux, FORWARD_MODE)
        if cheaper_mode(backend, outputs, primals) == FORWARD_MODE and not within_shard_map():
            with contextlib.suppress(TypeError):  # a rule for rows need not be one for columns
                return Jacobian(
                    outputs, _blocks_by_columns(pushforward, outputs, primals, chunk_size), aux, FORWARD_MODE
                )
        pullback = transposed(pushforward, outputs, primals)
    blocks = [_blocks(pullback, outputs, index, primals, chunk_size) for index in range(len(outputs))]
    return Jacobian(outputs, blocks, aux, REVERSE_MODE)


def _blocks(
    pullback: Pullback, outputs: Sequence[Array], index: int, primals: Sequence[Array], chunk_size: int | None
) -> list[Array]:
    """Pull back the rows of the identity for one output, a chunk at a time."""
    output = outputs[index]
    size = output.size
    columns = sum(primal.size for primal in primals)
    if not size or not columns:
        return [zeros((*output.shape, *primal.shape), primal) for primal in primals]

    def pull(seed: Array) -> list[Array]:
        seeds: list[Array | None] = [None] * len(outputs)
        seeds[index] = seed
        return list(pullback(seeds))

    if size == 1:  # a gradient: nothing to map over
        return _in_shapes(pull(in_type_of(jnp.ones(output.shape, output.dtype), output)), output, primals)

    def row(number: Array) -> list[Array]:
        return pull(one_hot(number, output))

    at_once = chunk_size or rows_at_once(max(size, columns))
    numbers = jnp.arange(size)
    found = jax.vmap(row)(numbers) if size <= at_once else jax.lax.map(row, numbers, batch_size=at_once)
    return _in_shapes(found, output, primals)


def _in_shapes(found: Sequence[Array], output: Array, primals: Sequence[Array]) -> list[Array]:
    shapes = [(*output.shape, *primal.shape) for primal in primals]
    return [
        part if part.shape == shape else jnp.reshape(part, shape) for part, shape in zip(found, shapes, strict=True)
    ]


def _blocks_by_columns(
    pushforward: Pushforward, outputs: Sequence[Array], primals: Sequence[Array], chunk_size: int | None
) -> list[list[Array]]:
    """Push the columns of the identity forward for each primal, a chunk at a time: the blocks of each output."""
    width = sum(output.size for output in outputs)
    by_primal = []
    for index, primal in enumerate(primals):
        if not primal.size or not width:
            by_primal.append([zeros((*output.shape, *primal.shape), _block_like(output, primal)) for output in outputs])
            continue
        column = _column(pushforward, outputs, index, primals)
        at_once = chunk_size or rows_at_once(max(primal.size, width))
        numbers = jnp.arange(primal.size)
        if primal.size <= at_once:
            found = jax.vmap(column, out_axes=-1)(numbers)
        else:
            found = [jnp.moveaxis(part, 0, -1) for part in jax.lax.map(column, numbers, batch_size=at_once)]
        pairs = zip(found, outputs, strict=True)
        by_primal.append([jnp.reshape(part, (*output.shape, *primal.shape)) for part, output in pairs])
    return [list(blocks) for blocks in zip(*by_primal, strict=True)]


def _block_like(output: Array, primal: Array) -> Array:
    """Return the array whose dtype a block has: the primal, or a complex output of a real primal."""
    return output if jnp.iscomplexobj(output) and not jnp.iscomplexobj(primal) else primal


def _column(
    pushforward: Pushforward, outputs: Sequence[Array], index: int, primals: Sequence[Array]
) -> Callable[[Array], list[Array]]:
    """Return a function that computes the column of a primal's element; for a complex element ``df/dx - i df/dy``."""
    primal = primals[index]
    real_outputs = not all(jnp.iscomplexobj(output) for output in outputs)

    def along(tangent: Array) -> list[Array]:
        tangents: list[Array | None] = [None] * len(primals)
        tangents[index] = tangent
        pairs = zip(pushforward(tangents), outputs, strict=True)
        return [jnp.asarray(part).astype(_block_like(output, primal).dtype) for part, output in pairs]

    def column(number: Array) -> list[Array]:
        tangent = one_hot(number, primal)
        if not (jnp.iscomplexobj(primal) and real_outputs):
            return along(tangent)
        return [real - 1j * imaginary for real, imaginary in zip(along(tangent), along(1j * tangent), strict=True)]

    return column
