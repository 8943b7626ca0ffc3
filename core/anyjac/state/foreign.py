"""Models of other libraries in one scope: owned as a whole, shown the scope's values, and read back afterwards.

A Variable of such a model is a `BoundVariable`; the model's own code may read and write any of them. Knows entries,
models and ownership; what a scope does with its values is told by two functions of the scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from anyjac_plugins import Backend, Holder, ModelLibrary
from anyjac_plugins.errors import MixedBackendsError, VariableWriteError

from ..selection.choice import NUMPY, is_number, kind_of
from ..selection.conversion import to_array
from ..trees.structure import flatten
from . import ownership
from .bound import NOTHING, BoundVariable, bind_slot
from .context import ActiveScope, current_scope
from .entries import Entry
from .per_object import PerObject
from .resuming import Resumption
from .showing import Showing
from .variable import Variable, kept_value

_ATTEMPTS: Final = 5
"""How often to look for the parts of a model that is in the midst of a change."""


class _ModelObject:
    """Stands for an object of a model, besides its slots, that one call at a time may use."""

    def __init__(self, kind: str, _: object):
        self._kind = kind

    def label(self) -> str:
        """Return how messages call the object."""
        return f"a {self._kind}"


_objects: PerObject[_ModelObject] = PerObject()


def _stand_in(obj: object) -> _ModelObject:
    return _objects.of(obj, partial(_ModelObject, type(obj).__name__))


class ForeignModels:
    """The models of other libraries in the call of one scope.

    Parameters
    ----------
    scope
        The scope.
    owner
        Owns Variables and models for the call.
    read
        Reads a Variable in the scope, where it has an entry from then on.
    create
        Takes in a Variable that the function has made.
    runs
        Whether the function runs already.
    """

    def __init__(
        self,
        scope: ActiveScope,
        owner: ownership.Owner,
        read: Callable[[Variable], Any],
        create: Callable[[Variable, Any], None],
        *,
        runs: bool,
    ):
        self._scope = scope
        self._backend: Backend = scope.backend
        self._owner = owner
        self._read = read
        self._create = create
        self._models: dict[int, tuple[ModelLibrary, Any, Sequence[BoundVariable]]] = {}
        self._showing = Showing()
        self._runs = runs
        self._refusal: str | None = None
        self._kept: dict[int, tuple[BoundVariable, Any]] = {}

    # ---- owning ----------------------------------------------------------------------------------------------------

    def knows(self, variable: BoundVariable) -> bool:
        """Return whether the models of a Variable take part already."""
        return all(id(model) in self._models for _, model in variable.models())

    def one_of_each(self) -> list[BoundVariable]:
        """Return a Variable of each model that takes part."""
        return [parts[0] for _, _, parts in list(self._models.values()) if parts]

    def own_models_of(self, variable: BoundVariable) -> None:
        """Own all parts of the models that a Variable is a part of, since their code may read and write any.

        Raises
        ------
        MixedBackendsError
            If the model computes with another framework than the call.
        """
        if variable.backend is not self._backend:
            raise MixedBackendsError(
                f"{variable.label()} is part of a model that computes with {variable.backend.name}, and this call runs "
                f"on {self._backend.name}; name the backend {variable.backend.name!r}, or none",
                variable,
            )
        for library, model in variable.models():
            if id(model) not in self._models:
                parts = self._own(library, model, variable)
                self._models[id(model)] = library, model, parts
                if self._runs:
                    self._show_model(library, model, parts)

    def _own(self, library: ModelLibrary, model: Any, variable: BoundVariable) -> Sequence[BoundVariable]:
        """Own all of a model of which a Variable is a part, and return its parts.

        Another call that runs the model's code may change the model for that time, so they are looked for when none
        does. All calls find the same then, and own it in the same order.
        """
        try:
            parts, objects = self._look_into(library, model, variable)
            things: list[ownership.Owned] = [*parts, *objects]
            for thing in things:
                ownership.acquire(self._owner, thing)
        except ownership.BusyError:
            assert self._owner.missed is not None
            self._owner.missed[-1] = variable  # which is all that is known of the model outside
            raise
        return parts

    def _look_into(
        self, library: ModelLibrary, model: Any, variable: BoundVariable
    ) -> tuple[Sequence[BoundVariable], list[_ModelObject]]:
        """Return the parts of a model, and its objects, found while no other call runs the model."""
        before: list[int] = []
        attempts = _ATTEMPTS
        while True:
            ownership.let_finish(self._owner, variable)
            finished = ownership.finished_calls()
            try:
                parts = variable.parts_of(model)
                objects = [_stand_in(obj) for obj in library.objects(model)]
            except Exception:  # of any kind, as a model raises that another thread is changing; the last one is raised
                attempts -= 1
                if attempts:
                    continue
                raise
            things: list[ownership.Owned] = [*parts, *objects]
            found = [id(thing) for thing in things]
            busy = [thing for thing in things if ownership.owner_of(thing) not in (None, self._owner)]
            if busy:
                ownership.let_finish(self._owner, busy[0])
            elif finished == ownership.finished_calls() or found == before:
                return parts, objects
            before = found

    # ---- while the function runs -----------------------------------------------------------------------------------

    def begin(self, discovering: Sequence[ModelLibrary], entries: Iterable[Entry]) -> None:
        """Show models the values of the scope; some libraries look out for slots that nobody named."""
        self._runs = True
        for library in discovering:
            self._showing.begin(library, partial(self._adopt, library))
        for library, model, parts in list(self._models.values()):
            self._show_model(library, model, parts)
        for entry in entries:
            self.show(entry)

    def _adopt(self, library: ModelLibrary, holder: Holder, *, created: bool = False) -> bool:
        """Make a slot part of the call, if it holds what can be."""
        innermost = current_scope()
        if innermost is not self._scope and innermost is not None and innermost.backend is self._backend:
            return True  # the one within, which is told too, asks for it
        value = holder.value(holder.content())
        if not all(self._backend.is_array(leaf) or _is_number_or_numpy(leaf) for leaf in flatten(value)[0]):
            return False
        variable = bind_slot(library, holder)
        if created:
            self._create(variable, value)
        else:
            self._read(variable)
        return True

    def _show_model(self, library: ModelLibrary, model: Any, parts: Sequence[BoundVariable]) -> None:
        self._showing.attach(library, model)
        for part in parts:
            self._read(part)

    def show(self, entry: Entry) -> None:
        """Let a model's code see the value of an entry, if the model holds it and the function is running."""
        if self._runs and isinstance(entry.variable, BoundVariable):
            self._showing.show(entry.variable, entry.value)

    def look(self, entry: Entry) -> None:
        """Take over what a model's code has put into a slot meanwhile, for those who read it in the call."""
        if self._runs and isinstance(entry.variable, BoundVariable):
            content = self._showing.seen(entry.variable)
            if content is not NOTHING:
                entry.value, entry.written = content, True
                self.make_arrays(entry)

    def check_outputs(self, outputs: Sequence[Any]) -> None:
        """Refuse outputs that a model's code has not computed from the values of the scope."""
        self._showing.check(list(outputs))

    def end(self, entries: Mapping[int, Entry]) -> None:
        """Put back what models held, and take what their code has written there; may be repeated."""
        self._runs = False
        for key, content in self._showing.end():
            entry = entries.get(key)
            if entry is not None:
                entry.value, entry.written = content, True
        self._refusal = self._showing.refusal

    # ---- what was written ------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Forget the refused changes of a run, and what models held then, since the function runs again."""
        self._refusal = None
        self._showing.contents.clear()

    def resumption(self) -> Resumption | None:
        """Return what shows models again what they held when the function ended; None where they held nothing."""
        contents = self._showing.contents[::-1]
        if not contents:
            return None
        models = [(library, model) for library, model, _ in self._models.values()]
        return Resumption(self._backend, self._owner, _owner_now, models, contents)

    def refuse(self) -> None:
        """Refuse what a model's code did that cannot be stored.

        Raises
        ------
        VariableWriteError
            Saying what it was.
        """
        if self._refusal is not None:
            raise VariableWriteError(self._refusal)

    def make_arrays(self, entry: Entry) -> None:
        """Make arrays of the call of what a model's code has written.

        Raises
        ------
        VariableWriteError
            Naming what is no array.
        """
        variable = entry.variable
        if not entry.written or not isinstance(variable, BoundVariable):
            return
        leaves, tree = flatten(entry.value)
        label = f"what the code of its model gave {variable.label()}"
        why = f"and what can be stored after a transform is an array of {self._backend.name}"
        if not leaves and entry.original is not None and tree == flatten(entry.original)[1]:
            entry.written = False  # one empty container stands for another
        elif not leaves:
            raise VariableWriteError(f"{label} is {entry.value!r}, {why}")
        if not all(map(self._backend.is_array, leaves)):
            entry.value = tree.unflatten(
                [to_array(self._backend, leaf, lambda: label, error=VariableWriteError, why=why) for leaf in leaves]
            )

    def keep(self, written: Iterable[Variable]) -> None:
        """Keep what models hold, which a framework may write that runs parts of the function again."""
        for variable in written:
            if isinstance(variable, BoundVariable) and id(variable) not in self._kept:
                self._kept[id(variable)] = variable, kept_value(variable)

    def give_kept(self) -> dict[int, Any]:
        """Return what was kept, by the identity of its Variable, since it is going to be written for good."""
        kept, self._kept = self._kept, {}
        return {key: content for key, (_, content) in kept.items()}

    def bring_back(self) -> None:
        """Let models hold what was kept, if that was not given."""
        for variable, kept in self._kept.values():
            variable.bring_back(kept)
        self._kept.clear()


def _owner_now() -> ownership.Owner | None:
    """Return what owns Variables for the innermost call that runs."""
    scope = current_scope()
    return None if scope is None else scope.owner


def _is_number_or_numpy(leaf: Any) -> bool:
    return is_number(leaf) or kind_of(leaf) == NUMPY
