"""`hessian` and `hvp`: second derivatives, composed of first derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from anyjac_plugins import Array, Backend, FlatFunction
from anyjac_plugins.backend.types import AUTO_MODE, FORWARD_MODE, REVERSE_MODE
from anyjac_plugins.errors import ForwardRuleError
from anyjac_plugins.failed_functions import FailedFunctions

from ..calls.packing import PACKING
from ..calls.settings import Settings, make_settings
from .differentiate import Derivative, Request, differentiate
from .docstrings import filled_from
from .gradients import gradient
from .jacobians import JACREV, blocks_in_mode, jacrev
from .products import Places, push_direction
from .signatures import like_hessian, like_hvp
from .transform import Decorator, GradientTransform, make_transform

_GRADIENT: Final = Derivative("hvp", partial(gradient, name="hvp"))


def _first_of(func: Callable[..., Any], settings: Settings, first: Derivative) -> GradientTransform[..., Any]:
    """Return the first derivative of `func` as a function, with the settings of the outer transform."""
    return GradientTransform(func, first, replace(settings, chunk_size=None))


def _second(request: Request, first: Derivative, outer: Callable[[Request], Any]) -> Any:
    """Take a derivative of the first derivative, whose aux data are value and aux data of the function."""
    settings = request.settings
    first_of_func = _first_of(request.func, settings, first)
    if not (settings.has_aux or settings.return_value):
        return outer(request._replace(func=first_of_func))

    def first_and_rest(*args: Any, **kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
        g, *rest = first_of_func(*args, **kwargs)
        return g, tuple(rest)

    found, rest = outer(
        request._replace(func=first_and_rest, settings=replace(settings, has_aux=True, return_value=False))
    )
    value = rest[0] if settings.return_value else None
    return PACKING[settings.has_aux, settings.return_value](found, value, rest[-1])


def _operand(func: Callable[..., Any], settings: Settings) -> tuple[Callable[..., Any], Settings]:
    """Return the first derivative, whose Jacobian the Hessian is, and the settings for the Jacobian."""
    settings = replace(settings, return_value=False)
    return _first_of(func, settings, JACREV), settings


_ROWS_ALONE: Final = FailedFunctions()
"""Users' functions with rules for pullbacks alone, which later calls run once."""


def _along_vector(request: Request, func: Callable[..., Any]) -> Any:
    """Multiply the Jacobian of a gradient with a vector: from the right, or from the left where that cannot be done.

    The two are equal, for the Hessian is symmetric; for complex numbers too, by the convention of gradients.
    """

    def push(
        backend: Backend,
        gradient: FlatFunction,
        primals: Sequence[Array],
        tangents: Sequence[Array | None],
        places: Places,
    ) -> tuple[list[Array], list[Array | None], list[Array]]:
        if func not in _ROWS_ALONE:
            try:
                pushed = backend.jvp(gradient, primals, tangents)
                request.note_mode(FORWARD_MODE)
                return pushed
            except ForwardRuleError:
                _ROWS_ALONE.add(func)
        outputs, pullback, aux = backend.vjp(gradient, primals)
        numbers = places()
        first = {primal: place for place, primal in reversed([*enumerate(numbers)])}  # a primal may have several
        pulled = pullback([tangents[number] if first[number] == i else None for i, number in enumerate(numbers)])
        request.note_mode(REVERSE_MODE)
        return outputs, [pulled[number] for number in numbers], aux

    return push_direction(request, push)


def _product(request: Request) -> Any:
    return _second(request, _GRADIENT, partial(_along_vector, func=request.func))


_jacobian: Final = partial(differentiate, evaluate=partial(blocks_in_mode, mode=AUTO_MODE))

HESSIAN: Final = Derivative("hessian", partial(_second, first=JACREV, outer=_jacobian), _operand, picks_mode=True)
HVP: Final = Derivative("hvp", _product, direction="vector", picks_mode=True)


@like_hessian
@filled_from(jacrev)
def hessian(
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
    chunk_size: int | None = None,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the second derivatives of `func`: for a scalar, its Hessian.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.
    chunk_size
        Number of rows or columns to compute at once; None for a size that keeps memory within bounds.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, the Hessian: the tree of the output is outside, then the tree
        of the inputs for the first differentiation, and in each of its leaves the tree of the inputs for the second,
        as in ``jax.hessian``. The block of an output ``y`` for leaves ``a`` and ``b`` has shape
        ``y.shape + a.shape + b.shape``. With Variables and arguments both, the pair ``(var_grads, arg_grads)`` of the
        second differentiation is outermost, and the pair of the first is within each. The methods ``rows`` and
        ``as_linear_operator`` are those of the Hessian, with the first derivative as ``value``.

        Packed as in `jacrev`.

        Flags as in `jacrev`.

    Raises
    ------
    NotSupportedError
        In the call, if the backend does not declare ``nested``.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    The Hessian is the Jacobian, in whichever mode costs less, of the Jacobian in reverse mode. A function with a rule
    for its pullback alone, as of ``jax.custom_vjp``, is differentiated in reverse mode twice. ``repr`` of the transform
    says which mode the second differentiation took last.

    As in `jacrev`.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> def energy(x):
    ...     return x[0] ** 2 * x[1] + x[1] ** 3
    >>> anyjac.hessian(energy)(np.array([1.0, 2.0]))
    array([[ 4.,  2.],
           [ 2., 12.]])

    Several outputs have a Hessian each:

    >>> anyjac.hessian(lambda x: x**3)(np.array([1.0, 2.0])).shape
    (2, 2, 2)

    Cross derivatives of an argument and a Variable:

    >>> stiffness = anyjac.Variable(3.0)
    >>> (by_k, by_x) = anyjac.hessian(lambda x: stiffness * x**2, stiffness, 0)(2.0)
    >>> by_k, by_x
    ((array(0.), array(4.)), (array(4.), array(6.)))
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
        chunk_size=chunk_size,
        debug_nan=debug_nan,
        strict=strict,
    )
    return make_transform(HESSIAN, settings, func)


@like_hvp
@filled_from(jacrev)
def hvp(
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
    """Make a function that returns the product of the Hessian of `func`, whose output is a scalar, and a vector.

    A product costs as much as a few runs of `func`, whatever the number of inputs.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes ``(vector, *args)`` and returns ``g``, the product. The vector is packed as the product is, both in the
        shapes of the input leaves.

        Packed as in `jacrev`.

        Flags as in `jacrev`.

    Raises
    ------
    InputTypeError, InputValueError
        Here, or in the call, for settings and arguments that cannot be used, such as a vector with another structure
        or other shapes than the inputs.
    DtypeError, OutputError
        In the call, for inputs and outputs that have no derivative, and for an output that is no scalar: neither an
        array of shape ``()`` nor a number.
    NotSupportedError
        In the call, if the backend does not declare ``nested`` and ``forward``.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    The product is that of the gradient's Jacobian with the vector, in forward mode; for a function with a rule for its
    pullback alone, as of ``jax.custom_vjp``, in reverse mode, which the symmetry of the Hessian allows. Such a function
    is run twice by its first call: what the first run wrote to Variables is dropped, what it changed elsewhere stays.
    ``repr`` of the transform says which mode was taken last.

    As in `jacrev`.

    References
    ----------
    .. [1] B. A. Pearlmutter, "Fast exact multiplication by the Hessian", *Neural Computation* 6, 1994, 147-160.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> anyjac.hvp(lambda x: (x**3).sum())(np.array([1.0, 0.5]), np.array([1.0, 2.0]))
    array([6., 6.])
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
    return make_transform(HVP, settings, func)
