"""Scenarios: right and wrong derivatives against finite differences, numbers that are not finite, lost derivatives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np

from anyjac import (
    DerivativeMismatchError,
    LostDerivativeWarning,
    NonFiniteError,
    Variable,
    check_derivative,
    jacrev,
    stop_gradient,
)

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection, Scenario
from .tables.functions import FUNCTIONS, Function

scenario = Collection()

CHOSEN = ("sine times another", "exponential", "sum along an axis", "matrix times vector", "products of neighbours")


def _observe(lab: Lab, function: Function, order: int) -> Any:
    check = check_derivative(
        lambda *arrays: function.function(lab.xp, *arrays),
        *map(lab.array, function.point),
        argnums=range(len(function.point)),
        order=order,
        directions=1,
    )
    orders = sorted({order for order, _ in check.deviations})
    return {"orders": orders, "within tolerance": max(check.used.values()) <= 1}


for _function in (each for each in FUNCTIONS if each.name in CHOSEN):
    for _order, _requires in ((1, frozenset[str]()), (2, frozenset({"nested"}))):
        scenario.add(
            Scenario(
                f"the {_function.name} to order {_order}",
                "trust/finite-differences",
                lambda lab, function=_function, order=_order: _observe(lab, function, order),  # type: ignore[misc]
                {"orders": list(range(1, _order + 1)), "within tolerance": True},
                _requires,
            )
        )


@scenario("trust/finite-differences", answer=(np.array([1.0, 2.0]), np.array(0.0)))
def every_variable_is_as_before(lab: Lab) -> Any:
    weight, runs = Variable(lab.array([1.0, 2.0])), Variable(lab.array(0.0))

    def f(x: Any) -> Any:
        runs.value = runs + 1.0
        weight.value = weight * 2.0
        return {"y": weight * x}

    check_derivative(f, lab.array([3.0, 4.0]), grad_vars={"w": weight}, argnums=0, order=1)
    return weight.value, runs.value


# d(x^2)/dx is 2 x, and half of that where one factor counts as a constant: in element 1
@scenario(
    "trust/wrong-derivative",
    answer=Raises(
        DerivativeMismatchError, "derivative 1 in mode 'rev'", "element [1] of output['y']", "element [1] of grad_vars"
    ),
    requires=("stop_gradient",),
)
def a_factor_that_is_taken_for_a_constant(lab: Lab) -> Any:
    weight, mask = Variable(lab.array([1.0, 2.0, 3.0])), lab.array([0.0, 1.0, 0.0])

    def f() -> Any:
        w = weight.value
        return {"y": w * (mask * stop_gradient(w) + (1.0 - mask) * w)}

    return check_derivative(f, grad_vars=weight, modes="rev", order=1)


# ---- debug_nan -----------------------------------------------------------------------------------------------------


@scenario("trust/debug-nan", answer=Raises(NonFiniteError, "element [1] of grad_vars['w'] ('weight') is nan"))
def an_input_is_named(lab: Lab) -> Any:
    weight = Variable(lab.array([1.0, np.nan]), name="weight")
    return jacrev(lambda: 2.0 * weight, {"w": weight}, debug_nan=True)()


@scenario("trust/debug-nan", answer=Raises(NonFiniteError, "element [1] of output['y'] is inf"))
def an_output_is_named(lab: Lab) -> Any:
    with np.errstate(all="ignore"):
        return jacrev(lambda x: {"x": x, "y": x * x}, debug_nan=True)(lab.array([1.0, 1e200]))


@scenario(
    "trust/debug-nan",
    answer=Raises(NonFiniteError, "the derivative of the output with respect to argument 0['x'] is inf"),
)
def a_block_of_the_derivative_is_named(lab: Lab) -> Any:
    with np.errstate(all="ignore"):
        return jacrev(lambda tree: lab.xp.sqrt(tree["x"]), debug_nan=True)({"x": lab.array(0.0)})


@scenario("trust/debug-nan", answer=(np.diag([2.0, 4.0]), np.array(1.0)))
def where_all_is_finite_nothing_changes_and_after_an_error_no_variable_has(lab: Lab) -> Any:
    runs = Variable(lab.array(0.0))

    def f(x: Any) -> Any:
        runs.value = runs + 1.0
        return x * x

    transform = jacrev(f, debug_nan=True)
    jacobian = transform(lab.array([1.0, 2.0]))
    with np.errstate(all="ignore"), suppress(NonFiniteError):
        transform(lab.array([1.0, 1e200]))
    return jacobian, runs.value


# ---- derivatives that are lost to Python ---------------------------------------------------------------------------

# at (2, 3): a0 a is (a0^2, a0 a1); sin(a0) a has the column cos(a0) a more than its diagonal; (a0 a1, a1)
_BY_ITS_ELEMENT: Final = np.array([[4.0, 0.0], [3.0, 2.0]])
_BY_ITS_SINE: Final = math.sin(2.0) * np.eye(2) + math.cos(2.0) * np.array([[2.0, 0.0], [3.0, 0.0]])

LOSSES: Final[dict[str, tuple[Callable[[Any, Any], Any], Any]]] = {
    "float of an element": (lambda xp, a: float(a[0]) * a, _BY_ITS_ELEMENT),
    "complex of an element": (lambda xp, a: complex(a[0]).real * a, _BY_ITS_ELEMENT),
    "an element as a number of NumPy": (lambda xp, a: float(np.float64(a[0])) * a, _BY_ITS_ELEMENT),
    "item of an element": (lambda xp, a: a[0].item() * a, _BY_ITS_ELEMENT),
    "a list of all elements": (lambda xp, a: a.tolist()[0] * a, _BY_ITS_ELEMENT),
    "an element put into an array of NumPy": (lambda xp, a: xp.asarray(_first_in_an_array(a)) * a, _BY_ITS_ELEMENT),
    "a function of math": (lambda xp, a: math.sin(a[0]) * a, _BY_ITS_SINE),
    "a new array of elements": (lambda xp, a: xp.asarray([a[0] * a[1], a[1]]), np.array([[3.0, 2.0], [0.0, 1.0]])),
}
"""Functions that hand numbers to Python, each with the Jacobian at (2, 3) of a framework that loses nothing by it."""


BY_OPTION: Final = ", strictly"
BY_ENVIRONMENT: Final = ", strictly by the environment"
"""How a call is made strict, as the end of a scenario's name."""


def _first_in_an_array(a: Any) -> Any:
    numbers = np.zeros(1)
    numbers[0] = a[0]
    return numbers


def _is_lost_in_silence(lab: Lab, lose: Callable[[Any, Any], Any], right: Any, how: str) -> bool:
    strict = how != ""
    environment = lab.environment(**({"ANYJAC_STRICT": "1"} if how == BY_ENVIRONMENT else {}))
    with environment, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            jacobian = jacrev(lambda a: lose(lab.xp, a), strict=how == BY_OPTION)(lab.array([2.0, 3.0]))
        except Exception:  # of any kind: each framework has its own
            return False
    lines = [each.filename for each in seen if issubclass(each.category, LostDerivativeWarning)]
    is_right = np.allclose(lab.backend.to_numpy(jacobian), right, rtol=1e-6)
    return not (is_right or (not strict and __file__ in lines))


for _name, (_lose, _right) in LOSSES.items():
    for _how in ("", BY_OPTION, BY_ENVIRONMENT):
        scenario.add(
            Scenario(
                f"{_name}{_how}",
                "trust/lost-derivative",
                lambda lab, lose=_lose, right=_right, how=_how: _is_lost_in_silence(lab, lose, right, how),  # type: ignore[misc]
                False,
            )
        )


@scenario("trust/lost-derivative", answer=(np.diag([8.0, 12.0]), []))
def text_and_a_branch_lose_nothing(lab: Lab) -> Any:
    def f(a: Any) -> Any:
        texts = [str(a), repr(a), f"{a}"]
        return 2.0 * a * a if a[0] > 0.0 and all(texts) else a

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        jacobian = jacrev(f, strict=True)(lab.array([2.0, 3.0]))
    return jacobian, [str(each.message) for each in seen if issubclass(each.category, LostDerivativeWarning)]
