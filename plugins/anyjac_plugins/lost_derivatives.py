"""Derivatives that are lost to Python: which calls are watched, and the warning or error of a backend that sees a loss.

``float(x)`` hands out a number, and whatever is computed of a number counts as a constant. A framework that refuses to
hand one out needs nothing of this. Otherwise the backend looks at runs of functions while `is_watching`, and calls
`report` or `refuse`. Knows lines of source code, and no array.
"""

from __future__ import annotations

import dis
import inspect
import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import FrameType
from typing import Final

from .errors import LostDerivativeError, LostDerivativeWarning
from .interrupts import setting

_strict: ContextVar[bool | None] = ContextVar("anyjac_lost_derivatives", default=None)
"""Whether a loss is an error in the innermost watched call; None where no call is watched."""

_OURS: Final = ("anyjac", "anyjac_plugins", "numpy")
"""Packages in which no user's line stands, besides those that a backend names."""

_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_INSTALLED: Final = tuple(_LIBRARY + name + os.sep for name in ("site-packages", "dist-packages"))


def watching(strict: bool) -> AbstractContextManager[None]:
    """Make a context in which the losses of functions are seen; within a strict one, all are.

    Examples
    --------
    >>> from anyjac_plugins import lost_derivatives
    >>> with lost_derivatives.watching(strict=False):
    ...     lost_derivatives.is_watching()
    True
    >>> lost_derivatives.is_watching()
    False
    """
    return setting(_strict, strict or bool(_strict.get()))


def is_watching() -> bool:
    """Return whether a backend is to look for losses."""
    return _strict.get() is not None


def report(what: str, mend: str, packages: Collection[str] = ()) -> None:
    """Warn of a lost derivative, once for each line of the user's, or raise an error in a strict call.

    Numbers for text are let through: ``"%.3f" % x`` asks for them as ``float(x)`` does, in logging too.

    Parameters
    ----------
    what
        What loses the derivative, as ``"float(x)"``.
    mend
        What to write in its place.
    packages
        Names of packages in which no user's line stands: the backend's own, and its framework's.

    Raises
    ------
    LostDerivativeError
        In a call with ``strict=True``, or with ``ANYJAC_STRICT=1``.

    Examples
    --------
    >>> import warnings
    >>> from anyjac_plugins import lost_derivatives
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     lost_derivatives.report("float(x)", "compute with x itself")
    >>> print(str(seen[0].message).partition("line")[0])
    a derivative is lost: float(x) in
    """
    inner, place = _frames(packages)
    if _formats(inner):
        return
    text = _text(what, mend, place)
    if _strict.get():
        raise LostDerivativeError(text)
    registry = place.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        f"{text}; strict=True makes this an error",
        LostDerivativeWarning,
        place.f_code.co_filename,
        place.f_lineno,
        place.f_globals.get("__name__"),
        registry,
    )


def refuse(what: str, mend: str, packages: Collection[str] = ()) -> None:
    """Raise an error for a lost derivative, in strict calls and in others; see `report`.

    Raises
    ------
    LostDerivativeError
        Always.
    """
    raise LostDerivativeError(_text(what, mend, _frames(packages)[1]))


def _text(what: str, mend: str, place: FrameType) -> str:
    return (
        f"a derivative is lost: {what} in line {place.f_lineno} of {place.f_code.co_filename} gives what counts as a "
        f"constant, though it depends on a differentiated array; {mend}"
    )


def _frames(packages: Collection[str]) -> tuple[FrameType, FrameType]:
    """Return the frame that asked for numbers, and the frame of the user's line."""
    frames = list(_frames_outside((*_OURS, *packages)))
    return frames[0], next((frame for frame in frames if not _is_of_python(frame)), frames[0])


def _frames_outside(packages: Collection[str]) -> Iterator[FrameType]:
    """Yield the frames of other packages, the innermost first; the outermost of all, where there is none."""
    frame = inspect.currentframe()
    outermost = frame
    found = False
    while frame is not None:
        outermost = frame
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in packages:
            found = True
            yield frame
        frame = frame.f_back
    if not found and outermost is not None:
        yield outermost


def _is_of_python(frame: FrameType) -> bool:
    """Return whether a frame runs Python's own library."""
    filename = frame.f_code.co_filename
    return filename.startswith(("<frozen", _LIBRARY)) and not filename.startswith(_INSTALLED)


def _formats(frame: FrameType) -> bool:
    """Return whether a frame is at an operator ``%``, which asks arrays for numbers where it makes text alone."""
    at = frame.f_lasti
    return any(
        step.offset == at and step.opname == "BINARY_OP" and step.argrepr.startswith("%")
        for step in dis.get_instructions(frame.f_code)
    )
