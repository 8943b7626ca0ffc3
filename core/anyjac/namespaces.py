"""The array namespace that belongs to given arrays."""

from __future__ import annotations

from typing import Any

from .scope import current_scope
from .selection import get_backend, select
from .trees import flatten
from .variable import Variable


def array_namespace(*arrays: Any) -> Any:
    """Return the array-API namespace for arrays, traced or not, whose functions can be differentiated.

    Parameters
    ----------
    *arrays
        Arrays of one framework, Variables, Python numbers and NumPy constants among them. With none, the namespace of
        the running transform or of the chosen backend.

    Returns
    -------
    module
        The backend's namespace.

    Raises
    ------
    MixedBackendsError
        If the arrays come from several frameworks.

    Examples
    --------
    >>> import anyjac
    >>> def norm(x):
    ...     xp = anyjac.array_namespace(x)
    ...     return xp.sqrt(xp.sum(x**2))
    >>> import numpy as np
    >>> anyjac.jacrev(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    scope = current_scope()
    if scope is not None:
        return scope.backend.namespace
    leaves = [leaf for array in arrays for leaf in _leaves(array)]
    return (select(None, leaves).backend if leaves else get_backend()).namespace


def _leaves(array: Any) -> list[Any]:
    return flatten(array.value if isinstance(array, Variable) else array)[0]
