"""What the array API leaves out, or leaves to methods that not all arrays have: devices, sizes and constants."""

from __future__ import annotations

import math
from typing import Any

from anyjac_plugins import STOP_GRADIENT

from ..selection.choice import kind_of
from ..state.operators import ArrayOperators
from ..trees.structure import flatten
from .namespaces import array_and_backend, backend_for


def device(x: Any) -> Any:
    """Return the device of an array, traced or not.

    Parameters
    ----------
    x
        An array, a number, or a Variable that holds one.

    Returns
    -------
    device
        The framework's own object, to be handed on as ``device=``. In a JAX program that is being compiled it is
        None, which means the device that the program will run on.

    Raises
    ------
    InputTypeError
        If `x` is nothing of the kind.

    Examples
    --------
    >>> import anyjac
    >>> import numpy as np
    >>> anyjac.device(np.ones(3))
    'cpu'
    """
    array, backend = array_and_backend(x, "device")
    return backend.device_of(array)


def size(x: Any) -> int:
    """Return the number of elements of an array, traced or not.

    Parameters
    ----------
    x
        An array, a number, or a Variable that holds one.

    Raises
    ------
    InputTypeError
        If `x` is nothing of the kind.

    Examples
    --------
    >>> import anyjac
    >>> import numpy as np
    >>> anyjac.size(np.ones((2, 3))), anyjac.size(1.5)
    (6, 1)
    """
    array, _ = array_and_backend(x, "size")
    return math.prod(array.shape)


def to_device(x: Any, device: Any) -> Any:
    """Return an array on a device; differentiable.

    Parameters
    ----------
    x
        An array, traced or not, a number, or a Variable that holds one.
    device
        A name, such as ``"cpu"`` or ``"cuda:0"``, or the framework's own object.

    Raises
    ------
    InputTypeError
        If `x` is nothing of the kind.
    DeviceError
        If there is no such device; the message lists those that are present.

    Examples
    --------
    >>> import anyjac
    >>> import numpy as np
    >>> anyjac.jacrev(lambda x: anyjac.to_device(x, "cpu") ** 2)(np.array([3.0]))
    array([[6.]])
    """
    array, backend = array_and_backend(x, "to_device")
    return array if device is None else backend.asarray(array, device=backend.resolve_device(device))


def stop_gradient(tree: Any) -> Any:
    """Return values as constants of every differentiation that is going on.

    Parameters
    ----------
    tree
        An array, traced or not, a Variable, or a pytree of them. Leaves of other kinds stay as they are.

    Returns
    -------
    pytree
        The values in the same tree, with arrays in the place of Variables.

    Raises
    ------
    NotSupportedError
        If the backend does not declare ``stop_gradient``.

    Examples
    --------
    >>> import anyjac
    >>> import numpy as np
    >>> anyjac.jacrev(lambda x: x * anyjac.stop_gradient(x))(np.array(3.0))
    array(3.)
    """
    leaves, treedef = flatten(tree)
    return treedef.unflatten([_constant(leaf) for leaf in leaves])


def _constant(leaf: Any) -> Any:
    if isinstance(leaf, ArrayOperators):
        return stop_gradient(leaf.value)
    if kind_of(leaf) is None and not backend_for([leaf]).is_array(leaf):
        return leaf
    array, backend = array_and_backend(leaf, "stop_gradient")
    if not backend.supports(STOP_GRADIENT):
        raise backend.unsupported(STOP_GRADIENT)
    return backend.stop_gradient(array)
