"""`check_derivative`: right derivatives pass on every backend, and wrong ones are reported by element."""

import contextlib
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.helpers.arrays import made
from tests.helpers.cubes import cube_with_rule, cube_with_wrong_second_derivative, right_rule

import anyjac
from anyjac import Backend, DerivativeMismatchError, InconclusiveCheckError, Variable, check_derivative

POINT = np.array([1.0, 2.0, 3.0])
xp = anyjac.get_backend("numpy").namespace


def cube_with(backend: Backend, factors: Any) -> Any:
    """Return ``x**3`` whose gradient in reverse mode is multiplied by `factors`."""
    scale = made(backend, factors)
    return cube_with_rule(backend, lambda x, cotangent: right_rule(x, cotangent) * scale)


# ---- right derivatives ---------------------------------------------------------------------------------------------


def test_right_derivatives_pass_in_every_mode_and_order(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    check = check_derivative(lambda x: xp.sin(x) * x[0], array(POINT))
    assert list(check.deviations) == [
        *((1, mode) for mode in ("rev", "fwd")),
        *((2, f"{outer} over {inner}") for inner in ("rev", "fwd") for outer in ("rev", "fwd")),
    ]
    assert max(check.deviations.values()) < 1e-9
    assert 0 < max(check.used.values()) < 1e-2
    assert check.backend == backend.name


def test_a_right_rule_of_the_framework_passes(backend: Backend, array: Any) -> None:
    check_derivative(cube_with(backend, 1.0), array(POINT), modes="rev", order=1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_steps_and_tolerances_fit_the_dtype(backend: Backend, dtype: str) -> None:
    xp = backend.namespace
    if not hasattr(xp, dtype):
        pytest.skip(f"{backend.name} has no {dtype}")
    x = backend.asarray(POINT / 4, dtype=getattr(xp, dtype))
    holomorphic = dtype == "complex64"
    check_derivative(lambda x: xp.exp(x) + x[0], x, order=1, holomorphic=holomorphic)
    with pytest.raises(DerivativeMismatchError):
        check_derivative(lambda x: xp.exp(x) * anyjac.stop_gradient(x), x, order=1, holomorphic=holomorphic)


def test_trees_variables_aux_keywords_and_constants_go_together(backend: Backend, array: Any) -> None:
    gain, bias = Variable(array(2.0), name="gain"), Variable({"b": array([1.0, -1.0, 0.5])})

    def model(tree: Any, power: int, *, scale: Any) -> Any:
        return OrderedDict(y=gain * tree["x"] ** power * scale, z=[bias.value["b"] * tree["u"][0], 1.5]), "aux"

    check_derivative(
        model,
        {"x": array(POINT), "u": [array(0.5)]},
        3,
        grad_vars={"gain": gain, "bias": bias},
        argnums=0,
        has_aux=True,
        order=1,
        kwargs={"scale": array(0.5)},
    )


def test_integers_that_are_let_through_are_left_alone(backend: Backend, array: Any) -> None:
    n = backend.asarray(np.array([1, 2, 3]))
    check = check_derivative(lambda tree: tree["x"] * tree["n"], {"x": array(POINT), "n": n}, allow_int=True, order=1)
    assert max(check.deviations.values()) < 1e-9
    assert check_derivative(lambda n: 1.0 * n, n, allow_int=True).deviations == {}


def test_complex_inputs_follow_the_convention(backend: Backend) -> None:
    xp = backend.namespace
    z = backend.asarray(np.array([1 + 2j, -0.5 + 0.1j]))
    check_derivative(lambda z: xp.sum(xp.abs(z) ** 2 * xp.real(z)), z, order=1)
    check_derivative(lambda z: z**2 * z[0], z, order=1, holomorphic=True)


def test_second_derivatives_of_complex_functions_pass() -> None:
    z = np.array([1 + 2j, -0.5 + 0.1j])
    check_derivative(lambda z: xp.sum(xp.abs(z) ** 2 * xp.real(z)), z)
    check_derivative(lambda z: z**3 * z[0], z, holomorphic=True)


def test_higher_orders_go_on() -> None:
    check = check_derivative(lambda x: x**4, POINT, modes="rev", order=3)
    assert list(check.deviations) == [(1, "rev"), (2, "rev over rev"), (3, "rev over rev over rev")]


def test_the_same_seed_gives_the_same_check() -> None:
    first, again, other = (check_derivative(np.exp, POINT, order=1, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_every_direction_by_itself_finds_what_is_small_beside_the_rest() -> None:
    def forgetful(x: Any) -> Any:
        return (np.array([1e9, 1.0]) * x).sum() + 1e-3 * anyjac.stop_gradient(x[1])

    point = np.array([0.0, 0.0])
    check_derivative(forgetful, point, modes="rev", order=1)  # less than 1e-6 of the gradient's norm
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivative(forgetful, point, modes="rev", order=1, directions=None)
    assert caught.value.input_index == (1,)


def test_a_derivative_that_is_zero_but_for_rounding_passes() -> None:
    check_derivative(lambda x: (np.exp(x) / np.exp(x).sum()).sum(), POINT)


def test_steps_that_leave_the_domain_are_made_smaller() -> None:
    check_derivative(np.log, np.array([1.0, 1e-6]), order=1)


# ---- wrong derivatives ---------------------------------------------------------------------------------------------


def test_a_rule_that_is_wrong_in_one_element_is_reported_there(backend: Backend, array: Any) -> None:
    cube = cube_with(backend, [1.0, 1.0, 0.5])
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivative(lambda tree: {"a": tree["k"] * 2.0, "b": [cube(tree["k"])]}, {"k": array(POINT)}, modes="rev")
    error = caught.value
    assert isinstance(error, AssertionError)
    assert (error.order, error.mode) == (1, "rev")
    assert (error.output_path, error.output_index) == ("output['b'][0]", (2,))
    assert (error.input_path, error.input_index) == ("argument 0['k']", (2,))
    assert error.found == pytest.approx(13.5)
    assert error.expected == pytest.approx(27.0)
    assert str(error) == (
        "derivative 1 in mode 'rev' of element [2] of output['b'][0] with respect to element [2] of argument 0['k'] is "
        "13.5, and finite differences give 27"
    )


def test_a_rule_that_is_wrong_for_a_variable_names_it(backend: Backend, array: Any) -> None:
    cube, weight = cube_with(backend, -1.0), Variable(array([1.0, 2.0]), name="weight")
    with pytest.raises(DerivativeMismatchError, match=r"element \[1\] of grad_vars\['w'\] \('weight'\) is -12, .* 12$"):
        check_derivative(lambda: cube(weight.value), grad_vars={"w": weight}, modes="rev", order=1)


def test_a_wrong_rule_of_forward_mode_is_reported_as_such() -> None:
    jax = pytest.importorskip("jax")

    @jax.custom_jvp
    def cube(x: Any) -> Any:
        return x**3

    cube.defjvp(lambda primals, tangents: (primals[0] ** 3, 2 * primals[0] ** 2 * tangents[0]))
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivative(cube, jax.numpy.asarray(2.0), modes="fwd")
    assert (caught.value.mode, caught.value.order, caught.value.output_index) == ("fwd", 1, ())
    assert caught.value.found == pytest.approx(8.0)


def test_a_rule_whose_own_derivative_is_wrong_is_reported_as_of_second_order(backend: Backend, array: Any) -> None:
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivative(cube_with_wrong_second_derivative, array(2.0), modes="rev")
    error = caught.value
    assert (error.order, error.mode) == (2, "rev over rev")
    assert error.output_path == "the gradient for argument 0"
    assert error.found == 0.0


def test_a_value_that_changes_when_it_is_differentiated_is_reported() -> None:
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3 + 1, x), lambda x, g: (g * 3 * x**2,))
    with pytest.raises(DerivativeMismatchError, match=r"is 8\.0 in a plain run, and 9\.0 when") as caught:
        check_derivative(cube, jax.numpy.asarray(2.0), modes="rev")
    assert caught.value.order == 0


@pytest.mark.parametrize("name", ["autograd", "jax", "torch"])
def test_rows_that_are_mixed_up_in_a_batch_are_reported(name: str) -> None:
    whole = anyjac.get_backend(name)

    class MixedUp(type(whole)):  # type: ignore[misc]
        def pullback_rows(self, linear_map: Any, vectors: Any) -> Any:
            rows = super().pullback_rows(linear_map, vectors)
            return [None if batch is None else whole.namespace.flip(batch, axis=0) for batch in rows]

    point = made(whole, POINT)
    check_derivative(lambda x: x**2, point, order=1)
    with pytest.raises(DerivativeMismatchError, match=r"depends on how many rows.*in row 0 of a batch.*chunk_size=1"):
        check_derivative(lambda x: x**2, point, order=1, backend=MixedUp())


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_one_wrong_element_among_many_is_found(mode: str) -> None:
    point = np.linspace(1.0, 2.0, 3000)

    def forgetful(x: Any) -> Any:
        return xp.concat([x[:1234] ** 2, x[1234:1235] * anyjac.stop_gradient(x[1234:1235]), x[1235:] ** 2])

    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivative(forgetful, point, modes=mode, order=1)
    assert caught.value.output_index == caught.value.input_index == (1234,)


def test_a_gradient_that_is_no_number_is_a_mismatch(backend: Backend, array: Any) -> None:
    xp = backend.namespace

    def guarded(x: Any) -> Any:  # right, but for the derivative of the branch that is not taken
        return xp.where(x > 0, xp.sqrt(xp.where(x > 0, x, 0 * x)), 0 * x)

    with np.errstate(all="ignore"), pytest.raises(DerivativeMismatchError, match=r"is nan, and .* give 0$") as caught:
        check_derivative(guarded, array([1.0, -1.0]), modes="rev", order=1)
    assert caught.value.input_index == (1,)


def test_a_function_that_is_not_holomorphic_as_promised_is_found_out(backend: Backend) -> None:
    xp = backend.namespace
    z = backend.asarray(np.array([1 + 2j]))
    with pytest.raises(DerivativeMismatchError, match="must be holomorphic"):
        check_derivative(lambda z: xp.conj(z) * z, z, holomorphic=True, order=1)


def test_the_part_of_a_complex_number_is_named() -> None:
    def forgetful(z: Any) -> Any:
        return xp.sum(xp.real(z) ** 2 + xp.imag(anyjac.stop_gradient(z)) ** 3)

    with pytest.raises(DerivativeMismatchError, match=r"respect to the imaginary part of element \[0\] of argument 0"):
        check_derivative(forgetful, np.array([1 + 2j, 0.5j]), order=1)


def test_at_a_kink_a_slope_of_either_side_is_no_mistake() -> None:
    for slope in (1.0, 1.3, 2.0):
        kinked = _with_slope(lambda x: xp.where(x > 0, x, 2 * x), slope)
        with pytest.raises(InconclusiveCheckError, match=r"the slopes on both sides differ by 1, as at a kink"):
            check_derivative(kinked, np.array(0.0), order=1)
    with pytest.raises(DerivativeMismatchError, match=r"is 3, .* give 1\.5; the slopes on both sides differ by 1"):
        check_derivative(_with_slope(lambda x: xp.where(x > 0, x, 2 * x), 3.0), np.array(0.0), order=1)


def _with_slope(function: Callable[[Any], Any], slope: float) -> Callable[[Any], Any]:
    """Give a function a derivative by hand."""

    def with_slope(x: Any) -> Any:
        still = anyjac.stop_gradient(x)
        return function(still) + slope * (x - still)

    return with_slope


def test_a_kink_beside_the_point_is_stepped_around() -> None:
    check_derivative(lambda x: abs(x), np.array([1.0, 1e-5]), order=1)


def test_a_constant_that_changes_with_the_inputs_is_reported(backend: Backend, array: Any) -> None:
    def f(x: Any) -> Any:
        return {
            "y": x**2,
            "norm": float(backend.to_numpy(anyjac.stop_gradient(x)).sum()) if _plain(backend, x) else 0.0,
        }

    with pytest.raises(DerivativeMismatchError, match=r"output\['norm'\] is no array that is differentiated"):
        check_derivative(f, array(POINT), order=1)


def _plain(backend: Backend, x: Any) -> bool:
    return not backend.is_traced(x)


# ---- no answer -----------------------------------------------------------------------------------------------------


ROUGH: list[Any] = [
    pytest.param(lambda x: xp.astype(xp.sin(xp.astype(x, xp.float32)), xp.float64), id="single precision inside"),
    pytest.param(lambda x: xp.sin(x) + 1e-9 * xp.sin(1e17 * anyjac.stop_gradient(x)), id="noise"),
    pytest.param(lambda x: (1e8 + x) - 1e8, id="cancellation"),
]


@pytest.mark.parametrize("function", ROUGH)
@pytest.mark.parametrize("seed", range(5))
def test_a_right_derivative_of_a_rough_function_is_not_called_wrong(function: Any, seed: int) -> None:
    with pytest.raises(InconclusiveCheckError, match=r"rough|rounding"):
        check_derivative(function, np.random.default_rng(seed).normal(size=3), order=1, seed=seed)


@pytest.mark.parametrize("function", ROUGH)
@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_derivative_of_a_rough_function_is_called_wrong(function: Any, seed: int) -> None:
    with pytest.raises(DerivativeMismatchError):
        check_derivative(_with_slope(function, 3.0), np.random.default_rng(seed).normal(size=3), order=1, seed=seed)


@pytest.mark.parametrize(
    ("function", "point"),
    [
        pytest.param(lambda x: 1 / x, 1e-7, id="a pole beside the point"),
        pytest.param(lambda x: 2.3e-28 / x, 1e-10, id="a pole nearer than the last step"),
        pytest.param(lambda x: xp.sin(x / 1e-9), 1e-9, id="waves shorter than the steps"),
    ],
)
def test_a_function_that_changes_faster_than_the_steps_is_not_accused(function: Any, point: float) -> None:
    with pytest.raises(InconclusiveCheckError, match="set step="):
        check_derivative(function, np.array(point), order=1)
    check_derivative(function, np.array(point), order=1, step=point / 100)


def test_kinks_between_wide_steps_and_rounding_are_not_mistaken_for_a_wrong_derivative() -> None:
    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=100).astype(np.float32)
        with contextlib.suppress(InconclusiveCheckError):
            check_derivative(lambda x: xp.sum(xp.maximum(x, np.float32(0.0))), x, order=1)


def test_a_function_that_is_random_now_and_then_is_found_out_before_it_is_accused() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        with pytest.raises(InconclusiveCheckError, match="two runs at the same point disagree"):
            check_derivative(lambda x: x * (1.0 + generator.integers(0, 2)), np.array(2.0), order=1)


def test_a_function_with_an_error_beside_the_point_is_stepped_around(backend: Backend, array: Any) -> None:
    xp = backend.namespace

    def checked(x: Any) -> Any:
        if backend.to_numpy(anyjac.stop_gradient(x)).min() <= 0:
            raise ValueError("x must be positive")
        return xp.log(x)

    check_derivative(checked, array([1.0, 1e-4]), order=1)
    with pytest.raises(InconclusiveCheckError, match=r"is not defined \(it raised ValueError: x must be positive\)"):
        check_derivative(checked, array([1.0, 1e-20]), order=1)


def test_an_element_of_a_second_derivative_is_named_by_its_own_number_where_there_is_one() -> None:
    with pytest.raises(DerivativeMismatchError, match=r"give 12$") as caught:
        check_derivative(cube_with_wrong_second_derivative, np.array(2.0), modes="rev")
    assert caught.value.expected == pytest.approx(12.0)
    with pytest.raises(DerivativeMismatchError, match=r"of the gradient, of a random sum, for argument 0"):
        check_derivative(cube_with_wrong_second_derivative, np.array([2.0, 3.0]), modes="rev")
    with pytest.raises(DerivativeMismatchError, match=r"of the tangent, in a random direction, of the output"):
        check_derivative(cube_with_wrong_second_derivative, np.array([2.0, 3.0]), modes="fwd")


def test_a_random_function_is_refused(backend: Backend, array: Any) -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(
        InconclusiveCheckError, match=r"two runs at the same point disagree: element \[0\] of output\[1\]"
    ):
        check_derivative(lambda x: (x, x * generator.normal()), array(POINT), order=1)


def test_state_outside_of_variables_is_found_and_state_inside_is_none(array: Any) -> None:
    calls = [0]

    def counted(x: Any) -> Any:
        calls[0] += 1
        return x * calls[0]

    with pytest.raises(InconclusiveCheckError, match="keeps state outside of Variables"):
        check_derivative(counted, array(POINT))


def test_values_that_are_not_finite_are_named() -> None:
    with np.errstate(all="ignore"):
        with pytest.raises(InconclusiveCheckError, match=r"element \[1\] of the output is inf"):
            check_derivative(np.exp, np.array([1.0, 1000.0]))
        with pytest.raises(InconclusiveCheckError, match="overflows or is not defined"):
            check_derivative(np.exp, np.array([709.7827]), order=1)
    with pytest.raises(InconclusiveCheckError, match=r"element \[1\] of argument 0\['x'\] is nan"):
        check_derivative(lambda tree: tree["x"], {"x": np.array([1.0, np.nan])})


def test_differences_that_rounding_hides_are_no_answer() -> None:
    with pytest.raises(InconclusiveCheckError, match=r"known to 1e\+08 only"):
        check_derivative(lambda x: 1e20 + x, np.array(1.0), order=1)


def test_shapes_that_change_with_the_inputs_are_no_answer() -> None:
    with pytest.raises(InconclusiveCheckError, match="returned arrays of shapes"):
        check_derivative(lambda x: x[: 1 + int(anyjac.stop_gradient(x)[0] > 1)], POINT, order=1)


# ---- Variables -----------------------------------------------------------------------------------------------------


def test_every_variable_is_as_before_and_each_run_begins_there(backend: Backend, array: Any) -> None:
    weight, count = Variable(array([1.0, 2.0])), Variable(array(0.0))
    seen = set()

    def f(x: Any) -> Any:
        if not backend.is_traced(count.value):
            seen.add(float(count.value))
        count.value = count.value + 1.0
        weight.value = weight * 2.0
        return weight * x

    check_derivative(f, array([3.0, 4.0]), grad_vars=weight, argnums=0, order=1)
    assert seen == {0.0}
    assert float(count.value) == 0.0
    assert backend.to_numpy(weight.value).tolist() == [1.0, 2.0]


def test_after_an_error_every_variable_is_as_before(backend: Backend, array: Any) -> None:
    state = Variable(array(1.0))

    def f(x: Any) -> Any:
        state.value = x[0] * 2.0
        return anyjac.stop_gradient(x) * x

    for failing in (f, lambda x: {"y": f(x)}["nothing"]):
        with pytest.raises((DerivativeMismatchError, KeyError)):
            check_derivative(failing, array(POINT), order=1)
        assert float(state.value) == 1.0
    assert float(anyjac.jacrev(lambda x: state * x)(array(1.0))) == 1.0  # and no call owns it


def test_arguments_that_the_function_changes_in_place_are_not_changed() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        if isinstance(x, np.ndarray):
            x += 1.0
        return y

    point = POINT.copy()
    check_derivative(f, point, order=1)
    assert point.tolist() == POINT.tolist()


# ---- settings ------------------------------------------------------------------------------------------------------


class ReverseOnly(type(anyjac.get_backend("numpy"))):  # type: ignore[misc]
    name = "reverse-only"
    capabilities = frozenset()


def test_modes_and_orders_that_the_backend_does_not_declare_are_refused() -> None:
    backend = ReverseOnly()
    assert list(check_derivative(np.exp, POINT, order=1, backend=backend).deviations) == [(1, "rev")]
    with pytest.raises(anyjac.NotSupportedError, match="forward"):
        check_derivative(np.exp, POINT, modes=("rev", "fwd"), order=1, backend=backend)
    with pytest.raises(anyjac.NotSupportedError, match="nested"):
        check_derivative(np.exp, POINT, backend=backend)


@pytest.mark.parametrize(
    ("settings", "kind", "fragment"),
    [
        ({"modes": "both"}, ValueError, "'both'"),
        ({"modes": ()}, ValueError, "modes must be"),
        ({"modes": 3}, TypeError, "modes must be"),
        ({"order": 0}, ValueError, "order must be a positive int, not 0"),
        ({"order": True}, TypeError, "order must be a positive int, not True"),
        ({"directions": 0}, ValueError, "directions must be"),
        ({"rtol": -1.0}, ValueError, "rtol must be zero or more, not -1.0"),
        ({"step": 0.0}, ValueError, "step must be positive"),
        ({"atol": "1"}, TypeError, "atol must be a number"),
        ({"atol": None}, TypeError, "atol must be a number, not None"),
        ({"kwargs": 3}, TypeError, "kwargs must be a mapping or None, not 3"),
        ({"modes": ["rev", ["fwd"]]}, ValueError, "modes must be"),
        ({"seed": -1}, ValueError, "seed must be zero or a positive int, not -1"),
        ({"seed": "a"}, TypeError, "seed must be zero or a positive int, not 'a'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: Any, kind: type[Exception], fragment: str) -> None:
    with pytest.raises(kind, match=fragment.replace("(", r"\(")) as caught:
        check_derivative(np.exp, POINT, **settings)
    assert isinstance(caught.value, anyjac.AnyjacError)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(anyjac.InputTypeError, match="check_derivative needs a callable, not 3"):
        check_derivative(3, 2.0)  # type: ignore[arg-type]


def test_traced_arguments_are_refused(backend: Backend, array: Any) -> None:
    def f(x: Any) -> Any:
        check_derivative(lambda y: y**2, x * 1.0)
        return x

    with pytest.raises(anyjac.TracerLeakError, match="argument 0 belongs to a trace"):
        anyjac.jacrev(f)(array(1.0))


def test_an_error_of_the_framework_says_in_which_mode_it_was_raised() -> None:
    jax = pytest.importorskip("jax")
    cube = cube_with(anyjac.get_backend("jax"), 1.0)
    with pytest.raises(TypeError) as caught:
        check_derivative(cube, jax.numpy.asarray(2.0), modes="fwd", order=1)
    assert "derivative 1 in mode 'fwd'" in "".join(caught.value.__notes__)


def test_its_repr_has_a_line_for_each_order_and_mode() -> None:
    first, *lines = repr(anyjac.check_derivative(np.square, np.array([1.0, 2.0]))).splitlines()
    assert first == "DerivativeCheck on autograd:"
    assert [line.partition(":")[0].strip() for line in lines] == [
        f"derivative {order}, {mode}"
        for order, mode in [
            (1, "rev"),
            (1, "fwd"),
            (2, "rev over rev"),
            (2, "fwd over rev"),
            (2, "rev over fwd"),
            (2, "fwd over fwd"),
        ]
    ]
    assert all(re.search(r"deviates by \S+, \S+ of what was allowed$", line) for line in lines)
