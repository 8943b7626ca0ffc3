"""Functions that `torch.compile` has compiled, run uncompiled where a derivative of their derivative is wanted.

The backward pass that PyTorch compiles has no derivative: a second one through it is an error of PyTorch's, or zero
without a word, where the pass hides its inputs. Nor can a compiled function be recorded as a part of another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

from anyjac_plugins import Array
from anyjac_plugins.errors import NotSupportedError
from anyjac_plugins.locking import SafeLock

from .graphs import nodes_behind
from .private import compiler_is_loaded, unseen_by_the_compiler

_lock = SafeLock()
_running: set[object] = set()
"""Stand for the contexts that have begun; an interrupt between any two lines leaves none behind."""
_stance: Any = None


@contextlib.contextmanager
def compiled_functions_as_they_are() -> Iterator[None]:
    """Let compiled functions run uncompiled, in all threads, until the last of these contexts has ended.

    PyTorch has one stance for the whole process; other threads lose some speed, and no digit. What PyTorch compiles as
    a whole, the caller and compiled functions in it, has no stance to change.
    """
    if not compiler_is_loaded() or torch.compiler.is_compiling():
        yield
        return
    context = object()
    with unseen_by_the_compiler():  # which has to be out of the way for its stance to be changed
        try:
            _lock.run(partial(_begin, context))
            yield
        finally:
            _lock.run(partial(_end, context))


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


def _begin(context: object) -> None:
    global _stance
    if _stance is None:
        _stance = torch.compiler.set_stance("force_eager")
    _running.add(context)


def _end(context: object) -> None:
    global _stance
    _running.discard(context)
    if not _running and _stance is not None:
        stance, _stance = _stance, None
        stance.__exit__(None, None, None)
