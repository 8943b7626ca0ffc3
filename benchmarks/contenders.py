"""Who is timed: anyjac on a framework, and the framework's own functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import anyjac

from . import operations
from .operations import Operations

Jacobian = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]
OURS: Final = "anyjac.jacrev"


@dataclass(frozen=True)
class Arena:
    """One framework: its operations, its own Jacobians (the reference first), and how to wait for a result."""

    backend: str
    operations: Callable[[], Operations]
    natives: Callable[[], dict[str, Jacobian]]
    wait: Callable[[Any], Any] = lambda result: result

    def contenders(self) -> dict[str, Jacobian]:
        """Return everybody by name: the reference, the framework's other functions, and anyjac."""
        return {**self.natives(), OURS: lambda f: anyjac.jacrev(f, backend=self.backend)}


def _of_autograd() -> dict[str, Jacobian]:
    import autograd

    def jacobian(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Make what a user writes who has a dict, which autograd's own does not take."""

        def at(x: Any) -> Any:
            if not isinstance(x, dict):
                return autograd.jacobian(f)(x)
            return {name: autograd.jacobian(lambda part, name=name: f({**x, name: part}))(x[name]) for name in x}

        return at

    return {"autograd.jacobian": jacobian}


def _of_jax() -> dict[str, Jacobian]:
    import jax

    return {"jax.jacrev": jax.jacrev, "jax.jit(jax.jacrev)": lambda f: jax.jit(jax.jacrev(f))}


def _of_torch() -> dict[str, Jacobian]:
    import torch

    return {"torch.func.jacrev": torch.func.jacrev}


def _wait_for_jax(result: Any) -> Any:
    import jax

    return jax.block_until_ready(result)  # type: ignore[no-untyped-call]


ARENAS: Final = (
    Arena("autograd", operations.of_autograd, _of_autograd),
    Arena("jax", operations.of_jax, _of_jax, _wait_for_jax),
    Arena("torch", operations.of_torch, _of_torch),
)
