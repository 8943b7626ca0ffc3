"""The autograd backend: NumPy arrays, and autograd's boxes around them. Derivatives are in `linear_maps`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import isbox

from anyjac_plugins import (
    COMPLEX,
    FLOAT16,
    FORWARD,
    GRAD,
    NESTED,
    STOP_GRADIENT,
    Array,
    Backend,
    FlatFunction,
    FrameworkTransforms,
    LinearMap,
    OpenedNode,
    OutputRows,
    Paths,
    Pullback,
    Pushforward,
)
from anyjac_plugins.backend.linear_maps import filled
from anyjac_plugins.backend.loops import RepeatableFunction
from anyjac_plugins.errors import DtypeError

from . import checkpoints, containers, errors, forward, jacobians, linear_maps, transposing, variables
from .functions.broadcasting import mend_broadcasting
from .functions.cardinal_sine import mend_sinc
from .functions.complex_slopes import mend_complex_slopes
from .namespace import build_namespace
from .plain_numpy import dispatch
from .plain_numpy.objects import is_array_of_objects, together, unwrapped
from .tracing import make_tracing_thread_safe, refuse_ended

_ARRAYS = (np.ndarray, np.generic, ArrayBox)
_MORE_THAN_ARRAYS = (np.matrix, np.ma.MaskedArray)
"""Whose operators mean something else, and which autograd does not know."""

_KINDS = {"f": "real floating", "c": "complex floating", "i": "integral", "u": "integral", "b": "bool"}


class AutogradBackend(Backend):
    """NumPy with autograd. Loading it makes autograd's trace numbers unique, see `tracing`."""

    name = "autograd"
    array_names = ("ArrayBox",)
    version = version("autograd")
    capabilities = frozenset({COMPLEX, FLOAT16, NESTED, FORWARD, GRAD, STOP_GRADIENT})
    framework_transforms = FrameworkTransforms(grad=autograd.grad)

    def __init__(self) -> None:
        self.paths = Paths(self.name, jacobians.STRUCTURED, jacobians.BATCHED, jacobians.LOOP)
        make_tracing_thread_safe()
        mend_complex_slopes()
        mend_sinc()
        mend_broadcasting()
        dispatch.install()
        containers.name_fields()
        self._namespace = build_namespace()

    # ---- arrays ----------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        return self._namespace

    def is_array(self, value: object) -> bool:
        kind = type(value)
        if kind is np.ndarray:
            return bool(value.dtype.char != "O")  # type: ignore[attr-defined]
        return kind is ArrayBox or (isinstance(value, _ARRAYS) and not issubclass(kind, _MORE_THAN_ARRAYS))

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        if isinstance(value, ArrayBox):
            return value if dtype is None or value.dtype == dtype else value.astype(dtype)
        if is_array_of_objects(value):
            box = together(value)
            if isbox(box):
                return self.asarray(box, dtype=dtype)
        return np.asarray(value, dtype=dtype)

    def assembled(self, value: object) -> Array | None:
        """Return the box that is meant by an array of objects, such as ``np.array([x[0], x[1]])`` makes of boxes."""
        value = unwrapped(value)
        box = together(value) if is_array_of_objects(value) else None
        return box if isbox(box) else None

    def explained(self, error: Exception) -> str | None:
        return errors.explained(error)

    def is_traced(self, value: Array) -> bool:
        return bool(isbox(value))

    def copy(self, array: Array) -> Array:
        """Return a copy; of a box another one of the same node, whose references tell who else refers to it."""
        return linear_maps.another(array) if isbox(array) else np.array(array)

    def unshared(self, arrays: Sequence[Array | None], others: Sequence[Array | None]) -> list[Array | None]:
        refuse_ended(arrays)
        owners = {id(_owner(other)) for other in others if type(other) is np.ndarray}
        found: list[Array | None] = []
        for array in arrays:
            if type(array) is np.ndarray:
                if id(_owner(array)) in owners:
                    array = array.copy()
                owners.add(id(_owner(array)))
            found.append(array)
        return found

    def changed_in_place(self, copy: Array, original: Array) -> bool:
        return not isbox(copy) and bool(copy.tobytes() != np.asarray(original).tobytes())

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def stop_gradient(self, array: Array) -> Array:
        return linear_maps.innermost(array)

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        return np.zeros(shape, dtype=like.dtype)

    def dtype_kind(self, dtype: Any) -> str:
        kind = np.dtype(dtype).kind
        if kind not in _KINDS:
            raise DtypeError(f"dtype {dtype} is not a numeric dtype of backend {self.name!r}")
        return _KINDS[kind]

    def dtype_name(self, dtype: Any) -> str:
        return str(np.dtype(dtype).name)

    # ---- devices ---------------------------------------------------------------------------------------------------

    def devices(self) -> Sequence[Any]:
        return ["cpu"]

    def device_of(self, array: Array) -> Any:
        return "cpu"

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        return linear_maps.vjp(fun, primals)

    def jvp(
        self, fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
    ) -> tuple[list[Array], list[Array | None], list[Array]]:
        """Run `fun` once, with tangents beside the values.

        Columns of a Jacobian are pushed by the transpose of a batched pass, all at once, which takes less time than
        one run for each.
        """
        return forward.jvp(fun, primals, tangents)

    def transpose(self, pullback: Pullback, outputs: Sequence[Array], primals: Sequence[Array]) -> Pushforward:
        """Transpose as by default; by rows where a rule from elsewhere hides from autograd what it computes."""
        transpose = partial(super().transpose, pullback, outputs, primals)
        if not isinstance(pullback, linear_maps.BackwardPass) or not transposing.has_foreign_rules(pullback):
            return transpose()
        return transposing.checked_transpose(pullback, transpose, outputs, primals)

    def output_rows(self, wanted: OutputRows) -> list[Array]:
        """Compute all rows of an output at once where few elements are not zero, otherwise in chunks."""
        pullback, outputs, index, primals = wanted.pullback, wanted.outputs, wanted.index, wanted.primals
        assert isinstance(pullback, linear_maps.BackwardPass)
        if wanted.span is not None:
            start, stop = wanted.span
            rows = jacobians.pull_identity(pullback, outputs, index, start, stop, self.paths.forced)
            return filled(rows, primals, self.zeros, (stop - start,))
        parts = None
        if wanted.chunk_size is None:
            parts = jacobians.pull_whole_identity(pullback, outputs, index, self.paths.forced)
        if parts is None:
            return super().output_rows(wanted)
        shapes = [(*outputs[index].shape, *primal.shape) for primal in primals]
        return [
            np.zeros(shape, primal.dtype) if part is None else part.reshape(shape)
            for part, primal, shape in zip(parts, primals, shapes, strict=True)
        ]

    def pullback_rows(self, linear_map: LinearMap, vectors: Sequence[Array | None]) -> list[Array | None]:
        if not isinstance(linear_map, linear_maps.BackwardPass):
            return super().pullback_rows(linear_map, vectors)
        return jacobians.pull_rows(linear_map, vectors, self.paths.forced)

    def seeds(self, like: Array, start: int, stop: int) -> Array:
        return jacobians.dense_identity_rows(like, start, stop)

    def rows_at_once(self, width: int) -> int:
        return jacobians.rows_at_once(width)

    # ---- loops -----------------------------------------------------------------------------------------------------

    def stack_results(self, results: Sequence[Array]) -> Array:
        """Return an array of the results, which has one node of the graph for all of them.

        `autograd.numpy.stack` has one for each, whose pullbacks go through all others once more.
        """
        return anp.array(results) if any(map(isbox, results)) else np.stack(results)

    def checkpoint(
        self, function: RepeatableFunction, arrays: Sequence[Array], *, in_loop: bool = False
    ) -> list[Array]:
        return checkpoints.checkpoint(function, arrays, in_loop)

    # ---- Variables -------------------------------------------------------------------------------------------------

    def flatten_node(self, node: object) -> OpenedNode | None:
        return containers.opened(node)

    def adopt_variable_type(self, cls: type, view: type) -> None:
        variables.adopt(cls)


def _owner(array: np.ndarray[Any, Any]) -> Any:
    """Return the array whose memory an array looks at."""
    return array if array.base is None else array.base
