"""Flax NNX as a library of models: modules and other objects of `flax.nnx`, and the `nnx.Variable` by itself.

While a function runs, its values stand in the Variables of NNX as their raw values, and in the attributes of objects
that hold arrays without a Variable. What else a function does to a model is undone, and refused: see `nnx_objects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError

from anyjac_plugins import Holder, ModelLibrary, Session, hookimpl
from anyjac_plugins.errors import NotSupportedError

from .nnx_objects import SETTINGS, Keeper, ObjectKeeper, Slot, VariableKeeper, arrays_of, is_part, objects_in, path_of
from .traces import in_same_traces


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe NNX."""
    return NnxModels()


class NnxModels(ModelLibrary):
    """Objects of NNX, by the attributes that lead to their Variables."""

    interface_version = 2

    def holder(self, obj: object) -> Holder | None:
        return _holder(obj) if isinstance(obj, nnx.Variable) else None

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        if not isinstance(obj, nnx.Pytree):
            return None
        found: dict[str, Holder] = {}
        for steps, node in nnx.iter_graph(obj):
            if isinstance(node, SETTINGS):
                continue
            if isinstance(node, nnx.Variable):
                found[path_of(steps)] = _holder(node)
            elif isinstance(node, nnx.Pytree):
                found.update({path_of((*steps, step)): _ArrayHolder(node, name) for step, name in arrays_of(node)})
        return found

    def objects(self, model: object) -> Sequence[object]:
        return objects_in(model) if isinstance(model, nnx.Pytree) else ()

    def holds_back(self, leaf: object, container: object) -> bool:
        """Hold back integers and keys of NNX; other containers of Flax are differentiated as those of JAX are."""
        if not is_part(container):
            return False
        if isinstance(leaf, (jax.Array, np.ndarray)):
            return not jnp.issubdtype(leaf.dtype, jnp.inexact)
        return isinstance(leaf, int)

    def advice(self, error: Exception) -> str | None:
        if not isinstance(error, TraceContextError):
            return None
        return (
            "In a transform of anyjac, name the module in grad_vars, with argnums for the arguments that are to be "
            "differentiated: then its Variables take part in the call and may be written. Within jax.lax.scan and the "
            "like no module from outside may be; take nnx.scan and the like, and pass them the module."
        )

    def session(self) -> Session:
        return _Session()


def _holder(variable: nnx.Variable[Any]) -> Holder:
    if variable.ref or variable.hijax:
        raise NotSupportedError(
            f"an nnx.{type(variable).__name__} that holds a mutable array of JAX cannot be shown another value; make "
            f"it without ref=True and hijax=True"
        )
    return _VariableHolder(variable)


class _VariableHolder(Holder):
    """A Variable of NNX; parameters are trained."""

    backend = "jax"

    def __init__(self, variable: nnx.Variable[Any]):
        self.anchor: nnx.Variable[Any] = variable

    @property
    def trainable(self) -> bool:
        return isinstance(self.anchor, nnx.Param)

    def content(self) -> Any:
        return self.anchor.get_raw_value()

    def put(self, content: Any) -> None:
        object.__setattr__(self.anchor, "_raw_value", content)

    def takes(self, traced: Any) -> bool:
        return in_same_traces(self.content(), traced)


class _ArrayHolder(Holder):
    """An attribute that holds an array, or a list, tuple or dict of arrays."""

    backend = "jax"

    def __init__(self, obj: nnx.Pytree, name: str):
        self.anchor: nnx.Pytree = obj
        self.slot: str = name

    @property
    def trainable(self) -> bool:
        return False

    def content(self) -> Any:
        return vars(self.anchor).get(self.slot)

    def put(self, content: Any) -> None:
        vars(self.anchor)[self.slot] = content

    def takes(self, traced: Any) -> bool:
        return in_same_traces(self.content(), traced)


class _Session(Session):
    """Lets the code of a call change the objects that are shown to it, and undoes all changes but those of values."""

    def __init__(self) -> None:
        self._variables: dict[int, VariableKeeper] = {}
        self._objects: dict[int, ObjectKeeper] = {}
        self._attributes: set[Slot] = set()
        self._trees: dict[Slot, tuple[list[Any], Any]] = {}

    def attach(self, model: object) -> None:
        assert isinstance(model, nnx.Pytree)
        for obj in objects_in(model):
            if id(obj) not in self._objects:
                kept = self._objects[id(obj)] = ObjectKeeper(obj, model)
                kept.begin()

    def show(self, holder: Holder, value: Any) -> None:
        anchor = holder.anchor
        slot = id(anchor), holder.slot
        if not isinstance(anchor, nnx.Variable):
            self._attributes.add(slot)
        elif id(anchor) not in self._variables:
            kept = self._variables[id(anchor)] = VariableKeeper(anchor)
            kept.begin()
        if not isinstance(value, jax.Array):
            self._trees[slot] = jax.tree.flatten(value)
        holder.put(value)

    def wrote(self, holder: Holder, before: Any, value: Any) -> bool:
        """Look into a container, which is written by putting something into it, as `nnx.capture` does."""
        shown = self._trees.get((id(holder.anchor), holder.slot))
        if shown is None:
            return False
        leaves, tree = jax.tree.flatten(value)
        return bool(tree != shown[1]) or any(leaf is not was for leaf, was in zip(leaves, shown[0], strict=True))

    def end(self) -> str | None:
        kept: Sequence[Keeper] = (*self._objects.values(), *self._variables.values())
        try:
            changes = [done for done in (each.changed(self._attributes) for each in kept) if done is not None]
        finally:
            for each in kept:
                each.restore()
        self._objects.clear()
        self._variables.clear()
        if not changes:
            return None
        return (
            f"the function {changes[0]}, and a transform stores the values of Variables and arrays alone; let the "
            f"model have its final attributes before, by a first call outside of it, say"
        )
