"""`vjp`, `linearize` and `jvp`: products of the Jacobian with vectors, without the Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from anyjac_plugins import FORWARD, Array, Backend, FlatFunction
from anyjac_plugins.errors import InputTypeError

from ..calls.call import call
from ..calls.dtypes import OutputRule
from ..calls.inputs import Inputs
from ..calls.nonfinite import Look
from ..calls.packing import PACKING, pack_gradient
from ..calls.run import FlatRun
from ..calls.settings import make_settings
from ..calls.tangents import places, tangents_of
from ..state.scope import Scope
from .differentiate import Derivative, Request
from .docstrings import filled_from
from .jacobians import jacrev
from .linear_maps import Pullback, Pushforward, tangent_tree
from .linearisation import Linearisation, linearise
from .signatures import like_jvp, like_linearize, like_vjp
from .transform import Decorator, GradientTransform, make_transform


def _linearised(request: Request, *, make: Callable[[Linearisation], Any], run_with: str) -> Any:
    func, settings, args, kwargs, _ = request
    made = linearise(func, settings, args, kwargs, make, run_with)
    return PACKING[settings.has_aux, settings.return_value](made, made.value, made.aux)


Places = Callable[[], Sequence[int]]
"""Returns which primal stands at each place of a gradient; few functions ask."""

Push = Callable[
    [Backend, FlatFunction, Sequence[Array], Sequence["Array | None"], Places],
    "tuple[list[Array], list[Array | None], list[Array]]",
]
"""Runs a flat function at primals and returns outputs, their derivatives along tangents, and aux."""


def _push(
    backend: Backend,
    fun: FlatFunction,
    primals: Sequence[Array],
    tangents: Sequence[Array | None],
    places: Places,
) -> tuple[list[Array], list[Array | None], list[Array]]:
    return backend.jvp(fun, primals, tangents)


def push_direction(request: Request, push: Push = _push) -> Any:
    """Push the first argument of a call forward through the function at the others."""
    func, settings, given, kwargs, _ = request
    if not given or (settings.argnums and len(given) == 1):
        raise InputTypeError(
            f"the first argument is the tangents, packed as the gradient is, and those of the function follow them; "
            f"the call has {'only one' if given else 'none'}"
        )
    direction, *args = given

    def compute(scope: Scope, inputs: Inputs, run: FlatRun) -> tuple[Any, Sequence[Array]]:
        backend = scope.backend
        if not backend.supports(FORWARD):
            raise backend.unsupported(FORWARD)
        pack = partial(pack_gradient, settings, inputs)
        tangents = tangents_of(backend, direction, pack, inputs.primals, converts=scope.converts)
        if inputs.primals:
            of_places = partial(places, backend, pack, inputs.primals)
            outputs, pushed, aux = push(backend, run, inputs.primals, tangents, of_places)
        else:
            outputs, aux = map(list, run())
            pushed = [None for _ in outputs]
        output = run.settle_output(aux)
        if settings.debug_nan:
            Look(scope, settings, inputs, run).at_tangents(outputs, pushed, tangents)
        g = tangent_tree(backend, output, outputs, backend.unshared(pushed, [*tangents, *inputs.primals]))
        value = run.untraced_output(outputs) if settings.return_value else None
        return PACKING[settings.has_aux, settings.return_value](g, value, run.untraced_aux(aux)), aux

    return call(func, settings, tuple(args), kwargs, compute)


ANY_OUTPUTS: Final = OutputRule(complex_of_real=True, integers=True)

VJP: Final = Derivative("vjp", partial(_linearised, make=Pullback, run_with="vjp"))
LINEARIZE: Final = Derivative("linearize", partial(_linearised, make=Pushforward, run_with="linearize"))
JVP: Final = Derivative("jvp", push_direction, direction="tangents")


@like_vjp
@filled_from(jacrev)
def vjp(
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
    """Make a function that runs `func` once and returns its pullback: products of cotangents with the Jacobian.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, a `Pullback` from cotangents in the tree of the output to
        gradients that are packed as those of `grad`.

        Flags as in `jacrev`.

    Raises
    ------
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    An output may be complex where all inputs are real, without ``holomorphic``: its tangents and cotangents are complex
    then, and gradients are the real part of cotangent times derivative. Integers and bools among the outputs have
    trivial tangents and cotangents, zeros of dtype `float0`.

    As in `jacrev`.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pullback, value = anyjac.vjp(lambda x: x[1:] * x[:-1], return_value=True)(np.array([1.0, 2.0, 3.0]))
    >>> value, pullback(np.array([1.0, 1.0]))
    (array([2., 6.]), array([2., 4., 2.]))
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
        outputs=ANY_OUTPUTS,
    )
    return make_transform(VJP, settings, func)


@like_linearize
@filled_from(jacrev)
def linearize(
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
    """Make a function that runs `func` once and returns its pushforward: products of the Jacobian with tangents.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns ``g``, a `Pushforward` from tangents that are packed as the gradients
        of `grad` to tangents in the tree of the output.

        Flags as in `jacrev`.

    Raises
    ------
    NotSupportedError
        In the call, if the backend does not declare ``forward``.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    An output may be complex where all inputs are real, without ``holomorphic``: its tangents and cotangents are complex
    then, and gradients are the real part of cotangent times derivative. Integers and bools among the outputs have
    trivial tangents and cotangents, zeros of dtype `float0`.

    As in `jacrev`.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pushforward = anyjac.linearize(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0]))
    >>> pushforward(np.array([1.0, 0.0, 0.0])), pushforward(np.array([0.0, 0.0, 1.0]))
    (array([2., 0.]), array([0., 2.]))
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
        outputs=ANY_OUTPUTS,
    )
    return make_transform(LINEARIZE, settings, func)


@like_jvp
@filled_from(jacrev)
def jvp(
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
    """Make a function that returns the derivative of `func` along a direction: the Jacobian times a tangent.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan, strict
        As in `jacrev`.

    Returns
    -------
    GradientTransform
        Takes ``(tangents, *args)`` and returns ``g``, the tangent of the output in the tree of the output. The tangents
        are packed as `grad` packs a gradient: bare for an int `argnums`, a tuple for a sequence, the structure of
        `grad_vars`, or the pair ``(var_tangents, arg_tangents)``.

        Flags as in `jacrev`.

    Raises
    ------
    InputTypeError, InputValueError
        Here, or in the call, for settings and arguments that cannot be used, such as tangents with another structure
        or other shapes than the inputs.
    NotSupportedError
        In the call, if the backend does not declare ``forward``.
    AnyjacError
        As in `jacrev`.

    Notes
    -----
    An output may be complex where all inputs are real, without ``holomorphic``: its tangents and cotangents are complex
    then, and gradients are the real part of cotangent times derivative. Integers and bools among the outputs have
    trivial tangents and cotangents, zeros of dtype `float0`.

    As in `jacrev`.

    References
    ----------
    .. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> rate = anyjac.Variable(2.0)
    >>> def grown(x):
    ...     return rate * x
    >>> anyjac.jvp(grown, rate, 0, return_value=True)((1.0, np.array([0.0, 1.0])), np.array([3.0, 4.0]))
    (array([3., 6.]), array([6., 8.]))
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
        outputs=ANY_OUTPUTS,
    )
    return make_transform(JVP, settings, func)
