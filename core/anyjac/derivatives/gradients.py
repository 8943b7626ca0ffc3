"""`grad`, `vector_grad`, `value_and_grad` and `derivative`: one pass, whatever the number of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from anyjac_plugins import Array, Backend, FlatFunction, Jacobian, Resumption
from anyjac_plugins.backend.types import AUTO_MODE, REVERSE_MODE
from anyjac_plugins.errors import InputValueError, OutputError
from anyjac_plugins.failed_functions import origin_of

from ..calls.packing import PACKING, VALUE_FIRST, PackingTable
from ..calls.settings import make_settings
from ..trees.partition import Partition
from ..trees.structure import LEAF
from .differentiate import Derivative, Request, differentiate, itself
from .docstrings import filled_from
from .jacobians import blocks_in_mode, jacrev
from .signatures import like_derivative, like_grad, like_value_and_grad, like_vector_grad
from .transform import Decorator, GradientTransform, make_transform


def refuse_all_but_scalars(output: Partition, *, name: str) -> None:
    """Refuse an output that is no scalar.

    Raises
    ------
    OutputError
        Naming its shape, or its structure.
    """
    mend = "use jacrev for the derivatives of all its elements, or vector_grad for those of their sum"
    if output.tree != LEAF:
        leaves = f"{len(output.leaves)} leaves" if len(output.leaves) != 1 else "one leaf"
        kind = type(output.original).__qualname__
        raise OutputError(
            f"{name} needs a function that returns a scalar, and it returned a {kind} of {leaves}; {mend}"
        )
    shape = tuple(getattr(output.leaves[0], "shape", ()))
    if shape:
        raise OutputError(
            f"{name} needs a function that returns a scalar, and it returned an array of shape {shape}; {mend}"
        )


def gradient(request: Request, *, name: str, table: PackingTable = PACKING) -> Any:
    """Compute the gradient of a scalar, which is its Jacobian of one row."""
    return differentiate(request, _by_rows, check=partial(refuse_all_but_scalars, name=name), table=table)


_by_rows: Final = partial(blocks_in_mode, mode=REVERSE_MODE)


def _blocks_of_sum(backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None) -> Jacobian:
    """Compute one row for all elements of all outputs: the pullback of ones is the gradient of their sum."""
    summed = _Sum(backend, fun)
    _, blocks, carried, mode = backend.jacobian(summed, primals, chunk_size)
    if not summed.outputs:  # numbers alone, which are constants
        blocks = [[backend.zeros(primal.shape, primal) for primal in primals]]
    return Jacobian(list(carried[: summed.outputs]), blocks, list(carried[summed.outputs :]), mode)


class _Sum:
    """A flat function that sums all elements of a function's outputs; the outputs travel beside the sum."""

    def __init__(self, backend: Backend, fun: FlatFunction):
        self._backend = backend
        self._fun = fun
        self.origin = origin_of(fun)
        self.outputs = 0

    @property
    def resumption(self) -> Resumption | None:
        """The state of models in which the pullback runs, as that of the function itself."""
        return getattr(self._fun, "resumption", None)

    def __call__(self, *primals: Array) -> tuple[list[Array], list[Array]]:
        outputs, aux = self._fun(*primals)
        self.outputs = len(outputs)
        total = sum(self._backend.namespace.sum(output) for output in outputs)
        return ([total] if outputs else []), [*outputs, *aux]


def _blocks_of_scalar(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None
) -> Jacobian:
    if len(primals) != 1 or len(primals[0].shape):
        shapes = [str(tuple(primal.shape)) for primal in primals]
        given = f"an array of shape {shapes[0]}" if len(shapes) == 1 else f"{len(shapes)} of shapes {', '.join(shapes)}"
        raise InputValueError(
            f"derivative needs one scalar to differentiate with respect to, and was given {given}; use jacrev, jacfwd "
            f"or grad"
        )
    return blocks_in_mode(backend, fun, primals, chunk_size, mode=AUTO_MODE)


GRAD: Final = Derivative("grad", partial(gradient, name="grad"), itself)
VALUE_AND_GRAD: Final = Derivative(
    "value_and_grad", partial(gradient, name="value_and_grad", table=VALUE_FIRST), itself, implies_value=True
)
VECTOR_GRAD: Final = Derivative("vector_grad", partial(differentiate, evaluate=_blocks_of_sum, summed=True))
DERIVATIVE: Final = Derivative("derivative", partial(differentiate, evaluate=_blocks_of_scalar), itself)


@like_grad
@filled_from(jacrev)
def grad(
    func: Callable[..., Any] | None = None,
    grad_vars: Any = None,
    argnums: int | Sequence[int] | None = None,
    *,
    has_aux: bool | None = None,
    return_value: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    backend: str | Backend | None = None,
    device: Any = None,
    debug_nan: bool = False,
    strict: bool = False,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the gradient of `func`, whose output is a scalar.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, the gradient, whose leaves have the shapes, dtypes and devices
        of the input leaves.

        Packed as in `jacrev`.

        Flags as in `jacrev`.

    Raises
    ------
    DtypeError, OutputError
        In the call, for inputs and outputs that have no derivative, and for an output that is no scalar: neither an
        array of shape ``()`` nor a number.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    As in `jacrev`.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> anyjac.grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> weights = {"w": anyjac.Variable(np.array([1.0, -1.0])), "b": anyjac.Variable(0.5)}
    >>> def loss(x, y):
    ...     return ((weights["w"] * x + weights["b"] - y) ** 2).sum()
    >>> anyjac.grad(loss, weights, return_value=True)(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    ({'w': array([ 1., -6.]), 'b': array(-2.)}, np.float64(2.5))
    """
    settings = make_settings(
        grad_vars=grad_vars,
        argnums=argnums,
        has_aux=has_aux,
        return_value=return_value,
        holomorphic=holomorphic,
        allow_int=allow_int,
        backend=backend,
        device=device,
        debug_nan=debug_nan,
        strict=strict,
    )
    return make_transform(GRAD, settings, func)


@like_vector_grad
@filled_from(jacrev)
def vector_grad(
    func: Callable[..., Any] | None = None,
    grad_vars: Any = None,
    argnums: int | Sequence[int] | None = None,
    *,
    has_aux: bool | None = None,
    return_value: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    backend: str | Backend | None = None,
    device: Any = None,
    debug_nan: bool = False,
    strict: bool = False,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the gradient of the sum of all outputs of `func`: the pullback of ones.

    Where each element of the output depends on a single element of the input, the gradient has all derivatives.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, the gradient, whose leaves have the shapes, dtypes and devices
        of the input leaves, whatever the tree of the output.

        Packed as in `jacrev`.

        Flags as in `jacrev`.

    Raises
    ------
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    As in `jacrev`.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> anyjac.vector_grad(lambda x: x**3, return_value=True)(np.array([1.0, 2.0]))
    (array([ 3., 12.]), array([1., 8.]))
    """
    settings = make_settings(
        grad_vars=grad_vars,
        argnums=argnums,
        has_aux=has_aux,
        return_value=return_value,
        holomorphic=holomorphic,
        allow_int=allow_int,
        backend=backend,
        device=device,
        debug_nan=debug_nan,
        strict=strict,
    )
    return make_transform(VECTOR_GRAD, settings, func)


@like_value_and_grad
@filled_from(jacrev)
def value_and_grad(
    func: Callable[..., Any] | None = None,
    grad_vars: Any = None,
    argnums: int | Sequence[int] | None = None,
    *,
    has_aux: bool | None = None,
    holomorphic: bool = False,
    allow_int: bool = False,
    backend: str | Backend | None = None,
    device: Any = None,
    debug_nan: bool = False,
    strict: bool = False,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the output of `func`, which is a scalar, and then its gradient.

    The order is that of ``jax.value_and_grad``; in the rest of the family the derivative comes first.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``(value, g)``, or with `has_aux` ``((value, aux_data), g)``. The
        leaves of the gradient ``g`` have the shapes, dtypes and devices of the input leaves.

        Packed as in `jacrev`.

    Raises
    ------
    DtypeError, OutputError
        In the call, for inputs and outputs that have no derivative, and for an output that is no scalar: neither an
        array of shape ``()`` nor a number.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    As in `jacrev`.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> anyjac.value_and_grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    settings = make_settings(
        grad_vars=grad_vars,
        argnums=argnums,
        has_aux=has_aux,
        return_value=True,
        holomorphic=holomorphic,
        allow_int=allow_int,
        backend=backend,
        device=device,
        debug_nan=debug_nan,
        strict=strict,
    )
    return make_transform(VALUE_AND_GRAD, settings, func)


@like_derivative
@filled_from(jacrev)
def derivative(
    func: Callable[..., Any] | None = None,
    grad_vars: Any = None,
    argnums: int | Sequence[int] | None = None,
    *,
    has_aux: bool | None = None,
    return_value: bool = False,
    holomorphic: bool = False,
    backend: str | Backend | None = None,
    device: Any = None,
    debug_nan: bool = False,
    strict: bool = False,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the derivative of `func` with respect to a single number: an argument or a Variable.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, the derivative, in the tree and the shapes of the output.

        Packed as in `jacrev`.

        Flags as in `jacrev`.

    Raises
    ------
    InputTypeError, InputValueError
        Here, or in the call, for settings and arguments that cannot be used, such as more than a single scalar to
        differentiate.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    As in `jacrev`.

    Examples
    --------
    >>> import anyjac
    >>> def fall(t):
    ...     return {"height": 100.0 - 5.0 * t**2, "way": 5.0 * t**2}
    >>> anyjac.derivative(fall)(2.0)
    {'height': array(-20.), 'way': array(20.)}
    """
    settings = make_settings(
        grad_vars=grad_vars,
        argnums=argnums,
        has_aux=has_aux,
        return_value=return_value,
        holomorphic=holomorphic,
        backend=backend,
        device=device,
        debug_nan=debug_nan,
        strict=strict,
    )
    return make_transform(DERIVATIVE, settings, func)
