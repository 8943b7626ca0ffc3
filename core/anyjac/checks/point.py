"""A function at a point, for `check_derivative`: its values and derivatives on the host, by real coordinates."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from anyjac_plugins import Array, Backend, FlatFunction
from anyjac_plugins.backend.kinds import is_complex
from anyjac_plugins.backend.linear_maps import filled
from anyjac_plugins.backend.types import FORWARD_MODE, REVERSE_MODE
from anyjac_plugins.errors import (
    AnyjacError,
    DerivativeMismatchError,
    ForwardRuleError,
    InconclusiveCheckError,
    TracerLeakError,
)

from ..calls.labels import element_label, leaf_labels
from ..calls.run import FlatRun
from .differences import Floats, Vector

REV: Final = REVERSE_MODE
FWD: Final = FORWARD_MODE

#                        eps, rtol
PRECISIONS: Final[dict[str, tuple[float, float]]] = {
    "float64": (2.0**-52, 1e-6),
    "float32": (2.0**-23, 2e-3),
    "float16": (2.0**-10, 5e-2),
    "bfloat16": (2.0**-7, 1e-1),
}
"""What is expected of differences, by the coarsest dtype among inputs and outputs."""


# ---- between the backend's arrays and those of the host --------------------------------------------------------------


class Point:
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
            refuse_nonfinite(value, label, "choose another point")
        self.scales = [np.maximum(1.0, abs(value)) for value in self.values]
        self.coarsest = self.precision(self.primals)

    def host(self, array: Array) -> Floats:
        """Return an array as float64 or complex128 on the host; a copy."""
        wide = np.complex128 if is_complex(self.backend, array) else np.float64
        found: Floats = np.array(self.backend.to_numpy(array)).astype(wide)
        return found

    def device(self, values: Vector, like: Sequence[Array]) -> list[Array]:
        """Return arrays of the backend, of the dtypes and on the devices of others; new ones each time."""
        backend = self.backend
        return [
            backend.asarray(np.array(value), dtype=array.dtype, device=backend.device_of(array))
            for value, array in zip(values, like, strict=True)
        ]

    def precision(self, arrays: Sequence[Array]) -> str:
        """Return the name of the coarsest real dtype among those of arrays."""
        ranks = list(PRECISIONS)
        names = {"complex64": "float32", "complex128": "float64"}
        found = (self.backend.dtype_name(array.dtype) for array in arrays)
        return max((names.get(name, name) for name in found), key=ranks.index, default=ranks[0])


def refuse_nonfinite(value: Floats, label: str, mend: str) -> None:
    wrong = np.argwhere(~np.isfinite(value))
    if len(wrong):
        where = tuple(int(i) for i in wrong[0])
        raise InconclusiveCheckError(
            f"{element_label(label, where)} is {shown(value[where])}, of which there are no differences; {mend}"
        )


def shown(value: Any) -> str:
    number = complex(value)
    return repr(number) if number.imag else repr(number.real)


class Coordinate(NamedTuple):
    """A real number in a list of arrays: the real or the imaginary part of an element."""

    leaf: int
    where: tuple[int, ...]
    unit: complex

    @property
    def part(self) -> str:
        return "imaginary" if self.unit == 1j else "real"


def coordinates(like: Vector) -> list[Coordinate]:
    return [
        Coordinate(leaf, index, unit)
        for leaf, values in enumerate(like)
        for index in np.ndindex(values.shape)
        for unit in ((1.0, 1j) if values.dtype.kind == "c" else (1.0,))
    ]


def restricted(vector: Vector, to: Sequence[Coordinate]) -> list[Floats]:
    """Return a vector with zeros everywhere but at some coordinates."""
    kept = [np.zeros_like(values) for values in vector]
    for leaf, index, unit in to:
        value = vector[leaf][index]
        kept[leaf][index] += 1j * value.imag if unit == 1j else value.real
    return kept


def unit_vector(like: Vector, at: Coordinate, size: float = 1.0) -> list[Floats]:
    vector = [np.zeros_like(values) for values in like]
    vector[at.leaf][at.where] = size * at.unit
    return vector


def pairing(vector: Vector, weights: Vector) -> float:
    """Return the real part of the product without conjugation, in which cotangents and gradients are dual.

    What has the weight zero does not count, though it be no number.
    """
    with np.errstate(all="ignore"):
        pairs = zip(vector, weights, strict=True)
        return float(sum(np.sum(np.where(w == 0, 0.0, v * w)).real for v, w in pairs))


def pairing_norm(left: Vector, right: Vector) -> float:
    with np.errstate(all="ignore"):
        return math.sqrt(sum(float(np.sum(abs(a * b) ** 2)) for a, b in zip(left, right, strict=True)))


def component(vector: Vector, at: Coordinate) -> float:
    value = complex(vector[at.leaf][at.where])
    return float(value.imag if at.unit == 1j else value.real)


def weights_like(like: Vector, generator: np.random.Generator) -> list[Floats]:
    """Return what a derivative is multiplied by, to be a function again: random numbers, but one for a real number."""
    return [np.ones_like(value) for value in like] if _is_one_number(like) else random_like(like, generator)


def _is_one_number(vector: Vector) -> bool:
    return sum(value.size for value in vector) == 1 and all(value.dtype.kind == "f" for value in vector)


def random_like(like: Vector, generator: np.random.Generator) -> list[Floats]:
    """Return numbers between 1/2 and 1 with random signs, so that none is left out and none moves far."""

    def draw(shape: tuple[int, ...]) -> Floats:
        return np.asarray(generator.uniform(0.5, 1.0, shape) * generator.choice((-1.0, 1.0), shape))

    return [
        np.asarray((draw(v.shape) + 1j * draw(v.shape)) * np.sqrt(0.5) if v.dtype.kind == "c" else draw(v.shape))
        for v in like
    ]


# ---- functions, and their derivatives as functions -------------------------------------------------------------------


class ConstantOutputs:
    """The constants among the outputs of a run, which must stay what they are: their derivative is zero."""

    def __init__(self, run: FlatRun):
        self._run = run
        self._first: list[tuple[str, Any]] | None = None

    def look(self) -> None:
        """Compare the constants of the last run with those of the first."""
        output = self._run.output
        rest = zip(leaf_labels(output), output.leaves, output.is_array, strict=True)
        found = [(label, leaf) for label, leaf, is_array in rest if not is_array]
        if self._first is None:
            self._first = found
            return
        for (label, before), (_, after) in zip(self._first, found, strict=False):
            if not isinstance(before, int) and not np.array_equal(before, after, equal_nan=True):
                raise DerivativeMismatchError(
                    f"{label} is no array that is differentiated, so that its derivative is zero, and yet it changes "
                    f"with the inputs: {before!r} at the point, {after!r} beside it; compute it with the functions of "
                    f"the backend, or return it as aux data",
                    output_path=label,
                    found=0.0,
                )


class Function:
    """A flat function at a point: the user's, or a derivative of it contracted with fixed directions."""

    def __init__(
        self,
        point: Point,
        flat: FlatFunction,
        constants: ConstantOutputs | None,
        order: int,
        mode: str | None,
        labels: Callable[[], Sequence[str]],
    ):
        self.point = point
        self.flat = flat
        self.order = order
        self.mode = mode
        self._constants = constants
        backend = point.backend
        self.outputs = [backend.copy(output) for output in flat(*map(backend.copy, point.primals))[0]]
        self.labels = labels()
        self.values = [point.host(output) for output in self.outputs]
        if constants is not None:
            constants.look()
        self.coarsest = max(point.coarsest, point.precision(self.outputs), key=list(PRECISIONS).index)

    @property
    def largest(self) -> float:
        """The size of its largest value."""
        return max((float(np.max(abs(value), initial=0.0)) for value in self.values), default=0.0)

    def at(self, values: Vector) -> Vector:
        """Return its values at a point of the host."""
        flat = self.flat(*self.point.device(values, self.point.primals))[0]
        found = [self.point.host(output) for output in flat]
        if self._constants is not None:
            self._constants.look()
        shapes, before = [v.shape for v in found], [v.shape for v in self.values]
        if shapes != before:
            raise InconclusiveCheckError(
                f"the function returned arrays of shapes {before} at the point, and of {shapes} beside it; of such a "
                f"function there are no differences"
            )
        return found

    def refuse_random(self, runs: int = 1) -> None:
        """Refuse a function that gives another value when it runs at the point again, so often.

        Raises
        ------
        InconclusiveCheckError
            Naming the element that changed.
        """
        eps, _ = PRECISIONS[self.coarsest]
        for again in (self.at(self.point.values) for _ in range(runs)):
            for label, before, after in zip(self.labels, self.values, again, strict=True):
                bound = 16 * eps * float(np.max(abs(before), initial=0))
                changed = np.argwhere(~np.isclose(after, before, rtol=0, atol=bound, equal_nan=True))
                if len(changed):
                    where = tuple(int(i) for i in changed[0])
                    at = element_label(label, where)
                    raise InconclusiveCheckError(
                        f"two runs at the same point disagree: {at} is {shown(before[where])} and then "
                        f"{shown(after[where])}; the function is random, or keeps state outside of Variables. Fix "
                        f"the seed inside of it, or keep the state in a Variable"
                    )

    def pull(self) -> tuple[list[Array], Callable[[Vector], Vector], Callable[[Sequence[Vector]], list[Vector]]]:
        """Return its outputs as they are when it is differentiated by rows, and the pullback, on the host.

        Returns
        -------
        outputs, pull, pull_together
            The last pulls several cotangents back at once, as Jacobians are computed.
        """
        point = self.point
        outputs, pullback, _ = point.backend.vjp(self.flat, [point.backend.copy(p) for p in point.primals])

        def pull(cotangents: Vector) -> Vector:
            found = pullback(point.device(cotangents, self.outputs))
            return [point.host(array) for array in filled(found, point.primals, point.backend.zeros)]

        def pull_together(cotangents: Sequence[Vector]) -> list[Vector]:
            count = len(cotangents)
            batch = point.device([np.stack(rows) for rows in zip(*cotangents, strict=True)], self.outputs)
            found = filled(point.backend.pullback_rows(pullback, batch), point.primals, point.backend.zeros, (count,))
            arrays = [point.host(array) for array in found]
            return [[array[row] for array in arrays] for row in range(count)]

        return outputs, pull, pull_together

    def push(self, tangents: Vector) -> tuple[list[Array], Vector]:
        """Return its outputs as they are when it is differentiated by columns, and their tangents, on the host."""
        point = self.point
        primals = [point.backend.copy(p) for p in point.primals]
        outputs, found, _ = point.backend.jvp(self.flat, primals, point.device(tangents, point.primals))
        return outputs, [point.host(array) for array in filled(found, outputs, point.backend.zeros)]

    def derivative(self, mode: str, direction: Vector) -> Function:
        """Return its derivative along a fixed direction, as a function of the point."""
        point, backend = self.point, self.point.backend
        like = self.outputs if mode == REV else point.primals

        def gradient(*primals: Array) -> tuple[list[Array], list[Array]]:
            _, pullback, _ = backend.vjp(self.flat, primals)
            return filled(pullback(point.device(direction, like)), primals, backend.zeros), []

        def tangent(*primals: Array) -> tuple[list[Array], list[Array]]:
            outputs, tangents, _ = backend.jvp(self.flat, primals, point.device(direction, like))
            return filled(tangents, outputs, backend.zeros), []

        given, along = (self.values, "of a random sum") if mode == REV else (point.values, "in a random direction")
        random = "" if _is_one_number(given) else f", {along},"
        flat, names, of = (
            (gradient, point.labels, f"gradient{random} for")
            if mode == REV
            else (tangent, self.labels, f"tangent{random} of")
        )
        labels = [f"the {of} {name}" for name in names]
        mode_so_far = mode if self.mode is None else f"{mode} over {self.mode}"
        with blaming(self.order + 1, mode_so_far):
            return Function(point, flat, None, self.order + 1, mode_so_far, lambda: labels)


@contextlib.contextmanager
def blaming(order: int, mode: str) -> Iterator[None]:
    """Say of an error of the framework where in the check it was raised."""
    try:
        yield
    except Exception as error:
        if isinstance(error, AnyjacError) and not isinstance(error, ForwardRuleError):
            raise
        error.add_note(
            f"raised while anyjac.check_derivative computed derivative {order} in mode {mode!r}; modes= and order= say "
            f"which are computed"
        )
        raise
