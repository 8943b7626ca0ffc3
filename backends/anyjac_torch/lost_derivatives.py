"""A mode that sees where a run of a function loses derivatives: to Python's numbers, or to tensors without a graph.

PyTorch hands out the numbers of tensors in a graph, as ``float(x)`` asks for them, and makes new tensors of them, as
``torch.tensor([x[0], x[1]])`` does. Gradients that are computed within the run are constants unless they are asked for
with ``create_graph``. Decides nothing by values; what is detached on purpose is let through.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Any, Final, TypeVar

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from anyjac_plugins import Array, lost_derivatives
from anyjac_plugins.interrupts import run_and_end

from . import private
from .graphs import nodes_behind
from .modes import is_recording
from .private import AccumulateGrad, innermost_transform, level_of
from .torch_func import has_tangent, innermost, layers
from .writes import tensors_in

Result = TypeVar("Result")

_PACKAGES: Final = ("torch", "anyjac_torch")

_COMPUTE: Final = (
    "compute with the tensor itself; where a constant is meant, take anyjac.stop_gradient(x) or x.detach() first"
)
_STACK: Final = "put tensors together by torch.stack or torch.cat, and copy one by x.clone()"
_CLONE: Final = "copy a tensor by x.clone()"

_NUMBERS: Final = {
    torch.Tensor.__float__: ("float(x), or a function of math,", _COMPUTE),
    torch.Tensor.__complex__: ("complex(x), or a function of cmath,", _COMPUTE),
    torch.Tensor.item: ("x.item()", _COMPUTE),
    torch.Tensor.tolist: ("x.tolist()", _COMPUTE),
    torch.Tensor.storage: ("x.storage()", _COMPUTE),
    torch.Tensor.__reduce_ex__: ("copy.copy(x), or pickle,", _CLONE),
}
"""What hands out numbers: how users write it, and what to write instead."""

_TENSORS: Final = {
    torch.tensor: ("torch.tensor", _STACK),
    torch.as_tensor: ("torch.as_tensor", _STACK),
    torch.asarray: ("torch.asarray", _STACK),
    torch.Tensor.new: ("x.new", _STACK),
    torch.Tensor.new_tensor: ("x.new_tensor", _STACK),
    torch.Tensor.__deepcopy__: ("copy.deepcopy(x)", _CLONE),
}
"""What makes tensors of numbers, in the same way."""

_OF_TYPE: Final = frozenset({torch.Tensor.new, torch.Tensor.new_tensor})
"""Methods that ask their own tensor for dtype and device alone."""

_READ_DATA: Final[Any] = torch.Tensor.data.__get__  # type: ignore[attr-defined]
_READ_GRADIENT: Final[Any] = torch.Tensor.grad.__get__  # type: ignore[union-attr]
_LIKE: Final = ("empty", "full", "ones", "rand", "randint", "randn", "zeros")
_NEW: Final = ("empty", "empty_strided", "full", "ones", "zeros")

_ON_PURPOSE: Final = frozenset(
    {
        *(torch.Tensor.detach, torch.Tensor.detach_, torch.detach, torch.detach_, _READ_DATA, _READ_GRADIENT),
        *(getattr(torch, f"{name}_like") for name in _LIKE),
        *(getattr(torch.Tensor, f"new_{name}") for name in _NEW),
        *(torch.Tensor.expand_as, torch.Tensor.view_as, torch.Tensor.reshape_as, torch.Tensor.type_as),
        *(torch.Tensor.to, torch.Tensor.resize_as_, torch.resize_as_, torch.normal, torch.Tensor.normal_),
        *(torch.histc, torch.Tensor.histc, torch.histogram, torch.Tensor.histogram),
        *(functional.batch_norm, torch.batch_norm, functional.instance_norm, torch.instance_norm),  # write statistics
    }
)
"""What gives constants on purpose, asks another tensor for its shape alone, or has no derivative but zero."""


class Followed(ABC):
    """The inputs of a run, and which tensors have a derivative by them."""

    @abstractmethod
    def carries(self, tensor: Array) -> bool:
        """Return whether a tensor has any derivative; that is quickly found."""

    def follows(self, tensor: Array) -> bool:
        """Return whether a tensor has a derivative by an input, and not only by something else."""
        return self.carries(tensor)

    def is_connected(self, result: Array, given: Iterable[Array]) -> bool:
        """Return whether the result of an operator has kept the derivative of what was given."""
        return self.carries(result) or any(result is tensor for tensor in given)


class OnGraph(Followed):
    """Inputs that are leaves of a graph, or views of tensors in one; within transforms of `torch.func` too."""

    def __init__(self, roots: Sequence[Array]):
        self._leaves = {id(root) for root in roots if root.grad_fn is None}
        self._views = {root.grad_fn for root in roots if root.grad_fn is not None}

    def carries(self, tensor: Array) -> bool:
        return bool(innermost(tensor).requires_grad)

    def follows(self, tensor: Array) -> bool:
        tensor = innermost(tensor)
        return id(tensor) in self._leaves or any(
            node in self._views or (isinstance(node, AccumulateGrad) and id(node.variable) in self._leaves)
            for node in nodes_behind([tensor])
        )

    def is_connected(self, result: Array, given: Iterable[Array]) -> bool:
        return innermost(result).grad_fn is not None or any(result is tensor for tensor in given)


class AtLevel(Followed):
    """Inputs that a differentiation of `torch.func` has wrapped."""

    def __init__(self, roots: Sequence[Array]):
        self._level = max((level_of(root) for root in roots), default=0)

    def carries(self, tensor: Array) -> bool:
        return any(level_of(layer) == self._level and layer.requires_grad for layer in layers(tensor))


class WithTangents(Followed):
    """Dual tensors; within a transform of `torch.func` that the function has begun nobody is asked for tangents."""

    def __init__(self) -> None:
        self._transform = _level()

    def carries(self, tensor: Array) -> bool:
        return _level() == self._transform and has_tangent(tensor)

    def is_connected(self, result: Array, given: Iterable[Array]) -> bool:
        return _level() != self._transform or super().is_connected(result, given)


class LossWatch(TorchFunctionMode):
    """A mode that reports each loss in a run.

    Parameters
    ----------
    inputs
        The inputs of the run.
    """

    def __init__(self, inputs: Followed):
        super().__init__()
        self._inputs = inputs
        self._seen: set[tuple[Any, int]] = set()
        self._in_checkpoint = False

    def leave(self) -> None:
        """End the watch; may be repeated."""
        modes = private.function_modes()
        if self in modes:
            private.set_function_modes([mode for mode in modes if mode is not self])

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator."""
        if torch.compiler.is_compiling():  # where Dynamo follows this, and users' code has been watched
            return func(*args, **(kwargs or {}))
        given = kwargs or {}
        if self._in_checkpoint:
            self._refuse(_CHECKPOINT, tensors_in((args, tuple(given.values()))), _NOT_REENTRANT)
        if func is private.set_grad_enabled:
            self._in_checkpoint ^= _is_of_checkpoint()
        elif func in _GRADIENTS:
            _GRADIENTS[func](self, args, given)
        elif func is torch.Tensor.detach:
            self._refuse_detaching(args[0])
        result = func(*args, **given)
        if type(result) is torch.Tensor and result.grad_fn is not None:
            return result
        if type(func) is private.OverloadedOperator and is_recording():
            return result  # of PyTorch's own, below all graphs of torch.autograd
        if func not in _ON_PURPOSE and torch.is_grad_enabled():
            self._look(func, result, [*tensors_in((args[func in _OF_TYPE :], tuple(given.values())))])
        return result

    def _look(self, func: Any, result: Any, given: Sequence[Array]) -> None:
        """Report a loss, if a result has no derivative though something that was given has one."""
        if not any(self._inputs.carries(tensor) for tensor in given):
            return
        if func in _NUMBERS:
            self._report(*_NUMBERS[func], given)
            return
        if func is torch.Tensor.untyped_storage and _module_of(_asker()) == torch.Tensor.storage.__module__:
            self._report(*_NUMBERS[torch.Tensor.__reduce_ex__], given)
            return
        made = list(tensors_in(result))
        if func is not torch.Tensor.view:  # by which bits of a number may become those of an integer
            made = [tensor for tensor in made if tensor.is_floating_point() or tensor.is_complex()]
        if made and not any(self._inputs.is_connected(tensor, given) for tensor in made):
            operator = f"{getattr(func, '__name__', func)}, an operator without a derivative,", _COMPUTE
            self._report(*_TENSORS.get(func, operator), given)

    def _report(self, what: str, mend: str, given: Sequence[Array]) -> None:
        asker = _asker()
        place = asker.f_code, asker.f_lasti
        if place in self._seen:  # a graph may be long, and a line run often
            return
        if any(self._inputs.carries(tensor) and self._inputs.follows(tensor) for tensor in given):
            lost_derivatives.report(what, mend, _PACKAGES)
            self._seen.add(place)

    # ---- gradients that are constants ------------------------------------------------------------------------------

    def _gradient(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
        """Look at a call of `torch.autograd.grad`, the fifth parameter of which is ``create_graph``."""
        create_graph = given.get("create_graph", args[4] if len(args) > 4 else False)
        self._refuse_gradient("torch.autograd.grad", create_graph, (args, tuple(given.values())))

    def _backward(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
        """Look at a call of ``backward``, the fourth parameter of which is ``create_graph``."""
        create_graph = given.get("create_graph", args[3] if len(args) > 3 else False)
        self._refuse_gradient("backward()", create_graph, (args, tuple(given.values())))

    def _refuse_gradient(self, what: str, create_graph: Any, given: Any) -> None:
        asker = _asker().f_back  # past the function of PyTorch itself
        module = "" if asker is None else _module_of(asker)
        if not create_graph and module != "torch.utils.checkpoint":  # which computes what PyTorch goes on with
            self._refuse(_DETACHING.get(module, what), tensors_in(given))

    def _refuse_detaching(self, tensor: Array) -> None:
        """Refuse a function of PyTorch that differentiates, and detaches its arguments before."""
        what = _DETACHING.get(_module_of(_asker()))
        if what is not None:
            self._refuse(what, [tensor])

    def _refuse(self, what: str, given: Iterable[Array], mend: str | None = None) -> None:
        if any(self._inputs.carries(tensor) and self._inputs.follows(tensor) for tensor in given):
            lost_derivatives.refuse(what, mend or _DIFFERENTIATE, _PACKAGES)


_DIFFERENTIATE: Final = (
    "use a transform of anyjac there, or pass create_graph=True where there is such a parameter; for a constant, "
    "detach what it is computed of"
)

_CHECKPOINT: Final = "torch.utils.checkpoint with use_reentrant=True"
_NOT_REENTRANT: Final = "pass use_reentrant=False, for otherwise only what the checkpoint is given has a derivative"

_DETACHING: Final = {
    "torch.autograd.functional": "a function of torch.autograd.functional",
    "torch.fx.experimental.const_fold": "torch.func.linearize",
    torch.func.stack_module_state.__module__: "torch.func.stack_module_state",
}
"""Modules of PyTorch that detach what they are given, and how users call what is in them."""

_GRADIENTS: Final[dict[Any, Callable[..., None]]] = {
    torch.autograd.grad: LossWatch._gradient,
    torch.autograd.backward: LossWatch._backward,
    torch.Tensor.backward: LossWatch._backward,
}


def run_watched(inputs: Callable[[], Followed], work: Callable[[], Result]) -> Result:
    """Do the work of a run and return its result; report losses in a watched call and wherever a graph is recorded."""
    if torch.compiler.is_compiling() or not (lost_derivatives.is_watching() or is_recording()):
        return work()
    watch = LossWatch(inputs())

    def within() -> Result:
        private.set_function_modes([*private.function_modes(), watch])
        return work()

    return run_and_end(within, watch.leave)


def _level() -> int:
    """Return how many transforms of `torch.func` are running."""
    transform = innermost_transform()
    return 0 if transform is None else transform.level()


def _is_of_checkpoint() -> bool:
    """Return whether a reentrant checkpoint of nothing differentiated switches gradients off, or on again."""
    frame: FrameType | None = _asker()
    while frame is not None and _module_of(frame) == torch.no_grad.__module__:
        frame = frame.f_back
    if frame is None or _module_of(frame) != "torch.utils.checkpoint" or frame.f_code.co_name != "forward":
        return False
    return not any(tensor.requires_grad for tensor in tensors_in(frame.f_locals.get("args", ())))


def _asker() -> FrameType:
    """Return the frame that has called an operator, past those of modes."""
    frame = inspect.currentframe()
    assert frame is not None
    while frame.f_back is not None and _module_of(frame).startswith(("anyjac_torch", "torch.overrides")):
        frame = frame.f_back
    return frame


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))
