"""The numbers of the demonstration: the resting state, its Jacobian, and what the rates depend on there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import anyjac

from .hodgkin_huxley import HodgkinHuxley

Floats = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rest:
    """The membrane at rest, as one backend sees it. Rows of Jacobians are the rates of V, m, h, n.

    Attributes
    ----------
    backend, dtype
        Who computed it, and in which precision.
    iterations
        Steps of Newton's method.
    state
        V (mV), m, h, n.
    jacobian
        Derivatives of the rates with respect to V, m, h, n: shape (4, 4).
    eigenvalues
        Of the Jacobian, in 1/ms.
    rates
        What is left of the rates at rest (mV/ms and 1/ms).
    by_current
        Derivatives of the rates with respect to the injected current: shape (4,).
    by_conductance
        Derivatives of the rates with respect to g_Na, g_K and g_L: shape (4, 3).
    currents
        Ionic currents in uA/cm^2.
    """

    backend: str
    dtype: str
    iterations: int
    state: dict[str, float]
    jacobian: Floats
    eigenvalues: Floats
    rates: Floats
    by_current: Floats
    by_conductance: Floats
    currents: dict[str, float]

    @property
    def stable(self) -> bool:
        """Whether small displacements die out."""
        return bool(np.all(self.eigenvalues.real < 0))

    def difference_from(self, other: Rest) -> float:
        """Return the largest absolute difference between the numbers of two backends."""
        mine, theirs = self._numbers(), other._numbers()
        return max(float(np.max(np.abs(a - b))) for a, b in zip(mine, theirs, strict=True))

    def _numbers(self) -> list[Floats]:
        state, currents = np.array(list(self.state.values())), np.array(list(self.currents.values()))
        return [state, self.jacobian, self.rates, self.by_current, self.by_conductance, currents]


def find_rest(
    membrane: HodgkinHuxley, injected: float = 0.0, *, backend: str | None = None, max_iterations: int = 30
) -> int:
    """Move a membrane's state to rest by Newton's method on its Jacobian; returns the number of steps.

    Parameters
    ----------
    membrane
        Its state Variables are the starting point, and are written.
    injected
        Current in uA/cm^2.
    backend
        Name of the backend; None for the chosen one.
    max_iterations
        When to give up.

    Raises
    ------
    ArithmeticError
        If the iteration does not settle.
    """
    linearised = anyjac.jacrev(membrane, grad_vars=membrane.state, return_value=True, backend=backend)
    host = anyjac.get_backend(backend).to_numpy
    for iteration in range(1, max_iterations + 1):
        blocks, rates = linearised(injected)
        jacobian = _columns(blocks, host)
        step = np.linalg.solve(jacobian, -host(rates))
        for variable, change in zip(membrane.state.values(), step, strict=True):
            variable.value = variable.value + float(change)
        if np.max(np.abs(step)) < 100 * np.finfo(jacobian.dtype).eps:
            return iteration
    raise ArithmeticError(f"Newton's method has not settled after {max_iterations} steps; the last one was {step}")


def analyse_rest(backend: str | None = None, injected: float = 0.0) -> Rest:
    """Find the resting state on a backend and differentiate the rates there.

    Parameters
    ----------
    backend
        Its name; None for the chosen one.
    injected
        Current in uA/cm^2.

    Examples
    --------
    >>> from anyjac.cli.demo.rest import analyse_rest
    >>> rest = analyse_rest("numpy")
    >>> rest.stable, rest.jacobian.shape, round(rest.state["V"], 4)
    (True, (4, 4), 0.0036)
    """
    chosen = anyjac.get_backend(backend)
    host = chosen.to_numpy
    membrane = HodgkinHuxley(backend)
    iterations = find_rest(membrane, injected, backend=backend)
    by_state = anyjac.jacrev(membrane, grad_vars=membrane.state, backend=backend)(injected)
    sensitivity = anyjac.jacrev(
        membrane.rates_and_currents,
        grad_vars=membrane.conductances,
        argnums=0,
        has_aux=True,
        return_value=True,
        backend=backend,
    )
    (by_conductance, by_current), rates, currents = sensitivity(np.asarray(injected))
    jacobian = _columns(by_state, host)
    return Rest(
        backend=chosen.name,
        dtype=jacobian.dtype.name,
        iterations=iterations,
        state={name: float(variable) for name, variable in membrane.state.items()},
        jacobian=jacobian,
        eigenvalues=np.linalg.eigvals(jacobian),
        rates=host(rates),
        by_current=host(by_current),
        by_conductance=_columns(by_conductance, host),
        currents={name: float(current) for name, current in currents.items()},
    )


def _columns(blocks: dict[str, Any], host: Callable[[Any], Floats]) -> Floats:
    """Put the blocks of several Variables side by side, one column for each."""
    return np.stack([host(block) for block in blocks.values()], axis=1)
