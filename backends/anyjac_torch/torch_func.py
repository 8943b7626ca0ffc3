"""Within transforms of `torch.func`: maps, and reverse mode at a level of its own, on flat lists of tensors.

What `torch.func.vmap` and `torch.func.vjp` do, without their walks through trees, which take longer than a small
function does.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch.autograd import forward_ad
from torch.autograd import graph as autograd_graph

from anyjac_plugins import Array, FlatFunction, Randomness
from anyjac_plugins.errors import AnyjacError, NotSupportedError
from anyjac_plugins.interrupts import run_and_end

from .graphs import conjugated, gradients
from .modes import outside_inference_mode
from .private import (
    VMAP,
    batch_from_map,
    begin_gradient,
    begin_map,
    end_gradient,
    end_map,
    has_level_of_duals,
    innermost_transform,
    is_mapped,
    is_wrapped,
    level_of,
    outside_transforms,
    require_gradients,
    row_of_map,
    running_transforms,
    unwrap_from_gradient,
    unwrapped,
    wrap_in_gradient,
)

NO_HOOKS = "derivatives within transforms of torch.func do not support saved tensor hooks"


def is_transformed() -> bool:
    """Return whether a transform of `torch.func`, or a level of dual tensors, runs around the current code."""
    return innermost_transform() is not None or has_level_of_duals()


def has_tangent(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is a dual one, of `torch.autograd.forward_ad`."""
    unpack: Any = forward_ad.unpack_dual
    return has_level_of_duals() and unpack(tensor).tangent is not None


def layers(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield a tensor, and then the tensor within each wrapper of a transform of `torch.func`."""
    yield tensor
    while is_wrapped(tensor):
        tensor = unwrapped(tensor)
        yield tensor


def innermost(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor within all wrappers of transforms of `torch.func`."""
    *_, last = layers(tensor)
    return last


def only_maps_run() -> bool:
    """Return whether all transforms of `torch.func` around the current code are maps, and no tensor is dual."""
    stack = running_transforms() or ()
    return not has_level_of_duals() and all(interpreter.key() == VMAP for interpreter in stack)


def mapped_levels(tensor: torch.Tensor) -> set[int]:
    """Return the levels at which `torch.func.vmap` maps over a tensor."""
    return {level_of(layer) for layer in layers(tensor) if is_mapped(layer)}


def values_of_index(index: torch.Tensor) -> Any:
    """Return an index on the host, though transforms of `torch.func` may have wrapped it.

    Raises
    ------
    NotSupportedError
        If `torch.func.vmap` maps over it, so that it has many values.
    """
    while is_wrapped(index):
        if is_mapped(index):
            raise NotSupportedError(
                "backend 'torch' cannot update elements at an index that torch.func.vmap maps over; use a mask, or "
                "xp.where"
            )
        index = unwrapped(index)
    with outside_transforms():
        return index.numpy(force=True)


def mapped(
    fun: Callable[..., Sequence[Array | None]], batches: Sequence[Array], randomness: Randomness = "error"
) -> list[Array | None]:
    """Map a function over the first axis of tensors; None in what it returns stays None.

    The batching of ``torch.autograd.grad(..., is_grads_batched=True)`` is an older one, with fewer and slower rules.

    Parameters
    ----------
    randomness
        ``"error"`` refuses random numbers, ``"different"`` draws new ones for each row, ``"same"`` draws once.
    """
    count = batches[0].shape[0]

    def run() -> list[Array | None]:
        level = begin_map(count, randomness)
        results = fun(*(row_of_map(batch, 0, level) for batch in batches))
        return [None if r is None else batch_from_map(r, level, count, 0) for r in results]

    return run_and_end(run, partial(_leave, _level(), end_map))


def vjp_at_a_level(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], LevelPullback, list[Array]]:
    """Run `fun` once, within a level of `torch.func`, and return outputs, pullback and aux."""
    if torch.compiler.is_compiling():
        return _vjp_for_dynamo(fun, primals)

    def run() -> tuple[list[Array], LevelPullback, list[Array]]:
        level = begin_gradient()
        with torch.enable_grad(), autograd_graph.disable_saved_tensors_hooks(NO_HOOKS):
            roots = require_gradients([wrap_in_gradient(primal, level) for primal in primals])
            outputs, aux = fun(*roots)
            bare, bare_aux = ([unwrap_from_gradient(t, level) for t in tensors] for tensors in (outputs, aux))
            return bare, _RecordedPullback(roots, outputs), bare_aux

    return run_and_end(run, partial(_leave, _level(), end_gradient))


def map_rows(
    fun: Callable[..., Sequence[Array]], arrays: Sequence[Array], randomness: Randomness = "different"
) -> list[Array]:
    """Map a function over the first axis of tensors; random numbers differ from row to row by default, as in a loop."""
    if torch.compiler.is_compiling():
        return list(torch.func.vmap(lambda *rows: tuple(fun(*rows)), randomness=randomness)(*arrays))
    return [row for row in mapped(fun, arrays, randomness) if row is not None]


_REFUSALS: Final = re.compile(
    r"vmap\b|functorch|batching rule|torch\.func\b|setup_context|batched tensor|data pointer"
    r"|doesn't match the broadcast shape",
    re.IGNORECASE,
)
"""What PyTorch says; the last of writes in place, by which an error of the function's own comes again from the loop."""


def refuses_to_map(error: Exception) -> bool:
    """Return whether an error says that PyTorch cannot map a function, and nothing of the function itself."""
    if isinstance(error, AnyjacError) or not isinstance(error, (RuntimeError, NotImplementedError)):
        return False
    return _REFUSALS.search(str(error)) is not None


def is_of_map(array: Array, rows: Sequence[Array]) -> bool | None:
    """Return whether a tensor belongs to the map that gave these rows; Dynamo cannot tell."""
    if torch.compiler.is_compiling():
        return None
    return not mapped_levels(array).isdisjoint(level_of(row) for row in rows)


def _vjp_for_dynamo(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], LevelPullback, list[Array]]:
    """Do the same by `torch.func.vjp`, which Dynamo follows; it does not see levels that are begun by hand."""

    def paired(*tensors: Array) -> tuple[tuple[Array, ...], list[Array]]:
        outputs, aux = fun(*tensors)
        return tuple(outputs), list(aux)

    transform: Callable[..., Any] = torch.func.vjp
    outputs, pull, aux = transform(paired, *primals, has_aux=True)
    return list(outputs), _DynamoPullback(pull, outputs), list(aux)


class LevelPullback(ABC):
    """The pullback of one run, recorded at a level of `torch.func` that has ended."""

    def __init__(self, outputs: Sequence[Array], roots: Sequence[Array] = ()):
        self._outputs = outputs
        self.roots = tuple(roots)
        self.differentiable = True
        self.refuses_batches = False

    def recorded(self) -> Sequence[Array]:
        """Return the outputs with the graph that was recorded at the level; none where Dynamo follows."""
        return self._outputs if isinstance(self, _RecordedPullback) else ()

    @abstractmethod
    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        """Return a gradient for each primal, None for zeros."""

    def batch(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        """Return gradients for each of a batch of cotangents, at once."""
        given = [index for index, cotangent in enumerate(cotangents) if cotangent is not None]

        def one_row(*rows: Array) -> list[Array | None]:
            filled: list[Array | None] = [None] * len(cotangents)
            for index, row in zip(given, rows, strict=True):
                filled[index] = row
            return self(filled)

        return mapped(one_row, [batch for batch in cotangents if batch is not None])


class _RecordedPullback(LevelPullback):
    """The pullback of a level that was begun here."""

    def __init__(self, roots: Sequence[Array], outputs: Sequence[Array]):
        super().__init__(outputs, roots)

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        if torch.is_inference_mode_enabled():  # where no operator gets back the result that it has saved
            with outside_inference_mode():
                return self(cotangents)
        begins = [
            (output, conjugated(cotangent))
            for output, cotangent in zip(self._outputs, cotangents, strict=True)
            if cotangent is not None and output.requires_grad
        ]
        if not begins:
            return [None] * len(self.roots)
        outputs, seeds = zip(*begins, strict=True)
        found = gradients(
            outputs, seeds, self.roots, differentiable=torch.is_grad_enabled() and self._is_part_of_graph(seeds)
        )
        return [conjugated(gradient) for gradient in found]

    def _is_part_of_graph(self, seeds: Sequence[Array]) -> bool:
        """Return whether the gradients have derivatives: by what outlives the run, or by the cotangents."""
        return self.differentiable or any(layer.requires_grad for seed in seeds for layer in layers(seed))


class _DynamoPullback(LevelPullback):
    """The pullback of `torch.func.vjp`, in the contract's terms."""

    def __init__(self, pull: Callable[..., Sequence[Array]], outputs: Sequence[Array]):
        super().__init__(outputs)
        self._pull = pull

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        filled = tuple(
            torch.zeros_like(output) if cotangent is None else conjugated(cotangent)
            for output, cotangent in zip(self._outputs, cotangents, strict=True)
        )
        return [conjugated(gradient) for gradient in self._pull(filled)]


def _level() -> int:
    """Return how many transforms of `torch.func` are running."""
    innermost = innermost_transform()
    return 0 if innermost is None else innermost.level()


def _leave(outside: int, decrement: Callable[[], object]) -> None:
    """End the transform that was begun within `outside` transforms, unless it has ended."""
    if _level() > outside:
        decrement()
