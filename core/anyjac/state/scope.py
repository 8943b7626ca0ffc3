"""The scope of a running call: the values of Variables inside it, and the writes to be stored when all has gone well.

Reading a Variable in a scope gives its private copy there, traced if it is differentiated; writing changes the copy;
`Scope.commit` hands the written values to the enclosing scope, or to the Variables themselves, all at once. Knows
values and backends, nothing of derivatives; models of other libraries are in `foreign`, who waits for whom in
`ownership`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

from anyjac_plugins import NESTED, Backend
from anyjac_plugins.errors import MixedBackendsError, RepetitionError, VariableWriteError
from anyjac_plugins.loading.models import libraries

from ..selection.conversion import to_array
from ..trees.structure import flatten
from . import ownership
from .bound import BoundVariable
from .context import current_scope, set_innermost_scope
from .entries import Content, Entry, Write, store_all
from .foreign import ForeignModels
from .resuming import Resumption
from .variable import Variable, accepted

Result = TypeVar("Result")


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
    repeats
        What owned the Variables of a run that this scope repeats, with the same values and without what it writes;
        None for a scope of a run of its own.

    Raises
    ------
    NotSupportedError
        If the call differentiates within another that does, on a backend that does not declare ``nested``. Such a
        backend need not know its own traces, so the call is refused whatever it does.
    """

    def __init__(
        self,
        backend: Backend,
        device: Any,
        converts: bool,
        *,
        differentiates: bool = False,
        maps: bool = False,
        repeats: ownership.Owner | None = None,
    ):
        self.backend = backend
        self.maps = maps
        self.differentiates = differentiates
        self.device = device
        self.converts = converts
        self.closed = False
        self.parent = cast("Scope | None", current_scope())
        self.owner: ownership.Owner = ownership.Owner() if self.parent is None else self.parent.owner
        self._repeated = repeats
        self._owns: bool = repeats is None and (self.parent is None or self.parent._owns)
        self._seen_as: Callable[[Any], Any] | None = None
        self._entries: dict[int, Entry] = {}
        self._read: list[Variable] = []
        self._foreign: ForeignModels | None = None
        self._runs = False
        self._ended = False
        self._reader = ""
        if differentiates and self.parent is not None and not backend.supports(NESTED) and self._is_differentiated():
            raise backend.unsupported(NESTED)

    def _is_differentiated(self) -> bool:
        """Return whether a call around this one differentiates with the same backend."""
        around = self.parent
        while around is not None:
            if around.differentiates and around.backend is self.backend:
                return True
            around = around.parent
        return False

    # ---- the length of the call ------------------------------------------------------------------------------------

    def values_at_entry(self, variables: Sequence[Variable], companions: Sequence[BoundVariable] = ()) -> list[Any]:
        """Return what Variables are worth as the call begins; `companions` are others of their models, to be owned."""
        for companion in companions:
            self._own_models_of(companion)
        return [self.value_at_entry(variable) for variable in variables]

    def run(
        self, function: Callable[[], Result], values: Iterable[tuple[Variable, Any]] | None = None
    ) -> tuple[Result, list[Write]]:
        """Run a function in which Variables are read and written in this scope.

        Parameters
        ----------
        function
            Takes nothing.
        values
            What Variables read as, the traced forms of what they held at entry; all else that the scope knows is
            forgotten then, as if no function had run. None goes on with what the scope knows.

        Returns
        -------
        result, writes
            What the function returned, and what it wrote, traced as it is.
        """
        if values is not None:
            self._begin_with(values)
        self._activate()
        try:
            result = function()
        finally:
            self._deactivate()
        return result, self._writes()

    def show_as(self, seen: Callable[[Any], Any] | None) -> None:
        """Let Variables that are read from now on read as `seen` of the arrays that they hold; None for themselves."""
        self._seen_as = seen

    def share_models(self) -> None:
        """Let the models of all calls around take part in this call, which notes the writes of their code then."""
        around = self.parent
        while around is not None:
            if around.backend is self.backend and around._foreign is not None:
                for variable in around._foreign.one_of_each():
                    self._own_models_of(variable)
            around = around.parent

    def resumption(self) -> Resumption | None:
        """Return what shows models again what they held when the function ended; None where none takes part."""
        return None if self._foreign is None else self._foreign.resumption()

    def forget(self) -> None:
        """Forget what Variables are worth in a run that is over, and remember which were read."""
        self._read = self.read_besides([])
        self._entries.clear()

    def check_outputs(self, outputs: Sequence[Any]) -> None:
        """Refuse outputs that a model's code has not computed from the values of the scope."""
        if self._foreign is not None and self.differentiates:
            self._foreign.check_outputs(outputs)

    def commit(self, writes: Sequence[Write]) -> None:
        """Hand untraced values to the enclosing scope or to the Variables: all of them, or none on an error.

        Raises
        ------
        TracerLeakError
            Naming the Variable, if a value still belongs to a trace.
        """
        if self.parent is not None:
            for write in writes:
                self.parent.take_over(write, self.backend)
            return
        final = [(write.variable, write.final_value(self.backend, moved=self.device is not None)) for write in writes]
        store_all(final, {} if self._foreign is None else self._foreign.give_kept())

    def close(self) -> None:
        """Forget all values, and give up the Variables if this is the outermost scope; may be repeated."""
        if self._ended:
            return
        self.closed = True
        self._deactivate()
        if self._foreign is not None:
            self._foreign.bring_back()
            self._foreign = None  # which refers to the scope, and would keep it alive
        self._entries.clear()
        self._read = []
        if self.parent is None and self.owner is not self._repeated:
            ownership.release_all(self.owner)
        self._ended = True  # an interrupt before leaves everything to be done again

    def _begin_with(self, values: Iterable[tuple[Variable, Any]]) -> None:
        self._entries.clear()
        self._read = []
        if self._foreign is not None:
            self._foreign.forget()
        for variable, value in values:
            entry = self._entries[id(variable)] = self._entry(variable, value, value)
            if self._owns:
                self.owner.changed.add(id(variable))
            self._show(entry)

    def _activate(self) -> None:
        """Make this the scope in which Variables are read and written, and show its values to models."""
        set_innermost_scope(self)
        self._runs = True
        discovering = libraries.discovering(self.backend.name)
        if self._foreign is not None or discovering:
            try:
                self._models().begin(discovering, list(self._entries.values()))
            except BaseException:  # an interrupt too: what has been begun is ended
                self._deactivate()
                raise

    def _deactivate(self) -> None:
        """Make the enclosing scope the one in which Variables are read and written again; may be repeated."""
        try:
            self._runs = False
            if self._foreign is not None:
                self._foreign.end(self._entries)
        finally:
            set_innermost_scope(self.parent)

    # ---- reading and writing ---------------------------------------------------------------------------------------

    def value_at_entry(self, variable: Variable) -> Any:
        """Return what the enclosing scope, or the Variable itself, holds, as arrays of this call's backend."""
        if self._repeated is not None:
            raise _unknown_in_repetition(variable)
        if isinstance(variable, BoundVariable):
            self._own_models_of(variable)
            variable.holder.announce(running=self._runs)
        if self._owns:
            ownership.acquire(self.owner, variable)
        outside = variable.committed() if self.parent is None else self.parent.read(variable)
        if variable.backend is not self.backend or self.device is not None:
            outside = self._bring_in(variable, outside)
        return outside if self._seen_as is None else self._map(self._seen_as, outside)

    def owned_value(self, variable: Variable) -> Any:
        """Own a Variable and return its value, for this outermost scope to read and `store` without a copy."""
        ownership.acquire(self.owner, variable)
        return variable.committed()

    def store(self, values: Iterable[tuple[Variable, Any]]) -> None:
        """Give Variables arrays that are fit to be stored: all of them, or none on an error."""
        final = list(values)
        for variable, _ in final:
            ownership.acquire(self.owner, variable)
        store_all(final, {})

    def read(self, variable: Variable) -> Any:
        """Return the Variable's value in this scope."""
        entry = self._entries.get(id(variable))
        if entry is None:
            outside = self.value_at_entry(variable)
            entry = self._entries.setdefault(id(variable), self._entry(variable, outside, outside))
            self._show(entry)
        elif self._foreign is not None:
            self._foreign.look(entry)
        return entry.value

    def peek(self, variable: Variable, stored: Any) -> Any:
        """Return what the Variable is worth here for a look alone, which neither owns nor copies the value."""
        entry = self._entries.get(id(variable))
        if entry is not None:
            return entry.value
        return stored if self.parent is None else self.parent.peek(variable, stored)

    def write(self, variable: Variable, value: Any) -> None:
        """Give the Variable a value, already checked, for later reads and for the commit."""
        entry = self._entries.get(id(variable))
        if self.maps and not (entry is not None and entry.created):
            raise _mapped_write(variable)
        if self._reader:
            raise VariableWriteError(f"{variable.label()} is written in {self._reader}, which may only read; write it "
                                     f"where the loop goes on")  # fmt: skip
        if self._owns:
            ownership.acquire(self.owner, variable)
            self.owner.changed.add(id(variable))
        if entry is None:
            entry = self._entries[id(variable)] = self._entry(variable, value, None)
        else:
            new = self._entry(variable, value, None)
            entry.value, entry.content = new.value, new.content
        entry.written = True
        self._show(entry)

    @contextlib.contextmanager
    def reading_only(self, who: str) -> Iterator[None]:
        """Refuse all writes meanwhile, in the name of who must not write."""
        before, self._reader = self._reader, who
        try:
            yield
        finally:
            self._reader = before

    def replace(self, array: Any, new: Any) -> bool:
        """Write another array to the Variable that reads as this very array; return whether there is one."""
        for entry in list(self._entries.values()):
            leaves, tree = flatten(entry.value)
            if any(leaf is array for leaf in leaves):
                self.write(entry.variable, tree.unflatten([new if leaf is array else leaf for leaf in leaves]))
                return True
        return False

    def create(self, variable: Variable, value: Any) -> None:
        """Take in a Variable that is made while the scope is active."""
        entry = self._entries[id(variable)] = self._entry(variable, value, None)
        entry.written = entry.created = True
        self._show(entry)

    def take_over(self, write: Write, backend: Backend) -> None:
        """Take what a scope within this one has written, with arrays of its backend."""
        if write.created:
            self.create(write.variable, write.value)
        else:
            same = backend is self.backend
            self.write(write.variable, write.value if same else self._bring_in(write.variable, write.value))

    def read_besides(self, known: Sequence[Variable]) -> list[Variable]:
        """Return the Variables that were read and are none of `known`."""
        passed = {id(variable) for variable in known}
        read = [e.variable for e in self._entries.values() if e.original is not None and not e.created]
        return [variable for variable in (*self._read, *read) if id(variable) not in passed]

    def _writes(self) -> list[Write]:
        """Return what has been written so far: assignments, and changes in place.

        Raises
        ------
        VariableWriteError
            If a model's code has made a change that cannot be stored, or a Variable was changed in a mapped function.
        """
        foreign, entries = self._foreign, self._entries.values()
        if foreign is not None:
            foreign.refuse()
            for entry in entries:
                foreign.make_arrays(entry)
        for entry in entries:
            if entry.has_other_content():
                entry.value, entry.written = accepted(entry.variable, entry.value, self.backend), True
        writes = [
            Write(entry.variable, entry.value, entry.created)
            for entry in entries
            if entry.written or entry.changed_in_place(self.backend)
        ]
        if self.maps:
            for write in writes:
                if not write.created:
                    raise _mapped_write(write.variable)
        if foreign is not None and self.parent is None and self.differentiates:
            foreign.keep(write.variable for write in writes)
        return writes

    # ---- models of other libraries ---------------------------------------------------------------------------------

    def _models(self) -> ForeignModels:
        if self._foreign is None:
            self._foreign = ForeignModels(self, self.owner, self.read, self.create, runs=self._runs)
        return self._foreign

    def _own_models_of(self, variable: BoundVariable) -> None:
        """Own the models that a Variable is a part of, in this call and in those around it."""
        if self._repeated is not None and self.parent is None and ownership.owner_of(variable) is self._repeated:
            self.owner = self._repeated  # whose call goes on, perhaps in another thread
        models = self._models()
        if self.parent is not None and not models.knows(variable):
            self.parent._own_models_of(variable)  # which puts back last what was there first
        models.own_models_of(variable)

    def _show(self, entry: Entry) -> None:
        if isinstance(entry.variable, BoundVariable):
            self._own_models_of(entry.variable)
            self._models().show(entry)

    # ---- values ----------------------------------------------------------------------------------------------------

    def _bring_in(self, variable: Variable, value: Any) -> Any:
        """Turn the value of a Variable into arrays of this call, on its device."""

        def bring(leaf: Any) -> Any:
            if variable.backend.is_array(leaf) and self.backend is not variable.backend:
                _refuse_state(variable, leaf, self.backend)
            return to_array(
                self.backend,
                leaf,
                lambda: f"the value of {variable.label()}",
                device=self.device,
                converts=self.converts,
                variable=variable,
            )

        return self._map(bring, value)

    def _entry(self, variable: Variable, value: Any, original: Any) -> Entry:
        """Return an entry with a copy of a value."""
        if self.backend.is_array(value):
            return Entry(variable, self.backend.copy(value), original)
        copied = self._map(self.backend.copy, value)
        content = None if isinstance(variable, BoundVariable) else Content(copied)
        return Entry(variable, copied, original, content=content)

    def _map(self, function: Callable[[Any], Any], value: Any) -> Any:
        if self.backend.is_array(value):
            return function(value)
        leaves, tree = flatten(value)
        return tree.unflatten([function(leaf) for leaf in leaves])


def _refuse_state(variable: Variable, leaf: Any, backend: Backend) -> None:
    """Refuse an array that is no numbers where another framework than its own would have to take it."""
    own = variable.backend
    if own.is_state_dtype(leaf.dtype):
        raise MixedBackendsError(
            f"the value of {variable.label()} is {own.dtype_name(leaf.dtype)}, which {own.name} alone knows, and this "
            f"call runs on {backend.name}; read it in calls that run on {own.name}",
            variable,
        )


def _unknown_in_repetition(variable: Variable) -> RepetitionError:
    return RepetitionError(
        f"{variable.label()} is read where a checkpointed function runs again for its derivative, and was not read in "
        f"the first run, so that its value then is not known; let the function read the same Variables in every run"
    )


def _mapped_write(variable: Variable) -> VariableWriteError:
    return VariableWriteError(
        f"{variable.label()} is written in a function that vmap maps, where each example would write another value; "
        f"return the value, and write it after the call"
    )
