"""Functions that `torch.compile` has compiled, run uncompiled where a derivative of their derivative is wanted.

The backward pass that PyTorch compiles has no derivative: a second one through it is an error of PyTorch's, or zero
without a word, where the pass hides its inputs. Nor can a compiled function be recorded as a part of another.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from anyjac_plugins import Array
from anyjac_plugins.errors import NotSupportedError

from .graphs import nodes_behind
from .private import compiler_is_loaded

_lock = threading.Lock()
_running = 0
_stance: Any = None


@contextlib.contextmanager
def compiled_functions_as_they_are() -> Iterator[None]:
    """Let compiled functions run uncompiled, in all threads, until the last of these contexts has ended.

    PyTorch has one stance for the whole process; other threads lose some speed, and no digit. Where PyTorch compiles
    the caller, it changes no stance, and makes a compiled function a part of the caller.
    """
    if not compiler_is_loaded() or torch.compiler.is_compiling():
        yield
        return
    began = False
    try:
        began = _begin()
        yield
    finally:
        if began:
            _end()


def refuse_compiled_passes(results: Sequence[Array]) -> None:
    """Refuse results whose backward pass was compiled, where that pass is to be differentiated.

    Raises
    ------
    NotSupportedError
        Naming what to do.
    """
    if any(type(node).__name__ == "CompiledFunctionBackward" for node in nodes_behind(results)):
        raise NotSupportedError(
            "a function that torch.compile has compiled has no second derivatives here; compile around the derivative, "
            "by torch.compile or anyjac.jit, and not within it"
        )


def _begin() -> bool:
    """Count one more context, and return whether it has begun."""
    global _running, _stance
    with _lock:
        if _running == 0:
            try:
                _stance = torch.compiler.set_stance("force_eager")
            except RuntimeError:  # the caller runs while PyTorch compiles what is around it
                return False
        _running += 1
        return True


def _end() -> None:
    global _running, _stance
    with _lock:
        _running -= 1
        if _running == 0:
            _stance.__exit__(None, None, None)
            _stance = None
