"""Variables among the arguments of functions: which types they are, and what they show."""

from __future__ import annotations

from typing import Any

from .tracing import Traced

_adopted: tuple[type, ...] = ()


def adopt(cls: type) -> None:
    """Let instances of `cls` and its subclasses stand where arrays stand."""
    global _adopted
    _adopted = (*_adopted, cls)
    cls.__mlx_array__ = _shown_to_mlx  # type: ignore[attr-defined]


def _shown_to_mlx(variable: Any) -> Any:
    """Give MLX's own functions what a Variable holds; a traced array refuses them."""
    value = variable.value
    return value.__mlx_array__() if isinstance(value, Traced) else value


def is_variable(value: object) -> bool:
    """Return whether a value is a Variable."""
    return isinstance(value, _adopted)


def unwrap(value: Any) -> Any:
    """Return what a Variable holds, also within lists and tuples; anything else as it is."""
    if type(value) in (list, tuple):
        return type(value)(map(unwrap, value))
    return value.value if is_variable(value) else value
