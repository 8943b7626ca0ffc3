"""Changes that a function makes past PyTorch's operators while it is recorded: made steps of the graph, or refused.

An assignment to ``.data`` is no step by itself: the graph would go on with the tensor's former memory. Numbers that are
handed to the host would be constants of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

from anyjac_plugins import Array
from anyjac_plugins.errors import NotSupportedError, TracerLeakError

from . import private
from .embeddings import WHERE_SPARSE, with_dense_gradient
from .torch_func import layers
from .writes import Writes

ASSIGN_DATA: Final[Any] = torch.Tensor.data.__set__  # type: ignore[attr-defined]
"""The function that modes see where ``.data`` of a tensor is assigned; a new object each time, but equal."""


class PastOperators(TorchFunctionMode):
    """A mode that records assignments to ``.data``, and hands out no numbers that differ from call to call.

    Parameters
    ----------
    arguments
        The tensors that the function is called with: an assignment to one is a write to its memory.
    writes
        Is told of each assignment.
    """

    def __init__(self, arguments: Sequence[Array], writes: Writes):
        super().__init__()
        self._arguments = arguments
        self._writes = writes

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator."""
        if func == ASSIGN_DATA:
            return self._assign(*args)
        if func in _HANDING_OUT:
            self._refuse_to_hand_out(args[0], _HANDING_OUT[func])
        if func in WHERE_SPARSE:
            return with_dense_gradient(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

    def _refuse_to_hand_out(self, tensor: Array, how: str) -> None:
        mode = private.recording_mode()
        for layer in () if mode is None else layers(tensor):
            found = private.step_of(layer, mode.tracer, None)
            if found is not None and (self._writes.wrote(layer) or _differs_from_call_to_call(found.proxy.node)):
                raise TracerLeakError(
                    f"a compiled function asks a tensor for its numbers, by {how}, which differ from call to call and "
                    f"would be those of the first call ever after; compute with the operators of PyTorch, or leave "
                    f"this part out of anyjac.jit"
                )

    def _assign(self, tensor: Array, new: Array) -> None:
        mode = private.recording_mode()
        known = private.step_of(tensor, mode.tracer, None) is not None
        if not known or any(tensor is argument for argument in self._arguments):
            _write(tensor, new)
            return
        alias = new.detach()  # a step of the graph
        ASSIGN_DATA(tensor, alias)
        private.set_step(tensor, mode.tracer, private.step_of(alias, mode.tracer))
        self._writes.take_note_of_other_data(tensor)


_HANDING_OUT: Final = {
    torch.Tensor.numpy: ".numpy()",
    torch.Tensor.__array__: ".numpy()",
    torch.Tensor.tolist: ".tolist()",
    torch.Tensor.__dlpack__: "DLPack",
}


def _differs_from_call_to_call(node: Any) -> bool:
    """Return whether a step depends on an input of its graph, or on random numbers."""
    pending = [node]
    seen = {node}
    while pending:
        step = pending.pop()
        if step.op == "placeholder" or torch.Tag.nondeterministic_seeded in getattr(step.target, "tags", ()):
            return True
        new = [before for before in step.all_input_nodes if before not in seen]
        pending += new
        seen.update(new)
    return False


def _write(tensor: Array, new: Array) -> None:
    """Copy numbers into a tensor that outlives the call, since no step of a graph can give it new memory."""
    if private.is_view(tensor) or (tensor.shape, tensor.dtype, tensor.device) != (new.shape, new.dtype, new.device):
        kind = "a view" if private.is_view(tensor) else f"a tensor of {tensor.dtype}{list(tensor.shape)}"
        raise NotSupportedError(
            f"anyjac.jit cannot compile that {kind}, which the function has not made, is given .data of {new.dtype}"
            f"{list(new.shape)}; write to it in place, by copy_"
        )
    memory = tensor.detach()
    with torch.no_grad(), private.version_kept(memory):  # as .data does
        memory.copy_(new)
