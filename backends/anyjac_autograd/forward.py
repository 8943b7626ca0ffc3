"""Forward mode on autograd: one run of the function, in which every box carries a tangent beside its value.

A primitive without a rule for tangents, or with a rule that holds for some arguments alone, is transposed by its rule
for cotangents; the function still runs once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import autograd.numpy as anp
import numpy as np
from autograd import builtins
from autograd.core import JVPNode, make_vjp, primitive_jvps, primitive_vjps, vspace
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import Node, new_box, notrace_primitives, trace_stack

from anyjac_plugins import Array, FlatFunction

from .linear_maps import cast, innermost, untraced
from .rules.trusted import takes_batches
from .tracing import refuse_ended

_LEFT_OUT: Final = frozenset({anp.sort, anp.partition, anp.pad, anp.prod, anp.max, anp.min, anp.amax, anp.amin})
"""Primitives whose rules for tangents hold for some arguments alone: one axis, some modes of padding, no zeros."""


def jvp(
    fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
) -> tuple[list[Array], list[Array | None], list[Array]]:
    """Run `fun` once and return outputs, their tangents and aux; see `anyjac_plugins.Backend.jvp`."""
    with trace_stack.new_trace() as trace:
        pairs = zip(primals, tangents, strict=True)
        outputs, aux = fun(*(new_box(primal, trace, TangentNode.new_root(tangent)) for primal, tangent in pairs))
        plain = [untraced(output, trace) for output in outputs]
        refuse_ended(plain)
        found = [_tangent_of(output, trace) for output in outputs]
        pushed = [None if t is None else _own(cast(t, y)) for t, y in zip(found, plain, strict=True)]
        return plain, pushed, [untraced(array, trace) for array in aux]


def _tangent_of(output: Array, trace: int) -> Array | None:
    return output._node.tangent if isinstance(output, ArrayBox) and output._trace == trace else None


def _own(tangent: Array) -> Array:
    """Return the tangent in memory of its own: that of a view is the tangent that was given."""
    return tangent if isinstance(tangent, ArrayBox) else np.array(tangent)


class TangentNode(Node):  # type: ignore[misc]
    """A node that carries the tangent of its box; None for zero, which is carried on without a computation."""

    __slots__ = ("tangent",)

    tangent: Any

    def __init__(
        self,
        value: Any,
        fun: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        argnums: Sequence[int],
        parents: Sequence[TangentNode],
    ):
        given = [(n, p.tangent) for n, p in zip(argnums, parents, strict=True) if p.tangent is not None]
        argnums, tangents = [n for n, _ in given], [tangent for _, tangent in given]
        self.tangent = _pushed(value, fun, args, kwargs, argnums, tangents) if given else None

    def initialize_root(self, tangent: Any) -> None:
        """Begin with a tangent."""
        self.tangent = tangent


notrace_primitives[TangentNode] = notrace_primitives[JVPNode]  # the same set, so that later additions count


def _pushed(
    value: Any, fun: Any, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Sequence[int], tangents: list[Any]
) -> Any:
    """Return the tangent of a primitive's result, given the tangents of some arguments."""
    rule = primitive_jvps.get(fun)
    if rule is not None and fun not in _LEFT_OUT:
        try:
            tangent = _fitted(rule(argnums, tangents, value, args, kwargs), value)
        except (KeyError, NotImplementedError):  # there is no rule for an argument
            tangent = None
        if tangent is not None:
            return tangent
    return _transposed(value, fun, args, kwargs, argnums, tangents)


def _fitted(tangent: Any, value: Any) -> Any:
    """Return a tangent in shape and dtype of its value; None if it does not fit."""
    if not _is_array(value):
        return tangent  # of a tuple, list or dict, or of a number of Python
    shape, wanted = np.shape(innermost(tangent)), np.shape(innermost(value))
    if shape != wanted:
        if len(shape) > len(wanted) or any(n not in (1, m) for n, m in zip(shape[::-1], wanted[::-1], strict=False)):
            return None
        tangent = tangent + np.zeros(wanted, np.result_type(innermost(tangent)))
    return cast(tangent, value)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | ArrayBox)


# ---- primitives without a rule for tangents --------------------------------------------------------------------------


def _transposed(
    value: Any, fun: Any, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Sequence[int], tangents: list[Any]
) -> Any:
    """Push tangents forward by the rule for cotangents: a linear map, whose own pullback is its transpose.

    A rule from elsewhere may compute past autograd. So its transpose is compared with the rule itself, and where they
    differ, the rule is asked for each row.

    Raises
    ------
    NotImplementedError
        If the primitive has no rule at all.
    """
    maker = primitive_vjps.get(fun)
    if maker is None:
        name = getattr(fun, "__name__", fun)
        raise NotImplementedError(f"neither JVP nor VJP of {name} wrt argnums {tuple(argnums)} defined")
    pull, primals = maker(tuple(argnums), value, args, kwargs), [args[n] for n in argnums]

    def pulled_back(cotangent: Any) -> Any:
        return builtins.tuple([_as_gradient(part, x) for part, x in zip(pull(cotangent), primals, strict=True)])

    if takes_batches(maker) or not _is_array(value):
        return _push_by_pullback(pulled_back, value, tangents)
    try:
        tangent = _push_by_pullback(pulled_back, value, tangents)
        if agrees(pulled_back, value, tangents, tangent):
            return tangent
    except Exception:  # a user's rule may raise anything when traced; by rows, all of them, it is not
        pass
    return push_by_rows(pulled_back, value, tangents)


def _as_gradient(part: Any, primal: Any) -> Any:
    return cast(part, primal) if _is_array(primal) else part


def _push_by_pullback(pulled_back: Callable[[Any], Any], value: Any, tangents: list[Any]) -> Any:
    # Not at zeros, for which a rule may return without a look at the cotangent.
    push, _ = make_vjp(pulled_back, vspace(value).ones())
    return push(tuple(tangents))


def agrees(pulled_back: Callable[[Any], Any], value: Any, tangents: list[Any], tangent: Any) -> bool:
    """Return whether a cotangent gives the same number on both sides: with the tangent, and pulled back."""
    plain = np.asarray(innermost(value))
    seed = np.cos(1.0 + np.arange(plain.size)).reshape(plain.shape).astype(plain.dtype)
    outside = seed * innermost(tangent)
    inside = [innermost(g) * innermost(t) for g, t in zip(pulled_back(seed), tangents, strict=True)]
    scale = np.sum(np.abs(outside)) + sum(np.sum(np.abs(part)) for part in inside)
    difference = np.sum(np.real(outside)) - sum(np.sum(np.real(part)) for part in inside)
    return bool(np.abs(difference) <= 1e3 * np.finfo(plain.dtype).eps * scale)


def push_by_rows(pulled_back: Callable[[Any], Any], value: Any, tangents: list[Any]) -> Any:
    """Return the inner products of the tangents with the rows, each pulled back by the rule."""
    plain = np.asarray(innermost(value))
    rows = [_inner(pulled_back(seed), tangents) for seed in _basis(plain, 1.0)]
    if plain.dtype.kind == "c":
        turned = [_inner(pulled_back(seed), tangents) for seed in _basis(plain, 1.0j)]
        rows = [real - 1j * other for real, other in zip(rows, turned, strict=True)]
    return cast(anp.reshape(anp.stack(rows), plain.shape), value) if rows else np.zeros(plain.shape, plain.dtype)


def _basis(plain: Array, one: complex) -> Iterator[Array]:
    for index in range(math.prod(plain.shape)):
        seed = np.zeros(plain.shape, plain.dtype)
        seed.flat[index] = one if plain.dtype.kind == "c" else 1.0
        yield seed


def _inner(gradients: Sequence[Any], tangents: Sequence[Any]) -> Any:
    return sum(anp.sum(anp.real(g * t)) for g, t in zip(gradients, tangents, strict=True))
