"""Functions of anything as functions of flat arrays, for a backend to compile: `Backend.stage`.

Arguments and the values of Variables go in as arrays, results and written values come out as arrays; whatever else
there is, trees, text, which Variables were written, is static on the way in and a note on the way out. Knows nothing of
how anything is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from anyjac_plugins import Array, Backend, OpenedNode, StagedAgainError, StagedResult
from anyjac_plugins.errors import InputTypeError, OutputError
from anyjac_plugins.loading.models import libraries

from ..calls.containers import opener_of
from ..calls.opening import open_scope
from ..calls.outputs import refuse_traced_objects, take_apart
from ..calls.run import run_in_scope
from ..derivatives.linearisation import LinearisationView
from ..selection.array_protocols import is_wrapper
from ..selection.choice import is_array_of_any
from ..selection.conversion import to_array
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import Variable, without_variables
from ..trees.exact import exact_keys, exact_keys_of, exactly
from ..trees.objects import opener_of_objects
from ..trees.partition import GAP, Partition, Skeleton
from ..trees.structure import NodeOpener, TreeDef, flatten
from .static_arguments import StaticValue

_NUMBERS = (int, float, complex)


class Identity:
    """Stands for an object, by identity."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.thing is other.thing


class Static:
    """All of a call that is no array: its kind, together with the shapes and dtypes of the arrays.

    Attributes
    ----------
    tree
        The structure of ``(args, kwargs)``.
    leaves
        For each leaf its exact stand-in and the leaf itself; None for an array.
    keys
        The keys of dicts that are no text, exactly: 1, 1.0 and True are equal and yet others. Those of the arguments,
        and then those in the values of Variables.
    variables
        The Variables whose values follow the arguments, each with the structure of its value.
    """

    __slots__ = ("_hash", "keys", "leaves", "tree", "variables")

    def __init__(
        self,
        tree: TreeDef,
        leaves: tuple[tuple[Hashable, Hashable] | None, ...],
        keys: tuple[Hashable, ...],
        variables: tuple[tuple[Identity, TreeDef], ...] = (),
    ):
        self.tree = tree
        self.leaves = leaves
        self.keys = keys
        self.variables = variables
        self._hash = hash((tree, leaves, keys, variables))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Static) and (self.tree, self.leaves, self.keys, self.variables) == (
            other.tree,
            other.leaves,
            other.keys,
            other.variables,
        )

    def with_variables(self, variables: Sequence[tuple[Identity, TreeDef]], keys: Iterable[Hashable] = ()) -> Static:
        """Return the same for a call that reads these Variables, whose values have these exact keys."""
        return Static(self.tree, self.leaves, (*self.keys, *keys), tuple(variables))

    def arguments(self, remaining: Iterator[Array]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Put the arguments together around arrays."""
        rest = [GAP if leaf is None else _thing(leaf[1]) for leaf in self.leaves]
        args, kwargs = Skeleton(self.tree, rest).combine(remaining)
        return args, kwargs


def _thing(value: Hashable) -> Any:
    return value.thing if isinstance(value, Identity) else value


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, taken apart into arrays and the rest."""

    arrays: list[Array]
    static: Static


def take_arguments_apart(
    backend: Backend, device: Any, converts: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Arguments:
    """Separate the arrays and numbers among the arguments from the rest.

    Raises
    ------
    InputTypeError
        Naming an argument that is neither an array nor hashable.
    MixedBackendsError, DtypeError
        Naming an argument that is an array of another framework, or no array of numbers.
    """
    keys = list(exact_keys((args, kwargs)))
    leaves, tree = flatten((args, kwargs), _opener_of_arguments(backend, keys))
    arrays: list[Array] = []
    static: list[tuple[Hashable, Hashable] | None] = []
    for index, leaf in enumerate(leaves):
        if isinstance(leaf, StaticValue):
            thing = _hashable_static(leaf.value, tree, index)
            static.append((exactly(thing), thing))
        elif isinstance(leaf, _PlainNumber):
            static.append((exactly(leaf.number), leaf.number))
        elif device is None and _is_counted(leaf):
            arrays.append(leaf)  # of which the compiler makes what it likes best
            static.append(None)
        elif isinstance(leaf, Variable):
            static.append((None, Identity(leaf)))
        elif backend.is_array(leaf) or is_array_of_any(leaf) or _is_counted(leaf) or is_wrapper(type(leaf)):
            label = partial(_argument_path, tree, index)
            arrays.append(to_array(backend, leaf, label, device=device, converts=converts))
            static.append(None)
        else:
            thing = _hashable(leaf, tree, index)
            static.append((exactly(thing), thing))
    return Arguments(arrays, Static(tree, tuple(static), tuple(keys)))


def _is_counted(leaf: Any) -> bool:
    """Return whether a leaf is a number that is an array to the function, unlike True and False."""
    return isinstance(leaf, _NUMBERS) and not isinstance(leaf, bool)


def _argument_path(tree: TreeDef, index: int) -> str:
    """Return where a leaf of ``(args, kwargs)`` stands: ``args[0]['w']``."""
    path = tree.paths()[index]
    return ("args", "kwargs")[int(path[1])] + path[3:]


@dataclass(frozen=True, slots=True)
class _PlainNumber:
    """A number in a model of another library that is none of its parameters."""

    number: Any


def _opener_of_arguments(backend: Backend, keys: list[Hashable]) -> NodeOpener:
    """Return an opener of the backend's own containers, which marks the numbers of models that are to stay numbers.

    The exact keys in what it opens are added to `keys`.
    """
    opener = opener_of(backend)

    def open_argument(node: object) -> OpenedNode | None:
        opened = opener(node)
        if opened is None:
            return None
        keys.extend(exact_keys_of(node) if isinstance(node, Mapping) else ())
        keys.extend(exact_keys(opened.children))
        library = libraries.of(node)
        if library is None:
            return opened
        children, tree = flatten(opened.children)
        marked = [_PlainNumber(c) if isinstance(c, _NUMBERS) and library.holds_back(c, node) else c for c in children]
        return replace(opened, children=tree.unflatten(marked))

    return open_argument


def _hashable(leaf: Any, tree: TreeDef, index: int) -> Hashable:
    return _hashed(
        leaf,
        lambda: (
            f"{_argument_path(tree, index)} is of type {type(leaf).__qualname__}, which is neither an array nor "
            f"hashable, so that jit cannot tell one from another; make it an array, a Variable or hashable, or bind it "
            f"with functools.partial"
        ),
    )


def _hashable_static(value: Any, tree: TreeDef, index: int) -> Hashable:
    path = _argument_path(tree, index)
    if is_array_of_any(value):
        raise InputTypeError(
            f"{path} is static and an array, of type {type(value).__qualname__}, each of which would be another kind; "
            f"take it out of the static arguments"
        )
    return _hashed(
        Identity(value) if isinstance(value, Variable) else value,
        lambda: (
            f"{path} is static and not hashable, {value!r} (of type {type(value).__qualname__}); make it hashable, "
            f"as a tuple is in the place of a list"
        ),
    )


def _hashed(value: Any, refusal: Callable[[], str]) -> Hashable:
    """Return a value that has a hash; refuse any other in the given words."""
    try:
        hash(value)
    except Exception as error:  # of any kind, from a `__hash__` of the user's
        raise InputTypeError(refusal()) from error
    return value  # type: ignore[no-any-return]


class UndiscoveredError(StagedAgainError):
    """The function read Variables that are no inputs of it yet."""

    def __init__(self, variables: Sequence[Variable]):
        super().__init__(variables)
        self.variables = variables


class Note:
    """What a function returned and wrote, without the arrays.

    Attributes
    ----------
    plain
        Whether it returned one bare array and wrote nothing.
    written
        The Variables that it wrote, if each of them holds one bare array; None otherwise.
    """

    __slots__ = ("__weakref__", "_output", "_writes", "plain", "written")

    def __init__(self, output: Skeleton, writes: Sequence[tuple[Variable, Skeleton]]):
        self._output = output
        self._writes = writes
        self.plain = output.is_bare and not writes
        simple = all(skeleton.is_bare for _, skeleton in writes)
        self.written = tuple(variable for variable, _ in writes) if simple else None

    @property
    def count(self) -> int:
        """The number of arrays in the result of the function; the written ones follow."""
        return self._output.count

    def result(self, arrays: Sequence[Array]) -> Any:
        """Return what the function returned, around the arrays that came out."""
        return self._output.combine(arrays)

    def writes(self, arrays: Sequence[Array]) -> list[Write]:
        """Return what the function wrote, around the arrays that came out."""
        start = self._output.count
        found = []
        for variable, skeleton in self._writes:
            found.append(Write(variable, skeleton.combine(arrays[start : start + skeleton.count]), created=False))
            start += skeleton.count
        return found


class FlatCall:
    """A function as a function of flat arrays, for calls of one kind, as a backend compiles it.

    Found only when it is run, it is not kept by what is compiled of it: it may be the method of an object.
    """

    __slots__ = ("_backend", "_converts", "_device", "_resolve", "_static")

    def __init__(
        self,
        backend: Backend,
        device: Any,
        converts: bool,
        static: Static,
        resolve: Callable[[], Callable[..., Any]],
    ):
        self._backend = backend
        self._device = device
        self._converts = converts
        self._static = static
        self._resolve = resolve

    def __call__(self, *arrays: Array) -> StagedResult:
        """Run to be compiled.

        Raises
        ------
        UndiscoveredError
            For Variables that it read and that were not among its inputs.
        """
        return self._run_in(_run_to_discover, arrays)

    def as_it_is(self, *arrays: Array) -> StagedResult:
        """Run for this one call, in which Variables need be no inputs."""
        return self._run_in(_run, arrays)

    def _run_in(self, run: Callable[..., StagedResult], arrays: Sequence[Array]) -> StagedResult:
        def work(scope: Scope) -> StagedResult:
            return run(self._resolve(), scope, arrays, self._static)

        return open_scope(work, self._backend, self._device, self._converts)


def _run_to_discover(func: Callable[..., Any], scope: Scope, arrays: Sequence[Array], static: Static) -> StagedResult:
    """Run, and raise an UndiscoveredError for Variables that are to be inputs.

    A framework that records this run makes other threads wait until the recording has finished. If one of these threads
    owns a Variable that is wanted here, the two would wait for each other for ever. So the run does not wait: such a
    Variable is an input next time, and is waited for before the run.
    """
    owner = scope.owner
    before, owner.missed = owner.missed, []
    try:
        returned = _run(func, scope, arrays, static)
    except Exception:  # a BusyError, or what the function has made of it: it runs again with what it has missed
        if not owner.missed:
            raise
    finally:
        missed, owner.missed = owner.missed, before
    if missed:
        raise UndiscoveredError(missed)
    undiscovered = scope.read_besides([variable.thing for variable, _ in static.variables])
    if undiscovered:
        raise UndiscoveredError(undiscovered)
    return returned


def _run(func: Callable[..., Any], scope: Scope, arrays: Sequence[Array], static: Static) -> StagedResult:
    backend = scope.backend
    remaining = iter(arrays)
    args, kwargs = static.arguments(remaining)
    values = [
        (variable.thing, tree.unflatten([next(remaining) for _ in range(tree.num_leaves)]))
        for variable, tree in static.variables
    ]

    def take(result: Any) -> Partition:
        output = take_apart(backend, without_variables(result), opener_of_objects(backend, opener_of(backend)))
        _refuse_linear_maps(output)
        refuse_traced_objects(backend, output, "the result")
        return output

    output, writes = run_in_scope(scope, func, args, kwargs, take, values)
    stored = [(write.variable, value) for write, value in writes if not write.created]
    results = [*output.arrays, *(array for _, value in stored for array in value.arrays)]
    note = Note(output.skeleton(), [(variable, value.skeleton()) for variable, value in stored])
    return StagedResult(note, results)


def _refuse_linear_maps(output: Partition) -> None:
    """Refuse results that belong to one run of the function, and would be those of the first run ever after.

    Raises
    ------
    OutputError
        Naming it.
    """
    for leaf in output.leaves:
        if isinstance(leaf, LinearisationView):
            raise OutputError(
                f"a compiled function returned {leaf!r}, which holds what one run of it has computed; apply it in the "
                f"function, and return what comes out"
            )
