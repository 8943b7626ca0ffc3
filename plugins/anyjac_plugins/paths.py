"""The ways in which a backend of several computes, and the choice of one by force: for tests, and to compare them."""

from __future__ import annotations

import functools

from . import environment
from .errors import InputValueError


class Paths:
    """The names of the ways in which a backend computes; what they give is the same.

    Parameters
    ----------
    backend
        Name of the backend, as ``ANYJAC_FORCE_PATH`` has it.
    names
        Those of its ways.

    Examples
    --------
    >>> from anyjac_plugins import Paths
    >>> paths = Paths("mine", "batched", "loop")
    >>> paths.forced, paths.names
    (None, ('batched', 'loop'))
    >>> paths.force("loop")
    >>> paths.forced
    'loop'
    """

    def __init__(self, backend: str, *names: str):
        self.backend = backend
        self.names = names

    @functools.cached_property
    def forced(self) -> str | None:
        """The one to take, whatever would be chosen; None to choose. By default as ``ANYJAC_FORCE_PATH`` says."""
        return environment.forced_path(self.backend, self.names)

    def force(self, name: str | None) -> None:
        """Let the backend take one of its paths from now on, or choose again for None.

        Raises
        ------
        InputValueError
            If it has no path of that name.
        """
        if name is not None and name not in self.names:
            raise InputValueError(f"backend {self.backend!r} has no path {name!r}; it has {', '.join(self.names)}")
        self.forced = name
