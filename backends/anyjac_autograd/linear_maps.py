"""Reverse mode on autograd: one forward trace, and backward passes for one or several outputs and roots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd.core import VJPNode, add_outgrads, primitive_vjps, sparse_add, sparse_object_types, vspace
from autograd.tracer import getval, isbox, new_box, notrace_primitives, toposort, trace_stack

from anyjac_plugins import Array, FlatFunction

from .tracing import refuse_ended

makers_with_arguments: Final[set[Callable[..., Any]]] = set()
"""Makers of derivative rules whose nodes keep the arguments of their call, which others let go of."""


class RuleNode(VJPNode):  # type: ignore[misc]
    """A node with the maker of its rule and, for `makers_with_arguments`, the arguments of its primitive."""

    __slots__ = ("argnums", "args", "kwargs", "maker")

    def __init__(
        self,
        value: Any,
        fun: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        argnums: Sequence[int],
        parents: Sequence[VJPNode],
    ):
        self.parents = parents  # type: ignore[misc]
        maker = primitive_vjps.get(fun)
        if maker is None:
            name = getattr(fun, "__name__", fun)
            raise NotImplementedError(f"VJP of {name} wrt argnums {argnums} not defined")
        self.maker = maker
        if type(maker) is FunctionType and maker in makers_with_arguments:  # an object of a user's may have no hash
            self.args = args
            self.kwargs = kwargs
            self.argnums = argnums
        self.vjp = maker(argnums, value, args, kwargs)  # type: ignore[misc]


notrace_primitives[RuleNode] = notrace_primitives[VJPNode]  # the same set, so that later additions count


def vjp(fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], BackwardPass, list[Array]]:
    """Run `fun` once and return outputs, pullback and aux; see `anyjac_plugins.Backend.vjp`."""
    with trace_stack.new_trace() as trace:
        roots = [RuleNode.new_root() for _ in primals]
        outputs, aux = fun(*(new_box(primal, trace, root) for primal, root in zip(primals, roots, strict=True)))
        ends = [_end_of(output, trace) for output in outputs]
        plain = [untraced(output, trace) for output in outputs]
        refuse_ended(plain)
        return plain, BackwardPass(primals, roots, ends), [untraced(array, trace) for array in aux]


def _end_of(output: Array, trace: int) -> VJPNode | None:
    return output._node if isbox(output) and output._trace == trace else None


def untraced(array: Array, trace: int) -> Array:
    """Take an array out of a trace; an array of an outer trace stays there."""
    return array._value if isbox(array) and array._trace == trace else array


class BackwardPass:
    """The pullback of a run, along the graph of a trace: from its ends, the outputs, to its roots, the primals.

    Attributes
    ----------
    primals, roots
        The arrays that are differentiated, and their nodes.
    orders
        For each output, the nodes that it depends on, each after all nodes that use it; None for a constant.
    """

    def __init__(self, primals: Sequence[Array], roots: Sequence[VJPNode], ends: Sequence[VJPNode | None]):
        self.primals = primals
        self.roots = roots
        self.orders = [None if end is None else list(toposort(end)) for end in ends]

    def __call__(self, cotangents: Sequence[Array | None]) -> list[Array | None]:
        totals: list[Any] = [None] * len(self.roots)
        for order, cotangent in zip(self.orders, cotangents, strict=True):
            if order is None or cotangent is None:
                continue
            for index, gradient in enumerate(self._from_one_end(order, cotangent)):
                if gradient is not None:
                    totals[index] = _added(totals[index], gradient)
        return [
            None if total is None else cast(total[0], primal)
            for total, primal in zip(totals, self.primals, strict=True)
        ]

    def _from_one_end(self, order: Sequence[VJPNode], cotangent: Array) -> list[Array | None]:
        outgrads: dict[VJPNode, Any] = {order[0]: (cotangent, False)}
        for node in order:
            if not node.parents:
                continue  # a root keeps its gradient
            outgrad = outgrads.pop(node)
            for parent, gradient in zip(node.parents, node.vjp(outgrad[0]), strict=True):
                outgrads[parent] = _added(outgrads.get(parent), gradient)
        return [outgrads[root][0] if root in outgrads else None for root in self.roots]


Sum = tuple[Array, bool]
"""The sum of some gradients, and whether an array of its own holds it."""


def _added(before: Sum | None, gradient: Any) -> Sum:
    """Add a gradient, perhaps a sparse one, to a sum.

    autograd adds sparse gradients in place. A sum of numbers is a scalar of NumPy, which knows no such addition.
    """
    if type(gradient) in sparse_object_types and vspace(gradient).shape == ():
        gradient = sparse_add(vspace(gradient), None, gradient)
    total: Sum = add_outgrads(before, gradient)
    return total


def cast(gradient: Array, primal: Array) -> Array:
    """Give a gradient its primal's dtype; a real primal takes the real part, whatever was complex on the way."""
    dtype = np.result_type(innermost(primal))
    if dtype.kind not in "fc":
        return gradient
    if dtype.kind != "c" and anp.iscomplexobj(gradient):
        gradient = anp.real(gradient)
    if isbox(gradient):
        return gradient if gradient.dtype == dtype else gradient.astype(dtype)
    return np.asarray(gradient, dtype=dtype)


def another(box: Array) -> Array:
    """Return another box of the same node."""
    return type(box)(box._value, box._trace, box._node)


def innermost(array: Array) -> Any:
    """Return the NumPy array inside any number of boxes."""
    while isbox(array):
        array = getval(array)
    return array
