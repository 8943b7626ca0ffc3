"""Errors of NumPy and autograd for traced numbers in the wrong place, and their meaning."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Any, Final

from autograd.tracer import isbox

from anyjac_plugins.errors import LostDerivativeError

from .plain_numpy.objects import is_array_of_objects

_FOREIGN: Final = re.compile(r"Can't differentiate w\.r\.t\. type <class '(\w+)\.")
_OBJECTS: Final = re.compile(
    r"dtype\('O'\)|[Oo]bject arrays|dtype object|not supported for the input types|object dtype"
)


def explained(error: Exception) -> str | None:
    """Return what is meant by an error; None where there is nothing to say."""
    cause = error.__cause__
    if isinstance(error, ValueError) and isinstance(cause, LostDerivativeError) and "an array element" in str(error):
        return f"{_asked_by(error)}{cause}"  # of a box that was asked for its number
    foreign = _FOREIGN.search(str(error))
    if foreign is not None:
        return (
            f"an array of {foreign.group(1)} meets a traced array of autograd: pass backend={foreign.group(1)!r} to "
            f"the transform, or convert what is constant by numpy.asarray"
        )
    if isinstance(error, TypeError | ValueError) and _OBJECTS.search(str(error)) and any(_objects_near(error)):
        return (
            f"a function was given an array of objects that holds traced numbers, and which it cannot take: put the "
            f"numbers together with np.stack, not np.array ({error})"
        )
    return None


def _asked_by(error: Exception) -> str:
    """Return, where a library other than NumPy asked for a number, the mend that its own backend is."""
    trace: types.TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
    return f"for functions of {module} pass backend={module!r}; " if module in ("jax", "torch") else ""


def _objects_near(error: Exception) -> Iterator[bool]:
    """Yield, for the variables of the last frames of a traceback, whether they are arrays of traced numbers."""
    trace: types.TracebackType | None = error.__traceback__
    while trace is not None:
        for value in trace.tb_frame.f_locals.values():
            yield _holds_boxes(value)
        trace = trace.tb_next


def _holds_boxes(value: Any) -> bool:
    return is_array_of_objects(value) and any(map(isbox, value.ravel()))
