"""``debug_nan=True`` names the first number that is not finite, with its operator if known; nothing is stored."""

import pickle
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Backend, NonFiniteError, Variable

POINT = [1.0, 0.0]


@pytest.fixture(autouse=True)
def _without_numpys_own_warnings() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def caught(call: Callable[[], Any]) -> NonFiniteError:
    with pytest.raises(NonFiniteError) as raised:
        call()
    assert isinstance(raised.value, FloatingPointError)
    return raised.value


# ---- places --------------------------------------------------------------------------------------------------------


FAMILY: dict[str, Callable[..., Any]] = {
    "jacrev": anyjac.jacrev,
    "jacfwd": anyjac.jacfwd,
    "jacobian": anyjac.jacobian,
    "grad": anyjac.grad,
    "vector_grad": anyjac.vector_grad,
    "value_and_grad": anyjac.value_and_grad,
    "derivative": anyjac.derivative,
    "hessian": anyjac.hessian,
    "hvp": lambda f, **settings: lambda *args: anyjac.hvp(f, **settings)(1.0, *args),
    "vjp": lambda f, **settings: lambda *args: anyjac.vjp(f, **settings)(*args)(1.0),
    "linearize": lambda f, **settings: lambda *args: anyjac.linearize(f, **settings)(*args)(1.0),
    "jvp": lambda f, **settings: lambda *args: anyjac.jvp(f, **settings)(1.0, *args),
}


@pytest.mark.parametrize("name", FAMILY)
def test_every_member_of_the_family_looks_at_inputs_outputs_and_derivatives(
    name: str, backend: Backend, array: Any
) -> None:
    make, xp = FAMILY[name], backend.namespace
    make(lambda x: x**3, debug_nan=True)(array(2.0))
    error = caught(lambda: make(lambda x: x**3, debug_nan=True)(array(np.nan)))
    assert (error.place, error.value) == ("argument 0", "nan")
    error = caught(lambda: make(lambda x: xp.sqrt(x), debug_nan=True)(array(0.0)))
    assert error.value in ("inf", "-inf", "nan")
    unseen = make(lambda x: xp.sqrt(x))(array(0.0))  # without `debug_nan` the numbers are returned as they are
    assert not np.isfinite(np.asarray(unseen[1] if name == "value_and_grad" else unseen))


def test_an_input_is_named_with_its_path_and_element(array: Any) -> None:
    weight = Variable(array([[1.0, 2.0], [3.0, np.inf]]), name="weight")
    error = caught(lambda: anyjac.jacrev(lambda t: t["x"], debug_nan=True)({"x": array([1.0, np.nan])}))
    assert str(error) == "element [1] of argument 0['x'] is nan, before anything is computed"
    error = caught(lambda: anyjac.jacrev(lambda: weight.value, {"w": weight}, debug_nan=True)())
    assert str(error).startswith("element [1, 1] of grad_vars['w'] ('weight') is inf")


def test_an_output_is_named_with_its_path_element_and_operator(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    error = caught(lambda: anyjac.jacrev(lambda x: {"y": x, "l": [xp.log(x) + 1.0]}, debug_nan=True)(array(POINT)))
    assert (error.place, error.value) == ("element [1] of output['l'][0]", "-inf")
    words = {"torch": "'torch.log' of the forward run", "jax": "the primitive 'log' of the forward run"}
    assert error.operator == words.get(backend.name)
    assert (error.operator or "is -inf") in str(error)


def test_a_block_of_the_derivative_is_named_with_both_elements_and_the_operator(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    error = caught(lambda: anyjac.grad(lambda t: xp.sum(xp.sqrt(t["x"])), debug_nan=True)({"x": array(POINT)}))
    assert error.place == "the derivative of the output with respect to element [1] of argument 0['x']"
    words = {"torch": "'SqrtBackward0' of the backward pass", "jax": "the primitive 'div' of the derivative"}
    assert error.operator == words.get(backend.name)


def test_columns_are_looked_at_as_rows_are(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    error = caught(lambda: anyjac.jacfwd(lambda x: xp.sqrt(x), debug_nan=True)(array(0.0)))
    assert error.place == "the derivative of the output with respect to argument 0"
    assert error.value == "inf"
    words = {"torch": "the tangent of 'torch.sqrt'", "jax": "the primitive 'div' of the derivative"}
    assert error.operator == words.get(backend.name)


def test_a_direction_is_followed_to_the_operator(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    push = anyjac.jvp(lambda x: {"y": xp.exp(xp.sqrt(x)) * 2.0}, debug_nan=True)
    error = caught(lambda: push(array([1.0, 1.0]), array(POINT)))
    assert (error.place, error.value) == ("the tangent of element [1] of output['y']", "inf")
    words = {"torch": "the tangent of 'torch.sqrt'", "jax": "the primitive 'div' of the derivative"}
    assert error.operator == words.get(backend.name)


def test_an_operator_without_a_rule_for_tangents_is_not_named() -> None:
    torch = pytest.importorskip("torch")

    class Root(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x**0.5

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            (output,) = ctx.saved_tensors
            return gradient / (2.0 * output)

    error = caught(lambda: anyjac.jacfwd(Root.apply, debug_nan=True)(torch.tensor(0.0)))
    assert (error.value, error.operator) == ("inf", None)


def test_rows_are_looked_at_when_they_are_computed(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    rows = anyjac.jacrev(lambda x: xp.sqrt(x[1:]), debug_nan=True, chunk_size=1).rows(array([5.0, 0.0]))
    error = caught(lambda: next(rows))
    assert error.place == "the derivative of element [0] of the output with respect to element [1] of argument 0"
    assert error.operator == ("'SqrtBackward0' of the derivative" if backend.name == "torch" else None)


def test_a_cotangent_and_a_tangent_are_named(array: Any) -> None:
    pullback = anyjac.vjp(lambda x: {"y": x**2}, debug_nan=True)(array(POINT))
    assert caught(lambda: pullback({"y": array([1.0, np.inf])})).place == "the cotangent of element [1] of output['y']"
    pushforward = anyjac.linearize(lambda x: x**2, debug_nan=True)(array(POINT))
    assert caught(lambda: pushforward(array([np.nan, 1.0]))).place == "the tangent of element [0] of argument 0"
    push = anyjac.jvp(lambda x: x**2, debug_nan=True)
    assert caught(lambda: push(array([np.nan, 1.0]), array(POINT))).place == "the tangent of element [0] of argument 0"


def test_a_linear_map_is_asked_for_the_operator_itself(backend: Backend, array: Any) -> None:
    """JAX has computed the factor in the run of the function, and so the operator is the product with the factor."""
    xp = backend.namespace

    def root(x: Any) -> Any:
        return {"y": xp.sqrt(x) * 0.0}

    error = caught(lambda: anyjac.vjp(root, debug_nan=True)(array(POINT))({"y": array([1.0, 1.0])}))
    assert error.place == "the gradient for element [1] of argument 0"
    words = {"torch": "'SqrtBackward0' of the derivative", "jax": "the primitive 'mul' of the derivative"}
    assert error.operator == words.get(backend.name)
    error = caught(lambda: anyjac.linearize(root, debug_nan=True)(array(POINT))(array([0.0, 1.0])))
    assert error.place == "the tangent of element [1] of output['y']"
    words = {"torch": "'MulBackward0' of the derivative", "jax": "the primitive 'mul' of the derivative"}
    assert error.operator == words.get(backend.name)


def test_what_is_not_differentiated_is_named_beside_it(array: Any) -> None:
    scale = Variable(array([1.0, np.inf]), name="scale")
    error = caught(lambda: anyjac.jacrev(lambda x, k: x * k * scale, debug_nan=True)(array([1.0, 2.0]), np.nan))
    assert error.place == "element [0] of the output"
    assert "argument 1, which is not differentiated, is nan" in str(error)
    assert "element [1] of Variable 'scale', which is not differentiated, is inf" in str(error)


# ---- operators: right, or none -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_an_infinity_that_does_no_harm_is_not_blamed(name: str) -> None:
    xp = anyjac.get_backend(name).namespace

    def masked(x: Any) -> Any:
        soft = xp.exp(xp.where(x > 0.5, x, xp.full_like(x, -np.inf)))
        return xp.log(soft[1] * 0.0 - 1.0) + soft

    error = caught(lambda: anyjac.jacrev(masked, backend=name, debug_nan=True)(np.array(POINT)))
    assert error.value == "nan"
    assert error.operator in ("'torch.log' of the forward run", "the primitive 'log' of the forward run")


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_several_operators_that_may_have_made_it_leave_it_open(name: str) -> None:
    xp = anyjac.get_backend(name).namespace
    f = anyjac.jacrev(lambda x: xp.log(x) + xp.log(x - 1.0), backend=name, debug_nan=True)
    error = caught(lambda: f(np.array([-1.0, 3.0])))
    assert error.operator is None
    both = anyjac.jacrev(lambda x: xp.log(x) / xp.sum(xp.log(x)), backend=name, debug_nan=True)
    assert caught(lambda: both(np.array([-1.0, 3.0]))).operator is None
    one = anyjac.jacrev(lambda x: (lambda y: y / xp.sum(y))(xp.log(x)), backend=name, debug_nan=True)
    assert "log" in (caught(lambda: one(np.array([-1.0, 3.0]))).operator or "")


ELSEWHERE: dict[str, Callable[[Any, Any], Any]] = {
    "another element": lambda xp, x: xp.sqrt(xp.log(x) - 5.0)[1],
    "another branch": lambda xp, x: xp.acos(xp.where(x > 0, 3.0 * x, xp.log(x)))[1],
    "a product with infinity": lambda xp, x: (xp.log(x) * xp.asarray([1.0, np.inf], dtype=x.dtype))[1:],
}


@pytest.mark.parametrize("function", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("name", ["jax", "torch"])
def test_an_operator_that_made_another_element_is_not_blamed(name: str, function: Callable[[Any, Any], Any]) -> None:
    xp = anyjac.get_backend(name).namespace
    transform = anyjac.jacrev(lambda x: function(xp, x), backend=name, debug_nan=True)
    assert caught(lambda: transform(np.array([-1.0, 1.0]))).operator is None


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_an_operator_of_the_derivative_that_made_another_element_is_not_blamed(name: str) -> None:
    xp = anyjac.get_backend(name).namespace

    def f(x: Any) -> Any:  # backwards infinity comes from the root at 0, and then NaN from 0 times that
        return xp.sum(xp.sqrt(x * xp.asarray([1.0, 0.0], dtype=x.dtype)))

    error = caught(lambda: anyjac.grad(f, backend=name, debug_nan=True)(np.array([1.0, 2.0])))
    assert (error.place, error.value) == (
        "the derivative of the output with respect to element [1] of argument 0",
        "nan",
    )
    assert error.operator in ("'MulBackward0' of the backward pass", "the primitive 'mul' of the derivative")


def test_compiled_functions_of_jax_are_looked_into() -> None:
    jax = pytest.importorskip("jax")
    inner = jax.jit(lambda x: jax.numpy.log(x) * 2.0)
    error = caught(lambda: anyjac.jacrev(lambda x: inner(x) + 1.0, debug_nan=True)(jax.numpy.asarray(POINT)))
    assert error.operator == "the primitive 'log' of the forward run"


def test_a_field_of_a_registered_dataclass_is_named() -> None:
    jax = pytest.importorskip("jax")

    @jax.tree_util.register_dataclass
    @dataclass
    class State:
        v: Any
        steps: list[Any]

    given = State(jax.numpy.asarray([1.0, np.nan]), [jax.numpy.asarray(POINT)])
    error = caught(lambda: anyjac.grad(lambda s: (s.steps[0] * s.v).sum(), debug_nan=True)(given))
    assert error.place == "element [1] of argument 0.v"
    error = caught(lambda: anyjac.jacrev(lambda x: State(x, [jax.numpy.log(x)]), debug_nan=True)(given.steps[0]))
    assert error.place == "element [1] of output.steps[0]"


def test_a_function_of_jax_that_branches_on_values_is_not_followed() -> None:
    jax = pytest.importorskip("jax")

    def branching(x: Any) -> Any:
        return jax.numpy.log(x) if float(anyjac.stop_gradient(x)[0]) > 0 else x

    error = caught(lambda: anyjac.jacrev(branching, debug_nan=True)(jax.numpy.asarray(POINT)))
    assert (error.place, error.operator) == ("element [1] of the output", None)


def test_a_tensor_of_pytorch_that_was_changed_through_a_view_is_not_followed() -> None:
    torch = pytest.importorskip("torch")

    def through_a_view(x: Any) -> Any:
        y = torch.log(x)  # finite
        part = y[:1]
        part.fill_(np.inf)
        return x * 1.0 + y.detach()

    error = caught(lambda: anyjac.jacrev(through_a_view, debug_nan=True)(torch.tensor([1.0, 2.0])))
    assert (error.place, error.operator) == ("element [0] of the output", None)


# ---- what is looked at ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FAMILY if name != "value_and_grad"])
def test_tensors_that_belong_to_a_graph_of_the_user_are_looked_at(name: str) -> None:
    torch = pytest.importorskip("torch")
    scale = torch.nn.Parameter(torch.tensor(1.0))
    caught(lambda: FAMILY[name](lambda x: torch.sqrt(x) * scale, debug_nan=True)(torch.tensor(0.0)))
    caught(lambda: FAMILY[name](torch.sqrt, debug_nan=True)(torch.nn.Parameter(torch.tensor(0.0))))


def test_rows_that_belong_to_a_graph_of_the_user_are_looked_at() -> None:
    torch = pytest.importorskip("torch")
    scale = torch.nn.Parameter(torch.tensor(1.0))
    rows = anyjac.jacrev(lambda x: torch.sqrt(x) * scale, debug_nan=True).rows(torch.tensor(POINT))
    caught(lambda: list(rows))


def test_numbers_among_the_outputs_are_looked_at(array: Any) -> None:
    error = caught(lambda: anyjac.jacrev(lambda x: {"y": x, "loss": [float("nan")]}, debug_nan=True)(array(POINT)))
    assert (error.place, error.value, error.operator) == ("output['loss'][0]", "nan", None)


def test_a_number_of_numpy_is_shown_as_a_number() -> None:
    error = caught(lambda: anyjac.grad(lambda x: x / 0.0, debug_nan=True)(1.0))
    assert (error.value, str(error)) == ("inf", "the output is inf")


def test_products_of_a_linear_operator_are_looked_at(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    operator = anyjac.jacrev(lambda x: {"y": xp.sqrt(x)}, debug_nan=True).as_linear_operator(array(POINT))
    error = caught(lambda: operator @ np.array([0.0, 1.0]))
    assert error.place == "the tangent of element [1] of output['y']"
    error = caught(lambda: operator.H @ np.array([0.0, 1.0]))
    assert error.place == "the gradient for element [1] of argument 0"
    error = caught(lambda: operator @ np.eye(2))
    assert error.place == "the tangent of element [1] of output['y']"
    error = caught(lambda: operator @ np.array([np.nan, 1.0]))
    assert error.place == "the tangent of element [0] of argument 0"
    error = caught(lambda: operator.H @ np.array([np.inf, 1.0]))
    assert error.place == "the cotangent of element [0] of output['y']"


def test_what_is_no_array_of_numbers_beside_it_is_passed_over(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    others: dict[str, Callable[[], Any]] = {
        "autograd": lambda: np.array(["text", None], dtype=object),
        "jax": lambda: pytest.importorskip("jax").random.key(0),
        "torch": lambda: pytest.importorskip("torch").eye(2).to_sparse(),
    }
    log = anyjac.grad(lambda x, other: xp.log(x), debug_nan=True)
    assert caught(lambda: log(array(0.0), others[backend.name]())).place == "the output"


def test_a_transform_that_looks_is_not_compiled(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    looking = anyjac.jit(anyjac.grad(lambda x: xp.sqrt(x), debug_nan=True))
    for _ in range(3):
        assert float(looking(array(4.0))) == 0.25
        caught(lambda: looking(array(0.0)))


def test_a_transform_that_looks_within_a_compiled_function_is_left_alone(backend: Backend, array: Any) -> None:
    xp = backend.namespace
    compiled = anyjac.jit(lambda x: 2.0 * anyjac.grad(lambda x: xp.sqrt(x), debug_nan=True)(x))
    assert float(compiled(array(4.0))) == 0.5


# ---- state, settings -----------------------------------------------------------------------------------------------


def test_after_the_error_every_variable_is_as_it_was(backend: Backend, array: Any) -> None:
    xp, count = backend.namespace, Variable(array(0.0))

    def f(x: Any) -> Any:
        count.value = count + 1.0
        return xp.sqrt(x)

    transform = anyjac.jacrev(f, debug_nan=True)
    caught(lambda: transform(array(0.0)))
    assert float(count.value) == 0.0
    transform(array(4.0))
    assert float(count.value) == 1.0


def test_the_function_runs_once_where_all_is_finite(array: Any) -> None:
    runs = []
    anyjac.jacrev(lambda x: runs.append(1) or x**2, debug_nan=True)(array(POINT))
    assert runs == [1]


def test_traced_values_are_left_to_the_outer_call(backend: Backend, array: Any) -> None:
    inner = anyjac.jacrev(lambda x: x**2, debug_nan=True)
    assert float(anyjac.jacrev(inner)(array(3.0))) == 2.0


def test_aux_data_is_not_looked_at(array: Any) -> None:
    _, aux = anyjac.jacrev(lambda x: (x, x * np.inf), has_aux=True, debug_nan=True)(array([1.0]))
    assert np.isinf(np.asarray(aux)).all()


def test_half_precision_overflows_are_found(backend: Backend) -> None:
    x = backend.asarray(np.array([300.0]), dtype=backend.namespace.float16)
    assert caught(lambda: anyjac.jacrev(lambda x: x * x, debug_nan=True)(x)).value == "inf"


def test_the_repr_shows_it_and_pickling_keeps_it() -> None:
    transform = anyjac.jacrev(np.sin, debug_nan=True)
    assert repr(transform) == "jacrev(sin, debug_nan=True)"
    assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)
    assert "debug_nan" not in repr(anyjac.jacrev(np.sin))


@pytest.mark.parametrize("value", [1, "yes", None])
def test_what_is_no_flag_is_refused(value: Any) -> None:
    with pytest.raises(anyjac.InputTypeError, match="debug_nan must be True or False"):
        anyjac.jacrev(np.sin, debug_nan=value)
