"""Plots of a report: the ratios to each framework's own Jacobian, and the growth of cost. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .contenders import LIMIT, arena_named
from .growth import FAMILIES
from .names import OURS, OURS_COMPILED
from .samples import GROWTH, HOT, Report, Row
from .targets import Verdict, verdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = ("svg", "png")
TO_INSTALL: Final = 'matplotlib draws the plots and is not installed: python -m pip install -e ".[benchmarks]"'


class MatplotlibMissingError(ImportError):
    """Plots were asked for, and matplotlib is not installed."""


@dataclass(frozen=True)
class Role:
    """The part that a contender plays: its words in the legend, its colour and its mark."""

    label: str
    colour: str
    marker: str
    line: str = "-"
    filled: bool = True


# Colours of Okabe and Ito, which differ for any colour vision; the marks differ without colour.
REFERENCE: Final = Role("the framework's own Jacobian", "#000000", "s")
COMPILED: Final = Role("the same, compiled by its own jit", "#009E73", "^", filled=False)
ROLES: Final[Mapping[str, Role]] = {
    OURS: Role("anyjac.jacrev", "#0072B2", "o"),
    OURS_COMPILED: Role("anyjac.jit(anyjac.jacrev)", "#D55E00", "D"),
    LIMIT: Role("limit: a fill of the result, or its products", "#555555", "x", line=":"),
}
TARGET: Final = "target, in the colour of who is to reach it"
TARGET_LINE: Final[Mapping[str, Any]] = {"linewidth": 2.2, "alpha": 0.55}


def require_matplotlib() -> None:
    """Say what to install where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MatplotlibMissingError(TO_INSTALL) from error


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw both plots into a folder, as SVG and as PNG, and return their paths."""
    require_matplotlib()
    import matplotlib as mpl

    mpl.use("Agg")
    # No dates and no random names: the same numbers give the same files.
    style: Any = {"svg.hashsalt": "anyjac", "svg.fonttype": "path", "font.size": 9.5, "axes.titlesize": 11}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(style):
        for name, kind, make in (("ratios", HOT, figure_of_ratios), ("growth", GROWTH, figure_of_growth)):
            for suffix in FORMATS if report.of(kind) else ():
                path = folder / f"{name}.{suffix}"
                make(report).savefig(path, dpi=110, metadata={"Date": None} if suffix == "svg" else {"Software": None})
                written.append(path)
    return written


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _role(row: Row, contender: str) -> Role:
    if contender == arena_named(row.arena).reference:
        return REFERENCE
    return ROLES.get(contender, COMPILED)


def _mark(role: Role, **more: Any) -> dict[str, Any]:
    face = role.colour if role.filled else "none"
    return {"color": role.colour, "marker": role.marker, "markerfacecolor": face, "label": role.label, **more}


# ---- ratios --------------------------------------------------------------------------------------------------------


def figure_of_ratios(report: Report) -> Figure:
    """Draw a panel for each arena: a line for each problem, and a mark at each contender's ratio to the reference."""
    arenas = report.arenas(HOT)
    most = max(len(report.of(HOT, arena)) for arena in arenas)
    lines = -(-len(arenas) // 2)
    figure = _figure((11.0, (0.9 + 0.27 * most) * lines + 1.2))
    panels = figure.subplots(lines, 2, squeeze=False).flatten()
    for arena, axes in zip(arenas, panels, strict=False):
        _panel(axes, report.of(HOT, arena), verdicts(report))
    for axes in panels[len(arenas) :]:
        axes.set_axis_off()
    figure.suptitle("Time of one Jacobian, divided by that of the framework's own (lower is faster)", fontsize=13)
    _legend(figure, list(panels))
    return figure


def _panel(axes: Axes, rows: Sequence[Row], found: Sequence[Verdict]) -> None:
    arena = rows[0].arena
    reference = arena_named(arena).reference
    axes.axvline(1.0, color=REFERENCE.colour, linewidth=1.2, label=REFERENCE.label)
    for height, row in enumerate(rows):
        for name in row.values:
            if name != reference:
                _point(axes, row, name, reference, height)
        for verdict in found:
            target = verdict.target
            if (target.kind, target.arena, target.problem) == (HOT, arena, row.problem):
                at = target.at_most * row.ratio(target.reference, reference)
                role = ROLES[target.contender]
                axes.plot([at, at], [height - 0.42, height + 0.42], color=role.colour, label=TARGET, **TARGET_LINE)
    axes.set_yticks(range(len(rows)), [row.problem for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlabel(f"time / time of {reference}")
    axes.set_title(arena, loc="left", fontweight="bold")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _point(axes: Axes, row: Row, name: str, reference: str, height: int) -> None:
    lower, middle, upper = row.values[name].over(row.values[reference])
    if name == LIMIT:
        axes.plot(middle, height, linestyle="none", markeredgewidth=1.6, **_mark(ROLES[LIMIT]))
    else:
        error = [[middle - lower], [upper - middle]]
        axes.errorbar(middle, height, xerr=error, linestyle="none", markersize=6.0, **_mark(_role(row, name)))


# ---- growth --------------------------------------------------------------------------------------------------------


def figure_of_growth(report: Report) -> Figure:
    """Draw a panel for each arena and family: a line for each contender over the size."""
    arenas = report.arenas(GROWTH)
    figure = _figure((11.0, 2.5 * len(arenas) + 1.2))
    panels = figure.subplots(len(arenas), len(FAMILIES), squeeze=False, sharex="col", sharey="row")
    for (down, arena), (across, family) in product(enumerate(arenas), enumerate(FAMILIES)):
        axes = panels[down, across]
        rows = [row for row in report.of(GROWTH, arena) if row.problem == family.name]
        for name in dict.fromkeys(name for row in rows for name in row.values):
            _curve(axes, rows, name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_title(f"{arena}: {family.name}", loc="left")
        if down == len(arenas) - 1:
            axes.set_xlabel(family.grows)
        if across == 0:
            axes.set_ylabel("time of one call [ms]")
    figure.suptitle("How the time of one Jacobian grows with its size", fontsize=13)
    _legend(figure, list(panels.flatten()))
    return figure


def _curve(axes: Axes, rows: Sequence[Row], name: str) -> None:
    measured = [row for row in rows if name in row.values]
    role = _role(measured[0], name)
    marked = _mark(role, marker="") if name == LIMIT else _mark(role)
    times = [row.values[name].median * 1e3 for row in measured]
    axes.plot([row.size or 0 for row in measured], times, linestyle=role.line, linewidth=1.4, markersize=4.5, **marked)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Put one legend below all panels, with each role once."""
    from matplotlib.lines import Line2D

    found = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if TARGET in found:
        found[TARGET] = Line2D(
            [], [], color="#888888", marker="|", markersize=13, markeredgewidth=2.2, linestyle="none"
        )
    words = [role.label for role in (REFERENCE, COMPILED, *ROLES.values())] + [TARGET]
    shown = [word for word in words if word in found]
    figure.legend([found[word] for word in shown], shown, loc="outside lower center", ncols=3, frameon=False)
