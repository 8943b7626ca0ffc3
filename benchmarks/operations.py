"""The few operations that the problems are made of, in each framework's own terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operations:
    """The functions of one framework, its own, so that its own Jacobian is measured at its best."""

    asarray: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    concat: Callable[[list[Any]], Any]
    roll: Callable[[Any, int], Any]
    stack: Callable[[list[Any]], Any]


def of_autograd() -> Operations:
    """Return the operations of autograd."""
    import autograd.numpy as anp
    import numpy as np

    return Operations(np.asarray, anp.tanh, anp.concatenate, anp.roll, anp.stack)


def of_jax() -> Operations:
    """Return the operations of JAX."""
    import jax.numpy as jnp

    return Operations(jnp.asarray, jnp.tanh, jnp.concatenate, jnp.roll, jnp.stack)


def of_torch() -> Operations:
    """Return the operations of PyTorch."""
    import torch

    return Operations(torch.as_tensor, torch.tanh, torch.cat, lambda x, shift: torch.roll(x, shift, 0), torch.stack)


def wait_for_jax(result: Any) -> Any:
    """Wait for a result of JAX, whose calls return before it is computed."""
    import jax

    return jax.block_until_ready(result)  # type: ignore[no-untyped-call]
