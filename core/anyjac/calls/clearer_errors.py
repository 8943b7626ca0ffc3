"""Errors that hide their cause: a function of one framework was given traced arrays of another.

The frameworks say what they cannot take, and not what was meant. Their backends know their words; this file puts the
reason and the mend in front.
"""

from __future__ import annotations

import dis
from typing import Final

from anyjac_plugins import AnyjacError, Backend
from anyjac_plugins.errors import InputTypeError, MixedBackendsError, TracerLeakError
from anyjac_plugins.tracebacks import innermost, module_of

from ..selection.choice import imported_backends

_POSSIBLE: Final = (TypeError, ValueError, RuntimeError, AttributeError)
_RAISE: Final = dis.opmap["RAISE_VARARGS"]


def clearer_error(error: Exception, backend: Backend) -> AnyjacError | None:
    """Return an error that names the cause of an error of a framework; None where there is nothing to add.

    Parameters
    ----------
    error
        What came out of a call.
    backend
        The backend of the call.
    """
    if isinstance(error, AnyjacError) or not isinstance(error, _POSSIBLE) or _is_raised_by_user(error):
        return None
    if backend.finds_ended(error):
        return TracerLeakError.of_ended_trace()
    meant = backend.explained(error)
    if meant is not None:
        return meant if isinstance(meant, AnyjacError) else InputTypeError(meant)
    if not any(name in str(error) for name in backend.array_names):
        return None
    for other in imported_backends():
        if other.name != backend.name and other.refuses(error):
            return MixedBackendsError(
                f"a function of {other.name} was given an array of this call, which runs on {backend.name!r} and "
                f"traces its arrays: pass backend={other.name!r}, or arrays of {other.name}, or take functions from "
                f"anyjac.array_namespace(x)"
            )
    return None


def _is_raised_by_user(error: Exception) -> bool:
    """Return whether a statement in the last function of the traceback has raised the error, and no library.

    Code of frameworks is written in statements too, but stands in frames of frameworks.
    """
    trace = innermost(error)
    if trace is None or trace.tb_lasti < 0 or "site-packages" in trace.tb_frame.f_code.co_filename:
        return False
    if module_of(trace).startswith("anyjac."):  # the function is one of a library, called by a file of ours
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE
