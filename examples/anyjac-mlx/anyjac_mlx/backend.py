"""The MLX backend: arrays and dtypes in MLX's terms. Derivatives are in `tracing`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import mlx.core as mx
import numpy as np

from anyjac_plugins import BFLOAT16, FLOAT16, NESTED, STOP_GRADIENT, Array, Backend, FlatFunction, Pullback

from . import namespace, operators, tracing


class MlxBackend(Backend):
    """MLX on the CPU, the one device on which it has float64. Loading it makes MLX's operators know Variables."""

    name = "mlx"
    version = version("mlx")
    capabilities = frozenset({FLOAT16, BFLOAT16, NESTED, STOP_GRADIENT})

    def __init__(self) -> None:
        mx.set_default_device(mx.cpu)
        operators.give_operators_to_traced_arrays()
        operators.let_arrays_ask_their_right_operand()
        self._namespace = namespace.build_namespace()

    # ---- arrays ----------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        """The functions of `mlx.core`, for traced arrays too."""
        return self._namespace

    def is_array(self, value: object) -> bool:
        """Tell whether `value` is an array of MLX, traced or not."""
        return isinstance(value, mx.array | tracing.Traced)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        """Make an array of a number, a NumPy array or one of MLX."""
        return namespace.asarray(value, dtype=dtype, device=device)

    def is_traced(self, value: Array) -> bool:
        """Tell whether `value` records what is done with it."""
        return isinstance(value, tracing.Traced)

    def copy(self, array: Array) -> Array:
        """Return an array that a later assignment to elements of `array` does not reach."""
        return array if isinstance(array, tracing.Traced) else tracing.evaluated([mx.array(array)])[0]

    def changed_in_place(self, copy: Array, original: Array) -> bool:
        """Tell whether elements of `copy` have been assigned."""
        if isinstance(copy, tracing.Traced) or isinstance(original, tracing.Traced):
            return False
        return not bool(mx.array_equal(copy, original, equal_nan=True))

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Return an array as NumPy's; bfloat16, which NumPy lacks, as float32."""
        return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)

    def stop_gradient(self, array: Array) -> Array:
        """Return the plain array."""
        return tracing.untraced(array)

    # ---- devices ---------------------------------------------------------------------------------------------------

    def devices(self) -> Sequence[Any]:
        """Return the CPU."""
        return [namespace.DEVICE]

    def device_of(self, array: Array) -> Any:
        """Return the CPU."""
        return namespace.DEVICE

    # ---- derivatives and Variables ---------------------------------------------------------------------------------

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        """Run `fun` on arrays that record; see `tracing`."""
        return tracing.vjp(fun, primals)

    def adopt_variable_type(self, cls: type, view: type) -> None:
        """Let lifted functions, operators, and MLX's own functions outside differentiations take Variables."""
        if cls not in namespace.variable_types:
            namespace.variable_types.append(cls)
            cls.__mlx_array__ = lambda variable: variable.value  # type: ignore[attr-defined]
