"""``anyjac conformance`` and ``anyjac new-backend``: what they print, write and return."""

import json
from pathlib import Path

import pytest

from anyjac.cli.main import main
from anyjac_conformance import all_scenarios, read_report, select


def test_the_scenarios_are_listed_and_none_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "run", "--list", "--select", "dtypes"]) == 0
    assert capsys.readouterr().out.split() == [scenario.id for scenario in select(["dtypes"])]
    assert len(select(["dtypes"])) < len(all_scenarios())


def test_a_run_prints_the_matrix_and_writes_the_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--backend", "numpy", "--backend", "torch", "--select", "dtypes/empty", "--select", "dtypes/scalars"]
    assert main(["conformance", "run", *chosen, "--report", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "dtypes/scalars" in out
    assert "autograd 1" in out
    assert [line.rpartition("/")[2] for line in out.splitlines()[-3:]] == ["report.json", "matrix.md", "report.html"]
    report = read_report(tmp_path / "report.json")
    assert [backend["name"] for backend in report["backends"]] == ["autograd", "torch"]
    assert len(report["results"]) == 2 * len(select(["dtypes/empty", "dtypes/scalars"]))


def test_all_means_every_backend_that_can_be_used(tmp_path: Path) -> None:
    main(["conformance", "run", "--backend", "all", "--select", "dtypes/scalars", "--report", str(tmp_path)])
    names = [backend["name"] for backend in read_report(tmp_path / "report.json")["backends"]]
    assert {"autograd", "jax", "torch"} <= set(names)


def test_a_failure_is_printed_with_its_fault_and_ends_with_status_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "expected.toml"
    file.write_text("[[expected]]\nscenario = 'dtypes/scalars:*'\nreason = 'an experiment'\n")
    status = main(["conformance", "run", "--backend", "numpy", "--select", "dtypes/scalars", "--xfail", str(file)])
    out = capsys.readouterr().out
    assert status == 1
    assert "expected to fail on *: dtypes/scalars:*: an experiment" in out
    assert "failed autograd: dtypes/scalars:" in out
    assert "it passed, and was expected to fail (an experiment)" in out


def test_many_scenarios_with_one_fault_are_printed_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "expected.toml"
    file.write_text("[[expected]]\nscenario = 'packing/block:*'\nreason = 'an experiment'\n")
    main(["conformance", "run", "--backend", "numpy", "--select", "packing/block", "--xfail", str(file)])
    assert capsys.readouterr().out.count("it passed, and") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--select", "dtypes/emtpy"], "no scenario fits 'dtypes/emtpy'"),
        (["run", "--backend", "jaks"], "'jaks'"),
        (["run", "--device", "tpu:7", "--select", "dtypes/empty"], "no device 'tpu:7'; present: cpu"),
        (["run", "--xfail", "lacking.toml"], "cannot be read"),
        (["compare", "lacking.json", "lacking.json"], "lacking.json cannot be read as a report"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_two_reports_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["conformance", "run", "--backend", "numpy", "--select", "dtypes/scalars", "--report", str(tmp_path)])
    old = tmp_path / "report.json"
    report = json.loads(old.read_text())
    report["results"][0]["status"] = "failed"
    new = tmp_path / "new.json"
    new.write_text(json.dumps(report))
    capsys.readouterr()
    assert main(["conformance", "compare", str(old), str(new)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 changed, 1 for the worse"
    assert main(["conformance", "compare", str(new), str(old)]) == 0
    assert "failed -> passed" in capsys.readouterr().out


def test_the_command_without_an_action_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["conformance"])
    assert "compare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"), [("My", "lower case"), ("class", "lower case"), ("jax", "already"), ("numpy", "already")]
)
def test_a_backend_cannot_have_a_bad_or_taken_name(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-backend", name, "--folder", str(tmp_path / "new")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["new-backend", "tiny", "--folder", str(tmp_path)]) == 1
    assert "no empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
