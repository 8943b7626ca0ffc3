"""`check_derivative`: derivatives against finite differences, along random directions, by element where they differ.

The whole check runs in one scope, which is closed without a commit: what the function writes to Variables is seen by
that run alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anyjac_plugins import FORWARD, NESTED, Backend
from anyjac_plugins.errors import (
    InputTypeError,
    InputValueError,
)

from ..calls.inputs import gather_inputs
from ..calls.labels import array_labels
from ..calls.opening import open_call, select_backend
from ..calls.run import FlatRun
from ..calls.settings import make_settings
from ..pickles import make
from ..state.scope import Scope
from .comparison import Attempts, Comparison
from .differences import Vector
from .point import (
    FWD,
    REV,
    ConstantOutputs,
    Function,
    Point,
    coordinates,
    random_like,
    refuse_nonfinite,
    unit_vector,
    weights_like,
)


@dataclass(frozen=True)
class DerivativeCheck:
    """What `check_derivative` found, where all is well.

    Parameters
    ----------
    backend
        Name of the backend.
    deviations
        For each order and mode, the largest difference between the derivative and the finite difference.
    used
        For each order and mode, the largest part of what was allowed that a difference took; at most 1.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> check = anyjac.check_derivative(np.square, np.array([1.0, 2.0]), order=1)
    >>> list(check.deviations), max(check.deviations.values()) < 1e-8
    ([(1, 'rev'), (1, 'fwd')], True)
    >>> check  # doctest: +ELLIPSIS
    DerivativeCheck on autograd:
      derivative 1, rev: deviates by ..., ... of what was allowed
      derivative 1, fwd: deviates by ..., ... of what was allowed
    """

    backend: str
    deviations: Mapping[tuple[int, str], float]
    used: Mapping[tuple[int, str], float]

    def __repr__(self) -> str:
        lines = [
            f"  derivative {order}, {mode}: deviates by {found:.2g}, {self.used[order, mode]:.2g} of what was allowed"
            for (order, mode), found in self.deviations.items()
        ]
        return "\n".join([f"DerivativeCheck on {self.backend}:", *lines])

    def __reduce__(self) -> Any:
        return make, ("DerivativeCheck", (self.backend, self.deviations, self.used), {})


def check_derivative(
    func: Callable[..., Any],
    *args: Any,
    grad_vars: Any = None,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool | None = None,
    holomorphic: bool = False,
    allow_int: bool = False,
    backend: str | Backend | None = None,
    device: Any = None,
    modes: str | Sequence[str] | None = None,
    order: int = 2,
    rtol: float | None = None,
    atol: float = 0.0,
    step: float | None = None,
    directions: int | None = 3,
    seed: int = 0,
    kwargs: Mapping[str, Any] | None = None,
) -> DerivativeCheck:
    """Compare the derivatives of `func` with finite differences, and raise where they differ.

    Parameters
    ----------
    func
        Any callable.
    *args
        The point: the positional arguments of `func`.
    grad_vars
        A `Variable`, or a pytree of them, to differentiate with respect to.
    argnums
        Position, or sequence of positions, of the arguments to differentiate; negative ones count from the end. None
        means the first argument where `grad_vars` is None or holds no Variable, and no argument otherwise.
    has_aux
        Whether `func` returns a pair ``(output, aux data)`` whose second item is not differentiated; None
        means no.
    holomorphic
        Promises that `func` is holomorphic: inputs and outputs must be complex, and derivatives are ``dy/dz``.
    allow_int
        Whether integer and bool inputs are let through; the check leaves them alone.
    backend
        Name of the backend, or a `Backend`. None: the one of `use_backend`, of ``ANYJAC_BACKEND``, of the arrays in
        the call, or the default, in this order. Where it is named, arrays of other frameworks are converted.
    device
        Device to work on, as a string (``"cpu"``, ``"cuda:0"``) or the framework's own object. None: that of
        ``ANYJAC_DEVICE``, or where the arrays are.
    modes
        ``"rev"``, ``"fwd"``, or a sequence of them. None: those that the backend declares.
    order
        How many derivatives to check: 2 checks the first, and the derivatives of that in each mode too.
    rtol
        Allowed difference, relative to the derivative. None: 1e-6 for float64, 2e-3 for float32, 5e-2 for float16 and
        1e-1 for bfloat16, whichever is the coarsest of inputs and outputs.
    atol
        Allowed difference beside that. What the rounding of the function's values may do to a finite difference is
        allowed in any case, as long as it is less than `rtol`.
    step
        First step of the differences, in units of each element or of 1, whichever is more. None: the fifth root of
        the spacing of numbers, which is 7e-4 for float64 and 4e-2 for float32.
    directions
        Along how many random directions to compare. None: along every element of the inputs by itself.
    seed
        Of the random directions; the same one gives the same check.
    kwargs
        The keyword arguments of `func`.

    Returns
    -------
    DerivativeCheck
        How large the differences were.

    Raises
    ------
    DerivativeMismatchError
        If a derivative differs: with the worst element of output and input, both numbers, mode and order. It is an
        AssertionError too.
    InconclusiveCheckError
        If `func` is random or keeps state outside of Variables, if it is not finite at the point or next to it, or if
        finite differences are too inaccurate to tell.
    InputTypeError, InputValueError
        For settings that cannot be used.
    NotSupportedError
        If the backend does not declare a mode that is asked for, or, for orders above 1, ``nested``.
    TracerLeakError
        If the arguments belong to a trace, and so have no numbers.
    AnyjacError
        The same errors as `jacrev`.

    Notes
    -----
    `func` runs many times, each time with the Variables as they are. Writes to Variables are forgotten after each run,
    so that every Variable is as before, also after an error. All other effects of `func` (prints, lists that grow,
    Variables made in a first call) happen in each run.

    A derivative is called wrong if differences of several steps in a row agree that it is, and none in a row that it is
    right; everything else is inconclusive. For orders above 1 the derivatives before are multiplied by random numbers,
    where there is more than one, so that there is a function to differentiate; both numbers in a message are of that.

    In reverse mode rows that are computed in a batch, as those of Jacobians are, are compared with rows one by one, and
    the product of both sides with a random cotangent is compared, so that a single wrong element of a
    large Jacobian shows if it is more than `rtol` of the norm; in forward mode each element of the output is. The real
    and imaginary parts of complex numbers move independently, and with ``holomorphic=True`` a function that is not
    holomorphic is found out.

    At a kink (of ``abs``, ``max`` or ``sort``, say) differences give the mean of the slopes on both sides, which the
    derivative need not be; the check is inconclusive where it is between them. A `stop_gradient`, or a custom rule that
    is meant to differ from the function, differs.

    The difference is the central one with one step of Richardson's extrapolation [1]_; where it disagrees smaller
    steps are tried. The worst element is found by halving the inputs and then the outputs down to 64 elements, each of
    which is then compared by itself.

    References
    ----------
    .. [1] L. F. Richardson, "The approximate arithmetical solution by finite differences of physical problems
       involving differential equations", *Phil. Trans. R. Soc. A* 210, 1911, 307-357.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> gain = anyjac.Variable(2.0, name="gain")
    >>> check = anyjac.check_derivative(lambda x: gain * x**3, np.array([1.0, 2.0]), grad_vars=gain, argnums=0)
    >>> sorted(check.deviations)
    [(1, 'fwd'), (1, 'rev'), (2, 'fwd over fwd'), (2, 'fwd over rev'), (2, 'rev over fwd'), (2, 'rev over rev')]

    A derivative that stops at a constant:

    >>> def forgetful(x):
    ...     return x * anyjac.stop_gradient(x)
    >>> anyjac.check_derivative(forgetful, np.array([3.0, 1.0]), order=1)
    Traceback (most recent call last):
    ...
    anyjac_plugins.errors.DerivativeMismatchError: derivative 1 in mode 'rev' of element [0] of the output with respect
    to element [0] of argument 0 is 3, and finite differences give 6
    """
    settings = make_settings(
        grad_vars=grad_vars,
        argnums=argnums,
        has_aux=has_aux,
        holomorphic=holomorphic,
        allow_int=allow_int,
        backend=backend,
        device=device,
    )
    if not callable(func):
        raise InputTypeError(f"check_derivative needs a callable, not {func!r} (of type {type(func).__qualname__})")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise InputTypeError(f"kwargs must be a mapping or None, not {kwargs!r} (of type {type(kwargs).__qualname__})")
    keywords = dict(kwargs or {})
    _check_count("order", order)
    _check_count("seed", seed, least=0)
    if directions is not None:
        _check_count("directions", directions)
    for name, value in (("rtol", rtol), ("atol", atol), ("step", step)):
        _check_tolerance(name, value)
    selection = select_backend(settings.backend, args, keywords, settings.variables)
    chosen = selection.backend
    wanted = _check_modes(chosen, modes)
    if order > 1 and not chosen.supports(NESTED):
        raise chosen.unsupported(NESTED)

    def work(scope: Scope) -> tuple[DerivativeCheck, None]:
        values = scope.values_at_entry(settings.variables, settings.companions)
        inputs = gather_inputs(settings, chosen, scope.device, scope.converts, values, args)
        run = FlatRun(func, settings, scope, inputs, args, keywords, None)
        point = Point(chosen, inputs.primals, inputs.labels(settings))
        check = _Check(point, wanted, directions, seed, rtol, atol, step, holomorphic=settings.holomorphic)
        if inputs.primals:
            check.function(Function(point, run, ConstantOutputs(run), 0, None, lambda: array_labels(run.output)), order)
        return DerivativeCheck(chosen.name, check.deviations, check.used), None

    return open_call(work, selection, settings.device, differentiates=True)


# ---- settings --------------------------------------------------------------------------------------------------------


def _check_count(name: str, value: Any, least: int = 1) -> None:
    what = "a positive int" if least else "zero or a positive int"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputTypeError(f"{name} must be {what}, not {value!r} (of type {type(value).__qualname__})")
    if value < least:
        raise InputValueError(f"{name} must be {what}, not {value}")


def _check_tolerance(name: str, value: Any) -> None:
    if value is None and name != "atol":
        return
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputTypeError(f"{name} must be a number, not {value!r} (of type {type(value).__qualname__})")
    if not (math.isfinite(value) and (value > 0 if name == "step" else value >= 0)):
        raise InputValueError(f"{name} must be {'positive' if name == 'step' else 'zero or more'}, not {value}")


def _check_modes(backend: Backend, modes: Any) -> tuple[str, ...]:
    if modes is None:
        return (REV, FWD) if backend.supports(FORWARD) else (REV,)
    given = (modes,) if isinstance(modes, str) else modes
    if not isinstance(given, Sequence):
        raise InputTypeError(f"modes must be 'rev', 'fwd' or a sequence of them, not {modes!r}")
    if not given or any(mode not in (REV, FWD) for mode in given):
        raise InputValueError(f"modes must be 'rev', 'fwd' or a sequence of them, not {modes!r}")
    wanted = tuple(dict.fromkeys(given))
    if FWD in wanted and not backend.supports(FORWARD):
        raise backend.unsupported(FORWARD)
    return wanted


# ---- the check -------------------------------------------------------------------------------------------------------


class _Check:
    """Compares function after function, and keeps in mind how large the differences were."""

    def __init__(
        self,
        point: Point,
        modes: Sequence[str],
        directions: int | None,
        seed: int,
        rtol: float | None,
        atol: float,
        step: float | None,
        *,
        holomorphic: bool,
    ):
        self._point = point
        self._holomorphic = holomorphic
        self._modes = modes
        self._directions = directions
        self._generator = np.random.default_rng(seed)
        self._rtol = rtol
        self._atol = atol
        self._step = step
        self.deviations: dict[tuple[int, str], float] = {}
        self.used: dict[tuple[int, str], float] = {}

    def function(self, function: Function, order: int, floor: float = 0.0) -> None:
        """Check a function and, up to an order, its derivatives.

        `floor` is how large the numbers are that may have cancelled in it.
        """
        function.refuse_random()
        for value, label in zip(function.values, function.labels, strict=True):
            refuse_nonfinite(value, label, "choose another point")
        compared = Comparison(function, self._rtol, self._atol, self._step, holomorphic=self._holomorphic, floor=floor)
        for direction in self._all_directions():
            weights = random_like(function.values, self._generator)
            found = Attempts(compared.differences.along(direction))
            for mode in self._modes:
                deviation, used = compared.along(mode, direction, weights, found)
                key = function.order + 1, compared.name(mode)
                self.deviations[key] = max(deviation, self.deviations.get(key, 0.0))
                self.used[key] = max(used, self.used.get(key, 0.0))
        if order > 1:
            for mode in self._modes:
                fixed = weights_like(function.values if mode == REV else self._point.values, self._generator)
                self.function(function.derivative(mode, fixed), order - 1, max(floor, function.largest))

    def _all_directions(self) -> Iterator[Vector]:
        point = self._point
        if self._directions is None:
            for at in coordinates(point.values):
                yield unit_vector(point.values, at, float(point.scales[at.leaf][at.where]))
            return
        for _ in range(self._directions):
            drawn = random_like(point.values, self._generator)
            yield [scale * each for scale, each in zip(point.scales, drawn, strict=True)]
