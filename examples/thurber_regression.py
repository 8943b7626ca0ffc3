"""Fit the rational model of Thurber's semiconductor data, with the Jacobian from anyjac on any backend.

The data, the starting points and the certified results are those of the NIST Statistical Reference Datasets,
"Thurber" (R. Thurber, NIST, semiconductor electron mobility; level of difficulty: higher),
https://www.itl.nist.gov/div898/strd/nls/data/thurber.shtml. The model, with density x on a logarithmic scale and
mobility y, is

    y = (b1 + b2 x + b3 x^2 + b4 x^3) / (1 + b5 x + b6 x^2 + b7 x^3).

Run it with ``python examples/thurber_regression.py --backend torch``.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import anyjac

# fmt: off
MOBILITY = np.array([
    80.574, 84.248, 87.264, 87.195, 89.076, 89.608, 89.868, 90.101, 92.405, 95.854, 100.696, 101.060, 401.672,
    390.724, 567.534, 635.316, 733.054, 759.087, 894.206, 990.785, 1090.109, 1080.914, 1122.643, 1178.351, 1260.531,
    1273.514, 1288.339, 1327.543, 1353.863, 1414.509, 1425.208, 1421.384, 1442.962, 1464.350, 1468.705, 1447.894,
    1457.628,
])
DENSITY = np.array([
    -3.067, -2.981, -2.921, -2.912, -2.840, -2.797, -2.702, -2.699, -2.633, -2.481, -2.363, -2.322, -1.501, -1.460,
    -1.274, -1.212, -1.100, -1.046, -0.915, -0.714, -0.566, -0.545, -0.400, -0.309, -0.109, -0.103, 0.010, 0.119,
    0.377, 0.790, 0.963, 1.006, 1.115, 1.572, 1.841, 2.047, 2.200,
])
# fmt: on

STARTS = ((1000.0, 1000.0, 400.0, 40.0, 0.7, 0.3, 0.03), (1300.0, 1500.0, 500.0, 75.0, 1.0, 0.4, 0.05))

#             parameter          standard deviation
CERTIFIED = (
    (1.2881396800e03, 4.6647963344e00),
    (1.4910792535e03, 3.9571156086e01),
    (5.8323836877e02, 2.8698696102e01),
    (7.5416644291e01, 5.5675370270e00),
    (9.6629502864e-01, 3.1333340687e-02),
    (3.9797285797e-01, 1.4984928198e-02),
    (4.9727297349e-02, 6.5842344623e-03),
)
CERTIFIED_SUM_OF_SQUARES = 5.6427082397e03


@dataclass(frozen=True)
class Fit:
    """A fit: parameters, their standard deviations, the residual sum of squares, and the calls it took."""

    parameters: np.ndarray[Any, Any]
    deviations: np.ndarray[Any, Any]
    sum_of_squares: float
    evaluations: int
    jacobians: int


def residuals(parameters: Any, density: Any, mobility: Any) -> Any:
    """Return the model minus the data at each density."""
    b1, b2, b3, b4, b5, b6, b7 = (parameters[index] for index in range(7))
    x = density
    return (b1 + x * (b2 + x * (b3 + x * b4))) / (1.0 + x * (b5 + x * (b6 + x * b7))) - mobility


def fit(start: tuple[float, ...], backend: str | None = None) -> Fit:
    """Fit from a starting point, with residuals and Jacobian from one backend."""
    chosen = anyjac.get_backend(backend)
    density, mobility = chosen.asarray(DENSITY), chosen.asarray(MOBILITY)
    jacobian = anyjac.jacrev(residuals, backend=backend)

    def host(array: Any) -> np.ndarray[Any, Any]:
        return np.asarray(chosen.to_numpy(array), dtype=np.float64)

    solution = least_squares(
        lambda b: host(residuals(chosen.asarray(b), density, mobility)),
        np.asarray(start),
        jac=lambda b: host(jacobian(b, density, mobility)),
        method="lm",
        x_scale=np.abs(start),
        xtol=1e-12,
        ftol=1e-14,
        gtol=1e-12,
    )
    sum_of_squares = 2 * solution.cost
    variance = sum_of_squares / (DENSITY.size - len(start))
    deviations = np.sqrt(variance * np.diag(np.linalg.inv(solution.jac.T @ solution.jac)))
    return Fit(solution.x, deviations, sum_of_squares, solution.nfev, solution.njev)


def digits(value: float, certified: float) -> float:
    """Return to how many significant digits a value agrees with the certified one."""
    return 11.0 if value == certified else min(11.0, -np.log10(abs(value - certified) / abs(certified)))


def main(backend: str | None = None) -> list[Fit]:
    """Fit from both starting points and print the agreement with the certified results."""
    fits = [fit(start, backend) for start in STARTS]
    for number, result in enumerate(fits, start=1):
        print(f"start {number}: {result.evaluations} evaluations, {result.jacobians} Jacobians")
        print(f"  {'':4}{'parameter':>17} {'digits':>7} {'deviation':>17} {'digits':>7}")
        rows = zip(result.parameters, result.deviations, CERTIFIED, strict=True)
        for index, (value, deviation, (certified, certified_deviation)) in enumerate(rows, start=1):
            agreement, of_deviation = digits(value, certified), digits(deviation, certified_deviation)
            print(f"  b{index}  {value:17.10e} {agreement:7.1f} {deviation:17.10e} {of_deviation:7.1f}")
        agreement = digits(result.sum_of_squares, CERTIFIED_SUM_OF_SQUARES)
        print(f"  sum of squares {result.sum_of_squares:.10e}, {agreement:.1f} digits\n")
    return fits


if __name__ == "__main__":
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when JAX is imported, which is not before it is chosen
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", metavar="NAME", help="autograd, jax, torch or another that is installed")
    main(parser.parse_args().backend)
