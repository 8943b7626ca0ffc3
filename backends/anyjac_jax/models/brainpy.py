"""BrainPy as a library of models: its objects, by the paths to their Variables, which are states of BrainState."""

from __future__ import annotations

from collections.abc import Mapping

import brainpy.math as bm

from anyjac_plugins import Holder, ModelLibrary, Session, hookimpl

from .brainstate import StateHolder, StateSession


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe BrainPy."""
    return BrainPyModels()


class BrainPyModels(ModelLibrary):
    """Objects of BrainPy, by the names under which BrainPy itself collects their Variables."""

    interface_version = 2

    def holder(self, obj: object) -> Holder | None:
        return StateHolder(obj, isinstance(obj, bm.TrainVar)) if isinstance(obj, bm.Variable) else None

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        if not isinstance(obj, bm.BrainPyObject):
            return None
        found = obj.vars(method="relative").unique()
        return {path: StateHolder(variable, isinstance(variable, bm.TrainVar)) for path, variable in found.items()}

    def session(self) -> Session:
        return StateSession()
