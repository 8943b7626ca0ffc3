"""A fixed share of the random programs, on every backend, and checks of the reference itself."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import anyjac

from .duals import KinkError
from .programs import FUNCTIONS, SIZE, Program, Step
from .runs import Problem, Way, check, expected, problems

Vector = tuple[float, ...]

POINT, STATE, NUMBERS = np.array([0.31, -0.72, 1.13]), np.array([0.2, 0.5, -0.4]), (0.7, -1.3)


def _few(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_reference_agrees_with_differences(function: str) -> None:
    count, _ = FUNCTIONS[function]
    program = Program((Step("sin", (0,), 0), Step(function, (1, 0)[:count], 1), Step("state", (2,), 0)), 1)
    here = expected(program, POINT, STATE, NUMBERS)
    step = 1e-6
    for index in range(SIZE):
        along = step * np.eye(SIZE)[index]
        up, down = (expected(program, POINT + sign * along, STATE, NUMBERS) for sign in (1, -1))
        by_state = [expected(program, POINT, STATE + sign * along, NUMBERS) for sign in (1, -1)]
        for name in here.value:
            slope = (up.value[name] - down.value[name]) / (2 * step)
            np.testing.assert_allclose(here.by_argument[name][..., index], slope, atol=1e-8)
            slope = (by_state[0].value[name] - by_state[1].value[name]) / (2 * step)
            np.testing.assert_allclose(here.by_state[name][..., index], slope, atol=1e-8)
        bend = (up.by_argument["number"] - down.by_argument["number"]) / (2 * step)
        np.testing.assert_allclose(here.curvature[index], bend, atol=1e-7)


@pytest.mark.parametrize(
    ("function", "point", "state"),
    [
        ("greater of two", (0.3, 0.3, 0.9), (0.3, 0.4, 0.5)),
        ("greatest", (0.3, 0.9, 0.9), (0.3, 0.4, 0.5)),
        ("sorted", (0.3, 0.9, 0.3), (0.3, 0.4, 0.5)),
        ("abs", (0.3, 0.0, 0.9), (0.3, 0.4, 0.5)),
        ("branch", (0.3, 0.1, 0.9), (0.3, 0.4, 0.5)),
    ],
)
def test_the_reference_refuses_points_on_kinks(function: str, point: Vector, state: Vector) -> None:
    count, _ = FUNCTIONS[function]
    steps = (Step("state", (0,), 0), Step("rolled", (0,), 0), Step(function, (0, 2)[:count], 1))
    with pytest.raises(KinkError):
        expected(Program(steps, 0), np.array(point), np.array(state), NUMBERS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_right_on_every_backend(backend: anyjac.Backend, function: str) -> None:
    count, _ = FUNCTIONS[function]
    program = Program((Step("sin", (0,), 0), Step(function, (1, 0)[:count], 1), Step("state", (2,), 0)), 1)
    for transform in ("jacrev", "jacfwd", "hessian"):
        check(Problem(program, tuple(POINT), tuple(STATE), (NUMBERS, NUMBERS), Way(transform, False, None, 1)), backend)


@given(problem=problems(compiled=False))
@_few(60)
def test_random_programs_are_right(backend: anyjac.Backend, problem: Problem) -> None:
    check(problem, backend)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["jax", "torch"])
@given(problem=problems(compiled=True))
@_few(12)
def test_compiled_random_programs_are_right(name: str, problem: Problem) -> None:
    check(problem, anyjac.get_backend(name))
