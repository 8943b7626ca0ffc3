"""Reverse mode on PyTorch: `torch.autograd` on tensors of our own."""

from __future__ import annotations

import contextlib
import math
import re
import weakref
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import torch

from anyjac_plugins import Array, FlatFunction, Pullback, Resumption
from anyjac_plugins.errors import NotSupportedError
from anyjac_plugins.failed_functions import origin_of
from anyjac_plugins.interrupts import setting

from . import private
from .backward_mends import MENDS, mend_graph, mend_node, mend_second_derivatives
from .captured import attached_tensors
from .graphs import conjugated, gradients, nodes_behind
from .lost_derivatives import AtLevel, OnGraph, run_watched
from .modes import is_recording
from .private import AccumulateGrad, is_wrapped
from .torch_func import LevelPullback, innermost, is_transformed, mapped, only_maps_run, vjp_at_a_level
from .uncompiled import compiled_functions_as_they_are, refuse_compiled_passes

_UserFunction: Any = torch.autograd.function.BackwardCFunction

_SPARSE: Final = re.compile("Sparse|ToDense|Coalesce|Values|Indices")
"""Names of steps with sparse tensors, whose backward passes PyTorch computes past its graph."""


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""
    # In inference mode torch.autograd records nothing, without a word; torch.func does.
    if is_transformed() or torch.is_inference_mode_enabled():
        return _vjp_at_a_level(fun, primals)
    return _vjp_on_graph(fun, primals)


def _vjp_at_a_level(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    """Run `fun` within a level of `torch.func`; within maps alone its results belong to no graph of a module's."""
    outputs, pullback, aux = vjp_at_a_level(_watched(fun), primals)
    mend_graph(pullback.recorded())
    if torch.compiler.is_compiling() or not only_maps_run():
        return outputs, pullback, aux
    outside = _Outside(_depth.get() + 1, any(innermost(primal).requires_grad for primal in primals))
    if _leads_outside(map(innermost, (*outputs, *aux, *pullback.roots)), outside):
        return outputs, pullback, aux
    pullback.differentiable = False
    return _detached(outputs), pullback, _detached(aux)


def _detached(tensors: Sequence[Array]) -> list[Array]:
    return [tensor.detach() for tensor in tensors]


def unlinked(tensors: Sequence[Array], given: Sequence[Array | None]) -> list[Array]:
    """Return the results of a differentiation; those that reach no leaf which outlives it belong to no graph.

    Within transforms of `torch.func` they stay what they are.

    Parameters
    ----------
    given
        The inputs, and what else the results may depend on.
    """
    if is_transformed():  # wrapped tensors do not say to which graphs they belong
        return list(tensors)
    outside = _Outside(_depth.get() + 1, any(tensor is not None and tensor.requires_grad for tensor in given))
    graph = _OuterGraph(outside) if torch.is_grad_enabled() and _leads_outside(tensors, outside) else None
    return [_untraced(tensor, graph) for tensor in tensors]


def _watched(fun: FlatFunction) -> FlatFunction:
    """Return a function whose losses of derivatives by its arguments are reported."""

    return lambda *tensors: run_watched(partial(AtLevel, tensors), partial(fun, *tensors))


def batched_rows(pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None] | None:
    """Pull back a batch of cotangents at once; None where an operator, or a user's backward, cannot be batched."""
    batched: Any = pullback
    if batched.refuses_batches:
        return None
    steps = private.recorded_steps()
    try:
        rows: list[Array | None] = batched.batch(cotangents)
        return rows
    except Exception:  # of a user's rule or hook, of any kind: one of its own comes again when the rows are single
        batched.refuses_batches = True
        private.drop_steps_after(steps)
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
    """Compare a pullback with its transpose on one pair of vectors, where a step may hide what its backward computes.

    A user's own backward may, and so do those of sparse tensors. A hook shows in a transpose that is zero altogether.

    Raises
    ------
    NotSupportedError
        If they differ.
    """
    if not isinstance(pullback, GraphPullback):
        return
    if is_recording():  # where the graph of the transpose is that of the recording, and sparse tensors have no place
        hides = pullback.has_rules_of_users()
    else:
        reaches = isinstance(transposed, GraphPullback) and transposed.reaches_roots()
        hides = pullback.may_hide_steps() or not reaches
    if not hides:
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
            "backend 'torch' cannot push tangents forward through the backward of a torch.autograd.Function, of sparse "
            "tensors or a hook in this computation: its own derivative is not that of a linear function; compute the "
            "backward by differentiable operators of PyTorch, or take the derivative in reverse mode"
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


def depth_here() -> int:
    """Return how many differentiations on the graph run around the current code."""
    return _depth.get()


def at_depth(depth: int) -> contextlib.AbstractContextManager[None]:
    """Return a context for code that ran within so many differentiations when it ran first."""
    return setting(_depth, depth)


def _vjp_on_graph(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
    outside = torch.is_grad_enabled()
    depth = _depth.get() + 1
    with setting(_depth, depth), torch.enable_grad():
        roots = [_root(primal, depth, outside) for primal in primals]
        nested = outside and any(primal.requires_grad for primal in primals)
        with compiled_functions_as_they_are() if nested else contextlib.nullcontext():
            outputs, aux = run_watched(partial(OnGraph, roots), partial(fun, *roots))
        if nested:
            refuse_compiled_passes(outputs)
        traced = [output.view_as(output) if _is_root(output, roots) else output for output in outputs]
    outer = _Outside(depth, parameters=nested)
    leads_outside, has_rules = _look_through((*traced, *roots, *aux), outer)
    graph = _OuterGraph(outer) if outside and leads_outside else None
    pullback = GraphPullback(
        roots,
        traced,
        graph is not None and any(map(graph.reaches, (*traced, *roots))),
        getattr(fun, "resumption", None) if has_rules else None,
    )
    captured = attached_tensors(origin_of(fun))
    if captured:
        weakref.finalize(pullback, _release, captured, OnGraph(roots), outer).atexit = False
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


def _release(captured: Sequence[Array], inputs: OnGraph, outside: _Outside) -> None:
    """Take tensors of the user's that a run has written out of its graph, unless they are in one of the user's too.

    Only when the pullback is gone, for PyTorch uses no tensor that was detached in place. A view is left as it is.
    """
    with private.without_overrides(), private.without_dispatch_modes():
        for tensor in captured:
            if not private.is_view(tensor) and inputs.follows(tensor) and not _leads_outside([tensor], outside):
                tensor.detach_()


def _untraced(tensor: Array, graph: _OuterGraph | None) -> Array:
    """Detach a tensor from this differentiation; a tensor that an outer graph reaches stays in that graph."""
    if is_wrapped(tensor):  # of a transform that has ended: it is refused later
        return tensor
    return tensor if graph is not None and graph.reaches(tensor) else tensor.detach()


@dataclass(frozen=True, slots=True)
class _Outside:
    """The leaves that outlive a differentiation: those of differentiations around it, and the user's own.

    Those of the differentiation itself, and of inner ones that have ended, do not outlive it. Nor do the parameters of
    modules, which require gradients without being asked, unless an input is part of a graph.

    Attributes
    ----------
    depth
        How many differentiations run around the code of this one, itself included.
    parameters
        Whether parameters count.
    """

    depth: int
    parameters: bool

    def has(self, leaf: Array) -> bool:
        """Return whether a leaf is one of them."""
        own_depth: int = getattr(leaf, "_anyjac_depth", 0)
        return own_depth < self.depth and (self.parameters or not isinstance(leaf, torch.nn.Parameter))


def _leads_outside(tensors: Iterable[Array], outside: _Outside) -> bool:
    """Return whether any of the tensors depends on a leaf that outlives a differentiation."""
    attached = [tensor for tensor in tensors if tensor.requires_grad]
    if any(tensor.grad_fn is None and outside.has(tensor) for tensor in attached):
        return True
    leaves = (node.variable for node in nodes_behind(attached) if isinstance(node, AccumulateGrad))
    return any(map(outside.has, leaves))


def _look_through(tensors: Iterable[Array], outside: _Outside) -> tuple[bool, bool]:
    """Mend the graph behind tensors; return whether a leaf outlives a differentiation, and whether users have rules.

    Most often none does; this walk, which does not find out which tensors depend on one, is faster than `_OuterGraph`.
    """
    attached = [tensor for tensor in tensors if tensor.requires_grad]
    outlives = any(tensor.grad_fn is None and outside.has(tensor) for tensor in attached)
    others: set[type] = set()  # kinds of steps: a graph has many steps, and few kinds
    for node in nodes_behind(attached):
        kind = type(node)
        if kind in others:
            continue
        if kind is AccumulateGrad:
            outlives = outlives or outside.has(node.variable)
        elif kind.__name__ in MENDS:
            mend_node(node)
        else:
            others.add(kind)
    return outlives, any(issubclass(kind, _UserFunction) for kind in others)


class _OuterGraph:
    """The graph around a differentiation: the tensors that depend on a leaf which outlives it."""

    def __init__(self, outside: _Outside):
        self._outside = outside
        self._known: dict[object, bool] = {}

    def reaches(self, tensor: Array) -> bool:
        if not tensor.requires_grad:
            return False
        if tensor.grad_fn is None:
            return self._outside.has(tensor)
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
            ends_outside = isinstance(node, AccumulateGrad) and self._outside.has(node.variable)
            known[node] = ends_outside or any(known[parent] for parent in parents)
            pending.pop()
        return known[start]


class GraphPullback:
    """The pullback of one run of the function, along the graph that the run has made.

    A backward of the user's own may run a module once more, which then has the parameters that are differentiated: it
    runs in the `resumption`, which is None where there is no such backward.
    """

    def __init__(
        self,
        roots: Sequence[Array],
        outputs: Sequence[Array],
        differentiable: bool,
        resumption: Resumption | None = None,
    ):
        self._roots = tuple(roots)
        self._outputs = outputs
        self.differentiable = differentiable
        self.refuses_batches = False
        self._resumption = resumption

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

    def may_hide_steps(self) -> bool:
        """Return whether any step has a backward which may compute past PyTorch's graph."""
        return any(
            isinstance(n, _UserFunction) or _SPARSE.search(type(n).__name__) for n in nodes_behind(self._outputs)
        )

    def reaches_roots(self) -> bool:
        """Return whether any output that has a derivative at all depends on a root."""
        inputs = OnGraph(self._roots)
        outputs = [output for output in self._outputs if output.numel()]
        return not outputs or any(map(inputs.follows, outputs))

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
        traced = torch.is_grad_enabled() and (self.differentiable or any(seed.requires_grad for seed in seeds))
        if traced:
            mend_second_derivatives(outputs)
        backward = partial(gradients, tuple(outputs), tuple(seeds), self._roots, differentiable=traced)
        found = backward() if self._resumption is None else self._resumption.run(backward)
        if traced and self.differentiable and not all(g is None or g.requires_grad for g in found):
            self._refuse_hidden()
        if not traced and is_recording():  # a step of the graph, which may run where gradients are recorded
            return tuple(None if gradient is None else gradient.detach() for gradient in found)
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
