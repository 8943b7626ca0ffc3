"""Reverse mode on PyTorch: `torch.autograd` on tensors of our own, and `torch.func` where one of its transforms runs.

PyTorch's gradients are the conjugate of the contract's for complex numbers, so cotangents are conjugated on their way
in and gradients on their way out; for real tensors that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from anyjac_plugins import Array, FlatFunction, Pullback
from anyjac_plugins.errors import NotSupportedError

_functorch = torch._C._functorch


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""
    if _functorch.peek_interpreter_stack() is not None:
        return _vjp_within_functorch(fun, primals)
    return _vjp_on_graph(fun, primals)


def batched_rows(pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None]:
    """Pull back a batch of cotangents at once; a RuntimeError where `torch.vmap` refuses."""
    assert isinstance(pullback, _GraphPullback | _FunctorchPullback)
    return pullback.batch(cotangents)


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Tell whether a transform of `torch.func` that is still running has wrapped the tensor."""
    return bool(_functorch.is_functorch_wrapped_tensor(tensor))


def values_of_index(index: torch.Tensor) -> Any:
    """Return an index on the host, though transforms of `torch.func` may have wrapped it.

    Raises
    ------
    NotSupportedError
        If `torch.func.vmap` maps over it, so that it has many values.
    """
    while is_wrapped(index):
        if _functorch.is_batchedtensor(index):
            raise NotSupportedError(
                "backend 'torch' cannot update elements at an index that torch.func.vmap maps over; use a mask, or "
                "xp.where"
            )
        index = _functorch.get_unwrapped(index)
    with temporarily_clear_interpreter_stack():
        return index.numpy(force=True)


def _conjugated(tensor: Array | None) -> Array | None:
    if tensor is None:
        return None
    if tensor._is_zerotensor():  # a mark for zeros that has no memory, which users could not read
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.conj().resolve_conj() if tensor.is_complex() else tensor


# ---- on the graph of torch.autograd --------------------------------------------------------------------------------


_depth: ContextVar[int] = ContextVar("anyjac_torch_depth", default=0)
"""How many differentiations on the graph run around the current code."""


def _vjp_on_graph(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    outside = torch.is_grad_enabled()
    depth = _depth.get() + 1
    token = _depth.set(depth)
    try:
        with torch.enable_grad():
            roots = [_root(primal, depth, outside) for primal in primals]
            outputs, aux = fun(*roots)
            traced = [output.view_as(output) if _is_root(output, roots) else output for output in outputs]
    finally:
        _depth.reset(token)
    graph = _OuterGraph(depth) if outside else None
    pullback = _GraphPullback(roots, traced, graph is not None and any(map(graph.reaches, (*traced, *roots))))
    return [_untraced(t, graph) for t in traced], pullback, [_untraced(t, graph) for t in aux]


def _root(primal: Array, depth: int, outside: bool) -> Array:
    """Return the tensor to differentiate: a new leaf, marked with its depth, or a view of one in an outer graph.

    The view stays connected to that graph: that is how transforms nest.
    """
    if outside and primal.requires_grad:
        return primal.view_as(primal)
    root = primal.detach().requires_grad_()
    root._anyjac_depth = depth
    return root


def _is_root(output: Array, roots: Sequence[Array]) -> bool:
    return any(output is root for root in roots)


def _untraced(tensor: Array, graph: _OuterGraph | None) -> Array:
    """Cut a tensor off this differentiation; one that an outer graph reaches stays part of that."""
    if is_wrapped(tensor):  # it escaped from a transform that has ended: nothing can be done with it but refuse it
        return tensor
    return tensor if graph is not None and graph.reaches(tensor) else tensor.detach()


class _OuterGraph:
    """Finds out whether a tensor depends on a leaf that outlives the differentiation at `depth`.

    Such are the leaves of differentiations around it, and the user's own. Those of the differentiation itself, and of
    inner ones that have ended, are not.
    """

    def __init__(self, depth: int):
        self._depth = depth
        self._known: dict[object, bool] = {}

    def reaches(self, tensor: Array) -> bool:
        if not tensor.requires_grad:
            return False
        if tensor.grad_fn is None:
            return self._outlives(tensor)
        return self._node_reaches(tensor.grad_fn)

    def _outlives(self, leaf: Array) -> bool:
        depth: int = getattr(leaf, "_anyjac_depth", 0)
        return depth < self._depth

    def _node_reaches(self, start: torch.autograd.graph.Node) -> bool:
        known = self._known
        pending = [start]
        while pending:
            node = pending[-1]
            if node in known:
                pending.pop()
                continue
            parents = [parent for parent, _ in node.next_functions if parent is not None]
            unknown = [parent for parent in parents if parent not in known]
            if unknown:
                pending.extend(unknown)
                continue
            leaf = getattr(node, "variable", None)
            known[node] = (leaf is not None and self._outlives(leaf)) or any(known[parent] for parent in parents)
            pending.pop()
        return known[start]


class _GraphPullback:
    """Pulls cotangents back through the graph that one run of the function has made."""

    def __init__(self, roots: Sequence[Array], outputs: Sequence[Array], differentiable: bool):
        self._roots = roots
        self._outputs = outputs
        self._differentiable = differentiable

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        return self._pull(cotangents, batched=False)

    def batch(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        return self._pull(cotangents, batched=True)

    def _pull(self, cotangents: Sequence[Array | None], *, batched: bool) -> list[Array | None]:
        pairs = [
            (output, _conjugated(cotangent))
            for output, cotangent in zip(self._outputs, cotangents, strict=True)
            if cotangent is not None and output.requires_grad
        ]
        if not pairs:
            return [None] * len(self._roots)
        outputs, seeds = zip(*pairs, strict=True)
        gradients = torch.autograd.grad(
            outputs,
            self._roots,
            seeds,
            retain_graph=True,
            create_graph=self._differentiable,
            allow_unused=True,
            is_grads_batched=batched,
        )
        return [_conjugated(gradient) for gradient in gradients]


# ---- within transforms of torch.func -------------------------------------------------------------------------------


def _vjp_within_functorch(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    def paired(*tensors: Array) -> tuple[tuple[Array, ...], list[Array]]:
        outputs, aux = fun(*tensors)
        return tuple(outputs), list(aux)

    vjp: Callable[..., Any] = torch.func.vjp
    outputs, pull, aux = vjp(paired, *primals, has_aux=True)
    return list(outputs), _FunctorchPullback(pull, outputs), list(aux)


class _FunctorchPullback:
    """The pullback of `torch.func.vjp`, in the contract's terms."""

    def __init__(self, pull: Callable[..., Sequence[Array]], outputs: Sequence[Array]):
        self._pull = pull
        self._outputs = outputs

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        filled = tuple(
            torch.zeros_like(output) if cotangent is None else _conjugated(cotangent)
            for output, cotangent in zip(self._outputs, cotangents, strict=True)
        )
        return [_conjugated(gradient) for gradient in self._pull(filled)]

    def batch(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        given = [index for index, cotangent in enumerate(cotangents) if cotangent is not None]

        def one_row(*rows: Array) -> tuple[Array | None, ...]:
            filled: list[Array | None] = [None] * len(cotangents)
            for index, row in zip(given, rows, strict=True):
                filled[index] = row
            return tuple(self(filled))

        return list(torch.func.vmap(one_row)(*(cotangents[index] for index in given)))
