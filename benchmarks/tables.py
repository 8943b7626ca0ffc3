"""Tables of a report, in Markdown and in reStructuredText, and the short tables of README."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import members
from .contenders import LIMIT, arena_named
from .imports import BARE, IMPORTED
from .names import OURS, OURS_COMPILED
from .problems import PROBLEMS
from .samples import FIRST, GROWTH, HOT, IMPORT, MEMBERS, MEMORY, SECOND, Report, Row
from .targets import Verdict, summary, verdicts

BEGIN: Final = "<!-- benchmarks: what follows is written by python -m benchmarks --out docs -->"
END: Final = "<!-- benchmarks: end -->"
LIMITS: Final = {problem.name: problem.limit.name for problem in PROBLEMS if problem.limit is not None}


@dataclass(frozen=True)
class Table:
    """A table with its title."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table in Markdown, without the title."""
        widths = [max(len(row[column]) for row in (self.headings, *self.rows)) for column in range(len(self.headings))]
        lines = [self.headings, ["-" * width for width in widths], *self.rows]
        return "\n".join(
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        )

    def restructured(self) -> str:
        """Return the table as a list table of reStructuredText."""
        lines = [f".. list-table:: {self.title}", "   :header-rows: 1", ""]
        for row in (self.headings, *self.rows):
            lines += [f"   {'*' if first else ' '} - {cell}".rstrip() for first, cell in _with_first(row)]
        return "\n".join(lines)


def _with_first(row: Sequence[str]) -> list[tuple[bool, str]]:
    return [(index == 0, cell) for index, cell in enumerate(row)]


def tables(report: Report) -> list[Table]:
    """Return every table of a report."""
    found = verdicts(report)
    makers: Sequence[tuple[str, Callable[[Report, str, Sequence[Verdict]], Table]]] = (
        (HOT, _hot),
        (MEMBERS, _members),
        (FIRST, _cold),
        (MEMORY, _memory),
        (IMPORT, _import),
        (GROWTH, _growth),
    )
    return [make(report, arena, found) for kind, make in makers for arena in report.arenas(kind)]


def markdown(report: Report) -> str:
    """Return all tables and the summary as Markdown."""
    parts = [f"## {table.title}\n\n{table.markdown()}" for table in tables(report)]
    lines = "\n".join(f"- {line}" for line in summary(verdicts(report)))
    return "\n\n".join([f"# Benchmarks\n\n{about(report)}", *parts, f"## Targets\n\n{lines}"]) + "\n"


def restructured(report: Report) -> str:
    """Return all tables and the summary as reStructuredText."""
    parts = [table.restructured() for table in tables(report)]
    lines = "\n".join(f"- {line}" for line in summary(verdicts(report)))
    return "\n\n".join([about(report), lines, *parts]) + "\n"


def about(report: Report) -> str:
    """Return the sentence on the versions and the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in report.about["versions"].items())
    machine = f"Python {report.about['python']}, {report.about['platform']}, {report.about['cores']} cores"
    return f"anyjac {report.about['anyjac']} with {versions}; {machine}; {report.about['created'][:10]}."


def _hot(report: Report, arena: str, found: Sequence[Verdict]) -> Table:
    rows, here = report.of(HOT, arena), arena_named(arena)
    others = [name for name in _contenders(rows) if name not in (here.reference, LIMIT)]
    said = {(v.target.problem, v.target.contender): str(v) for v in found if _is_of(v, HOT, arena)}
    targeted = {contender for _, contender in said}
    headings = [arena, f"{here.reference} [ms]"]
    for name in others:
        headings += [f"{name} / {here.reference_of(name)}", *(["target"] if name in targeted else [])]
    lines = []
    for row in rows:
        line = [row.problem, _milliseconds(row, here.reference)]
        for name in others:
            line += [_ratio(row, name, here.reference_of(name))]
            line += [said.get((row.problem, name), "")] if name in targeted else []
        lines.append([*line, _limit(row)])
    return Table(f"{arena}: times of one call, after others", [*headings, "limit [ms]"], lines)


def _members(report: Report, arena: str, found: Sequence[Verdict]) -> Table:
    said = {(v.target.problem, v.target.contender): str(v) for v in found if _is_of(v, MEMBERS, arena)}
    rows = report.of(MEMBERS, arena)
    pairs = [pair for pair in members.REFERENCES.items() if pair[0] in _contenders(rows)]
    headings = [arena]
    for name, reference in pairs:
        headings += [f"{reference} [ms]", f"{name} / {reference}", "target"]
    lines = []
    for row in rows:
        line = [row.problem]
        for name, reference in pairs:
            line += [_milliseconds(row, reference), _ratio(row, name, reference), said.get((row.problem, name), "")]
        lines.append(line)
    return Table(f"{arena}: gradients, Hessians and mapped gradients", headings, lines)


def _cold(report: Report, arena: str, found: Sequence[Verdict]) -> Table:
    reference = arena_named(arena).reference
    said = {(v.target.kind, v.target.problem): str(v) for v in found if v.target.arena == arena}
    second = {row.problem: row for row in report.of(SECOND, arena)}
    headings = [arena]
    for kind in (FIRST, SECOND):
        headings += [f"{kind}: {reference} [ms]", f"{OURS} / {reference}", "target"]
    lines = []
    for row in report.of(FIRST, arena):
        line = [row.problem]
        for kind, at in ((FIRST, row), (SECOND, second[row.problem])):
            line += [_milliseconds(at, reference), _ratio(at, OURS, reference), said.get((kind, row.problem), "")]
        lines.append(line)
    return Table(f"{arena}: the first and the second call of a new function", headings, lines)


def _memory(report: Report, arena: str, found: Sequence[Verdict]) -> Table:
    rows, reference = report.of(MEMORY, arena), arena_named(arena).reference
    said = {v.target.problem: str(v) for v in found if _is_of(v, MEMORY, arena)}
    lines = [
        [row.problem, *(f"{row.values[name].median:.0f}" for name in (reference, OURS)), said.get(row.problem, "")]
        for row in rows
    ]
    headings = [arena, f"{reference} [MB]", f"{OURS} [MB]", "target [MB]"]
    return Table(f"{arena}: peak of extra memory, without the result", headings, lines)


def _import(report: Report, arena: str, found: Sequence[Verdict]) -> Table:
    (row,) = report.of(IMPORT, arena)
    said = [str(verdict) for verdict in found if _is_of(verdict, IMPORT, arena)]
    extra = row.values[IMPORTED].beyond(row.values[BARE])
    cells = [IMPORTED, _milliseconds(row, BARE), f"{extra * 1e3:.3g}", *said]
    return Table("import", ["", "python alone [ms]", "extra [ms]", "target [ms]"], [cells])


def _growth(report: Report, arena: str, found: Sequence[Verdict]) -> Table:
    rows, reference = report.of(GROWTH, arena), arena_named(arena).reference
    others = [name for name in _contenders(rows) if name != LIMIT]
    headings = [arena, "size", *(f"{name} [ms]" for name in others), f"{OURS} / {reference}", "limit [ms]"]
    lines = [
        [
            row.problem,
            str(row.size),
            *(_milliseconds(row, name) for name in others),
            _ratio(row, OURS, reference),
            _milliseconds(row, LIMIT),
        ]
        for row in rows
    ]
    return Table(f"{arena}: how cost grows with the numbers of outputs and inputs", headings, lines)


def _is_of(verdict: Verdict, kind: str, arena: str) -> bool:
    return (verdict.target.kind, verdict.target.arena) == (kind, arena)


def _contenders(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.values))


def _milliseconds(row: Row, contender: str) -> str:
    return f"{row.values[contender].median * 1e3:.4g}" if contender in row.values else ""


def _ratio(row: Row, contender: str, reference: str) -> str:
    if contender not in row.values:
        return ""
    lower, middle, upper = row.values[contender].over(row.values[reference])
    return f"{middle:.3g} ({lower:.3g} to {upper:.3g})"


def _limit(row: Row) -> str:
    return f"{_milliseconds(row, LIMIT)} ({LIMITS[row.problem]})" if LIMIT in row.values else ""


# ---- the short ones -------------------------------------------------------------------------------------------------


def headline(report: Report) -> str:
    """Return the tables of README: a row for each problem, and anyjac's time as a share of each framework's."""
    return "\n\n".join(table.markdown() for table in (_short_jacobians(report), _short_members(report)) if table.rows)


def _short_jacobians(report: Report) -> Table:
    columns = [
        (arena, name, arena_named(arena).reference_of(name))
        for arena in report.arenas(HOT)
        for name in (OURS, OURS_COMPILED)
        if name in _contenders(report.of(HOT, arena))
    ]
    cells = {(row.arena, row.problem): row for row in report.of(HOT)}
    rows = [
        [problem, *(_share(cells.get((arena, problem)), name, reference) for arena, name, reference in columns)]
        for problem in dict.fromkeys(row.problem for row in report.of(HOT))
    ]
    names = [f"`{name}` / `{reference}`" for _, name, reference in columns]
    return Table("", ["Jacobian of", *names], rows)


def _short_members(report: Report) -> Table:
    columns = [
        (arena, name, reference)
        for arena in report.arenas(MEMBERS)
        for name, reference in members.REFERENCES.items()
        if name in _contenders(report.of(MEMBERS, arena))
    ]
    cells = {(row.arena, row.problem): row for row in report.of(MEMBERS)}
    rows = [
        [problem, *(_share(cells.get((arena, problem)), name, reference) for arena, name, reference in columns)]
        for problem in dict.fromkeys(row.problem for row in report.of(MEMBERS))
    ]
    own = {members.NATIVE: "{}'s own", members.NATIVE_COMPILED: "{}'s own, compiled"}
    names = [f"{name} / {own[reference].format(arena)}" for arena, name, reference in columns]
    return Table("", ["anyjac's", *names], rows)


def _share(row: Row | None, contender: str, reference: str) -> str:
    if row is None or contender not in row.values:
        return ""
    return f"{row.ratio(contender, reference):.2g}"


def put_into(readme: Path, report: Report) -> None:
    """Write the short tables between README's marks."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n\n{headline(report)}\n\n{END}{after}", encoding="utf-8")
