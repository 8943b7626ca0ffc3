"""Scenarios: functions of arrays that work on every backend, traced or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anyjac
from anyjac import DeviceError, DtypeError, InputTypeError, Variable, jacrev

from ..answers import Array, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

# ---- namespace -------------------------------------------------------------------------------------------------------


@scenario("arrays/namespace", answer=np.diag([8.0, 14.0]))
def of_a_traced_array_a_variable_a_constant_and_a_number(lab: Lab) -> Any:
    w = Variable(lab.array([3.0, 4.0]))

    def f(x: Any) -> Any:
        xp = anyjac.array_namespace(x, w, np.ones(2), 2.0)
        return xp.multiply(x, w.value) * x + 2.0 * x

    return jacrev(f)(lab.array([1.0, 1.5]))


@scenario("arrays/namespace", answer=True)
def is_that_of_the_backend(lab: Lab) -> Any:
    return anyjac.array_namespace(lab.array(1.0), 2) is anyjac.array_namespace() is lab.xp


# ---- device, size, to_device -----------------------------------------------------------------------------------------


@scenario("arrays/device", answer=lambda lab: (Array(np.zeros(2), "float64", lab.last_device_name), 6))
def of_an_array(lab: Lab) -> Any:
    x = lab.backend.asarray(lab.array(np.ones((2, 3))), device=lab.last_device)
    return lab.xp.zeros(2, dtype=lab.xp.float64, device=anyjac.device(x)), anyjac.size(x)


@scenario("arrays/device", answer=(np.diag([2.0, 2.0]), 2))
def of_a_traced_array(lab: Lab) -> Any:
    def f(x: Any) -> Any:
        return 2 * x + lab.xp.zeros(anyjac.size(x), dtype=x.dtype, device=anyjac.device(x)), anyjac.size(x)

    return jacrev(f, has_aux=True)(lab.array([1.0, 2.0]))


@scenario("arrays/device", answer=(3, 1))
def of_a_variable_and_a_number(lab: Lab) -> Any:
    w = Variable(lab.array([1.0, 2.0, 3.0]))
    assert lab.backend.device_name(anyjac.device(w)) == lab.backend.device_name(anyjac.device(2.0))
    return anyjac.size(w), anyjac.size(2.0)


@scenario("arrays/device", answer=lambda lab: Array(np.diag([2.0, 4.0]), "float64", lab.device_name))
def the_derivative_goes_through_a_move(lab: Lab) -> Any:
    return jacrev(lambda x: anyjac.to_device(x, lab.last_device_name) ** 2)(lab.array([1.0, 2.0]))


@scenario("arrays/device", answer=lambda lab: Raises(DeviceError, "'tpu:77'", lab.first_device_name))
def a_move_to_an_unknown_one_is_refused(lab: Lab) -> Any:
    return anyjac.to_device(lab.array(1.0), "tpu:77")


@scenario("arrays/device", answer=Raises(InputTypeError, "anyjac.size", "'text'", "str"))
def of_something_else_is_refused(lab: Lab) -> Any:
    return anyjac.size("text")


# ---- at --------------------------------------------------------------------------------------------------------------

X = np.array([1.5, 2.0, 3.0, 0.5])
V = np.array([2.5, 4.0, 0.25])
REPEATED = np.array([1, 3, 1])

_UFUNCS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "min": np.minimum,
    "max": np.maximum,
}


def _after(method: str, x: Any, v: Any) -> Any:
    changed = x.copy()
    if method == "power":
        changed[1], changed[3] = changed[1] ** (v[0] * v[2]), changed[3] ** v[1]
    else:
        _UFUNCS[method].at(changed, REPEATED, v)
    return changed


def _slopes(method: str) -> Any:
    """Return the derivatives in `X` and `V`, by complex steps, or by the order of the numbers for min and max."""
    columns = []
    for which in (0, 1):
        point = (X, V)[which]
        for place in range(point.size):
            if method in ("min", "max"):
                step, moved = 1e-6, [X.copy(), V.copy()]
                moved[which][place] += step
                columns.append(np.round((_after(method, *moved) - _after(method, X, V)) / step))
            else:
                shifted = [X.astype(complex), V.astype(complex)]
                shifted[which][place] += 1e-30j
                columns.append(np.imag(_after(method, *shifted)) / 1e-30)
    jacobian = np.stack(columns, axis=1)
    return jacobian[:, : X.size], jacobian[:, X.size :]


def _with_repeats(method: str) -> Callable[[Lab], Any]:
    def observe(lab: Lab) -> Any:
        index = lab.backend.asarray(REPEATED)

        def f(x: Any, v: Any) -> Any:
            return getattr(anyjac.at(x)[index], method)(v)

        return jacrev(f, argnums=(0, 1), return_value=True)(lab.array(X), lab.array(V))

    return observe


for _method in (*_UFUNCS, "power"):
    scenario.add(
        Scenario(
            f"{_method} with repeats",
            "arrays/at",
            _with_repeats(_method),
            (_slopes(_method), _after(_method, X, V)),
        )
    )


@scenario("arrays/at", answer=((np.diag([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])), np.array([1.0, 9.0, 3.0])))
def set_at_a_place(lab: Lab) -> Any:
    f = jacrev(lambda x, v: anyjac.at(x)[1].set(v), argnums=(0, 1), return_value=True)
    return f(lab.array([1.0, 2.0, 3.0]), lab.array(9.0))


@scenario("arrays/at", answer=np.array([[0.25, 0.0], [0.0, 1.0]]))
def an_update_under_a_mask_of_traced_numbers(lab: Lab) -> Any:
    """The root of the number that is left out has no derivative, and must not spoil the result."""
    return jacrev(lambda x: anyjac.at(x)[x > 0].power(0.5))(lab.array([4.0, -1.0]))


@scenario("arrays/at", answer=(np.array([[1.0, 1.0], [8.0, 8.0]]), np.ones((2, 2))))
def an_update_of_a_slice_broadcasts(lab: Lab) -> Any:
    x = lab.array(np.ones((2, 2)))
    return anyjac.at(x)[1, :].add(7), x


@scenario("arrays/at", answer=np.array([0.0, 5.0]))
def an_update_of_a_variable_leaves_it_alone(lab: Lab) -> Any:
    w = Variable(lab.array([0.0, 2.0]))
    changed = anyjac.at(w)[1].add(Variable(lab.array(3.0)))
    assert np.array_equal(lab.backend.to_numpy(w.value), [0.0, 2.0])
    return changed


@scenario("arrays/at", answer=np.array([[12.0, 0.0], [0.0, 0.0]]), requires=("nested",))
def second_derivatives_of_an_update(lab: Lab) -> Any:
    return jacrev(jacrev(lambda x: lab.xp.sum(anyjac.at(x)[0].multiply(x[0] ** 2))))(lab.array([2.0, 3.0]))


@scenario("arrays/at", answer=Raises(IndexError))
def an_index_out_of_range_is_refused(lab: Lab) -> Any:
    return anyjac.at(lab.array([1.0, 2.0]))[np.array([0, 2])].add(1.0)


@scenario("arrays/at", answer=Raises(DtypeError, "complex floating", "float64"))
def a_complex_number_for_a_real_array_is_refused(lab: Lab) -> Any:
    return anyjac.at(lab.array([1.0, 2.0]))[0].set(1j)


# ---- stop_gradient ---------------------------------------------------------------------------------------------------


@scenario("arrays/stop-gradient", answer=np.diag([3.0, 4.0]), requires=("stop_gradient",))
def makes_a_constant(lab: Lab) -> Any:
    return jacrev(lambda x: x * anyjac.stop_gradient(x))(lab.array([3.0, 4.0]))


@scenario("arrays/stop-gradient", answer={"w": np.array(0.0)}, requires=("stop_gradient",))
def of_a_tree_with_a_variable(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    return jacrev(lambda x: anyjac.stop_gradient({"a": [w], "b": None})["a"][0] * x, {"w": w})(lab.array(2.0))


@scenario("arrays/stop-gradient", answer=np.array(0.0), requires=("stop_gradient", "nested"))
def at_every_level(lab: Lab) -> Any:
    return jacrev(lambda x: jacrev(lambda y: anyjac.stop_gradient(x * y) * y)(x))(lab.array(3.0))
