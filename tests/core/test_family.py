"""The family of derivatives beyond the scenarios: its use, and the relations between its members."""

import copy
import dataclasses
import pickle
import re
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.arrays import made
from tests.helpers.cubes import cube_with_rule, right_rule
from tests.helpers.threads import run_in_threads

import anyjac
from anyjac import Backend, Variable

NAMES = ("autograd", "jax", "torch")


def cube_sum(x: Any) -> Any:
    return (x**3).sum()


MEMBERS: dict[str, Callable[..., Any]] = {
    name: getattr(anyjac, name)
    for name in ("grad", "vector_grad", "value_and_grad", "jacfwd", "jacobian", "jacrev", "hessian", "vjp", "linearize")
}

DECORATED = anyjac.hessian(cube_sum)


# ---- transforms as objects -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MEMBERS, "jvp", "hvp", "derivative"])
def test_a_member_says_what_it_is_and_decorates(name: str) -> None:
    member = getattr(anyjac, name)
    decorated = member(argnums=(0,))(cube_sum)
    assert repr(decorated) == f"{name}(cube_sum, argnums=(0,))"
    assert decorated.__wrapped__ is cube_sum
    assert decorated.__name__ == "cube_sum"


def test_copies_and_pickles_compute_the_same() -> None:
    x = np.array([1.0, 2.0])
    for other in (copy.copy(DECORATED), copy.deepcopy(DECORATED), pickle.loads(pickle.dumps(DECORATED))):
        np.testing.assert_array_equal(other(x), np.diag([6.0, 12.0]))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_method_is_bound(name: str) -> None:
    class Model:
        weight = 2.0

        def energy(self, x: Any) -> Any:
            return self.weight * cube_sum(x)

        transform = MEMBERS[name](energy)

    bound = Model().transform(np.array([1.0, 2.0]))
    free = MEMBERS[name](Model().energy)(np.array([1.0, 2.0]))
    if name in ("vjp", "linearize"):
        assert float(bound.value) == float(free.value) == 18.0
    else:
        for one, other in zip(_leaves(bound), _leaves(free), strict=True):
            np.testing.assert_array_equal(one, other)


def test_only_the_name_of_the_mode_that_was_taken_is_remembered() -> None:
    tall = anyjac.jacobian(lambda x: np.ones((20, 2)) @ x)
    wide = anyjac.jacobian(lambda x: np.ones((2, 20)) @ x)
    assert repr(tall) == "jacobian(<lambda>)"
    tall(np.ones(2))
    wide(np.ones(20))
    assert [repr(tall), repr(wide)] == ["jacobian(<lambda>) (took 'fwd')", "jacobian(<lambda>) (took 'rev')"]
    assert repr(anyjac.jacobian(cube_sum, mode="rev")) == "jacobian(cube_sum, mode='rev')"


@pytest.mark.parametrize("wrap", [lambda f: f, anyjac.jit], ids=["plain", "compiled"])
@pytest.mark.parametrize("member", [anyjac.jacobian, anyjac.derivative])
def test_a_function_with_a_rule_for_rows_alone_is_differentiated_by_rows(
    backend: Backend, member: Any, wrap: Any
) -> None:
    x = backend.asarray(np.array(2.0))
    xp, cube = backend.namespace, cube_with_rule(backend, right_rule, once=True)
    runs: list[int] = []

    def cubes(x: Any) -> Any:
        runs.append(1)
        return xp.stack([cube(x)] * 20)

    transform = member(cubes)
    np.testing.assert_array_equal(np.asarray(wrap(transform)(x)), np.full(20, 12.0))
    assert wrap is anyjac.jit or runs == [1]


@pytest.mark.parametrize("name", ["grad", "jacfwd", "hessian", "jacobian"])
def test_rows_and_the_linear_operator_are_those_of_the_derivative(name: str) -> None:
    x = np.array([1.0, 2.0])
    transform = MEMBERS[name](cube_sum)
    expected = np.atleast_2d(transform(x))
    rows = np.concatenate([np.atleast_2d(each.block) for each in transform.rows(x)])
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(transform.as_linear_operator(x) @ np.ones(2), expected @ np.ones(2))


def test_the_rows_of_a_hessian_have_the_gradient_as_their_value() -> None:
    rows = anyjac.hessian(lambda x: (cube_sum(x), "aux"), has_aux=True).rows(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(rows.value, [3.0, 12.0])
    assert rows.aux == "aux"


@pytest.mark.parametrize("name", ["vector_grad", "vjp", "jvp", "hvp", "linearize"])
def test_what_is_no_jacobian_has_no_rows(name: str) -> None:
    transform = getattr(anyjac, name)(cube_sum)
    with pytest.raises(anyjac.NotSupportedError, match=f"{name} has no rows"):
        transform.rows(np.ones(2))
    with pytest.raises(anyjac.NotSupportedError, match=f"{name} has no as_linear_operator"):
        transform.as_linear_operator(np.ones(2))


# ---- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "hvp"])
def test_an_output_that_is_no_scalar_is_named_by_its_shape(name: str, backend: Backend) -> None:
    x = made(backend, [1.0, 2.0])
    args = (x, x) if name == "hvp" else (x,)
    with pytest.raises(anyjac.OutputError, match=re.escape(f"{name} needs a function that returns a scalar")) as raised:
        getattr(anyjac, name)(lambda x: 2 * x)(*args)
    assert "shape (2,)" in str(raised.value)


@pytest.mark.parametrize(
    ("tangents", "error", "said"),
    [
        ({"a": 1.0}, ValueError, "tangents"),
        ({"a": 1.0, "b": np.ones(3)}, ValueError, "tangents['b'] has shape (3,), and its input has (2,)"),
        ({"a": 1j, "b": np.ones(2)}, TypeError, "tangents['a'] is complex128, and its input is float64"),
        ({"a": "x", "b": np.ones(2)}, TypeError, "tangents['a'] is 'x', of type str"),
    ],
)
def test_tangents_that_do_not_fit_are_named(tangents: Any, error: type[Exception], said: str) -> None:
    point = {"a": 1.0, "b": np.ones(2)}
    f = lambda p: p["a"] * p["b"]  # noqa: E731
    for product in (anyjac.jvp(f, backend="numpy"), anyjac.hvp(lambda p: f(p).sum(), backend="numpy")):
        with pytest.raises(error, match=re.escape(said)):
            product(tangents, point)
    with pytest.raises(error, match=re.escape(said)):
        anyjac.linearize(f, backend="numpy")(point)(tangents)


def test_a_tensor_of_another_framework_is_refused_as_a_tangent() -> None:
    tensor = made(anyjac.get_backend("torch"), [1.0, 2.0])
    with pytest.raises(anyjac.MixedBackendsError, match="torch"):
        anyjac.linearize(cube_sum)(np.ones(2))(tensor)


def test_products_that_outlive_the_call_around_them_are_refused(backend: Backend) -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept[:] = [anyjac.vjp(lambda y: y * y)(x), anyjac.linearize(lambda y: y * y)(x)]
        return x * 2.0

    anyjac.jacrev(f)(made(backend, 3.0))
    for product in kept:
        with pytest.raises(anyjac.TracerLeakError, match="has ended"):
            product(1.0)


def test_an_error_in_any_member_leaves_variables_as_they_were(backend: Backend) -> None:
    v = Variable(made(backend, 2.0))

    def f(x: Any) -> Any:
        v.value = v * 2.0
        raise ZeroDivisionError("mine")

    x = made(backend, 1.0)
    for name in [*MEMBERS, "derivative"]:
        with pytest.raises(ZeroDivisionError, match="mine"):
            getattr(anyjac, name)(f)(x)
    for name in ("jvp", "hvp"):
        with pytest.raises(ZeroDivisionError, match="mine"):
            getattr(anyjac, name)(f)(x, x)
    assert float(v) == 2.0


# ---- one another ---------------------------------------------------------------------------------------------------


def _flow(backend: Backend, w: Variable) -> Callable[..., Any]:
    xp = backend.namespace

    def f(d: Any, s: Any) -> Any:
        return {"y": xp.tanh(w.value * d["a"]) * s, "z": [xp.sum(d["a"] * d["b"]) * w.value[0] + s * s]}

    return f


@settings(deadline=None, max_examples=15)
@given(data=st.data(), name=st.sampled_from(NAMES), size=st.sampled_from([None, 1, 2]))
def test_rows_columns_and_products_agree(data: Any, name: str, size: int | None) -> None:
    backend = anyjac.get_backend(name)
    number = st.floats(-2, 2, width=32)
    vector = st.lists(number, min_size=3, max_size=3)
    w = Variable(made(backend, data.draw(vector)))
    point = (
        {"a": made(backend, data.draw(vector)), "b": made(backend, data.draw(vector))},
        made(backend, data.draw(number)),
    )
    f = _flow(backend, w)
    by_rows = anyjac.jacrev(f, w, (0, 1), chunk_size=size)(*point)
    for other in (anyjac.jacfwd(f, w, (0, 1), chunk_size=size), anyjac.jacobian(f, w, (0, 1))):
        _assert_same(backend, other(*point), by_rows)

    tangents = (
        made(backend, data.draw(vector)),
        (
            {"a": made(backend, data.draw(vector)), "b": made(backend, data.draw(vector))},
            made(backend, data.draw(number)),
        ),
    )
    cotangents = {"y": made(backend, data.draw(vector)), "z": [made(backend, data.draw(number))]}
    pushed = anyjac.jvp(f, w, (0, 1))(tangents, *point)
    _assert_same(backend, anyjac.linearize(f, w, (0, 1))(*point)(tangents), pushed)
    pulled = anyjac.vjp(f, w, (0, 1))(*point)(cotangents)
    np.testing.assert_allclose(_dot(backend, cotangents, pushed), _dot(backend, pulled, tangents), rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=10)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_a_hessian_is_symmetric_and_its_products_are_those_of_hvp(data: Any, name: str) -> None:
    backend = anyjac.get_backend(name)
    xp = backend.namespace
    vector = st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3)
    x, v, c = (made(backend, data.draw(vector)) for _ in range(3))
    f = lambda x: xp.sum(xp.sin(x * c)) * xp.sum(x * x)  # noqa: E731
    matrix = backend.to_numpy(anyjac.hessian(f)(x))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(matrix, backend.to_numpy(anyjac.jacrev(anyjac.grad(f))(x)), atol=1e-12)
    np.testing.assert_allclose(matrix @ backend.to_numpy(v), backend.to_numpy(anyjac.hvp(f)(v, x)), atol=1e-12)


def test_a_variable_that_stands_twice_takes_the_sum_of_its_tangents(backend: Backend) -> None:
    v = Variable(made(backend, 3.0))
    one = made(backend, 1.0)
    assert float(anyjac.jvp(lambda: v * v, [v, v])([one, one])) == 12.0


def test_threads_share_a_pullback(backend: Backend) -> None:
    pullback = anyjac.vjp(lambda x: x * x)(made(backend, np.arange(50.0)))

    def pull(factor: float) -> None:
        for _ in range(20):
            found = backend.to_numpy(pullback(made(backend, np.full(50, factor))))
            np.testing.assert_array_equal(found, 2 * factor * np.arange(50.0))

    run_in_threads([partial(pull, float(factor)) for factor in range(4)])


# ---- across backends -----------------------------------------------------------------------------------------------


def rosenbrock(x: Any) -> Any:
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def test_the_hessian_of_rosenbrock_in_a_thousand_dimensions_agrees_with_mathematics() -> None:
    x = np.linspace(-1.0, 1.0, 1000)
    diagonal = np.zeros(1000)
    diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal[1:] += 200
    expected = np.diag(diagonal) - np.diag(400 * x[:-1], 1) - np.diag(400 * x[:-1], -1)
    for name in NAMES:
        backend = anyjac.get_backend(name)
        found = backend.to_numpy(anyjac.hessian(rosenbrock)(made(backend, x)))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_hessian_of_a_perceptrons_loss_agrees_across_backends() -> None:
    random = np.random.default_rng(0)
    weights = [random.normal(size=shape) for shape in ((4, 3), (4,), (2, 4), (2,))]
    batch, targets = random.normal(size=(5, 3)), random.normal(size=(5, 2))
    found = {}
    for name in NAMES:
        backend = anyjac.get_backend(name)
        xp = backend.namespace
        w1, b1, w2, b2 = variables = [Variable(made(backend, weight)) for weight in weights]
        x, y = made(backend, batch), made(backend, targets)

        def loss(xp: Any = xp, x: Any = x, y: Any = y, w1: Any = w1, b1: Any = b1, w2: Any = w2, b2: Any = b2) -> Any:
            hidden = xp.tanh(x @ w1.value.T + b1.value)
            return xp.mean((hidden @ w2.value.T + b2.value - y) ** 2)

        blocks = anyjac.hessian(loss, variables)()
        found[name] = np.block(
            [
                [
                    backend.to_numpy(block).reshape(row.size, column.size)
                    for block, column in zip(line, weights, strict=True)
                ]
                for line, row in zip(blocks, weights, strict=True)
            ]
        )
    np.testing.assert_allclose(found["jax"], found["autograd"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["torch"], found["autograd"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["autograd"], found["autograd"].T, rtol=0, atol=1e-12)


# ---- helpers -------------------------------------------------------------------------------------------------------


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for each in tree for leaf in _leaves(each)]
    return [tree]


def _assert_same(backend: Backend, one: Any, other: Any) -> None:
    for left, right in zip(_leaves(one), _leaves(other), strict=True):
        np.testing.assert_allclose(backend.to_numpy(left), backend.to_numpy(right), rtol=1e-9, atol=1e-12)


def _dot(backend: Backend, one: Any, other: Any) -> float:
    pairs = zip(_leaves(one), _leaves(other), strict=True)
    return sum(float(np.sum(backend.to_numpy(left) * backend.to_numpy(right))) for left, right in pairs)


def test_the_hessian_of_several_outputs_is_that_of_jax(backend: Backend) -> None:
    jax = pytest.importorskip("jax")

    def of(xp: Any) -> Any:
        return lambda d: {"a": d["x"] ** 2 * d["y"], "b": [xp.sum(d["x"]) * d["y"] ** 3]}

    point = {"x": np.array([1.0, 2.0]), "y": np.array(3.0)}
    expected = jax.hessian(of(jax.numpy))(point)
    found = anyjac.hessian(of(backend.namespace))({name: made(backend, value) for name, value in point.items()})
    leaves, structure = jax.tree.flatten(expected)
    ours = structure.flatten_up_to(found)
    for mine, theirs in zip(ours, leaves, strict=True):
        np.testing.assert_allclose(backend.to_numpy(mine), theirs, rtol=1e-12)
        assert tuple(mine.shape) == theirs.shape


def test_the_gradient_of_numbers_alone_is_zero(backend: Backend) -> None:
    x = made(backend, [1.0, 2.0])
    for output in (1.5, {"a": 1.5, "b": np.ones(2)} if backend.name != "autograd" else (1.5, 2.5)):
        np.testing.assert_array_equal(backend.to_numpy(anyjac.vector_grad(lambda x, y=output: y)(x)), [0.0, 0.0])


class Bag(dict[str, Any]):
    """A kind of dict that no tree library knows."""


@dataclasses.dataclass(frozen=True)
class Report:
    loss: Any
    name: str = "report"
    rest: Any = None


@pytest.mark.parametrize("wrap", [lambda f: f, anyjac.jit], ids=["plain", "compiled"])
def test_aux_data_in_objects_that_no_tree_library_knows_comes_back_untraced(backend: Backend, wrap: Any) -> None:
    xp, x = backend.namespace, made(backend, [1.0, 2.0])
    kept = Report(1.0)

    def f(x: Any) -> Any:
        return xp.sum(x * x), [Bag(a=x), Report(2.0 * x, rest=Report(x)), types.SimpleNamespace(y=x, n="a"), kept]

    _, (bag, report, space, same) = wrap(anyjac.grad(f, has_aux=True))(x)
    arrays = [bag["a"], report.loss, report.rest.loss, space.y]
    assert [type(bag), type(report), report.name, space.n] == [Bag, Report, "report", "a"]
    for array, factor in zip(arrays, (1, 2, 1, 1), strict=True):
        assert backend.is_array(array)
        assert not backend.is_traced(array)
        np.testing.assert_array_equal(backend.to_numpy(array), factor * np.array([1.0, 2.0]))
    assert same is kept


def test_aux_data_that_holds_itself_comes_back_as_it_was() -> None:
    ring = types.SimpleNamespace(n=1.0)
    ring.ring = [ring]
    assert anyjac.grad(lambda x: (x * x, ring), has_aux=True)(np.array(1.0))[1] is ring


def test_an_array_in_the_place_of_a_pair_is_called_an_array(array: Any) -> None:
    with pytest.raises(anyjac.OutputError, match=r"it returned an array$"):
        anyjac.grad(lambda x: x, has_aux=True)(array(1.0))
