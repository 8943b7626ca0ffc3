"""Flax NNX as a library of models: modules and other objects of `flax.nnx`, and the `nnx.Variable` by itself.

While a function runs, its values stand in the Variables of NNX as their raw values. NNX lets a Variable be written only
by code of the trace that it was made in; for that time it counts as made in the one where its value is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flax import nnx
from flax.errors import TraceContextError
from flax.nnx.tracers import TraceState

from anyjac_plugins import Holder, ModelLibrary, Session, hookimpl
from anyjac_plugins.errors import NotSupportedError

from .traces import in_same_traces


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe NNX."""
    return NnxModels()


class NnxModels(ModelLibrary):
    """Objects of NNX, by the attributes that lead to their Variables."""

    def holder(self, obj: object) -> Holder | None:
        return _holder(obj) if isinstance(obj, nnx.Variable) else None

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        if not isinstance(obj, nnx.Pytree):
            return None
        nodes = [(path, node) for path, node in nnx.iter_graph(obj) if isinstance(node, nnx.Variable)]
        return {_path(path): _holder(node) for path, node in nodes}

    def advice(self, error: Exception) -> str | None:
        if not isinstance(error, TraceContextError):
            return None
        return (
            "In a transform of anyjac, name the module in grad_vars, with argnums for the arguments that are to be "
            "differentiated: then its Variables take part in the call and may be written."
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


def _path(steps: tuple[Any, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, str) else f"[{step!r}]" for step in steps).removeprefix(".")


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


class _Session(Session):
    """Lets the code of the current trace write the Variables that are shown in it."""

    def __init__(self) -> None:
        self._made_in: dict[int, tuple[nnx.Variable[Any], TraceState]] = {}

    def show(self, holder: Holder, value: Any) -> None:
        assert isinstance(holder, _VariableHolder)
        variable = holder.anchor
        if id(variable) not in self._made_in:
            self._made_in[id(variable)] = variable, variable._trace_state
            object.__setattr__(variable, "_trace_state", TraceState())  # type: ignore[no-untyped-call]
        holder.put(value)

    def end(self) -> str | None:
        for variable, state in self._made_in.values():
            object.__setattr__(variable, "_trace_state", state)
        self._made_in.clear()
        return None
