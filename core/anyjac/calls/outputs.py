"""The outputs of one call, checked: arrays with a derivative, and the pair of a function with aux data."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from anyjac_plugins import COMPLEX, Backend
from anyjac_plugins.errors import OutputError, TracerLeakError

from ..selection.choice import NUMPY, is_array_of_any, kind_of
from ..selection.conversion import Label
from ..trees.partition import Partition, partition
from ..trees.structure import LEAF, NodeOpener, flatten
from .dtypes import COMPLEX_MEND, OutputRule, check_output, is_trivial
from .labels import output_label


def take_apart(backend: Backend, value: Any, opener: NodeOpener | None = None) -> Partition:
    """Take what a function returned or wrote apart into arrays of the backend and the rest.

    The trivial derivative with respect to an integer, as JAX has it too, is no array to compute with.
    """
    if backend.is_array(value) and not is_trivial(value):
        return Partition(value, LEAF, [value], [True], [value])
    leaves, tree = flatten(value, opener)
    is_array = [backend.is_array(leaf) and not is_trivial(leaf) for leaf in leaves]
    for index, leaf in enumerate(leaves):
        meant = None if is_array[index] else backend.assembled(leaf)
        if meant is not None:
            leaves[index], is_array[index] = meant, True
    return partition(value, leaves, tree, is_array)


def refuse_coroutine(result: Any) -> None:
    """Refuse the coroutine made by a coroutine function, and close the coroutine, so that Python does not warn.

    Raises
    ------
    OutputError
        If it is a coroutine.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise OutputError("the function is a coroutine function; differentiate a plain one, and await around the call")


def split_aux(result: Any) -> tuple[Any, Any]:
    """Return output and aux data of a function that promised a pair.

    Raises
    ------
    OutputError
        If it returned anything else.
    """
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return result[0], result[1]
    raise OutputError(
        f"has_aux=True needs a function that returns a pair (output, aux data), and it returned {in_words(result)}"
    )


def in_words(result: Any) -> str:
    """Return how messages call what a function returned: ``"an array"``, ``"a tuple of 3"``."""
    if is_array_of_any(result):  # whose type may be one of a framework's for traced arrays, which users do not know
        return "an array"
    return f"a {type(result).__qualname__}" + (f" of {len(result)}" if isinstance(result, (tuple, list)) else "")


def refuse_traced_objects(backend: Backend, parts: Partition, where: str) -> None:
    """Refuse objects that are no arrays and belong to the trace of a call, such as JAX's mutable arrays.

    Raises
    ------
    TracerLeakError
        Naming the object, and where it was returned.
    """
    for index, (leaf, is_array) in enumerate(zip(parts.leaves, parts.is_array, strict=True)):
        if not is_array and backend.is_traced_object(leaf):
            raise TracerLeakError(
                f"{where}{parts.tree.paths()[index]} is {leaf!r}, which is no array and ends with this call; return an "
                f"array that it holds, such as ref[...] of a mutable one"
            )


def check_outputs(backend: Backend, outputs: Partition, *, holomorphic: bool, rule: OutputRule) -> list[int]:
    """Refuse outputs that have no derivative, and return which leaves are integers that the rule lets through.

    Numbers of Python and NumPy arrays on another framework are constants, whose derivative is zero.

    Raises
    ------
    OutputError, DtypeError
        Naming what was returned, and where in the output.
    """
    if not outputs.leaves:
        raise OutputError(
            f"the function returned {outputs.original!r}, which holds no array; return what to differentiate"
        )
    integers = []
    for index, (leaf, is_array) in enumerate(zip(outputs.leaves, outputs.is_array, strict=True)):
        where = output_label(outputs.tree, index)
        if is_array:
            if not check_output(backend, leaf.dtype, where, holomorphic=holomorphic, rule=rule):
                integers.append(index)
        elif isinstance(leaf, bool) or not isinstance(leaf, (int, float, complex)):
            _check_constant(backend, leaf, where, holomorphic, rule)
        elif isinstance(leaf, complex):
            if not (holomorphic or rule.complex_of_real):
                raise OutputError(f"{where()} is {leaf!r}, a complex number; {COMPLEX_MEND}")
            if not backend.supports(COMPLEX):
                raise backend.unsupported(COMPLEX)
    return integers


def _check_constant(backend: Backend, leaf: Any, where: Label, holomorphic: bool, rule: OutputRule) -> None:
    if rule.integers and isinstance(leaf, (bool, np.bool_)):
        return
    if kind_of(leaf) != NUMPY:
        raise OutputError(
            f"{where()} is {leaf!r}, of type {type(leaf).__qualname__}, which is no array of {backend.name}; return it "
            f"as aux data"
        )
    if is_trivial(leaf):  # which is differentiated once more
        return
    check_output(backend, backend.import_array(leaf).dtype, where, holomorphic=holomorphic, rule=rule)
