"""The two lanes: tests by default, tests by name, and the report on tests that cannot run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.repository import ROOT
from tests.setup.lanes import EXHAUSTIVE
from tests.setup.tools import PACKAGES, TOOLS
from tests.setup.workers import pytest_xdist_auto_num_workers

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest with the lanes in a folder that has a test of each kind, on a path without programs."""
    pytester.makeconftest('pytest_plugins = ["tests.setup.lanes"]')
    pytester.makepyfile(
        test_kinds="""
        import pytest

        def test_plain(): pass

        @pytest.mark.exhaustive
        def test_long(): pass

        @pytest.mark.exhaustive_on("jax")
        @pytest.mark.parametrize("backend", ["jax", "torch"])
        def test_on_each(backend): pass

        @pytest.mark.needs("chromium")
        def test_shown(): pass
        """
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*arguments: str, path: str = "") -> pytest.RunResult:
        monkeypatch.setenv("PATH", path)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:jaxtyping", *arguments)

    return run


def test_the_quick_lane_leaves_out_what_is_exhaustive_and_names_what_it_could_not_run(run: Run) -> None:
    result = run()
    result.assert_outcomes(passed=2, skipped=1, deselected=2)
    expected = "1 tests of test_kinds.py: not on this machine: Chromium with ChromeDriver is missing; "
    result.stdout.fnmatch_lines(["*= not run here =*", f"{expected}apt-get install chromium chromium-driver"])
    assert result.ret == 0


def test_an_expression_chooses_the_other_lane(run: Run) -> None:
    run("-m", "exhaustive").assert_outcomes(passed=2, deselected=3)
    run("-m", "exhaustive or needs").assert_outcomes(passed=2, skipped=1, deselected=2)
    run("-m", "needs").assert_outcomes(skipped=1, deselected=4)


def test_the_parts_of_a_lane_make_the_whole_lane_together(run: Run) -> None:
    counts = [run("--part", f"{number}/3").parseoutcomes() for number in (1, 2, 3)]
    assert sum(each.get("passed", 0) + each.get("skipped", 0) for each in counts) == 3
    assert run("--part", "4/3").ret == pytest.ExitCode.USAGE_ERROR


def test_a_file_that_is_named_runs_whole(run: Run) -> None:
    run("test_kinds.py").assert_outcomes(passed=4, skipped=1)
    run("test_kinds.py::test_long").assert_outcomes(passed=1)


def test_a_run_that_may_leave_nothing_out_fails_where_it_has(run: Run, tmp_path: Path) -> None:
    assert run("--nothing-left-out").ret == pytest.ExitCode.TESTS_FAILED
    for program in ("chromium", "chromedriver"):
        (tmp_path / program).touch(mode=0o755)
    run("--nothing-left-out", path=str(tmp_path)).assert_outcomes(passed=3, deselected=2)


def test_what_the_table_of_lanes_names_is_there() -> None:
    assert [entry for entry in EXHAUSTIVE if not (ROOT / entry).exists()] == []
    needed = {name for names in EXHAUSTIVE.values() for name in names}
    assert needed == set(PACKAGES)
    assert needed <= TOOLS.keys()


def test_fewer_workers_run_where_memory_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def workers(gigabytes: float, cores: int) -> int:
        monkeypatch.setattr("tests.setup.workers.available_memory", lambda: int(gigabytes * 1e9))
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        return pytest_xdist_auto_num_workers()

    assert [workers(32, cores) for cores in (1, 2, 16)] == [1, 2, 4]
    assert [workers(gigabytes, 16) for gigabytes in (0.5, 3.5, 8)] == [1, 2, 4]
