"""Points where well-known functions have no derivative, what each backend gives there, and what to write instead.

``python -m anyjac_conformance.singularities`` prints the two tables of the page on singularities.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import anyjac
from anyjac import Backend

Numbers = np.ndarray[Any, Any]
Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Singularity:
    """A function without a derivative at a point, and perhaps a way to write it with a derivative.

    Parameters
    ----------
    text, function, point
        How the function is written, what it is, given the namespace and an array, and where it has no derivative.
    way, instead
        How to write the same function with a derivative there, which is zero, and that function; empty and None where
        prose says it.
    """

    text: str
    function: Function
    point: Numbers
    way: str = ""
    instead: Function | None = None


def _safe_sqrt(xp: Any, x: Any) -> Any:
    return xp.where(x > 0, xp.sqrt(xp.where(x > 0, x, 1.0)), 0.0)


def _norm(xp: Any, x: Any) -> Any:
    return _safe_sqrt(xp, xp.sum(x * x))


def _sinc(xp: Any, x: Any) -> Any:
    small = xp.abs(x) < 1e-4
    y = xp.where(small, 1.0, x)
    return xp.where(small, 1 - x * x / 6, xp.sin(y) / y)


def _x_log_x(xp: Any, x: Any) -> Any:
    y = xp.where(x > 0, x, 1.0)
    return y * xp.log(y) * (x > 0)


def _angle(xp: Any, x: Any) -> Any:
    away = (x[0] != 0) | (x[1] != 0)
    return xp.atan2(xp.where(away, x[0], 0.0), xp.where(away, x[1], 1.0))


def _log_of_sum(xp: Any, x: Any) -> Any:
    least = xp.maximum(x, xp.full_like(x, -1e300))
    return xp.logaddexp(least[0], least[1])


def _symmetric(xp: Any, x: Any) -> Any:
    return (x + xp.matrix_transpose(x)) / 2


_SAFE_ROOT: Final = "where(x > 0, sqrt(where(x > 0, x, 1)), 0)"
_ZERO, _ZEROS, _ONES, _UNIT = np.array(0.0), np.zeros(2), np.ones(2), np.eye(2)

SINGULARITIES: Final = (
    Singularity("sqrt(x) at 0", lambda xp, x: xp.sqrt(x), _ZERO, _SAFE_ROOT, _safe_sqrt),
    Singularity("sqrt(x**2) at 0", lambda xp, x: xp.sqrt(x**2), _ZERO),
    Singularity("where(x > 0, sqrt(x), 0) at 0", lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0.0), _ZERO),
    Singularity(
        "vector_norm(x) at [0, 0]",
        lambda xp, x: xp.linalg.vector_norm(x),
        _ZEROS,
        "s = sum(x * x); where(s > 0, sqrt(where(s > 0, s, 1)), 0)",
        _norm,
    ),
    Singularity("sqrt(sum(x * x)) at [0, 0]", lambda xp, x: xp.sqrt(xp.sum(x * x)), _ZEROS),
    Singularity("hypot(x, y) at 0, 0", lambda xp, x: xp.hypot(x[0], x[1]), _ZEROS),
    Singularity(
        "sin(x) / x at 0",
        lambda xp, x: xp.sin(x) / x,
        _ZERO,
        "c = abs(x) < 1e-4; y = where(c, 1, x); where(c, 1 - x * x / 6, sin(y) / y)",
        _sinc,
    ),
    Singularity("where(x == 0, 1, sin(x) / x) at 0", lambda xp, x: xp.where(x == 0, 1.0, xp.sin(x) / x), _ZERO),
    Singularity(
        "x * log(x) at 0", lambda xp, x: x * xp.log(x), _ZERO, "y = where(x > 0, x, 1); y * log(y) * (x > 0)", _x_log_x
    ),
    Singularity("x**y at 0, 0", lambda xp, x: x[0] ** x[1], _ZEROS),
    Singularity(
        "atan2(y, x) at 0, 0",
        lambda xp, x: xp.atan2(x[0], x[1]),
        _ZEROS,
        "c = (x != 0) | (y != 0); atan2(where(c, y, 0), where(c, x, 1))",
        _angle,
    ),
    Singularity("acos(x) at 1", lambda xp, x: xp.acos(x), np.array(1.0)),
    Singularity(
        "std(x) at [1, 1]",
        lambda xp, x: xp.std(x),
        _ONES,
        "sqrt(var(x) + 1e-12)",
        lambda xp, x: xp.sqrt(xp.var(x) + 1e-12),
    ),
    Singularity(
        "logaddexp(x, y) at -inf, -inf",
        lambda xp, x: xp.logaddexp(x[0], x[1]),
        np.full(2, -np.inf),
        "logaddexp(maximum(x, -1e300), maximum(y, -1e300))",
        _log_of_sum,
    ),
    Singularity("eigh(a)[1][0, 0]**2 at a = I", lambda xp, x: xp.linalg.eigh(_symmetric(xp, x))[1][0, 0] ** 2, _UNIT),
    Singularity("svd(a)[0][0, 0]**2 at a = I", lambda xp, x: xp.linalg.svd(x)[0][0, 0] ** 2, _UNIT),
    Singularity(
        "sum(eigvalsh(a)) at a = I",
        lambda xp, x: xp.sum(xp.linalg.eigvalsh(_symmetric(xp, x))),
        _UNIT,
    ),
    Singularity("abs(x) at 0", lambda xp, x: xp.abs(x), _ZERO),
    Singularity("max(x) at [1, 1]", lambda xp, x: xp.max(x), _ONES),
    Singularity("maximum(x, 0) at 0", lambda xp, x: xp.maximum(x, xp.asarray(0.0, dtype=x.dtype)), _ZERO),
    Singularity("clip(x, min=0) at 0", lambda xp, x: xp.clip(x, min=0.0), _ZERO),
)
"""The functions of the page; the last ones have corners, where every backend chooses a number."""


def gradient(backend: Backend, function: Function, point: Numbers) -> Numbers:
    """Return the gradient that a backend computes at a point."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = anyjac.grad(lambda x: function(backend.namespace, x), backend=backend)(backend.asarray(point))
        return np.asarray(backend.to_numpy(found))


def shown(found: Numbers) -> str:
    """Return a gradient as the page shows it.

    Examples
    --------
    >>> import numpy as np
    >>> from anyjac_conformance.singularities import shown
    >>> shown(np.array([np.nan, 0.0])), shown(np.array(-np.inf)), shown(np.array([0.5, 0.5]))
    ('NaN', 'infinite', '[0.5, 0.5]')
    """
    if np.isnan(found).any():
        return "NaN"
    return str((found.round(6) + 0.0).tolist()) if np.isfinite(found).all() else "infinite"


def found_by(backend: Backend) -> list[str]:
    """Return what a backend gives for each of `SINGULARITIES`."""
    return [shown(gradient(backend, each.function, each.point)) for each in SINGULARITIES]


def tables(columns: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return two tables in reStructuredText: the functions with what each backend gives, and the ways around.

    Parameters
    ----------
    columns
        What each backend gives, as from `found_by`.
    """
    texts = [f"``{each.text}``" for each in SINGULARITIES]
    given = [["function", *columns], *map(list, zip(texts, *columns.values(), strict=True))]
    ways = [[f"``{each.text}``", f"``{each.way}``"] for each in SINGULARITIES if each.way]
    return _table(given), _table([["instead of", "write"], *ways])


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = " ".join("=" * width for width in widths)
    heading, *lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([rule, heading, rule, *lines, rule]) + "\n"


if __name__ == "__main__":
    usable = [info.name for info in anyjac.backends() if info.error is None]
    print(*tables({name: found_by(anyjac.get_backend(name)) for name in sys.argv[1:] or usable}), sep="\n", end="")
