"""`vjp`, `linearize` and `jvp`: products of the Jacobian with vectors, without the Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from anyjac_plugins import FORWARD, Array, Backend
from anyjac_plugins.errors import InputTypeError

from .call import FlatRun, call
from .directions import cotangents_of, tangents_of
from .family import Derivative, Request
from .inputs import Inputs
from .linearisation import Linearisation, linearise
from .nonfinite import Look, refuse_vectors
from .outputs import Carried
from .packing import PACKING, pack_gradient
from .scope import Scope
from .settings import make_settings
from .signatures import like_jvp, like_linearize, like_vjp
from .transform import Decorator, GradientTransform, made_by


class Pullback:
    """A function at a point, as the linear map from cotangents of its output to gradients; made by `vjp`.

    The function has run; each call costs one backward pass. It owns no Variable, so that other threads may use them
    meanwhile, and threads may share it.

    Attributes
    ----------
    value
        What the function returned, untraced, with its own tree.
    aux
        The aux data with ``has_aux=True``, None otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pullback = anyjac.vjp(lambda x: x**2)(np.array([1.0, 2.0]))
    >>> pullback.value, pullback(np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """

    def __init__(self, linearisation: Linearisation):
        self.value = linearisation.value
        self.aux = linearisation.aux
        self._source = linearisation

    def __call__(self, cotangents: Any) -> Any:
        """Return the sum of the rows of the Jacobian, weighted by `cotangents`, packed as a gradient.

        Parameters
        ----------
        cotangents
            The tree of the output, with an array or number of each leaf's shape. Those of constants are not looked at.

        Returns
        -------
        pytree
            Packed as `grad` packs a gradient. Complex ones are those of JAX: seeded with 1, ``dy/dz`` for a
            holomorphic function, and ``df/dx - i df/dy`` for a real one.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If structure, shapes or dtypes are not those of the output.
        TracerLeakError
            If it was made inside a call of a transform that has ended.
        """
        source = self._source
        source.refuse_ended()
        backend = source.backend
        indices = [leaf.index for leaf in source.leaves]
        with source.lock, backend.device_scope(source.device):
            seeds = cotangents_of(
                backend, cotangents, source.output_tree, indices, source.outputs, converts=source.converts
            )
            gradients = (
                source.linear_map(seeds) if any(seed is not None for seed in seeds) else [None] * len(source.primals)
            )
            if source.settings.debug_nan:
                refuse_vectors(backend, seeds, source.output_labels, "cotangent of")
                refuse_vectors(backend, gradients, source.primal_labels, "gradient for")
            return source.pack(_filled(backend, gradients, source.primals), ())

    def __repr__(self) -> str:
        return f"<Pullback to {len(self._source.primals)} arrays on {self._source.backend.name}>"


class Pushforward:
    """A function at a point, as the linear map from tangents of its inputs to tangents of its output.

    Made by `linearize`. The function has run; each call costs about as much as another run. It owns no Variable.

    Attributes
    ----------
    value
        What the function returned, untraced, with its own tree.
    aux
        The aux data with ``has_aux=True``, None otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pushforward = anyjac.linearize(lambda x: x**2)(np.array([1.0, 2.0]))
    >>> pushforward.value, pushforward(np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """

    def __init__(self, linearisation: Linearisation):
        self.value = linearisation.value
        self.aux = linearisation.aux
        self._source = linearisation

    def __call__(self, tangents: Any) -> Any:
        """Return the derivative of the output along `tangents`.

        Parameters
        ----------
        tangents
            Packed as `grad` packs a gradient, with an array or number of each input leaf's shape.

        Returns
        -------
        pytree
            The tree of the output; zeros in the place of constants.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If structure, shapes or dtypes are not those of the inputs.
        TracerLeakError
            If it was made inside a call of a transform that has ended.
        """
        source = self._source
        source.refuse_ended()
        backend = source.backend
        with source.lock, backend.device_scope(source.device):
            pack = partial(source.pack, shape=())
            given = tangents_of(backend, tangents, pack, source.primals, converts=source.converts)
            found = source.linear_map(given) if source.primals else [None] * len(source.outputs)
            if source.settings.debug_nan:
                refuse_vectors(backend, given, source.primal_labels, "tangent of")
                refuse_vectors(backend, found, source.output_labels, "tangent of")
            return _tangent_tree(backend, source.output, source.outputs, found)

    def __repr__(self) -> str:
        return f"<Pushforward from {len(self._source.primals)} arrays on {self._source.backend.name}>"


def _filled(backend: Backend, arrays: Sequence[Array | None], like: Sequence[Array]) -> list[Array]:
    pairs = zip(arrays, like, strict=True)
    return [backend.zeros(other.shape, other) if array is None else array for array, other in pairs]


def _tangent_tree(backend: Backend, output: Carried, outputs: Sequence[Array], tangents: Sequence[Array | None]) -> Any:
    """Return tangents in the tree of the output; zeros for the constants in it."""
    remaining = iter(_filled(backend, tangents, outputs))
    return output.tree.unflatten(
        [
            next(remaining)
            if is_array
            else backend.import_array(leaf * 0)
            if hasattr(leaf, "dtype")
            else backend.asarray(0.0)
            for leaf, is_array in zip(output.leaves, output.is_array, strict=True)
        ]
    )


def _linearised(request: Request, *, make: Callable[[Linearisation], Any], run_with: str) -> Any:
    func, settings, args, kwargs, _ = request
    made = linearise(func, settings, args, kwargs, make, run_with)
    return PACKING[settings.has_aux, settings.return_value](made, made.value, made.aux)


def along(request: Request) -> Any:
    """Push the first argument of a call forward through the function at the others."""
    func, settings, (tangents, *args), kwargs, _ = _with_direction(request)

    def finish(scope: Scope, inputs: Inputs, run: FlatRun) -> tuple[Any, Sequence[Array]]:
        backend = scope.backend
        if not backend.supports(FORWARD):
            raise backend.unsupported(FORWARD)
        pack = partial(pack_gradient, settings, inputs)
        given = tangents_of(backend, tangents, pack, inputs.primals, converts=scope.converts)
        if inputs.primals:
            outputs, pushed, aux = backend.jvp(run, inputs.primals, given)
        else:
            outputs, aux = map(list, run())
            pushed = [None for _ in outputs]
        if settings.debug_nan:
            Look(scope, settings, inputs, run).at_tangents(outputs, pushed, given)
        g = _tangent_tree(backend, run.output, outputs, pushed)
        value = run.output.around(outputs) if settings.return_value else None
        return PACKING[settings.has_aux, settings.return_value](g, value, run.untraced_aux(aux)), aux

    return call(func, settings, tuple(args), kwargs, finish)


def _with_direction(request: Request) -> Request:
    if not request.args:
        raise InputTypeError(
            "the first argument is the tangents, packed as the gradient is; the arguments of the function follow it"
        )
    return request


VJP: Final = Derivative("vjp", partial(_linearised, make=Pullback, run_with="vjp"))
LINEARIZE: Final = Derivative("linearize", partial(_linearised, make=Pushforward, run_with="linearize"))
JVP: Final = Derivative("jvp", along, direction="tangents")


@like_vjp
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
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that runs `func` once and returns its pullback: products of cotangents with the Jacobian.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan
        As in `jacrev`; those after `argnums` by name alone.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns what that of `jacrev` returns, with a `Pullback` in the place of the
        Jacobian.

    Raises
    ------
    AnyjacError
        The same errors as `jacrev`.

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
        grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, None, debug_nan
    )
    return made_by(VJP, settings, func)


@like_linearize
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
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that runs `func` once and returns its pushforward: products of the Jacobian with tangents.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan
        As in `jacrev`; those after `argnums` by name alone.

    Returns
    -------
    GradientTransform
        Takes the arguments of `func` and returns what that of `jacrev` returns, with a `Pushforward` in the place of
        the Jacobian.

    Raises
    ------
    NotSupportedError
        In the call, if the backend does not declare ``forward``.
    AnyjacError
        The same errors as `jacrev`.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pushforward = anyjac.linearize(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0]))
    >>> pushforward(np.array([1.0, 0.0, 0.0])), pushforward(np.array([0.0, 0.0, 1.0]))
    (array([2., 0.]), array([0., 2.]))
    """
    settings = make_settings(
        grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, None, debug_nan
    )
    return made_by(LINEARIZE, settings, func)


@like_jvp
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
) -> GradientTransform[..., Any] | Decorator:
    """Make a function that returns the derivative of `func` along a direction: the Jacobian times a tangent.

    Parameters
    ----------
    func, grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, debug_nan
        As in `jacrev`; those after `argnums` by name alone.

    Returns
    -------
    GradientTransform
        Takes ``(tangents, *args)``, where ``tangents`` is packed as `grad` packs a gradient: bare for an int
        `argnums`, a tuple for a sequence, the structure of `grad_vars`, or the pair of both. It returns what that of
        `jacrev` returns, with the tangent of the output, in the tree of the output, in the place of the Jacobian.

    Raises
    ------
    InputTypeError, InputValueError, DtypeError
        In the call, if the tangents have not the structure or the shapes of what is differentiated.
    NotSupportedError
        In the call, if the backend does not declare ``forward``.
    AnyjacError
        The same errors as `jacrev`.

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
        grad_vars, argnums, has_aux, return_value, holomorphic, allow_int, backend, device, None, debug_nan
    )
    return made_by(JVP, settings, func)
