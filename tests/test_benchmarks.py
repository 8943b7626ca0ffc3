"""The benchmarks run, and show their measurements; whether the numbers are good is for their tables to say."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks import __main__ as command_line
from benchmarks import cold, members, operations, plots, samples, tables, targets
from benchmarks.contenders import ARENAS, LIMIT, arena_named
from benchmarks.growth import FAMILIES
from benchmarks.imports import BARE, IMPORTED
from benchmarks.measure import is_measured
from benchmarks.members import MEMBER_PROBLEMS
from benchmarks.names import OURS, OURS_COMPILED
from benchmarks.problems import PROBLEMS, TALL, perceptron
from benchmarks.samples import FIRST, GROWTH, HOT, IMPORT, MEMBERS, MEMORY, SECOND, Report, Row, Samples
from benchmarks.targets import TARGETS, Target, verdicts
from benchmarks.timing import QUICK, Effort, interleave
from tests.helpers.repository import ROOT

QUICK_PROBLEMS = [problem for problem in PROBLEMS if problem.quick]
INSTALLED = [arena for arena in ARENAS if arena.is_there]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def row(kind: str, arena: str, problem: str, size: int | None = None, **more: Any) -> Row:
    values: Mapping[str, Any] = more["values"]
    return Row(kind, arena, problem, {name: Samples(tuple(numbers)) for name, numbers in values.items()}, size)


def report(*rows: Row) -> Report:
    return samples.new_report(rows, {"jax": "1.2.3"})


@pytest.fixture
def measured() -> Report:
    """A report with a row of each kind, with numbers that are easy to divide."""
    jax = {"jax.jacrev": [2.0, 4.0, 8.0], "jax.jit(jax.jacrev)": [0.2, 0.4, 0.8]}
    return report(
        row(HOT, "jax", "3 -> 3", values={**jax, OURS: [0.2, 0.4, 0.8], OURS_COMPILED: [0.3, 0.6, 1.2]}),
        row(HOT, "jax", "tanh 1000", values={**jax, OURS: [1.0, 2.0, 4.0], LIMIT: [0.1, 0.1, 0.1]}),
        row(HOT, "torch", "3 -> 3", values={"torch.func.jacrev": [1.0], OURS: [0.5]}),
        row(FIRST, "jax", "3 -> 3", values={"jax.jacrev": [1.0], OURS: [1.0]}),
        row(SECOND, "jax", "3 -> 3", values={"jax.jacrev": [1.0], OURS: [2.2]}),
        row(MEMORY, "torch", TALL, values={"torch.func.jacrev": [1600.0], OURS: [80.0]}),
        row(IMPORT, BARE, IMPORTED, values={BARE: [0.01, 0.02], IMPORTED: [0.02, 0.03]}),
        *(row(GROWTH, "jax", FAMILIES[0].name, size, values={**jax, LIMIT: [0.1]}) for size in (1, 4)),
        *(row(GROWTH, "jax", FAMILIES[1].name, size, values={"jax.jacrev": [1.0], OURS: [0.5]}) for size in (10, 30)),
    )


# ---- running -------------------------------------------------------------------------------------------------------


def test_the_quick_benchmarks_run_and_write_tables_json_and_plots(tmp_path: Path) -> None:
    done = run("benchmarks", "--quick", "--out", str(tmp_path / "docs"), "--plot")
    assert done.returncode == 0, done.stderr
    found = samples.read(tmp_path / "docs" / "benchmarks.json")
    assert set(found.arenas(HOT)) == set(found.arenas(GROWTH)) == {arena.name for arena in INSTALLED}
    assert {row.kind for row in found.rows} == {HOT, MEMBERS, FIRST, SECOND, IMPORT, GROWTH}
    quick = {member.name for member in MEMBER_PROBLEMS if member.quick}
    assert {row.problem for row in found.of(MEMBERS, "jax")} == quick
    assert (tmp_path / "docs" / "benchmarks.md").read_text() == tables.markdown(found)
    assert {path.name for path in (tmp_path / "docs" / "images").iterdir()} == {
        f"{name}.{suffix}" for name in ("ratios", "growth") for suffix in plots.FORMATS
    }


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    done = run("benchmarks.memory", "autograd", "autograd.jacobian", "tanh 1000")
    assert done.returncode == 0, done.stderr
    assert 6 < float(done.stdout) < 20  # its rows, which are stacked to a result of 8 MB


def test_contenders_are_called_in_turn_after_they_have_warmed_up() -> None:
    called: list[str] = []
    thunks = {name: (lambda name=name: called.append(name)) for name in "ab"}
    effort = Effort(rounds=3, seconds=0.0, warm_up=2, warm_up_at_least=2, warm_seconds=0.0, at_most=9.0)
    found = interleave(thunks, effort)
    assert "".join(called) == "aaa" + "bbb" + "ababab"
    assert {name: len(times.rounds) for name, times in found.items()} == {"a": 3, "b": 3}


@pytest.mark.parametrize("arena", INSTALLED, ids=lambda arena: arena.name)
@pytest.mark.parametrize("problem", QUICK_PROBLEMS, ids=lambda problem: problem.name)
def test_all_contenders_compute_the_same_and_the_reference_is_first(arena: Any, problem: Any) -> None:
    results = {name: np.asarray(make(problem)()) for name, make in arena.contenders().items()}
    assert next(iter(results)) == arena.reference
    for found in results.values():
        np.testing.assert_allclose(found, results[arena.reference], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "arena", [arena for arena in INSTALLED if arena.name != "brainpy"], ids=lambda arena: arena.name
)
@pytest.mark.parametrize(
    "member", [member for member in MEMBER_PROBLEMS if member.quick], ids=lambda member: member.name
)
def test_everybody_computes_the_same_member_of_the_family(arena: Any, member: Any) -> None:
    found = {
        name: leaves_of(thunk())
        for name, thunk in members.contenders(arena, member, compiled=arena.name == "jax").items()
    }
    assert list(found)[:2] in ([members.NATIVE, members.OURS], [])
    for leaves in found.values():
        for mine, reference in zip(leaves, found[members.NATIVE], strict=True):
            np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=1e-10, atol=1e-12)


def leaves_of(tree: Any) -> list[Any]:
    return [tree[name] for name in sorted(tree)] if isinstance(tree, dict) else [tree]


def test_a_member_that_a_framework_lacks_has_no_row_there() -> None:
    mapped = next(member for member in MEMBER_PROBLEMS if member.derivative == "vmap")
    assert members.contenders(arena_named("autograd"), mapped) == {}


def test_the_table_of_members_divides_each_by_its_own_reference() -> None:
    name = MEMBER_PROBLEMS[0].name
    values = {members.NATIVE: [2.0], members.OURS: [1.0], members.NATIVE_COMPILED: [0.5], members.OURS_COMPILED: [1.0]}
    (table,) = tables.tables(report(row(MEMBERS, "jax", name, values=values)))
    assert list(table.rows) == [
        [name, "2000", "0.5 (0.5 to 0.5)", "1.1: met", "500", "2 (2 to 2)", "1.1: missed, 1.82x"]
    ]


def test_a_limit_by_products_is_the_jacobian_itself() -> None:
    problem = perceptron("", 5, 3, hidden=7)
    assert problem.limit is not None
    jacobian = arena_named("autograd").contenders()[OURS](problem)()
    np.testing.assert_allclose(problem.limit.thunk(), jacobian, rtol=1e-12, atol=1e-14)


def test_the_second_order_is_the_jacobian_of_the_jacobian() -> None:
    problem = perceptron("", 3, 2, hidden=4, order=2)
    results = [make(problem)() for make in arena_named("autograd").contenders().values()]
    assert [found.shape for found in results] == [(2, 3, 3)] * 2
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-14)


def test_a_cold_call_is_of_a_function_that_was_never_seen() -> None:
    import jax

    small = QUICK_PROBLEMS[0]
    ops = operations.of_jax()
    traced = {str(jax.make_jaxpr(cold.never_seen(small).make(ops))(small.placed(ops))) for _ in range(3)}
    assert len(traced) == 3
    rows = cold.cold_rows(arena_named("jax"), small, QUICK)
    assert [(found.kind, list(found.values)) for found in rows] == [(k, ["jax.jacrev", OURS]) for k in (FIRST, SECOND)]


# ---- targets -------------------------------------------------------------------------------------------------------


def test_targets_are_of_problems_and_contenders_that_there_are() -> None:
    names = {problem.name for problem in (*PROBLEMS, *MEMBER_PROBLEMS)} | {IMPORTED}
    assert {target.problem for target in TARGETS} <= names
    keys = [(target.kind, target.arena, target.contender, target.problem) for target in TARGETS]
    assert len(keys) == len(set(keys))
    for target in TARGETS:
        if target.kind == MEMBERS:
            assert target.reference == members.REFERENCES[target.contender]
        elif target.kind not in (MEMORY, IMPORT):
            assert target.reference == arena_named(target.arena).reference_of(target.contender)


def test_a_target_is_met_where_what_was_found_is_no_more(measured: Report) -> None:
    def verdict(kind: str, arena: str, contender: str, problem: str) -> str:
        (found,) = [
            found
            for found in verdicts(measured)
            if (found.target.kind, found.target.arena) == (kind, arena)
            and (found.target.contender, found.target.problem) == (contender, problem)
        ]
        return str(found)

    assert verdict(HOT, "jax", OURS, "3 -> 3") == "0.2: met"
    assert verdict(HOT, "jax", OURS, "tanh 1000") == "0.2: missed, 2.5x"
    assert verdict(HOT, "jax", OURS_COMPILED, "3 -> 3") == "1.25: missed, 1.2x"
    assert verdict(HOT, "torch", OURS, "3 -> 3") == "0.55: met"
    assert verdict(FIRST, "jax", OURS, "3 -> 3") == "1.1: met"
    assert verdict(SECOND, "jax", OURS, "3 -> 3") == "1.1: missed, 2x"
    assert verdict(MEMORY, "torch", OURS, TALL) == "40: missed, 2x"
    assert verdict(IMPORT, BARE, IMPORTED, IMPORTED) == "30: met"
    assert len(verdicts(measured)) == 8


def test_what_was_not_measured_has_no_verdict(measured: Report) -> None:
    nobody = Target(HOT, "jax", "nobody", "jax.jacrev", "3 -> 3", 1.0)
    nothing = Target(HOT, "jax", OURS, "jax.jacrev", "nothing", 1.0)
    assert verdicts(measured, [nobody, nothing]) == []


def test_the_summary_counts_and_begins_with_the_worst(measured: Report) -> None:
    assert targets.summary(verdicts(measured)) == [
        "jax: 2 of 5 targets met; missed: tanh 1000 0.5 > 0.2, 3 -> 3 second call 2.2 > 1.1, "
        "3 -> 3 anyjac.jit(anyjac.jacrev) 1.5 > 1.25.",
        f"torch: 1 of 2 targets met; missed: {TALL} extra memory 80 > 40.",
        "python: 1 of 1 targets met.",
    ]


# ---- tables and JSON -----------------------------------------------------------------------------------------------


def test_a_table_has_ratios_with_quartiles_targets_and_limits(measured: Report) -> None:
    lines = tables.markdown(measured).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| tanh 1000")]
    assert cells == [
        ["tanh 1000", "4000", "0.1 (0.1 to 0.1)", "0.5 (0.5 to 0.5)", "0.2: missed, 2.5x", "", "", "100 (fill)"]
    ]
    (headings,) = [line for line in lines if line.startswith("| jax ") and "limit [ms]" in line and "target" in line]
    assert [cell.strip() for cell in headings.strip("|").split("|")] == [
        "jax",
        "jax.jacrev [ms]",
        "jax.jit(jax.jacrev) / jax.jacrev",
        "anyjac.jacrev / jax.jacrev",
        "target",
        "anyjac.jit(anyjac.jacrev) / jax.jit(jax.jacrev)",
        "target",
        "limit [ms]",
    ]


def test_the_page_of_the_documentation_has_the_same_cells(measured: Report) -> None:
    text = tables.restructured(measured)
    for table in tables.tables(measured):
        for cells in table.rows:
            assert "\n".join(f"     - {cell}".rstrip() for cell in cells[1:]) in text


def test_quartiles_are_of_the_ratios_within_each_round() -> None:
    assert Samples((1.0, 4.0, 9.0)).over(Samples((1.0, 2.0, 3.0))) == (1.5, 2.0, 2.5)
    assert Samples((1.0,)).over(Samples((2.0,))) == (0.5, 0.5, 0.5)


def test_json_is_read_as_it_was_written(measured: Report, tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.json"
    samples.write_json(measured, path)
    assert samples.read(path) == measured
    found = json.loads(path.read_text())
    assert {row["unit"] for row in found["rows"]} == {"s", "MB"}
    assert found["versions"] == {"jax": "1.2.3"}


def test_rows_that_were_not_measured_again_stay(measured: Report) -> None:
    again = row(HOT, "torch", "3 -> 3", values={"torch.func.jacrev": [1.0], OURS: [0.1]})
    new = row(HOT, "torch", "MLP 64", values={"torch.func.jacrev": [1.0], OURS: [0.1]})
    both = report(again, new).updating(measured, is_measured)
    assert both.of(HOT, "torch") == [again, new]
    assert [found.key for found in both.rows] == [*(found.key for found in measured.rows), new.key]


def test_rows_of_what_is_no_longer_measured_go(measured: Report) -> None:
    gone = [row(HOT, "jax", "nothing", values={}), row(GROWTH, "jax", FAMILIES[0].name, 5, values={})]
    assert report().updating(report(*gone, *measured.rows), is_measured).rows == measured.rows


def test_the_tables_of_readme_are_those_of_the_last_run() -> None:
    last = samples.read(ROOT / "docs" / "benchmarks.json")
    readme = (ROOT / "README.md").read_text()
    assert f"{tables.BEGIN}\n\n{tables.headline(last)}\n\n{tables.END}" in readme
    assert "`python -m benchmarks --out docs --plot`" in readme
    assert (ROOT / "docs" / "benchmarks.md").read_text() == tables.markdown(last)
    assert (ROOT / "docs" / "benchmarks.inc").read_text() == tables.restructured(last)


def test_a_run_writes_its_table_between_the_marks_of_the_readme_beside(measured: Report, tmp_path: Path) -> None:
    samples.write_json(measured, tmp_path / "earlier.json")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    command_line.main(["--read", str(tmp_path / "earlier.json"), "--out", str(tmp_path / "docs")])
    table = tables.headline(measured)
    assert readme.read_text() == f"before\n{tables.BEGIN}\n\n{table}\n\n{tables.END}\nafter\n"
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]] == [
        ["3 -> 3", "0.1", "1.5", "0.5"],
        ["tanh 1000", "0.5", "", ""],
    ]


def test_members_of_the_family_have_a_table_of_their_own_in_the_readme() -> None:
    native, ours = [2.0, 4.0], [1.0, 2.0]
    compiled = {members.NATIVE_COMPILED: [0.2, 0.4], members.OURS_COMPILED: [0.3, 0.6]}
    found = report(
        row(MEMBERS, "jax", members.ROSENBROCK, values={members.NATIVE: native, members.OURS: ours, **compiled}),
        row(MEMBERS, "autograd", members.ROSENBROCK, values={members.NATIVE: native, members.OURS: native}),
    )
    heading, _, line = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in tables.headline(found).splitlines()
    ]
    said = dict(zip(heading, line, strict=True))
    assert said.pop("anyjac's") == members.ROSENBROCK
    assert said == {
        "anyjac / jax's own": "0.5",
        "anyjac.jit / jax's own, compiled": "1.5",
        "anyjac / autograd's own": "1",
    }


# ---- plots ---------------------------------------------------------------------------------------------------------


def test_plots_have_axes_titles_and_a_legend_and_are_the_same_each_time(measured: Report, tmp_path: Path) -> None:
    written = plots.draw(measured, tmp_path / "once")
    again = plots.draw(measured, tmp_path / "again")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    assert [path.name for path in written] == ["ratios.svg", "ratios.png", "growth.svg", "growth.png"]
    for path in written:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_plot_of_ratios_marks_everybody_and_the_targets(measured: Report) -> None:
    figure = plots.figure_of_ratios(measured)
    panel = figure.axes[0]
    assert (panel.get_title("left"), panel.get_xlabel()) == ("jax", "time / time of jax.jacrev")
    assert [label.get_text() for label in panel.get_yticklabels()] == ["3 -> 3", "tanh 1000"]
    marked = {(line.get_label(), *map(float, line.get_xydata()[0])) for line in panel.lines}
    assert (plots.TARGET, 0.2, -0.42) in marked
    assert (plots.TARGET, 0.125, -0.42) in marked  # 1.25 of jax.jit, which is 0.1 of jax.jacrev
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert {
        plots.REFERENCE.label,
        plots.COMPILED.label,
        *(role.label for role in plots.ROLES.values()),
        plots.TARGET,
    } == set(words)


def test_the_plot_of_growth_has_a_panel_for_each_family(measured: Report) -> None:
    figure = plots.figure_of_growth(measured)
    assert [axes.get_title("left") for axes in figure.axes] == [f"jax: {family.name}" for family in FAMILIES]
    assert [axes.get_xlabel() for axes in figure.axes] == [family.grows for family in FAMILIES]
    assert [len(axes.lines) for axes in figure.axes] == [3, 2, 0]


def test_no_plot_without_matplotlib_and_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r'python -m pip install -e "\.\[benchmarks\]"'):
        command_line.main(["--quick", "--plot", "--out", "unused"])


# ---- brainpy, where it is not installed ----------------------------------------------------------------------------


def test_brainpy_is_left_out_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.contenders.find_spec", lambda name: None)
    command_line.main(["--quick", "--backend", "brainpy", "--out", str(tmp_path)])
    assert samples.read(tmp_path / "benchmarks.json").rows == ()
    monkeypatch.undo()
    assert arena_named("brainpy").is_there == (importlib.util.find_spec("brainpy") is not None)
