"""The array-API namespace of the JAX backend: `jax.numpy`, with mends where it leaves the standard.

In `jax.numpy` the values of the ``unique`` functions and the sign of complex numbers count as constants, two functions
return integers that are narrower than the standard says, one warns of an array given for its dtype, the derivatives of
four are on the wrong sheet, see `inverses`, and those of `hypot` are wrong where the square of a leg overflows.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from anyjac_plugins.errors import NotSupportedError

from .inverses import INVERSES

Array = Any


def build_namespace() -> types.ModuleType:
    """Make the namespace."""
    namespace = types.ModuleType("anyjac_jax.array_api")
    for name in dir(jnp):
        setattr(namespace, name, getattr(jnp, name))
    for function in (can_cast, cumulative_prod, hypot, searchsorted, sign):
        setattr(namespace, function.__name__, function)
    for function in (jnp.nonzero, jnp.repeat, unique_all, unique_counts, unique_inverse, unique_values):
        setattr(namespace, function.__name__, _of_known_values(function))
    for name, inverse in INVERSES.items():
        setattr(namespace, name, inverse)
    return namespace


def _of_known_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """Name a function whose result has a shape that depends on values, where JAX traces without values."""

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except jax.errors.ConcretizationTypeError as error:
            option = "total_repeat_length" if function is jnp.repeat else "size"
            raise NotSupportedError(
                f"{function.__name__} on backend 'jax' cannot be compiled or mapped over an axis, since the shape of "
                f"its result depends on the values; give it JAX's option {option}=, or call it outside of jit and vmap"
            ) from error

    return named


def can_cast(from_: Any, to: Any, /) -> bool:
    """Return whether promotion leads from one dtype, or that of an array, to another."""
    return bool(jnp.can_cast(from_.dtype if isinstance(from_, jax.Array) else from_, to))


def cumulative_prod(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Return cumulative products along an axis, in the dtype of a product."""
    wide = jax.eval_shape(jnp.prod, x).dtype if dtype is None else dtype
    return jnp.cumulative_prod(x, axis=axis, dtype=wide, include_initial=include_initial)


@jax.custom_jvp
def _hypot(x1: Array, x2: Array) -> Array:
    return jnp.hypot(x1, x2)


@_hypot.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    value = _hypot(*primals)
    return value, tangents[0] * (primals[0] / value) + tangents[1] * (primals[1] / value)


def hypot(x1: Any, x2: Any, /) -> Array:
    """Return the length of the hypotenuse, whose square may be beyond the greatest number."""
    wide = jax.eval_shape(jnp.hypot, x1, x2).dtype
    return _hypot(jnp.asarray(x1, wide), jnp.asarray(x2, wide))


def searchsorted(x1: Array, x2: Array, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    """Find where to insert numbers, as integers of the default width."""
    return jnp.searchsorted(x1, x2, side=side, sorter=sorter).astype(jnp.asarray(0).dtype)


def sign(x: Array, /) -> Array:
    """Return the sign, for complex numbers ``x / abs(x)``, which turns with `x`."""
    if not jnp.iscomplexobj(x):
        return jnp.sign(x)
    zero = x == 0
    return jnp.where(zero, 0, x / jnp.abs(jnp.where(zero, 1, x)))


def _first_found(x: Array, **options: Any) -> Any:
    return jnp.unique_all(jax.lax.stop_gradient(x), **options)


def _values(x: Array, found: Any) -> Array:
    """Take each value from where it first occurs, so that derivatives go there."""
    return jnp.ravel(x)[found.indices]


def unique_values(x: Array, /, **options: Any) -> Array:
    """Return the distinct values."""
    return _values(x, _first_found(x, **options))


def unique_all(x: Array, /, **options: Any) -> Any:
    """Return the distinct values, where and how often each occurs, and the index of each element's value."""
    found = _first_found(x, **options)
    return found._replace(values=_values(x, found))


def unique_counts(x: Array, /, **options: Any) -> Any:
    """Return the distinct values, and how often each occurs."""
    found = jnp.unique_counts(jax.lax.stop_gradient(x), **options)
    return found._replace(values=_values(x, _first_found(x, **options)))


def unique_inverse(x: Array, /, **options: Any) -> Any:
    """Return the distinct values, and the index of the value of each element of `x`."""
    found = jnp.unique_inverse(jax.lax.stop_gradient(x), **options)
    return found._replace(values=_values(x, _first_found(x, **options)))
