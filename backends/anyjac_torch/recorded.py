"""What a function that is being recorded does to tensors past all operators: as steps of the graph.

An assignment to ``.data`` is none by itself: the graph would go on with what the tensor was before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot, set_proxy_slot
from torch.overrides import TorchFunctionMode

from anyjac_plugins import Array
from anyjac_plugins.errors import NotSupportedError, TracerLeakError

from .writes import Writes

ASSIGN_DATA: Final[Any] = torch.Tensor.data.__set__  # type: ignore[attr-defined]
"""What modes are asked for where a tensor is given other ``.data``; not the same object each time, but equal."""


_TO_HOST = (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.__array__, torch.Tensor.__dlpack__)


class PastOperators(TorchFunctionMode):
    """Records assignments to ``.data``, and refuses to look at numbers that a compiled call has not computed yet.

    Parameters
    ----------
    arguments
        The tensors that the function is given, and that are to be written where it writes them.
    writes
        Is told of what is assigned.
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
        if func in _TO_HOST:
            self._refuse_recorded(func, args[0])
        return func(*args, **(kwargs or {}))

    def _refuse_recorded(self, func: Any, tensor: Array) -> None:
        """Refuse to hand the numbers of a recorded tensor to the host, where they would be constants ever after."""
        mode: Any = get_proxy_mode()
        slot: Any = None if mode is None else get_proxy_slot(tensor, mode.tracer, None)
        if slot is not None and _differs_between_calls(slot.proxy.node):
            raise TracerLeakError(
                f"a compiled function calls {func.__name__!r} on a tensor that depends on its arguments or Variables, "
                f"whose numbers would be those of the first call ever after; compute with the operators of PyTorch, or "
                f"leave this part out of anyjac.jit"
            )

    def _assign(self, tensor: Array, new: Array) -> None:
        mode: Any = get_proxy_mode()
        known = get_proxy_slot(tensor, mode.tracer, None) is not None
        if not known or any(tensor is argument for argument in self._arguments):
            _write(tensor, new)
            return
        alias = new.detach()  # which is a step
        ASSIGN_DATA(tensor, alias)
        set_proxy_slot(tensor, mode.tracer, get_proxy_slot(alias, mode.tracer))
        self._writes.take_note_of_other_data(tensor)


def _differs_between_calls(node: Any) -> bool:
    """Tell whether a step depends on what goes in, or draws random numbers."""
    pending, seen = [node], {node}
    while pending:
        step = pending.pop()
        if step.op == "placeholder" or torch.Tag.nondeterministic_seeded in getattr(step.target, "tags", ()):
            return True
        new = [other for other in step.all_input_nodes if other not in seen]
        seen.update(new)
        pending += new
    return False


def _write(tensor: Array, new: Array) -> None:
    """Write to the memory of a tensor that goes on after the call, since it is given another one in no step."""
    if tensor._is_view() or (tensor.shape, tensor.dtype, tensor.device) != (new.shape, new.dtype, new.device):
        kind = "a view" if tensor._is_view() else f"a tensor of {tensor.dtype}{list(tensor.shape)}"
        raise NotSupportedError(
            f"anyjac.jit cannot compile that {kind}, which the function has not made, is given .data of {new.dtype}"
            f"{list(new.shape)}; write to it in place, by copy_"
        )
    memory = tensor.detach()
    with torch.no_grad(), _unsafe_preserve_version_counter(memory):  # as .data does
        memory.copy_(new)
