"""Writes of a run to memory, found by the schemas of its operators, and undone if the run was for nothing.

Versions of tensors do not show them all: while a graph is recorded, operators on lists of tensors leave versions as
they are; at any time so do writes to ``.data`` and of running statistics. Knows tensors alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import torch

from anyjac_plugins import Array

from . import private
from .modes import is_recording
from .private import OperatorMode, is_wrapped
from .random_states import RandomStates
from .torch_func import layers

_STATISTICS = ("running_mean", "running_var")

_UNTOLD = (
    "aten::native_batch_norm",
    "aten::cudnn_batch_norm",
    "aten::miopen_batch_norm",
    "aten::batch_norm_gather_stats",
    "aten::batch_norm_gather_stats_with_counts",
    "aten::batch_norm_update_stats",
)
"""Operators that write statistics in training, though their schemas do not say so."""


class Writes(OperatorMode):
    """A mode that follows a run, and saves memory from outside the run before an operator writes there.

    Parameters
    ----------
    own
        Tensors that count as made by the run.
    random
        Is shown the generators of random numbers that operators are given.

    Attributes
    ----------
    elsewhere
        Tensors that the run has found elsewhere and written.
    """

    supports_higher_order_operators = True

    def __init__(self, own: Iterable[Array], random: RandomStates) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elsewhere: list[Array] = []
        self._random = random
        self._own = memories(own)
        self._written: set[int] = set()
        self._given_data: dict[int, Array] = {}
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator."""
        named = kwargs or {}
        if isinstance(generator := named.get("generator"), torch.Generator):
            self._random.take_note(generator)
        for tensor in _written_by(func, args, named):
            self._take_note(tensor)
        given = list(tensors_in((args, tuple(named.values()))))
        results = func(*args, **named)
        made = [tensor for tensor in tensors_in(results) if all(tensor is not other for other in given)]
        new = memories(made) - memories(given)
        self._own |= new
        self._written -= new  # addresses of memory that was freed
        return results

    def wrote(self, tensor: Array) -> bool:
        """Return whether a tensor was written."""
        return id(tensor) in self._given_data or not self._written.isdisjoint(memories(layers(tensor)))

    def keep(self) -> None:
        """Leave all memory as the run has left it."""
        self._before.clear()

    def undo(self) -> None:
        """Restore memory to its contents before the run, unless `keep` was called; may be repeated."""
        for memory, before in self._before.values():
            _fill(memory, before)
        self._before.clear()

    @contextlib.contextmanager
    def set_back(self) -> Iterator[None]:
        """Give memory elsewhere, for the time of the context, its contents from before the run."""
        after: list[Any] = [memory.clone() for memory, _ in self._before.values()]  # type: ignore[no-untyped-call]
        try:
            for memory, before in self._before.values():
                _fill(memory, before)
            yield
        finally:
            for (memory, _), contents in zip(self._before.values(), after, strict=True):
                _fill(memory, contents)

    def take_note_of_other_data(self, tensor: Array) -> None:
        """Take note of a tensor that has other memory now."""
        self._given_data[id(tensor)] = tensor

    def _take_note(self, tensor: Array) -> None:
        memory = _memory(tensor)
        if memory is None:
            return
        self._written.add(memory._cdata)
        if memory._cdata in self._own:
            return
        if all(tensor is not known for known in self.elsewhere):
            self.elsewhere.append(tensor)
        if memory._cdata not in self._before:
            with private.without_dispatch_modes():  # the copy is no step of a graph that is recorded
                copy: Any = memory.clone()  # type: ignore[no-untyped-call]
                self._before[memory._cdata] = memory, copy


def _fill(memory: torch.UntypedStorage, contents: torch.UntypedStorage) -> None:
    if memory.nbytes() != contents.nbytes():
        memory.resize_(contents.nbytes())
    memory.copy_(contents)


def was_written(copy: Array, original: Array) -> bool:
    """Return whether a copy was written in a way that its version does not show.

    A run that is followed knows. Within a transform of `torch.func` the numbers are compared.
    """
    if private.dispatch_mode_count():
        followers = [mode for mode in private.dispatch_modes() if isinstance(mode, Writes)]
        if followers or is_recording():
            return any(mode.wrote(copy) for mode in followers)
    if not is_wrapped(copy):
        return False
    *_, copied = layers(copy)
    *_, copied_from = layers(original)
    with private.outside_transforms():
        return not same(copied, copied_from)


def same(left: Array, right: Array) -> bool:
    """Return whether two tensors hold the same numbers; NaN equals NaN."""
    if (left.shape, left.device) != (right.shape, right.device):  # tensors of two devices are not compared
        return False
    equal: bool = torch.equal(left, right)
    return equal or bool(((left == right) | ((left != left) & (right != right))).all())


def _memory(tensor: Array) -> torch.UntypedStorage | None:
    """Return the memory of a tensor; None for sparse tensors and some subclasses, which have none of their own."""
    try:
        return None if tensor.is_meta else tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None


def memories(tensors: Iterable[Array]) -> set[int]:
    """Return the addresses of the tensors' memory, valid as long as the memory is there."""
    return {memory._cdata for memory in map(_memory, tensors) if memory is not None}


def tensors_in(value: Any) -> Iterator[Array]:
    """Yield a tensor, or the tensors in lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def _written_by(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Array]:
    """Yield the tensors among its arguments that an operator writes."""
    for index, name in _parameters_written(func):
        yield from tensors_in(args[index] if index < len(args) else kwargs.get(name))
    if _may_write_statistics(func):
        given = {parameter.name: value for parameter, value in zip(func._schema.arguments, args, strict=False)}
        given.update(kwargs)
        if given.get("training", True):
            yield from tensors_in([given.get(name) for name in _STATISTICS])


@cache
def _parameters_written(func: Any) -> tuple[tuple[int, str], ...]:
    """Return index and name of the arguments that the schema of an operator calls written."""
    schema = getattr(func, "_schema", None)  # operators of higher order have none, and write nothing
    return tuple(
        (index, parameter.name)
        for index, parameter in enumerate(() if schema is None else schema.arguments)
        if parameter.alias_info is not None and parameter.alias_info.is_write
    )


@cache
def _may_write_statistics(func: Any) -> bool:
    schema = getattr(func, "_schema", None)
    return schema is not None and schema.name in _UNTOLD
