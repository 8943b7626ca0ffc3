"""The operator in which NaN or infinity first appears: a function of the forward run, or a node of the backward pass.

A number that is not finite is followed back to an operator that was given finite numbers alone. No operator is named if
several ways back end in different operators, or if the way is lost, as where a tensor was changed through a view. As a
test, the result of the operator is replaced by finite numbers: if the number that was found does not become finite, it
comes from elsewhere, and no operator is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode, resolve_name

from anyjac_plugins import Array, FlatFunction

from . import forward, private
from .linear_maps import GraphPullback

Index = tuple[int, ...]


def in_forward_run(fun: FlatFunction, primals: Sequence[Array], number: int, index: Index, nan: bool) -> str | None:
    """Return the function that made the NaN (or infinity) in an element of output `number`."""

    def run() -> Array:
        return fun(*(primal.detach().clone() for primal in primals))[0][number]

    with torch.no_grad():
        with _Record(partial(_has, nan=nan)) as record:
            found = run()
        step = record.source(_Version.of(found))
        if step is None:
            return None
        with _Mend(step.call, _finite):
            mended = run()
    return f"{step.name!r} of the forward run" if bool(torch.isfinite(mended[index])) else None


def in_tangents(
    fun: FlatFunction,
    primals: Sequence[Array],
    number: int,
    index: Index,
    tangents: Sequence[Array | None],
    nan: bool,
) -> str | None:
    """Return the function in whose tangent the NaN (or infinity) of an output's tangent first appears."""

    def push(mode: _Record | _Mend) -> tuple[Array, _Version]:
        found: list[_Version] = []

        def watched(*arrays: Array) -> tuple[Sequence[Array], Sequence[Array]]:
            with mode:
                outputs, aux = fun(*arrays)
            found.append(_Version.of(outputs[number]))
            return outputs, aux

        tangent = forward.jvp(watched, primals, tangents)[1][number]
        assert tangent is not None  # it is not finite
        return tangent, found[-1]

    record = _Record(partial(_has_with_tangent, nan=nan))
    step = record.source(push(record)[1])
    if step is None:
        return None
    mended, _ = push(_Mend(step.call, _finite_with_tangent))
    return f"the tangent of {step.name!r}" if bool(torch.isfinite(mended[index])) else None


def in_pullback(
    pullback: GraphPullback, number: int, index: Index, cotangents: Sequence[Array | None], nan: bool
) -> str | None:
    """Return the node of a pullback's graph that made the NaN (or infinity) in the gradient for a primal."""
    node = _node_of(
        pullback.begins(cotangents), pullback.root(number), index, lambda: pullback(cotangents)[number], nan
    )
    return None if node is None else f"{node.name()!r} of the derivative"


def in_backward_pass(
    fun: FlatFunction,
    primals: Sequence[Array],
    number: int,
    index: Index,
    cotangents: Sequence[Array | None],
    nan: bool,
) -> str | None:
    """Return the node of the graph that made the NaN (or infinity) in an element of the gradient for a primal."""
    with torch.enable_grad():
        roots = [primal.detach().clone().requires_grad_() for primal in primals]
        outputs, _ = fun(*roots)
        pairs = zip(outputs, cotangents, strict=True)
        begins = [(y, c.detach().conj()) for y, c in pairs if c is not None and y.grad_fn is not None]

    def gradient() -> Array | None:
        ends, seeds = [y for y, _ in begins], [c for _, c in begins]
        return torch.autograd.grad(ends, roots, seeds, allow_unused=True, retain_graph=True)[number]

    node = _node_of([y.grad_fn for y, _ in begins], roots[number], index, gradient, nan)
    return None if node is None else f"{node.name()!r} of the backward pass"


def _node_of(ends: Sequence[Any], root: Array, index: Index, gradient: Callable[[], Array | None], nan: bool) -> Any:
    """Return the node that made the NaN (or infinity) in an element of a gradient; `gradient` computes it."""
    watched = _Pass(ends, nan)
    try:
        gradient()
    finally:
        watched.end()
    node = watched.source(root)
    if node is None:
        return None
    handle = node.register_hook(lambda returned, _: tuple(None if g is None else _finite(g) for g in returned))
    try:
        mended = gradient()
    finally:
        handle.remove()
    return node if mended is None or bool(torch.isfinite(mended[index])) else None


def _finite(tensor: Array) -> Array:
    """Return a tensor with all numbers that are not finite replaced by ones."""
    with private.without_overrides():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return tensor
        return torch.where(torch.isfinite(tensor), tensor, torch.ones_like(tensor))


def _finite_with_tangent(tensor: Array) -> Array:
    """Return a dual tensor with all numbers that are not finite replaced by ones, in its tangent too."""
    with private.without_overrides():
        bare, tangent = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
        if tangent is None:
            return _finite(bare)
        dual: Array = forward_ad.make_dual(_finite(bare), _finite(tangent))  # type: ignore[no-untyped-call]
        return dual


def _has(tensor: Array, nan: bool) -> bool:
    """Return whether a tensor holds a NaN, or an infinity."""
    with private.without_overrides():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return False
        return bool((torch.isnan(tensor) if nan else torch.isinf(tensor)).any())


def _has_with_tangent(tensor: Array, nan: bool) -> bool:
    """Return whether a dual tensor, or its tangent, holds a NaN, or an infinity."""
    with private.without_overrides():
        bare, tangent = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return _has(bare, nan) or (tangent is not None and _has(tangent, nan))


# ---- forward ---------------------------------------------------------------------------------------------------------


class _Version(NamedTuple):
    """A tensor at a time: its identity, and the number of writes to its memory, through views too."""

    identity: int
    version: int

    @classmethod
    def of(cls, tensor: Array) -> _Version:
        return cls(id(tensor), private.version_of(tensor))


class _Step(NamedTuple):
    """A call that returned numbers in question: its function, its number, and the arguments with such numbers."""

    name: str
    call: int
    faulty: list[_Version]


class _Record(TorchFunctionMode):
    """A mode that keeps the arguments and results of PyTorch's functions with the numbers in question."""

    def __init__(self, has: Callable[[Array], bool]) -> None:
        super().__init__()
        self._has = has
        self._calls = 0
        self._made: dict[_Version, _Step] = {}
        self._kept: list[Array] = []  # no tensor may go, and leave its identity to another

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        given = list(_tensors((args, kwargs or {})))
        faulty = [_Version.of(tensor) for tensor in given if self._has(tensor)]
        result = func(*args, **(kwargs or {}))
        self._kept += given
        if _holds_unknown((args, kwargs or {})):
            return result  # some arguments are unknown, so that nothing can be said of the result
        for tensor in _tensors(result):
            self._kept.append(tensor)
            made = _Version.of(tensor)
            if made not in self._made and made not in faulty and self._has(tensor):
                self._made[made] = _Step(_name_of(func), self._calls, faulty)
        return result

    def source(self, found: _Version) -> _Step | None:
        """Return the step to which all ways back lead; None where there is no such step."""
        ends: dict[_Version, _Step | None] = {}

        def end_of(version: _Version) -> _Step | None:
            if version not in ends:
                step = self._made.get(version)
                if step is None or not step.faulty:
                    ends[version] = step
                else:
                    first, *others = [end_of(each) for each in step.faulty]
                    ends[version] = first if all(each is first for each in others) else None
            return ends[version]

        return end_of(found)


class _Mend(TorchFunctionMode):
    """A mode that makes the result of one call finite."""

    def __init__(self, call: int, finite: Callable[[Array], Array]) -> None:
        super().__init__()
        self._remaining = call
        self._finite = finite

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._remaining -= 1
        result = func(*args, **(kwargs or {}))
        if self._remaining:
            return result
        given = {id(tensor) for tensor in _tensors((args, kwargs or {}))}

        def mended(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            finite = self._finite(leaf)
            if id(leaf) not in given:
                return finite
            with private.without_overrides():  # it was changed in place
                return leaf.copy_(finite)

        return private.map_leaves(mended, result)


def _name_of(func: Any) -> str:
    return str(resolve_name(func) or getattr(func, "__name__", func))


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _leaves(value)
    elif not isinstance(tree, torch.Tensor) and isinstance(getattr(tree, "value", None), torch.Tensor):
        yield tree.value  # a Variable
    else:
        yield tree


def _tensors(tree: Any) -> Iterator[Array]:
    return (leaf for leaf in _leaves(tree) if isinstance(leaf, torch.Tensor))


def _holds_unknown(tree: Any) -> bool:
    """Return whether there is an object that stands for a tensor and is none."""
    leaves = (leaf for leaf in _leaves(tree) if not isinstance(leaf, (torch.Tensor, type)))
    return any(hasattr(type(leaf), "__torch_function__") for leaf in leaves)


# ---- backward --------------------------------------------------------------------------------------------------------


class _Pass:
    """A backward pass under observation: the gradients at each node that have the numbers in question."""

    def __init__(self, ends: Sequence[Any], nan: bool):
        self._nan = nan
        self._parents: dict[Any, list[tuple[Any, int]]] = {}
        self._given: dict[Any, bool] = {}
        self._returned: dict[Any, list[bool]] = {}
        self._handles = []
        pending, seen = list(ends), set(ends)
        while pending:
            node = pending.pop()
            self._handles.append(node.register_hook(self._watch(node)))
            for position, (child, _) in enumerate(node.next_functions):
                if child is not None:
                    self._parents.setdefault(child, []).append((node, position))
                    if child not in seen:
                        seen.add(child)
                        pending.append(child)

    def _watch(self, node: Any) -> Any:
        def hook(returned: Sequence[Array | None], given: Sequence[Array | None]) -> None:
            self._given[node] = any(gradient is not None and _has(gradient, self._nan) for gradient in given)
            self._returned[node] = [gradient is not None and _has(gradient, self._nan) for gradient in returned]

        return hook

    def end(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def source(self, root: Array) -> Any:
        """Return the node to which all ways from a root lead; None where there is no such node."""
        ends: dict[Any, Any] = {}

        def end_of(node: Any) -> Any:
            if node not in ends:
                faulty = [
                    parent for parent, position in self._parents.get(node, ()) if self._is_faulty(parent, position)
                ]
                found = [end_of(parent) if self._given[parent] else parent for parent in faulty]
                ends[node] = found[0] if found and all(each is found[0] for each in found) else None
            return ends[node]

        leaf = next((node for node in self._parents if getattr(node, "variable", None) is root), None)
        return None if leaf is None else end_of(leaf)

    def _is_faulty(self, node: Any, position: int) -> bool:
        returned = self._returned.get(node, [])
        return position < len(returned) and returned[position]
