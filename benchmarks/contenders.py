"""Who is timed: anyjac in the arena of a framework, and the framework's own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

import anyjac

from . import operations
from .names import OURS, OURS_COMPILED, Transform, compiler
from .operations import Operations
from .problems import Problem
from .timing import Thunk

LIMIT: Final = "limit"
"""The contender that none can be faster than: a bound, timed with the others."""


Makers = dict[str, Callable[[Problem], Thunk]]
"""For each contender, the function that makes its call for a problem."""


@dataclass(frozen=True)
class Arena:
    """A framework, and the contenders that meet there.

    Parameters
    ----------
    name
        The name of the framework's module and distribution.
    reference
        The contender by whose times the others are divided, but for those in `references`.
    contenders
        Imports the framework and returns all contenders, the reference first and anyjac last.
    references
        For some contenders, the contender that they are compared with in the place of `reference`.
    takes
        Returns whether a problem is for this arena.
    """

    name: str
    reference: str
    contenders: Callable[[], Makers]
    references: Mapping[str, str] = field(default_factory=dict)
    takes: Callable[[Problem], bool] = lambda problem: True

    @property
    def is_there(self) -> bool:
        """Whether the framework is installed."""
        return find_spec(self.name) is not None

    @property
    def version(self) -> str:
        """The version of the framework."""
        return version(self.name)

    def reference_of(self, contender: str) -> str:
        """Return the contender by whose times those of `contender` are divided."""
        return self.references.get(contender, self.reference)


def _as_it_is(anything: Any) -> Any:
    return anything


def _calls(
    ops: Operations, jacobian: Transform, *, finish: Transform = _as_it_is, wait: Transform = _as_it_is
) -> Callable[[Problem], Thunk]:
    """Return the function that makes the call: the Jacobian of a problem, after `finish` (a compiler), at its point."""

    def make(problem: Problem) -> Thunk:
        derivative, point = finish(problem.derivative(jacobian, problem.make(ops))), problem.placed(ops)
        return lambda: wait(derivative(point))

    return make


def _ours(backend: str) -> Transform:
    return lambda f: anyjac.jacrev(f, backend=backend)


def _of_autograd() -> Makers:
    import autograd

    def jacobian(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Make the call of a user who has a dict, which autograd's own function does not take."""

        def at(x: Any) -> Any:
            if not isinstance(x, dict):
                return autograd.jacobian(f)(x)
            return {name: autograd.jacobian(lambda part, name=name: f({**x, name: part}))(x[name]) for name in x}

        return at

    ops = operations.of_autograd()
    return {"autograd.jacobian": _calls(ops, jacobian), OURS: _calls(ops, _ours("autograd"))}


def _of_jax() -> Makers:
    import jax

    ops, wait, jit = operations.of_jax(), operations.wait_for_jax, compiler()
    found = {
        "jax.jacrev": _calls(ops, jax.jacrev, wait=wait),
        "jax.jit(jax.jacrev)": _calls(ops, jax.jacrev, finish=jax.jit, wait=wait),
        OURS: _calls(ops, _ours("jax"), wait=wait),
    }
    return found if jit is None else {**found, OURS_COMPILED: _calls(ops, _ours("jax"), finish=jit, wait=wait)}


def _of_torch() -> Makers:
    import torch

    torch.set_num_threads(1)
    ops = operations.of_torch()
    return {"torch.func.jacrev": _calls(ops, torch.func.jacrev), OURS: _calls(ops, _ours("torch"))}


def _of_brainpy() -> Makers:
    from .brainpy_peer import contenders

    return contenders()


ARENAS: Final = (
    Arena("autograd", "autograd.jacobian", _of_autograd),
    Arena("jax", "jax.jacrev", _of_jax, {OURS_COMPILED: "jax.jit(jax.jacrev)"}),
    Arena("torch", "torch.func.jacrev", _of_torch),
    # Last, because its import changes settings of JAX. It has no Jacobian of a Jacobian with respect to Variables.
    Arena(
        "brainpy",
        "brainpy.math.jacrev",
        _of_brainpy,
        {OURS_COMPILED: "bm.jit(bm.jacrev)"},
        takes=lambda problem: problem.order == 1,
    ),
)


def arena_named(name: str) -> Arena:
    """Return the arena with a name."""
    return next(arena for arena in ARENAS if arena.name == name)
