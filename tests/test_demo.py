"""The demonstration's numbers against formulas that were differentiated by hand."""

import math
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac.cli.demo.hodgkin_huxley import HodgkinHuxley, linoid
from anyjac.cli.demo.rest import Rest, analyse_rest, find_rest

POINT = {"V": 3.7, "m": 0.1, "h": 0.5, "n": 0.4}


def _slope(alpha: float, beta: float, d_alpha: float, d_beta: float, gate: float) -> float:
    return d_alpha * (1 - gate) - d_beta * gate


def _jacobian_by_hand(v: float, m: float, h: float, n: float) -> np.ndarray:
    """Differentiate the equations of the 1952 paper by hand, at a point where no rate is 0/0."""

    def linoid_and_slope(x: float) -> tuple[float, float]:
        e = math.expm1(x)
        return x / e, (e - x * math.exp(x)) / e**2

    a_m, s_m = linoid_and_slope((25 - v) / 10)
    a_n, s_n = linoid_and_slope((10 - v) / 10)
    b_m, b_n, a_h = 4 * math.exp(-v / 18), 0.125 * math.exp(-v / 80), 0.07 * math.exp(-v / 20)
    b_h = 1 / (math.exp((30 - v) / 10) + 1)
    d_b_h = math.exp((30 - v) / 10) / 10 * b_h**2
    g_na, g_k, g_l, e_na, e_k = 120.0, 36.0, 0.3, 115.0, -12.0
    return np.array(
        [
            [
                -(g_na * m**3 * h + g_k * n**4 + g_l),
                -3 * g_na * m**2 * h * (v - e_na),
                -g_na * m**3 * (v - e_na),
                -4 * g_k * n**3 * (v - e_k),
            ],
            [_slope(a_m, b_m, -s_m / 10, -b_m / 18, m), -(a_m + b_m), 0, 0],
            [_slope(a_h, b_h, -a_h / 20, d_b_h, h), 0, -(a_h + b_h), 0],
            [_slope(a_n, b_n, -s_n / 100, -b_n / 80, n), 0, 0, -(0.1 * a_n + b_n)],
        ]
    )


def _membrane(backend: anyjac.Backend) -> HodgkinHuxley:
    membrane = HodgkinHuxley(backend.name)
    for name, value in POINT.items():
        membrane.state[name].value = value
    return membrane


def test_the_jacobian_is_the_one_derived_by_hand(backend: anyjac.Backend) -> None:
    membrane = _membrane(backend)
    blocks = anyjac.jacrev(membrane, grad_vars=membrane.state)(0.0)
    jacobian = np.stack([backend.to_numpy(block) for block in blocks.values()], axis=1)
    assert np.allclose(jacobian, _jacobian_by_hand(*POINT.values()), rtol=1e-12)


def test_conductances_and_current_act_on_the_potential_alone(backend: anyjac.Backend) -> None:
    membrane = _membrane(backend)
    transform = anyjac.jacrev(membrane.rates_and_currents, membrane.conductances, 0, has_aux=True, return_value=True)
    (by_conductance, by_current), _, currents = transform(np.asarray(0.0))
    assert np.array_equal(backend.to_numpy(by_current), [1.0, 0.0, 0.0, 0.0])
    for (name, block), conductance in zip(by_conductance.items(), (120.0, 36.0, 0.3), strict=True):
        current = float(currents[name.replace("g", "I")])
        assert np.allclose(backend.to_numpy(block), [-current / conductance, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("x", [0.0, 1e-9, -0.009, 0.0099, 0.0101, 2.5, -3.0])
def test_the_removable_singularity_has_value_slope_and_curvature(backend: anyjac.Backend, x: float) -> None:
    def series(order: int) -> float:
        """Sum the Taylor series near 0 with Bernoulli's numbers, or differentiate the quotient."""
        bernoulli = {0: 1.0, 1: -1 / 2, 2: 1 / 6, 4: -1 / 30, 6: 1 / 42, 8: -1 / 30}
        return sum(
            b * math.perm(k, order) * x ** (k - order) / math.factorial(k) for k, b in bernoulli.items() if k >= order
        )

    e, e1 = math.expm1(x), math.exp(x)
    if abs(x) < 1:
        expected = [series(0), series(1), series(2)]
    else:
        expected = [x / e, (e - x * e1) / e**2, (e1 * (x * (e1 + 1) - 2 * e)) / e**3]
    slope = anyjac.jacrev(linoid)
    point = backend.asarray(np.asarray(x))
    found = [float(f(point)) for f in (linoid, slope, anyjac.jacrev(slope))]
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_the_gates_of_the_model_are_right_where_the_paper_s_rates_are_0_over_0(backend: anyjac.Backend) -> None:
    """alpha_m is 1 with slope 1/20 at 25 mV, and alpha_n 1/10 with slope 1/200 at 10 mV, in the limit."""
    membrane = _membrane(backend)
    for gate, row, v, alpha, slope, beta, length in (
        ("m", 1, 25.0, 1.0, 0.05, 4 * math.exp(-25 / 18), 18),
        ("n", 3, 10.0, 0.1, 0.005, 0.125 * math.exp(-10 / 80), 80),
    ):
        membrane.state["V"].value = v
        jacobian, rates = anyjac.jacrev(membrane, membrane.state["V"], return_value=True)(0.0)
        opened = POINT[gate]
        assert math.isclose(float(rates[row]), alpha * (1 - opened) - beta * opened, rel_tol=1e-13)
        assert math.isclose(float(jacobian[row]), slope * (1 - opened) + beta / length * opened, rel_tol=1e-13)


def test_rest_is_where_nothing_changes_and_it_is_stable(backend: anyjac.Backend) -> None:
    rest = analyse_rest(backend.name)
    assert np.max(np.abs(rest.rates)) < 1e-13
    assert rest.stable
    assert np.allclose(rest.jacobian, _jacobian_by_hand(*rest.state.values()), rtol=1e-12)
    assert math.isclose(sum(rest.currents.values()), 0.0, abs_tol=1e-12)
    # Gates at rest are alpha / (alpha + beta) of the potential there.
    assert np.allclose(rest.state["m"], 0.05295509, rtol=1e-6)
    assert rest.dtype == "float64"


def test_backends_agree() -> None:
    rests = [analyse_rest(name) for name in ("autograd", "jax", "torch")]
    assert max(rest.difference_from(rests[0]) for rest in rests) < 1e-12


def test_an_iteration_that_does_not_settle_is_an_error() -> None:
    with pytest.raises(ArithmeticError, match="not settled after 1 steps"):
        find_rest(_membrane(anyjac.get_backend("numpy")), max_iterations=1)


def test_the_rest_is_unstable_under_strong_current() -> None:
    rest: Any = analyse_rest("numpy", injected=15.0)
    assert isinstance(rest, Rest)
    assert not rest.stable
