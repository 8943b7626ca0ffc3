"""PyTorch's modules as models: their parameters and buffers, and parameters that stand alone.

While a function runs, its values stand in the modules' own dicts, as under `torch.func.functional_call`. Code that
refers to a parameter or buffer by another way, as a closure does, or the list of weights in an LSTM, is redirected to
them where it calls an operator. Knows nothing of Variables.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from anyjac_plugins import Holder, ModelLibrary, Session, hookimpl
from anyjac_plugins.errors import InputTypeError, InputValueError, NotSupportedError, VariableWriteError

from ..graphs import nodes_behind
from ..modes import is_recording
from ..private import AccumulateGrad, is_wrapped, version_kept, version_of, without_overrides
from ..torch_func import layers
from ..writes import same
from .parametrizations import OwnCache
from .redirect import Redirect, UnversionedWrite

_Dict = dict[str, "torch.Tensor | None"]


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe PyTorch's modules."""
    return TorchModels()


class TorchModels(ModelLibrary):
    """Modules, by the names that their ``state_dict`` has, and parameters."""

    interface_version = 2

    def holder(self, obj: object) -> Holder | None:
        if not isinstance(obj, torch.nn.Parameter):
            return None
        _refuse_unready(obj, "the parameter")
        known = _known_slot(obj)
        if known is not None:
            return _ModuleSlot(*known)
        if not obj.requires_grad:
            raise InputTypeError(
                "grad_vars has a torch.nn.Parameter that requires no gradient, and of which the module is not known; "
                "name it by its module, as anyjac.variables(module) does"
            )
        return _LoneParameter(obj)

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        if not isinstance(obj, torch.nn.Module):
            return None
        found: dict[str, Holder] = {}
        known: dict[int, _ModuleSlot] = {}
        for prefix, module in obj.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                raise NotSupportedError(
                    f"the module {prefix or type(module).__name__!r} is a ScriptModule, whose parameters cannot be "
                    f"replaced while it runs; use the module that it was made of"
                )
            for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
                if tensor is None:
                    continue
                path = f"{prefix}.{name}" if prefix else name
                _refuse_unready(tensor, path)
                slot = known.get(id(tensor))
                if slot is None:
                    slot = found[path] = known[id(tensor)] = _ModuleSlot(*_first_slot(tensor, module, name))
                slot.add((module, name))
        return found

    def session(self) -> Session:
        return _Session()


_first_slots: dict[int, tuple[weakref.ref[torch.Tensor], weakref.ref[torch.nn.Module], str]] = {}
"""The slot where each parameter was found first, by its identity: the parameter's Variable from then on."""

_shown_by: dict[int, _TensorHolder] = {}
"""The holders that now show other tensors instead of the user's own, by the identities of the latter."""


def _known_slot(tensor: torch.Tensor) -> tuple[torch.nn.Module, str] | None:
    found = _first_slots.get(id(tensor))
    module = None if found is None or found[0]() is not tensor else found[1]()
    if found is None or module is None or _tensor_at((module, found[2])) is not tensor:
        return None
    return module, found[2]


def _first_slot(tensor: torch.Tensor, module: torch.nn.Module, name: str) -> tuple[torch.nn.Module, str]:
    known = _known_slot(tensor)
    if known is not None:
        return known
    if isinstance(tensor, torch.nn.Parameter):
        forget = partial(_forget, id(tensor))
        _first_slots[id(tensor)] = weakref.ref(tensor, forget), weakref.ref(module), name
    return module, name


def _forget(identity: int, reference: object) -> None:
    found = _first_slots.get(identity)
    if found is not None and found[0] is reference:
        del _first_slots[identity]


def _refuse_unready(tensor: torch.Tensor, where: str) -> None:
    if isinstance(tensor, UninitializedBuffer | UninitializedParameter):
        raise InputTypeError(f"{where} of a lazy module has no shape yet; call the module once before")


class _TensorHolder(Holder):
    """Base of the holders of tensors.

    Attributes
    ----------
    original
        The user's own tensor, while another one is shown; None at other times.
    keeps_version
        Whether batch normalisation writes its statistics there, without counting up a version for PyTorch's graphs.
    """

    backend = "torch"
    original: torch.Tensor | None = None
    keeps_version = False

    @property
    def trainable(self) -> bool:
        tensor = self.content() if self.original is None else self.original
        with without_overrides():
            return isinstance(tensor, torch.nn.Parameter) and tensor.requires_grad

    def value(self, content: Any) -> Any:
        return content.detach()

    def kept(self, content: Any) -> Any:
        return content.detach().clone()

    def has_moved(self, content: Any, kept: Any) -> bool:
        """Compare: `torch.utils.checkpoint` runs a module again in the pass back, past all that it is shown."""
        with without_overrides():
            return not (is_recording() or is_wrapped(content) or is_wrapped(kept) or same(content, kept))

    def stored(self, content: Any, value: Any) -> Any:
        """Write into the very tensor, which an optimizer may know too.

        Replace it where the type is another, and where it belongs to a graph of PyTorch's, which is to stay as it is.
        """
        alike = (content.shape, content.dtype, content.device) == (value.shape, value.dtype, value.device)
        if not alike or content.grad_fn is not None:
            is_parameter = isinstance(content, torch.nn.Parameter)
            return torch.nn.Parameter(value, content.requires_grad) if is_parameter else value
        keeps_version = self.keeps_version and not content.is_inference()  # which has none
        with torch.no_grad(), version_kept(content) if keeps_version else contextlib.nullcontext():
            content.copy_(value)
        return content

    def begin(self) -> None:
        """Take note of the user's own tensor, before another is shown."""
        content = self.content()
        if _shown_by.setdefault(id(content), self) is not self:
            raise InputValueError(
                "a parameter is differentiated by itself and as part of a module at the same time; name it in one way, "
                "as anyjac.variables(module) does"
            )
        self.original = content

    def finish(self) -> None:
        """Forget the user's own tensor, when it is held again."""
        if self.original is not None and _shown_by.get(id(self.original)) is self:
            del _shown_by[id(self.original)]
        self.original = None


_Name = tuple[torch.nn.Module, str]


class _ModuleSlot(_TensorHolder):
    """A parameter or buffer by its module and name; slots that share a tensor are one holder."""

    def __init__(self, module: torch.nn.Module, name: str):
        self.anchor = module
        self.slot = name
        self.others: tuple[_Name, ...] = ()
        self._tied: tuple[_Name, ...] = ()

    @property
    def name(self) -> _Name:
        """Its module, and its name there."""
        assert isinstance(self.anchor, torch.nn.Module)
        assert isinstance(self.slot, str)
        return self.anchor, self.slot

    def merge(self, other: Holder) -> None:
        assert isinstance(other, _ModuleSlot)
        for name in other.others:
            self.add(name)

    def add(self, name: _Name) -> None:
        """Take note of another slot that has the tensor."""
        known = ((id(module), there) for module, there in (self.name, *self.others))
        if (id(name[0]), name[1]) not in known:
            self.others += (name,)

    def content(self) -> Any:
        return _tensor_at(self.name)

    def put(self, content: Any) -> None:
        for module, name in (self.name, *(self._tied_now() if self.original is None else self._tied)):
            _dict_with(module, name)[name] = content

    def begin(self) -> None:
        self._tied = self._tied_now()
        super().begin()

    def finish(self) -> None:
        super().finish()
        self._tied = ()

    def _tied_now(self) -> tuple[_Name, ...]:
        tensor = self.content()
        return tuple(other for other in self.others if _tensor_at(other) is tensor)


def _tensor_at(name: _Name) -> torch.Tensor | None:
    return _dict_with(*name).get(name[1])


def _dict_with(module: torch.nn.Module, name: str) -> _Dict:
    parameters: Any = module._parameters
    return parameters if name in parameters else module._buffers


class _LoneParameter(_TensorHolder):
    """A parameter whose module is not known; operators that are called with it get the tensor shown instead."""

    def __init__(self, parameter: torch.nn.Parameter):
        self.anchor = parameter
        self._shown: Any = parameter

    def content(self) -> Any:
        return self._shown

    def put(self, content: Any) -> None:
        self._shown = content

    def stored(self, content: Any, value: Any) -> Any:
        stored = super().stored(content, value)
        if stored is not content:
            raise VariableWriteError(
                f"a torch.nn.Parameter of {content.dtype}{list(content.shape)} was given {value.dtype}"
                f"{list(value.shape)}; name it by its module, as anyjac.variables(module) does, to replace it"
            )
        return stored


class _Session(Session):
    """Shows tensors to modules, and redirects operators that are called with replaced tensors."""

    def __init__(self) -> None:
        self._holders: dict[int, _TensorHolder] = {}
        self._redirect = Redirect(partial(_put_instead, self._holders))
        self._cache = OwnCache()
        self._begun: list[_TensorHolder] = []
        self._modules: list[tuple[str, Any, _Dict]] = []
        self._weights: list[tuple[torch.nn.RNNBase, dict[str, Any]]] = []

    def attach(self, model: object) -> None:
        assert isinstance(model, torch.nn.Module)
        for prefix, module in model.named_modules():
            self._modules += [(prefix, names, dict(names)) for names in (module._parameters, module._buffers)]
            if isinstance(module, torch.nn.RNNBase):  # which keeps lists of its weights besides its dicts
                self._weights.append((module, {name: getattr(module, name) for name in _RNN_LISTS}))

    def show(self, holder: Holder, value: Any) -> None:
        assert isinstance(holder, _TensorHolder)
        if not self._holders:
            self._cache.begin()
        before = holder.content()
        if holder.original is None:
            holder.begin()
            self._begun.append(holder)
        holder.put(value)
        self._holders[id(value)] = holder
        self._redirect.to(holder.original, value)
        self._redirect.to(before, value)  # an outer call may show another tensor

    def wrote(self, holder: Holder, before: Any, value: Any) -> bool:
        """Return whether the redirection knows of a write; compare the numbers where nobody can know."""
        assert isinstance(holder, _TensorHolder)
        how = self._redirect.noted(value)
        if how is UnversionedWrite.STATISTICS:
            holder.keeps_version = True
        if how is UnversionedWrite.STATISTICS or how is UnversionedWrite.DATA:
            return True
        if how is None and not _is_trained(holder):
            return False
        if is_recording() or is_wrapped(value) or is_wrapped(before):
            return False
        with without_overrides():
            return version_of(value) == 0 and not same(before, value)

    def check(self, outputs: list[Any]) -> None:
        with without_overrides():
            if _reaches(outputs, self._redirect.differentiated()):
                raise NotSupportedError(
                    "the function uses a parameter that it differentiates in a way that goes past PyTorch's operators, "
                    "as the apply of a torch.autograd.Function does, or a compiled script: name it by its module, as "
                    "anyjac.variables(module) does, and let the function read it there"
                )

    def end(self) -> str | None:
        self._redirect.leave()
        self._cache.end()
        refusals = [_put_names_back(*names) for names in self._modules]
        for module, lists in self._weights:
            module.__dict__.update(lists)
        for holder in self._begun:
            holder.finish()
        for done in (self._modules, self._weights, self._begun, self._holders):
            done.clear()
        return next(filter(None, refusals), None)


def _put_instead(holders: dict[int, _TensorHolder], shown: torch.Tensor, new: torch.Tensor) -> bool:
    """Put a tensor into the slot in which another is shown; return whether there is such a slot."""
    holder = holders.get(id(shown))
    if holder is None:
        return False
    holder.put(new)
    holders[id(new)] = holder
    return True


def _is_trained(holder: _TensorHolder) -> bool:
    """Return whether a slot holds a buffer in training, which kernels in scripts may write past all redirection."""
    return isinstance(holder, _ModuleSlot) and holder.name[1] in holder.name[0]._buffers and holder.name[0].training


_RNN_LISTS = ("_flat_weights", "_flat_weight_refs")


def _put_names_back(prefix: str, names: Any, before: _Dict) -> str | None:
    """Undo changes of a module's names, and return a phrase on them; tensors are put back elsewhere."""
    done = None
    for name in [name for name in names if name not in before]:
        del names[name]
        done = f"gave {name!r} to"
    for name, tensor in before.items():
        if name not in names or (tensor is None and names[name] is not None):
            names[name] = tensor
            done = f"changed {name!r} of"
    if done is None:
        return None
    where = f"the module {prefix!r}" if prefix else "the module"
    return (
        f"the function {done} {where}, and a transform stores values alone; let the module have its final parameters "
        f"and buffers before, by a first call outside of it, say"
    )


def _reaches(outputs: Sequence[Any], tensors: Sequence[torch.Tensor]) -> bool:
    """Return whether outputs depend on any of some leaves, past the transforms of `torch.func` around them too."""
    wanted = set(map(id, tensors))
    if not wanted:
        return False
    nodes = nodes_behind(layer for output in outputs for layer in layers(output))
    return any(isinstance(node, AccumulateGrad) and id(node.variable) in wanted for node in nodes)
