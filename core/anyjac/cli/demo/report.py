"""The demonstration in print: tables with rows, columns and units, from the numbers of `rest`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .hodgkin_huxley import CONDUCTANCES, RATE_UNITS, STATE_UNITS
from .rest import Floats, Rest

ROWS = [f"d{name}/dt  [{unit}]" for name, unit in RATE_UNITS.items()]

ROOMY = 72
"""From so many columns on, the tables are padded."""


def print_rest(console: Console, rest: Rest) -> None:
    """Print one backend's resting state, Jacobians and stability."""
    _title(console, f"Hodgkin-Huxley membrane at rest, by {rest.backend} in {rest.dtype}")
    state = ", ".join(f"{name} = {value:.6f}{_after(STATE_UNITS[name])}" for name, value in rest.state.items())
    _line(console, f"Newton's method on jacrev took {rest.iterations} steps to")
    _line(console, f"  {state}\n")
    _title(console, "Jacobian of the rates with respect to the state")
    _line(console, "jacrev(model, grad_vars=state)")
    columns = [f"per {name}\n[{unit}]" for name, unit in STATE_UNITS.items()]
    console.print(_table(console, columns, rest.jacobian))
    _line(console, "The unit of an entry is its row's divided by its column's.\n")
    _line(console, "Eigenvalues [1/ms]:")
    for eigenvalue in rest.eigenvalues:
        _line(console, f"  {_complex(eigenvalue)}")
    verdict = "all real parts are negative: the rest is stable" if rest.stable else "the rest is unstable"
    _line(console, f"  {verdict}\n")
    _title(console, "Jacobian with respect to injected current and conductances")
    _line(console, "jacrev(model, grad_vars=conductances, argnums=0,")
    _line(console, "       return_value=True, has_aux=True)")
    columns = ["per I\n[uA/cm^2]", *(f"per {name}\n[mS/cm^2]" for name in CONDUCTANCES)]
    console.print(_table(console, columns, np.column_stack([rest.by_current, rest.by_conductance])))
    _line(console, f"Value, the rates at rest: at most {np.max(np.abs(rest.rates)):.1e} mV/ms or 1/ms")
    currents = ", ".join(f"{name} = {value:.4f}" for name, value in rest.currents.items())
    _line(console, "Aux data, the ionic currents [uA/cm^2]:")
    _line(console, f"  {currents}\n")


def print_comparison(console: Console, rests: Sequence[Rest]) -> None:
    """Print how far the backends' numbers are apart."""
    _title(console, "The same on every installed backend")
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("backend", "dtype", "V at rest  [mV]", f"largest difference from {rests[0].backend}"):
        table.add_column(Text(heading), justify="left" if heading in ("backend", "dtype") else "right")
    for rest in rests:
        difference = rest.difference_from(rests[0])
        table.add_row(rest.backend, rest.dtype, f"{rest.state['V']:.12f}", f"{difference:.1e}" if difference else "0")
    console.print(table)
    _line(console, "The difference is the largest in any number above, in its unit.")
    for rest in rests:
        if rest.dtype != "float64":
            _line(console, f"{rest.backend} ran in {rest.dtype}, with about {np.finfo(rest.dtype).precision} digits.")
            if rest.backend == "jax":
                _line(console, "  JAX_ENABLE_X64=1, set before JAX is imported, gives it 64 bits.")


def _title(console: Console, text: str) -> None:
    console.print(Text(text, style="bold"))


def _line(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)


def _table(console: Console, columns: Sequence[str], values: Floats) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1) if console.width >= ROOMY else 0)
    table.add_column("")
    for column in columns:
        table.add_column(Text(column), justify="right")
    for label, row in zip(ROWS, values, strict=True):
        table.add_row(Text(label), *(f"{value + 0.0:.6f}" for value in row))
    return table


def _after(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _complex(value: complex) -> str:
    return f"{value.real:.6f}" if abs(value.imag) < 1e-12 else f"{value.real:.6f}{value.imag:+.6f}i"
