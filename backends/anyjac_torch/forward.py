"""Forward mode on PyTorch: dual tensors, by `torch.func.jvp`.

PyTorch has one level of dual tensors in a process. When the level ends, all dual tensors lose their tangents, those of
other threads too. So one thread at a time has the level, and no thread waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

from anyjac_plugins import Array, FlatFunction
from anyjac_plugins.interrupts import run_and_end
from anyjac_plugins.locking import release

from . import private
from .linear_maps import unlinked
from .lost_derivatives import WithTangents, run_watched

_level: Final = threading.RLock()

OutputsAndTangents = tuple[list[Array], "list[Array | None]", list[Array]]


class LevelTakenError(RuntimeError):
    """The level of dual tensors belongs to another thread, or to a level that the user has begun."""


def jvp(fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]) -> OutputsAndTangents:
    """Run `fun` once on dual tensors and return outputs, their tangents and aux; see `anyjac_plugins.Backend.jvp`.

    Raises
    ------
    LevelTakenError
        Before `fun` is run, if there is no level of dual tensors to be had.
    RuntimeError
        From PyTorch, where an operator has no rule for tangents, among other reasons.
    """
    if _level._is_owned() or _runs_here():  # type: ignore[attr-defined]
        return _pushed(fun, primals, tangents)

    def pushed() -> OutputsAndTangents:
        if not _level.acquire(blocking=False):
            raise LevelTakenError
        if private.has_level_of_duals() or private.has_jvp_of_func():
            raise LevelTakenError
        return _pushed(fun, primals, tangents)

    return run_and_end(pushed, partial(release, _level))


def _runs_here() -> bool:
    """Return whether `torch.func.jvp` runs around the current code, so that its level will last."""
    stack = private.running_transforms() or ()
    return any(interpreter.key() == private.JVP for interpreter in stack)


def _pushed(fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]) -> OutputsAndTangents:
    given = [index for index, tangent in enumerate(tangents) if tangent is not None]

    def paired(*duals: Array) -> tuple[tuple[Array, ...], list[Array]]:
        # Clones, for the function may write to what it is given.
        arrays = [
            primal.clone() if tangent is None else primal for primal, tangent in zip(primals, tangents, strict=True)
        ]
        for index, dual in zip(given, duals, strict=True):
            arrays[index] = dual
        with _TangentMends():
            outputs, aux = run_watched(WithTangents, partial(fun, *arrays))
        return tuple(outputs), list(aux)

    if not given:
        outputs, aux = fun(*primals)
        return unlinked(outputs, primals), [None] * len(outputs), unlinked(aux, primals)
    push: Callable[..., Any] = torch.func.jvp
    recorded = torch.is_grad_enabled()
    with torch.enable_grad():  # as in reverse mode: a graph shows what has gone past the tangents
        outputs, pushed, aux = push(
            paired, tuple(primals[index] for index in given), tuple(tangents[index] for index in given), has_aux=True
        )
    results = [*outputs, *pushed, *aux]
    with torch.set_grad_enabled(recorded):
        kept = unlinked(results, [*primals, *tangents])
    count = len(outputs)
    return kept[:count], list(kept[count : 2 * count]), kept[2 * count :]


_SCATTERING: Final = frozenset({torch.scatter_reduce, torch.Tensor.scatter_reduce, torch.Tensor.scatter_reduce_})

_DETERMINANTS: Final = frozenset({torch.det, torch.linalg.det, torch.Tensor.det})


class _TangentMends(TorchFunctionMode):
    """A mode in which PyTorch's tangents agree with its reverse mode.

    Without gradients, as under `torch.no_grad`, there are no tangents either. A product that is scattered is refused,
    since PyTorch's tangents of it are zeros, and a determinant, since those of a singular matrix are.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator, or raise the error that PyTorch raises for an operator without a rule."""
        given = kwargs or {}
        if func is private.set_grad_enabled:
            private.set_tangents_enabled(args[0])
        elif func in _SCATTERING and "prod" in (*args[4:], given.get("reduce")):
            raise RuntimeError("scatter_reduce has no rule for the tangents of a product")
        elif func in _DETERMINANTS:
            raise RuntimeError("det has no rule for the tangents of a singular matrix")
        return func(*args, **given)
