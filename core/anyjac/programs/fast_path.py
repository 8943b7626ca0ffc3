"""The fast path of a compiled call like the one before, which repeats none of the checks made then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anyjac_plugins import Backend, StagedFunction

from ..calls.opening import open_scope
from ..selection.choice import chosen_in_context, registry
from ..state.context import innermost_scope
from ..state.scope import Scope
from ..state.variable import Variable
from ..trees.structure import TreeDef, flatten
from .staging import Note

FastCall = Callable[[tuple[Any, ...]], Any]


class UnlikeError(Exception):
    """A call has to go the long way."""


def no_fast_call(args: tuple[Any, ...]) -> Any:
    raise UnlikeError


Layout = tuple[tuple[str, ...] | None, ...]
"""For each argument the keys of its leaves, in their order, where it is a dict of arrays; None where it is an array."""


def layout_of(args: tuple[Any, ...], leaves: Sequence[Any]) -> Layout | None:
    """Return how to take arguments apart without a walk through trees; None for others, and for arrays alone."""
    dicts = [type(arg) is dict and all(type(key) is str for key in arg) for arg in args]
    layout = tuple(tuple(arg) if is_dict else None for arg, is_dict in zip(args, dicts, strict=True))
    found = _leaves_by(layout, args)
    same = len(found) == len(leaves) and all(mine is leaf for mine, leaf in zip(found, leaves, strict=True))
    return layout if any(dicts) and same else None


def _leaves_by(layout: Layout, args: tuple[Any, ...]) -> list[Any]:
    """Return the leaves of arguments that are laid out so; an UnlikeError for others."""
    if len(args) != len(layout):
        raise UnlikeError
    found: list[Any] = []
    for arg, keys in zip(args, layout, strict=True):
        if keys is None:
            found.append(arg)
        elif type(arg) is dict and tuple(arg) == keys:
            found.extend(arg.values())
        else:
            raise UnlikeError
    return found


class FastPath:
    """The short way for a call of arrays, bare or in trees, and how to tell that another call is like it.

    It is told by the types of arguments and Variables, the structure of the arguments, and by nobody's having chosen
    another backend or device meanwhile; shapes and dtypes are looked at by what the backend has compiled.
    """

    __slots__ = (
        "_backend",
        "_converts",
        "_generation",
        "_layout",
        "_named",
        "_read",
        "_staged",
        "_stateless",
        "_tree",
        "_types",
        "_value_types",
    )

    def __init__(
        self,
        backend: Backend,
        staged: StagedFunction,
        read: tuple[Variable, ...],
        leaves: Sequence[Any],
        tree: TreeDef | None,
        values: Sequence[Any],
        layout: Layout | None,
        *,
        converts: bool,
        named: bool,
        stateless: bool,
    ):
        self._backend = backend
        self._converts = converts
        self._staged = staged
        self._read = read
        self._tree = tree
        self._layout = layout
        self._types = tuple(map(type, leaves))
        self._value_types = [type(value) for value in values]
        self._named = named
        self._stateless = stateless
        self._generation = registry.generation

    def __call__(self, args: tuple[Any, ...]) -> Any:
        """Make a call; an UnlikeError before anything is written, if it is not like the one before."""
        arrays: Sequence[Any] = args
        if self._layout is not None:
            arrays = _leaves_by(self._layout, args)
        elif self._tree is not None:
            arrays, tree = flatten(args)
            if tree != self._tree:
                raise UnlikeError
        if (
            tuple(map(type, arrays)) != self._types
            or innermost_scope() is not None
            or self._generation != registry.generation
            or not (self._named or chosen_in_context() is None)
        ):
            raise UnlikeError
        if self._stateless:
            returned = self._staged(*arrays)
            if returned.note.plain:
                return returned.arrays[0]
            if returned.note.written == ():
                return returned.note.result(returned.arrays)
            raise UnlikeError
        return open_scope(lambda scope: self._stateful(scope, arrays), self._backend, None, self._converts)

    def _stateful(self, scope: Scope, arrays: Sequence[Any]) -> Any:
        backend = self._backend
        values = [scope.owned_value(variable) for variable in self._read]
        if [type(value) for value in values] != self._value_types:
            raise UnlikeError
        returned, _ = scope.run(lambda: self._staged(*arrays, *values))
        note: Note = returned.note
        if note.written is None:
            raise UnlikeError
        written = returned.arrays[note.count :]
        if any(map(backend.is_traced, written)) or any(variable.backend is not backend for variable in note.written):
            raise UnlikeError
        scope.store(zip(note.written, map(backend.constant, written), strict=True))
        return note.result(returned.arrays)
