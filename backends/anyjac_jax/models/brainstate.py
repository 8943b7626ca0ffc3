"""BrainState as a library of models: its nodes, by the paths to their states, and the `State` by itself.

While a function runs, its values stand in the states. A state that a call reads or writes is announced to the
transformations of BrainState around the call, and counts as made in the trace of the value shown, so that the state may
be written there. BrainState tells its transformations of each state that is read or written; a call of ours listens
too, so that states take part whether they were named or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brainstate import ParamState, State, StateTraceStack, graph
from brainstate._state import _INVALIDATED_TRACE_VALUE, TRACE_CONTEXT, NewStateCatcher, record_state_value_write

from anyjac_plugins import Adopt, Holder, ModelLibrary, Session, hookimpl

from .traces import in_same_traces, is_traced


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe BrainState."""
    return BrainStateModels()


class BrainStateModels(ModelLibrary):
    """Nodes, by the attributes that lead to their states."""

    interface_version = 2
    discovers = "jax"

    def holder(self, obj: object) -> Holder | None:
        return _holder(obj) if isinstance(obj, State) else None

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        if not isinstance(obj, graph.Node):
            return None
        found: dict[str, Holder] = {}
        seen: set[int] = set()
        for path, state in graph.iter_leaf(obj):
            if isinstance(state, State) and id(state) not in seen and not _is_invalid(state):
                seen.add(id(state))
                found[_path(path)] = _holder(state)
        return found

    def session(self) -> Session:
        return StateSession()


def _is_invalid(state: State[Any]) -> bool:
    """Return whether a state has no value, since the trace that made it has ended."""
    return state._value is _INVALIDATED_TRACE_VALUE


def _path(steps: tuple[Any, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, str) else f"[{step!r}]" for step in steps).removeprefix(".")


def _holder(state: State[Any]) -> StateHolder:
    return StateHolder(state, trained=isinstance(state, ParamState))


class StateHolder(Holder):
    """A state, and whether it is trained."""

    backend = "jax"

    def __init__(self, state: State[Any], trained: bool):
        self.anchor: State[Any] = state
        self._trained = trained

    @property
    def trainable(self) -> bool:
        return self._trained

    def content(self) -> Any:
        return self.anchor._value

    def announce(self, *, running: bool) -> None:
        stack = TRACE_CONTEXT.state_stack
        ours = [position for position, trace in enumerate(stack) if isinstance(trace, _StateWatch)]
        for trace in stack[self.anchor.stack_level : ours[-1] if running and ours else None]:
            trace.read_its_value(self.anchor)

    def put(self, content: Any) -> None:
        self.anchor._write_value(content)

    def stored(self, content: Any, value: Any) -> Any:
        record_state_value_write(self.anchor)
        return value

    def takes(self, traced: Any) -> bool:
        return in_same_traces(self.content(), traced)

    def merge(self, other: Holder) -> None:
        """Be trained if either way to the state says so: BrainPy knows more of its own than BrainState does."""
        self._trained = self._trained or other.trainable


class StateSession(Session):
    """Shows states so that the code of a call may write them, and finds the states that the code uses."""

    def __init__(self) -> None:
        self._made_in: dict[int, tuple[State[Any], Any]] = {}
        self._watch: _StateWatch | None = None

    def begin(self, adopt: Adopt) -> None:
        self._watch = _StateWatch(adopt)
        self._watch.begin()

    def show(self, holder: Holder, value: Any) -> None:
        assert isinstance(holder, StateHolder)
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
        refusal = None if self._watch is None else self._watch.end()
        self._watch = None
        return refusal


class _StateWatch(StateTraceStack[Any]):
    """Stands among the transformations of BrainState, which are told of each state that is read, written or made."""

    def __init__(self, adopt: Adopt):
        super().__init__(name="anyjac")
        self._adopt = adopt
        self._met: dict[int, State[Any]] = {}
        self._made: dict[int, State[Any]] = {}
        self._refused: dict[int, tuple[State[Any], Any]] = {}

    def begin(self) -> None:
        """Join the transformations of BrainState, as the innermost."""
        TRACE_CONTEXT.state_stack.append(self)
        TRACE_CONTEXT.new_state_catcher.append(_Catcher(self))

    def read_its_value(self, state: State[Any]) -> None:
        """Have a state adopted that is met for the first time."""
        if id(state) not in self._met:
            self._met[id(state)] = state
            before = state._value
            if not self._adopt(_holder(state)):
                self._refused[id(state)] = state, before

    def write_its_value(self, state: State[Any]) -> None:
        """Have a state adopted that is met for the first time."""
        self.read_its_value(state)

    def meet_new(self, state: State[Any]) -> None:
        """Have a new state adopted, unless a trace within this one made it, which looks after its own."""
        self._made[id(state)] = state
        if TRACE_CONTEXT.state_stack[-1] is self:
            self._adopt(_holder(state), created=True)

    def end(self) -> str | None:
        """Leave the transformations of BrainState, and no traced value in any state. May be repeated."""
        stack, catchers = TRACE_CONTEXT.state_stack, TRACE_CONTEXT.new_state_catcher
        stack[:] = [other for other in stack if other is not self]
        catchers[:] = [other for other in catchers if not (isinstance(other, _Catcher) and other.watch is self)]
        for key, state in list(self._made.items()):
            # As if it had been made outside, so that later calls are told of the state.
            state.decrease_stack_level()  # type: ignore[no-untyped-call]
            if is_traced(state._value):
                state._invalidate_trace_value()
            del self._made[key]
        refusal = None
        for key, (state, before) in list(self._refused.items()):
            if is_traced(state._value):
                state._write_value(before)
                refusal = (
                    f"a {type(state).__name__} that holds a {type(before).__name__} was written; states of anything "
                    f"besides arrays and numbers can be read in a call, not written"
                )
            del self._refused[key]
        return refusal


class _Catcher(NewStateCatcher):
    """Passes each new state on to a watch, which does not refer back, so that both are freed when a call ends."""

    def __init__(self, watch: _StateWatch):
        super().__init__("anyjac")
        self.watch = watch

    def append(self, state: State[Any]) -> None:
        """Pass a new state on."""
        self.watch.meet_new(state)
