"""`vmap` beyond the scenarios: its errors, its repr, methods, copies, and the results of the frameworks' own maps."""

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.arrays import made

import anyjac
from anyjac import Backend, InputTypeError, InputValueError, OutputError, Variable, grad, jacrev, jit, vmap

BATCH = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def cubed(x: Any) -> Any:
    return x**3


CUBED = vmap(cubed)


@vmap
def doubled(x: Any) -> Any:
    """Twice as much."""
    return 2 * x


# ---- as a callable -------------------------------------------------------------------------------------------------


def test_a_decorated_function_keeps_its_name_and_says_how_it_is_mapped() -> None:
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Twice as much.")
    assert repr(doubled) == "vmap(doubled)"
    both = vmap(jacrev(cubed), in_axes=(1,), out_axes=-1, backend="jax", chunk_size=2)
    assert repr(both) == "vmap(jacrev(cubed), in_axes=(1,), out_axes=-1, backend='jax', chunk_size=2)"


def test_it_is_a_decorator_with_options() -> None:
    @vmap(in_axes=(0, None), backend="numpy")
    def scaled(x: Any, factor: float) -> Any:
        return x * factor

    np.testing.assert_array_equal(scaled(np.array([1.0, 2.0]), 3.0), [3.0, 6.0])


def test_methods_have_self_bound() -> None:
    class Model:
        def __init__(self) -> None:
            self.weight = Variable(np.array([1.0, 2.0]))

        @vmap
        def predict(self, x: Any) -> Any:
            return (self.weight * x).sum()

    np.testing.assert_array_equal(Model().predict(BATCH), BATCH @ [1.0, 2.0])


def test_it_is_copied_and_pickled_with_its_function() -> None:
    for other in (copy.copy(CUBED), copy.deepcopy(CUBED), pickle.loads(pickle.dumps(CUBED))):
        np.testing.assert_array_equal(other(BATCH), BATCH**3)
    assert pickle.loads(pickle.dumps(doubled)) is doubled


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"in_axes": 1.0}, InputTypeError, "in_axes must hold ints, None and nothing else, and has 1.0"),
        ({"in_axes": (0, True)}, InputTypeError, "in_axes must hold ints, None and nothing else, and has True"),
        ({"out_axes": "0"}, InputTypeError, "out_axes must hold ints, None and nothing else, and has '0'"),
        ({"kwarg_axes": [0]}, InputTypeError, "kwarg_axes must be an int, None, or a dict"),
        ({"kwarg_axes": {"y": 1.0}}, InputTypeError, "kwarg_axes must hold ints, None and nothing else, and has 1.0"),
        ({"chunk_size": 0}, InputValueError, "chunk_size must be a positive int or None, not 0"),
        ({"randomness": "diferent"}, InputValueError, "randomness must be 'error', 'different' or 'same', not 'difer"),
        ({"randomness": True}, InputTypeError, "randomness must be 'error', 'different' or 'same', not True"),
        ({"randomness": None}, InputTypeError, "randomness must be 'error', 'different' or 'same', not None"),
        ({"backend": 3}, InputTypeError, "backend must be a name or a Backend, not 3"),
    ],
)
def test_options_that_mean_nothing_are_refused_when_it_is_made(
    options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        vmap(cubed, **options)


def test_what_is_not_callable_is_refused() -> None:
    with pytest.raises(InputTypeError, match=re.escape("vmap needs a callable, not 3")):
        vmap(3)  # type: ignore[arg-type]


# ---- errors in the call ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "args", "said"),
    [
        ({"in_axes": (0, None)}, (BATCH,), "in_axes=(0, None) has 2 entries, and the call 1 arguments"),
        ({"in_axes": None}, (BATCH,), "vmap needs an argument to map over, and in_axes or the arguments name none"),
        ({}, (), "vmap needs an argument to map over"),
        ({}, (3.0,), "argument 0 has shape (), and no axis 0 to map over"),
        ({}, ({"a": BATCH, "b": BATCH[:2]},), "argument 0['b'] has 2 elements along the axis to map over"),
        ({"kwarg_axes": {"y": 0}}, (BATCH,), "kwarg_axes names 'y', and the call has no keyword argument of this name"),
        ({"in_axes": ({"a": 0},)}, ({"b": BATCH},), "in_axes has {'a': 0}, which is no prefix"),
        ({"out_axes": 5}, (BATCH,), "output has shape (3, 2) with the mapped axis in front, and that cannot be axis 5"),
    ],
)
def test_axes_that_do_not_fit_the_arguments_are_named(
    options: dict[str, Any], args: tuple[Any, ...], said: str
) -> None:
    with pytest.raises(InputValueError, match=re.escape(said)):
        vmap(lambda *args: args[0], **options)(*args)


def test_results_of_two_shapes_are_named() -> None:
    with pytest.raises(
        OutputError, match=re.escape("output['a'] has shape (2,) for one example, and (1,) for another")
    ):
        vmap(lambda x: {"a": x[: int(x[0])]})(np.array([[1.0, 2.0], [2.0, 1.0]]))


# ---- random numbers --------------------------------------------------------------------------------------------------


def test_randomness_is_shown_and_kept_in_pickles() -> None:
    same = vmap(cubed, randomness="same", chunk_size=2)
    assert repr(same) == "vmap(cubed, chunk_size=2, randomness='same')"
    assert repr(pickle.loads(pickle.dumps(same))) == repr(same)
    assert repr(vmap(cubed, randomness="different")) == "vmap(cubed)"


@pytest.mark.parametrize("randomness", ["same", "error"])
@pytest.mark.parametrize("batch", [BATCH, BATCH[:0]])
def test_a_loop_that_sees_no_random_numbers_promises_nothing_of_them(randomness: Any, batch: Any) -> None:
    said = (
        f"backend 'autograd' cannot see the random numbers that a function draws, which randomness='{randomness}' needs"
    )
    with pytest.raises(NotImplementedError, match=f"{said}.*draw numbers before the call"):
        vmap(cubed, randomness=randomness)(batch)


def test_a_loop_draws_anew_for_each_example() -> None:
    rng = np.random.default_rng(0)
    drawn = vmap(lambda x: x * 0 + rng.random(), randomness="different", chunk_size=2)(np.ones(3))
    np.testing.assert_array_equal(drawn, np.random.default_rng(0).random(3))


@pytest.mark.parametrize("randomness", ["same", "error", "different"])
def test_on_jax_random_numbers_go_by_their_keys(randomness: Any) -> None:
    jax = pytest.importorskip("jax")
    keys = jax.random.split(jax.random.key(0), 3)
    one, each = jax.random.uniform(keys[0]), jax.vmap(jax.random.uniform)(keys)
    mapped = vmap(lambda i, key: i * 0 + jax.random.uniform(key), in_axes=(0, None), randomness=randomness)
    np.testing.assert_array_equal(mapped(jax.numpy.ones(3), keys[0]), [one] * 3)
    by_index = vmap(lambda i: jax.random.uniform(keys[i]), randomness=randomness, chunk_size=2)
    np.testing.assert_array_equal(by_index(jax.numpy.arange(3)), each)


def test_text_to_map_over_is_named() -> None:
    with pytest.raises(InputTypeError, match=re.escape("argument 1['name'] is 'x', of type str")):
        vmap(lambda x, y: x)(BATCH, {"name": "x"})


def test_examples_that_return_different_trees_are_refused() -> None:
    def f(x: Any) -> Any:
        return (x, x) if float(x.sum()) > 5 else x

    with pytest.raises(OutputError, match="the same structure for all of them"):
        vmap(f)(BATCH)


def test_an_error_of_the_function_comes_through_and_leaves_variables_free(backend: Backend) -> None:
    v = Variable(made(backend, 2.0))

    def f(x: Any) -> Any:
        v.value  # noqa: B018 - to own it
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        vmap(f)(made(backend, BATCH))
    v.value = made(backend, 3.0)
    assert float(v) == 3.0


# ---- results ---------------------------------------------------------------------------------------------------------


def test_per_example_gradients_are_those_of_a_loop(backend: Backend) -> None:
    xp = backend.namespace
    w, b = Variable(made(backend, [[0.1, -0.2], [0.3, 0.4]])), Variable(made(backend, [0.5, -0.5]))

    def loss(x: Any, y: Any) -> Any:
        return xp.sum((xp.tanh(w.value @ x + b.value) - y) ** 2)

    of_one = grad(loss, {"w": w, "b": b}, 0)
    x, y = made(backend, BATCH), made(backend, [0.0, 1.0, -1.0])
    by_variable, by_argument = vmap(of_one)(x, y)
    for index in range(3):
        each_variable, each_argument = of_one(x[index], y[index])
        for name in ("w", "b"):
            np.testing.assert_allclose(
                backend.to_numpy(by_variable[name][index]), backend.to_numpy(each_variable[name])
            )
        np.testing.assert_allclose(backend.to_numpy(by_argument[index]), backend.to_numpy(each_argument))


def test_axes_in_a_dict_belong_to_its_keys_whatever_their_order(backend: Backend) -> None:
    sides = {"left": made(backend, np.arange(4.0).reshape(2, 2)), "right": made(backend, np.arange(4.0).reshape(2, 2))}

    def product(sides: Any) -> Any:
        return {"rows": sides["left"] @ sides["right"], "left": sides["left"]}

    found = vmap(product, in_axes=({"right": None, "left": 1},), out_axes={"left": 1, "rows": 0})(sides)
    np.testing.assert_array_equal(backend.to_numpy(found["rows"]), [[4.0, 6.0], [6.0, 10.0]])
    np.testing.assert_array_equal(backend.to_numpy(found["left"]), np.arange(4.0).reshape(2, 2))


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_derivatives_by_integers_are_stacked_though_they_are_none(backend: Backend, chunk_size: int | None) -> None:
    def product(x: Any, n: Any) -> Any:
        return x * n

    mapped = vmap(jacrev(product, argnums=(0, 1), allow_int=True), out_axes=-1, chunk_size=chunk_size)
    by_x, by_n = mapped(made(backend, BATCH), backend.asarray(np.arange(6).reshape(3, 2)))
    assert backend.to_numpy(by_x).shape == by_n.shape == (2, 2, 3)
    assert (type(by_n), by_n.dtype) == (np.ndarray, anyjac.float0)
    of_integers_alone = vmap(jacrev(lambda n: 2.0 * n, allow_int=True))(backend.asarray(np.arange(3)))
    assert (of_integers_alone.shape, of_integers_alone.dtype) == ((3,), anyjac.float0)


def test_compiled_it_gives_the_same(backend: Backend) -> None:
    of_each = vmap(jacrev(lambda x: x * x))
    compiled = jit(of_each)
    for _ in range(3):
        np.testing.assert_array_equal(
            backend.to_numpy(compiled(made(backend, BATCH))), backend.to_numpy(of_each(made(backend, BATCH)))
        )


@settings(deadline=None, max_examples=25)
@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    data=st.data(),
    size=st.sampled_from([None, 1, 2]),
    name=st.sampled_from(["autograd", "jax", "torch"]),
)
def test_any_axis_goes_in_and_comes_out(shape: list[int], data: Any, size: int | None, name: str) -> None:
    backend = anyjac.get_backend(name)
    inward = data.draw(st.integers(-len(shape), len(shape) - 1))
    outward = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    found = vmap(lambda row: {"y": row * row}, in_axes=inward, out_axes=outward, chunk_size=size)(made(backend, x))
    np.testing.assert_array_equal(backend.to_numpy(found["y"]), np.moveaxis(x * x, inward, outward))


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_where_the_framework_maps_the_function_runs_once(name: str) -> None:
    backend, runs = anyjac.get_backend(name), []

    def f(x: Any) -> Any:
        runs.append(1)
        return x * x

    vmap(f)(made(backend, BATCH))
    assert len(runs) == 1


@pytest.mark.parametrize("member", [anyjac.jacfwd, anyjac.jacrev, anyjac.hessian])
def test_derivatives_of_vectors_are_mapped(backend: Backend, array: Any, member: Any) -> None:
    batch = array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    found = anyjac.vmap(member(lambda x: x**2))(batch)
    for row, each in zip(batch, found, strict=True):
        np.testing.assert_array_equal(np.asarray(each), np.asarray(member(lambda x: x**2)(row)))


def test_maps_nest_over_other_axes(array: Any) -> None:
    batch = array(np.arange(12.0).reshape(2, 3, 2))
    doubled = anyjac.vmap(anyjac.vmap(lambda y: y * 2.0, in_axes=1, out_axes=1))(batch)
    np.testing.assert_array_equal(np.asarray(doubled), np.asarray(batch) * 2.0)


@pytest.mark.parametrize("around", ["nothing", "grad", "jit", "vmap"])
def test_what_is_the_same_for_all_examples_comes_back_once_or_is_refused(backend: Backend, around: str) -> None:
    """Within the framework's traces too, where the backend tells which results depend on the examples."""
    v, batch = Variable(made(backend, 3.0)), made(backend, BATCH)

    def same(x: Any) -> Any:
        return v * 2.0

    def run(func: Any) -> Any:
        mapped = vmap(func, out_axes=None)
        if around == "grad":
            return anyjac.grad(lambda: mapped(batch), v)()
        if around == "jit":
            return anyjac.jit(mapped)(batch)
        return mapped(batch) if around == "nothing" else vmap(mapped)(batch[:, :, None])

    if (around, backend.name) != ("jit", "torch"):  # Dynamo cannot tell
        expected = {"nothing": 6.0, "grad": 2.0, "jit": 6.0, "vmap": [6.0] * 3}
        np.testing.assert_array_equal(run(same), expected[around])
    with pytest.raises(OutputError, match=r"output .* different for each example"):
        run(lambda x: v * x[0])


def test_a_map_over_no_examples_gives_no_results_of_the_right_kind(backend: Backend) -> None:
    runs = []

    def f(x: Any, n: Any) -> Any:
        runs.append(tuple(x.shape))
        return {"y": 1 / x, "n": n, "mean": x.sum(), "one": 1.0}

    found = vmap(f, out_axes={"y": 1, "n": 0, "mean": 0, "one": 0})(
        made(backend, np.zeros((0, 3)), "float32"), made(backend, np.zeros(0), "int32")
    )
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "y": (3, 0),
        "n": (0,),
        "mean": (0,),
        "one": (0,),
    }
    assert [backend.dtype_name(found[name].dtype) for name in ("y", "n", "mean")] == ["float32", "int32", "float32"]
    assert runs == [(3,)]
    jacobian = vmap(jacrev(lambda x: x * x), chunk_size=2)(made(backend, np.zeros((0, 3))))
    assert tuple(jacobian.shape) == (0, 3, 3)


def test_keyword_arguments_are_mapped_over_where_kwarg_axes_says_so(backend: Backend) -> None:
    batch = made(backend, BATCH)

    def f(x: Any, *, y: Any, how: str) -> Any:
        return x * y["w"] if how == "times" else x

    for axes in ({"y": 0}, {"y": {"w": 0}, "how": None}):
        found = vmap(f, kwarg_axes=axes)(batch, y={"w": batch[:, 0]}, how="times")
        np.testing.assert_array_equal(found, BATCH * BATCH[:, :1])
    np.testing.assert_array_equal(vmap(lambda x, y: x * y, kwarg_axes=1)(batch, y=batch.T[:1]), BATCH * BATCH[:, :1])
    mapped = vmap(f, in_axes=None, kwarg_axes={"y": 0})
    assert mapped(batch[0], y={"w": batch}, how="times").shape == (3, 2)
    assert repr(mapped) == "vmap(f, in_axes=None, kwarg_axes={'y': 0})"
    sizes = re.escape("argument y['w'] has 2 elements along the axis to map over, and argument 0 has 3")
    with pytest.raises(InputValueError, match=sizes):
        vmap(f, kwarg_axes={"y": 0})(batch, y={"w": batch[:2]}, how="times")


def test_an_array_that_an_earlier_call_left_somewhere_is_no_result_of_a_map_or_of_a_compiled_function() -> None:
    left = []

    def leave(x: Any) -> Any:
        left.append(x * 2)
        return x * 3

    jacrev(leave, backend="autograd")(np.ones(2))
    with pytest.raises(anyjac.TracerLeakError, match="left somewhere"):
        anyjac.jit(lambda x: x * left[0], backend="autograd")(np.ones(2))
    with pytest.raises(anyjac.TracerLeakError, match="left somewhere"):
        vmap(lambda x: x * left[0], backend="autograd")(BATCH)
