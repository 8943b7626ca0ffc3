"""`check_derivative`: derivatives against finite differences, along random directions, by element where they differ.

The whole check runs in one scope, which is closed without a commit: what the function writes to Variables is seen by
that run alone.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from anyjac_plugins import FORWARD, NESTED, Array, Backend, FlatFunction
from anyjac_plugins import jacobian as modes_of_jacobians
from anyjac_plugins.errors import (
    AnyjacError,
    DerivativeMismatchError,
    InconclusiveCheckError,
    InputTypeError,
    InputValueError,
    TracerLeakError,
)

from .call import FlatRun, select_backend
from .differences import Difference, Differences, Floats, Vector
from .dtypes import COMPLEX_KIND
from .inputs import gather_inputs
from .places import array_labels, element, leaf_labels, primal_labels
from .scope import Scope
from .selection import select_device
from .settings import make_settings

REV: Final = modes_of_jacobians.REVERSE
FWD: Final = modes_of_jacobians.FORWARD

#                        eps, rtol
PRECISIONS: Final[dict[str, tuple[float, float]]] = {
    "float64": (2.0**-52, 1e-6),
    "float32": (2.0**-23, 2e-3),
    "float16": (2.0**-10, 5e-2),
    "bfloat16": (2.0**-7, 1e-1),
}
"""What is expected of differences, by the coarsest dtype among inputs and outputs."""

AT_ONCE: Final = 64
"""Up to how many elements each is looked at by itself, to find the worst; more are first narrowed down by halves."""


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
    """

    backend: str
    deviations: Mapping[tuple[int, str], float]
    used: Mapping[tuple[int, str], float]


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
    grad_vars, argnums, has_aux, holomorphic, allow_int, backend, device
        As in `jacrev`. Integers that `allow_int` lets through are left alone.
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
    `func` runs many times, each time with the Variables as they are; what it writes to them is forgotten after each
    run, so that every Variable is as it was, also after an error. What it does beside that (prints, lists that grow,
    Variables that it makes in its first call) it does in each run.

    In reverse mode the product of both sides with a random cotangent is compared, so that a single wrong element of a
    large Jacobian shows if it is more than `rtol` of the norm; in forward mode each element of the output is. The real
    and imaginary parts of complex numbers move independently, and with ``holomorphic=True`` a function that is not
    holomorphic is found out.

    At a kink (of ``abs``, ``max`` or ``sort``, say) differences give the mean of the slopes on both sides, which the
    derivative need not be; the message says so. A `stop_gradient`, or a custom rule that is meant to differ from the
    function, differs.

    The difference is the central one with one step of Richardson's extrapolation [1]_; where it disagrees smaller
    steps are tried. The place is found by halving the inputs and then the outputs down to 64 elements, each of which
    is then compared by itself.

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
    settings = make_settings(grad_vars, argnums, has_aux, False, holomorphic, allow_int, backend, device, None)
    keywords = dict(kwargs or {})
    _check_count("order", order)
    if directions is not None:
        _check_count("directions", directions)
    for name, value in (("rtol", rtol), ("atol", atol), ("step", step)):
        _check_tolerance(name, value)
    chosen, explicit = select_backend(settings.backend, args, keywords, settings.variables)
    wanted = _check_modes(chosen, modes)
    if order > 1 and not chosen.supports(NESTED):
        raise chosen.unsupported(NESTED)
    place = select_device(chosen, settings.device)
    scope = Scope(chosen, place, explicit, differentiates=True)
    try:
        try:
            with chosen.device_scope(place):
                inputs = gather_inputs(settings, scope, args)
                run = FlatRun(func, settings, scope, inputs, args, keywords, None)
                point = _Point(chosen, inputs.primals, primal_labels(settings, inputs))
                check = _Check(point, wanted, directions, seed, rtol, atol, step, holomorphic=settings.holomorphic)
                if inputs.primals:
                    check.function(
                        _Function(point, run, _Watched(run), 0, None, lambda: array_labels(run.output)), order
                    )
                return DerivativeCheck(chosen.name, check.deviations, check.used)
        finally:
            scope.close()
    finally:  # again, for the case that an interrupt arrived in the midst of it
        scope.close()


# ---- settings --------------------------------------------------------------------------------------------------------


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputTypeError(f"{name} must be a positive int, not {value!r} (of type {type(value).__qualname__})")
    if value < 1:
        raise InputValueError(f"{name} must be a positive int, not {value}")


def _check_tolerance(name: str, value: Any) -> None:
    if value is None:
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
    wanted = tuple(dict.fromkeys(given))
    if not wanted or any(mode not in (REV, FWD) for mode in wanted):
        raise InputValueError(f"modes must be 'rev', 'fwd' or a sequence of them, not {modes!r}")
    if FWD in wanted and not backend.supports(FORWARD):
        raise backend.unsupported(FORWARD)
    return wanted


# ---- between the backend's arrays and those of the host --------------------------------------------------------------


class _Point:
    """Where the function is differentiated, on the host and as arrays of the backend."""

    def __init__(self, backend: Backend, primals: Sequence[Array], labels: Sequence[str]):
        self.backend = backend
        self.labels = labels
        for primal, label in zip(primals, labels, strict=True):
            if backend.is_traced(primal):
                raise TracerLeakError(
                    f"{label} belongs to a trace of {backend.name} that is still being made, so it has no numbers to "
                    f"check a derivative at; call check_derivative outside of it"
                )
        self.primals = [backend.copy(primal) for primal in primals]
        self.values = [self.host(primal) for primal in self.primals]
        for value, label in zip(self.values, labels, strict=True):
            _refuse_nonfinite(value, label, "choose another point")
        self.scales = [np.maximum(1.0, abs(value)) for value in self.values]
        self.coarsest = self.precision(self.primals)

    def host(self, array: Array) -> Floats:
        """Return an array as float64 or complex128 on the host; a copy."""
        wide = np.complex128 if self._is_complex(array) else np.float64
        found: Floats = np.array(self.backend.to_numpy(array)).astype(wide)
        return found

    def device(self, values: Vector, like: Sequence[Array]) -> list[Array]:
        """Return arrays of the backend, of the dtypes and on the devices of others; new ones each time."""
        backend = self.backend
        return [
            backend.asarray(np.array(value), dtype=array.dtype, device=backend.device_of(array))
            for value, array in zip(values, like, strict=True)
        ]

    def zero(self, arrays: Sequence[Array | None], like: Sequence[Array]) -> list[Array]:
        """Put zeros in the place of what is None."""
        pairs = zip(arrays, like, strict=True)
        return [self.backend.zeros(other.shape, other) if array is None else array for array, other in pairs]

    def precision(self, arrays: Sequence[Array]) -> str:
        """Return the name of the coarsest real dtype among those of arrays."""
        ranks = list(PRECISIONS)
        names = {"complex64": "float32", "complex128": "float64"}
        found = (self.backend.dtype_name(array.dtype) for array in arrays)
        return max((names.get(name, name) for name in found), key=ranks.index, default=ranks[0])

    def _is_complex(self, array: Array) -> bool:
        return self.backend.dtype_kind(array.dtype) == COMPLEX_KIND


def _refuse_nonfinite(value: Floats, label: str, mend: str) -> None:
    wrong = np.argwhere(~np.isfinite(value))
    if len(wrong):
        where = tuple(int(i) for i in wrong[0])
        raise InconclusiveCheckError(
            f"{element(label, where)} is {_number(value[where])}, of which there are no differences; {mend}"
        )


def _number(value: Any) -> str:
    number = complex(value)
    return repr(number) if number.imag else repr(number.real)


class _Coordinate(NamedTuple):
    """A real number in a list of arrays: the real or the imaginary part of an element."""

    leaf: int
    where: tuple[int, ...]
    unit: complex

    @property
    def part(self) -> str:
        return "imaginary" if self.unit == 1j else "real"


def _coordinates(like: Vector) -> list[_Coordinate]:
    return [
        _Coordinate(leaf, index, unit)
        for leaf, values in enumerate(like)
        for index in np.ndindex(values.shape)
        for unit in ((1.0, 1j) if values.dtype.kind == "c" else (1.0,))
    ]


def _restricted(vector: Vector, to: Sequence[_Coordinate]) -> list[Floats]:
    """Return a vector with zeros everywhere but at some coordinates."""
    kept = [np.zeros_like(values) for values in vector]
    for leaf, index, unit in to:
        value = vector[leaf][index]
        kept[leaf][index] += 1j * value.imag if unit == 1j else value.real
    return kept


def _unit(like: Vector, at: _Coordinate, size: float = 1.0) -> list[Floats]:
    vector = [np.zeros_like(values) for values in like]
    vector[at.leaf][at.where] = size * at.unit
    return vector


def _product(vector: Vector, weights: Vector) -> float:
    """Return the real part of the product without conjugation, in which cotangents and gradients are dual.

    What has the weight zero does not count, though it be no number.
    """
    with np.errstate(all="ignore"):
        pairs = zip(vector, weights, strict=True)
        return float(sum(np.sum(np.where(w == 0, 0.0, v * w)).real for v, w in pairs))


def _norm_of_product(left: Vector, right: Vector) -> float:
    with np.errstate(all="ignore"):
        return math.sqrt(sum(float(np.sum(abs(a * b) ** 2)) for a, b in zip(left, right, strict=True)))


def _component(vector: Vector, at: _Coordinate) -> float:
    value = complex(vector[at.leaf][at.where])
    return float(value.imag if at.unit == 1j else value.real)


def _random(like: Vector, generator: np.random.Generator) -> list[Floats]:
    """Return numbers between 1/2 and 1 with random signs, so that none is left out and none moves far."""

    def draw(shape: tuple[int, ...]) -> Floats:
        return np.asarray(generator.uniform(0.5, 1.0, shape) * generator.choice((-1.0, 1.0), shape))

    return [
        np.asarray((draw(v.shape) + 1j * draw(v.shape)) * np.sqrt(0.5) if v.dtype.kind == "c" else draw(v.shape))
        for v in like
    ]


# ---- functions, and their derivatives as functions -------------------------------------------------------------------


class _Watched:
    """The constants among the outputs of a run, which must stay what they are: their derivative is zero."""

    def __init__(self, run: FlatRun):
        self._run = run
        self._known: list[tuple[str, Any]] | None = None

    def look(self) -> None:
        """Compare the constants of the last run with those of the first."""
        output = self._run.output
        rest = zip(leaf_labels(output), output.leaves, output.is_array, strict=True)
        found = [(label, leaf) for label, leaf, is_array in rest if not is_array]
        if self._known is None:
            self._known = found
            return
        for (label, before), (_, after) in zip(self._known, found, strict=False):
            if not isinstance(before, int) and not np.array_equal(before, after, equal_nan=True):
                raise DerivativeMismatchError(
                    f"{label} is no array that is differentiated, so that its derivative is zero, and yet it changes "
                    f"with the inputs: {before!r} at the point, {after!r} beside it; compute it with the functions of "
                    f"the backend, or return it as aux data",
                    output_path=label,
                    found=0.0,
                )


class _Function:
    """A flat function at a point: the user's, or a derivative of it contracted with fixed directions."""

    def __init__(
        self,
        point: _Point,
        flat: FlatFunction,
        watched: _Watched | None,
        order: int,
        mode: str | None,
        labels: Callable[[], Sequence[str]],
    ):
        self.point = point
        self.flat = flat
        self.order = order
        self.mode = mode
        self._watched = watched
        backend = point.backend
        self.outputs = [backend.copy(output) for output in flat(*map(backend.copy, point.primals))[0]]
        self.labels = labels()
        self.values = [point.host(output) for output in self.outputs]
        if watched is not None:
            watched.look()
        self.coarsest = max(point.coarsest, point.precision(self.outputs), key=list(PRECISIONS).index)

    @property
    def largest(self) -> float:
        """The size of its largest value."""
        return max((float(np.max(abs(value), initial=0.0)) for value in self.values), default=0.0)

    def at(self, values: Vector) -> Vector:
        """Return its values at a point of the host."""
        flat = self.flat(*self.point.device(values, self.point.primals))[0]
        found = [self.point.host(output) for output in flat]
        if self._watched is not None:
            self._watched.look()
        shapes, before = [v.shape for v in found], [v.shape for v in self.values]
        if shapes != before:
            raise InconclusiveCheckError(
                f"the function returned arrays of shapes {before} at the point, and of {shapes} beside it; of such a "
                f"function there are no differences"
            )
        return found

    def pull(self) -> tuple[list[Array], Callable[[Vector], Vector]]:
        """Return its outputs as they are when it is differentiated by rows, and the pullback, on the host."""
        point = self.point
        outputs, pullback, _ = point.backend.vjp(self.flat, [point.backend.copy(p) for p in point.primals])

        def pull(cotangents: Vector) -> Vector:
            found = pullback(point.device(cotangents, self.outputs))
            return [point.host(array) for array in point.zero(found, point.primals)]

        return outputs, pull

    def push(self, tangents: Vector) -> tuple[list[Array], Vector]:
        """Return its outputs as they are when it is differentiated by columns, and their tangents, on the host."""
        point = self.point
        primals = [point.backend.copy(p) for p in point.primals]
        outputs, found, _ = point.backend.jvp(self.flat, primals, point.device(tangents, point.primals))
        return outputs, [point.host(array) for array in point.zero(found, outputs)]

    def derivative(self, mode: str, direction: Vector) -> _Function:
        """Return its derivative along a fixed direction, as a function of the point."""
        point, backend = self.point, self.point.backend
        like = self.outputs if mode == REV else point.primals

        def gradient(*primals: Array) -> tuple[list[Array], list[Array]]:
            _, pullback, _ = backend.vjp(self.flat, primals)
            return point.zero(pullback(point.device(direction, like)), primals), []

        def tangent(*primals: Array) -> tuple[list[Array], list[Array]]:
            outputs, tangents, _ = backend.jvp(self.flat, primals, point.device(direction, like))
            return point.zero(tangents, outputs), []

        flat, names, of = (
            (gradient, point.labels, "gradient for") if mode == REV else (tangent, self.labels, "tangent of")
        )
        labels = [f"the {of} {name}" for name in names]
        mode_so_far = mode if self.mode is None else f"{mode} over {self.mode}"
        with _blaming(self.order + 1, mode_so_far):
            return _Function(point, flat, None, self.order + 1, mode_so_far, lambda: labels)


@contextlib.contextmanager
def _blaming(order: int, mode: str) -> Iterator[None]:
    """Say of an error of the framework where in the check it was raised."""
    try:
        yield
    except AnyjacError:
        raise
    except Exception as error:
        error.add_note(
            f"raised while anyjac.check_derivative computed derivative {order} in mode {mode!r}; modes= and order= say "
            f"which are computed"
        )
        raise


# ---- the check -------------------------------------------------------------------------------------------------------


class _Check:
    """Compares function after function, and keeps in mind how large the differences were."""

    def __init__(
        self,
        point: _Point,
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

    def function(self, function: _Function, order: int, floor: float = 0.0) -> None:
        """Check a function and, up to an order, its derivatives.

        `floor` is how large the numbers are that may have cancelled in it.
        """
        _refuse_random(function)
        for value, label in zip(function.values, function.labels, strict=True):
            _refuse_nonfinite(value, label, "choose another point")
        compared = _Comparison(function, self._rtol, self._atol, self._step, holomorphic=self._holomorphic, floor=floor)
        for direction in self._all_directions():
            weights = _random(function.values, self._generator)
            found = _Attempts(compared.differences.along(direction))
            for mode in self._modes:
                with _blaming(function.order + 1, compared.name(mode)):
                    deviation, used = compared.along(mode, direction, weights, found)
                key = function.order + 1, compared.name(mode)
                self.deviations[key] = max(deviation, self.deviations.get(key, 0.0))
                self.used[key] = max(used, self.used.get(key, 0.0))
        if order > 1:
            for mode in self._modes:
                fixed = _random(function.values if mode == REV else self._point.values, self._generator)
                self.function(function.derivative(mode, fixed), order - 1, max(floor, function.largest))

    def _all_directions(self) -> Iterator[Vector]:
        point = self._point
        if self._directions is None:
            for at in _coordinates(point.values):
                yield _unit(point.values, at, float(point.scales[at.leaf][at.where]))
            return
        for _ in range(self._directions):
            drawn = _random(point.values, self._generator)
            yield [scale * each for scale, each in zip(point.scales, drawn, strict=True)]


def _refuse_random(function: _Function) -> None:
    again = function.at(function.point.values)
    eps, _ = PRECISIONS[function.coarsest]
    for label, before, after in zip(function.labels, function.values, again, strict=True):
        close = np.isclose(after, before, rtol=0, atol=16 * eps * float(np.max(abs(before), initial=0)), equal_nan=True)
        changed = np.argwhere(~close)
        if len(changed):
            where = tuple(int(i) for i in changed[0])
            raise InconclusiveCheckError(
                f"two runs at the same point disagree: {element(label, where)} is {_number(before[where])} and then "
                f"{_number(after[where])}; the function is random, or keeps state outside of Variables. Fix the seed "
                f"inside of it, or keep the state in a Variable"
            )


class _Attempts:
    """Differences from one step after the other, computed when they are asked for, once."""

    def __init__(self, source: Iterator[Difference]):
        self._source = source
        self._known: list[Difference] = []

    def __iter__(self) -> Iterator[Difference]:
        yield from self._known
        for found in self._source:
            self._known.append(found)
            yield found


class _Comparison:
    """The derivative of one function, held against its differences."""

    def __init__(
        self,
        function: _Function,
        rtol: float | None,
        atol: float,
        step: float | None,
        *,
        holomorphic: bool,
        floor: float,
    ):
        self.function = function
        self._holomorphic = holomorphic
        self._point = function.point
        eps, expected = PRECISIONS[function.coarsest]
        self._rtol = expected if rtol is None else rtol
        self._atol = atol
        self.differences = Differences(function.at, self._point.values, eps, step, floor)
        self._pullback: Callable[[Vector], Vector] | None = None

    def name(self, mode: str) -> str:
        """Return how messages call a mode of this function's derivative."""
        return mode if self.function.mode is None else f"{mode} over {self.function.mode}"

    # ---- along one direction ---------------------------------------------------------------------------------------

    def along(self, mode: str, direction: Vector, weights: Vector, attempts: _Attempts) -> tuple[float, float]:
        """Compare along a direction; return the deviation and what part of the allowed one it is.

        Raises
        ------
        DerivativeMismatchError, InconclusiveCheckError
            Naming the worst element.
        """
        judge = self._judge(mode, direction, weights)
        for found in attempts:
            deviation, used = judge(found)
            if used <= 1:
                return deviation, used
        raise self._explained(mode, direction, weights)

    def _judge(self, mode: str, direction: Vector, weights: Vector) -> Callable[[Difference], tuple[float, float]]:
        if mode == FWD:
            pushed = self._push(direction)
            return lambda found: self._worst_of(pushed, found)
        product = _product(self._pull(weights), direction)
        return lambda found: self._of_product(product, weights, found)

    def _pull(self, cotangents: Vector) -> Vector:
        if self._pullback is None:
            outputs, self._pullback = self.function.pull()
            self._compare_values(REV, outputs)
        return self._complex_linear(self._pullback, cotangents)

    def _push(self, tangents: Vector) -> Vector:
        def push(real: Vector) -> Vector:
            outputs, pushed = self.function.push(real)
            self._compare_values(FWD, outputs)
            return pushed

        return self._complex_linear(push, tangents)

    def _complex_linear(self, linear: Callable[[Vector], Vector], vector: Vector) -> Vector:
        """Apply a linear map; where the function is holomorphic by promise, as rows or columns of its Jacobian do.

        These are made of real ones, so that what is not holomorphic shows.
        """
        if not self._holomorphic:
            return linear(vector)
        real, imaginary = (linear([0j + part(each) for each in vector]) for part in (np.real, np.imag))
        return [a + 1j * b for a, b in zip(real, imaginary, strict=True)]

    def _compare_values(self, mode: str, outputs: Sequence[Array]) -> None:
        """Refuse a function whose value is another when it is differentiated."""
        if self.function.order:
            return
        for label, array, plain in zip(self.function.labels, outputs, self.function.values, strict=True):
            value = self._point.host(array)
            bound = self._atol + self._rtol * float(np.max(abs(plain), initial=0.0))
            wrong = np.argwhere(~(abs(value - plain) <= bound)) if value.shape == plain.shape else [()]
            if len(wrong):
                where = tuple(int(i) for i in wrong[0])
                both = (value[where], plain[where]) if value.shape == plain.shape else (value.shape, plain.shape)
                raise DerivativeMismatchError(
                    f"{element(label, where)} is {both[1]} in a plain run, and {both[0]} when the function is "
                    f"differentiated in mode {mode!r}",
                    order=0,
                    mode=mode,
                    output_path=label,
                    output_index=where,
                    found=_scalar(both[0]),
                    expected=_scalar(both[1]),
                )

    def _allowed(self, size: Any, noise: Any) -> Any:
        return self._atol + self._rtol * size + np.minimum(noise, self._rtol)

    def _worst_of(self, pushed: Vector, found: Difference) -> tuple[float, float]:
        """Compare element by element."""
        worst = deviation = 0.0
        for derivative, value, noise in zip(pushed, found.values, found.noise, strict=True):
            with np.errstate(all="ignore"):
                off = abs(derivative - value)
                allowed = self._allowed(np.maximum(abs(derivative), abs(value)), noise)
                ratio = np.where(off == 0, 0.0, np.where(off <= allowed, off / allowed, np.inf))
            deviation = max(deviation, float(np.max(off, initial=0.0)))
            worst = max(worst, float(np.max(ratio, initial=0.0)))
        return deviation, worst

    def _of_product(self, product: float, weights: Vector, found: Difference) -> tuple[float, float]:
        """Compare the products of both with one cotangent."""
        expected = _product(found.values, weights)
        off = abs(product - expected)
        size, noise = (_norm_of_product(weights, vector) for vector in (found.values, found.noise))
        allowed = float(self._allowed(max(size, abs(product)), noise))
        return off, 0.0 if off == 0 else off / allowed if off <= allowed else math.inf

    # ---- the place -------------------------------------------------------------------------------------------------

    def _explained(self, mode: str, direction: Vector, weights: Vector) -> AnyjacError:
        """Return the error that says at which elements, and with which numbers, the two differ."""
        inputs = self._narrowed(
            _coordinates(self._point.values), lambda some: self._off(mode, _restricted(direction, some), weights)
        )
        outputs = _coordinates(self.function.values)
        if mode == REV:
            part = _restricted(direction, inputs)
            found = self.differences.best(part)
            outputs = self._narrowed(outputs, lambda some: self._of_product_of(_restricted(weights, some), part, found))
        worst: _Element | None = None
        columns = [self._column(mode, at) for at in inputs]
        rows = {o: self._pull(_row_seed(self.function.values, o)) for o in outputs} if mode == REV else {}
        for column in columns:
            for o in outputs:
                derivative = (
                    _product(rows[o], _unit(self._point.values, column.at)) if mode == REV else column.pushed(o)
                )
                each = _Element(o, column, derivative)
                if worst is None or each.rank(self._allowed) > worst.rank(self._allowed):
                    worst = each
        assert worst is not None  # something deviated, so there are inputs and outputs
        return self._error(mode, worst)

    def _narrowed(
        self, candidates: list[_Coordinate], off: Callable[[Sequence[_Coordinate]], float]
    ) -> list[_Coordinate]:
        """Halve coordinates until they are few, each time keeping those that deviate more."""
        while len(candidates) > AT_ONCE:
            middle = len(candidates) // 2
            candidates = max(candidates[:middle], candidates[middle:], key=off)
        return candidates

    def _off(self, mode: str, direction: Vector, weights: Vector) -> float:
        """Return by how much derivative and differences deviate along a direction, infinity where one is not finite."""
        found = self.differences.best(direction)
        if mode == REV:
            return self._of_product_of(weights, direction, found)
        pushed = self._push(direction)
        pairs = zip(pushed, found.values, strict=True)
        return max(float(np.max(_excess(abs(a - b)), initial=0.0)) for a, b in pairs)

    def _of_product_of(self, weights: Vector, direction: Vector, found: Difference) -> float:
        off = abs(_product(self._pull(weights), direction) - _product(found.values, weights))
        return math.inf if math.isnan(off) else off

    def _column(self, mode: str, at: _Coordinate) -> _Column:
        scale = float(self._point.scales[at.leaf][at.where])
        direction = _unit(self._point.values, at, scale)
        pushed = self._push(_unit(self._point.values, at)) if mode == FWD else None
        return _Column(at, scale, direction, self.differences.best(direction), pushed)

    def _error(self, mode: str, worst: _Element) -> AnyjacError:
        output, at, name = worst.output, worst.column.at, self.name(mode)
        order = self.function.order + 1
        output_path, input_path = self.function.labels[output.leaf], self._point.labels[at.leaf]
        of, to = (
            (f"the {place.part} part of " if is_complex else "") + element(label, place.where)
            for place, label, is_complex in (
                (output, output_path, self.function.values[output.leaf].dtype.kind == "c"),
                (at, input_path, self._point.values[at.leaf].dtype.kind == "c"),
            )
        )
        where = f"derivative {order} in mode {name!r} of {of} with respect to {to}"
        both = f"is {worst.derivative:.9g}, and finite differences give {worst.difference:.9g}"
        if not math.isfinite(worst.difference):
            return InconclusiveCheckError(
                f"{where} cannot be checked: next to the point, at steps from {self.differences.step:.1g} down to "
                f"{self.differences.steps()[-1]:.1g}, the function overflows or is not defined; choose another point, "
                f"or a smaller step="
            )
        if worst.uncertainty > abs(worst.derivative - worst.difference) / 2:
            return InconclusiveCheckError(
                f"{where} {both}, which is known to {worst.uncertainty:.1g} only, by the rounding or the roughness of "
                f"the function; set step=, or allow more with atol= or rtol="
            )
        bends = _component(self.differences.bends(worst.column.direction, self.function.values), output)
        slope = bends / worst.column.scale
        kink = slope > max(float(self._allowed(abs(worst.difference), 0.0)), 10 * worst.uncertainty)
        return DerivativeMismatchError(
            f"{where} {both}"
            + (f"; the slopes on both sides differ by {slope:.3g}, as at a kink: choose another point" if kink else "")
            + ("; a function with holomorphic=True must be holomorphic" if self._promised_in_vain(worst) else ""),
            order=order,
            mode=name,
            output_path=output_path,
            output_index=output.where,
            input_path=input_path,
            input_index=at.where,
            found=worst.derivative,
            expected=worst.difference,
        )

    def _promised_in_vain(self, worst: _Element) -> bool:
        """Tell whether an output and an input are complex, and the differences fit no complex derivative."""
        output, at = worst.output, worst.column.at
        if self.function.order or self.function.values[output.leaf].dtype.kind != "c":
            return False
        along = [
            self.differences.best(_unit(self._point.values, _Coordinate(at.leaf, at.where, unit), worst.column.scale))
            for unit in (1.0, 1j)
        ]
        real, imaginary = (found.values[output.leaf][output.where] / worst.column.scale for found in along)
        return bool(abs(imaginary - 1j * real) > self._allowed(abs(real), 0.0))


def _row_seed(like: Vector, output: _Coordinate) -> Vector:
    """Return the cotangent whose product with an output is that coordinate: -i for an imaginary part."""
    return _unit(like, output._replace(unit=-1j if output.unit == 1j else 1.0))


def _excess(off: Floats) -> Floats:
    return np.where(np.isnan(off), np.inf, off)


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else None


@dataclass(frozen=True)
class _Column:
    """The differences along one element of an input, and the derivative along it, where it was computed by columns."""

    at: _Coordinate
    scale: float
    direction: Vector
    found: Difference
    tangents: Vector | None

    def pushed(self, output: _Coordinate) -> float:
        assert self.tangents is not None
        return _component(self.tangents, output)


class _Element:
    """One element of a Jacobian: the derivative, and the difference beside it."""

    def __init__(self, output: _Coordinate, column: _Column, derivative: float):
        self.output = output
        self.column = column
        self.derivative = derivative
        self.difference = _component(column.found.values, output) / column.scale
        self.noise = float(column.found.noise[output.leaf][output.where]) / column.scale
        self.uncertainty = float(column.found.uncertainty[output.leaf][output.where]) / column.scale

    def rank(self, allowed: Callable[[Any, Any], Any]) -> tuple[bool, bool, float]:
        """Return by what elements are compared for the worst: whether more than allowed, known, and how much."""
        off = abs(self.derivative - self.difference)
        known = math.isfinite(self.difference)
        if math.isnan(off):
            return True, known, math.inf
        return off > float(allowed(max(abs(self.derivative), abs(self.difference)), self.noise)), known, off
