"""Reverse mode on PyTorch: `torch.autograd` on tensors of our own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from itertools import islice
from typing import Any

import torch

from anyjac_plugins import Array, FlatFunction, Pullback
from anyjac_plugins.errors import NotSupportedError
from anyjac_plugins.interrupts import setting

from .backward_mends import MENDS, mend_graph, mend_node, mend_second_derivatives
from .graphs import conjugated, gradients, nodes_behind
from .private import AccumulateGrad, is_wrapped
from .torch_func import LevelPullback, is_transformed, mapped, vjp_at_a_level

_UserFunction: Any = torch.autograd.function.BackwardCFunction


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""
    # In inference mode torch.autograd records nothing, without a word; torch.func does.
    if is_transformed() or torch.is_inference_mode_enabled():
        outputs, pullback, aux = vjp_at_a_level(fun, primals)
        mend_graph(pullback.recorded())
        return outputs, pullback, aux
    return _vjp_on_graph(fun, primals)


def batched_rows(pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None] | None:
    """Pull back a batch of cotangents at once; None where an operator, or a user's backward, cannot be batched."""
    batched: Any = pullback
    if batched.refuses_batches:
        return None
    try:
        rows: list[Array | None] = batched.batch(cotangents)
        return rows
    except RuntimeError:  # a real error comes again when the rows are pulled back one by one
        batched.refuses_batches = True
        return None


def one_row(pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None]:
    """Pull back a batch of one."""
    gradients = pullback([None if batch is None else batch[0] for batch in cotangents])
    return [None if gradient is None else gradient[None] for gradient in gradients]


def is_constant(pullback: Pullback) -> bool:
    """Return whether the gradients of a pullback belong to no graph or transform, and may be copied and dropped."""
    return isinstance(pullback, GraphPullback) and not pullback.differentiable


def is_short(pullback: Pullback) -> bool:
    """Return whether a pass takes so few steps that the processor's cache hardly matters."""
    assert isinstance(pullback, GraphPullback | LevelPullback)
    return isinstance(pullback, GraphPullback) and pullback.steps_within(FEW_STEPS)


FEW_STEPS = 4


def check_transpose(
    pullback: Pullback, transposed: Pullback, outputs: Sequence[Array], primals: Sequence[Array]
) -> None:
    """Compare a pullback with its transpose on one pair of vectors, if a user's own backward has a part in it.

    Raises
    ------
    NotSupportedError
        If they differ.
    """
    if not isinstance(pullback, GraphPullback) or not pullback.has_rules_of_users():
        return
    with torch.no_grad():
        cotangents, tangents = [_somewhere(y, 1.0) for y in outputs], [_somewhere(x, 2.0) for x in primals]
        there, scale = _inner_product(cotangents, transposed(tangents))
        here, _ = _inner_product(tangents, pullback(cotangents))
        precision = max(torch.finfo(array.dtype).eps for array in (*outputs, *primals))
    if not (math.isfinite(here) or math.isfinite(there)):
        return  # the derivative is infinite there, and so is its transpose
    if not abs(there - here) <= precision**0.5 * max(scale, abs(here)):
        raise NotSupportedError(
            "backend 'torch' cannot push tangents forward through the backward of a torch.autograd.Function in this "
            "computation: its own derivative is not that of a linear function; compute the backward by differentiable "
            "operators of PyTorch"
        )


def _somewhere(like: Array, phase: float) -> Array:
    angles = torch.arange(like.numel(), device=like.device, dtype=torch.float64) + phase
    return torch.cos(angles).reshape(like.shape).to(like.dtype)


def _inner_product(left: Sequence[Array], right: Sequence[Array | None]) -> tuple[float, float]:
    """Return the real part of the sum of products, and the sum of their magnitudes."""
    products = [a * b for a, b in zip(left, right, strict=True) if b is not None]
    return sum(float(p.real.sum()) for p in products), sum(float(p.abs().sum()) for p in products)


_depth: ContextVar[int] = ContextVar("anyjac_torch_depth", default=0)
"""How many differentiations on the graph run around the current code."""


def _vjp_on_graph(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    outside = torch.is_grad_enabled()
    depth = _depth.get() + 1
    with setting(_depth, depth), torch.enable_grad():
        roots = [_root(primal, depth, outside) for primal in primals]
        outputs, aux = fun(*roots)
        traced = [output.view_as(output) if _is_root(output, roots) else output for output in outputs]
    leads_outside = _look_through((*traced, *roots, *aux), depth)
    graph = _OuterGraph(depth) if outside and leads_outside else None
    pullback = GraphPullback(roots, traced, graph is not None and any(map(graph.reaches, (*traced, *roots))))
    return [_untraced(t, graph) for t in traced], pullback, [_untraced(t, graph) for t in aux]


def _root(primal: Array, depth: int, outside: bool) -> Array:
    """Return the tensor to differentiate: a new leaf, marked with its depth, or a view of one in an outer graph.

    The view stays connected to that graph: that is how transforms nest.
    """
    if outside and primal.requires_grad:
        return primal.view_as(primal)
    root = (primal.clone() if primal.is_inference() else primal.detach()).requires_grad_()
    root._anyjac_depth = depth
    return root


def _is_root(output: Array, roots: Sequence[Array]) -> bool:
    return any(output is root for root in roots)


def _untraced(tensor: Array, graph: _OuterGraph | None) -> Array:
    """Detach a tensor from this differentiation; a tensor that an outer graph reaches stays in that graph."""
    if is_wrapped(tensor):  # of a transform that has ended: it is refused later
        return tensor
    return tensor if graph is not None and graph.reaches(tensor) else tensor.detach()


def _outlives(leaf: Array, depth: int) -> bool:
    """Return whether a leaf outlives the differentiation at `depth`.

    Leaves of differentiations around it do, and the user's own. Those of the differentiation itself, and of inner ones
    that have ended, do not.
    """
    own_depth: int = getattr(leaf, "_anyjac_depth", 0)
    return own_depth < depth


def _look_through(tensors: Iterable[Array], depth: int) -> bool:
    """Mend the graph behind tensors, and return whether any leaf there outlives the differentiation at `depth`.

    Most often none does; this walk, which does not find out which tensors depend on one, is faster than `_OuterGraph`.
    """
    attached = [tensor for tensor in tensors if tensor.requires_grad]
    outlives = any(tensor.grad_fn is None and _outlives(tensor, depth) for tensor in attached)
    for node in nodes_behind(attached):
        kind = type(node)
        if kind is AccumulateGrad:
            outlives = outlives or _outlives(node.variable, depth)
        elif kind.__name__ in MENDS:
            mend_node(node)
    return outlives


class _OuterGraph:
    """The graph around the differentiation at `depth`: the tensors that depend on a leaf which outlives it."""

    def __init__(self, depth: int):
        self._depth = depth
        self._known: dict[object, bool] = {}

    def reaches(self, tensor: Array) -> bool:
        if not tensor.requires_grad:
            return False
        if tensor.grad_fn is None:
            return _outlives(tensor, self._depth)
        return self._node_reaches(tensor.grad_fn)

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
            ends_outside = isinstance(node, AccumulateGrad) and _outlives(node.variable, self._depth)
            known[node] = ends_outside or any(known[parent] for parent in parents)
            pending.pop()
        return known[start]


class GraphPullback:
    """The pullback of one run of the function, along the graph that the run has made."""

    def __init__(self, roots: Sequence[Array], outputs: Sequence[Array], differentiable: bool):
        self._roots = tuple(roots)
        self._outputs = outputs
        self.differentiable = differentiable
        self.refuses_batches = False

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        outputs, seeds = self._seeded(cotangents)
        if not outputs:
            return [None] * len(self._roots)
        return [conjugated(gradient) for gradient in self._gradients(outputs, seeds)]

    def begins(self, cotangents: Sequence[Array | None]) -> list[Any]:
        """Return the nodes of the graph at which a pass with these cotangents begins."""
        return [output.grad_fn for output in self._seeded(cotangents)[0]]

    def root(self, number: int) -> Array:
        """Return the tensor of a primal, at which passes end."""
        return self._roots[number]

    def batch(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        outputs, seeds = self._seeded(cotangents)
        if not outputs:
            return [None] * len(self._roots)
        return [conjugated(rows) for rows in mapped(lambda *row: self._gradients(outputs, row), seeds)]

    def has_rules_of_users(self) -> bool:
        """Return whether any step is a `torch.autograd.Function`, whose backward may be anything."""
        return any(isinstance(node, _UserFunction) for node in nodes_behind(self._outputs))

    def steps_within(self, limit: int) -> bool:
        """Return whether the graph has no more than `limit` steps besides its leaves."""
        steps = (node for node in nodes_behind(self._outputs) if not isinstance(node, AccumulateGrad))
        return len(list(islice(steps, limit + 1))) <= limit

    def _seeded(self, cotangents: Sequence[Array | None]) -> tuple[list[Array], list[Array]]:
        """Return the outputs to begin at, and their cotangents in PyTorch's terms."""
        begins = [
            (output, cotangent)
            for output, cotangent in zip(self._outputs, cotangents, strict=True)
            if cotangent is not None and output.requires_grad
        ]
        return [output for output, _ in begins], [conjugated(cotangent) for _, cotangent in begins]

    def _gradients(self, outputs: Sequence[Array], seeds: Sequence[Array]) -> tuple[Array | None, ...]:
        traced = self.differentiable or any(seed.requires_grad for seed in seeds)
        if traced:
            mend_second_derivatives(outputs)
        found = gradients(tuple(outputs), tuple(seeds), self._roots, differentiable=traced)
        if self.differentiable and not all(g is None or g.requires_grad for g in found):
            self._refuse_hidden()
        return found

    def _refuse_hidden(self) -> None:
        """Refuse a gradient without a graph that a user's own backward has computed from tensors with a graph.

        It would be taken for a constant, as if its own derivative were zero. PyTorch refuses to differentiate it, too.

        Raises
        ------
        NotSupportedError
            If there is such a backward.
        """
        rules = (node for node in nodes_behind(self._outputs) if isinstance(node, _UserFunction))
        if any(saved is not None and saved.requires_grad for node in rules for saved in node.saved_tensors):
            raise NotSupportedError(
                "backend 'torch' cannot differentiate the backward of a torch.autograd.Function in this computation: "
                "what it returns belongs to no graph, though it has saved tensors that do; compute it by "
                "differentiable operators of PyTorch"
            )
