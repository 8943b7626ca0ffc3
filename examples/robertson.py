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
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import anyjac
from anyjac import Variable

START = np.array([1.0, 0.0, 0.0])
REFERENCES = {
    # t in seconds: concentrations of A, B, C
    40.0: (0.7158270688, 0.9185534765e-5, 0.2841637457),
    1e11: (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050),
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
    """Concentrations at the times asked for, shape (times, 3), and the evaluations that it took."""

    concentrations: np.ndarray[Any, Any]
    evaluations: int
    jacobians: int


def integrate(backend: str | None = None) -> Solution:
    """Integrate to the last reference time."""
    chosen = anyjac.get_backend(backend)
    reaction = Reaction(backend)
    jacobian = anyjac.jacrev(reaction, backend=backend)

    def host(array: Any) -> np.ndarray[Any, Any]:
        return np.asarray(chosen.to_numpy(array), dtype=np.float64)

    solution = solve_ivp(
        lambda t, y: host(reaction(chosen.asarray(y))),
        (0.0, max(REFERENCES)),
        START,
        method="Radau",
        t_eval=list(REFERENCES),
        jac=lambda t, y: host(jacobian(chosen.asarray(y))),
        rtol=1e-7,
        atol=(1e-14, 1e-18, 1e-14),
    )
    if not solution.success:
        raise ArithmeticError(solution.message)
    return Solution(solution.y.T, solution.nfev, solution.njev)


def main(backend: str | None = None) -> Solution:
    """Integrate, and print how near the references the result is."""
    solution = integrate(backend)
    for time, reference, found in zip(REFERENCES, REFERENCES.values(), solution.concentrations, strict=True):
        print(f"t = {time:g} s")
        for name, value, expected in zip("ABC", found, reference, strict=True):
            print(f"  {name} {value:.10e}  reference {expected:.10e}  error {abs(value / expected - 1):.0e}")
        print(f"  A + B + C - 1 = {found.sum() - 1:.0e}")
    print(f"{solution.evaluations} evaluations, {solution.jacobians} Jacobians")
    return solution


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", help="name of the backend; on JAX set JAX_ENABLE_X64=1")
    main(parser.parse_args().backend)
