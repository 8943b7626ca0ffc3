"""Redirection of operators: called with a tensor that is replaced, they are given the tensor that is shown instead.

Also notes writes to tensors that are shown where no version counts them: by the kernels of batch normalisation, by
assignments to ``.data``, and through memory that the function has asked for. Knows tensors alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

import torch
from torch.autograd import forward_ad
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from anyjac_plugins import Array

from .. import private
from ..embeddings import WHERE_SPARSE, with_dense_gradient
from ..modes import is_recording
from ..past_operators import ASSIGN_DATA
from ..torch_func import is_transformed
from ..writes import memories
from . import batch_norm

READ_DATA: Final[Any] = torch.Tensor.data.__get__  # type: ignore[attr-defined]
"""The function that modes see where ``.data`` of a tensor is read; a new object each time, but equal."""


class UnversionedWrite(Enum):
    """A way in which a tensor may have been written though its version does not count it."""

    STATISTICS = auto()  # by batch normalisation
    DATA = auto()  # it was given other ``.data``
    PERHAPS = auto()  # by way of its memory, for which the function has asked


class Redirect(TorchFunctionMode):
    """A mode that calls operators with the tensors shown instead of those replaced.

    Parameters
    ----------
    put
        Puts a tensor into the slot in which another is shown, and returns whether there is such a slot.
    """

    def __init__(self, put: Callable[[Array, Array], bool]) -> None:
        super().__init__()
        self._put = put
        self._shown: dict[int, tuple[Array, Array]] = {}
        self._values: dict[int, Array] = {}
        self._noted: dict[int, UnversionedWrite] = {}
        self._open: set[int] = set()

    def to(self, tensor: Array | None, shown: Array) -> None:
        """Redirect from a tensor to another; the first call begins the redirection."""
        begins = not self._shown
        if tensor is not None and tensor is not shown:
            self._shown[id(tensor)] = tensor, shown
            if id(tensor) in self._values:
                self._follow(tensor, shown)
            self._values[id(shown)] = shown
        if begins and self._shown:
            self._set_modes(lambda others: [self, *others])

    def _follow(self, before: Array, now: Array) -> None:
        """Redirect to the tensor `now` all that was redirected to `before`."""
        for key, (tensor, shown) in self._shown.items():
            if shown is before:
                self._shown[key] = tensor, now

    def leave(self) -> None:
        """End the redirection; may be repeated."""
        if self._shown:
            self._set_modes(lambda others: others)
        self._shown.clear()
        self._values.clear()
        self._noted.clear()
        self._open.clear()

    def _set_modes(self, arranged: Callable[[list[Any]], list[Any]]) -> None:
        """Arrange the modes of this thread; the outermost position is left alone by modes that end earlier."""
        others = [mode for mode in private.function_modes() if mode is not self]
        wanted = arranged(others)
        private.set_function_modes(wanted)

    # ---- what is found out -----------------------------------------------------------------------------------------

    def differentiated(self) -> list[Array]:
        """Return the users' own tensors that are replaced by differentiated ones."""
        return [
            tensor
            for tensor, shown in self._shown.values()
            if tensor.requires_grad and tensor.is_leaf and _is_differentiated(shown)
        ]

    def noted(self, shown: Array) -> UnversionedWrite | None:
        """Return in which way a tensor that is shown was written past its version, if in any."""
        if id(shown) in self._noted:
            return self._noted[id(shown)]
        return UnversionedWrite.PERHAPS if self._open and not self._open.isdisjoint(memories([shown])) else None

    # ---- operators -------------------------------------------------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator."""
        args = self._redirected(args)
        named = {name: self._redirected(value) for name, value in (kwargs or {}).items()}
        special = _SPECIAL.get(func)
        return func(*args, **named) if special is None else special(self, func, *args, **named)

    def _redirected(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._shown.get(id(value), (None, value))[1]
        if type(value) in (list, tuple):
            return type(value)(map(self._redirected, value))
        return value

    def _shows(self, tensor: Array) -> bool:
        """Return whether a tensor is shown here, and is not replaced in turn by a call within this one."""
        return id(tensor) in self._values and not any(id(tensor) in other._shown for other in _others_below())

    def _assign_data(self, func: Any, tensor: Array, new: Array) -> None:
        func(tensor, new)
        if self._shows(tensor):
            self._noted[id(tensor)] = UnversionedWrite.DATA

    def _open_memory(self, func: Any, tensor: Array, *args: Any, **kwargs: Any) -> Any:
        if func == READ_DATA and is_transformed():
            return tensor.detach()  # whose writes are seen, as those on .data are not within transforms
        self._open |= memories([tensor])
        return func(tensor, *args, **kwargs)

    def _embedding(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if any(isinstance(value, torch.Tensor) and self._shows(value) for value in given):
            return with_dense_gradient(func, args, kwargs)
        return func(*args, **kwargs)

    def _batch_norm(
        self,
        func: Any,
        input: Array,
        running_mean: Array | None,
        running_var: Array | None,
        weight: Array | None = None,
        bias: Array | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Any:
        """Call `torch.nn.functional.batch_norm`, or compute the same by operators that modes see."""
        given = input, running_mean, running_var, weight, bias, training, momentum, eps
        if running_mean is None or running_var is None:
            return functional.batch_norm(*given)
        shown = [tensor for tensor in (running_mean, running_var) if self._shows(tensor)]
        if not shown and _others_below():
            return functional.batch_norm(*given)  # a mode of these is asked next
        if training:
            self._noted.update(dict.fromkeys(map(id, shown), UnversionedWrite.STATISTICS))
        differentiated = running_mean.requires_grad or running_var.requires_grad
        if differentiated and not training:
            return batch_norm.with_fixed_statistics(input, running_mean, running_var, weight, bias, eps)
        if training and (differentiated or is_recording() or (shown and is_transformed())):
            return batch_norm.with_statistics_of_batch(
                input, running_mean, running_var, weight, bias, momentum, eps, self._replace
            )
        return functional.batch_norm(*given)

    def _native_batch_norm(
        self,
        func: Any,
        input: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        training: bool,
        momentum: float,
        eps: float,
        cudnn_enabled: bool,
    ) -> Any:
        return self._batch_norm(func, input, running_mean, running_var, weight, bias, training, momentum, eps)

    def _replace(self, shown: Array, new: Array) -> None:
        """Show `new` instead of a tensor that is shown in a slot; write to any other tensor."""
        if self._put(shown, new):
            self.to(shown, new)
        else:
            shown.copy_(new)


def _others_below() -> list[Redirect]:
    """Return the redirections of calls within this one, which are asked next."""
    return [mode for mode in private.function_modes() if isinstance(mode, Redirect)]


_SPECIAL: Final[dict[Any, Callable[..., Any]]] = {
    functional.batch_norm: Redirect._batch_norm,
    torch.batch_norm: Redirect._native_batch_norm,
    ASSIGN_DATA: Redirect._assign_data,
    READ_DATA: Redirect._open_memory,
    torch.Tensor.numpy: Redirect._open_memory,
    torch.Tensor.__array__: Redirect._open_memory,
    torch.Tensor.untyped_storage: Redirect._open_memory,
    torch.Tensor.data_ptr: Redirect._open_memory,
    torch.Tensor.__dlpack__: Redirect._open_memory,
    **dict.fromkeys(WHERE_SPARSE, Redirect._embedding),
}
"""Operators for which it is not enough to replace tensors."""


def _is_differentiated(tensor: Array) -> bool:
    """Return whether a tensor has a gradient or a tangent."""
    unpack: Any = forward_ad.unpack_dual
    return tensor.requires_grad or unpack(tensor).tangent is not None
