"""Arrays: how anyjac makes, copies and reads them, and what it asks of their dtypes.

====================  =============================================================================================
member                override it where
====================  =============================================================================================
``assembled``         NumPy makes an array of objects of traced numbers, which is to count as an array
``explained``         the framework's errors hide their cause where its traced arrays meet other code
``finds_ended``       the framework has an error for arrays of a trace that has ended
``refuses``           the framework's functions have words for an argument which is none of its arrays
``is_traced``         arrays can belong to a trace or a graph; by default none does
``is_traced_object``  a trace makes objects that are no arrays, such as references to mutable ones
``is_deleted``        the framework can take the memory of an array away; by default it cannot
``concrete``          a traced array has numbers all the same; by default it has none
``copy``              arrays can be written in place; by default they cannot
``constant``          a copy stays linked to the trace, the graph or the thread that made it; by default `copy`
``unshared``          two arrays can share memory; by default none is written
``changed_in_place``  arrays can be written in place; by default they are not
``zeros``             the namespace takes no ``device``, or there is a faster way
``seeds``             there is a faster way to rows of an identity
``to_numpy``          ``numpy.asarray`` does not read an array
``stop_gradient``     the backend declares ``stop_gradient``
``is_state_dtype``    there are arrays that are no numbers, such as keys of random numbers, for Variables to hold
``dtype_kind``        the namespace has no ``isdtype``, or there is a faster way
``dtype_name``        neither the last part of ``str(dtype)`` nor ``dtype.name`` is a name such as ``float32``
====================  =============================================================================================
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import AnyjacError, DtypeError
from .capabilities import STOP_GRADIENT
from .required import RequiredMembers
from .types import Array


class ArrayMembers(RequiredMembers):
    """The part of a backend that knows arrays."""

    # ---- what is an array ------------------------------------------------------------------------------------------

    def assembled(self, value: object) -> Array | None:
        """Return the array that is meant by an object which is none, such as NumPy's array of traced numbers.

        Asked for whatever a function returns or writes that is no array; None where no array is meant.
        """
        return None

    # ---- errors of frameworks ------------------------------------------------------------------------------------

    def explained(self, error: Exception) -> str | AnyjacError | None:
        """Return what is meant by an error of the framework that hides its cause; None where there is nothing to say.

        Such as what a traced array says when NumPy asks it for its numbers. Words become an `InputTypeError`; an error
        that fits better is raised as it is.
        """
        return None

    def finds_ended(self, error: Exception) -> bool:
        """Return whether an error of the framework says that an array belongs to a trace which has ended."""
        return False

    def refuses(self, error: Exception) -> bool:
        """Return whether an error is what this framework's functions say of an argument that is none of its arrays."""
        return False

    # ---- traces and copies -----------------------------------------------------------------------------------------

    def is_traced(self, value: Array) -> bool:
        """Return whether `value` belongs to a trace or graph and so must not be stored in a Variable."""
        return False

    def is_traced_object(self, value: object) -> bool:
        """Return whether an object besides arrays belongs to a trace, and must not leave the function.

        The default knows no such object.
        """
        return False

    def is_deleted(self, array: Array) -> bool:
        """Return whether an array has lost its memory, so that nothing can be computed of it any more.

        The default knows no such array.
        """
        return False

    def concrete(self, value: Array) -> Array | None:
        """Return an array with the numbers that `value` holds now; None while a program is recorded, without numbers.

        The default takes whatever is traced for an array without numbers.
        """
        return None if self.is_traced(value) else value

    def copy(self, array: Array) -> Array:
        """Return an array that later in-place changes of `array` do not reach; differentiable.

        The default suits immutable arrays.
        """
        return array

    def constant(self, array: Array) -> Array:
        """Return a copy of an untraced `array` without any link to where it came from, as a Variable stores it."""
        return self.copy(array)

    def unshared(self, arrays: Sequence[Array | None], others: Sequence[Array | None]) -> list[Array | None]:
        """Return arrays for users to write, with no memory in common and none in common with `others`.

        The default suits immutable arrays. Traced ones are returned as they are.
        """
        return list(arrays)

    def changed_in_place(self, copy: Array, original: Array) -> bool:
        """Return whether `copy`, made by `copy` from `original`, has been written to since."""
        return False

    # ---- new arrays ------------------------------------------------------------------------------------------------

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return zeros with the dtype and device of `like`."""
        return self.namespace.zeros(shape, dtype=like.dtype, device=self.device_of(like))

    def seeds(self, like: Array, start: int, stop: int) -> Array:
        """Return rows `start` to `stop` of the identity on the flattened `like`, each in the shape of `like`."""
        xp = self.namespace
        device = self.device_of(like)
        rows = xp.arange(start, stop, device=device)[:, None]
        columns = xp.arange(math.prod(like.shape), device=device)[None, :]
        return xp.reshape(xp.astype(rows == columns, like.dtype), (stop - start, *like.shape))

    # ---- values ----------------------------------------------------------------------------------------------------

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Return an untraced array as a NumPy array on the host."""
        return np.asarray(array)

    def stop_gradient(self, array: Array) -> Array:
        """Return `array` as a constant of every differentiation that is going on."""
        raise self.unsupported(STOP_GRADIENT)

    # ---- dtypes ----------------------------------------------------------------------------------------------------

    def is_state_dtype(self, dtype: Any) -> bool:
        """Return whether arrays of a dtype are no numbers and yet state, for Variables to hold and nobody to derive by.

        Such arrays are copied, carried beside outputs and compiled as others are. The default knows none.
        """
        return False

    def dtype_kind(self, dtype: Any) -> str:
        """Return ``"bool"``, ``"integral"``, ``"real floating"`` or ``"complex floating"``.

        Raises
        ------
        DtypeError
            For a dtype of none of these kinds, such as text.
        """
        for kind in ("real floating", "complex floating", "integral", "bool"):
            with contextlib.suppress(TypeError, ValueError):
                if self.namespace.isdtype(dtype, kind):
                    return kind
        raise DtypeError(f"dtype {self.dtype_name(dtype)} is not a numeric dtype of backend {self.name!r}")

    def dtype_name(self, dtype: Any) -> str:
        """Return the dtype's bare name, such as ``"float32"``.

        By this name anyjac compares dtypes, and asks the namespace for them.
        """
        text = str(dtype).rpartition(".")[2]
        return text if text.isidentifier() else str(getattr(dtype, "name", text))
