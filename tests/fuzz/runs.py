"""A random program under a random transform, call after call, against the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import hypothesis.strategies as st
import numpy as np
from hypothesis import reject
from tests.helpers.open_calls import assert_nothing_open
from tests.helpers.threads import run_in_threads

import anyjac
from anyjac import Backend, Variable

from .duals import Dual, KinkError, Namespace, with_element
from .programs import SIZE, Program, programs, run

TINY: Final = 1e-30
"""The imaginary step of second derivatives, of which no digit is lost."""

CLOSE: Final = 1e-8
"""How far results may be apart, relative to their size or to one."""


@dataclass(frozen=True)
class Way:
    """How a program is differentiated."""

    transform: str
    compiled: bool
    chunk_size: int | None
    threads: int


@dataclass(frozen=True)
class Problem:
    """A program, where it is differentiated, and how; `numbers` has what the program closes over in each call."""

    program: Program
    point: tuple[float, ...]
    state: tuple[float, ...]
    numbers: tuple[tuple[float, ...], ...]
    way: Way


def problems(*, compiled: bool) -> st.SearchStrategy[Problem]:
    """Generate problems; compiled functions keep the numbers with which they were compiled."""
    number = st.integers(-20, 20).map(lambda n: 1.5 * math.sin(1.7 * n + 0.3))
    vector = st.lists(number, min_size=SIZE, max_size=SIZE, unique=True).map(tuple)
    numbers = st.tuples(number, number)
    calls = numbers.map(lambda same: (same, same)) if compiled else st.tuples(numbers, numbers)
    transforms = ["jacrev", "jacfwd", "grad", "hessian"]
    ways = st.builds(
        Way,
        st.sampled_from(transforms),
        st.just(compiled),
        st.sampled_from([None, 1, 2]),
        st.just(1) if compiled else st.sampled_from([1, 1, 2]),
    )
    return st.builds(Problem, programs(), vector, vector, calls, ways)


# ---- the reference ---------------------------------------------------------------------------------------------------


class DualMachine:
    """Runs programs on duals."""

    def __init__(self, state: Dual, numbers: Sequence[float]):
        self.xp = Namespace()
        self.state = state
        self.numbers = numbers

    def read(self) -> Dual:
        return self.state

    def write(self, value: Dual) -> None:
        self.state = value

    def add(self, value: Dual) -> None:
        self.state = self.state + value

    def write_element(self, index: int, value: Dual) -> None:
        self.state = with_element(self.state, index, value, added=False)

    def with_element(self, x: Dual, index: int, value: Dual, *, added: bool) -> Dual:
        return with_element(x, index, value, added=added)

    def indices(self, positions: Sequence[int]) -> Any:
        return np.asarray(positions)


@dataclass
class Expected:
    """What one call gives: value, derivatives by argument and state, and the state afterwards."""

    value: dict[str, Any]
    by_argument: dict[str, Any]
    by_state: dict[str, Any]
    curvature: Any
    state: Any


def expected(program: Program, point: Any, state: Any, numbers: Sequence[float]) -> Expected:
    """Compute what one call gives, by the reference."""
    results, after = _run_on_duals(program, point, state, numbers)
    by = {name: np.moveaxis(result.tangent, 0, -1) for name, result in results.items()}
    curvature = []
    for direction in np.eye(SIZE):
        stepped, _ = _run_on_duals(program, point + 1j * TINY * direction, state + 0j, numbers)
        curvature.append(stepped["number"].tangent[:SIZE].imag / TINY)
    return Expected(
        {name: result.value for name, result in results.items()},
        {name: block[..., :SIZE] for name, block in by.items()},
        {name: block[..., SIZE:] for name, block in by.items()},
        np.stack(curvature),
        after,
    )


def _run_on_duals(program: Program, point: Any, state: Any, numbers: Sequence[float]) -> tuple[dict[str, Dual], Any]:
    directions = np.eye(2 * SIZE, dtype=point.dtype)
    machine = DualMachine(Dual(state, directions[:, SIZE:]), numbers)
    results = run(program, machine, Dual(point, directions[:, :SIZE]))
    return results, machine.state.value


# ---- on a backend ----------------------------------------------------------------------------------------------------


class Model:
    """Runs programs on a backend, with a Variable for the state."""

    def __init__(self, backend: Backend, problem: Problem):
        self.program = problem.program
        self.backend = backend
        self.v = Variable(backend.asarray(np.asarray(problem.state)), backend=backend, name="v")
        self.numbers = problem.numbers[0]
        self.xp: Any = None

    def __call__(self, x: Any) -> Any:
        self.xp = anyjac.array_namespace(x)
        return run(self.program, self, x)

    def number(self, x: Any) -> Any:
        return self(x)["number"]

    def read(self) -> Any:
        return self.v.value

    def write(self, value: Any) -> None:
        self.v.value = value

    def add(self, value: Any) -> None:
        self.v += value

    def write_element(self, index: int, value: Any) -> None:
        self.v[index] = value

    def with_element(self, x: Any, index: int, value: Any, *, added: bool) -> Any:
        at = anyjac.at(x)[index]
        return at.add(value) if added else at.set(value)

    def indices(self, positions: Sequence[int]) -> Any:
        return self.backend.asarray(np.asarray(positions))


def _all_of(transform: Callable[..., Any], model: Model, way: Way) -> Callable[[Any], dict[str, Any]]:
    """Return a function for a Jacobian of all results by argument and state."""
    compute = _compiled(transform(model, {"v": model.v}, 0, return_value=True, chunk_size=way.chunk_size), way)

    def call(x: Any) -> dict[str, Any]:
        (by_state, by_argument), value = compute(x)
        return {
            "value": value,
            "by_argument": by_argument,
            "by_state": {name: blocks["v"] for name, blocks in by_state.items()},
        }

    return call


def _gradient(model: Model, way: Way) -> Callable[[Any], dict[str, Any]]:
    compute = _compiled(anyjac.grad(model.number, {"v": model.v}, 0, return_value=True), way)

    def call(x: Any) -> dict[str, Any]:
        (by_state, by_argument), value = compute(x)
        return {
            "value": {"number": value},
            "by_argument": {"number": by_argument},
            "by_state": {"number": by_state["v"]},
        }

    return call


def _curvature(model: Model, way: Way) -> Callable[[Any], dict[str, Any]]:
    compute = _compiled(anyjac.hessian(model.number, chunk_size=way.chunk_size), way)
    return lambda x: {"curvature": compute(x)}


def _compiled(transform: Callable[..., Any], way: Way) -> Callable[..., Any]:
    return anyjac.jit(transform) if way.compiled else transform


TRANSFORMS: Final[dict[str, Callable[[Model, Way], Callable[[Any], dict[str, Any]]]]] = {
    "jacrev": lambda model, way: _all_of(anyjac.jacrev, model, way),
    "jacfwd": lambda model, way: _all_of(anyjac.jacfwd, model, way),
    "grad": _gradient,
    "hessian": _curvature,
}


def check(problem: Problem, backend: Backend) -> None:
    """Call a transform of a program some times, in threads perhaps, and compare everything that comes back.

    Programs that have no derivative at their point are passed over.
    """
    try:
        wanted = _expected_calls(problem)
    except KinkError:
        reject()
    works = [lambda: _check_calls(problem, wanted, backend)] * problem.way.threads
    if len(works) == 1:
        works[0]()
    else:
        run_in_threads(works)


def _expected_calls(problem: Problem) -> list[tuple[Any, Expected]]:
    """Return the point of each call, and what the call gives."""
    state, found = np.asarray(problem.state), []
    for number, numbers in enumerate(problem.numbers):
        point = np.asarray(problem.point) + 0.01 * number
        found.append((point, expected(problem.program, point, state, numbers)))
        state = found[-1][1].state
    return found


def _check_calls(problem: Problem, calls: Sequence[tuple[Any, Expected]], backend: Backend) -> None:
    model = Model(backend, problem)
    call = TRANSFORMS[problem.way.transform](model, problem.way)
    for number, (numbers, (point, wanted)) in enumerate(zip(problem.numbers, calls, strict=True)):
        model.numbers = numbers
        found = call(backend.asarray(point))
        for kind, blocks in found.items():
            _compare(backend, f"call {number}: {kind}", blocks, getattr(wanted, kind))
        _compare(backend, f"call {number}: the state", model.v.value, wanted.state)
    assert_nothing_open(model.v)


def _compare(backend: Backend, what: str, found: Any, wanted: Any) -> None:
    if isinstance(found, dict):
        for name, block in found.items():
            _compare(backend, f"{what} of {name}", block, wanted[name])
        return
    assert backend.is_array(found), f"{what} is {found!r}"
    assert not backend.is_traced(found), f"{what} is traced"
    host = backend.to_numpy(found)
    assert host.dtype == np.float64, f"{what} has dtype {host.dtype}"
    np.testing.assert_allclose(host, wanted, rtol=CLOSE, atol=CLOSE, err_msg=what)
