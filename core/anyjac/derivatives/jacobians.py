"""`jacrev`, `jacfwd` and `jacobian`: the Jacobian by rows, by columns, or by whichever are fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from anyjac_plugins import FORWARD, Array, Backend, FlatFunction, Jacobian
from anyjac_plugins.backend.types import AUTO_MODE, FORWARD_MODE, REVERSE_MODE
from anyjac_plugins.errors import InputTypeError, InputValueError

from ..calls.dtypes import REAL_ALONE, OutputRule
from ..calls.settings import make_settings
from .differentiate import Derivative, Request, differentiate, itself
from .docstrings import filled_from
from .signatures import like_jacfwd, like_jacobian, like_jacrev
from .transform import Decorator, GradientTransform, make_transform


def blocks_in_mode(
    backend: Backend, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None, *, mode: str
) -> Jacobian:
    """Compute a Jacobian by rows or columns; refuse columns where the backend has none, before the function runs."""
    if mode == FORWARD_MODE and not backend.supports(FORWARD):
        raise backend.unsupported(FORWARD)
    return backend.jacobian(fun, primals, chunk_size, mode)


def _apply(mode: str) -> Callable[[Request], Any]:
    return partial(differentiate, evaluate=partial(blocks_in_mode, mode=mode))


COLUMNS: Final = OutputRule(complex_of_real=True)
"""A column is the derivative by one real number, whatever the output is."""

JACREV: Final = Derivative("jacrev", _apply(REVERSE_MODE), itself)
JACFWD: Final = Derivative("jacfwd", _apply(FORWARD_MODE), itself)
JACOBIAN: Final = {
    REVERSE_MODE: Derivative("jacobian", _apply(REVERSE_MODE), itself, {"mode": REVERSE_MODE}),
    FORWARD_MODE: Derivative("jacobian", _apply(FORWARD_MODE), itself, {"mode": FORWARD_MODE}),
    AUTO_MODE: Derivative("jacobian", _apply(AUTO_MODE), itself, picks_mode=True),
}


@like_jacrev
def jacrev(
    func: Callable[..., Any] | None = None,
    grad_vars: Any = None,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool | None = None,
    return_value: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    backend: str | Backend | None = None,
    device: Any = None,
    debug_nan: bool = False,
    strict: bool = False,
    chunk_size: int | None = None,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the Jacobian of `func`, computed in reverse mode.

    Parameters
    ----------
    func
        Any callable: a function, a method, a partial, an object with ``__call__``. Left out, a decorator is returned.
    grad_vars
        A `Variable`, or a pytree of them (list, tuple, dict, nested), to differentiate with respect to.
    argnums
        Position, or sequence of positions, of the arguments to differentiate; negative ones count from the end. None
        means the first argument where `grad_vars` is None or holds no Variable, and no argument otherwise.
    has_aux
        Whether `func` returns a pair ``(output, aux data)`` whose second item is handed through; None means no.
    return_value
        Whether to return the output of `func` too.
    holomorphic
        Promises that `func` is holomorphic: inputs and outputs must be complex, and derivatives are ``dy/dz``. Without
        this promise a complex input of a real function gives ``df/dx - i df/dy``.
    allow_int
        Whether integer and bool inputs are let through; their derivatives are zeros of dtype `float0`.
    backend
        Name of the backend, or a `Backend`. None: the one of `use_backend`, of ``ANYJAC_BACKEND``, of the arrays in
        the call, or the default, in this order. Where it is named, arrays of other frameworks are converted.
    device
        Device to work on, as a string (``"cpu"``, ``"cuda:0"``) or the framework's own object. None: that of
        ``ANYJAC_DEVICE``, or where the arrays are.
    debug_nan
        Whether to look at inputs, outputs and derivatives for numbers that are not finite, and to raise an error that
        says where the first one is. The function may run once more then, to find the operator that made it.
    strict
        Whether it is an error, and not only a warning, that a derivative is lost to Python, as by ``float(x)``.
    chunk_size
        Number of rows to compute at once; None for a size that keeps memory within bounds.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, the Jacobian. The block for an output leaf ``y`` and an input
        leaf ``x`` has shape ``y.shape + x.shape``, and the dtype and device of ``x``; the output's tree is outside,
        the input's inside.

        Without Variables ``g`` is ``arg_grads``, which is bare for an int `argnums` and a tuple for a sequence. With
        Variables alone ``g`` is ``var_grads``, in the structure of `grad_vars`; with arguments too it is
        ``(var_grads, arg_grads)``.

        The flags say what comes back beside ``g``:

        ======== ============= ===========================
        has_aux  return_value  returns
        ======== ============= ===========================
        no       no            ``g``
        yes      no            ``(g, aux_data)``
        no       yes           ``(g, loss_value)``
        yes      yes           ``(g, loss_value, aux_data)``
        ======== ============= ===========================

    Raises
    ------
    InputTypeError, InputValueError
        Here, or in the call, for settings and arguments that cannot be used.
    DtypeError, OutputError
        In the call, for inputs and outputs that have no derivative.
    NotSupportedError
        In the call, if the backend does not declare what is needed.
    NonFiniteError
        In the call, with `debug_nan`, naming an input, an output or an element of the derivative.
    LostDerivativeError
        In the call, with `strict`, naming the line at which a derivative is lost.

    Notes
    -----
    `func` runs once per call, and nothing is remembered between calls. Writes to Variables are stored when the whole
    call has succeeded; after any exception every Variable is as before.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> anyjac.jacrev(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])

    State lives in Variables, and a call may ask for both kinds at once:

    >>> gain = anyjac.Variable(3.0)
    >>> calls = anyjac.Variable(0)
    >>> @anyjac.jacrev(grad_vars={"gain": gain}, argnums=0, return_value=True)
    ... def response(x):
    ...     calls.value += 1
    ...     return gain * x
    >>> (var_grads, arg_grads), value = response(2.0)
    >>> var_grads, arg_grads, value, calls
    ({'gain': array(2.)}, array(3.), np.float64(6.0), Variable(array(1)))
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
    return make_transform(JACREV, settings, func)


@like_jacfwd
@filled_from(jacrev)
def jacfwd(
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
    """Make a function that returns the Jacobian of `func`, computed in forward mode: column by column.

    This costs less than `jacrev` where there are fewer inputs than outputs, and returns the same.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.
    chunk_size
        Number of columns to compute at once; None for a size that keeps memory within bounds.

    Returns
    -------
    GradientTransform
        As in `jacrev`.

    Raises
    ------
    NotSupportedError
        In the call, if the backend does not declare ``forward``.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    The block of a real output and a complex input takes two directional derivatives for each element. That of a complex
    output and a real input is complex, in the output's dtype, and needs no ``holomorphic``.

    As in `jacrev`.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> growth = anyjac.Variable(0.5)
    >>> def trajectory():
    ...     return 2.0 * np.array([1.0, 2.0, 3.0]) * growth
    >>> anyjac.jacfwd(trajectory, growth, return_value=True)()
    (array([2., 4., 6.]), array([1., 2., 3.]))
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
        outputs=COLUMNS,
    )
    return make_transform(JACFWD, settings, func)


@like_jacobian
@filled_from(jacrev)
def jacobian(
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
    mode: str = AUTO_MODE,
    chunk_size: int | None = None,
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the Jacobian of `func`, computed in the mode that costs less.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.
    mode
        ``"rev"`` for rows, as `jacrev`; ``"fwd"`` for columns, as `jacfwd`; ``"auto"`` for whichever costs less, by
        the numbers of elements of inputs and outputs and by the capabilities of the backend. The transform's repr
        names the mode of the last call.
    chunk_size
        Number of rows or columns to compute at once; None for a size that keeps memory within bounds.

    Returns
    -------
    GradientTransform
        As in `jacrev`.

    Raises
    ------
    InputTypeError, InputValueError
        Here, or in the call, for settings and arguments that cannot be used, such as an unknown `mode`.
    NotSupportedError
        In the call, if the backend does not declare what is needed, which is ``forward`` for columns.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    As in `jacrev`.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> powers = anyjac.jacobian(lambda x: x ** np.arange(5.0))
    >>> powers(2.0), powers
    (array([ 0.,  1.,  4., 12., 32.]), jacobian(<lambda>) (took 'fwd'))
    """
    if not isinstance(mode, str):
        raise InputTypeError(f"mode must be 'rev', 'fwd' or 'auto', not {mode!r} (of type {type(mode).__qualname__})")
    if mode not in JACOBIAN:
        raise InputValueError(f"mode must be 'rev', 'fwd' or 'auto', not {mode!r}")
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
        outputs=COLUMNS if mode == FORWARD_MODE else REAL_ALONE,
    )
    return make_transform(JACOBIAN[mode], settings, func)
