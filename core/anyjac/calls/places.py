"""Where Variables stand when a function begins: in attributes, lists, dicts and names that the function reaches.

Looks from the function and its arguments a few steps deep, at a bounded number of objects, in every call anew, for
models change. Knows nothing of scopes, and reads no value.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from anyjac_plugins.reached import attributes_of, bound_to, named_by

from ..selection.choice import is_framework_type
from ..state.variable import Variable

MOST_OBJECTS: Final = 20
"""How many objects are looked at in each call: of a large model those that are next to the function."""

_DEEPEST: Final = 3
"""How many steps are gone from what the function names: ``self.layers[0].v`` takes three."""

_PLAIN, _VARIABLE, _DICT, _SEQUENCE, _FUNCTION, _METHOD, _CLASS, _OBJECT = range(8)
"""Sorts of things: of a plain one nobody's Variable is a part that could be replaced."""

_PLAIN_TYPES: Final = (
    *(types.ModuleType, types.BuiltinFunctionType, types.NoneType, types.MethodDescriptorType),
    *(int, float, complex, bool, str, bytes, bytearray, range, slice, set, frozenset),
)

_OURS: Final = frozenset({"anyjac", "anyjac_plugins"})

Path = tuple[Any, ...]
"""How a message writes where something stands, in pieces: the path to what is around it, and the steps from there."""


class Place(NamedTuple):
    """A Variable, and where it stands.

    Attributes
    ----------
    path
        How a message writes it.
    container
        A dict, among them the attributes of an object and the names of a module, a list, the cell of a closure, or an
        object.
    key
        The key, index or attribute.
    variable
        What stood there.
    shadows
        Whether it stands in a class, and `container` holds the attributes of an instance, which could shadow it.
    """

    path: Path
    container: Any
    key: Any
    variable: Variable
    shadows: bool = False

    def held_now(self) -> Any:
        """Return what stands there now; the Variable where nothing does."""
        container, key = self.container, self.key
        if isinstance(container, dict):
            return container.get(key, self.variable)
        if isinstance(container, list):
            return container[key] if key < len(container) else self.variable
        if isinstance(container, types.CellType):
            return _contents(container, self.variable)
        return getattr(container, key, self.variable)

    def put_back(self) -> None:
        """Put the Variable where it stood."""
        container, key = self.container, self.key
        if self.shadows:
            container.pop(key, None)
        elif isinstance(container, (dict, list)):
            container[key] = self.variable
        elif isinstance(container, types.CellType):
            container.cell_contents = self.variable
        else:
            setattr(container, key, self.variable)

    def name(self) -> str:
        """Return the path, as in ``self.cell.v``."""
        return _written(self.path)


def _written(path: Path) -> str:
    return "".join(_written(piece) if isinstance(piece, tuple) else piece for piece in path)


def places_in(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Place]:
    """Return where Variables stand that a function and its arguments reach."""
    search = _Search()
    search.begin_with(func)
    for position, value in enumerate(args):
        if _sort_of(type(value)) > _VARIABLE:
            search.later.append(((f"argument {position}",), value, 0))
    for name, value in kwargs.items():
        if _sort_of(type(value)) > _VARIABLE:
            search.later.append(((f"argument {name}",), value, 0))
    if search.later:
        search.go_on()
    return search.places


class _Search:
    """A search, in the breadth, for places of Variables.

    Attributes
    ----------
    places
        What was found.
    later
        What is still to be looked at: its path, itself, and how many steps away it is.
    """

    __slots__ = ("_names", "_seen", "later", "places")

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.later: list[tuple[Path, Any, int]] = []
        self._seen: set[int] = set()  # of things that are alive for as long as `later` is
        self._names: dict[str, Any] = {}

    def begin_with(self, func: Any) -> None:
        """Look at what a function is bound to, and at what its code names."""
        func, bound = bound_to(func)
        for name, value in bound:
            self._meet((name,), value, (), "", 0)
        if type(func) is types.FunctionType:
            self._names = func.__globals__
            self._look_at_names(func, 0)
        else:
            self._meet((f"the {type(func).__name__}",), func, (), "", 0)

    def go_on(self) -> None:
        """Look at what was found on the way, until there is no more, or it is too much."""
        later, seen, number = self.later, self._seen, 0
        while number < len(later) and number < MOST_OBJECTS:
            path, thing, depth = later[number]
            number += 1
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            sort = _sort_of(type(thing))
            if sort is _OBJECT:
                self._look_at_object(path, thing, depth)
            elif sort is _DICT:
                self._look_into(path, list(thing.items()), thing, depth)
            elif sort is _SEQUENCE:
                self._look_into(path, list(enumerate(thing[:MOST_OBJECTS])), thing, depth)
            elif sort is _FUNCTION:
                self._look_at_names(thing, depth + 1)
            elif sort is _METHOD:
                later.append(((path, ".__self__"), thing.__self__, depth))
            elif sort is _CLASS:
                self._look_at_class(path, thing, None)

    def _meet(self, path: Path, value: Any, container: Any, key: Any, depth: int) -> None:
        """Note a Variable, unless nothing can be put in its place; have anything else looked at later."""
        sort = _sort_of(type(value))
        if sort is _VARIABLE:
            if type(container) is not tuple:
                self.places.append(Place(path, container, key, value))
        elif sort is not _PLAIN and depth <= _DEEPEST:
            self.later.append((path, value, depth))

    def _look_at_names(self, func: types.FunctionType, depth: int) -> None:
        """Look at what the code of a function names: the cells of its closure, globals, defaults."""
        names = self._names
        globals_of_func = func.__globals__
        for name, value, container, key in named_by(func):
            # What is global in other modules is not the user's.
            if container is not globals_of_func or (container is names and self._is_of_module(value)):
                self._meet((name,), value, container, key, depth)

    def _is_of_module(self, value: Any) -> bool:
        """Return whether a function or a class is of the module of the first function; true for any other object."""
        sort = _sort_of(type(value))
        if sort is _FUNCTION:
            return value.__globals__ is self._names
        return sort is not _CLASS or self._names.get("__name__") == value.__module__

    def _look_into(self, path: Path, items: list[tuple[Any, Any]], container: Any, depth: int, name: str = "") -> None:
        """Look at items, or at the attributes of an object, whose steps are written as `name` says."""
        places, later = self.places, self.later if depth < _DEEPEST else []
        for key, value in items:
            sort = _sort_of(type(value))
            if sort is _PLAIN:
                continue
            step = (path, name, key) if name else (path, f"[{key!r}]")
            if sort is not _VARIABLE:
                later.append((step, value, depth + 1))
            elif type(container) is not tuple:
                places.append(Place(step, container, key, value))

    def _look_at_object(self, path: Path, thing: Any, depth: int) -> None:
        """Look at the attributes of an object; a proxy is asked for nothing but its type and its attributes."""
        kind = type(thing)
        attributes = attributes_of(thing)
        if attributes is not None:
            self._look_into(path, list(attributes.items()), attributes, depth, ".")  # a list: threads may add to them
            if depth == 0:
                for base in kind.__mro__[:-1]:
                    self._look_at_class(path, base, attributes)
        if getattr(kind, "__slots__", ()):
            self._look_into(path, list(_in_slots(kind, thing)), thing, depth, ".")

    def _look_at_class(self, path: Path, cls: type, attributes: dict[str, Any] | None) -> None:
        """Note the Variables of a class; given the attributes of an instance, that these may shadow them."""
        for name, value in list(vars(cls).items()):
            if _sort_of(type(value)) is _VARIABLE:
                self.places.append(Place((path, ".", name), cls, name, value))
                if attributes is not None and name not in attributes:
                    self.places.append(Place((path, ".", name), attributes, name, value, shadows=True))


def _sort(kind: Any) -> int:
    """Return what sort of things the instances of a type are, by the type alone."""
    if issubclass(kind, Variable):
        return _VARIABLE
    if kind in (types.FunctionType, types.MethodType):
        return _FUNCTION if kind is types.FunctionType else _METHOD
    if issubclass(kind, _PLAIN_TYPES) or kind.__module__.partition(".")[0] in _OURS or is_framework_type(kind):
        return _PLAIN  # modules are imported by a look at them; a transform of ours looks at its own function
    if issubclass(kind, type):
        return _CLASS
    if kind in (list, tuple):
        return _SEQUENCE
    return _DICT if kind is dict else _OBJECT


_sort_of: Callable[[type], int] = functools.lru_cache(maxsize=1024)(_sort)


def _contents(cell: types.CellType, otherwise: Any) -> Any:
    """Return what a cell holds; something else where it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return otherwise


def _in_slots(kind: type, thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the slots that are filled, with their values."""
    for base in kind.__mro__:
        for name, member in base.__dict__.items():
            if type(member) is types.MemberDescriptorType:
                try:
                    yield name, member.__get__(thing)
                except AttributeError:  # it is empty
                    continue
