"""Models of other libraries as they were when a function ended, shown to them again while its run is differentiated.

A rule of the user's may run a model once more in the pass back, as an adjoint method does: it has to meet the values
that are differentiated there. Knows holders and ownership, nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from anyjac_plugins import Backend, ModelLibrary
from anyjac_plugins.interrupts import run_and_end

from ..trees.structure import flatten
from . import ownership
from .bound import BoundVariable
from .showing import Showing

Result = TypeVar("Result")


class Resumption:
    """What models held when a function ended.

    Parameters
    ----------
    backend
        The backend of the call.
    owner
        Owns the models for the call, as long as the call runs.
    owner_now
        Returns what owns Variables for the innermost call that runs, None where none does.
    models
        The models, with their libraries.
    contents
        What each slot held.
    """

    def __init__(
        self,
        backend: Backend,
        owner: ownership.Owner,
        owner_now: Callable[[], ownership.Owner | None],
        models: Sequence[tuple[ModelLibrary, Any]],
        contents: Sequence[tuple[BoundVariable, Any]],
    ):
        self._backend = backend
        self._owner = owner
        self._owner_now = owner_now
        self._models = models
        self._contents = contents

    def run(self, work: Callable[[], Result]) -> Result:
        """Do some work while models hold what they held, and return its result.

        What the work changes in them is forgotten: it has been stored for the run itself.
        """
        showing = Showing()
        owns = all(ownership.owner_of(variable) is self._owner for variable, _ in self._contents)
        around = self._owner if owns else self._owner_now()
        owner = ownership.Owner() if around is None else around

        def within() -> Result:
            for variable, _ in self._contents:
                ownership.acquire(owner, variable)
            for library, model in self._models:
                showing.attach(library, model)
            for variable, content in self._contents:
                showing.show(variable, self._fresh(content))
            return work()

        def end() -> None:
            for _ in showing.end():
                pass
            if around is None:
                ownership.release_all(owner)

        return run_and_end(within, end)

    def _fresh(self, content: Any) -> Any:
        """Return a content with copies of what is not differentiated, which the work may write."""
        leaves, tree = flatten(content)
        is_array, is_traced = self._backend.is_array, self._backend.is_traced
        return tree.unflatten(
            [self._backend.copy(leaf) if is_array(leaf) and not is_traced(leaf) else leaf for leaf in leaves]
        )
