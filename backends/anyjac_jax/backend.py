"""The JAX backend: arrays, devices and trees in JAX's terms. Derivatives are in `differentiation`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyjac_plugins import BFLOAT16, COMPLEX, FLOAT16, GRAD, JIT, NESTED, VMAP, Array, Backend, FlatFunction, Pullback

from . import differentiation


class JaxBackend(Backend):
    """JAX. Its arrays are immutable, and 64-bit dtypes exist only under ``jax_enable_x64``."""

    name = "jax"
    version = jax.__version__
    capabilities = frozenset({COMPLEX, FLOAT16, BFLOAT16, NESTED, GRAD, JIT, VMAP})

    # ---- arrays ----------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        return jnp

    def is_array(self, value: object) -> bool:
        return isinstance(value, jax.Array)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        array = jnp.asarray(value, dtype=dtype)
        return array if device is None else jax.device_put(array, device)

    def is_traced(self, value: Array) -> bool:
        return isinstance(value, jax.core.Tracer)

    def set_index(self, array: Array, index: Any, value: Any) -> Array:
        return array.at[index].set(value)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def stop_gradient(self, array: Array) -> Array:
        return jax.lax.stop_gradient(array)

    def dtype_kind(self, dtype: Any) -> str:
        return _dtype_kind(super().dtype_kind, np.dtype(dtype))

    # ---- devices ---------------------------------------------------------------------------------------------------

    def devices(self) -> Sequence[Any]:
        default: list[Any] = jax.local_devices()
        hosts = jax.local_devices(backend="cpu")
        return default + [device for device in hosts if device not in default]

    def device_of(self, array: Array) -> Any:
        """Return the array's device; None for a tracer, which goes where its computation does."""
        if isinstance(array, jax.core.Tracer):
            return None
        return array.device

    def device_name(self, device: Any) -> str:
        return f"{device.platform}:{device.id}" if hasattr(device, "platform") else str(device)

    def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if device is None else jax.default_device(device)

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        return differentiation.vjp(fun, primals)

    def pullback_rows(self, pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None]:
        return differentiation.pullback_rows(pullback, cotangents)

    def grad(self, fun: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return jax.grad(fun)

    def compile(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(fun)

    def vmap(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        return jax.vmap(fun)

    # ---- trees -----------------------------------------------------------------------------------------------------

    def flatten_node(self, node: object) -> tuple[list[Any], Callable[[Sequence[Any]], Any]] | None:
        treedef: Any = jax.tree.structure(node, is_leaf=lambda other: other is not node)
        if jax.tree_util.treedef_is_leaf(treedef):
            return None
        return jax.tree.leaves(node, is_leaf=lambda other: other is not node), treedef.unflatten

    def adopt_variable_type(self, cls: type, value_of: Callable[[Any], Any]) -> None:
        """Register Variables as pytrees: the one way in which JAX's jitted functions take a foreign object."""
        with contextlib.suppress(ValueError):  # registered before, by another registry in this process
            jax.tree_util.register_pytree_node(
                cls, lambda variable: ((value_of(variable),), None), lambda _, children: _View(children[0])
            )


@functools.cache
def _dtype_kind(ask: Callable[[Any], str], dtype: Any) -> str:
    return ask(dtype)


@jax.tree_util.register_pytree_node_class
class _View:
    """What JAX sees in place of a Variable inside its own transformations: the value, traced, and nothing to write."""

    def __init__(self, value: Any):
        self.value = value

    def tree_flatten(self) -> tuple[tuple[Any], None]:
        return (self.value,), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple[Any]) -> _View:
        return cls(children[0])

    def __jax_array__(self) -> Any:
        return self.value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.value, name)
