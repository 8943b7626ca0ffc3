"""Scenarios: transforms within transforms, and beside the framework's own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from anyjac import InputTypeError, InputValueError, Variable, grad, hessian, hvp, jacfwd, jacrev, jvp, vjp

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()


# ---- once ----------------------------------------------------------------------------------------------------------

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "in chunks": {"chunk_size": 2},
    "row by row": {"chunk_size": 1},
    "with value": {"return_value": True},
}


def _count_runs(settings: dict[str, Any], lab: Lab) -> int:
    runs = []

    def f(x: Any) -> Any:
        runs.append(x)
        return {"a": x * x, "b": lab.xp.sin(x)}

    jacrev(f, **settings)(lab.array([1.0, 2.0, 3.0]))
    return len(runs)


for _name, _settings in WAYS.items():
    scenario.add(Scenario(_name, "composition/once", functools.partial(_count_runs, _settings), 1))


@scenario("composition/once", answer=1)
def without_anything_to_differentiate(lab: Lab) -> Any:
    runs = []
    jacrev(lambda n: runs.append(n) or lab.array([1.0]), allow_int=True)(lab.array(1, "int64"))  # type: ignore[func-returns-value]
    return len(runs)


@scenario("composition/once", answer=1)
def where_the_output_does_not_depend_on_the_input(lab: Lab) -> Any:
    runs = []
    jacrev(lambda x: runs.append(x) or lab.array([1.0, 2.0]))(lab.array([1.0]))  # type: ignore[func-returns-value]
    return len(runs)


# ---- begun again ---------------------------------------------------------------------------------------------------


def _branches(x: Any) -> Any:
    return x * x * x if x[0] > 0.0 else -x


def _branches_twice(x: Any) -> Any:
    y = x * x if x[0] > 0.0 else -x
    return y * x if y[1] > 1.0 else -y


# each is x^3 at (1, 2); a product with a Hessian is that of the sum
RESTARTED: dict[str, tuple[Callable[[Any, Any], Any], Any, tuple[str, ...]]] = {
    "jacrev": (lambda f, x: jacrev(f)(x), np.diag([3.0, 12.0]), ()),
    "grad": (lambda f, x: grad(lambda x: f(x)[1])(x), np.array([0.0, 12.0]), ()),
    "vjp": (lambda f, x: vjp(f)(x)(x), np.array([3.0, 24.0]), ()),
    "jacfwd": (lambda f, x: jacfwd(f)(x), np.diag([3.0, 12.0]), ("forward",)),
    "jvp": (lambda f, x: jvp(f)(x, x), np.array([3.0, 24.0]), ("forward",)),
    "hvp": (lambda f, x: hvp(lambda x: f(x)[1])(x, x), np.array([0.0, 24.0]), ("forward", "nested")),
    "hessian": (lambda f, x: hessian(lambda x: f(x)[1])(x), np.diag([0.0, 12.0]), ("nested",)),
}


def _written_once(lab: Lab, transform: Callable[[Any, Any], Any], branches: Callable[[Any], Any]) -> Any:
    calls, seen = Variable(lab.array(0.0)), Variable(lab.array([0.0, 0.0]))

    def f(x: Any) -> Any:
        calls.value += 1.0
        seen.value = seen + x
        y = branches(x)
        calls.value += 10.0
        return y

    first = transform(f, lab.array([1.0, 2.0]))
    after_one = calls.value + 0.0
    transform(f, lab.array([1.0, 2.0]))
    return first, after_one, calls.value, seen.value


for _name, (_transform, _result, _requires) in RESTARTED.items():
    for _where, _branch in {"a branch": _branches, "two branches": _branches_twice}.items():
        scenario.add(
            Scenario(
                f"{_name} of a function with {_where} on numbers",
                "composition/restarts",
                lambda lab, transform=_transform, branch=_branch: _written_once(lab, transform, branch),  # type: ignore[misc]
                (_result, np.array(11.0), np.array(22.0), np.array([2.0, 4.0])),
                frozenset(_requires),
            )
        )


@scenario("composition/restarts", answer=(np.diag([2.0, 4.0]), np.array(1.0), np.array(7.0)))
def an_error_that_the_function_catches_is_no_reason_to_write_twice(lab: Lab) -> Any:
    calls, last = Variable(lab.array(0.0)), Variable(lab.array(5.0))

    def f(x: Any) -> Any:
        calls.value += 1.0
        last.value += 2.0
        with contextlib.suppress(ZeroDivisionError):
            raise ZeroDivisionError
        return x * x

    return jacrev(f)(lab.array([1.0, 2.0])), calls.value, last.value


# ---- chunks --------------------------------------------------------------------------------------------------------

MATRIX = np.arange(35.0).reshape(7, 5)

for _size in (1, 2, 3, 6, 7, 8, np.int64(3), None):
    scenario.add(
        Scenario(
            f"of {_size!r}",
            "composition/chunks",
            lambda lab, size=_size: jacrev(lambda x: lab.array(MATRIX) @ x, chunk_size=size)(lab.array(np.ones(5))),  # type: ignore[misc]
            MATRIX,
        )
    )

for _bad, (_value, _kind) in {
    "zero": (0, InputValueError),
    "a negative": (-2, InputValueError),
    "a float": (2.0, InputTypeError),
    "a bool": (True, InputTypeError),
    "text": ("all", InputTypeError),
}.items():
    scenario.add(
        Scenario(
            f"{_bad} is refused",
            "composition/chunks",
            lambda lab, size=_value: jacrev(lambda x: x, chunk_size=size),  # type: ignore[misc]
            Raises(_kind, "chunk_size", repr(_value)),
        )
    )


# ---- NaN and infinity ----------------------------------------------------------------------------------------------


SINGULAR_AT_ZERO: dict[str, tuple[int, Any]] = {
    # how many zeros, and the function
    "square roots": (4, lambda xp, x: xp.sqrt(x)),
    "many square roots": (130, lambda xp, x: xp.sqrt(x)),
    "reciprocals": (4, lambda xp, x: 1 / x),
    "sines of square roots": (4, lambda xp, x: xp.sin(xp.sqrt(x))),
    "slices of logarithms": (4, lambda xp, x: xp.log(x)[1:] * x[:-1]),
}


def _chunks_that_differ(size: int, function: Any, lab: Lab) -> list[Any]:
    """Return the sizes of chunks in which rows differ from single pullbacks."""

    def f(x: Any) -> Any:
        return function(lab.xp, x)

    def on_host(array: Any) -> Any:
        return np.array(lab.backend.to_numpy(array))

    with np.errstate(all="ignore"):
        x = lab.array(np.zeros(size))
        (output,), pullback, _ = lab.backend.vjp(lambda x: ([f(x)], []), [x])
        pulled = [pullback([lab.array(seed)])[0] for seed in np.eye(output.shape[0])[:4]]
        rows = np.stack([np.zeros(size) if row is None else on_host(row) for row in pulled])
        found = {chunk: on_host(jacrev(f, chunk_size=chunk)(x)) for chunk in (None, 1, 3) if size < 10 or chunk is None}
    return [chunk for chunk, jacobian in found.items() if not np.array_equal(jacobian[:4], rows, equal_nan=True)]


for _name, (_count, _function) in SINGULAR_AT_ZERO.items():
    scenario.add(
        Scenario(_name, "composition/nonfinite", functools.partial(_chunks_that_differ, _count, _function), [])
    )


# ---- nested --------------------------------------------------------------------------------------------------------

# f(x) = sum(x^3): the Hessian is diag(6 x), the third derivative 6 on its diagonal
THIRD = np.zeros((2, 2, 2))
THIRD[0, 0, 0] = THIRD[1, 1, 1] = 6.0


@scenario("composition/nested", answer=np.diag([6.0, 12.0]), requires=("nested",))
def a_hessian(lab: Lab) -> Any:
    return jacrev(jacrev(lambda x: lab.xp.sum(x**3)))(lab.array([1.0, 2.0]))


@scenario("composition/nested", answer=THIRD, requires=("nested",))
def a_third_derivative(lab: Lab) -> Any:
    return jacrev(jacrev(jacrev(lambda x: lab.xp.sum(x**3))))(lab.array([1.0, 2.0]))


# f(w, x) = w^2 x^3 at w = 3, x = 2: d2f/dw dx = 6 w x^2 = 72
@scenario("composition/nested", answer=(np.array(72.0), np.array(72.0)), requires=("nested",))
def variables_at_one_level_and_arguments_at_the_other(lab: Lab) -> Any:
    w, x = Variable(lab.array(3.0)), lab.array(2.0)
    f = lambda x: w**2 * x**3  # noqa: E731
    return jacrev(jacrev(f), w)(x), jacrev(jacrev(f, w), argnums=0)(x)


@scenario("composition/nested", answer=((np.array(16.0), np.array(72.0)), np.array(48.0)), requires=("nested",))
def variables_at_both_levels(lab: Lab) -> Any:
    w, x = Variable(lab.array(3.0)), lab.array(2.0)
    f = lambda x: w**2 * x**3  # noqa: E731
    return jacrev(jacrev(f, w), w, 0, return_value=True)(x)


# The inner derivative is constant in y: d/dx of x * d(x y)/dy = d(x^2)/dx. Confused perturbations give another number.
@scenario("composition/nested", answer=np.array(6.0), requires=("nested",))
def an_inner_function_that_closes_over_the_outer_argument(lab: Lab) -> Any:
    return jacrev(lambda x: x * jacrev(lambda y: x * y)(lab.array(1.0)))(lab.array(3.0))


@scenario("composition/nested", answer=(np.array(12.0), np.array(8.0), np.array(3.0)), requires=("nested",))
def states_written_at_both_levels(lab: Lab) -> Any:
    inner_state, outer_state = Variable(lab.array(0.0)), Variable(lab.array(0.0))

    def inner(x: Any) -> Any:
        inner_state.value = x**3
        return x**3

    def outer(x: Any) -> Any:
        slope = jacrev(inner)(x)
        outer_state.value = slope / 4
        return slope

    return jacrev(outer)(lab.array(2.0)), inner_state.value, outer_state.value


@scenario("composition/nested", answer={"h": {"a": {"a": np.array(2.0), "b": np.array(1.0)}}}, requires=("nested",))
def trees_at_each_level(lab: Lab) -> Any:
    f = lambda tree: {"h": tree["a"] ** 2 + tree["a"] * tree["b"]}  # noqa: E731
    point = {"a": lab.array(1.0), "b": lab.array(1.0)}
    hessian = jacrev(jacrev(f))(point)
    return {"h": {"a": hessian["h"]["a"]}}


@scenario("composition/nested", answer=(np.array([3.0, 12.0]), np.diag([6.0, 12.0])), requires=("nested",))
def the_value_of_the_outer_is_the_derivative_of_the_inner(lab: Lab) -> Any:
    second, first = jacrev(jacrev(lambda x: lab.xp.sum(x**3)), return_value=True)(lab.array([1.0, 2.0]))
    return first, second


@scenario("composition/nested", answer=np.diag(6 * np.array([1 + 1j, 2.0])), requires=("nested", "complex"))
def holomorphic_twice(lab: Lab) -> Any:
    inner = jacrev(lambda z: lab.xp.sum(z**3), holomorphic=True)
    return jacrev(inner, holomorphic=True)(lab.array([1 + 1j, 2.0], "complex128"))


# ---- beside the framework's own ------------------------------------------------------------------------------------


@scenario("composition/native-grad", answer=np.array([6.0, 12.0]), requires=("grad", "nested"))
def around_a_transform(lab: Lab) -> Any:
    sum_of_slopes = lambda x: lab.xp.sum(jacrev(lambda y: y**3)(x))  # noqa: E731
    return lab.native_grad(sum_of_slopes)(lab.array([1.0, 2.0]))


@scenario("composition/native-grad", answer=np.diag([6.0, 12.0]), requires=("grad", "nested"))
def inside_a_transform(lab: Lab) -> Any:
    return jacrev(lab.native_grad(lambda x: lab.xp.sum(x**3)))(lab.array([1.0, 2.0]))


@scenario("composition/native-grad", answer={"w": np.array([6.0, 24.0])}, requires=("grad", "nested"))
def inside_a_transform_of_a_variable(lab: Lab) -> Any:
    w = Variable(lab.array(2.0))
    slope = lab.native_grad(lambda x: lab.xp.sum(w * x**3))
    return jacrev(lambda x: slope(x) * 2.0, {"w": w})(lab.array([1.0, 2.0]))


@scenario("composition/native-grad", answer=np.array([18.0, 36.0]), requires=("grad", "nested"))
def around_a_transform_that_reads_a_variable(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    return lab.native_grad(lambda x: lab.xp.sum(jacrev(lambda y: w * y**3)(x)))(lab.array([1.0, 2.0]))


@scenario("composition/native-jit", answer=np.diag([2.0, 4.0]), requires=("jit",))
def a_compiled_transform(lab: Lab) -> Any:
    return lab.native_jit(jacrev(lambda x: x**2))(lab.array([1.0, 2.0]))


@scenario("composition/native-jit", answer=(np.diag([2.0, 4.0]), np.diag([3.0, 3.0])), requires=("jit",))
def a_transform_of_a_compiled_function(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    square = lab.native_jit(lambda x: x**2)
    scale = jacrev(lambda x: lab.native_jit(lambda y, k: k * y)(x, w.value))
    return jacrev(square)(lab.array([1.0, 2.0])), scale(lab.array([1.0, 2.0]))


@scenario("composition/native-jit", answer=(np.diag([3.0, 3.0]), np.diag([1.0, 2.0])), requires=("jit",))
def a_compiled_transform_that_reads_a_variable(lab: Lab) -> Any:
    w = Variable(lab.array([3.0, 3.0]))
    of_argument = lab.native_jit(jacrev(lambda x: w * x))
    of_variable = lab.native_jit(jacrev(lambda x: w * x, w))
    return of_argument(lab.array([1.0, 2.0])), of_variable(lab.array([1.0, 2.0]))


@scenario("composition/native-jit", answer=(np.array([1.0, 2.0]), np.diag([3.0, 3.0])), requires=("jit",))
def a_compiled_function_that_reads_a_differentiated_variable(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    compiled = lab.native_jit(lambda x: w.value * x)
    return jacrev(compiled, w, 0)(lab.array([1.0, 2.0]))


# by rows of rows, by the Hessian, by columns of rows, and by a product with (1, 1)
@scenario(
    "composition/native-jit",
    answer=[np.diag([6.0, 12.0])] * 3 + [np.array([6.0, 12.0])],
    requires=("jit", "nested", "forward"),
)
def second_derivatives_of_a_compiled_function(lab: Lab) -> Any:
    x, ones = lab.array([1.0, 2.0]), lab.array([1.0, 1.0])
    cubes = lab.native_jit(lambda x: lab.xp.sum(x**3))
    return [jacrev(jacrev(cubes))(x), hessian(cubes)(x), jacfwd(jacrev(cubes))(x), hvp(cubes)(ones, x)]


@scenario("composition/native-jit", answer=[np.diag([3.0, 12.0]), np.array([3.0, 12.0])], requires=("jit", "forward"))
def columns_of_a_compiled_function(lab: Lab) -> Any:
    x, ones = lab.array([1.0, 2.0]), lab.array([1.0, 1.0])
    cubes = lab.native_jit(lambda x: x**3)
    return [jacfwd(cubes)(x), jvp(cubes)(ones, x)]


@scenario("composition/native-jit", answer=np.diag([6.0, 12.0]), requires=("jit", "nested"))
def compiled_at_every_level(lab: Lab) -> Any:
    jit = lab.native_jit
    return jit(jacrev(jit(jacrev(jit(lambda x: lab.xp.sum(x**3))))))(lab.array([1.0, 2.0]))


SQUARES = np.stack([np.diag([2.0, 4.0]), np.diag([6.0, 8.0])])


@scenario("composition/native-vmap", answer=SQUARES, requires=("vmap",))
def a_mapped_transform(lab: Lab) -> Any:
    return lab.native_vmap(jacrev(lambda x: x**2))(lab.array([[1.0, 2.0], [3.0, 4.0]]))


@scenario("composition/native-vmap", answer=3 * SQUARES, requires=("vmap",))
def a_mapped_transform_that_reads_a_variable(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    return lab.native_vmap(jacrev(lambda x: w * x**2))(lab.array([[1.0, 2.0], [3.0, 4.0]]))


@scenario("composition/native-vmap", answer=np.diag([2.0, 4.0]), requires=("vmap",))
def a_transform_of_a_mapped_function(lab: Lab) -> Any:
    return jacrev(lab.native_vmap(lambda x: x**2))(lab.array([1.0, 2.0]))


@scenario("composition/native-vmap", answer=(np.array([1.0, 2.0]), np.diag([3.0, 3.0])), requires=("vmap",))
def a_mapped_function_that_reads_a_differentiated_variable(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    return jacrev(lab.native_vmap(lambda x: w.value * x), w, 0)(lab.array([1.0, 2.0]))


@scenario("composition/native-vmap", answer=np.stack([np.diag([6.0, 12.0])] * 2), requires=("vmap", "nested"))
def a_mapped_hessian(lab: Lab) -> Any:
    return lab.native_vmap(jacrev(jacrev(lambda x: lab.xp.sum(x**3))))(lab.array([[1.0, 2.0], [1.0, 2.0]]))
