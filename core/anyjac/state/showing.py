"""The values of a scope in the slots of foreign models, whose code sees them while a function runs.

A scope owns every Variable that it shows, so that one call at a time puts something into a model. Knows holders and
sessions as plugins make them, nothing of backends, derivatives or scopes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anyjac_plugins import Adopt, ModelLibrary, Session

from .bound import NOTHING, BoundVariable


@dataclass(slots=True)
class _SlotContent:
    variable: BoundVariable
    before: Any
    value: Any
    outermost: bool
    looked_at: bool = False


class Showing:
    """All that one scope shows to models, from `show` to `end`.

    Attributes
    ----------
    refusal
        What a function did to a model that cannot be committed, if anything.
    contents
        What slots held at the end, the last shown first.
    """

    def __init__(self) -> None:
        self._shown: dict[int, _SlotContent] = {}
        self._sessions: dict[int, Session] = {}
        self.refusal: str | None = None
        self.contents: list[tuple[BoundVariable, Any]] = []

    def begin(self, library: ModelLibrary, adopt: Adopt) -> None:
        """Let a library look out for slots that nobody named."""
        self._session(library).begin(adopt)

    def attach(self, library: ModelLibrary, model: object) -> None:
        """Take note of a model before anything of it is shown."""
        self._session(library).attach(model)

    def show(self, variable: BoundVariable, value: Any) -> None:
        """Let the model's code see `value` from now on."""
        holder = variable.holder
        shown = self._shown.get(id(variable))
        if shown is None:
            before = holder.content()
            shown = self._shown[id(variable)] = _SlotContent(variable, before, value, variable.outside is NOTHING)
            if shown.outermost:
                variable.outside = before
        shown.value = value
        self._session(variable.library).show(holder, value)

    def seen(self, variable: BoundVariable) -> Any:
        """Return new content that the model's code has put into a slot, once; NOTHING where there is none."""
        shown = self._shown.get(id(variable))
        if shown is None:
            return NOTHING
        content = variable.holder.content()
        if content is shown.value:
            return NOTHING
        shown.value = content
        return content

    def check(self, outputs: list[Any]) -> None:
        """Refuse outputs that were not computed from what is shown."""
        for session in self._sessions.values():
            session.check(outputs)

    def end(self) -> Iterator[tuple[int, Any]]:
        """Put everything back, and yield what the model's code has put in the place of what was shown, by identity.

        May be repeated after an interrupt, and goes on where it was.
        """
        found: list[tuple[int, Any]] = []
        failed: list[Exception] = []
        for key, shown in reversed(list(self._shown.items())):
            try:
                found += [(key, content) for content in self._put_back(shown)]
            except Exception as error:  # of a model library's own; raised below, when all else is put back
                failed.append(error)
            del self._shown[key]
        for session in self._sessions.values():
            self.refusal = session.end() or self.refusal
        self._sessions.clear()
        if failed:
            raise failed[0]
        yield from found

    def _put_back(self, shown: _SlotContent) -> list[Any]:
        variable = shown.variable
        holder = variable.holder
        found: list[Any] = []
        if not shown.looked_at:
            content = holder.content()
            session = self._session(variable.library)
            if content is not shown.value or session.wrote(holder, shown.before, content):
                found.append(content)
            self.contents.append((variable, content))
            shown.looked_at = True
        if shown.outermost and variable.outside is not NOTHING:
            holder.put(variable.outside)
            variable.outside = NOTHING
        else:
            holder.put(shown.before)
        return found

    def _session(self, library: ModelLibrary) -> Session:
        return self._sessions.get(id(library)) or self._sessions.setdefault(id(library), library.session())
