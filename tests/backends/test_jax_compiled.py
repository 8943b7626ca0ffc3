"""Jacobians that the JAX backend compiles are those that `jax.jacrev` gives, whatever the function does."""

import functools
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.threads import run_in_threads

import anyjac
from anyjac import CacheInfo, InputValueError, Variable, jacrev
from anyjac_conformance import CLAUSES, check_backend, select
from anyjac_jax.backend import JaxBackend
from anyjac_jax.jacobians import CALLS_TO_COMPILE, MAXIMUM

CALLS = CALLS_TO_COMPILE + 2
X = jnp.asarray([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def clear_cache() -> Iterator[None]:
    """Begin with nothing compiled, and with every count at zero."""
    anyjac.cache_clear("jax")
    yield
    anyjac.cache_clear("jax")


def info() -> CacheInfo:
    return anyjac.cache_info("jax")


def assert_same(found: Any, expected: Any) -> None:
    """Check arrays in trees: structure, dtypes, shapes, and values to a few roundings."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, native in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (ours.dtype, ours.shape) == (native.dtype, native.shape)
        scale = 10 * float(jnp.finfo(native.dtype).eps)
        np.testing.assert_allclose(np.asarray(ours), np.asarray(native), rtol=scale, atol=scale)


def assert_follows_jax(function: Callable[..., Any], *args: Any) -> None:
    """Compare cold, warm and hot calls with `jax.jacrev`."""
    expected = jax.jacrev(function)(*args)
    for _ in range(CALLS):
        assert_same(jacrev(function)(*args), expected)


@jax.custom_jvp
def with_forward_rule(x: Any) -> Any:
    return jnp.sin(x)


@with_forward_rule.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return with_forward_rule(primals[0]), 3.0 * tangents[0] * primals[0]


@jax.custom_vjp
def with_backward_rule(x: Any, power: Any) -> Any:
    return x**power


with_backward_rule.defvjp(
    lambda x, power: (x**power, (x, power)), lambda kept, g: (5.0 * g * kept[0], jnp.zeros_like(kept[1]))
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def with_static_argument(x: Any, factor: float) -> Any:
    return x * factor


with_static_argument.defvjp(lambda x, factor: (x * factor, None), lambda factor, _, g: (g * factor * 7.0,))


def through_a_branch(x: Any) -> Any:
    return jax.lax.cond(x[0] > 0, lambda x: x * 2.0, lambda x: with_forward_rule(x), x)


def through_a_scan(x: Any) -> Any:
    return jax.lax.scan(lambda c, k: (jnp.tanh(c * k), with_forward_rule(c)), x, jnp.arange(4.0))


def through_a_bounded_loop(x: Any) -> Any:
    return jax.lax.fori_loop(0, 5, lambda i, c: c * 0.5 + jnp.sin(c), x)


def through_a_solver(x: Any) -> Any:
    return jnp.linalg.solve(jnp.eye(3) * 4.0 + jnp.outer(x, x), x)


def through_an_implicit_function(x: Any) -> Any:
    return jax.lax.custom_linear_solve(
        lambda y: 3.0 * y + x * y, x, lambda mv, b: b / (3.0 + x), lambda mv, b: b / (3.0 + x)
    )


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: x * x[::-1] / (2.0 + x**2),
    "several outputs": lambda x: {"a": x.sum(), "b": (x * 2.0, jnp.outer(x, x))},
    "a constant output": lambda x: (jnp.ones(2), x),
    "the input": lambda x: x,
    "activations": lambda x: jax.nn.relu(x) + jax.nn.softplus(x) + jax.nn.gelu(x) + jax.nn.silu(x) + jax.nn.elu(x),
    "logsumexp": lambda x: jax.nn.logsumexp(x) + jax.nn.log_softmax(x),
    "a forward rule": lambda x: with_forward_rule(x * 2.0),
    "a forward rule in jit": lambda x: jax.jit(with_forward_rule)(x) + jax.jit(with_forward_rule)(2.0 * x),
    "a backward rule": lambda x: with_backward_rule(x, 2),
    "a backward rule of a float": lambda x: with_backward_rule(x, 2.0),
    "a backward rule with a static argument": lambda x: with_static_argument(x, 2.0),
    "cond": through_a_branch,
    "scan": through_a_scan,
    "fori_loop": through_a_bounded_loop,
    "a stopped gradient": lambda x: x * jax.lax.stop_gradient(x),
    "checkpoint": lambda x: jax.checkpoint(lambda y: jnp.sin(jnp.sin(y)))(x),
    "vmap": lambda x: jax.vmap(lambda a: a * x)(x),
    "an inner gradient": lambda x: jax.grad(lambda y: (y**3 * x).sum())(x),
    "an inner jacrev": lambda x: jacrev(lambda y: y**2 * x)(x),
    "integers on the way": lambda x: x[jnp.argsort(x)] * jnp.floor(x).astype(int),
    "random numbers": lambda x: x * jax.random.normal(jax.random.key(0), (3,)),
    "solve": through_a_solver,
    "custom_linear_solve": through_an_implicit_function,
    "fft": lambda x: jnp.abs(jnp.fft.fft(x)) ** 2,
    "complex on the way": lambda x: jnp.real(jnp.exp(1j * x)),
    "an empty output": lambda x: x[:0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_compiled_jacobian_is_that_of_jax(name: str) -> None:
    assert_follows_jax(FUNCTIONS[name], X)
    assert info().hits == CALLS - CALLS_TO_COMPILE + 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_compiled_jacobian_has_the_dtype_of_its_input(dtype: str) -> None:
    assert_follows_jax(lambda x: x * x, jnp.asarray([1.0, 2.0], dtype))


def test_a_holomorphic_function_is_compiled_too() -> None:
    z = jnp.asarray([1.0 + 2.0j, -0.5j])
    expected = jax.jacrev(lambda z: z**3 * jnp.exp(z), holomorphic=True)(z)
    for _ in range(CALLS):
        assert_same(jacrev(lambda z: z**3 * jnp.exp(z), holomorphic=True)(z), expected)
    assert info().hits > 0


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 100])
def test_chunks_of_a_compiled_jacobian_change_nothing(chunk_size: int) -> None:
    def function(x: Any) -> Any:
        return jnp.outer(x, jnp.sin(x)), x.sum()

    expected = jax.jacrev(function)(X)
    for _ in range(CALLS):
        assert_same(jacrev(function, chunk_size=chunk_size)(X), expected)
    assert info().hits > 0


# ---- the function really runs --------------------------------------------------------------------------------------


def test_the_function_runs_once_in_each_call() -> None:
    calls = []

    def function(x: Any) -> Any:
        calls.append(1)
        return x * 2.0

    for made in range(1, CALLS + 1):
        jacrev(function)(X)
        assert len(calls) == made


def test_a_number_in_a_closure_that_changes_is_seen() -> None:
    scale = [2.0]
    transform = jacrev(lambda x: x * scale[0])
    for scale[0] in (2.0, 2.0, 2.0, 2.0, 5.0, 2.0, -0.0, 0.0):
        block = transform(X)
        np.testing.assert_array_equal(block, np.eye(3) * scale[0])
        assert np.array_equal(np.signbit(block.diagonal()), [np.signbit(scale[0])] * 3)


def test_an_array_in_a_closure_that_changes_is_seen_and_compiles_nothing_anew() -> None:
    held = [jnp.ones(3)]
    transform = jacrev(lambda x: x * held[0])
    for number in range(10):
        held[0] = jnp.full(3, float(number))
        np.testing.assert_array_equal(transform(X), np.eye(3) * number)
    assert info() == CacheInfo(hits=8, misses=2, uncached=0, maxsize=MAXIMUM, currsize=1)


def test_a_numpy_array_that_is_changed_in_place_is_seen() -> None:
    held = np.ones(3)
    transform = jacrev(lambda x: x * held)
    for number in range(10):
        held[:] = number
        np.testing.assert_array_equal(transform(X), np.eye(3) * number)
    assert info().hits == 8


def test_equal_computations_of_different_functions_are_compiled_once() -> None:
    for _ in range(10):
        jacrev(lambda x: jnp.sin(x) * 2.0)(X)
    assert info() == CacheInfo(hits=8, misses=2, uncached=0, maxsize=MAXIMUM, currsize=1)


def test_variables_are_read_and_written_as_ever() -> None:
    count, weight = Variable(jnp.asarray(0)), Variable(jnp.asarray(1.0))

    @jacrev(grad_vars=[weight], argnums=0, return_value=True, has_aux=True)
    def step(x: Any) -> Any:
        count.value += 1
        weight.value = weight * 2.0
        return x * weight, {"count": count.value, "text": f"call {len(seen)}", "none": None}

    seen: list[Any] = []
    for number in range(1, CALLS + 4):
        (by_weight, by_x), value, aux = step(X)
        seen.append(aux)
        factor = 2.0**number
        np.testing.assert_array_equal(by_weight[0], 2 * X)
        np.testing.assert_array_equal(by_x, np.eye(3) * factor)
        np.testing.assert_array_equal(value, X * factor)
        assert (int(count), float(weight), int(aux["count"])) == (number, factor, number)
        assert (aux["text"], aux["none"]) == (f"call {number - 1}", None)
    assert info().hits > 0


def test_aux_that_the_function_found_elsewhere_is_handed_through_as_it_is() -> None:
    there = jax.device_put(jnp.ones(2), jax.devices("cpu")[1])
    for _ in range(CALLS):
        _, aux = jacrev(lambda x: (x * 2.0, there), has_aux=True)(X)
        assert aux.devices() == there.devices()
    assert info().hits > 0


def test_arrays_of_another_device_stay_there_when_compiled() -> None:
    here, there = jax.devices("cpu")[:2]
    for device in (there, here, there):
        x = jax.device_put(X, device)
        for _ in range(CALLS):
            block, value = jacrev(lambda x: jnp.sin(x) * 2.0, return_value=True)(x)
            assert block.devices() == value.devices() == {device}


def test_an_exception_of_the_function_comes_after_one_run() -> None:
    calls = []

    def function(x: Any) -> Any:
        calls.append(1)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        jacrev(function)(X)
    assert len(calls) == 1


def test_what_has_no_reverse_derivative_is_refused_as_jax_does() -> None:
    def function(x: Any) -> Any:
        return jax.lax.while_loop(lambda c: c.sum() < 10.0, lambda c: c * 2.0, x)

    for _ in range(CALLS):
        with pytest.raises(ValueError, match="Reverse-mode differentiation does not work"):
            jacrev(function)(jnp.ones(3))


# ---- what cannot be recorded ---------------------------------------------------------------------------------------


def test_a_branch_on_values_is_taken_as_ever_and_its_first_call_alone_is_begun_again() -> None:
    calls = []
    written = Variable(jnp.asarray(0.0))

    def function(x: Any) -> Any:
        calls.append(1)
        written.value += 1.0
        return x if x.sum() > 0 else -x

    transform = jacrev(function)
    for made in range(1, CALLS + 1):
        np.testing.assert_array_equal(transform(X), np.eye(3))
        np.testing.assert_array_equal(jacrev(function)(-X), -np.eye(3))
        assert len(calls) == 2 * made + 1
        assert float(written) == 2.0 * made
    assert info().currsize == 0


@pytest.mark.parametrize(
    "needs_values",
    [
        lambda x: x * float(jnp.sum(jnp.ones(3))),
        lambda x: x * np.asarray(jnp.arange(3.0) * 2.0),
        lambda x: x[: int(jnp.argmax(jnp.arange(3)))],
        lambda x: x[jnp.arange(3) > 0],
    ],
    ids=["float", "numpy", "int", "mask"],
)
def test_values_of_what_is_not_differentiated_may_be_asked_for(needs_values: Callable[[Any], Any]) -> None:
    assert_follows_jax(needs_values, X)


def test_a_function_that_turns_the_want_of_values_into_another_error_is_begun_again() -> None:
    def function(x: Any) -> Any:
        try:
            return x * float(jnp.sum(jnp.ones(3)))
        except TypeError as error:
            raise RuntimeError("cannot") from error

    for _ in range(CALLS):
        np.testing.assert_array_equal(jacrev(function)(X), np.eye(3) * 3.0)


def test_a_rule_that_needs_values_is_run_as_ever() -> None:
    @jax.custom_jvp
    def function(x: Any) -> Any:
        return x * 2.0

    @function.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        factor = 2.0 if primals[0].sum() > 0 else 3.0
        return function(primals[0]), tangents[0] * factor

    for _ in range(CALLS):
        np.testing.assert_array_equal(jacrev(function)(X), np.eye(3) * 2.0)
        np.testing.assert_array_equal(jacrev(function)(-X), np.eye(3) * 3.0)


def test_printing_from_within_a_computation_happens_in_every_call() -> None:
    heard = []

    def function(x: Any) -> Any:
        jax.debug.callback(lambda value: heard.append(float(value)), x[0])
        return x * 2.0

    for made in range(1, CALLS + 1):
        jacrev(function)(X)
        jax.effects_barrier()
        assert len(heard) == made
    assert info().uncached == CALLS


# ---- keys ----------------------------------------------------------------------------------------------------------


def _scaled_rule(scale: list[float]) -> Callable[[Any], Any]:
    @jax.custom_jvp
    def function(x: Any) -> Any:
        return x * 1.0

    @function.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return function(primals[0]), tangents[0] * scale[0]

    return function


def test_a_forward_rule_that_has_changed_is_seen() -> None:
    scale = [2.0]
    function = _scaled_rule(scale)
    for scale[0] in (2.0, 2.0, 2.0, 2.0, 3.0, 2.0):
        np.testing.assert_array_equal(jacrev(function)(X), np.eye(3) * scale[0])
    assert info().hits == 3


def test_a_backward_rule_that_has_changed_is_seen() -> None:
    scale = [2.0]

    @jax.custom_vjp
    def function(x: Any) -> Any:
        return x * 1.0

    function.defvjp(lambda x: (x * 1.0, x), lambda x, g: (g * scale[0],))
    for scale[0] in (2.0, 2.0, 2.0, 2.0, 3.0, 2.0):
        np.testing.assert_array_equal(jacrev(function)(X), np.eye(3) * scale[0])
    assert info().hits == 3


def test_functions_that_differ_in_their_rules_alone_are_kept_apart() -> None:
    functions = {scale: _scaled_rule([scale]) for scale in (2.0, 3.0)}
    for _ in range(CALLS):
        for scale, function in functions.items():
            np.testing.assert_array_equal(jacrev(lambda x, f=function: f(x))(X), np.eye(3) * scale)
            np.testing.assert_array_equal(
                jacrev(lambda x, f=function: jax.lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0])(X),
                np.eye(3) * scale**2,
            )


def _through_a_jitted_product(factor: Any) -> Callable[[Any], Any]:
    product = jax.jit(lambda x: x * factor)
    return lambda x: product(x)


NEARLY_THE_SAME: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "literals": (lambda x: x * 2.0, lambda x: x * 3.0),
    "signs of zero": (lambda x: x * 0.0, lambda x: x * -0.0),
    "operations": (lambda x: jnp.sin(x), lambda x: jnp.cos(x)),
    "operands": (lambda x: x[0] - x[1], lambda x: x[1] - x[0]),
    "parameters": (lambda x: jnp.cumsum(x), lambda x: jax.lax.cumsum(x, reverse=True)),
    "shapes": (lambda x: x[:2], lambda x: x[:1]),
    "dtypes": (lambda x: x.astype("float32"), lambda x: x.astype("float16")),
    "loop lengths": tuple(
        lambda x, n=n: jax.lax.scan(lambda c, _: (c * 2.0, None), x, None, length=n)[0] for n in (2, 3)
    ),
    "loop bodies": tuple(
        lambda x, a=a: jax.lax.scan(lambda c, _: (c * a, None), x, None, length=2)[0] for a in (2.0, 3.0)
    ),
    "branches": tuple(
        lambda x, a=a: jax.lax.cond(x[0] > 0, lambda x: x * a, lambda x: x, x) for a in (2.0, 3.0)
    ),
    "inner constants": tuple(_through_a_jitted_product(np.full(3, a)) for a in (2.0, 3.0)),
    "inner arrays": tuple(_through_a_jitted_product(jnp.full(3, a)) for a in (2.0, 3.0)),
    "outputs and aux": (lambda x: (x, x * 2.0), lambda x: (x * 2.0, x)),
}  # fmt: skip


@pytest.mark.parametrize("difference", NEARLY_THE_SAME)
def test_computations_that_are_nearly_the_same_are_kept_apart(difference: str) -> None:
    for _ in range(CALLS):
        for function in NEARLY_THE_SAME[difference]:
            assert_same(jacrev(function)(X), jax.jacrev(function)(X))
    assert info().currsize == len(NEARLY_THE_SAME[difference])


def test_a_step_from_output_to_aux_is_seen() -> None:
    for _ in range(CALLS):
        assert_same(jacrev(lambda x: (x, x * 2.0))(X), (jnp.eye(3), 2 * jnp.eye(3)))
        block, aux = jacrev(lambda x: (x, x * 2.0), has_aux=True)(X)
        assert_same(block, jnp.eye(3))
        assert_same(aux, X * 2.0)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "sine": lambda a, b: jnp.sin(a),
    "roll": lambda a, b: jnp.roll(a, 1),
    "tanh of a part": lambda a, b: jnp.concatenate([jnp.tanh(a[:1]), b[1:]]),
    "scale": lambda a, b: a * 0.75,
    "softplus": lambda a, b: jax.nn.softplus(a),
    "where": lambda a, b: jnp.where(a > b, a, 0.5 * b),
    "jit": lambda a, b: jax.jit(lambda c: c * jnp.cos(c))(a),
    "rule": lambda a, b: with_forward_rule(a),
    "sum": lambda a, b: a.sum() + b,
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(OPERATIONS)), st.integers(0, 4), st.integers(0, 4)), max_size=6))
def test_random_computations_are_right_hot_and_cold(steps: list[tuple[str, int, int]]) -> None:
    def function(x: Any) -> Any:
        values = [x]
        for name, first, second in steps:
            values.append(OPERATIONS[name](values[first % len(values)], values[second % len(values)]))
        return values[-1]

    for x in (X, X * 0.5 + 1.0):
        expected = jax.jacrev(function)(x)
        for _ in range(CALLS_TO_COMPILE):
            np.testing.assert_allclose(jacrev(function)(x), expected, rtol=1e-12, atol=1e-12)


def test_arrays_that_were_seen_are_not_kept() -> None:
    def call(factor: Any) -> None:
        product = jax.jit(lambda x: x * factor)
        np.testing.assert_array_equal(jacrev(lambda x: product(x) + factor)(X), np.eye(3) * factor)

    array = jnp.full(3, 2.0)
    watched = weakref.ref(array)
    call(array)
    del array
    gc.collect()
    assert watched() is None
    assert info().currsize == 1


# ---- the cache -----------------------------------------------------------------------------------------------------


def test_a_function_that_is_called_twice_compiles_nothing() -> None:
    transform = jacrev(lambda x: x * 2.0)
    transform(X), transform(X)
    assert (info().hits, info().misses, info().currsize) == (0, 2, 1)
    transform(X)
    assert info().hits == 1


def test_the_cache_is_bounded_and_forgets_what_was_not_seen_for_longest() -> None:
    def call(number: float) -> None:
        jacrev(lambda x: x * number)(X)

    for _ in range(CALLS_TO_COMPILE):
        call(-1.0)
    for number in range(MAXIMUM + 1):
        call(float(number))
        if number % 50 == 0:
            call(-1.0)
    assert info().currsize == MAXIMUM
    hits = info().hits
    call(-1.0)
    assert info().hits == hits + 1
    call(1.0)
    assert info().hits == hits + 1


def test_clearing_forgets_programs_and_counts() -> None:
    for _ in range(CALLS):
        jacrev(lambda x: x * 2.0)(X)
    anyjac.cache_clear()
    assert info() == CacheInfo(maxsize=MAXIMUM)
    jacrev(lambda x: x * 2.0)(X)
    assert info().misses == 1


def test_the_environment_switches_compiling_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_COMPILE", "off")
    for _ in range(CALLS):
        np.testing.assert_array_equal(jacrev(lambda x: x * 2.0)(X), np.eye(3) * 2.0)
    assert info() == CacheInfo(maxsize=MAXIMUM)


def test_another_value_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_COMPILE", "always")
    with pytest.raises(InputValueError, match="ANYJAC_COMPILE is 'always'; it can be 'off' or 'auto'"):
        jacrev(lambda x: x * 2.0)(X)


@pytest.mark.parametrize(
    "within", [jax.jit, jax.vmap, lambda f: jax.jacrev(lambda x: f(x))], ids=["jit", "vmap", "jac"]
)
def test_within_a_transformation_of_jax_nothing_is_recorded(within: Callable[..., Any]) -> None:
    for _ in range(CALLS):
        within(lambda x: jacrev(lambda y: y**2)(x))(X)
    assert info() == CacheInfo(maxsize=MAXIMUM)


@pytest.mark.parametrize("setting", [jax.disable_jit, functools.partial(jax.debug_nans, True)], ids=["jit", "nans"])
def test_where_jax_is_to_run_step_by_step_nothing_is_recorded(setting: Callable[[], Any]) -> None:
    with setting():
        for _ in range(CALLS):
            np.testing.assert_array_equal(jacrev(lambda x: x * 2.0)(X), np.eye(3) * 2.0)
    assert info() == CacheInfo(maxsize=MAXIMUM)


def test_threads_share_what_is_compiled() -> None:
    def work(number: int) -> None:
        factor = float(number % 3)
        for _ in range(10):
            np.testing.assert_array_equal(jacrev(lambda x: x * factor)(X), np.eye(3) * factor)

    run_in_threads([functools.partial(work, number) for number in range(6)])
    assert (info().currsize, info().hits + info().misses) == (3, 60)


@pytest.mark.exhaustive
@pytest.mark.parametrize("path", JaxBackend().paths.names)
@pytest.mark.parametrize("clause", CLAUSES)
def test_the_scenarios_pass_on_each_path(path: str, clause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyjac.get_backend("jax").paths, "forced", path)
    check_backend("jax", scenarios=select([clause]))


# ---- large Jacobians -----------------------------------------------------------------------------------------------


def test_one_with_more_rows_than_are_computed_at_once_is_compiled_in_the_first_call() -> None:
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3000)))
    x = jnp.asarray([0.5, -1.0])
    expected = (1 - jnp.tanh(x @ matrix) ** 2)[:, None] * matrix.T
    assert_same(jacrev(lambda x: jnp.tanh(x @ matrix))(x), expected)
    assert info().hits == 1


@pytest.mark.parametrize("place", [0, 1])
def test_many_chunks_of_equal_size_are_pulled_back_by_a_compiled_program(place: int) -> None:
    device = jax.devices("cpu")[place]
    x = jax.device_put(jnp.arange(1.0, 8.0), device)
    seen = 0
    for rows in jacrev(lambda x: (x**3, x * 2.0), chunk_size=2).rows(x):
        expected = jnp.diag(3 * x**2) if rows.path == "[0]" else 2 * jnp.eye(7)
        assert_same(rows.block, expected[rows.start : rows.stop])
        assert rows.block.devices() == {device}
        seen += 1
    assert seen == 8


# ---- within maps -----------------------------------------------------------------------------------------------------

EXAMPLES = jnp.asarray([[0.5, -1.0, 2.0], [1.0, 1.0, 1.0], [3.0, 0.0, -2.0], [0.1, 0.2, 0.3]])
WEIGHTS = jnp.asarray([1.0, -2.0, 0.5])


def test_a_gradient_within_a_map_is_compiled_once_for_all_examples() -> None:
    runs = []

    def loss(weights: Any, x: Any) -> Any:
        runs.append(0)
        return jnp.tanh(weights * x).sum() ** 2

    mapped = anyjac.vmap(anyjac.grad(loss), (None, 0))
    expected = jax.vmap(jax.grad(loss), (None, 0))(WEIGHTS, EXAMPLES)
    runs.clear()
    for _ in range(CALLS):
        assert_same(mapped(WEIGHTS, EXAMPLES), expected)
    assert (info().hits, len(runs)) == (CALLS - CALLS_TO_COMPILE + 1, CALLS)


def test_what_a_function_within_a_map_found_elsewhere_may_be_mapped_over_and_may_change() -> None:
    offset = jnp.asarray(1.0)

    def each(x: Any) -> Any:
        return jacrev(lambda w: jnp.sin(w * x) + offset * w**2)(WEIGHTS)

    for step in range(CALLS):
        offset = jnp.asarray(float(step))
        expected = jax.vmap(lambda x: jax.jacrev(lambda w: jnp.sin(w * x) + offset * w**2)(WEIGHTS))(EXAMPLES)  # noqa: B023
        assert_same(anyjac.vmap(each)(EXAMPLES), expected)
    assert info().hits


def test_values_and_aux_data_of_a_gradient_within_a_map_are_those_of_each_example() -> None:
    scale = Variable(jnp.asarray(2.0))

    def loss(x: Any) -> Any:
        return (scale * x**2).sum(), {"input": x, "scale": scale.value}

    transform = anyjac.grad(loss, scale, 0, has_aux=True, return_value=True)
    for _ in range(CALLS):
        (by_scale, by_x), value, aux = anyjac.vmap(transform)(EXAMPLES)
        assert_same(by_scale, (EXAMPLES**2).sum(1))
        assert_same(by_x, 4.0 * EXAMPLES)
        assert_same(value, 2.0 * (EXAMPLES**2).sum(1))
        assert_same(aux, {"input": EXAMPLES, "scale": jnp.full(4, 2.0)})


def test_a_branch_within_a_map_on_what_is_not_mapped_over_is_taken_as_ever() -> None:
    def loss(x: Any, weights: Any) -> Any:
        return (x * weights).sum() if weights[0] > 0 else x.sum()

    mapped = anyjac.vmap(anyjac.grad(loss), (0, None))
    for _ in range(CALLS):
        assert_same(mapped(EXAMPLES, WEIGHTS), jnp.broadcast_to(WEIGHTS, EXAMPLES.shape))
        assert_same(mapped(EXAMPLES, -WEIGHTS), jnp.ones_like(EXAMPLES))


def test_a_map_within_a_transformation_of_jax_is_recorded_by_it_alone() -> None:
    mapped = anyjac.vmap(anyjac.grad(lambda x: (x**3).sum()))
    assert_same(jax.jit(mapped)(EXAMPLES), 3.0 * EXAMPLES**2)
    assert_same(jax.jacrev(lambda x: mapped(x).sum())(EXAMPLES), 6.0 * EXAMPLES)
    assert info() == CacheInfo(maxsize=MAXIMUM)


def test_a_gradient_within_maps_of_maps_is_compiled_too() -> None:
    mapped = anyjac.vmap(anyjac.vmap(anyjac.grad(lambda x: x**3)))
    for _ in range(CALLS):
        assert_same(mapped(EXAMPLES), 3.0 * EXAMPLES**2)
    assert info().hits


def test_the_device_is_known_within_a_map() -> None:
    seen = []

    def loss(x: Any) -> Any:
        seen.append(anyjac.device(x))
        return (x**2).sum()

    anyjac.vmap(anyjac.grad(loss))(EXAMPLES)
    assert seen == [EXAMPLES.device]


# ---- maxima, whose elements XLA computes twice --------------------------------------------------------------

EXTREMES: dict[str, Callable[[Any], Any]] = {
    "of differences from a mean": lambda x: jnp.max(x - jnp.mean(x)),
    "of sums and products": lambda x: jnp.max(x - 0.3 * jnp.sum(x)),
    "a minimum": lambda x: jnp.min(x - jnp.mean(x)),
    "along an axis": lambda x: jnp.max(jnp.stack([x - jnp.mean(x), x - 0.7 * jnp.sum(x)]), axis=1).sum(),
    "within a function of JAX that is compiled": jax.jit(lambda x: jnp.max(x - jnp.mean(x))),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("jitted", [False, True], ids=["plain", "jit"])
def test_an_element_equals_the_maximum_in_compiled_programs_too(name: str, jitted: bool) -> None:
    def function(x: Any) -> Any:
        return jnp.sin(x - jnp.mean(x) + EXTREMES[name](x))

    transform = jacrev(function, chunk_size=2)
    found = anyjac.jit(transform) if jitted else transform
    for x in np.random.default_rng(0).normal(size=(20, 3)):
        np.testing.assert_allclose(found(jnp.asarray(x)), jax.jacrev(function)(jnp.asarray(x)), rtol=1e-5, atol=1e-6)


# ---- windows, which XLA simplifies wrongly -----------------------------------------------------------------

SUMS: dict[str, Callable[[Any], Any]] = {
    "a running sum": lambda x: jnp.cumsum(jnp.zeros(3).at[1].set(x[1])),
    "a running sum, reversed": lambda x: jax.lax.cumsum(jnp.zeros(3).at[1].set(x[1]), reverse=True),
    "sums over windows": lambda x: jax.lax.reduce_window(jnp.pad(x[1:2], 1), 0.0, jax.lax.add, (2,), (1,), "SAME"),
    "in the middle of five": lambda x: jnp.cumsum(jnp.pad(x[1:2], 2)),
    "a running maximum": lambda x: jax.lax.cummax(jnp.full(3, -jnp.inf).at[1].set(x[1])),
    "a running minimum": lambda x: jax.lax.cummin(jnp.full(3, jnp.inf).at[1].set(x[1])),
    "a running product": lambda x: jnp.cumprod(jnp.ones(3).at[1].set(x[1])),
    "a running sum of exponentials": lambda x: jax.lax.cumlogsumexp(jnp.full(3, -jnp.inf).at[1].set(x[1])),
    "maxima over windows": lambda x: jax.lax.reduce_window(
        jnp.full(3, -jnp.inf).at[1].set(x[1]), -jnp.inf, jax.lax.max, (2,), (1,), "SAME"
    ),
    "within a branch": lambda x: jax.lax.cond(
        x[0] > 0, lambda: jnp.cumsum(jnp.pad(x[1:2], 1)), lambda: jnp.cumsum(jnp.pad(x[1:2], 1)) * 2
    ),
    "within a function of JAX that is compiled": jax.jit(lambda x: jnp.cumsum(jnp.zeros(3).at[1].add(x[1]))),
}
"""Sums of which jax.jit gives others where a batch of rows or columns goes through them."""


@pytest.mark.parametrize("mode", [anyjac.jacrev, anyjac.jacfwd])
@pytest.mark.parametrize("kind", SUMS)
def test_a_program_is_right_when_it_is_compiled(kind: str, mode: Any) -> None:
    f, x = SUMS[kind], jnp.asarray([1.0, 2.0, 3.0])
    with jax.disable_jit():
        expected = np.asarray(jax.jacfwd(f)(x))
    for found in [mode(f)(x) for _ in range(4)]:
        np.testing.assert_array_equal(found, expected)
    for call in range(2):
        np.testing.assert_array_equal(anyjac.jit(mode(f))(x), expected, err_msg=str(call))


def test_a_compiled_function_within_others_is_right() -> None:
    x = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    compiled = anyjac.jit(SUMS["a running sum"])
    expected = np.array([[0.0, 2.0, 2.0], [0.0, 5.0, 5.0]])
    for _ in range(2):
        np.testing.assert_array_equal(jax.vmap(compiled)(x), expected)
        np.testing.assert_array_equal(anyjac.vmap(compiled)(x), expected)
        np.testing.assert_array_equal(anyjac.jit(anyjac.vmap(compiled))(x), expected)
        np.testing.assert_array_equal([compiled(row) for row in x], expected)
