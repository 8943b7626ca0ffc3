"""Tangents and cotangents that users hand in: trees, taken apart and checked against what they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anyjac_plugins import Array, Backend
from anyjac_plugins.backend.kinds import is_complex
from anyjac_plugins.errors import DtypeError, InputValueError

from ..selection.conversion import Label, to_array
from ..state.variable import without_variables
from ..trees.structure import TreeDef, flatten
from .containers import opener_of
from .labels import vector_label


def tangents_of(
    backend: Backend, tree: Any, pack: Callable[[Sequence[Any]], Any], primals: Sequence[Array], *, converts: bool
) -> list[Array | None]:
    """Take tangents apart that are packed as a gradient is: one for each primal, None for zero.

    A primal that stands in several places, as a Variable that was named twice, has the sum of their tangents.

    Parameters
    ----------
    pack
        Arranges one thing for each primal as the gradient is arranged.
    converts
        Whether arrays of other frameworks are converted or refused.

    Raises
    ------
    InputTypeError, InputValueError, DtypeError
        Naming the leaf.
    """
    numbers, structure = flatten(pack(range(len(primals))), opener_of(backend))
    leaves = _leaves_like(backend, tree, structure, _TANGENTS)
    found: list[Array | None] = [None] * len(primals)
    for index, (number, leaf) in enumerate(zip(numbers, leaves, strict=True)):
        if isinstance(number, int):  # all others are integers, which have no tangent
            label = vector_label("tangent", structure, index)
            tangent = _like(backend, leaf, primals[number], label, "input", converts)
            before = found[number]
            found[number] = tangent if before is None else before + tangent
    return found


def places(backend: Backend, pack: Callable[[Sequence[Any]], Any], primals: Sequence[Array]) -> list[int]:
    """Return which primal stands at each place of a gradient, as `pack` arranges one; integers have no place."""
    numbers, _ = flatten(pack(range(len(primals))), opener_of(backend))
    return [number for number in numbers if isinstance(number, int)]


def cotangents_of(
    backend: Backend,
    tree: Any,
    structure: TreeDef,
    indices: Sequence[int | None],
    outputs: Sequence[Array],
    *,
    converts: bool,
) -> list[Array | None]:
    """Take cotangents apart that have the tree of the output: one for each differentiated output.

    Parameters
    ----------
    indices
        For each leaf of the output which of `outputs` it is; None for a constant, whose cotangent is of no use.

    Raises
    ------
    InputTypeError, InputValueError, DtypeError
        Naming the leaf.
    """
    leaves = _leaves_like(backend, tree, structure, _COTANGENTS)
    found: list[Array | None] = [None] * len(outputs)
    for number, (index, leaf) in enumerate(zip(indices, leaves, strict=True)):
        if index is not None:
            label = vector_label("cotangent", structure, number)
            found[index] = _like(backend, leaf, outputs[index], label, "output", converts)
    return found


#            what is wrong       what it should be like           what to do about it
_TANGENTS = ("the tangents are", "what is differentiated is", "pack them as grad packs a gradient")
_COTANGENTS = ("the cotangents are", "the output is", "give them the structure of the output")


def _leaves_like(backend: Backend, tree: Any, structure: TreeDef, words: tuple[str, str, str]) -> list[Any]:
    leaves, found = flatten(without_variables(tree), opener_of(backend))
    arranged = structure.arrange(leaves, found)
    if arranged is None:
        raise InputValueError(structure.mismatch(found, *words))
    return arranged


def _like(backend: Backend, leaf: Any, array: Array, label: Label, what: str, converts: bool) -> Array:
    """Return a leaf as an array of the dtype and the device of `array`, whose shape it must have."""
    given = leaf
    if not backend.is_array(leaf):
        given = to_array(backend, leaf, label, device=backend.device_of(array), converts=converts)
    if tuple(given.shape) != tuple(array.shape):
        raise InputValueError(f"{label()} has shape {tuple(given.shape)}, and its {what} has {tuple(array.shape)}")
    if is_complex(backend, given) and not is_complex(backend, array):
        raise DtypeError(
            f"{label()} is {backend.dtype_name(given.dtype)}, and its {what} is {backend.dtype_name(array.dtype)}; "
            f"take its real part"
        )
    return given if given.dtype == array.dtype else backend.namespace.astype(given, array.dtype)
