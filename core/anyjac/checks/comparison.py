"""A derivative held against finite differences: along a direction, and where the two differ, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from anyjac_plugins import Array
from anyjac_plugins.errors import AnyjacError, DerivativeMismatchError, InconclusiveCheckError

from ..calls.labels import element_label
from .differences import Difference, Differences, Floats, Vector
from .point import (
    FWD,
    PRECISIONS,
    REV,
    Coordinate,
    Function,
    blaming,
    component,
    coordinates,
    pairing,
    pairing_norm,
    restricted,
    shown,
    unit_vector,
)

AT_ONCE: Final = 64
"""Up to how many elements each is looked at by itself, to find the worst; more are first narrowed down by halves."""
RUNS_BEFORE_BLAME: Final = 8
"""How often a function is run again at the point before its derivative is called wrong, lest it be random."""


class Attempts:
    """Differences from one step after the other, computed when they are asked for, once."""

    def __init__(self, source: Iterator[Difference]):
        self._source = source
        self._found: list[Difference] = []

    def __iter__(self) -> Iterator[Difference]:
        yield from self._found
        for found in self._source:
            self._found.append(found)
            yield found


class Comparison:
    """The derivative of one function, held against its differences."""

    def __init__(
        self,
        function: Function,
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
        self.differences = Differences(function.at, self._point.values, function.values, eps, step, floor)
        self._pullback: Callable[[Vector], Vector] | None = None

    def name(self, mode: str) -> str:
        """Return how messages call a mode of this function's derivative."""
        return mode if self.function.mode is None else f"{mode} over {self.function.mode}"

    # ---- along one direction ---------------------------------------------------------------------------------------

    def along(self, mode: str, direction: Vector, weights: Vector, attempts: Attempts) -> tuple[float, float]:
        """Compare along a direction; return the deviation, absolute and as a part of the allowed one.

        Raises
        ------
        DerivativeMismatchError, InconclusiveCheckError
            Naming the worst element.
        """
        with blaming(self.function.order + 1, self.name(mode)):
            judge = self._judge(mode, direction, weights)
        least: Vector = []
        for found in attempts:
            off, used = judge(found)
            least = [np.minimum(a, b) for a, b in zip(least, used, strict=True)] if least else used
            if all(np.all(part <= 1) for part in least):
                return _largest(off), _largest(least)
        self.function.refuse_random(RUNS_BEFORE_BLAME)
        raise self._explained(mode, direction, weights)

    def _judge(self, mode: str, direction: Vector, weights: Vector) -> Callable[[Difference], tuple[Vector, Vector]]:
        """Return a function that gives the deviation from a difference, absolute and as a part of the allowed one."""
        if mode == FWD:
            pushed = self._push(direction)
            return lambda found: self._by_element(pushed, found)
        product = pairing(self._pull(weights), direction)
        return lambda found: self._of_product(product, weights, found)

    def _pull(self, cotangents: Vector) -> Vector:
        if self._pullback is None:
            outputs, self._pullback, together = self.function.pull()
            self._compare_values(REV, outputs)
            self._compare_rows(together, cotangents)
        return self._complex_linear(self._pullback, cotangents)

    def _compare_rows(self, pull_together: Callable[[Sequence[Vector]], list[Vector]], cotangents: Vector) -> None:
        """Refuse rows that depend on how many are computed at once, as in Jacobians they are."""
        assert self._pullback is not None
        faded = [each * np.cos(np.arange(each.size)).reshape(each.shape) for each in cotangents]
        rows = [cotangents, faded, [-each for each in cotangents]]
        for number, (row, found) in enumerate(zip(rows, pull_together(rows), strict=True)):
            for label, mine, alone in zip(self._point.labels, found, self._pullback(row), strict=True):
                bound = self._atol + self._rtol * float(np.max(abs(alone), initial=0.0))
                with np.errstate(all="ignore"):
                    near = (abs(mine - alone) <= bound) | (mine == alone) | (np.isnan(mine) & np.isnan(alone))
                wrong = np.argwhere(~near)
                if len(wrong):
                    where = tuple(int(i) for i in wrong[0])
                    raise DerivativeMismatchError(
                        f"derivative {self.function.order + 1} in mode {self.name(REV)!r} depends on how many rows are "
                        f"computed at once: by {element_label(label, where)} it is {shown(mine[where])} in row "
                        f"{number} of a batch, and {shown(alone[where])} alone; chunk_size=1 computes rows alone",
                        order=self.function.order + 1,
                        mode=self.name(REV),
                        input_path=label,
                        input_index=where,
                        found=_scalar(mine[where]),
                        expected=_scalar(alone[where]),
                    )

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
                self.function.refuse_random(RUNS_BEFORE_BLAME)
                where = tuple(int(i) for i in wrong[0])
                both = (value[where], plain[where]) if value.shape == plain.shape else (value.shape, plain.shape)
                raise DerivativeMismatchError(
                    f"{element_label(label, where)} is {both[1]} in a plain run, and {both[0]} when the function is "
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

    def _by_element(self, pushed: Vector, found: Difference) -> tuple[Vector, Vector]:
        """Compare element by element."""
        deviations: list[Floats] = []
        used: list[Floats] = []
        for derivative, value, noise in zip(pushed, found.values, found.noise, strict=True):
            with np.errstate(all="ignore"):
                off = abs(derivative - value)
                deviations.append(off)
                used.append(_part_of(off, self._allowed(np.maximum(abs(derivative), abs(value)), noise)))
        return deviations, used

    def _of_product(self, product: float, weights: Vector, found: Difference) -> tuple[Vector, Vector]:
        """Compare the products of both with one cotangent."""
        expected = pairing(found.values, weights)
        off = np.asarray(abs(product - expected))
        size, noise = (pairing_norm(weights, vector) for vector in (found.values, found.noise))
        return [off], [_part_of(off, self._allowed(max(size, abs(product)), noise))]

    # ---- the worst element ------------------------------------------------------------------------------------------

    def _explained(self, mode: str, direction: Vector, weights: Vector) -> AnyjacError:
        """Return the error that says at which elements, and with which numbers, the two differ."""
        inputs = self._narrowed(
            coordinates(self._point.values), lambda some: self._off(mode, restricted(direction, some), weights)
        )
        outputs = coordinates(self.function.values)
        if mode == REV:
            part = restricted(direction, inputs)
            found = self.differences.best(part)
            outputs = self._narrowed(outputs, lambda some: self._of_product_of(restricted(weights, some), part, found))
        worst: _Element | None = None
        columns = [self._column(mode, at) for at in inputs]
        rows = {o: self._pull(_row_seed(self.function.values, o)) for o in outputs} if mode == REV else {}
        for column in columns:
            for o in outputs:
                derivative = (
                    pairing(rows[o], unit_vector(self._point.values, column.at)) if mode == REV else column.pushed(o)
                )
                each = _Element(o, column, derivative)
                if worst is None or each.rank(self._allowed) > worst.rank(self._allowed):
                    worst = each
        assert worst is not None  # something deviated, so there are inputs and outputs
        return self._error(mode, worst)

    def _narrowed(self, candidates: list[Coordinate], off: Callable[[Sequence[Coordinate]], float]) -> list[Coordinate]:
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
        off = abs(pairing(self._pull(weights), direction) - pairing(found.values, weights))
        return math.inf if math.isnan(off) else off

    def _column(self, mode: str, at: Coordinate) -> _Column:
        scale = float(self._point.scales[at.leaf][at.where])
        direction = unit_vector(self._point.values, at, scale)
        pushed = self._push(unit_vector(self._point.values, at)) if mode == FWD else None
        return _Column(at, scale, direction, self.differences.best(direction), pushed)

    def _error(self, mode: str, worst: _Element) -> AnyjacError:
        output, at, name = worst.output, worst.column.at, self.name(mode)
        order = self.function.order + 1
        output_path, input_path = self.function.labels[output.leaf], self._point.labels[at.leaf]
        of, to = (
            (f"the {coordinate.part} part of " if is_complex else "") + element_label(label, coordinate.where)
            for coordinate, label, is_complex in (
                (output, output_path, self.function.values[output.leaf].dtype.kind == "c"),
                (at, input_path, self._point.values[at.leaf].dtype.kind == "c"),
            )
        )
        where = f"derivative {order} in mode {name!r} of {of} with respect to {to}"
        both = f"is {worst.derivative:.9g}, and finite differences give {worst.difference:.9g}"
        if not math.isfinite(worst.difference):
            return InconclusiveCheckError(
                f"{where} cannot be checked: next to the point, at steps from {self.differences.step:.1g} down to "
                f"{self.differences.steps()[-1]:.1g}, the function overflows or is not defined{self._raised()}; choose "
                f"another point, or a smaller step="
            )
        size = max(abs(worst.derivative), abs(worst.difference))
        if abs(worst.derivative - worst.difference) <= float(self._allowed(size, worst.noise)):
            return InconclusiveCheckError(
                f"derivative {order} in mode {name!r} differs from finite differences along a random direction, and at "
                f"no element by itself: next to the point the function bends sharply, or is rough; choose another "
                f"point, set step=, or allow more with rtol="
            )
        off = abs(worst.derivative - worst.difference)
        bends = component(self.differences.bends(worst.column.direction), output) / worst.column.scale
        allowed = float(self._allowed(abs(worst.difference), 0.0))
        kink = bends > max(allowed, 10 * worst.uncertainty)
        differ = f"the slopes on both sides differ by {bends:.3g}, as at a kink" if kink else ""
        if kink and off <= bends / 2 + allowed:
            return InconclusiveCheckError(
                f"{where} {both}; {differ}, and the derivative is between them, or one of them: choose another point"
            )
        mend = "set step=, or allow more with atol= or rtol="
        if worst.uncertainty > off / 2:
            return InconclusiveCheckError(
                f"{where} {both}, which is known to {worst.uncertainty:.1g} only, by the rounding or the roughness of "
                f"the function; {mend}"
            )
        ladder = self.differences.ladder(
            worst.column.direction,
            lambda values: component(values, output) / worst.column.scale,
            float(np.max(abs(self.function.values[output.leaf]))) / worst.column.scale,
        )
        if not ladder.refutes(worst.derivative):
            low, high = ladder.extent()
            return InconclusiveCheckError(
                f"{where} is {worst.derivative:.9g}, and finite differences are between {low:.4g} and {high:.4g}, by "
                f"their step: next to the point the function bends sharply, or is rough; choose another point, {mend}"
            )
        return DerivativeMismatchError(
            f"{where} {both}"
            + (f"; {differ}" if kink else "")
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

    def _raised(self) -> str:
        error = self.differences.raised
        return "" if error is None else f" (it raised {type(error).__name__}: {error})"

    def _promised_in_vain(self, worst: _Element) -> bool:
        """Return whether an output and an input are complex, and the differences fit no complex derivative."""
        output, at = worst.output, worst.column.at
        if self.function.order or self.function.values[output.leaf].dtype.kind != "c":
            return False
        along = [
            self.differences.best(
                unit_vector(self._point.values, Coordinate(at.leaf, at.where, unit), worst.column.scale)
            )
            for unit in (1.0, 1j)
        ]
        real, imaginary = (found.values[output.leaf][output.where] / worst.column.scale for found in along)
        return bool(abs(imaginary - 1j * real) > self._allowed(abs(real), 0.0))


def _row_seed(like: Vector, output: Coordinate) -> Vector:
    """Return the cotangent whose product with an output is that coordinate: -i for an imaginary part."""
    return unit_vector(like, output._replace(unit=-1j if output.unit == 1j else 1.0))


def _part_of(off: Floats, allowed: Any) -> Floats:
    """Return what part of an allowed deviation a deviation is; infinity where it is more, or is no number."""
    with np.errstate(all="ignore"):
        return np.where(off == 0, 0.0, np.where(off <= allowed, off / allowed, np.inf))


def _largest(parts: Vector) -> float:
    return max((float(np.max(part, initial=0.0)) for part in parts), default=0.0)


def _excess(off: Floats) -> Floats:
    return np.where(np.isnan(off), np.inf, off)


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else None


@dataclass(frozen=True)
class _Column:
    """The differences along one element of an input, and in forward mode the derivative along that element."""

    at: Coordinate
    scale: float
    direction: Vector
    found: Difference
    tangents: Vector | None

    def pushed(self, output: Coordinate) -> float:
        assert self.tangents is not None
        return component(self.tangents, output)


class _Element:
    """One element of a Jacobian: the derivative, and the difference beside it."""

    def __init__(self, output: Coordinate, column: _Column, derivative: float):
        self.output = output
        self.column = column
        self.derivative = derivative
        self.difference = component(column.found.values, output) / column.scale
        self.noise = float(column.found.noise[output.leaf][output.where]) / column.scale
        self.uncertainty = float(column.found.uncertainty[output.leaf][output.where]) / column.scale

    def rank(self, allowed: Callable[[Any, Any], Any]) -> tuple[bool, bool, float]:
        """Return by what elements are compared for the worst: whether more than allowed, known, and how much."""
        off = abs(self.derivative - self.difference)
        known = math.isfinite(self.difference)
        if math.isnan(off):
            return True, known, math.inf
        return off > float(allowed(max(abs(self.derivative), abs(self.difference)), self.noise)), known, off
