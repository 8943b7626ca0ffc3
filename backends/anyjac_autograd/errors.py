"""Errors of NumPy and autograd for traced numbers in the wrong place, and their meaning."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Any, Final

from autograd.tracer import isbox

from anyjac_plugins.errors import LostDerivativeError
from anyjac_plugins.tracebacks import innermost, module_of

from .plain_numpy.objects import is_array_of_objects

_FOREIGN: Final = re.compile(r"Can't differentiate w\.r\.t\. type <class '(\w+)\.")
_OBJECTS: Final = re.compile(
    r"dtype\('O'\)|[Oo]bject arrays|dtype object|object dtype|not supported for the input types|loop of ufunc"
    r"|unsupported data types"
)

_NO_METHOD: Final = "which has no callable"
"""What NumPy says of a number among traced ones, in an array of objects, that a function is applied to."""


def explained(error: Exception) -> str | None:
    """Return what is meant by an error; None where there is nothing to say."""
    cause = error.__cause__
    if isinstance(error, ValueError) and isinstance(cause, LostDerivativeError) and "an array element" in str(error):
        return f"{_asked_by(error)}{cause}"  # of a box that was asked for its number
    foreign = _FOREIGN.search(str(error))
    if foreign is not None:
        named = foreign.group(1)
        backend = "" if named == "numpy" else f"pass backend={named!r} to the transform, or "
        kind = "of a subclass of numpy.ndarray" if named == "numpy" else f"of {named}"
        return f"an array {kind} meets a traced array of autograd: {backend}convert what is constant by numpy.asarray"
    if (
        isinstance(error, TypeError | ValueError | RuntimeError)
        and _OBJECTS.search(str(error))
        and (_NO_METHOD in str(error) or any(_objects_near(error)))
    ):
        return (
            f"a function that autograd does not know has made an array of objects of traced numbers, or was given one: "
            f"use functions of numpy, or those of autograd.scipy, and put numbers together with np.stack ({error})"
        )
    return None


def _asked_by(error: Exception) -> str:
    """Return, where a library other than NumPy asked for a number, the mend that its own backend is."""
    module = module_of(innermost(error)).partition(".")[0]
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
