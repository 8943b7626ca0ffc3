"""Find the current at which a nerve membrane begins to fire, from the Jacobian of its resting state.

The model is the one behind ``anyjac demo``. With growing injected current the rest loses its stability where a pair of
complex eigenvalues of the Jacobian crosses the imaginary axis, a Hopf bifurcation; its imaginary part is the frequency
with which the membrane begins to oscillate.

Run it with ``python examples/hodgkin_huxley.py --backend torch``.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from anyjac.cli.demo.rest import Rest, analyse_rest


@dataclass(frozen=True)
class Onset:
    """The bifurcation: current in uA/cm^2, frequency in Hz, and the rest there."""

    current: float
    frequency: float
    rest: Rest


def leading(rest: Rest) -> complex:
    """Return the eigenvalue with the greatest real part among those with a positive imaginary part, in 1/ms."""
    oscillating = rest.eigenvalues[rest.eigenvalues.imag > 0]
    return complex(oscillating[np.argmax(oscillating.real)])


def find_onset(backend: str | None = None) -> Onset:
    """Find the current at which the leading eigenvalue crosses the imaginary axis."""
    current = brentq(lambda i: leading(analyse_rest(backend, i)).real, 5.0, 15.0, xtol=1e-10)
    rest = analyse_rest(backend, current)
    return Onset(current, 1000.0 * leading(rest).imag / (2 * np.pi), rest)


def main(backend: str | None = None) -> Onset:
    """Print the rest at several currents, and the onset of firing."""
    print("I [uA/cm^2]   V [mV]   leading eigenvalue [1/ms]")
    for current in (0.0, 2.5, 5.0, 7.5, 10.0, 12.5):
        rest = analyse_rest(backend, current)
        eigenvalue = leading(rest)
        verdict = "stable" if rest.stable else "unstable"
        print(f"{current:11.1f} {rest.state['V']:8.4f}   {eigenvalue.real:+.6f} {eigenvalue.imag:+.6f}i  {verdict}")
    onset = find_onset(backend)
    print(f"The rest loses its stability at {onset.current:.6f} uA/cm^2, V = {onset.rest.state['V']:.6f} mV,")
    print(f"with {onset.frequency:.2f} Hz.")
    return onset


if __name__ == "__main__":
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when JAX is imported, which is not before it is chosen
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", metavar="NAME", help="autograd, jax, torch or another that is installed")
    main(parser.parse_args().backend)
