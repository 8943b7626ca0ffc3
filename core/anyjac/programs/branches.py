"""`cond` and its kin: one of several functions, chosen by a value, with Variables that some of them write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputTypeError, InputValueError, OutputError

from ..calls.containers import opener_of
from ..calls.labels import output_label
from ..calls.outputs import take_apart
from ..calls.run import run_in_scope
from ..selection.conversion import to_array
from ..state.entries import Write
from ..state.scope import Scope
from ..state.variable import without_variables
from ..trees.partition import GAP, Skeleton
from .carried import Carried, type_label
from .carried_variables import CarriedVariables, with_all_written, with_value
from .flags import flag_of, number_of
from .looping import open_loop


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any) -> Any:
    """Run one of two functions, as a boolean says.

    Parameters
    ----------
    pred
        A boolean without axes, of Python or an array.
    true_fun, false_fun
        Take the operands, and return trees of arrays and numbers of the same structure, shapes and dtypes. Either may
        read and write Variables.
    *operands
        Trees of arrays and numbers.

    Returns
    -------
    result
        What the chosen function returns.

    Raises
    ------
    InputTypeError
        If `pred` is no boolean without axes, or a function is not callable.
    OutputError
        If a function returns something besides arrays and numbers, or both differ in structure, shape or dtype.

    Notes
    -----
    Where `pred` is known, as it is on PyTorch and NumPy but in what `jit` compiles, the chosen function runs and the
    other does not, so that nobody sees whether the two differ. Where JAX records a program both are recorded, by
    `jax.lax.cond`, and one runs later; a Variable that only one of them writes keeps its value in the other.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> def bounded(x):
    ...     return anyjac.cond(x > 1.0, lambda x: 2.0 - 1.0 / x, lambda x: x, x)
    >>> float(anyjac.grad(bounded)(np.array(2.0))), float(anyjac.grad(bounded)(np.array(0.5)))
    (0.25, 1.0)
    """
    _check_functions("cond", (true_fun, false_fun))

    def index(backend: Backend) -> Array | int:
        flag = flag_of(backend, pred, "pred")
        known = backend.decided(flag)
        if known is not None:
            return int(known)
        return backend.namespace.where(flag, backend.asarray(1), backend.asarray(0))

    return _open_branches(index, (false_fun, true_fun), (pred, *operands), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Run one of several functions, as a number says.

    Parameters
    ----------
    index
        An integer without axes. A number below zero means the first function, one past the end the last, as in
        `jax.lax.switch`.
    branches
        Functions as `cond` has them, one or more.
    *operands
        Trees of arrays and numbers.

    Returns
    -------
    result
        What the chosen function returns.

    Raises
    ------
    InputTypeError, InputValueError, OutputError
        As in `cond`.

    Examples
    --------
    >>> import anyjac
    >>> float(anyjac.switch(1, [lambda x: x, lambda x: x * x, lambda x: x**3], 3.0))
    9.0
    """
    branches = _listed("switch", "branches", branches)
    if not branches:
        raise InputValueError("switch was given no functions; give one or more")
    _check_functions("switch", branches)

    def number(backend: Backend) -> Array | int:
        array = number_of(backend, index, "index")
        known = backend.decided(array)
        return array if known is None else min(max(int(known), 0), len(branches) - 1)

    return _open_branches(number, branches, (index, *operands), operands)


def ifelse(conditions: Sequence[Any], branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Run the function of the first condition that holds, or the last function where none does.

    Parameters
    ----------
    conditions
        Booleans without axes, of Python or arrays.
    branches
        Functions as `cond` has them: one for each condition, and one more.
    *operands
        Trees of arrays and numbers.

    Returns
    -------
    result
        What the chosen function returns.

    Raises
    ------
    InputTypeError, InputValueError, OutputError
        As in `cond`.

    Examples
    --------
    >>> import anyjac
    >>> def grade(a):
    ...     return anyjac.ifelse([a > 8, a > 6], [lambda: 1, lambda: 2, lambda: 3])
    >>> [int(grade(a)) for a in (9, 7, 1)]
    [1, 2, 3]
    """
    conditions, branches = _listed("ifelse", "conditions", conditions), _listed("ifelse", "branches", branches)
    _check_functions("ifelse", branches)
    if len(branches) != len(conditions) + 1:
        raise InputValueError(
            f"ifelse was given {len(conditions)} conditions and {len(branches)} functions; give one function for each "
            f"condition, and one more for where none holds"
        )

    def first(backend: Backend) -> Array | int:
        flags = [flag_of(backend, each, f"conditions[{n}]") for n, each in enumerate(conditions)]
        return _first_that_holds(backend, flags)

    return _open_branches(first, branches, (*conditions, *operands), operands)


def _first_that_holds(backend: Backend, flags: Sequence[Array]) -> Array | int:
    """Return the number of the first boolean that holds; that of booleans in all, where none does."""
    known = [backend.decided(flag) for flag in flags]
    if None not in known:
        return known.index(True) if True in known else len(known)
    number = backend.asarray(len(flags))
    for position in reversed(range(len(flags))):
        number = backend.namespace.where(flags[position], backend.asarray(position), number)
    return number


def _listed(member: str, name: str, values: Any) -> tuple[Any, ...]:
    """Return the items of a list or a tuple.

    Raises
    ------
    InputTypeError
        For anything else.
    """
    if isinstance(values, list | tuple):
        return tuple(values)
    raise InputTypeError(
        f"{member} needs a list or a tuple as {name}, not {values!r} (of type {type(values).__qualname__})"
    )


def _check_functions(member: str, functions: Sequence[Any]) -> None:
    for function in functions:
        if not callable(function):
            raise InputTypeError(
                f"{member} needs callables to choose from, and was given {function!r} (of type "
                f"{type(function).__qualname__})"
            )


def _open_branches(
    index: Callable[[Backend], Array | int],
    branches: Sequence[Callable[..., Any]],
    telling: Sequence[Any],
    operands: Sequence[Any],
) -> Any:
    """Run one of several functions in a call of its own, whose backend `telling` tells among others."""

    def work(scope: Scope) -> tuple[Any, list[Write]]:
        given = Carried(scope, tuple(operands), lambda: "operands")
        chosen = index(scope.backend)
        if isinstance(chosen, int):
            return _chosen(scope, branches[chosen], given)
        return _Recorded(scope, chosen, branches, given).run()

    return open_loop(work, branches[0], telling)


def _chosen(scope: Scope, branch: Callable[..., Any], operands: Carried) -> tuple[Any, list[Write]]:
    """Run the branch that is known to be chosen."""
    args = operands.tree_of(operands.arrays)
    output, writes = run_in_scope(scope, branch, args, {}, partial(_Output, scope.backend))
    result = output.skeleton.combine(scope.backend.unshared(output.arrays, operands.arrays))
    return result, [with_value(write, content) for write, content in writes]


class _Output:
    """What a branch returned, with numbers as arrays.

    Attributes
    ----------
    skeleton
        The tree without its arrays.
    arrays
        The arrays.
    """

    def __init__(self, backend: Backend, value: Any):
        parts = take_apart(backend, without_variables(value), opener_of(backend))
        why = "and a branch returns arrays and numbers alone"
        self.arrays: list[Array] = [
            leaf
            if is_array
            else to_array(backend, leaf, output_label(parts.tree, n), converts=False, error=OutputError, why=why)
            for n, (leaf, is_array) in enumerate(zip(parts.leaves, parts.is_array, strict=True))
        ]
        self.skeleton = Skeleton(parts.tree, [GAP] * len(self.arrays))


class _Recorded:
    """Branches of which nobody knows yet which is to be run, so that all are recorded."""

    def __init__(self, scope: Scope, index: Array, branches: Sequence[Callable[..., Any]], operands: Carried):
        self._scope = scope
        self._backend = scope.backend
        self._index = index
        self._branches = branches
        self._operands = operands
        self._skeleton: Skeleton | None = None
        self._types: list[tuple[tuple[int, ...], Any]] = []

    def run(self) -> tuple[Any, list[Write]]:
        """Record all branches, with the Variables that any of them writes among the results of all."""
        return with_all_written(self._scope, self._run_with, repeats=False)

    def _run_with(self, state: CarriedVariables) -> tuple[Any, list[Write]]:
        own = len(self._operands.arrays)

        def flat(number: int, branch: Callable[..., Any]) -> Callable[..., list[Array]]:
            def run(*arrays: Array) -> list[Array]:
                def call() -> list[Array]:
                    args = self._operands.tree_of(arrays[:own])
                    return self._alike(number, _Output(self._backend, branch(*args)))

                results, after = state.run(branch, call, arrays[own:])
                return [*results, *after]

            return run

        flats = [flat(number, branch) for number, branch in enumerate(self._branches)]
        found = self._backend.branch(self._index, flats, [*self._operands.arrays, *state.arrays])
        assert self._skeleton is not None
        count = self._skeleton.count
        return self._skeleton.combine(found[:count]), state.writes(found[count:])

    def _alike(self, number: int, output: _Output) -> list[Array]:
        """Return the arrays of one branch, which have to be like those of the first.

        Raises
        ------
        OutputError
            Naming where they differ.
        """
        types = [(tuple(array.shape), array.dtype) for array in output.arrays]
        if self._skeleton is None or not number:
            self._skeleton, self._types = output.skeleton, types
            return output.arrays
        tree, mine = self._skeleton.tree, output.skeleton.tree
        arranged = tree.arrange(output.arrays, mine)
        if arranged is None:
            raise OutputError(f"{self._name(number)} returns the structure {mine}, and {self._name(0)} returns {tree}; "
                              f"all have to return the same structure")  # fmt: skip
        for index, (array, (shape, dtype)) in enumerate(zip(arranged, self._types, strict=True)):
            if (tuple(array.shape), array.dtype) != (shape, dtype):
                raise OutputError(
                    f"{output_label(tree, index)()} of {self._name(number)} is "
                    f"{type_label(self._backend, array.shape, array.dtype)}, and that of {self._name(0)} is "
                    f"{type_label(self._backend, shape, dtype)}; all have to return the same shapes and dtypes"
                )
        return arranged

    def _name(self, number: int) -> str:
        if len(self._branches) == 2:
            return ("false_fun", "true_fun")[number]
        return f"branch {number}"
