"""What a new backend may have kept of the skeleton, which begins with NumPy, without its arrays being NumPy's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

import anyjac
from anyjac import Backend


def leftovers(backend: Backend) -> Iterator[str]:
    """Yield sentences on members and lines of the hook that are the skeleton's, each with its mend.

    Only a backend that an installed plugin brings has a hook; of others the class alone is looked at.

    Parameters
    ----------
    backend
        The backend, which makes one array.

    Examples
    --------
    >>> import anyjac
    >>> from anyjac_conformance.leftovers import leftovers
    >>> list(leftovers(anyjac.get_backend("numpy")))
    []
    """
    framework = ""
    with contextlib.suppress(Exception):  # of a backend that is not finished, which the scenarios tell
        framework = type(backend.asarray(0.0)).__module__.partition(".")[0]
    if framework in ("", "numpy"):
        return
    if backend.version == np.__version__:
        yield f"version is that of NumPy, {np.__version__}; give the version of {framework}"
    info = next((each for each in anyjac.backends() if each.name == backend.name), None)
    if info is None or not info.requires:
        return
    if set(info.requires) <= {"numpy"}:
        yield f"the hook requires NumPy alone; give requires=({framework!r},), so that its absence is told by name"
    if not info.array_modules:
        yield (
            f"the hook has no array_modules; give array_modules=({framework!r},), by which a call chooses the backend, "
            "unless another backend has the same arrays"
        )
