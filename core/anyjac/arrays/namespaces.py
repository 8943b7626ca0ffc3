"""The backend and the array namespace that belong to given arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat

from anyjac_plugins import Backend

from ..selection.choice import NUMPY, framework_of, kind_of, named_backend, registry, select, select_device
from ..selection.conversion import to_array
from ..state.context import current_scope
from ..state.operators import ArrayOperators
from ..trees.structure import flatten


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
        The namespace of the framework's backend. Arrays of a framework for which there is no backend get the
        namespace that array-api-compat knows for them.

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
    leaves = [leaf for array in arrays for leaf in flatten(_shown(array))[0]]
    unknown = [leaf for leaf in leaves if kind_of(leaf) is None and hasattr(leaf, "__array_namespace__")]
    if unknown:
        return array_api_compat.array_namespace(*unknown)
    return backend_for(leaves).namespace


def backend_for(leaves: Sequence[Any]) -> Backend:
    """Return the backend whose functions take `leaves`.

    The backend of the running transform, or the backend named by context or environment, if all leaves are arrays of
    that backend, of NumPy, or numbers, which go with any; else the backend of the leaves' framework; else the default.
    """
    scope = current_scope()
    preferred = named_backend() if scope is None else scope.backend
    if preferred is not None and all(preferred.is_array(leaf) or kind_of(leaf) in (None, NUMPY) for leaf in leaves):
        return preferred
    return select(None, leaves).backend if preferred is None else registry.get(str(framework_of(leaves)))


def array_and_backend(x: Any, function: str) -> tuple[Any, Backend]:
    """Return the array that `x` holds, and the backend of the array.

    Raises
    ------
    InputTypeError
        Naming `function`, if `x` is no array, number or Variable of one.
    """
    shown = _shown(x)
    backend = backend_for([shown])
    if backend.is_array(shown):
        return shown, backend
    why = "and no array, number or Variable with an array"
    device = _device_for_numbers(backend)
    return to_array(backend, shown, lambda: f"the argument of anyjac.{function}", device=device, why=why), backend


def _device_for_numbers(backend: Backend) -> Any:
    scope = current_scope()
    return select_device(backend, None) if scope is None else scope.device


def _shown(x: Any) -> Any:
    return x.value if isinstance(x, ArrayOperators) else x
