"""Objects of Flax NNX while a call shows other values in them: kept before the call, and restored after it.

NNX lets an object be changed, or handed to its transformations, by code of the object's own trace alone; and the
transformations give objects new attributes, which count as made in the trace of the call. So an object counts as made
in that trace while the call runs, and has its former attributes again afterwards.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Container, Hashable, Iterator, Mapping
from types import FunctionType
from typing import Any, Final, Protocol

import jax
import numpy as np
from flax import nnx
from flax.nnx.tracers import TraceState

Slot = tuple[int, Hashable]
"""An object, by its identity, and the name of an attribute."""

_STATE: Final = "_pytree__state"
"""The attribute in which NNX keeps the trace that an object was made in."""

_KINDS: Final = "_pytree__nodes"
"""The attribute in which NNX keeps the kinds of all others; it changes with each new attribute."""

SETTINGS: Final = (str, int, float, type(None), type, FunctionType)
"""Types of most attributes that can hold no array, looked up since NNX's own answer takes longer."""

_OF_NNX: Final = frozenset({_STATE, _KINDS})


def path_of(steps: tuple[Any, ...]) -> str:
    """Return the path to an object in a model, as Python would write it."""
    return "".join(f".{step}" if isinstance(step, str) else f"[{step!r}]" for step in steps).removeprefix(".")


def is_part(value: object) -> bool:
    """Return whether a value is an object or a Variable of NNX, and not a container of them."""
    return isinstance(value, (nnx.Pytree, nnx.Variable))


def objects_in(model: nnx.Pytree) -> list[nnx.Pytree]:
    """Return an object and all objects in it, each once."""
    found: dict[int, nnx.Pytree] = {}
    waiting = [model]
    while waiting:
        obj = waiting.pop()
        if id(obj) not in found:
            found[id(obj)] = obj
            for name, value in list(vars(obj).items()):
                if not (isinstance(value, SETTINGS) or name in _OF_NNX):
                    waiting += _objects_of(value)
    return list(found.values())


def _objects_of(value: Any) -> list[nnx.Pytree]:
    """Return the objects in an attribute."""
    if isinstance(value, nnx.Pytree):
        return [value]
    if isinstance(value, (nnx.Variable, jax.Array)):
        return []
    return [leaf for leaf in jax.tree.leaves(value, is_leaf=is_part) if isinstance(leaf, nnx.Pytree)]


def arrays_of(obj: nnx.Pytree) -> Iterator[tuple[str | int, str]]:
    """Yield the attributes that hold arrays with no Variable around: the step from `obj` to each, and its name."""
    for name, value in list(vars(obj).items()):
        if not isinstance(value, SETTINGS) and _holds_arrays(value) and _is_data(obj, name):
            yield int(name) if obj._pytree__has_int_keys and name.isdigit() else name, name


def _is_data(obj: nnx.Pytree, name: str) -> bool:
    """Return whether NNX takes an attribute for data, and not for a setting."""
    return not obj._pytree__is_pytree or bool(vars(obj).get(_KINDS, {}).get(name, False))


def _holds_arrays(value: Any) -> bool:
    leaves = _leaves(value)
    return bool(leaves) and all(map(_is_array, leaves))


def _leaves(value: Any) -> list[Any]:
    """Return what is in containers of Python, in which a Variable of anyjac can hold arrays too."""
    if isinstance(value, dict) and type(value) in (dict, OrderedDict):
        value = list(value.values())
    if type(value) in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return [leaf for part in value for leaf in _leaves(part) if leaf is not None]
    return [value]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) or (isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc")


class Keeper(Protocol):
    """Keeps a part of NNX, which counts as made in the current trace from `begin` to `restore`."""

    def begin(self) -> None:
        """Let the part count as made in the current trace."""

    def changed(self, others: Container[Slot]) -> str | None:
        """Return a phrase on changes of the part, but for those of the attributes `others`; None without changes."""

    def restore(self) -> None:
        """Restore the part; may be repeated."""


class ObjectKeeper:
    """Keeps the attributes of an object."""

    def __init__(self, obj: nnx.Pytree, model: nnx.Pytree):
        self._obj = obj
        self._model = model
        self._before = dict(vars(obj))
        self._shown = dict(self._before)

    def begin(self) -> None:
        state = self._before.get(_STATE)
        if state is not None:  # a new one, for a copy of the object may share the old
            self._shown[_STATE] = type(state)(state.initializing, state.is_setup)
            vars(self._obj).update(self._shown)

    def changed(self, others: Container[Slot]) -> str | None:
        names = [name for name in _changed(self._shown, vars(self._obj)) if (id(self._obj), name) not in others]
        if not names:
            return None
        shown = ", ".join(repr(name) for name in names if name not in _OF_NNX) or "attributes"
        steps = next((steps for steps, node in nnx.iter_graph(self._model) if node is self._obj), ())
        return f"set {shown} of the {type(self._obj).__name__}" + (f" {path_of(steps)!r}" if steps else "")

    def restore(self) -> None:
        now = vars(self._obj)
        if list(now) != list(self._before):  # for a mapping of NNX has its items in this order
            now.clear()
        now.update(self._before)


class VariableKeeper:
    """Keeps all of a Variable but its value."""

    def __init__(self, variable: nnx.Variable[Any]):
        self._variable = variable
        self._made_in = variable._trace_state
        self._metadata = variable._var_metadata
        self._before = dict(self._metadata)

    def begin(self) -> None:
        object.__setattr__(self._variable, "_trace_state", TraceState())  # type: ignore[no-untyped-call]

    def changed(self, others: Container[Slot]) -> str | None:
        names = _changed(self._before, self._variable._var_metadata)
        return f"set the metadata {', '.join(map(repr, names))} of a {type(self._variable).__name__}" if names else None

    def restore(self) -> None:
        if _changed(self._before, self._metadata):
            self._metadata.clear()
            self._metadata.update(self._before)
        object.__setattr__(self._variable, "_var_metadata", self._metadata)
        object.__setattr__(self._variable, "_trace_state", self._made_in)


_MISSING: Final = object()


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of attributes that are replaced, new or gone."""
    others = [name for name, value in now.items() if before.get(name, _MISSING) is not value]
    others += [name for name in before if name not in now]
    return [name for name in others if not _same(before.get(name, _MISSING), now.get(name, _MISSING))]


def _same(before: Any, now: Any) -> bool:
    """Return whether two values are equal, or the same where they are arrays, objects or Variables of NNX."""
    # They are of any class, whose `==` may raise anything; then they count as changed, which is refused.
    with contextlib.suppress(Exception):
        (leaves, tree), (others, other) = (_flat(before), _flat(now))
        return bool(tree == other) and all(map(_same_leaf, leaves, others))
    return False


def _flat(value: Any) -> tuple[list[Any], Any]:
    return jax.tree.flatten(value, is_leaf=is_part)


def _same_leaf(before: Any, now: Any) -> bool:
    if before is now:
        return True
    return type(before) is type(now) and not (is_part(now) or isinstance(now, jax.Array)) and bool(before == now)
