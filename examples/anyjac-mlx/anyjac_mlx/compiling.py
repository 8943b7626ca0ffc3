"""MLX's compiler, for functions that may be called within a differentiation.

What MLX compiles once, with its closure as constants, it uses again; within its own transforms it runs the function
instead. A differentiation here does the same, so that nothing that the closure reads is taken for a constant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .differentiation import is_running
from .variables import unwrap


def compile_function(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fun` compiled by `mlx.core.compile`; within a differentiation it runs as it is."""
    compiled: Callable[..., Any] = mx.compile(fun)

    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_running():
            return fun(*args, **kwargs)
        return compiled(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()})

    return call
