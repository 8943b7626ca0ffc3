"""The JAX backend: arrays, devices and trees in JAX's terms. Derivatives are in `linear_maps`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyjac_plugins import (
    BFLOAT16,
    COMPLEX,
    FLOAT16,
    FORWARD,
    GRAD,
    JIT,
    NESTED,
    STOP_GRADIENT,
    VMAP,
    Array,
    Backend,
    CacheInfo,
    FlatFunction,
    FrameworkTransforms,
    FunctionRun,
    Jacobian,
    LinearMap,
    LinearMapCall,
    OpenedNode,
    OutputRows,
    Paths,
    Pullback,
    Pushforward,
    Randomness,
    StageableFunction,
    StagedFunction,
)
from anyjac_plugins.backend.jacobians import cheaper_mode
from anyjac_plugins.backend.loops import LoopStep, RepeatableFunction
from anyjac_plugins.backend.types import AUTO_MODE, FORWARD_MODE, REVERSE_MODE
from anyjac_plugins.errors import AnyjacError, DtypeError, TracerLeakError

from . import elements, errors, faithful, jit, linear_maps, loops, meshes, nonfinite, programs
from .blocks import jacobian_by_pushing_columns, recorded_jacobian
from .faithful import UnfaithfulError
from .foreign_code import ForeignCodeWatch
from .jacobians import CompiledJacobians, RecordedJacobian, may_compile, record_jacobian
from .keys import UnkeyableError
from .lost_derivatives import watch_items
from .namespace import build_namespace
from .own_code import ForeignCodeError
from .programs import Program, may_differ, trace


class JaxBackend(Backend):
    """JAX. Its arrays are immutable, and 64-bit dtypes exist only under ``jax_enable_x64``."""

    name = "jax"
    array_names = ("Tracer", "ArrayImpl")
    version = jax.__version__
    capabilities = frozenset({COMPLEX, FLOAT16, BFLOAT16, NESTED, FORWARD, GRAD, JIT, VMAP, STOP_GRADIENT})

    framework_transforms = FrameworkTransforms(grad=jax.grad, compile=jax.jit, vmap=jax.vmap)
    column_cost = 0.9  # a column needs no sweep back

    def __init__(self) -> None:
        self.paths = Paths(self.name, "compiled", "native")
        self._namespace = build_namespace()
        self._compiled = CompiledJacobians()
        watch_items()

    # ---- arrays ----------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        return self._namespace

    def is_array(self, value: object) -> bool:
        return isinstance(value, jax.Array)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        if isinstance(value, jax.core.Tracer):
            array = jnp.asarray(value, dtype=dtype)
            return array if device is None or device == self.device_of(value) else jax.device_put(array, device)
        with jax.core.ensure_compile_time_eval():  # a constant stays a constant in a trace, with its value
            array = jnp.asarray(value, dtype=dtype)
            return array if device is None else jax.device_put(array, device)

    def explained(self, error: Exception) -> str | AnyjacError | None:
        return errors.explained(error)

    def finds_ended(self, error: Exception) -> bool:
        return isinstance(error, jax.errors.UnexpectedTracerError)

    def refuses(self, error: Exception) -> bool:
        return errors.refuses(error)

    def is_traced(self, value: Array) -> bool:
        return isinstance(value, jax.core.Tracer)

    def is_deleted(self, array: Array) -> bool:
        return not isinstance(array, jax.core.Tracer) and array.is_deleted()

    def is_traced_object(self, value: object) -> bool:
        return isinstance(value, jax.core.Tracer)

    def unshared(self, arrays: Sequence[Array | None], others: Sequence[Array | None]) -> list[Array | None]:
        """Return arrays as they are, since none is written; of a trace that has ended none is returned."""
        if any(isinstance(array, jax.core.Tracer) for array in arrays) and programs.outside_all_traces():
            raise TracerLeakError.of_ended_trace()
        return list(arrays)

    def set_index(self, array: Array, index: Any, value: Any) -> Array:
        return elements.assign(super().set_index, array, index, value)

    def update_index(self, array: Array, index: Any, operation: str, value: Any) -> Array:
        return elements.update(super().update_index, array, index, operation, value)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def stop_gradient(self, array: Array) -> Array:
        return jax.lax.stop_gradient(array)

    def is_state_dtype(self, dtype: Any) -> bool:
        return not isinstance(dtype, np.dtype) and bool(jnp.issubdtype(dtype, jax.dtypes.prng_key))

    def dtype_kind(self, dtype: Any) -> str:
        if jnp.issubdtype(dtype, jax.dtypes.extended):  # as keys of random numbers have
            raise DtypeError(f"dtype {dtype} is not a numeric dtype of backend {self.name!r}")
        return _dtype_kind(super().dtype_kind, np.dtype(dtype))

    # ---- devices ---------------------------------------------------------------------------------------------------

    def devices(self) -> Sequence[Any]:
        default: list[Any] = jax.local_devices()
        hosts = jax.local_devices(backend="cpu")
        return default + [device for device in hosts if device not in default]

    def device_of(self, array: Array) -> Any:
        """Return the array's device; None for an array of a program that is being compiled, which has none yet."""
        while isinstance(array, jax.core.Tracer):
            array = getattr(array, "primal", None)
        return programs.device_of_recorded() if array is None else array.device

    def device_name(self, device: Any) -> str:
        return f"{device.platform}:{device.id}" if hasattr(device, "platform") else str(device)

    def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if device is None else jax.default_device(device)

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        return linear_maps.vjp(fun, primals)

    def linearize(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pushforward, list[Array]]:
        return linear_maps.linearize(fun, primals)

    def jvp(
        self, fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
    ) -> tuple[list[Array], list[Array | None], list[Array]]:
        return linear_maps.jvp(fun, primals, tangents)

    def jacobian(
        self, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None = None, mode: str = REVERSE_MODE
    ) -> Jacobian:
        """Record the computation of `fun`, and use a compiled Jacobian where the computation has come several times.

        A function cannot be recorded if it needs values of its arrays, for a branch, say, moves arrays to another
        device or enters a context of JAX's: then it runs again from its beginning, and is not recorded from then on. In
        its first call a function is differentiated while it runs, and so is one with code that is not JAX's own in all.
        """
        if self.paths.forced == "native" or not self._compiled.serves(fun):
            return self._jacobian_as_it_is(fun, primals, chunk_size, mode)
        try:
            return self._recorded(fun, primals, chunk_size, mode)
        except Exception as error:  # all that recording may have caused; what the function raises is raised
            if not (isinstance(error, UnfaithfulError) or may_differ(error)):
                raise
        found = self._jacobian_as_it_is(fun, primals, chunk_size, mode)
        self._compiled.leave_out(fun)
        return found

    def _recorded(self, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str) -> Jacobian:
        foreign = self._compiled.runs_foreign_code(fun)
        if foreign is None:
            watch = ForeignCodeWatch()
            recorded = record_jacobian(self, watch.watched(fun), primals, chunk_size, mode)
            self._compiled.note_foreign_code(fun, watch.foreign)
            return self._jacobian_of_recorded(fun, recorded, primals, keep=watch.foreign)
        if not foreign:
            try:
                return self._jacobian_of_program(fun, trace(fun, primals), primals, chunk_size, mode)
            except ForeignCodeError:  # on another way through the function than before
                self._compiled.note_foreign_code(fun, True)
        recorded = record_jacobian(self, fun, primals, chunk_size, mode)
        return self._jacobian_of_recorded(fun, recorded, primals, keep=True)

    def _jacobian_as_it_is(
        self, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, mode: str
    ) -> Jacobian:
        at_once = self.paths.forced == "native" or programs.outside_all_traces()
        compute = super().jacobian if at_once else partial(recorded_jacobian, self)
        try:
            return compute(fun, primals, chunk_size, mode)
        except ValueError as error:  # JAX cannot tell which part of an operation is linear
            if mode != FORWARD_MODE or not may_differ(error):
                raise
        return jacobian_by_pushing_columns(self, fun, primals)

    def _jacobian_of_program(
        self, fun: FlatFunction, program: Program, primals: Sequence[Array], chunk_size: int | None, mode: str
    ) -> Jacobian:
        if mode == AUTO_MODE:
            may_run_again = not program.has_references  # what a run has written to them stays there
            if may_run_again and cheaper_mode(self, program.output_shapes(), primals) == FORWARD_MODE:
                # A rule for rows need not be one for columns; other errors come again with rows, or are real.
                with contextlib.suppress(NotImplementedError, TypeError):
                    return self._jacobian_of_program(fun, program, primals, chunk_size, FORWARD_MODE)
            mode = REVERSE_MODE
        compiled = self._compiled.find(self, fun, program, chunk_size, mode, at_once=self.paths.forced == "compiled")
        if compiled is not None:
            # JAX and XLA raise many kinds of errors where a program does not compile, or not for these devices. No code
            # of the user's runs here; what follows is complete.
            with contextlib.suppress(Exception):
                return compiled(program.constants, primals)
            compiled.refuse()
        return self._jacobian_as_it_is(program.function(program.constants), primals, chunk_size, mode)

    def _jacobian_of_recorded(
        self, fun: FlatFunction, recorded: RecordedJacobian, primals: Sequence[Array], *, keep: bool
    ) -> Jacobian:
        program = recorded.program
        try:
            at_once = self.paths.forced == "compiled"
            compiled = self._compiled.find_recorded(fun, recorded, keep=keep, at_once=at_once)
        except (UnkeyableError, ForeignCodeError):
            if keep:  # recorded in vain, and so would it be the next time
                self._compiled.leave_out(fun)
            compiled = None
        if compiled is not None:
            with contextlib.suppress(Exception):  # as above; no code of the user's runs here, nor in what follows
                return recorded.assembled(*compiled(program.constants, primals))
            compiled.refuse()
        found = recorded.assembled(*program.function(program.constants)(*primals))
        pairs = zip(found.blocks, found.outputs, strict=True)
        return found._replace(blocks=[[self._placed_like(block, output) for block in row] for row, output in pairs])

    def _placed_like(self, block: Array, output: Array) -> Array:
        """Return a block on the device of its output if it is made of numbers alone, which are on no certain device."""
        if isinstance(block, jax.core.Tracer) or block.committed:
            return block
        device = self.device_of(output)
        return jax.device_put(block, device) if isinstance(device, jax.Device) and block.device != device else block

    def cache_info(self) -> CacheInfo:
        return self._compiled.info()

    def cache_clear(self) -> None:
        self._compiled.clear()

    def seeds(self, like: Array, start: int, stop: int) -> Array:
        """Return rows of the identity on the device of `like`; for an array on several devices, bound to none."""
        with _dtypes_allowed(like.dtype):
            rows = jnp.reshape(jnp.eye(stop - start, like.size, k=start, dtype=like.dtype), (stop - start, *like.shape))
        device = self.device_of(like)
        if isinstance(device, jax.Device) and self.device_of(rows) != device:
            return jax.device_put(rows, device)
        return meshes.in_type_of(rows, like)

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        if meshes.is_of_mesh(like):
            return meshes.zeros(shape, like)
        device = self.device_of(like)
        with _dtypes_allowed(like.dtype):
            return jnp.zeros(shape, like.dtype, device=device if isinstance(device, jax.Device) else None)

    def find_nonfinite(
        self, computation: FunctionRun | LinearMapCall, *, number: int, index: tuple[int, ...], nan: bool
    ) -> str | None:
        if isinstance(computation, LinearMapCall):
            return nonfinite.in_map(computation.linear_map, computation.vectors, number, index, nan)
        cotangents, tangents = computation.cotangents, computation.tangents
        return nonfinite.in_run(computation.fun, computation.primals, number, index, cotangents, tangents, nan)

    def rows_at_once(self, width: int) -> int:
        return linear_maps.rows_at_once(max(1, width))

    def output_rows(self, wanted: OutputRows) -> list[Array]:
        """Compile the pullback of a chunk, where many of its size are wanted in a row."""
        pullback, span = wanted.pullback, wanted.span
        if (
            span is None
            or not isinstance(pullback, linear_maps.VjpPullback)
            or not pullback.rows_are_wanted_often(wanted.index, span[1] - span[0])
            or self.paths.forced == "native"
            or not programs.outside_all_traces()
            or not may_compile()
        ):
            return super().output_rows(wanted)
        device = self.device_of(wanted.output)
        with self.device_scope(device if isinstance(device, jax.Device) else None):
            return pullback.compiled_identity(wanted.index, span[0], span[1] - span[0])

    def pullback_rows(self, linear_map: LinearMap, vectors: Sequence[Array | None]) -> list[Array | None]:
        return linear_maps.pullback_rows(linear_map, vectors)

    def stage(self, fun: StageableFunction) -> StagedFunction:
        return jit.stage(fun)

    def map_rows(self, fun: Callable[..., Sequence[Array]], arrays: Sequence[Array]) -> list[Array]:
        return programs.mapped(fun, arrays)

    def map_chunks(
        self, fun: Callable[..., Sequence[Array]], chunks: Sequence[Sequence[Array]], randomness: Randomness
    ) -> list[list[Array]]:
        """Map chunk by chunk; random numbers go by their keys, of which the user says who gets which."""
        return [self.map_rows(fun, arrays) for arrays in chunks]

    def is_mapped(self, array: Array, rows: Sequence[Array]) -> bool | None:
        return programs.is_mapped(array, rows)

    # ---- loops -----------------------------------------------------------------------------------------------------

    def records_loops(self) -> bool:
        return True

    def scan(
        self,
        step: LoopStep,
        carry: Sequence[Array],
        rows: Sequence[Array],
        length: int,
        *,
        reverse: bool = False,
        unroll: int = 1,
    ) -> tuple[list[Array], list[Array]]:
        def run(*arrays: Array) -> tuple[list[Array], list[Array]]:
            own = len(carry)
            last, results = loops.scan(step, arrays[:own], arrays[own:], length, reverse, unroll)
            return [*last, *results], []

        found = self._compiled_loop(run, [*carry, *rows])
        return found[: len(carry)], found[len(carry) :]

    def _compiled_loop(self, fun: FlatFunction, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs of a loop, which is recorded once in each call and compiled once for all of them.

        Within a program that is being recorded, the loop is a part of it.
        """
        if arrays and self.paths.forced != "native" and programs.outside_all_traces() and may_compile():
            with contextlib.suppress(UnfaithfulError):
                return self._compiled.run_loop(trace(fun, arrays), arrays)
        return list(fun(*arrays)[0])

    def while_loop(
        self,
        condition: Callable[[Sequence[Array]], Array],
        step: Callable[[Sequence[Array]], Sequence[Array]],
        carry: Sequence[Array],
        max_steps: int | None,
    ) -> tuple[list[Array], bool]:
        def run(*arrays: Array) -> tuple[list[Array], list[Array]]:
            last, is_complete = loops.while_loop(condition, step, arrays, max_steps)
            return [*last, is_complete], []

        *last, is_complete = self._compiled_loop(run, carry)
        return last, isinstance(is_complete, jax.core.Tracer) or bool(is_complete)

    def branch(
        self, index: Array, branches: Sequence[Callable[..., Sequence[Array]]], operands: Sequence[Array]
    ) -> list[Array]:
        return loops.branch(index, branches, operands)

    def checkpoint(
        self, function: RepeatableFunction, arrays: Sequence[Array], *, in_loop: bool = False
    ) -> list[Array]:
        return function.first(arrays) if programs.outside_all_traces() else loops.checkpoint(function, arrays, in_loop)

    # ---- trees -----------------------------------------------------------------------------------------------------

    def flatten_node(self, node: object) -> OpenedNode | None:
        treedef: Any
        children, treedef = jax.tree.flatten(node, is_leaf=lambda other: other is not node)
        if jax.tree_util.treedef_is_leaf(treedef) and children:  # an empty container is none
            return None
        return OpenedNode(children, treedef.unflatten, treedef, partial(_steps_of, treedef))

    def adopt_variable_type(self, cls: type, view: type) -> None:
        """Register Variables as pytrees: the one way in which JAX's jitted functions take a foreign object."""
        with contextlib.suppress(ValueError):  # registered before, by another registry in this process
            jax.tree_util.register_pytree_node(cls, _open_variable, lambda _, children: view(*children))

    def adopt_linear_map(
        self,
        cls: type,
        take_apart: Callable[[Any], tuple[Sequence[Any], Any]],
        put_together: Callable[[Any, Sequence[Any]], Any],
    ) -> None:
        with contextlib.suppress(ValueError):  # registered before, by another backend of JAX in this process
            jax.tree_util.register_pytree_node(cls, take_apart, put_together)


def _dtypes_allowed(dtype: Any) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which there is a dtype, as that of an output of a function that allows itself 64 bits."""
    here = faithful.are_wide() or dtype not in faithful.WIDE
    return contextlib.nullcontext() if here else jax.enable_x64(True)


def _open_variable(variable: Any) -> tuple[tuple[Any], None]:
    return (variable.value,), None


def _steps_of(treedef: Any) -> list[str]:
    """Return the keys under which JAX's registry knows the children of a container, as Python would write them."""
    node = treedef.unflatten([np.zeros(())] * treedef.num_leaves)  # numbers, which a class may want to look at
    paths, _ = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda other: other is not node)
    return [_step(*path) for path, _ in paths]


def _step(key: Any) -> str:
    return f"[{key.key}]" if isinstance(key, jax.tree_util.FlattenedIndexKey) else str(key)


@functools.cache
def _dtype_kind(ask: Callable[[Any], str], dtype: Any) -> str:
    return ask(dtype)
