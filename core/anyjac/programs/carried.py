"""Trees of arrays that go from step to step of a loop, and keep their structure, shapes and dtypes on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from anyjac_plugins import Array, Backend
from anyjac_plugins.errors import InputTypeError, OutputError

from ..calls.containers import opener_without
from ..calls.labels import leaf_label
from ..selection.choice import is_array_of_any, is_number
from ..selection.conversion import Label, to_array
from ..state.scope import Scope
from ..state.variable import without_variables
from ..trees.structure import TreeDef, flatten

Result = TypeVar("Result")


class WiderCarryError(Exception):
    """The first step has made an array of another dtype of what began as a number of Python."""

    def __init__(self, index: int, dtype: Any):
        super().__init__(index, dtype)
        self.index = index
        self.dtype = dtype


def type_label(backend: Backend, shape: Sequence[int], dtype: Any) -> str:
    """Return how messages write shape and dtype of an array: ``float64[3, 2]``."""
    return f"{backend.dtype_name(dtype)}{list(shape)}"


def is_no_array(leaf: Any, held_back: bool) -> bool:
    """Return whether a leaf of a container is none of its arrays: a function, a text, a number that a model keeps."""
    return not is_array_of_any(leaf) and (held_back or not is_number(leaf))


def leaf_labels_of(label: Label, tree: TreeDef) -> list[Label]:
    """Return what says how messages call each leaf of a tree, given how they call the tree."""
    return [partial(leaf_label, label, tree, index) for index in range(tree.num_leaves)]


def arrays_of(
    scope: Scope, leaves: Sequence[Any], labels: Sequence[Label], why: str = "which is no array or number"
) -> list[Array]:
    """Return leaves that a user gave as arrays of the call, on its device.

    Raises
    ------
    InputTypeError
        Naming a leaf that is none, with `why` at the end.
    """
    return [
        to_array(scope.backend, leaf, label, device=scope.device, converts=scope.converts, why=why)
        for leaf, label in zip(leaves, labels, strict=True)
    ]


class Carried:
    """What a loop carries: a tree of arrays.

    Parameters
    ----------
    scope
        The scope of the call.
    value
        The tree with which the loop begins.
    label
        Says how messages call the tree.

    Attributes
    ----------
    arrays
        The arrays with which the loop begins. A number of Python becomes one.

    Raises
    ------
    InputTypeError
        Naming a leaf that is no array and no number.
    """

    def __init__(self, scope: Scope, value: Any, label: Label):
        self._scope = scope
        self._backend = scope.backend
        self._opener = opener_without(scope.backend, is_no_array)
        leaves, self._tree = flatten(without_variables(value), self._opener)
        self._numbers = {index: leaf for index, leaf in enumerate(leaves) if is_number(leaf)}
        self._label = label
        why = "which is no array or number, as all that a loop carries"
        self.arrays = arrays_of(scope, leaves, leaf_labels_of(label, self._tree), why)
        self._types = [(tuple(array.shape), array.dtype) for array in self.arrays]

    def tree_of(self, arrays: Sequence[Array]) -> Any:
        """Return the tree with other arrays in it."""
        return self._tree.unflatten(arrays, whole=True)

    def taken(self, value: Any, returned: str) -> list[Array]:
        """Return the arrays of what a step has made of the tree.

        Parameters
        ----------
        value
            The tree after the step.
        returned
            Who returned it, for messages: ``"the function returned a carry that"``.

        Raises
        ------
        OutputError
            Naming where structure, shape or dtype have changed, and what they were.
        WiderCarryError
            Where a number of Python has become an array of another dtype.
        """
        leaves, tree = flatten(without_variables(value), self._opener)
        arranged = self._tree.arrange(leaves, tree)
        if arranged is None:
            raise OutputError(
                f"{returned} is of the structure {tree}, and {self._label()} is of the structure {self._tree}; what a "
                f"loop carries keeps its structure"
            )
        backend = self._backend
        for index, (leaf, (shape, dtype)) in enumerate(zip(arranged, self._types, strict=True)):
            array = leaf
            if not backend.is_array(leaf):
                array = arranged[index] = self._array(leaf, index, returned, dtype)
            if array.shape != shape or array.dtype != dtype:
                self._refuse_change(array, index, returned)
        return arranged

    def _array(self, leaf: Any, index: int, returned: str, dtype: Any) -> Array:
        """Return any other leaf as an array of the backend; a number of Python takes the dtype of the first carry."""
        if is_number(leaf) and _may_be(self._backend, leaf, dtype):
            return self._backend.asarray(leaf, dtype=dtype)
        where = partial(_where_returned, returned, self._tree, index)
        return to_array(self._backend, leaf, where, error=OutputError, why="which is no array of numbers")

    def _refuse_change(self, array: Array, index: int, returned: str) -> None:
        shape, dtype = self._types[index]
        if array.shape == shape and index in self._numbers:
            raise WiderCarryError(index, array.dtype)
        raise OutputError(
            f"{_where_returned(returned, self._tree, index)} is {type_label(self._backend, array.shape, array.dtype)}, "
            f"and {leaf_label(self._label, self._tree, index)} is {type_label(self._backend, shape, dtype)}; what a "
            f"loop carries keeps shape and dtype, so begin with what the steps give"
        )

    def widened(self, run: Callable[[], Result]) -> Result:
        """Return what a loop gives, which is begun again where its first step shows another dtype for a number."""
        while True:
            try:
                return run()
            except WiderCarryError as wider:
                self._widen(wider.index, wider.dtype)
                self._scope.forget()

    def _widen(self, index: int, dtype: Any) -> None:
        """Begin with a number of Python as an array of another dtype, and no longer as a number.

        Raises
        ------
        InputTypeError
            If there is no such number of the dtype.
        """
        number = self._numbers.pop(index)
        if not _may_be(self._backend, number, dtype):
            raise InputTypeError(
                f"{leaf_label(self._label, self._tree, index)} is {number!r}, and after a step "
                f"{self._backend.dtype_name(dtype)}; begin with an array of that dtype"
            )
        self.arrays[index] = self._backend.asarray(number, dtype=dtype)
        self._types[index] = self._types[index][0], dtype


def _where_returned(returned: str, tree: TreeDef, index: int) -> str:
    path = tree.paths()[index]
    return f"{returned} at {path}" if path else returned


_KINDS = (
    (bool, frozenset({"bool"})),
    (int, frozenset({"integral", "real floating", "complex floating"})),
    (float, frozenset({"real floating", "complex floating"})),
    (complex, frozenset({"complex floating"})),
)
"""For each kind of number of Python the kinds of dtypes that have it."""


def _may_be(backend: Backend, number: Any, dtype: Any) -> bool:
    """Return whether a number of Python can be an array of a dtype."""
    kinds = next((kinds for kind, kinds in _KINDS if isinstance(number, kind)), frozenset())
    return not backend.is_state_dtype(dtype) and backend.dtype_kind(dtype) in kinds
