"""BrainState as a library of models: its nodes, by the paths to their states, and the `State` by itself.

While a function runs, its values stand in the states. What a state holds is read in a way that transformations of
BrainState around a call notice, and a state counts as made in the trace where its value is shown, so that it may be
written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brainstate import ParamState, State, TraceContextError, graph

from anyjac_plugins import Holder, ModelLibrary, Session, hookimpl


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe BrainState."""
    return BrainStateModels()


class BrainStateModels(ModelLibrary):
    """Nodes, by the attributes that lead to their states."""

    def holder(self, obj: object) -> Holder | None:
        return _StateHolder(obj) if isinstance(obj, State) else None

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        if not isinstance(obj, graph.Node):
            return None
        found: dict[str, Holder] = {}
        seen: set[int] = set()
        for path, state in graph.iter_leaf(obj):
            if isinstance(state, State) and id(state) not in seen:
                seen.add(id(state))
                found[_path(path)] = _StateHolder(state)
        return found

    def advice(self, error: Exception) -> str | None:
        if not isinstance(error, TraceContextError):
            return None
        return (
            "In a transform of anyjac, name the state, or the node that it belongs to, in grad_vars, with argnums for "
            "the arguments that are to be differentiated: then it takes part in the call and may be written."
        )

    def session(self) -> Session:
        return _Session()


def _path(steps: tuple[Any, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, str) else f"[{step!r}]" for step in steps).removeprefix(".")


class _StateHolder(Holder):
    """A state; parameters are trained."""

    backend = "jax"

    def __init__(self, state: State[Any]):
        self.anchor: State[Any] = state

    @property
    def trainable(self) -> bool:
        return isinstance(self.anchor, ParamState)

    def content(self) -> Any:
        self.anchor.value  # noqa: B018 - by which transformations of BrainState learn that it is read
        return self.anchor._value

    def put(self, content: Any) -> None:
        self.anchor._write_value(content)


class _Session(Session):
    """Lets the code of the current trace write the states that are shown in it."""

    def __init__(self) -> None:
        self._made_in: dict[int, tuple[State[Any], Any]] = {}

    def show(self, holder: Holder, value: Any) -> None:
        assert isinstance(holder, _StateHolder)
        state = holder.anchor
        if id(state) not in self._made_in:
            made_in = state._trace_state
            self._made_in[id(state)] = state, made_in
            vars(state)["_trace_state"] = type(made_in)()
        holder.put(value)

    def end(self) -> str | None:
        for state, made_in in self._made_in.values():
            vars(state)["_trace_state"] = made_in
        self._made_in.clear()
        return None
