"""Scenarios: right and wrong derivatives held against finite differences, and numbers that are not finite."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from anyjac import DerivativeMismatchError, NonFiniteError, Variable, check_derivative, jacrev, stop_gradient

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
