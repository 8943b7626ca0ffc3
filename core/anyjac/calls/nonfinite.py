"""``debug_nan=True``: the first of inputs, outputs and derivatives that is NaN or infinite, and where it comes from.

Looks at what a call has computed anyhow. Only when there is something to report the function runs once more, for the
backend to find the operator; its writes are forgotten with those of the call.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anyjac_plugins import Array, Backend, FunctionRun, LinearMap, LinearMapCall
from anyjac_plugins.backend.types import FORWARD_MODE
from anyjac_plugins.errors import NonFiniteError

from ..trees.structure import flatten
from .containers import opener_of
from .labels import array_labels, element_label, leaf_labels

if TYPE_CHECKING:
    from ..state.scope import Scope
    from .inputs import Inputs
    from .run import FlatRun
    from .settings import Settings

Index = tuple[int, ...]

WAY = (
    "; the output itself is finite: change the argument by where before the function that has no derivative there, "
    "and its result after it, as the page 'Where derivatives are not finite' of the documentation shows"
)
"""What a user can do about a derivative that is not finite."""

MapOrigin = Callable[[int, Index, bool], "str | None"]
"""Tells where in a linear map an element of one of its results comes from; the flag says whether it is NaN."""


def refuse_inputs(backend: Backend, settings: Settings, inputs: Inputs) -> None:
    """Refuse differentiated inputs that are not finite.

    Raises
    ------
    NonFiniteError
        Naming the argument or Variable, and the element.
    """
    for number, primal in enumerate(inputs.primals):
        found = first_nonfinite(backend, primal)
        if found is not None:
            where = element_label(inputs.labels(settings)[number], found[0])
            raise NonFiniteError(f"{where} is {found[1]}, before anything is computed", place=where, value=found[1])


class Look:
    """One run of a function, whose results are looked at.

    Parameters
    ----------
    scope, settings, inputs, run
        Those of the call.
    """

    def __init__(self, scope: Scope, settings: Settings, inputs: Inputs, run: FlatRun):
        self._scope = scope
        self._backend = scope.backend
        self._settings = settings
        self._inputs = inputs
        self._run = run

    def at_outputs(self, outputs: Sequence[Array]) -> None:
        """Refuse outputs that are not finite.

        Raises
        ------
        NonFiniteError
            Naming the output, the element and, where the backend knows it, the operator.
        """
        carried = self._run.output
        remaining = iter(enumerate(outputs))
        for index, (leaf, is_array) in enumerate(zip(carried.leaves, carried.is_array, strict=True)):
            number, output = next(remaining) if is_array else (None, leaf)
            found = first_nonfinite(self._backend, output)
            if found is not None:
                origin = _unknown if number is None else self._origin(number=number, index=found[0])
                raise self._error(element_label(leaf_labels(carried)[index], found[0]), found[1], origin)

    def at_blocks(
        self, outputs: Sequence[Array], blocks: Sequence[Sequence[Array]], mode: str, *, summed: bool = False
    ) -> None:
        """Refuse outputs, and then blocks of derivatives, that are not finite.

        Parameters
        ----------
        summed
            Whether there is one row for all outputs together.

        Raises
        ------
        NonFiniteError
            Naming the elements of output and input.
        """
        self.at_outputs(outputs)
        for number, row in enumerate(blocks):
            for primal, block in enumerate(row):
                found = first_nonfinite(self._backend, block)
                if found is not None:
                    self._refuse_block(outputs, number, primal, found, mode, summed=summed)

    def at_tangents(self, outputs: Sequence[Array], tangents: Sequence[Array | None], given: Sequence[Any]) -> None:
        """Refuse outputs, and then their tangents, that are not finite; `given` are the tangents of the primals.

        Raises
        ------
        NonFiniteError
            Naming the output and the element.
        """
        refuse_vectors(self._backend, given, self._inputs.labels(self._settings), "tangent of")
        self.at_outputs(outputs)
        for number, tangent in enumerate(tangents):
            found = None if tangent is None else first_nonfinite(self._backend, tangent)
            if found is not None:
                where = f"the tangent of {element_label(array_labels(self._run.output)[number], found[0])}"
                raise self._error(where, found[1], self._origin(number=number, index=found[0], tangents=given), WAY)

    def _refuse_block(
        self,
        outputs: Sequence[Array],
        number: int,
        primal: int,
        found: tuple[Index, str],
        mode: str,
        *,
        summed: bool,
    ) -> None:
        index, value = found
        rank = 0 if summed else len(outputs[number].shape)
        label = (
            "the sum of the output" if summed else element_label(array_labels(self._run.output)[number], index[:rank])
        )
        to = element_label(self._inputs.labels(self._settings)[primal], index[rank:])
        backend = self._backend
        if mode == FORWARD_MODE:
            tangents: list[Array | None] = [None] * len(self._inputs.primals)
            tangents[primal] = one_hot(backend, self._inputs.primals[primal], index[rank:])
            origin = self._origin(number=number, index=index[:rank], tangents=tangents)
        else:
            cotangents = [backend.zeros(output.shape, output) + 1 if summed else None for output in outputs]
            if not summed:
                cotangents[number] = one_hot(backend, outputs[number], index[:rank])
            origin = self._origin(number=primal, index=index[rank:], cotangents=cotangents)
        raise self._error(f"the derivative of {label} with respect to {to}", value, origin, WAY)

    def _error(self, where: str, value: str, origin: Callable[[bool], str | None], way: str = "") -> NonFiniteError:
        others = "".join(f"; {each}" for each in self._others())
        return error_at(where, value, origin("nan" in value), others + way)

    def _origin(self, *, number: int, index: Index, **vectors: Any) -> Callable[[bool], str | None]:
        """Return what asks the backend, which runs the function once more, for where a number comes from."""
        run = FunctionRun(self._run, self._inputs.primals, **vectors)

        def ask(nan: bool) -> str | None:
            # The function runs once more, and may raise anything; the NonFiniteError is raised in any case.
            with contextlib.suppress(Exception):
                return self._backend.find_nonfinite(run, number=number, index=index, nan=nan)
            return None

        return ask

    def _others(self) -> Iterator[str]:
        """Yield what is known of arguments and Variables that are not differentiated and are not finite."""
        differentiated = {id(variable) for variable, _ in self._inputs.variables}
        read = self._scope.read_besides([])
        for label, value in (
            *self._run.undifferentiated(),
            *((v.label(), self._scope.value_at_entry(v)) for v in read if id(v) not in differentiated),
        ):
            leaves, tree = flatten(value, opener_of(self._backend))
            for leaf, path in zip(leaves, tree.paths(), strict=True):
                found = None
                # Of anything, such as a key of random numbers; the NonFiniteError is raised in any case.
                with contextlib.suppress(Exception):
                    found = first_nonfinite(self._backend, leaf)
                if found is not None:
                    yield f"{element_label(label + path, found[0])}, which is not differentiated, is {found[1]}"


def refuse_vectors(
    backend: Backend, arrays: Sequence[Array | None], labels: Sequence[str], what: str, origin: MapOrigin | None = None
) -> None:
    """Refuse tangents, cotangents or gradients that are not finite.

    Parameters
    ----------
    what
        What they are, as in ``"gradient for"``.
    origin
        Tells where those that a linear map has computed come from.

    Raises
    ------
    NonFiniteError
        Naming the array, the element and, where the backend knows it, the operator.
    """
    for number, (array, label) in enumerate(zip(arrays, labels, strict=True)):
        found = None if array is None else first_nonfinite(backend, array)
        if found is not None:
            phrase = origin(number, found[0], "nan" in found[1]) if origin is not None else None
            way = WAY if origin is not None else ""
            raise error_at(f"the {what} {element_label(label, found[0])}", found[1], phrase, way)


def origin_in_map(backend: Backend, linear_map: LinearMap, vectors: Sequence[Array | None]) -> MapOrigin:
    """Return what asks the backend where in a linear map a number comes from."""

    def ask(number: int, index: Index, nan: bool) -> str | None:
        # A user's rule runs once more, and may raise anything; the NonFiniteError is raised in any case.
        with contextlib.suppress(Exception):
            return backend.find_nonfinite(LinearMapCall(linear_map, vectors), number=number, index=index, nan=nan)
        return None

    return ask


def error_at(where: str, value: str, phrase: str | None, others: str = "") -> NonFiniteError:
    """Return the error for a number that is not finite; the phrase names the operator where it first appears."""
    came = f"; it first appears in {phrase}" if phrase else ""
    return NonFiniteError(f"{where} is {value}{came}{others}", place=where, value=value, operator=phrase)


def refuse_host_vectors(batches: Sequence[np.ndarray[Any, Any] | None], labels: Sequence[str], what: str) -> None:
    """Refuse vectors on the host that are not finite; their first axis counts them, and is not named.

    Raises
    ------
    NonFiniteError
        Naming the array and the element.
    """
    for batch, label in zip(batches, labels, strict=True):
        found = None if batch is None else _first_on_host(batch)
        if found is not None:
            raise error_at(f"the {what} {element_label(label, found[0][1:])}", found[1], None)


def _unknown(nan: bool) -> None:
    """Say nothing of where a number comes from."""


def first_nonfinite(backend: Backend, array: Any) -> tuple[Index, str] | None:
    """Return index and text of the first element that is not finite; None where there is none, or no number at all."""
    if isinstance(array, (float, complex)):
        return None if np.isfinite(array) else ((), str(array))
    if isinstance(array, np.ndarray) and array.dtype.kind in "fc":
        return _first_on_host(array)
    array = backend.concrete(array) if backend.is_array(array) else None
    if array is None or "floating" not in backend.dtype_kind(array.dtype) or not math.prod(array.shape):
        return None
    xp = backend.namespace
    if bool(xp.all(xp.isfinite(array))):
        return None
    host = backend.to_numpy(array)
    return _first_on_host(host if host.dtype.kind in "fc" else host.astype(np.float64))


def _first_on_host(host: np.ndarray[Any, Any]) -> tuple[Index, str] | None:
    wrong = np.argwhere(~np.isfinite(host))
    if not len(wrong):
        return None
    index = tuple(int(i) for i in wrong[0])
    return index, str(host[index])


def one_hot(backend: Backend, like: Array, index: Index) -> Array:
    """Return zeros in the form of an array, with a one at an index."""
    flat = int(np.ravel_multi_index(index, like.shape)) if index else 0
    return backend.seeds(like, flat, flat + 1)[0, ...]
