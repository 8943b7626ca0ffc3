"""Loops and branches beyond the scenarios: transforms around and inside, random bodies, runs, errors and threads."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.arrays import made
from tests.helpers.open_calls import assert_nothing_open
from tests.helpers.threads import run_in_threads

import anyjac
from anyjac import Backend, OutputError, TracerLeakError, Variable, VariableWriteError, grad

NAMES = ("autograd", "jax", "torch")
ROWS = [1.0, 2.0, 4.0]


def numbers(array: Any) -> list[Any]:
    """Return an array of any backend as a list."""
    found: list[Any] = np.asarray(array).tolist()
    return found


# ---- every transform around and inside -----------------------------------------------------------------------------

# The function is x -> sum of (x r)^2 over the rows r, or x^2 times the sum of their squares, 21.
TRANSFORMS: dict[str, tuple[Any, Any]] = {
    "grad": (lambda f, x: grad(f)(x), 84.0),
    "value_and_grad": (lambda f, x: anyjac.value_and_grad(f)(x)[1], 84.0),
    "vector_grad": (lambda f, x: anyjac.vector_grad(f)(x), 84.0),
    "derivative": (lambda f, x: anyjac.derivative(f)(x), 84.0),
    "jacrev": (lambda f, x: anyjac.jacrev(f)(x), 84.0),
    "jacfwd": (lambda f, x: anyjac.jacfwd(f)(x), 84.0),
    "jacobian": (lambda f, x: anyjac.jacobian(f)(x), 84.0),
    "hessian": (lambda f, x: anyjac.hessian(f)(x), 42.0),
    "hvp": (lambda f, x: anyjac.hvp(f)(x * 0 + 1.0, x), 42.0),
    "vjp": (lambda f, x: anyjac.vjp(f)(x)(x * 0 + 1.0), 84.0),
    "jvp": (lambda f, x: anyjac.jvp(f)(x * 0 + 1.0, x), 84.0),
    "linearize": (lambda f, x: anyjac.linearize(f)(x)(x * 0 + 1.0), 84.0),
    "rows": (lambda f, x: next(iter(anyjac.jacrev(f).rows(x))).block[0], 84.0),
    "vmap": (lambda f, x: anyjac.vmap(f)(x[None])[0], 84.0),
    "jit": (lambda f, x: anyjac.jit(grad(f))(x), 84.0),
}
"""Each transform, and what it gives of the function at 2."""


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_go_around_loops_and_into_them(backend: Backend, array: Any, name: str) -> None:
    transform, expected = TRANSFORMS[name]

    def f(x: Any) -> Any:
        total = Variable(x * 0)

        def step(row: Any) -> None:
            total.value = total + (x * row) ** 2

        anyjac.for_loop(step, array(ROWS))
        return total.value

    assert float(np.asarray(transform(f, array(2.0)))) == expected
    inside = anyjac.for_loop(lambda x: transform(f, x), array([1.0, 2.0]))
    at_one = expected if name in ("hessian", "hvp") else expected / 4 if name == "vmap" else expected / 2
    np.testing.assert_allclose(np.asarray(inside).ravel(), [at_one, expected])


def test_check_derivative_goes_around_a_loop(backend: Backend, array: Any) -> None:
    w = Variable(array(0.5))
    loss = lambda x: anyjac.scan(lambda s, r: (w * s + r * x**2, None), x * 0, array(ROWS))[0]  # noqa: E731
    anyjac.check_derivative(loss, array(0.7), grad_vars=w, argnums=0)
    assert float(np.asarray(w.value)) == 0.5


# ---- random bodies -------------------------------------------------------------------------------------------------

INSTRUCTIONS = (
    "s = a * s",
    "s = s + x",
    "s = s - v",
    "v = v + s * x",
    "v = a * v",
    "s = x * s + v",
    "u = s",
    "v = u * x",
)
"""What a random body is made of; its results are the sums of all that it keeps."""


def body_of(program: list[str], namespace: dict[str, Any]) -> Any:
    """Run a body in a dict of numbers, and return the result of the step."""
    for line in program:
        exec(line, {}, namespace)
    return namespace["s"] + 2.0 * namespace["v"] + 3.0 * namespace["u"]


def by_scan(program: list[str], rows: Any, a: Any, reverse: bool) -> Any:
    """Run a body by `scan`, with `s` in the carry and the others in Variables."""
    u, v = Variable(a * 0.0), Variable(a * 0.0 + 1.0)

    def step(s: Any, x: Any) -> Any:
        known = {"a": a, "s": s, "x": x, "u": u.value, "v": v.value}
        result = body_of(program, known)
        if any(line.startswith("u") for line in program):
            u.value = known["u"]
        if any(line.startswith("v") for line in program):
            v.value = known["v"]
        return known["s"], result

    last, results = anyjac.scan(step, a * 0.0 + 0.5, rows, reverse=reverse)
    return (results * (rows + 1.0)).sum() + last + v.value


def by_hand(program: list[str], rows: Any, a: Any, reverse: bool) -> Any:
    """Run the same body in a loop of Python."""
    known, total = {"a": a, "s": a * 0.0 + 0.5, "u": a * 0.0, "v": a * 0.0 + 1.0}, 0.0
    for x in rows[::-1] if reverse else rows:
        known["x"] = x
        total = total + body_of(program, known) * (x + 1.0)
    return total + known["s"] + known["v"]


PROGRAMS = st.lists(st.sampled_from(INSTRUCTIONS), min_size=1, max_size=4)
SMALL_ROWS = st.lists(st.sampled_from([-1.0, -0.5, 0.25, 0.5, 2.0]), min_size=1, max_size=4)


@pytest.mark.parametrize("name", ["autograd", "torch", pytest.param("jax", marks=pytest.mark.exhaustive)])
@settings(deadline=None, max_examples=40)
@given(program=PROGRAMS, rows=SMALL_ROWS, reverse=st.booleans())
def test_random_bodies_do_what_they_do_in_a_loop_of_python(
    name: str, program: list[str], rows: list[float], reverse: bool
) -> None:
    backend = anyjac.get_backend(name)
    a, xs = made(backend, 0.75), made(backend, rows)
    found, value = grad(lambda a: by_scan(program, xs, a, reverse), return_value=True)(a)
    expected = by_hand(program, np.asarray(rows), 0.75, reverse)
    np.testing.assert_allclose(np.asarray(value), expected, rtol=1e-12, atol=1e-12)
    slope = by_hand(program, np.asarray(rows), 0.75 + 1e-30j, reverse).imag / 1e-30
    np.testing.assert_allclose(np.asarray(found), slope, rtol=1e-12, atol=1e-12)


# ---- how often a body runs, and what it sees -----------------------------------------------------------------------


def test_a_body_runs_for_each_step_or_is_recorded_once_a_call(backend: Backend, array: Any) -> None:
    runs = []

    def step(s: Any, x: Any) -> Any:
        runs.append(None)
        return s + x, None

    transform = grad(lambda s: anyjac.scan(step, s, array(ROWS))[0])
    transform(array(0.0))
    assert len(runs) == (1 if backend.name == "jax" else 3)
    transform(array(0.0))
    assert len(runs) == (2 if backend.name == "jax" else 6)


def test_numbers_attributes_and_arrays_that_a_body_reads_are_those_of_now(backend: Backend, array: Any) -> None:
    class Model:
        factor: Any = 2.0

        def step(self, s: Any, _: Any) -> Any:
            return s * self.factor, None

    model, seen = Model(), []
    for factor in (2.0, 3.0, array(4.0), Variable(array(5.0)), array(6.0)):
        model.factor = factor
        seen.append([float(f(array(1.0))) for f in (twice(model), grad(twice(model)))])
    assert seen == [[n**2, n**2] for n in (2.0, 3.0, 4.0, 5.0, 6.0)]


def twice(model: Any) -> Any:
    return lambda x: anyjac.scan(model.step, x, length=2)[0]


class Lazy:
    """A model that makes its state when it is first called."""

    v: Any = None

    def __call__(self, x: Any) -> Any:
        if self.v is None:
            self.v = Variable(x * 0.0)
        self.v.value = self.v + x
        return self.v.value


@pytest.mark.parametrize(
    "run",
    [
        lambda model, x: anyjac.for_loop(model, x),
        lambda model, x: anyjac.jit(lambda x: anyjac.for_loop(model, x))(x),
        lambda model, x: anyjac.while_loop(lambda s: s < 9.0, lambda s: s + model(x[0]), x[0]),
        lambda model, x: grad(lambda x: anyjac.fori_loop(0, 3, lambda i, s: s + model(x[0]), x[0]))(x),
    ],
    ids=["for_loop", "jit", "while_loop", "grad"],
)
def test_state_that_is_made_in_the_first_step_is_there_in_the_next_or_refused(
    backend: Backend, array: Any, run: Any
) -> None:
    ready, lazy = Lazy(), Lazy()
    ready.v = Variable(array(0.0))
    expected = numbers(run(ready, array(ROWS)))
    if backend.name == "jax":
        with pytest.raises(TracerLeakError, match="make the Variable before the loop"):
            run(lazy, array(ROWS))
    else:
        assert numbers(run(lazy, array(ROWS))) == expected


def test_state_goes_on_from_one_compiled_call_to_the_next(backend: Backend, array: Any) -> None:
    v, count = Variable(array(1.0)), Variable(made(backend, 0, "int64"))

    def step(x: Any) -> Any:
        v.value = 2.0 * v + x
        count.value += 1
        return v.value

    run = anyjac.jit(lambda rows: anyjac.for_loop(step, rows))
    assert [numbers(run(array([1.0, 2.0]))) for _ in range(2)] == [[3.0, 8.0], [17.0, 36.0]]
    assert (float(v.value), int(count.value)) == (36.0, 4)


def test_without_any_array_the_default_backend_runs_a_loop() -> None:
    seen: list[Any] = []
    assert anyjac.for_loop(lambda: seen.append(1), length=2, unroll=3) is None
    assert seen


def test_a_result_for_users_shares_no_memory_with_what_was_given(backend: Backend, array: Any) -> None:
    if backend.name == "jax":
        pytest.skip("its arrays are immutable")
    given, v = array([1.0, 2.0]), Variable(array([3.0, 4.0]))
    results = [
        anyjac.scan(lambda c, _: (c, None), given, length=1)[0],
        anyjac.while_loop(lambda c: False, lambda c: c, given),
        anyjac.cond(True, lambda x: x, lambda x: x, given),
        anyjac.switch(0, [lambda: v.value]),
        anyjac.scan(lambda c, _: (v.value, None), given, length=1)[0],
    ]
    for result in results:
        result[0] = 99.0
    assert (numbers(given), numbers(v.value)) == ([1.0, 2.0], [3.0, 4.0])


# ---- errors --------------------------------------------------------------------------------------------------------


class HaltedError(Exception):
    """The error of the bodies below."""


@pytest.mark.parametrize("name", ["autograd", "torch"])
def test_an_error_in_a_later_step_undoes_all_steps(name: str) -> None:
    backend = anyjac.get_backend(name)
    v, w = Variable(made(backend, 1.0)), Variable(made(backend, [0.0, 0.0]))

    def step(x: Any) -> None:
        v.value = v + x
        w[0] = x
        w.value += 1.0
        if x > 3.0:
            raise HaltedError

    run = lambda: anyjac.for_loop(step, made(backend, ROWS))  # noqa: E731
    for call in (run, lambda: grad(lambda x: [run(), x][1])(made(backend, 1.0))):
        with pytest.raises(HaltedError):
            call()
        assert (float(v.value), numbers(w.value)) == (1.0, [0.0, 0.0])
    assert_nothing_open(v, w)


@pytest.mark.parametrize("name", ["autograd", "torch"])
def test_what_changes_in_a_later_step_alone_is_refused_there(name: str) -> None:
    backend = anyjac.get_backend(name)
    v, x = Variable(made(backend, 1.0)), made(backend, ROWS)

    def changing(result: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            v.value = v + 1.0
            return (result(c, x), None) if x > 1.5 else (c, None)

        return step

    for result, parts in (
        (lambda c, x: x[None], ("float64[1]", "float64[]", "init")),
        (lambda c, x: (c,), ("structure", "init")),
    ):
        with pytest.raises(OutputError) as caught:
            anyjac.scan(changing(result), x[0], x)
        assert [part for part in parts if part not in str(caught.value)] == []
    with pytest.raises(OutputError, match="the same structure in all steps"):
        anyjac.for_loop(lambda x: {"a": x} if x > 1.5 else x, x)
    assert float(v.value) == 1.0


class Holder:
    """A model that puts an array where its Variable stands."""

    def __init__(self, array: Any) -> None:
        self.v = Variable(array, name="v")

    def step(self, x: Any) -> Any:
        self.v = self.v + x
        return x

    def condition(self, x: Any) -> Any:
        self.v = self.v + x
        return x < 3.0


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x: anyjac.for_loop(model.step, x),
        lambda model, x: anyjac.fori_loop(0, 2, lambda i, c: model.step(c), x),
        lambda model, x: anyjac.while_loop(model.condition, lambda x: x + 1.0, x[0]),
        lambda model, x: anyjac.while_loop(lambda x: x < 3.0, lambda x: model.step(x) + 1.0, x[0], max_steps=4),
        lambda model, x: anyjac.cond(True, model.step, model.step, x),
        lambda model, x: anyjac.switch(1, [lambda x: x, model.step], x),
        lambda model, x: anyjac.ifelse([False], [lambda x: x, model.step], x),
    ],
    ids=["for_loop", "fori_loop", "condition", "while_loop", "cond", "switch", "ifelse"],
)
def test_a_variable_that_is_replaced_is_put_back(backend: Backend, array: Any, call: Any) -> None:
    model = Holder(array(1.0))
    variable = model.v
    with pytest.raises(VariableWriteError, match="'v'"):
        call(model, array(ROWS))
    assert model.v is variable
    assert float(variable.value) == 1.0


def test_coroutines_and_generators_are_no_bodies(backend: Backend, array: Any) -> None:
    async def waits(x: Any) -> Any:
        return x

    def yields(x: Any) -> Any:
        yield x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that nobody awaits
        for body in (waits, yields):
            with pytest.raises(OutputError):
                anyjac.for_loop(body, array(ROWS))
            with pytest.raises(OutputError):
                anyjac.cond(True, body, body, array(ROWS))


def test_jax_says_what_a_while_loop_needs_in_reverse_mode() -> None:
    backend = anyjac.get_backend("jax")
    double = lambda x: anyjac.while_loop(lambda x: x < 5.0, lambda x: 2.0 * x, x)  # noqa: E731
    with pytest.raises(Exception, match="max_steps"):
        grad(double)(made(backend, 1.0))
    assert float(anyjac.jacfwd(double)(made(backend, 1.0))) == 8.0


def test_pytorch_says_when_a_result_was_lost() -> None:
    backend = anyjac.get_backend("torch")
    kept = made(backend, [0.0])

    def step(x: Any) -> Any:
        if x > 2.0:
            kept.add_(x)
        return kept

    with pytest.raises(OutputError, match="wrote in place"):
        anyjac.for_loop(step, made(backend, ROWS))


# ---- random keys and threads ---------------------------------------------------------------------------------------


def test_typed_random_keys_travel_in_variables_and_carries() -> None:
    import jax

    key, state = jax.random.key(3), Variable(jax.random.key(3), name="key")

    def by_carry(key: Any, _: Any) -> Any:
        key, own = jax.random.split(key)
        return key, jax.random.normal(own)

    def by_variable() -> Any:
        state.value, own = jax.random.split(state.value)
        return jax.random.normal(own)

    last, drawn = anyjac.scan(by_carry, key, length=3)
    np.testing.assert_array_equal(anyjac.for_loop(by_variable, length=3), drawn)
    expected_last, expected = jax.lax.scan(by_carry, key, length=3)
    np.testing.assert_array_equal(drawn, expected)
    assert jax.random.key_data(last).tolist() == jax.random.key_data(expected_last).tolist()
    assert jax.random.key_data(state.value).tolist() == jax.random.key_data(last).tolist()
    scaled = grad(lambda x: x * anyjac.scan(by_carry, key, length=3)[1].sum())(1.0)
    np.testing.assert_allclose(scaled, drawn.sum())


def test_threads_lose_no_step(backend: Backend, array: Any) -> None:
    count = Variable(made(backend, 0, "int64"))

    def step() -> None:
        count.value += 1

    def work() -> None:
        for _ in range(4):
            anyjac.for_loop(step, length=5)

    run_in_threads([work] * 3)
    assert int(count.value) == 60
    assert_nothing_open(count)
