"""Derivatives on JAX of functions with code that is not JAX's own: rules, callbacks, contexts, other libraries.

Whatever works with JAX's own function works with ours, in the first call and in later ones, compiled or not, and what
such code reads may change from call to call.
"""

import functools
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback
from jax.experimental.ode import odeint
from tests.helpers.memory import Thing

import anyjac
from anyjac import Variable, jacfwd, jacrev
from anyjac_jax.jacobians import CALLS_TO_COMPILE

CALLS = CALLS_TO_COMPILE + 1
X = jnp.asarray([0.5, -1.0, 2.0])
ARRAY = jnp.asarray([3.0, 1.0, 2.0])
FACTOR = [2.0]
"""What rules read, and what changes between calls."""


@pytest.fixture(autouse=True)
def begin_anew() -> Iterator[None]:
    """Begin with nothing compiled, and with the factor as it was."""
    FACTOR[0] = 2.0
    anyjac.cache_clear("jax")
    yield
    anyjac.cache_clear("jax")


def assert_same(found: Any, expected: Any) -> None:
    """Check arrays in trees, to a few roundings."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, native in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert ours.shape == native.shape
        scale = 30 * float(jnp.finfo(native.dtype).eps)
        np.testing.assert_allclose(np.asarray(ours), np.asarray(native), rtol=scale, atol=scale)


def assert_follows(function: Callable[..., Any], ours: Any, native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare with JAX cold, warm, hot, and switched off; then again, when the factor has changed."""
    for FACTOR[0] in (2.0, 5.0):
        expected = native(function)(X)
        for _ in range(CALLS if FACTOR[0] == 2.0 else 2):
            assert_same(ours(function)(X), expected)
    with monkeypatch.context() as settings:
        settings.setenv("ANYJAC_COMPILE", "off")
        assert_same(ours(function)(X), expected)


@jax.custom_jvp
def pushed(x: Any) -> Any:
    return jnp.sin(x)


@pushed.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return pushed(primals[0]), 3.0 * tangents[0] * primals[0] * FACTOR[0]


@jax.custom_vjp
def pulled(x: Any) -> Any:
    return jnp.sin(x)


pulled.defvjp(lambda x: (jnp.sin(x), x), lambda x, cotangent: (3.0 * cotangent * x * FACTOR[0],))


@jax.custom_jvp
def table(index: Any) -> Any:
    return jnp.take(jnp.arange(5.0), index.astype(int))


@table.defjvp
def _(primals: Any, tangents: Any) -> Any:
    raise RuntimeError("a table has no derivative")


def within(context: Callable[[], AbstractContextManager[Any]], function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that enters a context of JAX's by itself."""

    def entered(x: Any) -> Any:
        with context():
            return function(x)

    return entered


def pushed_closing_over(make: Callable[[], Any]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        closed_over = make()
        rule = jax.custom_jvp(lambda y: jnp.sin(y) * closed_over)
        rule.defjvp(lambda primals, tangents: (rule(primals[0]), tangents[0] * closed_over * 7.0))
        return rule(x)

    return function


def pulled_closing_over(make: Callable[[], Any]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        closed_over = make()
        rule = jax.custom_vjp(lambda y: jnp.sin(y) * closed_over)
        rule.defvjp(lambda y: (jnp.sin(y) * closed_over, y), lambda y, cotangent: (cotangent * closed_over * 7.0,))
        return rule(x)

    return function


def through_a_converted_closure(x: Any) -> Any:
    array = jnp.arange(1.0, 4.0)
    converted, constants = jax.closure_convert(lambda y: jnp.sin(y) * array * x.sum(), x)

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def call(function: Any, y: Any, *rest: Any) -> Any:
        return function(y, *rest)

    call.defvjp(
        lambda function, y, *rest: (function(y, *rest), (y, rest)),
        lambda function, kept, cotangent: jax.vjp(function, kept[0], *kept[1])[1](cotangent),
    )
    return call(converted, x, *constants)


def told_of_zeros(x: Any) -> Any:
    rule = jax.custom_vjp(lambda a, b: a * b)

    def forward(a: Any, b: Any) -> Any:
        assert a.perturbed
        assert not b.perturbed
        return a.value * b.value, b.value

    rule.defvjp(forward, lambda b, cotangent: (cotangent * b * FACTOR[0], None), symbolic_zeros=True)
    return rule(x, ARRAY)


def with_a_callback_in_a_rule(x: Any) -> Any:
    def called(function: Any, y: Any) -> Any:
        return jax.pure_callback(function, jax.ShapeDtypeStruct(y.shape, y.dtype), y, vmap_method="sequential")

    rule = jax.custom_vjp(lambda y: called(np.sin, y))
    rule.defvjp(
        lambda y: (called(np.sin, y), y),
        lambda y, cotangent: (cotangent * called(lambda z: np.cos(z) * FACTOR[0], y),),
    )
    return rule(x)


def with_a_factor_that_changes_within(x: Any) -> Any:
    before, FACTOR[0] = FACTOR[0], FACTOR[0] + 7.0
    result = pushed(x)
    FACTOR[0] = before
    return result


def mapped_by_a_rule_of_its_own(x: Any) -> Any:
    array = jnp.arange(3.0)

    @jax.custom_batching.custom_vmap
    def function(y: Any) -> Any:
        return jnp.sin(y) * array

    @function.def_vmap
    def _(size: int, batched: Any, y: Any) -> Any:
        return jnp.sin(y) * array, batched[0]

    return function(x)


def scaled_by_a_callback(x: Any) -> Any:
    shape = jax.ShapeDtypeStruct((3,), x.dtype)
    return x * io_callback(lambda y: np.sin(y) * FACTOR[0], shape, ARRAY)


def root(x: Any) -> Any:
    array = jnp.arange(1.0, 4.0)
    return jax.lax.custom_root(
        lambda y: y * y - x**2 * array, x, lambda f, g: jnp.abs(x) * jnp.sqrt(array), lambda g, y: y / g(jnp.ones(3))
    )


def solved(x: Any) -> Any:
    array = jnp.arange(3.0, 6.0)
    solve = lambda matvec, b: b / (array + x)  # noqa: E731
    return jax.lax.custom_linear_solve(lambda y: (array + x) * y, x, solve, solve)


def kept_by(policy: Any) -> Callable[[Any], Any]:
    return lambda x: jax.checkpoint(lambda y: pushed(jnp.sin(y)), policy=policy)(x)


def relu_with_another_rule(x: Any) -> Any:
    function = jax.custom_jvp(jax.nn.relu)
    function.defjvps(lambda tangent, result, y: tangent * FACTOR[0])
    return function(x)


AROUND: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "alone": lambda f: f,
    "in jit": lambda f: lambda x: jax.jit(f)(x),
    "in checkpoint": lambda f: lambda x: jax.checkpoint(f)(x),
    "in vmap": lambda f: lambda x: jax.vmap(f)(x),
    "in a while of constants": lambda f: (
        lambda x: x * jax.lax.while_loop(lambda c: c.sum() < 1, lambda c: f(c) + 1, X * 0 + FACTOR[0])
    ),
    "without 64 bits": lambda f: within(lambda: jax.enable_x64(False), lambda x: f(x.astype("float32"))),
    "with a precision": lambda f: within(lambda: jax.default_matmul_precision("float32"), f),
}
LOOPS: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "in scan": lambda f: lambda x: jax.lax.scan(lambda c, k: (f(c) * k, c), x, jnp.arange(1.0, 3.0)),
    "in cond": lambda f: lambda x: jax.lax.cond(x[0] > 0, f, lambda y: y, x),
    "in switch": lambda f: lambda x: jax.lax.switch(1, [lambda y: y, f], x),
    "in fori_loop": lambda f: lambda x: jax.lax.fori_loop(0, 2, lambda i, c: f(c), x),
    "in map": lambda f: lambda x: jax.lax.map(f, x),
}
MADE: dict[str, Callable[[], Any]] = {
    "a number": lambda: FACTOR[0],
    "an array": lambda: ARRAY,
    "an array that it has made": lambda: jnp.arange(3.0) + FACTOR[0],
    "an array of NumPy": lambda: np.arange(3.0) + FACTOR[0],
}

BOTH_MODES: dict[str, Callable[[Any], Any]] = {
    **{f"a forward rule {name}": around(pushed) for name, around in AROUND.items()},
    **{f"a forward rule over {name}": pushed_closing_over(make) for name, make in MADE.items()},
    "a rule that raises, of a constant": lambda x: x * table(jnp.ones(3)),
    "a factor that changes within": with_a_factor_that_changes_within,
    "a rule for a function of JAX's": relu_with_another_rule,
    "custom_root": root,
    "custom_linear_solve": solved,
    "a policy": kept_by(lambda primitive, *args, **params: primitive.name == "sin"),
    "a policy of JAX's": kept_by(jax.checkpoint_policies.save_only_these_names("a")),
    "io_callback of a constant": scaled_by_a_callback,
    "pure_callback of a constant": lambda x: (
        x * jax.pure_callback(lambda y: np.sin(y) * FACTOR[0], jax.ShapeDtypeStruct((3,), x.dtype), ARRAY)
    ),
    "an ordered print": lambda x: (jax.debug.print("", ordered=True), jnp.sin(x) * FACTOR[0])[1],
    "custom_vmap within vmap": lambda x: jax.vmap(mapped_by_a_rule_of_its_own)(jnp.outer(x, x)),
    "a method of arrays alone": lambda x: x * float(jnp.full(3, FACTOR[0]).addressable_data(0)[0]),
    "a rank that must not be promoted": within(lambda: jax.numpy_rank_promotion("raise"), lambda x: jnp.sin(x) * 2.0),
}
REVERSE: dict[str, Callable[[Any], Any]] = {
    **{f"a backward rule {name}": around(pulled) for name, around in AROUND.items()},
    **{f"a backward rule over {name}": pulled_closing_over(make) for name, make in MADE.items()},
    "custom_gradient": jax.custom_gradient(lambda x: (x**2, lambda cotangent: (cotangent * x * FACTOR[0],))),
    "closure_convert": through_a_converted_closure,
    "a rule that is told of zeros": told_of_zeros,
    "a callback in a rule": with_a_callback_in_a_rule,
}
REVERSE_LOOPS: dict[str, Callable[[Any], Any]] = {
    **{f"a forward rule {name}": around(pushed) for name, around in LOOPS.items()},
    **{f"a backward rule {name}": around(pulled) for name, around in LOOPS.items()},
    "odeint": lambda x: odeint(lambda z, t: -z * FACTOR[0], x, jnp.arange(3.0)),
    "odeint of a constant": lambda x: odeint(lambda z, t: -z * x.sum(), ARRAY, jnp.arange(2.0)),
}


@pytest.mark.parametrize("name", [*BOTH_MODES, *REVERSE])
def test_rows_are_those_of_jax(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_follows({**BOTH_MODES, **REVERSE}[name], jacrev, jax.jacrev, monkeypatch)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", REVERSE_LOOPS)
def test_rows_through_loops_are_those_of_jax(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_follows(REVERSE_LOOPS[name], jacrev, jax.jacrev, monkeypatch)


def _step(carry: Any, _: Any) -> Any:
    return pulled(carry), None


BODIES: dict[str, Callable[[Any], Any]] = {
    "scan": lambda x: jax.lax.scan(_step, x, None, length=2)[0],
    "cond": lambda x: jax.lax.cond(x[0] > 0, pulled, jnp.cos, x),
    "jit": jax.jit(pulled),
    "checkpoint": jax.checkpoint(pulled),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_rule_in_a_body_that_jax_has_traced_before_is_followed_as_jax_follows_it(name: str) -> None:
    function = BODIES[name]
    for FACTOR[0] in (1.0, 5.0):
        expected = jax.jacrev(function)(X)
        for _ in range(CALLS):
            assert_same(jacrev(function)(X), expected)


@pytest.mark.parametrize("name", [*BOTH_MODES, "custom_vmap"])
def test_columns_are_those_of_jax(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function = BOTH_MODES.get(name, mapped_by_a_rule_of_its_own)
    assert_follows(function, jacfwd, jax.jacfwd, monkeypatch)


def test_columns_of_a_function_that_jax_cannot_linearize_are_complex_too_and_several() -> None:
    @jax.custom_batching.custom_vmap
    def product(y: Any, z: Any) -> Any:
        return y * z

    product.def_vmap(lambda size, batched, y, z: (y * z, batched[0] or batched[1]))
    z, transform = jnp.asarray([1.0 + 2.0j, -0.5j]), jacfwd(product, argnums=(0, 1), holomorphic=True)
    assert_same(transform(z, 2 * z), (jnp.diag(2 * z), jnp.diag(z)))


def test_the_first_call_of_odeint_is_right() -> None:
    gradient = anyjac.grad(lambda z: jnp.sum(odeint(lambda z, t: -z, z, jnp.arange(3.0))))(jnp.ones(2))
    np.testing.assert_allclose(gradient, np.full(2, np.exp([0.0, -1.0, -2.0]).sum()), rtol=1e-6)


def test_a_function_with_64_bits_of_its_own_is_as_in_jax() -> None:
    with jax.enable_x64(False):
        x = X.astype("float32")
        function = within(lambda: jax.enable_x64(True), lambda y: jnp.sin(y.astype("float64") * 1e-9) * 1e9)
        expected = jax.jacrev(function)(x)
        for _ in range(CALLS):
            assert_same(jacrev(function)(x), expected)


@pytest.mark.parametrize("function", [pushed, lambda x: jnp.sin(x) * 2.0], ids=["rule", "none"])
def test_a_function_that_enters_a_mesh_is_as_in_jax(function: Callable[[Any], Any]) -> None:
    mesh = jax.make_mesh((1,), ("a",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = lambda x: jax.lax.with_sharding_constraint(function(x), jax.sharding.PartitionSpec("a"))  # noqa: E731
    entered = within(lambda: mesh, spread)
    expected = jax.jacrev(entered)(X)
    for _ in range(CALLS):
        assert_same(jacrev(entered)(X), expected)


@pytest.mark.parametrize(
    "context",
    [
        lambda: jax.enable_x64(False),
        lambda: jax.default_matmul_precision("highest"),
        lambda: jax.numpy_rank_promotion("raise"),
    ],
    ids=["64 bits", "precision", "rank"],
)
def test_rules_run_within_the_contexts_of_their_function(context: Callable[[], Any]) -> None:
    def settings() -> Any:
        return jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision, jax.config.jax_numpy_rank_promotion

    seen = []
    rule = jax.custom_jvp(lambda x: x * 1)

    @rule.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        seen.append(settings())
        return primals[0] * 1, tangents[0] * 1

    with context():
        expected = settings()
    for _ in range(CALLS):
        jacrev(within(context, rule))(X.astype("float32"))
        assert seen[-1] == expected


def test_a_rule_reads_the_variables_of_the_call() -> None:
    scale = Variable(jnp.asarray(1.0))
    rule = jax.custom_jvp(lambda x: x * 1.0)
    rule.defjvp(lambda primals, tangents: (primals[0] * 1.0, tangents[0] * scale.value))

    def function(x: Any) -> Any:
        scale.value = scale.value * 2.0
        return rule(x)

    for number in range(1, CALLS + 1):
        np.testing.assert_array_equal(jacrev(function)(X), np.eye(3) * 2.0**number)
        assert float(scale) == 2.0**number


# ---- what is kept ----------------------------------------------------------------------------------------------------


class Model:
    """A function with a rule that reads an attribute."""

    def __init__(self, factor: float, through: Callable[[Callable[[Any], Any]], Callable[[Any], Any]] = lambda f: f):
        self.weight = jnp.full(3, 2.0)
        self.factor = factor
        self.seen: list[float] = []
        self._through = through

    def __call__(self, x: Any) -> Any:
        rule = jax.custom_jvp(lambda y: y * 1.0)

        @rule.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            self.seen.append(self.factor)
            return rule(primals[0]), tangents[0] * self.factor

        return self.weight * self._through(rule)(x) + rule(jnp.ones(3))


class PullingModel(Model):
    """The same, with a rule for rows."""

    def __call__(self, x: Any) -> Any:
        rule = jax.custom_vjp(lambda y: y * 1.0)

        def backward(_: None, cotangent: Any) -> Any:
            self.seen.append(self.factor)
            return (cotangent * self.factor,)

        rule.defvjp(lambda y: (y * 1.0, None), backward)
        return self.weight * rule(x)


@pytest.mark.parametrize("kind", [Model, PullingModel])
@pytest.mark.parametrize("clear", [False, True])
def test_a_program_that_is_traced_anew_calls_no_object_of_before(kind: type[Model], clear: bool) -> None:
    first, second = kind(1.0), kind(1.0)
    for _ in range(CALLS):
        jacrev(first)(X)
    first.factor, seen = 100.0, len(first.seen)
    with jax.default_matmul_precision("highest"):
        if clear:
            jax.clear_caches()
        np.testing.assert_array_equal(jacrev(second)(X), np.eye(3) * 2.0)
    assert len(first.seen) == seen
    assert second.seen


@pytest.mark.parametrize("transform", [jacrev, jacfwd])
def test_kept_programs_keep_no_model(transform: Any) -> None:
    def call(name: str) -> list[weakref.ref[Any]]:
        model = Model(1.0, AROUND[name])
        transform(model)(X)
        return [weakref.ref(model), weakref.ref(model.weight)]

    names = ("alone", "in jit", "in checkpoint")
    seen = [reference for name in names for _ in range(CALLS) for reference in call(name)]
    assert anyjac.cache_info("jax").hits
    jax.clear_caches()  # JAX itself keeps what it has traced for functions that are jitted
    gc.collect()
    assert [reference() for reference in seen] == [None] * len(seen)


def test_a_policy_is_not_kept() -> None:
    def call() -> weakref.ref[Thing]:
        thing = Thing()
        policy = lambda primitive, *args, **params: thing is None  # noqa: E731
        jacrev(lambda x: jax.checkpoint(lambda y: jnp.sin(jnp.sin(y)), policy=policy)(x))(X)
        return weakref.ref(thing)

    seen = [call() for _ in range(CALLS)]
    gc.collect()
    assert [reference() for reference in seen] == [None] * CALLS


def test_functions_with_rules_are_compiled_for_all_that() -> None:
    model = Model(1.0)
    for _ in range(CALLS):
        jacrev(model)(X)
    assert anyjac.cache_info("jax").hits == CALLS - CALLS_TO_COMPILE + 1


def test_a_function_with_rules_runs_once_in_each_call() -> None:
    runs = []

    def function(x: Any) -> Any:
        runs.append(0)
        return pushed(x)

    for made in range(1, CALLS + 1):
        jacrev(function)(X)
        assert len(runs) == made


def test_a_function_that_comes_to_a_rule_in_a_later_call_is_begun_again_once() -> None:
    runs = []

    def function(x: Any, rule: bool) -> Any:
        runs.append(0)
        return pushed(x) if rule else jnp.sin(x)

    for number, rule in enumerate([False, False, True, True, False], 1):
        np.testing.assert_allclose(jacrev(function)(X, rule), jax.jacrev(function)(X, rule))
        assert len(runs) == 2 * number + (number > 2)


def test_libraries_of_jax_are_kept_by_what_they_compute() -> None:
    for name in ("relu", "logsumexp", "silu"):
        anyjac.cache_clear("jax")
        runs = []

        def function(x: Any, name: str = name, runs: list[int] = runs) -> Any:
            runs.append(0)
            return getattr(jax.nn, name)(x) + jnp.logaddexp(x, 1.0)

        for made in range(1, CALLS + 1):
            jacrev(function)(X)
            assert len(runs) == made
        assert anyjac.cache_info("jax").hits == CALLS - CALLS_TO_COMPILE + 1
