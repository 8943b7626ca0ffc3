"""Arrays of one type with others on a mesh: sharded along its explicit axes, varying along its manual ones.

Both belong to the type of an array, and a linear map takes only vectors of the types of its inputs or outputs. Knows
types of arrays, and nothing of derivatives.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def is_of_mesh(array: Array) -> bool:
    """Return whether the type of an array names axes of the mesh that is in force.

    Without one JAX compares no shardings, and places nothing by them.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return False
    return bool(_varying_axes(array)) or any(part is not None for part in jax.typeof(array).sharding.spec)


def _varying_axes(array: Array) -> frozenset[Any]:
    """Return the axes of `jax.shard_map` along which an array varies."""
    aval: Any = jax.typeof(array)
    axes: frozenset[Any] = aval.mat.varying if hasattr(aval, "mat") else aval.vma  # before JAX 0.10
    return axes


def within_shard_map() -> bool:
    """Return whether the code runs within `jax.shard_map`.

    There pullbacks and pushforwards sum over devices at different places, so that a Jacobian by rows need not be the
    one by columns.
    """
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Return zeros with the dtype of `like`, and with its type along the last axes, where these have its shape."""
    if is_of_mesh(like) and shape[len(shape) - like.ndim :] == like.shape:
        return jnp.broadcast_to(jnp.zeros_like(like), shape)
    return jnp.zeros(shape, like.dtype)


def in_type_of(array: Array, like: Array) -> Array:
    """Return an array, whose last axes have the shape of `like`, with the type of `like` on a mesh."""
    return array + jnp.zeros_like(like) if is_of_mesh(like) else array
