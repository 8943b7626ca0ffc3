"""The squid axon's membrane after Hodgkin and Huxley (1952), as a plain class that keeps its state in Variables.

Written once against the array API; any backend runs it. Potentials are displacements from the resting potential with
the modern sign: depolarisation is positive (the paper counts it negative).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import anyjac

from ... import Variable

STATE_UNITS = {"V": "mV", "m": "1", "h": "1", "n": "1"}
"""Units of the state: displacement of the potential, and the three gates."""

RATE_UNITS = {"V": "mV/ms", "m": "1/ms", "h": "1/ms", "n": "1/ms"}
"""Units of the state's rates of change."""

CONDUCTANCES = {"g_Na": 120.0, "g_K": 36.0, "g_L": 0.3}
"""Conductances in mS/cm^2 (table 3 of the paper)."""

REVERSALS = {"E_Na": 115.0, "E_K": -12.0, "E_L": 10.613}
"""Reversal potentials in mV, from rest; `E_L` is the one for which the paper's resting potential is the origin."""

CAPACITANCE = 1.0
"""Capacitance of the membrane in uF/cm^2."""


class HodgkinHuxley:
    """A patch of squid axon at 6.3 degrees Celsius.

    Calling it with an injected current gives the rates of change of its state, in the order V, m, h, n. State and
    parameters are Variables, so each of them can be differentiated.

    Parameters
    ----------
    backend
        Name of the backend; None for the chosen one.

    Attributes
    ----------
    state : dict
        The Variables V (mV), m, h and n (dimensionless, between 0 and 1).
    conductances : dict
        The Variables g_Na, g_K and g_L (mS/cm^2).
    reversals : dict
        The Variables E_Na, E_K and E_L (mV).
    capacitance : Variable
        In uF/cm^2.

    References
    ----------
    .. [1] A. L. Hodgkin and A. F. Huxley, "A quantitative description of membrane current and its application to
       conduction and excitation in nerve", Journal of Physiology 117 (1952) 500-544.

    Examples
    --------
    >>> from anyjac.cli.demo.hodgkin_huxley import HodgkinHuxley
    >>> membrane = HodgkinHuxley("numpy")
    >>> [round(float(rate), 3) for rate in membrane(0.0)]
    [-0.009, -0.0, 0.0, -0.0]
    """

    def __init__(self, backend: str | None = None) -> None:
        def variables(values: dict[str, float]) -> dict[str, Variable]:
            return {name: Variable(np.asarray(value), backend=backend, name=name) for name, value in values.items()}

        self.state = variables({"V": 0.0, "m": 0.053, "h": 0.596, "n": 0.318})
        self.conductances = variables(CONDUCTANCES)
        self.reversals = variables(REVERSALS)
        self.capacitance = Variable(np.asarray(CAPACITANCE), backend=backend, name="C")

    def __call__(self, injected: Any) -> Any:
        """Return the rates of V (mV/ms), m, h and n (1/ms) under an injected current (uA/cm^2)."""
        return self.rates_and_currents(injected)[0]

    def rates_and_currents(self, injected: Any) -> tuple[Any, dict[str, Any]]:
        """Return the rates of the state, and beside them the ionic currents in uA/cm^2, outward positive."""
        xp = anyjac.array_namespace(self.state["V"])
        v, m, h, n = (variable.value for variable in self.state.values())
        currents = self.ionic_currents(v, m, h, n)
        potential = (injected - sum(currents.values())) / self.capacitance.value
        gates = [
            alpha * (1.0 - gate) - beta * gate for gate, (alpha, beta) in zip((m, h, n), self.gating(v), strict=True)
        ]
        return xp.stack([potential, *gates]), currents

    def ionic_currents(self, v: Any, m: Any, h: Any, n: Any) -> dict[str, Any]:
        """Return the currents of sodium, potassium and the leak in uA/cm^2."""
        g, e = self.conductances, self.reversals
        return {
            "I_Na": g["g_Na"].value * m**3 * h * (v - e["E_Na"].value),
            "I_K": g["g_K"].value * n**4 * (v - e["E_K"].value),
            "I_L": g["g_L"].value * (v - e["E_L"].value),
        }

    @staticmethod
    def gating(v: Any) -> tuple[tuple[Any, Any], ...]:
        """Return the opening and closing rates (1/ms) of m, h and n at potential `v` (mV)."""
        xp = anyjac.array_namespace(v)
        return (
            (linoid((25.0 - v) / 10.0), 4.0 * xp.exp(-v / 18.0)),
            (0.07 * xp.exp(-v / 20.0), 1.0 / (xp.exp((30.0 - v) / 10.0) + 1.0)),
            (0.1 * linoid((10.0 - v) / 10.0), 0.125 * xp.exp(-v / 80.0)),
        )


def linoid(x: Any) -> Any:
    """Return ``x / (exp(x) - 1)``, with the right value and derivatives at 0 too, where the quotient is 0/0.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> from anyjac.cli.demo.hodgkin_huxley import linoid
    >>> float(linoid(np.asarray(0.0))), float(anyjac.jacrev(linoid)(0.0))
    (1.0, -0.5)
    """
    xp = anyjac.array_namespace(x)
    near_zero = xp.abs(x) < 0.01
    elsewhere = xp.where(near_zero, xp.ones_like(x), x)  # the branch that is not taken must be finite too
    series = 1.0 - x / 2.0 + x**2 / 12.0 - x**4 / 720.0
    return xp.where(near_zero, series, elsewhere / xp.expm1(elsewhere))
