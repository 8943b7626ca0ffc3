"""The few operations that the problems are made of, in each framework's own terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operations:
    """One framework's functions; the framework's own, so that its own Jacobian is measured at its best."""

    asarray: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    concat: Callable[[list[Any]], Any]
    roll: Callable[[Any, int], Any]
    stack: Callable[[list[Any]], Any]


def of_autograd() -> Operations:
    """Return those of autograd."""
    import autograd.numpy as anp
    import numpy as np

    return Operations(np.asarray, anp.tanh, anp.concatenate, anp.roll, anp.stack)


def of_jax() -> Operations:
    """Return those of JAX."""
    import jax.numpy as jnp

    return Operations(jnp.asarray, jnp.tanh, jnp.concatenate, jnp.roll, jnp.stack)


def of_torch() -> Operations:
    """Return those of PyTorch."""
    import torch

    return Operations(torch.as_tensor, torch.tanh, torch.cat, lambda x, shift: torch.roll(x, shift, 0), torch.stack)


def wait_for_jax(result: Any) -> Any:
    """Return a result of JAX when it is there: its calls return before."""
    import jax

    return jax.block_until_ready(result)  # type: ignore[no-untyped-call]
