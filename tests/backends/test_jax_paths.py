"""Features of JAX alone: compiled code inside and around, its own trees, custom rules, control flow, devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anyjac
from anyjac import Variable, jacrev


def test_compiled_around_a_call_that_writes_a_variable_the_write_is_refused_by_name() -> None:
    state = Variable(jnp.zeros(2), name="state")

    def f(x: Any) -> Any:
        state.value = 2 * x
        return x * x

    with pytest.raises(anyjac.TracerLeakError, match="'state'"):
        jax.jit(jacrev(f))(jnp.ones(2))
    assert np.array_equal(state.value, [0.0, 0.0])


def test_a_write_inside_an_inner_jit_is_refused_by_name_and_nothing_is_stored() -> None:
    state = Variable(jnp.zeros(2), name="state")

    def f(x: Any) -> Any:
        @jax.jit
        def inner(y: Any) -> Any:
            state.value = 2 * y
            return y * y

        return inner(x)

    with pytest.raises(anyjac.TracerLeakError, match="'state'"):
        jacrev(f)(jnp.ones(2))
    assert np.array_equal(state.value, [0.0, 0.0])


def test_a_counter_under_jit_is_refused_since_it_would_count_traces_and_not_calls() -> None:
    count = Variable(jnp.asarray(0), name="count")

    def f(x: Any) -> Any:
        count.value += 1
        return x * x

    with pytest.raises(anyjac.TracerLeakError, match="'count'"):
        jax.jit(jacrev(f))(jnp.ones(2))
    assert count.value == 0


@pytest.mark.parametrize("inner", [jax.grad, jax.jacrev, jax.jacfwd])
def test_transforms_of_jax_inside_and_around(inner: Any) -> None:
    f = lambda x: x**3  # noqa: E731
    assert inner(jacrev(f))(jnp.asarray(2.0)) == 12.0
    assert jacrev(inner(f))(jnp.asarray(2.0)) == 12.0


def test_vmap_of_a_call_with_variables_in_both_places() -> None:
    w = Variable(jnp.asarray([2.0, 3.0]))
    of_w, of_x = jax.vmap(jacrev(lambda x: w * x, w, 0))(jnp.asarray([[1.0, 2.0], [3.0, 4.0]]))
    assert np.array_equal(of_w, np.stack([np.diag([1.0, 2.0]), np.diag([3.0, 4.0])]))
    assert np.array_equal(of_x, np.stack([np.diag([2.0, 3.0])] * 2))


def test_loops_and_branches_of_jax() -> None:
    def f(x: Any) -> Any:
        y, _ = jax.lax.scan(lambda carry, _: (carry * x, None), x, length=2)
        return jax.lax.cond(x[0] > 0, lambda: y, lambda: 2 * y)

    assert np.array_equal(jacrev(f)(jnp.asarray([2.0, 3.0])), np.diag([12.0, 27.0]))
    assert np.array_equal(jacrev(f)(jnp.asarray([-2.0, 3.0])), np.diag([24.0, 54.0]))


def test_a_variable_read_inside_a_loop_is_differentiated() -> None:
    w = Variable(jnp.asarray(2.0))
    f = lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y * w.value, x)  # noqa: E731
    of_w, of_x = jacrev(f, w, 0)(5.0)
    assert (of_w, of_x) == (60.0, 8.0)


def test_custom_rules_are_used() -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return x

    f.defvjp(lambda x: (x, None), lambda _, g: (7 * g,))
    assert np.array_equal(jacrev(f)(jnp.ones(2)), 7 * np.eye(2))


def test_a_function_that_branches_on_values_works() -> None:
    f = lambda x: x * 2 if x[0] > 0 else x * 3  # noqa: E731
    assert np.array_equal(jacrev(f)(jnp.asarray([1.0, 1.0])), 2 * np.eye(2))
    assert np.array_equal(jacrev(f)(jnp.asarray([-1.0, 1.0])), 3 * np.eye(2))


@jax.tree_util.register_pytree_with_keys_class
class State:
    """A container that only JAX's registry knows."""

    def __init__(self, v: Any, name: str) -> None:
        self.v, self.name = v, name

    def tree_flatten_with_keys(self) -> Any:
        return [(jax.tree_util.GetAttrKey("v"), self.v)], self.name

    @classmethod
    def tree_unflatten(cls, name: str, children: Any) -> "State":
        return cls(*children, name)


def test_containers_of_jax_s_registry_are_trees() -> None:
    f = lambda state: State(3 * state.v["a"], "out")  # noqa: E731
    jacobian, value = jacrev(f, return_value=True)(State({"a": jnp.ones(2)}, "in"))
    assert isinstance(jacobian, State)
    assert jacobian.name == "out"
    assert jacobian.v.name == "in"
    assert np.array_equal(jacobian.v.v["a"], 3 * np.eye(2))
    assert np.array_equal(value.v, [3.0, 3.0])


def test_functions_of_jax_numpy_take_variables_traced_and_plain() -> None:
    v = Variable(jnp.asarray([1.0, 2.0]))
    assert np.allclose(jnp.sin(v), np.sin([1.0, 2.0]))
    assert np.allclose(jacrev(lambda: jnp.sin(v), v)(), np.diag(np.cos([1.0, 2.0])))
    assert np.allclose(jax.jit(lambda w: w * 2)(v), [2.0, 4.0])


def test_prng_keys_and_other_arguments_pass_untouched() -> None:
    key = jax.random.key(0)
    f = lambda x, key: x * jax.random.normal(key, x.shape)  # noqa: E731
    assert np.allclose(jacrev(f)(jnp.ones(2), key), np.diag(jax.random.normal(key, (2,))))


def test_without_64_bit_a_python_float_is_float32() -> None:
    with jax.enable_x64(False):
        assert jacrev(lambda x: x * 2, backend="jax")(1.0).dtype == np.float32


def test_arrays_of_another_device_are_never_moved_in_silence() -> None:
    here, there = jax.devices("cpu")[:2]
    x = jax.device_put(jnp.asarray([1.0, 2.0]), there)
    assert jacrev(lambda x: x * 2)(x).devices() == {there}
    assert jacrev(lambda x: x * 2, device=here)(x).devices() == {here}


def test_a_variable_stays_on_the_device_that_it_was_made_with_though_another_is_the_default() -> None:
    here, there = jax.devices("cpu")[:2]
    v = Variable(jnp.asarray([1.0, 2.0]), device=here)
    with jax.default_device(there):
        assert jnp.sin(v).devices() == {here}
        assert jacrev(lambda x: x * v, backend="jax")(2.0).devices() == {here}


def test_sharded_arrays_give_the_right_jacobian() -> None:
    mesh = jax.make_mesh((4,), ("i",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("i"))
    x = jax.device_put(jnp.arange(4.0), sharding)
    assert np.array_equal(jacrev(lambda x: x**2)(x), np.diag([0.0, 2.0, 4.0, 6.0]))


@jax.custom_vjp
def cube_by_rows(x: Any) -> Any:
    return x**3


cube_by_rows.defvjp(lambda x: (cube_by_rows(x), x), lambda x, g: (3 * x**2 * g,))

WITH_A_RULE_FOR_ROWS: dict[str, Any] = {
    # the sum of x^3 in each of them
    "alone": lambda x: jnp.sum(cube_by_rows(x)),
    "beside others": lambda x: jnp.sum(cube_by_rows(x) * x / x),
    "in jit": jax.jit(lambda x: jnp.sum(cube_by_rows(x))),
    "in scan": lambda x: jax.lax.scan(lambda total, y: (total + cube_by_rows(y), None), x[0] * 0, x)[0],
    "in cond": lambda x: jnp.sum(jax.lax.cond(x[0] > 0, cube_by_rows, lambda x: x**3, x)),
    "in vmap": lambda x: jnp.sum(jax.vmap(cube_by_rows)(x)),
    "in checkpoint": jax.checkpoint(lambda x: jnp.sum(cube_by_rows(x))),
}


@pytest.mark.parametrize("f", WITH_A_RULE_FOR_ROWS.values(), ids=WITH_A_RULE_FOR_ROWS)
def test_a_product_with_the_hessian_goes_by_rows_where_a_rule_knows_nothing_of_tangents(f: Any) -> None:
    x, v = jnp.asarray([1.0, 2.0]), jnp.asarray([1.0, 10.0])
    product = anyjac.hvp(f)
    assert np.allclose(product(v, x), [6.0, 120.0])
    assert repr(product).endswith("(took 'rev')")
    assert np.allclose(product(v, x), [6.0, 120.0])
    hessian = anyjac.hessian(f)
    assert np.allclose(hessian(x), np.diag([6.0, 12.0]))
    assert "(took '" in repr(hessian)


def test_that_product_is_packed_as_any_other() -> None:
    w = Variable(jnp.asarray(2.0))
    f = lambda p, n: jnp.sum(cube_by_rows(w * p["a"])) * p["b"] + n * 0  # noqa: E731
    point, n = {"b": jnp.asarray(1.0), "a": jnp.asarray([1.0, 1.0])}, jnp.asarray(3)
    along = {"b": jnp.asarray(1.0), "a": jnp.asarray([1.0, 0.0])}
    nothing = np.zeros((), anyjac.float0)
    (by_w, by_w_again), (by_p, by_n) = anyjac.hvp(f, [w, w], (0, 1), allow_int=True)(
        ([jnp.asarray(0.5), jnp.asarray(0.5)], (along, nothing)), point, n
    )
    # f = 2 w^3 a^3 b: by b 2 w^3, by w 6 w^2 b, by one of the a 3 w^3 a^2 b
    assert np.allclose([by_w, by_w_again], 24 + 24 + 36)
    assert np.allclose(by_p["b"], 24 + 24)
    assert np.allclose(by_p["a"], [36 + 24 + 48, 36 + 24])
    assert by_n.dtype == anyjac.float0


def test_a_complex_product_is_that_of_forward_mode() -> None:
    z, v = jnp.asarray([1 + 2j, -1 + 0.5j]), jnp.asarray([0.3 - 1j, 2 + 1j])
    f = lambda z: jnp.sum(cube_by_rows(z) * z[0])  # noqa: E731
    product = anyjac.hvp(f, holomorphic=True)(v, z)
    assert np.allclose(product, jax.hessian(lambda z: jnp.sum(z**3 * z[0]), holomorphic=True)(z) @ v)


def test_only_the_first_such_call_runs_the_function_again_and_no_write_is_lost_or_doubled() -> None:
    runs, count = [], Variable(jnp.asarray(0))

    def f(x: Any) -> Any:
        runs.append(1)
        count.value += 1
        return jnp.sum(cube_by_rows(x))

    for expected in (2, 3, 4):
        anyjac.hvp(f, has_aux=False)(jnp.ones(2), jnp.ones(2))
        assert len(runs) == expected
    assert count.value == 3


FORWARD: dict[str, Any] = {
    "jacfwd": lambda f, x: anyjac.jacfwd(f)(x),
    "jvp": lambda f, x: anyjac.jvp(f)(x, x),
    "linearize": lambda f, x: anyjac.linearize(f)(x)(x),
}


@pytest.mark.parametrize("transform", FORWARD.values(), ids=FORWARD)
def test_forward_mode_names_the_rule_that_it_lacks(transform: Any) -> None:
    with pytest.raises(anyjac.ForwardRuleError, match=r"jax\.custom_vjp"):
        transform(cube_by_rows, jnp.ones(2))


def _forward_rule(x: Any) -> Any:
    rule = jax.custom_jvp(jnp.sin)
    rule.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), 2.0 * tangents[0]))
    return rule(x)


UNDER_LEAK_CHECKS: dict[str, tuple[Any, Any]] = {
    "grad": (anyjac.grad, lambda x: (x**2).sum()),
    "value_and_grad": (anyjac.value_and_grad, lambda x: (x**2).sum()),
    "jacrev": (jacrev, lambda x: {"a": x**2, "b": (x, 3.0)}),
    "jacrev of a rule": (jacrev, _forward_rule),
    "jacrev with aux data": (lambda f: jacrev(f, has_aux=True), lambda x: (x**2, {"a": x, "b": (x, 1.0)})),
    "jacfwd": (anyjac.jacfwd, lambda x: x**2),
    "hessian": (anyjac.hessian, lambda x: (x**3).sum()),
    "vmap": (anyjac.vmap, lambda x: {"a": x**2}),
    "vmap of grad": (lambda f: anyjac.vmap(anyjac.grad(f)), lambda x: x**2),
    "grad of jit": (lambda f: anyjac.grad(lambda x: anyjac.jit(f)(x).sum()), lambda x: x**2),
    "jit of grad": (lambda f: anyjac.jit(anyjac.grad(f)), lambda x: (x**2).sum()),
    "vjp": (lambda f: lambda x: anyjac.vjp(f)(x)(x), lambda x: x**2),
    "jvp": (lambda f: lambda x: anyjac.jvp(f)(x, x), lambda x: x**2),
    "linearize": (lambda f: lambda x: anyjac.linearize(f)(x)(x), lambda x: x**2),
}


@pytest.mark.parametrize("name", UNDER_LEAK_CHECKS)
def test_nothing_is_kept_of_a_trace_that_is_over(name: str) -> None:
    transform, function = UNDER_LEAK_CHECKS[name]
    runs = []
    read, written = Variable(jnp.ones(2)), Variable(jnp.zeros(2))

    def counted(x: Any) -> Any:
        runs.append(0)
        if "vmap" in name or "jit" in name:
            return function(x)
        written.value = written + x
        return function(x * read)

    x = jnp.asarray([1.0, 2.0])
    expected = transform(function)(x)
    anyjac.cache_clear("jax")
    with jax.checking_leaks():
        for _ in range(2):
            found = transform(counted)(x)
    assert len(runs) == 2
    assert jax.tree.all(jax.tree.map(np.allclose, found, expected))
