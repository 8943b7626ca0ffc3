"""Scenarios: which dtypes have a derivative, and what the derivative is for complex numbers and integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from anyjac import (
    DtypeError,
    OutputError,
    Variable,
    float0,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    vector_grad,
    vjp,
)

from ..answers import Array, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()


def _float0(*shape: int) -> Any:
    return np.zeros(shape, float0)


# ---- real ----------------------------------------------------------------------------------------------------------

for _dtype, _requires in {
    "float64": (),
    "float32": (),
    "float16": ("float16",),
    "bfloat16": ("bfloat16",),
}.items():
    scenario.add(
        Scenario(
            f"{_dtype} gives {_dtype}",
            "dtypes/real",
            lambda lab, dtype=_dtype: jacrev(lambda x: x * x)(lab.array([1.5, 2.0], dtype)),  # type: ignore[misc]
            Array(np.diag([3.0, 4.0]), _dtype),
            frozenset(_requires),
        )
    )


@scenario("dtypes/real", answer=(Array(np.array(2.0), "float32"), Array(np.array(3.0), "float64")))
def mixed_dtypes_each_keep_their_own(lab: Lab) -> Any:
    return jacrev(lambda x, y: x * y, argnums=(0, 1))(lab.array(3.0, "float32"), lab.array(2.0, "float64"))


@scenario("dtypes/real", answer={"w": Array(np.array([[2.0]]), "float16")}, requires=("float16",))
def a_variable_of_half_precision_in_a_wider_output(lab: Lab) -> Any:
    w = Variable(lab.array([3.0], "float16"))
    return jacrev(lambda x: lab.xp.astype(w.value, lab.xp.float64) * x, {"w": w})(lab.array([2.0]))


# ---- integers ------------------------------------------------------------------------------------------------------

for _dtype in ("int32", "int64", "uint8", "bool"):
    scenario.add(
        Scenario(
            f"{_dtype} argument",
            "dtypes/integers",
            lambda lab, dtype=_dtype: jacrev(lambda tree: tree["a"][0])({"a": [lab.array([1, 0], dtype)]}),  # type: ignore[misc]
            Raises(DtypeError, _dtype, "argument 0['a'][0]", "allow_int"),
        )
    )
    scenario.add(
        Scenario(
            f"{_dtype} with allow_int",
            "dtypes/allow-int",
            lambda lab, dtype=_dtype: jacrev(lambda n, x: x * 1.0, allow_int=True)(  # type: ignore[misc]
                lab.array([1, 0, 1], dtype), lab.array([1.0, 2.0])
            ),
            _float0(2, 3),
        )
    )


@scenario("dtypes/integers", answer=Raises(DtypeError, "argument 0", "allow_int"))
def a_python_int(lab: Lab) -> Any:
    return jacrev(lambda x: x * 1.0)(3)


@scenario("dtypes/integers", answer=Raises(DtypeError, "int64", "grad_vars['steps'][0]", "'count'"))
def an_integer_variable_is_named_with_its_path(lab: Lab) -> Any:
    count = Variable(lab.array([1, 2], "int64"), name="count")
    return jacrev(lambda: count * 1.0, {"steps": [count]})()


@scenario("dtypes/allow-int", answer={"count": _float0(2, 2), "w": np.array([[1.0, 0.0], [0.0, 2.0]])})
def an_integer_variable_beside_a_real_one(lab: Lab) -> Any:
    count, w = Variable(lab.array([1, 2], "int64")), Variable(lab.array([1.0, 1.0]))
    return jacrev(lambda: count * w, {"count": count, "w": w}, allow_int=True)()


@scenario("dtypes/allow-int", answer=(_float0(), {"y": [_float0(2)]}, ["integral"]))
def integers_stay_integers_inside(lab: Lab) -> Any:
    kinds: list[str] = []

    def f(n: Any) -> Any:
        kinds.append(lab.backend.dtype_kind(n.dtype))
        return lab.xp.asarray([1.0, 2.0])[n]

    def g(n: Any) -> Any:
        return {"y": [lab.xp.asarray([1.0, 2.0])]}

    index = lab.array(1, "int64")
    return jacrev(f, allow_int=True)(index), jacrev(g, allow_int=True)(index), kinds


# ---- outputs -------------------------------------------------------------------------------------------------------


@scenario("dtypes/integer-output", answer=Raises(DtypeError, "int64", "output['n']"))
def it_is_named_with_its_path(lab: Lab) -> Any:
    return jacrev(lambda x: {"y": x, "n": lab.array([1, 2], "int64")})(lab.array([1.0, 2.0]))


@scenario("dtypes/integer-output", answer=Raises(DtypeError, "bool"))
def a_comparison_is_no_output(lab: Lab) -> Any:
    return jacrev(lambda x: x > 1.0)(lab.array([1.0, 2.0]))


for _name, _nothing in {"None": None, "an empty tuple": (), "a dict of None": {"a": None}}.items():
    scenario.add(
        Scenario(
            f"{_name} is refused",
            "dtypes/no-output",
            lambda lab, nothing=_nothing: jacrev(lambda x: nothing)(lab.array([1.0])),  # type: ignore[misc]
            Raises(OutputError, "holds no array"),
        )
    )


@scenario("dtypes/no-output", answer=Raises(OutputError, "'text'", "output[1]"))
def text_is_no_output(lab: Lab) -> Any:
    return jacrev(lambda x: [x, "text"])(lab.array([1.0]))


@scenario("dtypes/number-output", answer={"one": np.zeros(2), "half": np.zeros(2), "y": np.diag([2.0, 2.0])})
def its_blocks_are_zeros(lab: Lab) -> Any:
    return jacrev(lambda x: {"one": 1, "half": 0.5, "y": 2 * x})(lab.array([1.0, 2.0]))


@scenario("dtypes/number-output", answer=(np.zeros(2), 7.0))
def alone_it_gives_zeros_and_stays_a_number(lab: Lab) -> Any:
    return jacrev(lambda x: 7.0, return_value=True)(lab.array([1.0, 2.0]))


# ---- complex -------------------------------------------------------------------------------------------------------

Z = np.array([1 + 2j, 3 - 1j])


@scenario("dtypes/holomorphic", answer=np.diag(3 * Z**2), requires=("complex",))
def the_cube(lab: Lab) -> Any:
    return jacrev(lambda z: z**3, holomorphic=True)(lab.array(Z, "complex128"))


@scenario("dtypes/holomorphic", answer=np.diag(np.exp(1j * Z) * 1j), requires=("complex",))
def the_exponential_of_iz(lab: Lab) -> Any:
    return jacrev(lambda z: lab.xp.exp(1j * z), holomorphic=True)(lab.array(Z, "complex128"))


@scenario("dtypes/holomorphic", answer=Array(np.array([[2 + 4j]]), "complex64"), requires=("complex",))
def single_precision_stays_single(lab: Lab) -> Any:
    return jacrev(lambda z: z * z, holomorphic=True)(lab.array([1 + 2j], "complex64"))


@scenario("dtypes/holomorphic", answer=({"w": np.array(1 + 2j)}, np.array(3 + 1j)), requires=("complex",))
def of_variables_and_arguments(lab: Lab) -> Any:
    w = Variable(lab.array(3 + 1j, "complex128"))
    return jacrev(lambda z: w * z, {"w": w}, 0, holomorphic=True)(lab.array(1 + 2j, "complex128"))


@scenario(
    "dtypes/holomorphic",
    answer=Raises(DtypeError, "holomorphic=True", "float64", "argument 0"),
    requires=("complex",),
)
def a_real_input_is_refused(lab: Lab) -> Any:
    return jacrev(lambda z: z * 1j, holomorphic=True)(lab.array([1.0]))


@scenario(
    "dtypes/holomorphic", answer=Raises(DtypeError, "holomorphic=True", "float64", "output"), requires=("complex",)
)
def a_real_output_is_refused(lab: Lab) -> Any:
    return jacrev(lambda z: lab.xp.real(z), holomorphic=True)(lab.array([1j], "complex128"))


@scenario(
    "dtypes/holomorphic-leaves", answer=Raises(DtypeError, "argument 0[1]['r']", "float32"), requires=("complex",)
)
def one_real_leaf_is_named(lab: Lab) -> Any:
    tree = [lab.array(1j, "complex128"), {"r": lab.array(1.0, "float32")}]
    return jacrev(lambda z: z[0] * z[1]["r"], holomorphic=True)(tree)


@scenario("dtypes/holomorphic-leaves", answer=Raises(DtypeError, "'gain'", "float64"), requires=("complex",))
def a_real_variable_beside_a_complex_argument_is_named(lab: Lab) -> Any:
    gain = Variable(lab.array(1.0), name="gain")
    return jacrev(lambda z: gain * z, gain, 0, holomorphic=True)(lab.array(1j, "complex128"))


@scenario("dtypes/complex-input", answer=np.array(2 - 4j), requires=("complex",))
def the_squared_modulus(lab: Lab) -> Any:
    return jacrev(lambda z: lab.xp.real(z * lab.xp.conj(z)))(lab.array(1 + 2j, "complex128"))


# f(x + iy) = (x^2 y, 3 y): df/dx - i df/dy = (2xy - i x^2, -3i)
@scenario("dtypes/complex-input", answer=np.array([4 - 1j, -3j]), requires=("complex",))
def a_function_of_real_and_imaginary_part(lab: Lab) -> Any:
    xp = lab.xp

    def f(z: Any) -> Any:
        x, y = xp.real(z), xp.imag(z)
        return xp.stack([x * x * y, 3 * y])

    return jacrev(f)(lab.array(1 + 2j, "complex128"))


@scenario("dtypes/complex-input", answer=(np.array(2 - 4j), np.array(3.0)), requires=("complex",))
def beside_a_real_argument(lab: Lab) -> Any:
    f = lambda z, x: lab.xp.real(z * lab.xp.conj(z)) + 3 * x  # noqa: E731
    return jacrev(f, argnums=(0, 1))(lab.array(1 + 2j, "complex128"), lab.array(1.0))


@scenario("dtypes/complex-input", answer=np.array(4.0), requires=("complex",))
def a_real_input_by_way_of_complex_numbers_has_a_real_block(lab: Lab) -> Any:
    return jacrev(lambda x: lab.xp.real((x + 1j) * (x - 1j)))(lab.array(2.0))


@scenario(
    "dtypes/complex-output",
    answer=Raises(DtypeError, "holomorphic=True", "complex128", "output"),
    requires=("complex",),
)
def of_a_complex_input(lab: Lab) -> Any:
    return jacrev(lambda z: z * z)(lab.array([1j], "complex128"))


@scenario("dtypes/complex-output", answer=Raises(DtypeError, "holomorphic=True", "complex128"), requires=("complex",))
def of_a_real_input(lab: Lab) -> Any:
    return jacrev(lambda x: x * lab.array(1j, "complex128"))(lab.array([1.0]))


# ---- complex outputs of real inputs --------------------------------------------------------------------------------

TURNED = np.exp(1j * np.array([1.0, 2.0]))
"""The value of exp(i x) at x = (1, 2); its derivative is i times the value."""


def _turned(lab: Lab, x: Any) -> Any:
    xp = lab.xp
    return xp.exp(1j * xp.astype(x, xp.complex128))


@scenario("dtypes/complex-of-real", answer=(np.diag(1j * TURNED), TURNED), requires=("forward", "complex"))
def columns_are_complex(lab: Lab) -> Any:
    return jacfwd(lambda x: _turned(lab, x), return_value=True)(lab.array([1.0, 2.0]))


@scenario("dtypes/complex-of-real", answer=np.diag(1j * TURNED), requires=("forward", "complex"))
def by_chunks_of_columns(lab: Lab) -> Any:
    return jacobian(lambda x: _turned(lab, x), mode="fwd", chunk_size=1)(lab.array([1.0, 2.0]))


@scenario(
    "dtypes/complex-of-real", answer=(Array(np.diag([1j, 2j]), "complex64"), np.eye(2)), requires=("forward", "complex")
)
def in_single_precision_beside_a_real_output(lab: Lab) -> Any:
    xp = lab.xp
    f = lambda x: (xp.astype(x * x, xp.complex64) * 0.5j, x)  # noqa: E731
    by_x, of_itself = jacfwd(f)(lab.array([1.0, 2.0], "float32"))
    return by_x, xp.astype(of_itself, xp.float64)


@scenario(
    "dtypes/complex-of-real",
    answer=({"z": np.array(3j), "r": np.array(3.0)}, {"z": np.array(2j), "r": np.array(2.0)}),
    requires=("forward", "complex"),
)
def by_a_variable_and_an_argument(lab: Lab) -> Any:
    w = Variable(lab.array(2.0))
    f = lambda x: {"z": lab.xp.astype(w * x, lab.xp.complex128) * 1j, "r": w * x}  # noqa: E731
    return jacfwd(f, w, 0)(lab.array(3.0))


@scenario(
    "dtypes/complex-of-real",
    answer=(np.array([1j, -3j]) * TURNED, np.array([1j, -3j]) * TURNED),
    requires=("forward", "complex"),
)
def tangents_are_real_and_their_images_complex(lab: Lab) -> Any:
    f = lambda x: _turned(lab, x)  # noqa: E731
    x, tangent = lab.array([1.0, 2.0]), lab.array([1.0, -3.0])
    return jvp(f)(tangent, x), linearize(f)(x)(tangent)


# The real part of the cotangent times the derivative
@scenario("dtypes/complex-of-real", answer=np.real(np.array([2 - 1j, 3j]) * 1j * TURNED), requires=("complex",))
def cotangents_are_complex_and_their_gradients_real(lab: Lab) -> Any:
    return vjp(lambda x: _turned(lab, x))(lab.array([1.0, 2.0]))(lab.array([2 - 1j, 3j], "complex128"))


@scenario("dtypes/complex-of-real", answer=np.array([0.0, 1.0]), requires=("complex",))
def a_real_cotangent_is_one_without_imaginary_part(lab: Lab) -> Any:
    xp = lab.xp
    f = lambda x: xp.astype(x * x, xp.complex128) * (0.5 + 7j)  # noqa: E731
    return vjp(f)(lab.array([1.0, 2.0]))(lab.array([0.0, 0.5]))


for _transform in (jacobian, jacrev, vector_grad):
    scenario.add(
        Scenario(
            f"{_transform.__name__} goes by rows and refuses them",
            "dtypes/complex-of-real",
            lambda lab, transform=_transform: transform(lambda x: _turned(lab, x))(lab.array([1.0])),  # type: ignore[misc]
            Raises(DtypeError, "complex128", "jacfwd", "holomorphic=True"),
            frozenset({"complex"}),
        )
    )


@scenario("dtypes/complex-of-real", answer=Raises(DtypeError, "complex128", "holomorphic"), requires=("complex",))
def with_a_complex_input_there_is_no_such_derivative(lab: Lab) -> Any:
    return vjp(lambda x, z: x * z, argnums=(0, 1))(lab.array([1.0]), lab.array([1j], "complex128"))


# ---- integer outputs of products -----------------------------------------------------------------------------------


def _with_integers(lab: Lab, x: Any) -> Any:
    return {"y": x * x, "n": lab.xp.argmax(x), "large": x > 1.5}


LARGEST = {"y": np.array([1.0, 9.0, 4.0]), "n": 1, "large": np.array([False, True, True])}


def _plain(value: Any) -> Any:
    """Return the largest number's index as a plain number, since its width is the framework's."""
    return {**value, "n": int(value["n"])}


@scenario("dtypes/integer-products", answer=(np.array([2.0, 0.0, 8.0]), LARGEST))
def cotangents_of_integers_are_trivial(lab: Lab) -> Any:
    pullback, value = vjp(lambda x: _with_integers(lab, x), return_value=True)(lab.array([1.0, 3.0, 2.0]))
    return pullback({"y": lab.array([1.0, 0.0, 2.0]), "n": _float0(), "large": _float0(3)}), _plain(value)


@scenario(
    "dtypes/integer-products",
    answer=({"y": np.array([2.0, 0.0, 8.0]), "n": _float0(), "large": _float0(3)}, LARGEST),
    requires=("forward",),
)
def tangents_of_integers_are_trivial(lab: Lab) -> Any:
    product = jvp(lambda x: _with_integers(lab, x), return_value=True)
    tangents, value = product(lab.array([1.0, 0.0, 2.0]), lab.array([1.0, 3.0, 2.0]))
    return tangents, _plain(value)


@scenario(
    "dtypes/integer-products",
    answer={"y": np.array([2.0, 0.0, 8.0]), "n": _float0(), "large": _float0(3)},
    requires=("forward",),
)
def so_they_are_in_a_linear_map(lab: Lab) -> Any:
    return linearize(lambda x: _with_integers(lab, x))(lab.array([1.0, 3.0, 2.0]))(lab.array([1.0, 0.0, 2.0]))


@scenario("dtypes/integer-products", answer=(np.zeros(2), _float0(2), {"k": 1}), requires=("forward",))
def of_a_function_of_integers_alone(lab: Lab) -> Any:
    x = lab.array([1.0, 3.0])
    gradient = vjp(lambda x: x > 1.5)(x)(_float0(2))
    tangent, aux = jvp(lambda x: (x > 1.5, {"k": lab.xp.argmax(x)}), has_aux=True)(x, x)
    return gradient, tangent, {"k": int(aux["k"])}


@scenario("dtypes/integer-products", answer={"y": np.diag([2.0, 2.0]), "n": _float0(2)}, requires=("forward", "nested"))
def a_trivial_tangent_is_differentiated_once_more(lab: Lab) -> Any:
    f = lambda x: {"y": x * x, "n": lab.xp.argmax(x)}  # noqa: E731
    return jacrev(lambda x: jvp(f)(lab.array([1.0, 1.0]), x))(lab.array([1.0, 2.0]))


# ---- shapes --------------------------------------------------------------------------------------------------------


@scenario("dtypes/empty", answer=(np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((0, 0)), np.zeros((2, 0, 2, 0))))
def of_inputs_and_outputs(lab: Lab) -> Any:
    three, none = lab.array([1.0, 2.0, 3.0]), lab.array([])
    return (
        jacrev(lambda x: x[:0])(three),
        jacrev(lambda x: three + lab.xp.sum(x))(none),
        jacrev(lambda x: x * 2)(none),
        jacrev(lambda x: x * 2)(lab.array(np.zeros((2, 0)))),
    )


@scenario("dtypes/empty", answer=({"w": np.zeros((2, 0))}, np.diag([1.0, 1.0])))
def an_empty_variable_beside_an_argument(lab: Lab) -> Any:
    w = Variable(lab.array([]))
    return jacrev(lambda x: x + lab.xp.sum(w.value), {"w": w}, 0)(lab.array([1.0, 2.0]))


@scenario("dtypes/scalars", answer=(np.array(6.0), np.array([1.0, 2.0]), np.array([3.0, 5.0])))
def in_and_out(lab: Lab) -> Any:
    vector = lab.array([1.0, 2.0])
    return (
        jacrev(lambda x: x * x)(lab.array(3.0)),
        jacrev(lambda x: x * vector)(lab.array(3.0)),
        jacrev(lambda x: lab.xp.sum(x * lab.array([3.0, 5.0])))(vector),
    )
