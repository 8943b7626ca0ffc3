"""The scope of a running call: what Variables are worth inside it, and what it will write when all has gone well.

Reading a Variable in a scope gives its private copy there, traced if it is differentiated; writing changes the copy;
`commit` hands the written values to the enclosing scope, or to the Variables themselves, all at once. Knows values and
backends, nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from anyjac_plugins import Backend, Holder, ModelLibrary
from anyjac_plugins.errors import MixedBackendsError, TracerLeakError, VariableWriteError
from anyjac_plugins.loading.models import libraries

from ..selection.choice import NUMPY, is_number, kind_of
from ..trees.structure import flatten
from . import ownership
from .bound import bind_place
from .context import Place, current_scope, expired, set_innermost_scope
from .per_object import PerInstance
from .showing import NOTHING, Showing


class _Object:
    """Stands for an object of a model, besides its places, that one call at a time may use."""

    def __init__(self, kind: str, _: object):
        self._kind = kind

    def label(self) -> str:
        """Return how messages call it."""
        return f"a {self._kind}"


_objects: PerInstance[_Object] = PerInstance()

_ATTEMPTS: Final = 5
"""How often to look for the parts of a model that is in the midst of a change."""


@dataclass(slots=True)
class Entry:
    """One Variable in one scope.

    Attributes
    ----------
    value
        Its private copy: what reads give.
    original
        What the copy was made from; in-place changes of the copy show against it.
    written
        Whether it was assigned in the scope.
    created
        Whether the Variable itself was made in the scope.
    """

    variable: Place
    value: Any
    original: Any
    written: bool = False
    created: bool = False


@dataclass(slots=True)
class Write:
    """A value that is to be committed to a Variable."""

    variable: Place
    value: Any
    created: bool


class Scope:
    """Values of Variables for the length of one call.

    Parameters
    ----------
    backend
        The backend of the call; Variables are read as its arrays.
    device
        Where they are put when read; None leaves them where they are.
    converts
        Whether Variables of other frameworks are converted (somebody named the backend) or refused.
    differentiates
        Whether the call differentiates; one that is compiled does not.
    maps
        Whether the call maps its function over examples, which all read the same values and can write none.
    """

    def __init__(
        self, backend: Backend, device: Any, converts: bool, *, differentiates: bool = False, maps: bool = False
    ):
        self.backend = backend
        self.maps = maps
        self.differentiates = differentiates
        self.device = device
        self.converts = converts
        self.closed = False
        self.parent = cast("Scope | None", current_scope())
        self.owner: ownership.Owner = ownership.Owner() if self.parent is None else self.parent.owner
        self._entries: dict[int, Entry] = {}
        self._models: dict[int, tuple[ModelLibrary, Any, Sequence[Place]]] = {}
        self._runs = False
        self._showing: Showing | None = None
        self._refusal: str | None = None
        self._kept: dict[int, tuple[Place, Any]] = {}

    def is_differentiated(self) -> bool:
        """Tell whether a call around this one differentiates with the same backend."""
        around = self.parent
        while around is not None:
            if around.differentiates and around.backend is self.backend:
                return True
            around = around.parent
        return False

    def restart(self) -> None:
        """Forget what was read and written, as if the function had not run."""
        self._entries.clear()
        self._refusal = None

    def activate(self) -> None:
        """Make this the scope in which Variables are read and written, and show its values to models."""
        set_innermost_scope(self)
        self._runs = True
        discovering = libraries.discovering(self.backend.name)
        if self._models or self._showing is not None or discovering:
            try:
                self._discover(discovering)
                self._show_models()
            except BaseException:
                self.deactivate()
                raise

    def deactivate(self) -> None:
        """Make the enclosing scope the one in which Variables are read and written again; may be repeated."""
        try:
            self._runs = False
            if self._showing is not None:
                self._hide_models(self._showing)
        finally:
            set_innermost_scope(self.parent)

    def close(self) -> None:
        """Forget all values, and give up the Variables if this is the outermost scope; may be repeated."""
        self.closed = True
        self.deactivate()
        for variable, kept in self._kept.values():
            variable.bring_back(kept)
        self._kept.clear()
        self._entries.clear()
        if self.parent is None:
            ownership.release_all(self.owner)

    # ---- reading and writing ---------------------------------------------------------------------------------------

    def value_at_entry(self, variable: Place) -> Any:
        """Return what the enclosing scope, or the Variable itself, holds, as arrays of this call's backend."""
        if variable._holder is not None:
            self.take_models_of(variable)
            variable._holder.announce(running=self._runs)
        ownership.acquire(self.owner, variable)
        outside = variable.committed() if self.parent is None else self.parent.read(variable)
        if variable.backend is self.backend and self.device is None:
            return outside
        return self._map(lambda leaf: self._bring_in(variable, leaf), outside)

    def own(self, variable: Place) -> Any:
        """Return what a Variable holds, for this outermost scope to read and `store` without a copy of its own."""
        ownership.acquire(self.owner, variable)
        return variable._value

    def store(self, values: Iterable[tuple[Place, Any]]) -> None:
        """Give Variables arrays that are fit to be stored: all of them, or none on an error."""
        final = list(values)
        for variable, _ in final:
            ownership.acquire(self.owner, variable)
        _assign_all(final, {})

    def substitute(self, variable: Place, value: Any) -> None:
        """Let reads of `variable` give `value`, the traced form of what it held at entry."""
        entry = self._entries[id(variable)] = Entry(variable, self._copy(value), value)
        self._show(entry)

    def read(self, variable: Place) -> Any:
        """Return the Variable's value in this scope."""
        entry = self._entries.get(id(variable))
        if entry is None:
            outside = self.value_at_entry(variable)
            entry = self._entries.setdefault(id(variable), Entry(variable, self._copy(outside), outside))
            self._show(entry)
        elif self._runs and self._showing is not None and variable._holder is not None:
            self._see(self._showing, entry)
        return entry.value

    def peek(self, variable: Place) -> Any:
        """Return what the Variable is worth here for a look at it, which neither owns nor copies it."""
        entry = self._entries.get(id(variable))
        if entry is not None:
            return entry.value
        return variable._value if self.parent is None else self.parent.peek(variable)

    def write(self, variable: Place, value: Any) -> None:
        """Give the Variable a value, already checked, for later reads and for the commit."""
        if self.maps and not self._is_created(variable):
            raise _mapped_write(variable)
        ownership.acquire(self.owner, variable)
        entry = self._entries.get(id(variable))
        if entry is None:
            entry = self._entries[id(variable)] = Entry(variable, self._copy(value), None, written=True)
        else:
            entry.value, entry.written = self._copy(value), True
        self._show(entry)

    def refuse_writes(self) -> None:
        """Refuse what has been written in the midst of a map, in place that is, for `write` refuses the rest."""
        for write in self.writes():
            if not write.created:
                raise _mapped_write(write.variable)

    def _is_created(self, variable: Place) -> bool:
        entry = self._entries.get(id(variable))
        return entry is not None and entry.created

    def create(self, variable: Place, value: Any) -> None:
        """Take in a Variable that is made while the scope is active."""
        entry = self._entries[id(variable)] = Entry(variable, self._copy(value), None, written=True, created=True)
        self._show(entry)

    def read_besides(self, known: Sequence[Place]) -> list[Place]:
        """Return the Variables that were read and are none of `known`."""
        passed = {id(variable) for variable in known}
        return [
            entry.variable
            for key, entry in self._entries.items()
            if entry.original is not None and not entry.created and key not in passed
        ]

    # ---- models of other libraries ---------------------------------------------------------------------------------

    def check_outputs(self, outputs: Sequence[Any]) -> None:
        """Refuse outputs that a model's code has computed from something else than what it was shown."""
        if self._showing is not None:
            self._showing.check(list(outputs))

    def take_models_of(self, variable: Place) -> None:
        """Own all parts of the models that a Variable is a part of, since their code may read and write any."""
        if variable.backend is not self.backend:
            raise MixedBackendsError(
                f"{variable.label()} is part of a model that computes with {variable.backend.name}, and this call runs "
                f"on {self.backend.name}; name the backend {variable.backend.name!r}, or none",
                variable,
            )
        for library, model in variable.models():
            if id(model) not in self._models:
                if self.parent is not None:  # which puts back last what was there first
                    self.parent.take_models_of(variable)
                parts = self._own_model(library, model, variable)
                self._models[id(model)] = library, model, parts
                if self._runs:
                    self._show_parts(library, model, parts)
        if self._showing is None:
            self._showing = Showing()

    def _own_model(self, library: ModelLibrary, model: Any, variable: Place) -> Sequence[Place]:
        """Own all of a model of which a Variable is a part, and return its parts.

        Another call that runs the model's code may change the model for that time, so they are looked for when none
        does. All calls find the same then, and own it in the same order.
        """
        try:
            parts, objects = self._look_into(library, model, variable)
            things: list[ownership.Owned] = [*parts, *objects]
            for thing in things:
                ownership.acquire(self.owner, thing)
        except ownership.BusyError:
            assert self.owner.missed is not None
            self.owner.missed[-1] = variable  # which is all that is known of the model outside
            raise
        return parts

    def _look_into(self, library: ModelLibrary, model: Any, variable: Place) -> tuple[Sequence[Place], list[_Object]]:
        """Return the parts of a model, and the objects in it, as they are when no other call runs it."""
        before: list[int] = []
        attempts = _ATTEMPTS
        while True:
            ownership.let_finish(self.owner, variable)
            finished = ownership.finished_calls()
            try:
                parts = variable.parts_of(model)
                objects = [_objects.of(obj, partial(_Object, type(obj).__name__)) for obj in library.objects(model)]
            except Exception:  # a model that another call changes just now may raise anything; the last error is raised
                attempts -= 1
                if attempts:
                    continue
                raise
            things: list[ownership.Owned] = [*parts, *objects]
            found = [id(thing) for thing in things]
            busy = [thing for thing in things if ownership.owner_of(thing) not in (None, self.owner)]
            if busy:
                ownership.let_finish(self.owner, busy[0])
            elif finished == ownership.finished_calls() or found == before:
                return parts, objects
            before = found

    def _discover(self, libraries_: Sequence[ModelLibrary]) -> None:
        """Let libraries look out for places that the function uses and nobody named."""
        if self._showing is None:
            self._showing = Showing()
        for library in libraries_:
            self._showing.begin(library, partial(self._adopt, library))

    def _adopt(self, library: ModelLibrary, holder: Holder, *, created: bool = False) -> bool:
        """Make a place part of the call, if it holds what can be."""
        innermost = current_scope()
        if innermost is not self and innermost is not None and innermost.backend is self.backend:
            return True  # the one within, which is told too, asks for it
        value = holder.value(holder.content())
        if not all(self.backend.is_array(leaf) or _is_number_or_numpy(leaf) for leaf in flatten(value)[0]):
            return False
        variable = bind_place(library, holder)
        if created:
            self.create(variable, value)
        else:
            self.read(variable)
        return True

    def _show_models(self) -> None:
        for library, model, parts in list(self._models.values()):
            self._show_parts(library, model, parts)
        for entry in list(self._entries.values()):
            self._show(entry)

    def _show_parts(self, library: ModelLibrary, model: Any, parts: Sequence[Place]) -> None:
        if self._showing is None:
            self._showing = Showing()
        self._showing.attach(library, model)
        for part in parts:
            self.read(part)

    def _show(self, entry: Entry) -> None:
        """Let a model's code see the value of an entry, if one holds it and the function is running."""
        variable: Any = entry.variable
        if variable._holder is None:
            return
        self.take_models_of(variable)
        if self._runs and self._showing is not None:
            self._showing.show(variable, entry.value)

    def _see(self, showing: Showing, entry: Entry) -> None:
        """Take over what a model's code has put into a place meanwhile, for those who read it in the call."""
        content = showing.seen(entry.variable)
        if content is not NOTHING:
            entry.value, entry.written = content, True
            self._make_arrays(entry)

    def _hide_models(self, showing: Showing) -> None:
        """Put back what models held, and take what their code has written there."""
        for key, content in showing.end():
            entry = self._entries.get(key)
            if entry is not None:
                entry.value, entry.written = content, True
        self._refusal = showing.refusal

    def _to_array(self, variable: Place, leaf: Any) -> Any:
        """Turn what a model's code has written into an array of the call."""
        if self.backend.is_array(leaf):
            return leaf
        if _is_number_or_numpy(leaf):
            return self.backend.asarray(leaf)
        raise VariableWriteError(
            f"{variable.label()} was given {leaf!r}, of type {type(leaf).__qualname__}, by the code of its model; what "
            f"can be stored after a transform is an array of {self.backend.name}"
        )

    def _make_arrays(self, entry: Entry) -> None:
        leaves, tree = flatten(entry.value)
        if not leaves and entry.original is not None and tree == flatten(entry.original)[1]:
            entry.written = False  # one empty container stands for another
        elif not leaves:
            raise VariableWriteError(
                f"{entry.variable.label()} was given {entry.value!r} by the code of its model; what can be stored "
                f"after a transform is an array of {self.backend.name}"
            )
        if not all(map(self.backend.is_array, leaves)):
            entry.value = tree.unflatten([self._to_array(entry.variable, leaf) for leaf in leaves])

    # ---- the end of the call ---------------------------------------------------------------------------------------

    def writes(self) -> list[Write]:
        """Return what has been written so far, traced as it is: assignments and in-place changes.

        Raises
        ------
        VariableWriteError
            If a model's code has made a change that cannot be stored.
        """
        if self._refusal is not None:
            raise VariableWriteError(self._refusal)
        for entry in self._entries.values():
            if entry.written and entry.variable._holder is not None:
                self._make_arrays(entry)
        writes = [
            Write(entry.variable, entry.value, entry.created)
            for entry in self._entries.values()
            if entry.written or self._changed_in_place(entry)
        ]
        self._keep(write.variable for write in writes)
        return writes

    def _keep(self, written: Iterable[Place]) -> None:
        """Keep what models hold, which a framework may write that runs parts of the function again."""
        if self.parent is None and self.differentiates:
            for variable in written:
                if variable._holder is not None and id(variable) not in self._kept:
                    self._kept[id(variable)] = variable, variable.keep()

    def commit(self, writes: list[Write]) -> None:
        """Hand untraced values to the enclosing scope or to the Variables: all of them, or none on an error.

        Raises
        ------
        TracerLeakError
            Naming the Variable, if a value still belongs to a trace.
        """
        if self.parent is not None:
            for write in writes:
                if write.created:
                    self.parent.create(write.variable, write.value)
                else:
                    self.parent.write(write.variable, self.parent._from(self.backend, write))
            return
        final = [(write.variable, self._final_value(write)) for write in writes]
        kept, self._kept = self._kept, {}
        _assign_all(final, kept)

    def _final_value(self, write: Write) -> Any:
        leaves, tree = flatten(write.value)
        if any(self.backend.is_array(leaf) and self.backend.is_traced(leaf) for leaf in leaves):
            if write.created:  # it lived in a call that a trace of the framework records, and ends with that trace
                return expired()
            holder = write.variable._holder
            if holder is not None and holder.takes(write.value):
                return write.value
            raise TracerLeakError(
                f"the value written to {write.variable.label()} belongs to a trace of {self.backend.name} that is "
                f"still being made, so it cannot be stored; write a constant (stop the gradient, or detach it), or "
                f"keep the write out of the framework's own jit, vmap, grad and loops"
            )
        return tree.unflatten(write.variable.take_back(leaves, self.backend, moved=self.device is not None))

    def _from(self, backend: Backend, write: Write) -> Any:
        if backend is self.backend:
            return write.value
        return self._map(lambda leaf: self._bring_in(write.variable, leaf), write.value)

    # ---- values ----------------------------------------------------------------------------------------------------

    def _bring_in(self, variable: Place, leaf: Any) -> Any:
        """Turn one leaf of a Variable into an array of this call, on its device."""
        if self.backend.is_array(leaf):
            return leaf if self.device is None else self.backend.asarray(leaf, device=self.device)
        kind = kind_of(leaf)
        if not self.converts and kind != NUMPY:
            raise MixedBackendsError(
                f"{variable.label()} holds an array of {kind or type(leaf).__qualname__}, and this call runs on "
                f"{self.backend.name}; name the backend to have it converted, or make the Variable with "
                f"backend={self.backend.name!r}",
                variable,
            )
        return self.backend.import_array(leaf, device=self.device)

    def _copy(self, value: Any) -> Any:
        return self._map(self.backend.copy, value)

    def _map(self, function: Callable[[Any], Any], value: Any) -> Any:
        if self.backend.is_array(value):
            return function(value)
        leaves, tree = flatten(value)
        return tree.unflatten([function(leaf) for leaf in leaves])

    def _changed_in_place(self, entry: Entry) -> bool:
        if self.backend.is_array(entry.value):
            return self.backend.changed_in_place(entry.value, entry.original)
        values, _ = flatten(entry.value)
        originals, _ = flatten(entry.original)
        return any(map(self.backend.changed_in_place, values, originals))


def _is_number_or_numpy(leaf: Any) -> bool:
    return is_number(leaf) or kind_of(leaf) == NUMPY


def _mapped_write(variable: Place) -> VariableWriteError:
    return VariableWriteError(
        f"{variable.label()} is written in a function that vmap maps, where each example would write another value; "
        f"return the value, and write it after the call"
    )


def _assign_all(final: list[tuple[Place, Any]], kept: Mapping[int, tuple[Place, Any]]) -> None:
    """Store all values, or, if an interrupt arrives between two of them, none; some were kept before, by identity."""
    before = [kept.get(id(variable)) or (variable, variable.keep()) for variable, _ in final]
    try:
        for variable, value in final:
            variable._value = value
    except BaseException:
        for variable, value in before:
            variable._value = value
        raise
