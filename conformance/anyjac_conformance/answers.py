"""The answers of scenarios (arrays with dtypes, plain values, errors), and the comparison of a result with its answer.

An answer is a tree of containers whose leaves are NumPy arrays (the observed leaf must be an array of the backend,
without a trace, of that shape, dtype and value), `Array` for dtypes that NumPy lacks, or plain Python values. Truth
values stand in dicts, whose keys name them in a report. In the place of the tree there may be an error, by `Raises`, or
both, by `Either`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import numpy as np

from anyjac import Backend, float0

TOLERANCES: Final[dict[str, float]] = {
    "float64": 1e-12,
    "complex128": 1e-12,
    "float32": 2e-6,
    "complex64": 2e-6,
    "float16": 2e-3,
    "bfloat16": 2e-2,
}
"""Largest error allowed, by dtype, relative to the largest element of the answer (or to 1 where that is smaller)."""


@dataclass(frozen=True)
class Array:
    """An array of the backend, of a dtype given by name, on a device given by name (None: not looked at)."""

    values: Any
    dtype: str = "float64"
    device: str | None = None


@dataclass(frozen=True)
class Raises:
    """The scenario must raise `kind`, with a message that holds every one of `fragments`."""

    kind: type[BaseException]
    fragments: tuple[str, ...] = ()

    def __init__(self, kind: type[BaseException], *fragments: str):
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "fragments", fragments)

    def faults_of(self, error: BaseException | None) -> list[str]:
        """Return how an error differs from the expected one; no error at all is a fault too."""
        wanted = self.kind.__name__
        if error is None:
            return [f"nothing was raised, {wanted} was expected"]
        if not isinstance(error, self.kind):
            return [f"{type(error).__name__} was raised, {wanted} was expected: {error}"]
        return [f"the message lacks {part!r}: {error}" for part in self.fragments if part not in str(error)]


@dataclass(frozen=True)
class Either:
    """The scenario must raise as `refusal` says, or else give `result`: where frameworks differ in what they can."""

    refusal: Raises
    result: Any


def faults(
    backend: Backend, observed: Any, answer: Any, path: str = "result", errors: list[float] | None = None
) -> Iterator[str]:
    """Yield each difference between the observed result and the answer, with its path.

    The relative error of each array of floats is appended to `errors`.
    """
    errors = [] if errors is None else errors
    if isinstance(answer, Array):
        yield from _array_faults(backend, observed, answer, path, errors)
    elif isinstance(answer, np.ndarray) and answer.dtype == float0:
        yield from _float0_faults(observed, answer, path)
    elif isinstance(answer, np.ndarray):
        yield from _array_faults(backend, observed, Array(answer, answer.dtype.name), path, errors)
    elif type(observed) is not type(answer):
        yield f"{path} is a {type(observed).__name__} ({observed!r:.80}), not a {type(answer).__name__}"
    elif isinstance(answer, Mapping):
        yield from _mapping_faults(backend, observed, answer, path, errors)
    elif isinstance(answer, list | tuple):
        yield from _sequence_faults(backend, observed, answer, path, errors)
    elif is_dataclass(answer):
        for field in fields(answer):
            pair = getattr(observed, field.name), getattr(answer, field.name)
            yield from faults(backend, *pair, f"{path}.{field.name}", errors)
    elif isinstance(answer, float | complex):
        if not np.isclose(observed, answer, rtol=TOLERANCES["float64"], atol=0):
            yield f"{path} is {observed!r}, not {answer!r}"
    elif observed is not answer and observed != answer:
        yield f"{path} is {observed!r}, not {answer!r}"


def _mapping_faults(
    backend: Backend, observed: Any, answer: Mapping[Any, Any], path: str, errors: list[float]
) -> Iterator[str]:
    if list(observed) != list(answer):
        yield f"{path} has the keys {list(observed)}, not {list(answer)}"
        return
    for key, item in answer.items():
        yield from faults(backend, observed[key], item, f"{path}[{key!r}]", errors)


def _sequence_faults(backend: Backend, observed: Any, answer: Any, path: str, errors: list[float]) -> Iterator[str]:
    if len(observed) != len(answer):
        yield f"{path} has {len(observed)} items, not {len(answer)}"
        return
    for index, item in enumerate(answer):
        yield from faults(backend, observed[index], item, f"{path}[{index}]", errors)


def _float0_faults(observed: Any, answer: np.ndarray[Any, Any], path: str) -> Iterator[str]:
    if not isinstance(observed, np.ndarray) or observed.dtype != float0:
        yield f"{path} is {observed!r:.80}, not an array of float0"
    elif observed.shape != answer.shape:
        yield f"{path} has shape {observed.shape}, not {answer.shape}"


def _array_faults(backend: Backend, observed: Any, answer: Array, path: str, errors: list[float]) -> Iterator[str]:
    values = np.asarray(answer.values)
    if not backend.is_array(observed):
        yield f"{path} is a {type(observed).__name__} ({observed!r:.80}), not an array of {backend.name}"
    elif backend.is_traced(observed):
        yield f"{path} still belongs to a trace"
    elif tuple(observed.shape) != values.shape:
        yield f"{path} has shape {tuple(observed.shape)}, not {values.shape}"
    elif backend.dtype_name(observed.dtype) != answer.dtype:
        yield f"{path} is {backend.dtype_name(observed.dtype)}, not {answer.dtype}"
    elif answer.device not in (None, backend.device_name(backend.device_of(observed))):
        yield f"{path} is on {backend.device_name(backend.device_of(observed))}, not on {answer.device}"
    else:
        yield from _value_faults(backend.to_numpy(observed), values, TOLERANCES.get(answer.dtype, 0.0), path, errors)


def _value_faults(
    observed: np.ndarray[Any, Any], values: np.ndarray[Any, Any], tolerance: float, path: str, errors: list[float]
) -> Iterator[str]:
    if values.size == 0:
        return
    if values.dtype.kind in "biu":
        if not np.array_equal(observed, values):
            yield f"{path} is {observed.tolist()}, not {values.tolist()}"
        return
    wide = np.complex128 if values.dtype.kind == "c" else np.float64
    error = float(np.max(np.abs(observed.astype(wide) - values.astype(wide))))
    scale = max(1.0, float(np.max(np.abs(values))))
    errors.append(error / scale)
    bound = tolerance * scale
    if not error <= bound:  # also where the error is NaN
        yield f"{path} is wrong by {error:.3g}, more than {bound:.1g}: {observed.tolist()}, not {values.tolist()}"
