"""Functions recorded as graphs of operators by `make_fx`, for `torch.compile`: one graph for each kind of tensors.

A graph holds the backward passes too, chunks and all, and nothing of Python; what the function finds elsewhere is a
constant of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch._C import _functorch
from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx

from anyjac_plugins import Array, Noted, StagedFunction

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


def is_recording() -> bool:
    """Tell whether operators are being recorded as a graph, in which each chunk of rows is spelled out."""
    return get_proxy_mode() is not None


class Staged:
    """A function that is compiled for each kind of tensors that it is called with.

    Where its tensors belong to a graph of `torch.autograd`, or a transform of `torch.func` runs, it is run as it is.
    """

    def __init__(self, fun: StagedFunction, compile: Compile):
        self._fun = fun
        self._compile = compile
        self._lock = threading.Lock()
        self._compiled: dict[Hashable, tuple[Callable[..., Sequence[Array]], Any]] = {}

    def __call__(self, *arrays: Any) -> Noted:
        tensors = [array if isinstance(array, torch.Tensor) else torch.as_tensor(array) for array in arrays]
        if _belongs_to_a_trace(tensors):
            return self._fun(*tensors)
        kind = tuple((tensor.shape, tensor.stride(), tensor.dtype, tensor.device) for tensor in tensors)
        found = self._compiled.get(kind)
        if found is None:
            found = self._compile_for(kind, tensors)
        compiled, note = found
        return Noted(note, compiled(*tensors))

    def _compile_for(self, kind: Hashable, tensors: Sequence[Array]) -> tuple[Callable[..., Sequence[Array]], Any]:
        notes = []

        def flat(*tensors: Array) -> Sequence[Array]:
            noted = self._fun(*tensors)
            notes.append(noted.note)
            return list(noted.arrays)

        with self._lock:  # PyTorch records for one thread at a time
            if kind not in self._compiled:
                graph: Any = make_fx(flat)(*tensors)
                compiled = (
                    self._compile(graph) if any(node.op == "call_function" for node in graph.graph.nodes) else graph
                )
                self._compiled[kind] = compiled, notes[0]
            return self._compiled[kind]


def _belongs_to_a_trace(tensors: Sequence[Array]) -> bool:
    if is_recording() or _functorch.peek_interpreter_stack() is not None:
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
