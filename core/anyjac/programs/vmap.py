"""`vmap`: a function mapped over an axis of its arguments, with what Variables mean in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, overload

import numpy as np

from anyjac_plugins import STOP_GRADIENT, Array, Backend, Randomness
from anyjac_plugins.backend.types import chunks
from anyjac_plugins.errors import InputValueError, OutputError

from ..callables.wrapper import Deferred, Wrapper, name_of
from ..calls.constants import Constants
from ..calls.containers import opener_of, opener_without
from ..calls.dtypes import float0, is_trivial
from ..calls.labels import argument_label, leaf_label, output_label
from ..calls.opening import open_call, select_backend
from ..calls.outputs import take_apart
from ..calls.run import run_in_scope
from ..calls.settings import check_backend, check_chunk_size, check_randomness
from ..derivatives.docstrings import filled_from
from ..derivatives.jacobians import jacrev
from ..derivatives.transform import settings_of
from ..pickles import Recipe, given
from ..selection.choice import is_array_of_any, is_number
from ..selection.conversion import Label, to_array
from ..state.scope import Scope
from ..state.variable import without_variables
from ..trees.partition import GAP, Partition, Skeleton
from ..trees.structure import flatten
from .axes import behind, checked, checked_by_keyword, for_each_argument, for_each_keyword, for_each_leaf, in_front

R = TypeVar("R", covariant=True)


class MapDecorator(Protocol):
    """What `vmap` returns where it is given no function."""

    @overload
    def __call__(self, func: Callable[..., complex], /) -> Mapped[Any]: ...
    @overload
    def __call__(self, func: Callable[..., R], /) -> Mapped[R]: ...


@overload
def vmap(
    func: None = None,
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    kwarg_axes: Any = None,
    backend: str | Backend | None = None,
    device: Any = None,
    chunk_size: int | None = None,
    randomness: Randomness = "different",
) -> MapDecorator: ...


# A number becomes an array, of a type that is not known here; any other type is taken for that of the whole batch too.
@overload
def vmap(
    func: Callable[..., complex],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    kwarg_axes: Any = None,
    backend: str | Backend | None = None,
    device: Any = None,
    chunk_size: int | None = None,
    randomness: Randomness = "different",
) -> Mapped[Any]: ...


@overload
def vmap(
    func: Callable[..., R],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    kwarg_axes: Any = None,
    backend: str | Backend | None = None,
    device: Any = None,
    chunk_size: int | None = None,
    randomness: Randomness = "different",
) -> Mapped[R]: ...


@filled_from(jacrev)
def vmap(
    func: Callable[..., Any] | None = None,
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    kwarg_axes: Any = None,
    backend: str | Backend | None = None,
    device: Any = None,
    chunk_size: int | None = None,
    randomness: Randomness = "different",
) -> Mapped[Any] | MapDecorator:
    """Make a function that maps `func` over an axis of its arguments: one call for all examples of a batch.

    Around a transform it gives per-example derivatives, with respect to Variables too.

    Parameters
    ----------
    func
        Any callable, a transform among them. Left out, `vmap` returns a decorator.
    in_axes
        The axis to map over: an int for all positional arguments, or a sequence with one entry for each of them: an
        int, None for one that goes to every example as it is, or a tree of these that is a prefix of the argument's.
    out_axes
        Where the axis is in what comes back: an int, None for what is the same for all examples and comes back once,
        or a tree of these that is a prefix of the output's.
    kwarg_axes
        The same for keyword arguments: None to give them to every example as they are, an int for all of them, or a
        dict with axes by their names, in which a missing name means None. `jax.vmap` maps them all over axis 0.
    backend, device
        As in `jacrev`.
    chunk_size
        How many examples to compute at once; None for all of them.
    randomness
        What random numbers are for the examples: ``"different"``, drawn anew for each, ``"same"``, drawn once for all
        of them, or ``"error"``, refused. The last two are PyTorch's; on JAX numbers go by their keys, whatever is said
        here, and other backends refuse the two.

    Returns
    -------
    Mapped
        Takes the arguments of `func` and returns the tree that it returns, with one more axis in each array.

    Raises
    ------
    InputTypeError, InputValueError
        Here, or in the call, for axes that do not fit the arguments, or whose sizes differ.
    OutputError
        In the call, if `func` returns something besides arrays and numbers, or different results for examples where
        `out_axes` says None.
    NotSupportedError
        In the call, for a `randomness` that the backend cannot keep to.
    RandomnessError
        In the call, if `func` draws random numbers with ``randomness="error"``.
    VariableWriteError
        In the call, if `func` writes a Variable.

    Notes
    -----
    A Variable has one value, which all examples read. It cannot be written in `func`, where each example would write
    another value: return what is to be written, and write it after the call. To map over what a Variable holds, pass
    it as an argument.

    JAX and PyTorch compute all examples at once, by `jax.vmap` and `torch.func.vmap`, and `func` runs once, so that it
    cannot branch on values; a backend without such a map runs it once for each example. Where PyTorch refuses to map a
    function, as for branches, writes in place and recurrent layers, the examples are taken one by one as well, with an
    `UnmappedWarning`; the first call then begins `func` again. Over an axis of no elements
    `func` runs once, on ones, for the shapes of the results, which have no elements along the axis either.

    Examples
    --------
    Gradients of a loss for each example of a batch:

    >>> import numpy as np
    >>> import anyjac
    >>> weights = anyjac.Variable(np.array([1.0, 2.0]), name="weights")
    >>> def loss(x, y):
    ...     return ((weights * x).sum() - y) ** 2
    >>> batch, targets = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), np.array([0.0, 1.0, 4.0])
    >>> anyjac.vmap(anyjac.grad(loss, weights))(batch, targets)
    array([[2., 0.],
           [4., 4.],
           [0., 0.]])
    """
    check_backend(backend)
    check_chunk_size(chunk_size)
    axes = _Axes(checked(in_axes, "in_axes"), checked(out_axes, "out_axes"), checked_by_keyword(kwarg_axes))
    options = _Options(axes, backend, device, chunk_size, check_randomness(randomness))
    if func is None:
        text = f"vmap({options.describe().removeprefix(', ')})"
        return Deferred(partial(Mapped[Any], options=options), text, options.recipe)
    return Mapped(func, options)


@dataclass(frozen=True, slots=True)
class _Axes:
    inward: Any
    outward: Any
    by_keyword: Any

    def given(self) -> dict[str, Any]:
        """Return those that differ from the defaults, by the names of the options."""
        axes = {"in_axes": (self.inward, 0), "out_axes": (self.outward, 0), "kwarg_axes": (self.by_keyword, None)}
        return {name: value for name, (value, default) in axes.items() if value != default or value is False}


@dataclass(frozen=True, slots=True)
class _Options:
    axes: _Axes
    backend: str | Backend | None
    device: Any
    chunk_size: int | None
    randomness: Randomness

    def recipe(self) -> Recipe:
        """Return how pickles make what has these options."""
        return "vmap", self.axes.given() | given(**self._others())

    def describe(self) -> str:
        """Return the options that differ from the defaults, as they would be written."""
        texts = [f", {name}={value!r}" for name, value in self.axes.given().items()]
        return "".join(texts + [f", {name}={value!r}" for name, value in self._others().items() if value is not None])

    def _others(self) -> dict[str, Any]:
        """Return the options besides axes by their names, None for a default."""
        return {
            "backend": self.backend,
            "device": self.device,
            "chunk_size": self.chunk_size,
            "randomness": None if self.randomness == "different" else self.randomness,
        }


class Mapped(Wrapper, Generic[R]):
    """A function that `vmap` maps over an axis of its arguments.

    It has the function's name, docstring and signature, keeps it as ``__wrapped__``, and binds ``self`` where it is an
    attribute of a class. It can be copied and pickled when its function can.

    Made by `vmap`, not by hand.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.vmap(anyjac.jacrev(lambda x: x**2), in_axes=1)
    vmap(jacrev(<lambda>), in_axes=1)
    """

    def __init__(self, func: Callable[..., Any], options: _Options):
        super().__init__(func, "vmap")
        self._mapping = options

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        if args and isinstance(args[0], type) and (bound := self._of_class(args[0])) is not None:
            of_class: R = bound(*args[1:], **kwargs)
            return of_class
        result: R = _map(self.__wrapped__, self._mapping, args, kwargs)
        return result

    def __get__(self, instance: object | None, owner: type | None = None) -> Mapped[R]:
        mapped: Mapped[R] = super().__get__(instance, owner)
        return mapped

    def __repr__(self) -> str:
        return f"vmap({name_of(self.__wrapped__)}{self._mapping.describe()})"

    def _options(self) -> tuple[Any, ...]:
        return (self._mapping,)

    def _recipe(self) -> Recipe:
        return self._mapping.recipe()


def _map(func: Callable[..., Any], options: _Options, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    settings = settings_of(func)
    named = options.backend if options.backend is not None or settings is None else settings.backend

    def work(scope: Scope) -> tuple[Any, None]:
        batch = _Batch(scope, options.axes, args, kwargs)
        run = _Run(func, scope, batch, options.axes.outward)
        rows = _in_chunks(scope.backend, run, batch.arrays, batch.size, options)
        return run.output_of(scope.backend.unshared(rows, batch.arrays)), None

    selection = select_backend(named, args, kwargs, () if settings is None else settings.variables)
    return open_call(work, selection, options.device, maps=True)


def _in_chunks(
    backend: Backend, run: Callable[..., list[Array]], arrays: Sequence[Array], size: int, options: _Options
) -> list[Array]:
    if not size:
        one_row = [_ones(backend, array) for array in arrays]
        return [column[:0, ...] for column in backend.map_chunks(run, [one_row], options.randomness)[0]]
    chunk_size = options.chunk_size
    if chunk_size is None or chunk_size >= size:
        return backend.map_chunks(run, [arrays], options.randomness)[0]
    spans = chunks(size, chunk_size)
    parts = backend.map_chunks(
        run, [[array[start:stop, ...] for array in arrays] for start, stop in spans], options.randomness
    )
    return [backend.namespace.concat(column, axis=0) for column in zip(*parts, strict=True)]


def _ones(backend: Backend, empty: Array) -> Array:
    """Return a batch of one example, of ones, in the place of a batch of none."""
    return backend.namespace.ones_like(backend.zeros((1, *empty.shape[1:]), empty))


class _Batch:
    """The arguments of a mapped call, taken apart into what is mapped over and what every example gets.

    Attributes
    ----------
    arrays
        What is mapped over, with the mapped axis in front.
    size
        How many examples there are.
    """

    def __init__(self, scope: Scope, axes: _Axes, args: tuple[Any, ...], kwargs: dict[str, Any]):
        self.arrays: list[Array] = []
        self._labels: list[Label] = []
        self._scope = scope
        self._constants = Constants(scope.backend, scope.device)
        by_keyword = for_each_keyword(axes.by_keyword, kwargs)
        self._args = [
            self._taken_apart(arg, argument_axes, argument_label(position))
            for position, (arg, argument_axes) in enumerate(
                zip(args, for_each_argument(axes.inward, len(args)), strict=True)
            )
        ]
        self._kwargs = {
            name: self._taken_apart(arg, by_keyword[name], partial("argument {}".format, name))
            for name, arg in kwargs.items()
        }
        self.size = _common_size(self.arrays, self._labels)

    def _taken_apart(self, arg: Any, axes: Any, argument: Label) -> _Mapped:
        """Take an argument apart, and note what is mapped over in it."""
        backend = self._scope.backend
        if axes is None:
            return _Mapped(self._constants.of(arg), None)
        opener = opener_without(backend, _is_the_same_for_all)
        leaves, tree = flatten(without_variables(arg), opener)
        rest: list[Any] = []
        for index, (leaf, axis) in enumerate(zip(leaves, for_each_leaf(axes, arg, len(leaves), opener), strict=True)):
            rest.append(leaf if axis is None else GAP)
            if axis is not None:
                label = partial(leaf_label, argument, tree, index)
                array = to_array(backend, leaf, label, device=self._scope.device, converts=self._scope.converts)
                self.arrays.append(in_front(backend, array, axis, label))
                self._labels.append(label)
        return _Mapped(arg, Skeleton(tree, rest))

    def example(self, rows: Sequence[Array]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional arguments of one example, and those by keyword."""
        remaining = iter(rows)
        args = [arg.example(remaining) for arg in self._args]
        return args, {name: arg.example(remaining) for name, arg in self._kwargs.items()}


class _Mapped(NamedTuple):
    """An argument of a mapped call.

    Attributes
    ----------
    given
        The argument.
    skeleton
        The argument without what is mapped over; None where every example gets it as it is.
    """

    given: Any
    skeleton: Skeleton | None

    def example(self, rows: Iterator[Array]) -> Any:
        """Return the argument of one example, of whose rows it takes its own."""
        return self.given if self.skeleton is None else self.skeleton.combine(rows, whole=True)


def _is_the_same_for_all(leaf: Any, held_back: bool) -> bool:
    """Return whether a leaf of a container goes to every example as it is: a function, a text, a number of a model."""
    return not is_array_of_any(leaf) and (held_back or not is_number(leaf))


def _common_size(arrays: Sequence[Array], labels: Sequence[Label]) -> int:
    """Return how many examples there are, and refuse arrays that have different numbers of them."""
    if not arrays:
        raise InputValueError("vmap needs an argument to map over, and in_axes or the arguments name none")
    first = arrays[0].shape[0]
    for array, label in zip(arrays, labels, strict=True):
        size = array.shape[0]
        if size != first:
            raise InputValueError(
                f"{label()} has {size} elements along the axis to map over, and {labels[0]()} has {first}; both need "
                f"as many, or None in in_axes"
            )
    return int(first)


class _Run:
    """The user's function as a function of the arrays of one example, within the scope of the call."""

    def __init__(self, func: Callable[..., Any], scope: Scope, batch: _Batch, out_axes: Any):
        self._out_axes = out_axes
        self._axes: list[Any] | None = None
        self.origin = func  # by which backends remember what they cannot map at once
        self._scope = scope
        self._batch = batch
        self._output: Partition | None = None
        self._shapes: list[tuple[int, ...]] = []
        self._depends: list[bool | None] = []

    def __call__(self, *rows: Array) -> list[Array]:
        backend = self._scope.backend

        def take(result: Any) -> Partition:
            return take_apart(backend, without_variables(result), opener_of(backend))

        args, kwargs = self._batch.example(rows)
        output, _ = run_in_scope(self._scope, self.origin, args, kwargs, take)
        if self._output is not None and self._output.tree != output.tree:
            raise OutputError(
                f"the function returned {output.tree} for one example, and {self._output.tree} for another; it must "
                f"return the same structure for all of them"
            )
        if self._axes is None:
            opener = opener_of(backend)
            self._axes = list(for_each_leaf(self._out_axes, output.original, len(output.leaves), opener, "out_axes"))
        self._depends = [
            is_array and axis is None and backend.is_mapped(leaf, rows)
            for leaf, is_array, axis in zip(output.leaves, output.is_array, self._axes, strict=True)
        ]
        results = [
            leaf if is_array else _constant(backend, leaf, output_label(output.tree, index))
            for index, (leaf, is_array) in enumerate(zip(output.leaves, output.is_array, strict=True))
            if not is_trivial(leaf)  # of which there are as many as examples, and nothing to compute
        ]
        self._check_shapes(output, [tuple(result.shape) for result in results])
        output.release()  # so that nothing is kept of a trace that ends
        self._output = output
        return results

    def _check_shapes(self, output: Partition, shapes: list[tuple[int, ...]]) -> None:
        """Refuse results whose shapes differ from example to example, as they may in a loop."""
        before, self._shapes = self._shapes, shapes
        if self._output is None or before == shapes:
            return
        stacked = [index for index, leaf in enumerate(output.leaves) if not is_trivial(leaf)]
        for index, shape, other in zip(stacked, shapes, before, strict=True):
            if shape != other:
                raise OutputError(
                    f"{output_label(output.tree, index)()} has shape {shape} for one example, and {other} for another; "
                    f"results of examples are stacked, and need one shape: fill them up, or map without vmap"
                )

    def output_of(self, rows: Sequence[Array]) -> Any:
        """Put what has been computed for all examples into the tree of the output."""
        assert self._output is not None
        assert self._axes is not None
        tree, backend, leaves, axes = self._output.tree, self._scope.backend, self._output.leaves, self._axes
        remaining = iter(rows)
        moved: list[Any] = []
        for index, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
            label = output_label(tree, index)
            if is_trivial(leaf):
                stacked = np.zeros((self._batch.size, *leaf.shape), dtype=float0)
                moved.append(leaf if axis is None else behind(np.moveaxis, stacked, axis, label))
                continue
            column = next(remaining)
            if axis is None:
                moved.append(_only_row(backend, column, self._depends[index], label))
            else:
                moved.append(behind(backend.namespace.moveaxis, column, axis, label))
        return tree.unflatten(moved)


def _only_row(backend: Backend, column: Array, depends: bool | None, label: Label) -> Array:
    """Return the result that is the same for all examples.

    Raises
    ------
    OutputError
        If the results differ, or nothing tells whether they do.
    """
    if not column.shape[0]:
        raise OutputError(f"{label()} has no example, and out_axes says None there; give it an axis")
    if depends is None:
        depends = _differs(backend, column, label)
    if depends:
        raise OutputError(
            f"{label()} is different for each example, and out_axes says None there, for what is the same for all of "
            f"them; give it an axis"
        )
    return column[0, ...]


def _differs(backend: Backend, column: Array, label: Label) -> bool:
    """Return whether the results of examples are different numbers, for a backend that tells nothing else.

    Raises
    ------
    OutputError
        If they are traced, and have no numbers here.
    """
    numbers = backend.stop_gradient(column) if backend.supports(STOP_GRADIENT) else column
    if backend.is_traced(numbers):
        raise OutputError(
            f"{label()} may be different for each example, which cannot be told here, and out_axes says None there; "
            f"give it an axis, and take what you need of it"
        )
    return not _is_one_row(backend.to_numpy(numbers))


def _is_one_row(column: np.ndarray[Any, Any]) -> bool:
    """Return whether all rows are the same, NaN where the first has NaN."""
    return bool(np.all((column == column[:1]) | ((column != column) & (column[:1] != column[:1]))))


def _constant(backend: Backend, leaf: Any, label: Label) -> Array:
    """Make an array of a number, or of a NumPy array, that a function returned."""
    why = "and a mapped function returns arrays and numbers alone"
    return to_array(backend, leaf, label, converts=False, error=OutputError, why=why)
