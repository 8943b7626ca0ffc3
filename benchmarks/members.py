"""Gradients, Hessians and mapped gradients next to each framework's own, called plainly and compiled.

The Jacobian has tables of its own; here are the other members of the family, one row for each problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

import anyjac

from . import operations
from .contenders import Arena
from .names import Transform
from .operations import Operations
from .samples import MEMBERS, Row
from .timing import Effort, Thunk, interleave

NATIVE: Final = "the framework's own"
OURS: Final = "anyjac"
NATIVE_COMPILED: Final = "its own, compiled"
OURS_COMPILED: Final = "anyjac.jit"
REFERENCES: Final[Mapping[str, str]] = {OURS: NATIVE, OURS_COMPILED: NATIVE_COMPILED}

Function = Callable[..., Any]


@dataclass(frozen=True)
class Member:
    """A derivative of a function at a point.

    Parameters
    ----------
    name
        The name in the tables.
    derivative
        ``"grad"``, ``"hessian"``, or ``"vmap"`` for the gradient by the first argument for each example of the second.
    make
        Makes the function, given a framework's operations.
    point
        The arguments: arrays, or dicts of arrays.
    quick
        Whether a run of seconds, to show that the benchmarks run, includes the member.
    """

    name: str
    derivative: str
    make: Callable[[Operations], Function]
    point: Sequence[Any]
    quick: bool = False

    def placed(self, ops: Operations) -> list[Any]:
        """Return the arguments in a framework's arrays."""
        return [
            {name: ops.asarray(value) for name, value in given.items()}
            if isinstance(given, dict)
            else ops.asarray(given)
            for given in self.point
        ]


# ---- problems ------------------------------------------------------------------------------------------------------


def _weights(widths: Sequence[int]) -> dict[str, Any]:
    random = np.random.default_rng(1)
    found = {}
    for layer, (before, after) in enumerate(pairwise(widths)):
        found[f"W{layer}"] = random.normal(size=(before, after)) / np.sqrt(before)
        found[f"b{layer}"] = random.normal(size=after) / 10
    return found


def _network(ops: Operations, weights: Mapping[str, Any], layers: int, x: Any) -> Any:
    for layer in range(layers):
        x = x @ weights[f"W{layer}"] + weights[f"b{layer}"]
        x = ops.tanh(x) if layer + 1 < layers else x
    return x


def _data(examples: int, inputs: int, outputs: int) -> tuple[Any, Any]:
    random = np.random.default_rng(2)
    return random.normal(size=(examples, inputs)), random.normal(size=(examples, outputs))


def _loss_of_network(widths: Sequence[int], examples: int) -> Callable[[Operations], Function]:
    """Return the mean squared error of a perceptron as a function of its weights, in a dict."""
    data = _data(examples, widths[0], widths[-1])

    def make(ops: Operations) -> Function:
        x, y = map(ops.asarray, data)
        return lambda weights: ((_network(ops, weights, len(widths) - 1, x) - y) ** 2).mean()

    return make


def _loss_of_example(widths: Sequence[int]) -> Callable[[Operations], Function]:
    def make(ops: Operations) -> Function:
        return lambda weights, x: (_network(ops, weights, len(widths) - 1, x) ** 2).sum()

    return make


def _loss_of_vector(widths: Sequence[int], examples: int) -> tuple[Callable[[Operations], Function], Any]:
    """Return the same error as a function of all weights in one vector, and the vector."""
    weights = _weights(widths)
    shapes = {name: value.shape for name, value in weights.items()}  # alone: Dynamo trips over arrays of NumPy
    ends = np.cumsum([0, *(value.size for value in weights.values())]).tolist()
    make_loss = _loss_of_network(widths, examples)

    def make(ops: Operations) -> Function:
        loss = make_loss(ops)

        def of_vector(v: Any) -> Any:
            parts = zip(shapes.items(), pairwise(ends), strict=True)
            return loss({name: v[start:end].reshape(shape) for (name, shape), (start, end) in parts})

        return of_vector

    return make, np.concatenate([value.ravel() for value in weights.values()])


def _rosenbrock(ops: Operations) -> Function:
    return lambda x: (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


_SMALL: Final = (8, 8, 8, 3)
_LARGE: Final = (256, 256, 256, 10)
_of_vector, _vector = _loss_of_vector(_SMALL, 16)

ROSENBROCK: Final = "hessian of Rosenbrock 100"
MEMBER_PROBLEMS: Final = (
    Member("grad of a small MLP loss", "grad", _loss_of_network(_SMALL, 16), [_weights(_SMALL)], quick=True),
    Member("grad of an MLP loss", "grad", _loss_of_network(_LARGE, 64), [_weights(_LARGE)]),
    Member(ROSENBROCK, "hessian", _rosenbrock, [np.random.default_rng(3).normal(size=100)], quick=True),
    Member("hessian of an MLP loss", "hessian", _of_vector, [_vector]),
    Member("vmap of grad, MLP", "vmap", _loss_of_example(_SMALL), [_weights(_SMALL), _data(64, 8, 3)[0]], quick=True),
)


# ---- contenders ----------------------------------------------------------------------------------------------------


def contenders(arena: Arena, member: Member, *, compiled: bool = True) -> dict[str, Thunk]:
    """Return the calls of a member in an arena, the framework's own first; none where the framework lacks the member.

    Parameters
    ----------
    compiled
        Whether compiled contenders take part too.
    """
    transforms, ops, jit, wait = _FRAMEWORKS[arena.name]()
    native = transforms.get(member.derivative)
    if native is None:
        return {}
    function, point = member.make(ops), member.placed(ops)

    def calling(derivative: Function) -> Thunk:
        return lambda: wait(derivative(*point))

    ours = _ours(arena.name)[member.derivative]
    found = {NATIVE: calling(native(function)), OURS: calling(ours(function))}
    if compiled and jit is not None:
        found[NATIVE_COMPILED] = calling(jit(native(function)))
        found[OURS_COMPILED] = calling(anyjac.jit(ours(function)))
    return found


def _ours(backend: str) -> dict[str, Transform]:
    return {
        "grad": lambda f: anyjac.grad(f, backend=backend),
        "hessian": lambda f: anyjac.hessian(f, backend=backend),
        "vmap": lambda f: anyjac.vmap(anyjac.grad(f, backend=backend), (None, 0), backend=backend),
    }


Framework = tuple[Mapping[str, Transform], Operations, Transform | None, Transform]
"""A framework's transforms, its operations, its compiler, and the function that waits for a result."""


def _of_autograd() -> Framework:
    import autograd

    return {"grad": autograd.grad, "hessian": autograd.hessian}, operations.of_autograd(), None, _as_it_is


def _of_jax() -> Framework:
    import jax

    transforms: Mapping[str, Transform] = {
        "grad": jax.grad,
        "hessian": jax.hessian,
        "vmap": lambda f: jax.vmap(jax.grad(f), (None, 0)),
    }
    return transforms, operations.of_jax(), jax.jit, operations.wait_for_jax


def _of_torch() -> Framework:
    import torch

    torch.set_num_threads(1)
    transforms: Mapping[str, Transform] = {
        "grad": torch.func.grad,
        "hessian": torch.func.hessian,
        "vmap": lambda f: torch.func.vmap(torch.func.grad(f), (None, 0)),
    }
    return transforms, operations.of_torch(), torch.compile, _as_it_is


def _as_it_is(result: Any) -> Any:
    return result


_FRAMEWORKS: Final[Mapping[str, Callable[[], Framework]]] = {
    "autograd": _of_autograd,
    "jax": _of_jax,
    "torch": _of_torch,
}


# ---- rows ----------------------------------------------------------------------------------------------------------


def member_rows(arenas: Sequence[Arena], text: str, effort: Effort, *, quick: bool) -> Iterator[Row]:
    """Time all contenders on the problems with `text` in their names; without compilers in a quick run."""
    for arena in arenas:
        for member in MEMBER_PROBLEMS if arena.name in _FRAMEWORKS else ():
            if text in member.name and (member.quick or not quick):
                thunks = contenders(arena, member, compiled=not quick)
                if thunks:
                    yield Row(MEMBERS, arena.name, member.name, interleave(thunks, effort))
