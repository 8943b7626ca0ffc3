"""Whether a function runs code that is not JAX's own, seen while JAX differentiates the function.

A trace of JAX is asked what it is asked, and answers by itself; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import jax
from jax.extend import core

from anyjac_plugins import Array, FlatFunction

from .faithful import look_through
from .own_code import ForeignCodeError, has_own_rule, refuse_foreign

_of_traces: Any = core if hasattr(core, "set_current_trace") else jax.core  # before JAX 0.8.2


class ForeignCodeWatch:
    """Sees what a function asks of JAX.

    Attributes
    ----------
    foreign
        Whether there was code that is not JAX's own.
    """

    def __init__(self) -> None:
        self.foreign = False

    def watched(self, fun: FlatFunction) -> FlatFunction:
        """Return a function that is watched when it runs."""

        def run(*primals: Array) -> tuple[Sequence[Array], Sequence[Array]]:
            with _of_traces.take_current_trace() as trace:
                pass
            with _of_traces.set_current_trace(_WatchedTrace(trace, self)):
                return fun(*primals)

        return run

    def look(self, primitive: Any, params: dict[str, Any]) -> None:
        """Note whether an operation runs foreign code."""
        equation: Any = SimpleNamespace(primitive=primitive, params=params)
        try:
            refuse_foreign(equation)
            look_through(list(params.values()), wide=True)
        except ForeignCodeError:
            self.foreign = True


class _WatchedTrace:
    """A trace of JAX with somebody who watches it."""

    def __init__(self, trace: Any, watch: ForeignCodeWatch):
        self._trace = trace
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trace, name)

    def process_primitive(self, primitive: Any, tracers: Any, params: dict[str, Any], *rest: Any, **more: Any) -> Any:
        self._watch.look(primitive, params)
        return self._trace.process_primitive(primitive, tracers, params, *rest, **more)

    def process_custom_jvp_call(self, primitive: Any, fun: Any, rule: Any, *rest: Any, **more: Any) -> Any:
        self._watch.foreign |= not has_own_rule(fun, rule)
        return self._trace.process_custom_jvp_call(primitive, fun, rule, *rest, **more)

    def process_custom_vjp_call(self, *given: Any, **more: Any) -> Any:
        self._watch.foreign = True
        return self._trace.process_custom_vjp_call(*given, **more)
