"""Integrate Robertson's stiff reaction with the Jacobian from anyjac on any backend.

Three species react at rates that differ by nine orders of magnitude:

    A -> B          at 0.04 per second
    B + B -> B + C  at 3e7 per second
    B + C -> A + C  at 1e4 per second

The reference at t = 40 is that of H. H. Robertson's problem in E. Hairer and G. Wanner, "Solving Ordinary Differential
Equations II", 2nd ed., Springer, 1996; the one at t = 1e11 is that of the Test Set for Initial Value Problem Solvers,
"ROBER", release 2.4, 2008.

Run it with ``python examples/robertson.py --backend jax``.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import anyjac
from anyjac import Variable

START = np.array([1.0, 0.0, 0.0])
LAST = 1e11
TIMES = (*(4.0 * 10.0**power for power in range(-1, 11)), LAST)
"""When the concentrations are wanted, in seconds: evenly on a logarithmic scale."""

REFERENCES = {
    # t in seconds: concentrations of A, B, C
    40.0: (0.7158270688, 0.9185534765e-5, 0.2841637457),
    LAST: (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050),
}


class Reaction:
    """The rates of change of the concentrations, with the rate constants in Variables.

    Parameters
    ----------
    backend
        Name of the backend; None for the chosen one.
    """

    def __init__(self, backend: str | None = None) -> None:
        constants = {"slow": 0.04, "fast": 3e7, "medium": 1e4}
        self.constants = {
            name: Variable(np.asarray(value), backend=backend, name=name) for name, value in constants.items()
        }

    def __call__(self, concentrations: Any) -> Any:
        """Return the rates of change of A, B and C, per second."""
        xp = anyjac.array_namespace(concentrations)
        slow, fast, medium = (constant.value for constant in self.constants.values())
        a, b, c = concentrations[0], concentrations[1], concentrations[2]
        lost, gained, made = slow * a, medium * b * c, fast * b * b
        return xp.stack([gained - lost, lost - gained - made, made])


@dataclass(frozen=True)
class Solution:
    """Concentrations at `TIMES`, shape (times, 3), and what they took.

    `evaluations` counts every call of the reaction that the solver made, those for finite differences too.
    """

    concentrations: np.ndarray[Any, Any]
    evaluations: int
    jacobians: int

    def at(self, time: float) -> np.ndarray[Any, Any]:
        """Return the concentrations at one of `TIMES`."""
        return self.concentrations[TIMES.index(time)]


def integrate(backend: str | None = None, *, differentiate: bool = True) -> Solution:
    """Integrate to the last time, with the Jacobian from anyjac or from the solver's own finite differences."""
    chosen = anyjac.get_backend(backend)
    reaction = Reaction(backend)
    jacobian = anyjac.jacrev(reaction, backend=backend)
    evaluations = 0

    if chosen.to_numpy(chosen.asarray(START)).dtype != np.float64:
        raise ArithmeticError(f"{chosen.name} computes in single precision here, which cannot follow this reaction")

    def rates(t: float, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        nonlocal evaluations
        evaluations += 1
        return chosen.to_numpy(reaction(chosen.asarray(y)))

    solution = solve_ivp(
        rates,
        (0.0, LAST),
        START,
        method="Radau",
        t_eval=TIMES,
        jac=(lambda t, y: chosen.to_numpy(jacobian(chosen.asarray(y)))) if differentiate else None,
        rtol=1e-7,
        atol=(1e-14, 1e-18, 1e-14),
    )
    if not solution.success:
        raise ArithmeticError(solution.message)
    return Solution(solution.y.T, evaluations, solution.njev)


def main(backend: str | None = None) -> tuple[Solution, Solution]:
    """Integrate with anyjac's Jacobian and with finite differences, and print how near the references both are."""
    exact, differenced = integrate(backend), integrate(backend, differentiate=False)
    print(f"{'t [s]':>8} {'A':>17} {'B':>17} {'C':>17} {'A + B + C - 1':>14}")
    for time, (a, b, c) in zip(TIMES, exact.concentrations, strict=True):
        print(f"{time:8.0e} {a:17.10e} {b:17.10e} {c:17.10e} {a + b + c - 1:14.0e}")
    print(f"\n{'Jacobian from':20} {'evaluations':>12} {'Jacobians':>10}   largest relative error at")
    print(f"{'':44}   " + " ".join(f"{f't = {time:g} s':>12}" for time in REFERENCES))
    for name, solution in (("anyjac", exact), ("finite differences", differenced)):
        errors = " ".join(f"{relative_error(solution, time):12.0e}" for time in REFERENCES)
        print(f"{name:20} {solution.evaluations:12} {solution.jacobians:10}   {errors}")
    return exact, differenced


def relative_error(solution: Solution, time: float) -> float:
    """Return the largest relative difference from the reference at one of its times."""
    return float(np.max(np.abs(solution.at(time) / REFERENCES[time] - 1)))


if __name__ == "__main__":
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when JAX is imported, which is not before it is chosen
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", metavar="NAME", help="autograd, jax, torch or another that is installed")
    main(parser.parse_args().backend)
