"""The PyTorch backend: tensors and devices in PyTorch's terms. Derivatives are in `linear_maps`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

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
    AnyjacError,
    Array,
    Backend,
    FlatFunction,
    FrameworkTransforms,
    FunctionRun,
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
from anyjac_plugins.backend.loops import LoopStep, RepeatableFunction
from anyjac_plugins.errors import DtypeError, NotSupportedError, UnmappedWarning
from anyjac_plugins.failed_functions import FailedFunctions

from . import (
    checkpoints,
    code_generation,
    errors,
    forward,
    jacobians,
    jit,
    linear_maps,
    loops,
    nonfinite,
    private,
    torch_func,
)
from .graphs import NoDerivativeError
from .modes import copied, is_recording
from .namespace import build_namespace
from .randomness import Draws, is_refusal, refuse_chunks_of_compiled, refused
from .step_results import StepResults
from .transposing import Transposed
from .uncompiled import compiled_functions_as_they_are
from .writes import was_written


def _compile(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fun` compiled by `torch.compile`; without code generation where no C++ compiler is installed."""
    compiled: Callable[..., Any] = torch.compile(
        fun, backend="inductor" if code_generation.is_possible() else "aot_eager"
    )
    return compiled


def _compile_with_guards(graph: Any) -> Callable[..., Any]:
    """Return a recorded graph compiled by `torch.compile`, with the options of the graphs that are compiled as such."""
    compiled: Callable[..., Any] = torch.compile(graph, backend="inductor", options=code_generation.options())
    return compiled


class TorchBackend(Backend):
    """PyTorch. Tensors that belong to a graph count as traced; Variables hold detached copies."""

    name = "torch"
    array_names = ("Tensor",)
    version = torch.__version__
    capabilities = frozenset({COMPLEX, FLOAT16, BFLOAT16, NESTED, FORWARD, GRAD, JIT, VMAP, STOP_GRADIENT})
    framework_transforms = FrameworkTransforms(grad=torch.func.grad, compile=_compile, vmap=torch.func.vmap)

    def __init__(self) -> None:
        self.paths = Paths(self.name, "batched", "rows", "transposed", "forward")
        self._namespace = build_namespace()
        self._unmappable = FailedFunctions()
        self._without_tangents = FailedFunctions()

    # ---- arrays ----------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        return self._namespace

    def is_array(self, value: object) -> bool:
        return isinstance(value, torch.Tensor)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        if isinstance(value, torch.Tensor):
            return value.to(device=device, dtype=dtype)
        return torch.as_tensor(value, dtype=dtype, device=device)

    def explained(self, error: Exception) -> str | None:
        return errors.explained(error)

    def refuses(self, error: Exception) -> bool:
        return errors.refuses(error)

    def is_traced(self, value: Array) -> bool:
        return bool(value.grad_fn is not None) or private.is_wrapped(value) or torch_func.has_tangent(value)

    def concrete(self, value: Array) -> Array | None:
        unknown = private.is_wrapped(value) or torch_func.has_tangent(value) or is_recording()
        return None if unknown else value.detach()

    def decided(self, value: Array) -> bool | int | None:
        return None if is_recording() else value.item()

    def copy(self, array: Array) -> Array:
        return copied(array)

    def unshared(self, arrays: Sequence[Array | None], others: Sequence[Array | None]) -> list[Array | None]:
        if is_recording() or torch_func.is_transformed():
            return list(arrays)
        taken = {_memory_of(other) for other in others if other is not None}
        found: list[Array | None] = []
        for array in arrays:
            if array is not None:
                if _memory_of(array) in taken:
                    array = array.clone()
                taken.add(_memory_of(array))
            found.append(array)
        return found

    def constant(self, array: Array) -> Array:
        return copied(array.detach())

    def changed_in_place(self, copy: Array, original: Array) -> bool:
        return bool(private.version_of(copy) > 0) or was_written(copy, original)

    def set_index(self, array: Array, index: Any, value: Any) -> Array:
        changed = array.clone()
        changed[index] = value
        return changed

    def update_index(self, array: Array, index: Any, operation: str, value: Any) -> Array:
        parts = index if isinstance(index, tuple) else (index,)
        integers = all(isinstance(part, torch.Tensor) and part.dtype == torch.int64 for part in parts)
        if not (operation in _ADDING and integers and is_recording()):
            return super().update_index(array, index, operation, value)
        added = torch.as_tensor(value, dtype=array.dtype, device=array.device) * _ADDING[operation]
        return array.index_put(parts, added, accumulate=True)  # which needs no index on the host

    def index_to_numpy(self, index: Array) -> np.ndarray[Any, Any]:
        return np.asarray(torch_func.values_of_index(index))

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        host = array.detach().cpu().resolve_conj().resolve_neg()
        return np.asarray((host.float() if host.dtype == torch.bfloat16 else host).numpy())

    def stop_gradient(self, array: Array) -> Array:
        return array.detach()

    def dtype_kind(self, dtype: Any) -> str:
        if not isinstance(dtype, torch.dtype):
            raise DtypeError(f"{dtype!r} is not a dtype of torch")
        if dtype == torch.bool:
            return "bool"
        return "complex floating" if dtype.is_complex else "real floating" if dtype.is_floating_point else "integral"

    # ---- devices ---------------------------------------------------------------------------------------------------

    def devices(self) -> Sequence[Any]:
        accelerators = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            accelerators.append(torch.device("mps", 0))
        return [torch.device("cpu"), *accelerators]

    def device_of(self, array: Array) -> Any:
        return array.device

    def resolve_device(self, device: Any) -> Any:
        return super().resolve_device(str(device) if isinstance(device, torch.device) else device)

    def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        """Compute on a device, and as Python says: within what `torch.compile` made PyTorch looks at all that runs.

        It has made other attributes of those that our own functions read there, and cannot compile derivatives anyway.
        """
        if not private.compiler_is_loaded():
            return contextlib.nullcontext() if device is None else torch.device(device)
        return _uncompiled_on(device)

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        return linear_maps.vjp(fun, primals)

    def linearize(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pushforward, list[Array]]:
        with compiled_functions_as_they_are():  # the transpose of a pullback is a derivative of the backward pass
            return super().linearize(fun, primals)

    def jvp(
        self, fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
    ) -> tuple[list[Array], list[Array | None], list[Array]]:
        """Push tangents forward by the transpose of a pullback, and where arrays are large by dual tensors.

        Dual tensors keep nothing of the run, and take a quarter to two thirds of the time for arrays of four million
        elements. For small ones they take up to eight times as long, since PyTorch spends 0.1 to 0.4 ms on an operator
        that puts a dual tensor and a constant together; so Jacobians by columns are computed by transposes too.

        Where dual tensors cannot be had, as an operator has no rule for them or another thread has them, the function
        is run again from its beginning, and is remembered if that goes well.
        """
        if self._pushes_duals(fun, primals):
            try:
                return forward.jvp(fun, primals, tangents)
            except forward.LevelTakenError:
                pass
            except AnyjacError:
                raise
            except RuntimeError:  # a real error comes again
                found = super().jvp(fun, primals, tangents)
                self._without_tangents.add(fun)
                return found
        return super().jvp(fun, primals, tangents)

    def _pushes_duals(self, fun: FlatFunction, primals: Sequence[Array]) -> bool:
        """Return whether to push by dual tensors: not within a transform, or where nothing is gained."""
        if self.paths.forced == "transposed" or fun in self._without_tangents or torch.is_inference_mode_enabled():
            return False
        if self.paths.forced == "forward":
            return not is_recording()
        large = sum(primal.numel() for primal in primals) >= LARGE
        return large and not torch_func.is_transformed() and not is_recording()

    def transpose(self, pullback: Pullback, outputs: Sequence[Array], primals: Sequence[Array]) -> Pushforward:
        """Transpose as by default, and compare with the pullback where a user's own backward has a part in it.

        Raises
        ------
        NotSupportedError
            If such a backward hides from PyTorch what it computes, as one in NumPy does.
        """
        transposed: Pullback | None = None
        with contextlib.suppress(NoDerivativeError):
            transposed = super().transpose(pullback, outputs, primals)
            linear_maps.check_transpose(pullback, transposed, outputs, primals)
        return Transposed(transposed, pullback, outputs, primals)

    def find_nonfinite(
        self, computation: FunctionRun | LinearMapCall, *, number: int, index: tuple[int, ...], nan: bool
    ) -> str | None:
        if isinstance(computation, LinearMapCall):
            return _find_in_map(computation, number, index, nan)
        fun, primals = computation.fun, computation.primals
        if computation.tangents is not None:
            return nonfinite.in_tangents(fun, primals, number, index, computation.tangents, nan)
        if computation.cotangents is not None:
            return nonfinite.in_backward_pass(fun, primals, number, index, computation.cotangents, nan)
        return nonfinite.in_forward_run(fun, primals, number, index, nan)

    def rows_at_once(self, width: int) -> int:
        """Return few rows: what stays in the cache of the processor goes twice as fast as one great batch.

        Many where a graph is recorded, in which each chunk is spelled out, and the compiler looks after the cache.
        """
        if is_recording():
            return super().rows_at_once(width)
        return max(32, _power_of_two_below(2**18 // max(1, width)))  # powers of two go best

    def output_rows(self, wanted: OutputRows) -> list[Array]:
        """Write all rows to the memory of the blocks, where they belong to no graph."""
        if wanted.span is not None:
            return super().output_rows(wanted)
        pullback, output, primals = wanted.pullback, wanted.output, wanted.primals
        rows = output.numel()
        columns = sum(primal.numel() for primal in primals)
        if rows == 1 and columns and self.paths.forced is None and not linear_maps.is_constant(pullback):
            return self._only_row(wanted)
        if not linear_maps.is_constant(pullback) or not rows or not columns:
            return super().output_rows(wanted)
        cotangents: list[Array | None] = [None] * len(wanted.outputs)

        def pull_rows(seeds: Array) -> Sequence[Array | None]:
            cotangents[wanted.index] = seeds
            return self.pullback_rows(pullback, cotangents)

        size = wanted.chunk_size or self.rows_at_once(rows + columns)  # seeds and gradients share the cache
        fits = rows <= size or (wanted.chunk_size is None and rows * (rows + columns) <= AT_ONCE_IF_SHORT)
        if rows <= size or (fits and linear_maps.is_short(pullback)):
            return jacobians.whole_blocks(pull_rows, output, primals)
        return jacobians.filled_blocks(pull_rows, output, primals, size)

    def _only_row(self, wanted: OutputRows) -> list[Array]:
        """Return the blocks of an output of one element within a graph or a transform, where each step costs."""
        cotangents: list[Array | None] = [None] * len(wanted.outputs)
        cotangents[wanted.index] = torch.ones_like(wanted.output)
        shapes = [wanted.output.shape + primal.shape for primal in wanted.primals]
        return [
            self.zeros(shape, primal) if part is None else part if part.shape == shape else part.reshape(shape)
            for part, primal, shape in zip(wanted.pullback(cotangents), wanted.primals, shapes, strict=True)
        ]

    def pullback_rows(self, linear_map: LinearMap, vectors: Sequence[Array | None]) -> list[Array | None]:
        if self.paths.forced not in ("batched", "rows") and all(
            batch is None or batch.shape[0] == 1 for batch in vectors
        ):
            return linear_maps.one_row(linear_map, vectors)
        rows = None if self.paths.forced == "rows" else linear_maps.batched_rows(linear_map, vectors)
        return super().pullback_rows(linear_map, vectors) if rows is None else rows

    def seeds(self, like: Array, start: int, stop: int) -> Array:
        return jacobians.identity_rows(like, start, stop)

    def stage(self, fun: StageableFunction) -> StagedFunction:
        return jit.CompiledFunction(fun, _compile_graph)

    def map_rows(self, fun: Callable[..., Sequence[Array]], arrays: Sequence[Array]) -> list[Array]:
        """Map at once, or by a loop where PyTorch refuses to; such a function is run again, and remembered."""
        rows = self._rows_at_once(fun, arrays, "different")
        return super().map_rows(fun, arrays) if rows is None else rows

    def map_chunks(
        self, fun: Callable[..., Sequence[Array]], chunks: Sequence[Sequence[Array]], randomness: Randomness
    ) -> list[list[Array]]:
        """Map chunk by chunk, and look after the states of random number generators between chunks and examples."""
        if randomness == "different":
            return [self.map_rows(fun, arrays) for arrays in chunks]
        if torch.compiler.is_compiling():
            refuse_chunks_of_compiled(randomness, len(chunks))
            return [torch_func.map_rows(fun, arrays, randomness) for arrays in chunks]
        with Draws(randomness) as draws:
            return [self._rows_of_chunk(fun, arrays, draws) for arrays in chunks]

    def _rows_of_chunk(self, fun: Callable[..., Sequence[Array]], arrays: Sequence[Array], draws: Draws) -> list[Array]:
        draws.begin()
        rows = self._rows_at_once(fun, arrays, draws.randomness)
        return super().map_rows(draws.begun_for_each(fun), arrays) if rows is None else rows

    def _rows_at_once(
        self, fun: Callable[..., Sequence[Array]], arrays: Sequence[Array], randomness: Randomness
    ) -> list[Array] | None:
        """Map at once; None, after a warning, where PyTorch refuses to, and then for this function for ever."""
        if fun in self._unmappable:
            return None
        try:
            return torch_func.map_rows(fun, arrays, randomness)
        except Exception as error:  # of any kind: those that say nothing of maps go on
            if torch.compiler.is_compiling() or not torch_func.refuses_to_map(error):
                raise
            if randomness == "error" and is_refusal(error):
                raise refused("random numbers are drawn") from error
            self._note_unmappable(fun, error)
            return None

    def _note_unmappable(self, fun: Callable[..., Any], error: Exception) -> None:
        self._unmappable.add(fun)
        warnings.warn(
            f"PyTorch cannot map a function over all examples at once, so that anyjac.vmap takes them one by one, in "
            f"more time: {errors.why_unmapped(error)}",
            UnmappedWarning,
            stacklevel=2,
        )

    def is_mapped(self, array: Array, rows: Sequence[Array]) -> bool | None:
        return torch_func.is_of_map(array, rows)

    # ---- loops -----------------------------------------------------------------------------------------------------

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
        if is_recording():
            loops.refuse_long(length)
        results = StepResults(length)
        each = [array.unbind() for array in rows]
        carry = [copied(array) for array in carry]  # a step may change in place what it is given
        for index in reversed(range(length)) if reverse else range(length):
            carry, found = step(carry, [column[index] for column in each])
            results.keep(index, found)
        return list(carry), [self.stack_results(column) for column in results.columns()]

    def undecided(self, what: str) -> NotSupportedError:
        return loops.undecided(what)

    def checkpoint(
        self, function: RepeatableFunction, arrays: Sequence[Array], *, in_loop: bool = False
    ) -> list[Array]:
        return checkpoints.checkpoint(function, arrays, in_loop)

    # ---- trees -----------------------------------------------------------------------------------------------------

    def flatten_node(self, node: object) -> OpenedNode | None:
        registered = private.registered_container(node)
        if registered is None:
            return None
        children, context = registered.flatten_fn(node)

        def assemble(children: Sequence[Any]) -> Any:
            return registered.unflatten_fn(list(children), context)

        return OpenedNode(list(children), assemble, context, partial(_steps_of, node, registered.flatten_with_keys_fn))


@contextlib.contextmanager
def _uncompiled_on(device: Any) -> Iterator[None]:
    with private.unseen_by_the_compiler(), contextlib.nullcontext() if device is None else torch.device(device):
        yield


def _compile_graph(graph: Any, example: Sequence[Array]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = jit.compile_graph(graph, example, _compile_with_guards)
    return compiled


def _find_in_map(call: LinearMapCall, number: int, index: tuple[int, ...], nan: bool) -> str | None:
    linear_map: LinearMap | None = call.linear_map
    if isinstance(linear_map, Transposed):  # which is the pullback of a pullback
        linear_map = linear_map.transposed
    if not isinstance(linear_map, linear_maps.GraphPullback):
        return None
    return nonfinite.in_pullback(linear_map, number, index, call.vectors, nan)


def _steps_of(node: Any, flatten_with_keys: Callable[[Any], Any] | None) -> list[str]:
    """Return the keys under which PyTorch's registry knows the children of a container, where its class has any."""
    if flatten_with_keys is None:
        return []
    children, _ = flatten_with_keys(node)
    return [str(key) for key, _ in children]


_ADDING = {"add": 1, "subtract": -1}
"""Updates at an index that are sums, and the sign of what is added."""

LARGE = 2**20
"""Elements of the inputs from which on dual tensors are faster than the transpose of a pullback."""

AT_ONCE_IF_SHORT = 2**22
"""Elements of seeds and gradients up to which all rows of a pass of few steps are pulled back at once."""


def _power_of_two_below(number: int) -> int:
    return 1 << max(0, number.bit_length() - 1)


def _memory_of(tensor: Array) -> int:
    """Return where the memory of a tensor begins; those without elements, and sparse ones, have their own."""
    if tensor.layout is not torch.strided:
        return -id(tensor)
    return tensor.untyped_storage().data_ptr() or -id(tensor)
