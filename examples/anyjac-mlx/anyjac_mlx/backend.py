"""The MLX backend: arrays, dtypes and the device in MLX's terms. Derivatives are in `differentiation`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import mlx.core as mx
import numpy as np

from anyjac_plugins import (
    BFLOAT16,
    FLOAT16,
    JIT,
    NESTED,
    STOP_GRADIENT,
    Array,
    Backend,
    DtypeError,
    FlatFunction,
    FrameworkTransforms,
    LinearMap,
    Pullback,
)

from . import array_methods, differentiation, variables
from .compiling import compile_function
from .conversion import to_numpy
from .creation import asarray
from .namespace import build_namespace
from .streams import own_stream
from .tracing import Traced, innermost


class MlxBackend(Backend):
    """MLX on its CPU device. A differentiated function gets `Traced` arrays, which take the place of MLX's."""

    name = "mlx"
    version = version("mlx")
    capabilities = frozenset({FLOAT16, BFLOAT16, NESTED, JIT, STOP_GRADIENT})
    framework_transforms = FrameworkTransforms(compile=compile_function)

    def __init__(self) -> None:
        self._namespace = build_namespace()
        array_methods.complete(self._namespace)

    # ---- arrays ----------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        """The functions of the array API, for MLX's arrays and for traced ones."""
        return self._namespace

    def is_array(self, value: object) -> bool:
        """Return whether a value is an array of MLX, or a traced one."""
        return isinstance(value, mx.array | Traced)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        """Make an array; NumPy's keep their dtype, and Python's floats become float32, MLX's default."""
        return asarray(value, dtype=dtype)

    def is_traced(self, value: Array) -> bool:
        """Return whether an array is traced here, or stands for one in a function that MLX is compiling or mapping."""
        return isinstance(value, Traced) or not _has_values(value)

    def copy(self, array: Array) -> Array:
        """Return an array apart: MLX's can be assigned to, by ``x[i] = y``."""
        return array if isinstance(array, Traced) else mx.array(array)

    def constant(self, array: Array) -> Array:
        """Return a copy that is computed now, so that every thread can read it."""
        copied = mx.array(array)
        mx.eval(copied)
        return copied

    def changed_in_place(self, copy: Array, original: Array) -> bool:
        """Return whether a copy has other values than its original; MLX does not count changes."""
        if isinstance(copy, Traced) or isinstance(original, Traced):
            return False
        if not _has_values(copy) or not _has_values(original):
            return True
        return to_numpy(copy).tobytes() != to_numpy(original).tobytes()

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Return an array on the host; bfloat16 as float32."""
        return to_numpy(array)

    def index_to_numpy(self, index: Array) -> np.ndarray[Any, Any]:
        """Return an index on the host, whose values are known though it may be traced."""
        return to_numpy(innermost(index))

    def stop_gradient(self, array: Array) -> Array:
        """Return the array inside all differentiations, as a constant of MLX's own too."""
        return mx.stop_gradient(innermost(array))

    def dtype_kind(self, dtype: Any) -> str:
        """Return the kind of a dtype."""
        if not isinstance(dtype, mx.Dtype):
            raise DtypeError(f"{dtype!r} is not a dtype of MLX")
        return super().dtype_kind(dtype)

    # ---- devices ---------------------------------------------------------------------------------------------------

    def devices(self) -> Sequence[Any]:
        """Return the CPU alone: MLX's other devices have no float64."""
        return [array_methods.CPU]

    def device_of(self, array: Array) -> Any:
        """Return the CPU."""
        return array_methods.CPU

    def device_name(self, device: Any) -> str:
        """Return ``cpu``."""
        return "cpu"

    def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which MLX computes on the CPU, whatever its default is."""
        return own_stream()

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        """Run `fun` once on traced arrays; see `anyjac_plugins.Backend.vjp`."""
        return differentiation.vjp(fun, primals)

    def pullback_rows(self, linear_map: LinearMap, vectors: Sequence[Array | None]) -> list[Array | None]:
        """Pull back many cotangents in one pass, by MLX's vectorising map of each step."""
        assert isinstance(linear_map, differentiation.RecordPullback)
        return linear_map.rows(vectors)

    # ---- Variables -------------------------------------------------------------------------------------------------

    def adopt_variable_type(self, cls: type, view: type) -> None:
        """Let functions and operators take Variables."""
        variables.adopt(cls)


def _has_values(array: mx.array) -> bool:
    """Return whether an array can be evaluated, which one in a function that MLX is compiling or mapping cannot."""
    try:
        mx.eval(array)
    except (RuntimeError, ValueError) as error:  # of a placeholder; of what is computed of one
        if "without a primitive" in str(error) or "during function transformations" in str(error):
            return False
        raise
    return True
