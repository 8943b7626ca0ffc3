"""Scenarios: the members of the family besides `jacrev`, packed by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anyjac import (
    InputTypeError,
    InputValueError,
    NotSupportedError,
    OutputError,
    Variable,
    derivative,
    float0,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vector_grad,
    vjp,
)

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()


def _packed(make: Callable[..., Any], lab: Lab) -> list[Any]:
    """Return the derivatives of ``w (x . x) + y`` at x = (1, 2), y = 5, w = 3, packed in every way."""
    w = Variable(lab.array(3.0), name="w")
    x, y = lab.array([1.0, 2.0]), lab.array(5.0)

    def f(x: Any, y: Any) -> Any:
        return w * lab.xp.sum(x * x) + y

    def with_aux(x: Any, y: Any) -> Any:
        return f(x, y), "aux"

    return [
        make(f)(x, y),
        make(f, argnums=(1, 0))(x, y),
        make(f, {"w": [w]})(x, y),
        make(f, w, 0)(x, y),
        make(with_aux, has_aux=True)(x, y),
        make(f, return_value=True)(x, y),
        make(with_aux, w, (1,), has_aux=True, return_value=True)(x, y),
    ]


DX, DY, DW, VALUE = np.array([6.0, 12.0]), np.array(1.0), np.array(5.0), np.array(20.0)

PACKED = [
    DX,
    (DY, DX),
    {"w": [DW]},
    (DW, DX),
    (DX, "aux"),
    (DX, VALUE),
    ((DW, (DY,)), VALUE, "aux"),
]
"""The gradient of ``w (x . x) + y``, packed as `_packed` asks for it."""


# ---- one pass ------------------------------------------------------------------------------------------------------


@scenario("grad/packing", answer=PACKED)
def a_gradient_is_packed_as_a_jacobian_is(lab: Lab) -> Any:
    return _packed(grad, lab)


@scenario("grad/packing", answer=(np.array(2 - 4j), np.array(-9 + 12j)), requires=("complex",))
def a_gradient_of_complex_numbers(lab: Lab) -> Any:
    z = lab.array(1 + 2j, "complex128")
    return grad(lambda z: lab.xp.abs(z) ** 2)(z), grad(lambda z: z**3, holomorphic=True)(z)


@scenario("grad/packing", answer=np.array([6.0, 12.0]), requires=("nested",))
def a_gradient_of_a_gradient(lab: Lab) -> Any:
    return grad(lambda x: lab.xp.sum(grad(lambda y: lab.xp.sum(y**3))(x)))(lab.array([1.0, 2.0]))


@scenario("grad/scalar", answer=Raises(OutputError, "(2,)", "scalar", "jacrev", "vector_grad"))
def an_array_is_refused_by_its_shape(lab: Lab) -> Any:
    return grad(lambda x: 2 * x)(lab.array([1.0, 2.0]))


@scenario("grad/scalar", answer=Raises(OutputError, "dict", "one leaf"))
def a_tree_is_refused(lab: Lab) -> Any:
    return grad(lambda x: {"loss": lab.xp.sum(x)})(lab.array([1.0, 2.0]))


@scenario("grad/scalar", answer=np.array(1.0))
def after_a_refusal_every_variable_is_as_it_was(lab: Lab) -> Any:
    v = Variable(lab.array(1.0))

    def f(x: Any) -> Any:
        v.value = v + 1.0
        return x

    try:
        grad(f)(lab.array([1.0, 2.0]))
    except OutputError:
        return v.value


@scenario("vector-grad/sum", answer=PACKED)
def of_a_scalar_it_is_the_gradient(lab: Lab) -> Any:
    return _packed(vector_grad, lab)


# The sum of x^2, over its elements, and of 3 sum(x)
@scenario("vector-grad/sum", answer=(np.array([5.0, 7.0]), {"a": np.array([1.0, 4.0]), "b": [np.array(9.0)]}))
def all_elements_of_all_outputs_count_once(lab: Lab) -> Any:
    f = lambda x: {"a": x * x, "b": [3 * lab.xp.sum(x)]}  # noqa: E731
    return vector_grad(f, return_value=True)(lab.array([1.0, 2.0]))


@scenario("vector-grad/sum", answer=np.array([2 + 2j, -2j]), requires=("complex",))
def the_pullback_of_complex_ones(lab: Lab) -> Any:
    return vector_grad(lambda z: z * z, holomorphic=True)(lab.array([1 + 1j, -1j], "complex128"))


@scenario("value-and-grad/order", answer=[(VALUE, DX), (VALUE, (DW, (DY,))), ((VALUE, "aux"), DX)])
def the_value_comes_first(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    x, y = lab.array([1.0, 2.0]), lab.array(5.0)

    def f(x: Any, y: Any) -> Any:
        return w * lab.xp.sum(x * x) + y

    return [
        value_and_grad(f)(x, y),
        value_and_grad(f, w, (1,))(x, y),
        value_and_grad(lambda x, y: (f(x, y), "aux"), has_aux=True)(x, y),
    ]


@scenario("derivative/scalar", answer=({"y": np.array([2.0, 12.0])}, {"y": np.array([4.0, 4.0])}))
def of_a_curve(lab: Lab) -> Any:
    curve = lambda t: {"y": lab.xp.stack([2 * t, t**3 - 4.0])}  # noqa: E731
    return derivative(curve, return_value=True)(lab.array(2.0))


@scenario("derivative/scalar", answer=np.array(5.0))
def for_a_variable(lab: Lab) -> Any:
    v = Variable(lab.array(2.0))
    return derivative(lambda: v * v + v, v)()


@scenario("derivative/scalar", answer=Raises(InputValueError, "(2,)", "one scalar"))
def more_than_a_number_is_refused(lab: Lab) -> Any:
    return derivative(lambda x: x)(lab.array([1.0, 2.0]))


# ---- Jacobians in both modes ---------------------------------------------------------------------------------------


@scenario("jacfwd/packing", answer=PACKED, requires=("forward",))
def a_jacobian_by_columns_is_packed_as_one_by_rows(lab: Lab) -> Any:
    return _packed(jacfwd, lab)


MATRIX = np.arange(1.0, 7.0).reshape(2, 3)


@scenario(
    "jacfwd/blocks",
    answer={"a": {"x": MATRIX}, "c": {"x": np.zeros(3)}},
    requires=("forward",),
)
def the_outputs_tree_is_outside_and_constants_give_zeros(lab: Lab) -> Any:
    return jacfwd(lambda d: {"a": lab.array(MATRIX) @ d["x"], "c": 1.5})({"x": lab.array([1.0, 2.0, 3.0])})


@scenario("jacfwd/blocks", answer=[MATRIX] * 4, requires=("forward",))
def any_number_of_columns_at_once(lab: Lab) -> Any:
    x = lab.array([1.0, 2.0, 3.0])
    return [jacfwd(lambda x: lab.array(MATRIX) @ x, chunk_size=size)(x) for size in (None, 1, 2, 5)]


@scenario(
    "jacfwd/blocks",
    answer=(np.diag([2 - 4j, -6j]), np.diag([-9 + 12j, -27 + 0j])),
    requires=("forward", "complex"),
)
def columns_of_complex_numbers(lab: Lab) -> Any:
    z = lab.array([1 + 2j, 3j], "complex128")
    return jacfwd(lambda z: lab.xp.abs(z) ** 2)(z), jacfwd(lambda z: z**3, holomorphic=True)(z)


@scenario("jacfwd/blocks", answer=(np.zeros((2, 3), float0), np.diag([2.0, 4.0])), requires=("forward",))
def integers_have_trivial_columns(lab: Lab) -> Any:
    return jacfwd(lambda n, x: x * x, argnums=(0, 1), allow_int=True)(
        lab.array([1, 2, 3], "int32"), lab.array([1.0, 2.0])
    )


@scenario("jacfwd/blocks", answer=(np.zeros((0, 2)), np.zeros((2, 0))), requires=("forward",))
def empty_arrays_have_empty_blocks(lab: Lab) -> Any:
    return jacfwd(lambda x: x[:0])(lab.array([1.0, 2.0])), jacfwd(lambda e, x: x, argnums=0)(
        lab.array(np.zeros(0)), lab.array([1.0, 2.0])
    )


@scenario("jacfwd/blocks", answer=(np.array([[4.0, 0.0], [0.0, 8.0]]), np.array(3.0)), requires=("forward",))
def a_write_is_differentiated_and_stored_once(lab: Lab) -> Any:
    v = Variable(lab.array(2.0))

    def f(x: Any) -> Any:
        v.value = v + 1.0
        return (v - 1.0) * x * x

    return jacfwd(f)(lab.array([1.0, 2.0])), v.value


@scenario(
    "jacfwd/nested", answer=[6 * np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 2.0]]])] * 3, requires=("forward", "nested")
)
def columns_of_rows_and_rows_of_columns(lab: Lab) -> Any:
    x, f = lab.array([1.0, 2.0]), lambda x: x**3
    return [jacfwd(jacrev(f))(x), jacrev(jacfwd(f))(x), jacfwd(jacfwd(f))(x)]


@scenario("jacobian/mode", answer=([MATRIX.T] * 3, ["fwd", "auto"]), requires=("forward",))
def the_mode_is_asked_for_or_picked(lab: Lab) -> Any:
    f, x = lambda x: lab.array(MATRIX.T) @ x, lab.array([1.0, 2.0])
    found = [jacobian(f, mode=mode) for mode in ("rev", "fwd", "auto")]
    blocks = [each(x) for each in found]
    said = ["fwd" if "mode='fwd'" in repr(found[1]) else "", "auto" if "(took '" in repr(found[2]) else ""]
    return blocks, said


@scenario("jacobian/mode", answer=Raises(InputValueError, "'sideways'", "'auto'"))
def a_mode_that_is_none_is_refused(lab: Lab) -> Any:
    return jacobian(lambda x: x, mode="sideways")  # type: ignore[call-overload]


@scenario("jacobian/mode", answer=True)
def columns_of_a_backend_without_them_are_refused(lab: Lab) -> Any:
    try:
        found = jacobian(lambda x: x * x, mode="fwd")(lab.array(3.0))
    except NotSupportedError as error:
        return "forward" in str(error) and not lab.backend.supports("forward")
    return lab.backend.supports("forward") and float(found) == 6.0


# ---- second derivatives --------------------------------------------------------------------------------------------

# f = w (x . x) + w^2 y: f_xx = 2 w, f_xw = 2 x, f_ww = 2 y, f_wy = 2 w
H_XX, H_XW, H_WW = 6 * np.eye(2), np.array([2.0, 4.0]), np.array(10.0)


def _energy(lab: Lab, w: Any) -> Callable[..., Any]:
    return lambda x, y: w * lab.xp.sum(x * x) + w * w * y


@scenario(
    "hessian/blocks",
    answer=[
        H_XX,
        ((np.array(0.0), np.zeros(2)), (np.zeros(2), H_XX)),
        {"w": {"w": H_WW}},
        ((H_WW, H_XW), (H_XW, H_XX)),
    ],
    requires=("nested",),
)
def blocks_of_arguments_and_variables(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    f, x, y = _energy(lab, w), lab.array([1.0, 2.0]), lab.array(5.0)
    return [
        hessian(f)(x, y),
        hessian(f, argnums=(1, 0))(x, y),
        hessian(f, {"w": w})(x, y),
        hessian(f, w, 0)(x, y),
    ]


@scenario(
    "hessian/packing",
    answer=[(H_XX, "aux"), (H_XX, np.array(60.0)), (H_XX, np.array(60.0), "aux"), np.array(1.0)],
    requires=("nested",),
)
def value_and_aux_are_those_of_the_function(lab: Lab) -> Any:
    w, runs = Variable(lab.array(3.0)), Variable(lab.array(0.0))
    x, y = lab.array([1.0, 2.0]), lab.array(5.0)
    f = _energy(lab, w)

    def counted(x: Any, y: Any) -> Any:
        runs.value = runs + 1.0
        return f(x, y), "aux"

    found = [hessian(lambda x, y: (f(x, y), "aux"), has_aux=True)(x, y), hessian(f, return_value=True)(x, y)]
    return [*found, hessian(counted, has_aux=True, return_value=True)(x, y), runs.value]


ZERO = np.array(0.0)


# of (x0^3, x0 x1^2): d2/dx2 = [[6 x0, 0], [0, 0]] and [[0, 2 x1], [2 x1, 2 x0]]; of x0 y: by x and y crosswise
@scenario(
    "hessian/blocks",
    answer=(
        np.array([[[6.0, 0.0], [0.0, 0.0]], [[0.0, 4.0], [4.0, 2.0]]]),
        {
            "a": {"x": {"x": np.zeros((2, 2)), "y": np.array([1.0, 0.0])}, "y": {"x": np.array([1.0, 0.0]), "y": ZERO}},
            "c": {"x": {"x": np.zeros((2, 2)), "y": np.zeros(2)}, "y": {"x": np.zeros(2), "y": ZERO}},
        },
    ),
    requires=("nested",),
)
def each_output_has_a_hessian(lab: Lab) -> Any:
    x = lab.array([1.0, 2.0])
    of_array = hessian(lambda x: lab.xp.stack([x[0] ** 3, x[0] * x[1] ** 2]))(x)
    of_tree = hessian(lambda d: {"a": d["x"][0] * d["y"], "c": 1.5})({"x": x, "y": lab.array(3.0)})
    return of_array, of_tree


@scenario("hessian/blocks", answer=np.array(6 + 12j), requires=("nested", "complex"))
def of_a_holomorphic_function(lab: Lab) -> Any:
    return hessian(lambda z: z**3, holomorphic=True)(lab.array(1 + 2j, "complex128"))


@scenario(
    "hessian/blocks",
    answer=(
        {
            "n": {"n": np.zeros((2, 2), float0), "x": np.zeros((2, 3), float0)},
            "x": {"n": np.zeros((3, 2), float0), "x": 2 * np.eye(3)},
        },
        {"n": np.zeros(2, float0), "x": np.array([2.0, 0.0, -2.0])},
    ),
    requires=("nested", "forward"),
)
def those_by_integers_are_trivial(lab: Lab) -> Any:
    point = {"n": lab.array([1, 2], "int32"), "x": lab.array([1.0, 2.0, 3.0])}
    f, v = (lambda d: lab.xp.sum(d["x"] ** 2)), lab.array([1.0, 0.0, -1.0])
    along = hvp(f, allow_int=True)({"n": np.zeros(2, float0), "x": v}, point)
    return hessian(f, allow_int=True)(point), along


# d/dx of x0^2 x1: an asymmetry would show
@scenario("hessian/blocks", answer=np.array([[4.0, 2.0], [2.0, 0.0]]), requires=("nested",))
def it_is_symmetric(lab: Lab) -> Any:
    return hessian(lambda x: x[0] ** 2 * x[1])(lab.array([1.0, 2.0]))


# along (dw, dx) = (1, (1, -1)): f_ww + f_wx dx = 10 + 2 - 4, f_xw + f_xx dx = (2, 4) + (6, -6)
@scenario(
    "hvp/product",
    answer=[6 * np.array([1.0, -1.0]), (np.array(8.0), np.array([8.0, -2.0]))],
    requires=("forward", "nested"),
)
def the_hessian_times_a_vector(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    f, x, y = _energy(lab, w), lab.array([1.0, 2.0]), lab.array(5.0)
    v = lab.array([1.0, -1.0])
    return [hvp(f)(v, x, y), hvp(f, w, 0)((lab.array(1.0), v), x, y)]


@scenario("hvp/product", answer=(6 * np.array([1.0, -1.0]), np.array(60.0), "aux"), requires=("forward", "nested"))
def value_and_aux_beside_the_product(lab: Lab) -> Any:
    f = _energy(lab, 3.0)
    product = hvp(lambda x, y: (f(x, y), "aux"), has_aux=True, return_value=True)
    return product(lab.array([1.0, -1.0]), lab.array([1.0, 2.0]), lab.array(5.0))


# ---- products of the Jacobian --------------------------------------------------------------------------------------


@scenario(
    "vjp/product", answer=[{"w": np.array(4.0)}, (np.array(4.0), np.array([3.0, 7.0])), (np.array([2.0, 5.0]), "aux")]
)
def cotangents_are_pulled_back(lab: Lab) -> Any:
    w, x = Variable(lab.array(2.0)), lab.array([1.0, 2.0])
    f = lambda x: {"y": w * x, "s": lab.xp.sum(x), "c": 1.0}  # noqa: E731
    cotangents = {"y": lab.array([0.0, 2.0]), "s": lab.array(3.0), "c": 7.0}
    pullback, aux = vjp(lambda x: (w * x, "aux"), has_aux=True)(x)
    return [
        vjp(f, {"w": w})(x)(cotangents),
        vjp(f, w, 0)(x)(cotangents),
        (pullback(lab.array([1.0, 2.5])), aux),
    ]


@scenario("vjp/product", answer=[np.array([2.0, 0.0]), np.array([0.0, 4.0]), np.array(1.0), np.array([1.0, 4.0])])
def a_pullback_serves_many_cotangents_of_one_run(lab: Lab) -> Any:
    runs = Variable(lab.array(0.0))

    def f(x: Any) -> Any:
        runs.value = runs + 1.0
        return x * x

    pullback, value = vjp(f, return_value=True)(lab.array([1.0, 2.0]))
    return [pullback(lab.array([1.0, 0.0])), pullback(lab.array([0.0, 1.0])), runs.value, value]


@scenario("vjp/product", answer=Raises(InputValueError, "cotangents['a']", "(3,)", "(2,)"))
def a_cotangent_of_another_shape_is_named(lab: Lab) -> Any:
    return vjp(lambda x: {"a": x})(lab.array([1.0, 2.0]))({"a": lab.array([1.0, 2.0, 3.0])})


# the gradient of 1 x^2 + 10 (3 x) at 2
@scenario("vjp/product", answer=np.array(34.0))
def cotangents_in_a_dict_belong_to_its_keys(lab: Lab) -> Any:
    pullback = vjp(lambda x: {"square": x * x, "triple": 3 * x})(lab.array(2.0))
    return pullback({"triple": lab.array(10.0), "square": lab.array(1.0)})


@scenario("vjp/product", answer=Raises(InputValueError, "cotangents"))
def cotangents_of_another_structure_are_refused(lab: Lab) -> Any:
    return vjp(lambda x: {"a": x})(lab.array([1.0, 2.0]))([lab.array([1.0, 2.0])])


TANGENT = np.array([1.0, -1.0])


@scenario(
    "jvp/product",
    answer=[(2 * TANGENT, np.array(0.0)), (np.array([3.0, 0.0]), np.array(0.0)), ((2 * TANGENT, np.array(0.0)), "aux")],
    requires=("forward",),
)
def tangents_are_pushed_forward(lab: Lab) -> Any:
    w, x, t = Variable(lab.array(2.0)), lab.array([1.0, 2.0]), lab.array(TANGENT)

    def f(x: Any) -> Any:
        return w * x, lab.xp.sum(x)

    return [
        jvp(f)(t, x),
        jvp(f, w, 0)((lab.array(1.0), t), x),
        jvp(lambda x: (f(x), "aux"), has_aux=True)(t, x),
    ]


# w x at (2, 3) along (1, 10)
@scenario("jvp/product", answer=[np.array(23.0), np.array(23.0)], requires=("forward",))
def tangents_in_a_dict_belong_to_its_keys(lab: Lab) -> Any:
    w, x = lab.array(2.0), lab.array(3.0)
    tangents = {"x": lab.array(10.0), "w": lab.array(1.0)}
    v, u = Variable(w), Variable(x)
    return [
        jvp(lambda d: d["w"] * d["x"])(tangents, {"w": w, "x": x}),
        jvp(lambda: v * u, {"w": v, "x": u})(tangents),
    ]


@scenario("jvp/product", answer=(np.array([2.0, -4.0]), np.array([1.0, 4.0]), np.array(1.0)), requires=("forward",))
def a_product_runs_the_function_once(lab: Lab) -> Any:
    runs = Variable(lab.array(0.0))

    def f(x: Any) -> Any:
        runs.value = runs + 1.0
        return x * x

    return *jvp(f, return_value=True)(lab.array(TANGENT), lab.array([1.0, 2.0])), runs.value


# d/dt |z + t d|^2 = 2 Re(conj(z) d)
@scenario("jvp/product", answer=(np.array(-2.0), np.array(-12 - 9j)), requires=("forward", "complex"))
def along_a_complex_direction(lab: Lab) -> Any:
    z, d = lab.array(1 + 2j, "complex128"), lab.array(1 - 1j, "complex128")
    of_real = jvp(lambda z: lab.xp.real(z * lab.xp.conj(z)))(d, z)
    return of_real, jvp(lambda z: z**3, holomorphic=True)(lab.array(1j, "complex128"), z)


@scenario("jvp/product", answer=Raises(InputValueError, "the tangent has", "(3,)", "(2,)"), requires=("forward",))
def a_tangent_of_another_shape_is_named(lab: Lab) -> Any:
    return jvp(lambda x: x)(lab.array([1.0, 2.0, 3.0]), lab.array([1.0, 2.0]))


@scenario("jvp/product", answer=Raises(InputTypeError, "tangents"))
def without_tangents_it_says_what_is_missing(lab: Lab) -> Any:
    transform: Any = jvp(lambda: 1.0)
    return transform()


# d/dx of the product of the Jacobian of x^3 with x: d/dx 3 x^3
@scenario("jvp/nested", answer=np.diag([9.0, 36.0]), requires=("forward", "nested"))
def rows_of_a_product(lab: Lab) -> Any:
    return jacrev(lambda x: jvp(lambda y: y**3)(x, x))(lab.array([1.0, 2.0]))


@scenario(
    "linearize/product",
    answer=[np.array([2.0, 0.0]), np.array([0.0, 4.0]), np.array([1.0, 4.0])],
    requires=("forward",),
)
def a_pushforward_serves_many_tangents(lab: Lab) -> Any:
    pushforward, value = linearize(lambda x: x * x, return_value=True)(lab.array([1.0, 2.0]))
    return [pushforward(lab.array([1.0, 0.0])), pushforward(lab.array([0.0, 1.0])), value]


@scenario("linearize/product", answer=(np.array([5.0, 8.0]), np.array(0.0)), requires=("forward",))
def along_variables_and_arguments(lab: Lab) -> Any:
    w = Variable(lab.array(2.0))
    pushforward = linearize(lambda x: (w * x, 1.0), w, (0,))(lab.array([1.0, 2.0]))
    pushed, of_constant = pushforward((lab.array(3.0), (lab.array([1.0, 1.0]),)))
    return pushed, lab.array(float(of_constant))
