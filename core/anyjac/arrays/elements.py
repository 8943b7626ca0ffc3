"""``at(x)[index].add(value)``: new arrays that differ from another in some elements."""

from __future__ import annotations

from typing import Any

from anyjac_plugins import Backend
from anyjac_plugins.errors import DtypeError

from ..state.operators import unwrap
from .namespaces import array_and_backend

_KINDS = ("bool", "integral", "real floating", "complex floating")
_PYTHON = {bool: "bool", int: "integral", float: "real floating", complex: "complex floating"}


class at:  # noqa: N801 - it is used as a function, and named as in JAX and array-api-extra
    """Name elements of an array, to get a new array in which they are changed; differentiable in both.

    Parameters
    ----------
    x
        An array, traced or not, or a Variable that holds one. It is not changed.

    Raises
    ------
    InputTypeError
        If `x` is nothing of the kind.

    Notes
    -----
    ``at(x)[index]`` takes every index that NumPy takes, and has the methods ``set``, ``add``, ``subtract``,
    ``multiply``, ``divide``, ``power``, ``min`` and ``max``. The result has the dtype of `x`. An element that `index`
    names several times takes all operands: they are added up, multiplied, or the least or greatest of them counts;
    which one ``set`` leaves is not defined. An index out of range is an IndexError, except for a traced index under
    JAX's compiler, where JAX ignores what is out of range. Under a compiler a mask has to be met by one value, or by
    one for each of the trailing axes that it leaves.

    Examples
    --------
    >>> import anyjac
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> anyjac.at(x)[1].set(9.0)
    array([1., 9., 3.])
    >>> anyjac.at(x)[np.array([0, 0, 2])].add(np.array([1.0, 2.0, 3.0]))
    array([4., 2., 6.])
    >>> anyjac.jacrev(lambda x: anyjac.at(x)[x > 1.5].multiply(x[0]))(x)
    array([[1., 0., 0.],
           [2., 1., 0.],
           [3., 0., 1.]])
    """

    __slots__ = ("_array", "_backend")

    def __init__(self, x: Any):
        self._array, self._backend = array_and_backend(x, "at")

    def __getitem__(self, index: Any) -> Elements:
        return Elements(self._array, self._backend, unwrap(index))

    def __repr__(self) -> str:
        return f"at({self._array!r})"


class Elements:
    """The elements of an array at an index; see `at`."""

    __slots__ = ("_array", "_backend", "_index")

    def __init__(self, array: Any, backend: Backend, index: Any):
        self._array = array
        self._backend = backend
        self._index = index

    def set(self, value: Any) -> Any:
        """Return the array with the elements replaced by `value`."""
        return self._backend.set_index(self._array, self._index, self._operand("set", value))

    def add(self, value: Any) -> Any:
        """Return the array with `value` added to the elements."""
        return self._update("add", "add", value)

    def subtract(self, value: Any) -> Any:
        """Return the array with `value` subtracted from the elements."""
        return self._update("subtract", "subtract", value)

    def multiply(self, value: Any) -> Any:
        """Return the array with the elements multiplied by `value`."""
        return self._update("multiply", "multiply", value)

    def divide(self, value: Any) -> Any:
        """Return the array with the elements divided by `value`; of floats alone."""
        kind = self._backend.dtype_kind(self._array.dtype)
        if kind not in ("real floating", "complex floating"):
            raise DtypeError(f"at(x)[...].divide makes floats, and x has the dtype {self._dtype()}; convert x first")
        return self._update("divide", "divide", value)

    def power(self, value: Any) -> Any:
        """Return the array with the elements raised to the power `value`."""
        return self._update("power", "pow", value)

    def min(self, value: Any) -> Any:
        """Return the array with the lesser of each element and `value`."""
        return self._update("min", "minimum", value)

    def max(self, value: Any) -> Any:
        """Return the array with the greater of each element and `value`."""
        return self._update("max", "maximum", value)

    def _update(self, method: str, operation: str, value: Any) -> Any:
        operand = self._operand(method, value)
        return self._backend.update_index(self._array, self._index, operation, operand)

    def _operand(self, method: str, value: Any) -> Any:
        """Return `value` as an array of the dtype of the elements; refused if that would lose a kind of number."""
        backend, dtype = self._backend, self._array.dtype
        value = unwrap(value)
        kind = _PYTHON.get(type(value))
        if kind is None:
            value, _ = array_and_backend(value, "at")
            value = value if backend.is_array(value) else backend.import_array(value)
            kind = backend.dtype_kind(value.dtype)
        if _KINDS.index(kind) > _KINDS.index(backend.dtype_kind(dtype)):
            raise DtypeError(
                f"at(x)[...].{method} was given a value of kind {kind!r} for x of dtype {self._dtype()}, which cannot "
                f"hold it; convert x, or the value"
            )
        if type(value) in _PYTHON:
            return backend.asarray(value, dtype=dtype, device=backend.device_of(self._array))
        return backend.namespace.astype(value, dtype)

    def _dtype(self) -> str:
        return self._backend.dtype_name(self._array.dtype)

    def __repr__(self) -> str:
        return f"at({self._array!r})[{self._index!r}]"
