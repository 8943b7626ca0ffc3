"""The command line, in this process and as users start it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import anyjac
from anyjac.cli import main


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anyjac", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    return run


def test_demo_prints_labels_units_eigenvalues_and_the_comparison(printed: Any, backend: anyjac.Backend) -> None:
    text = printed("demo", "--backend", backend.name)
    assert f"by {backend.name} in float64" in text
    for label in ("dV/dt  [mV/ms]", "dm/dt  [1/ms]", "per V  [mV]", "per m", "per I  [uA/cm^2]", "per g_Na  [mS/cm^2]"):
        assert label in text
    for number in ("-0.677521", "69.190109", "-55.444601", "-4.675027", "-0.202639+0.383225i", "10.609379"):
        assert number in text
    assert "the rest is stable" in text
    assert all(name in text for name in ("autograd", "jax", "torch"))


def test_demo_of_an_unknown_backend_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--backend", "jx"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'jax'?" in error


def test_backends_lists_names_versions_states_and_capabilities(printed: Any) -> None:
    text = printed("backends")
    for info in anyjac.backends():
        assert info.name in text
        assert info.framework_version in text
    assert "numpy" in text
    assert "holomorphic" not in text
    assert "complex" in text


def test_a_broken_backend_is_one_line_and_harms_nobody(printed: Any) -> None:
    def fail() -> Any:
        raise RuntimeError("the driver is too old")

    anyjac.register_backend(anyjac.BackendSpec(name="doomed", factory=fail))
    try:
        text = printed("backends")
    finally:
        anyjac.unregister_backend("doomed")
    assert "doomed: backend 'doomed' failed to start: RuntimeError: the driver is too old" in text.replace("\n", " ")
    assert text.count("loaded") == 3


def test_info_as_json_has_the_documented_keys(printed: Any) -> None:
    found = json.loads(printed("info", "--json"))
    assert sorted(found) == ["anyjac", "backends", "environment", "platform", "python"]
    assert found["anyjac"] == anyjac.__version__
    assert [info["name"] for info in found["backends"]] == ["autograd", "jax", "torch"]
    assert all(info["devices"] for info in found["backends"])


def test_info_marks_unknown_variables_of_the_environment(printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_BAKEND", "jax")
    monkeypatch.setenv("ANYJAC_DEVICE", "cpu")
    text = printed("info")
    assert "ANYJAC_BAKEND=jax  (unknown; did you mean ANYJAC_BACKEND?)" in text
    assert "ANYJAC_DEVICE=cpu\n" in text


def test_without_a_command_the_usage_is_shown_and_the_status_is_2() -> None:
    done = _run()
    assert done.returncode == 2
    assert "usage: anyjac" in done.stderr


def test_version() -> None:
    assert _run("--version").stdout == f"anyjac {anyjac.__version__}\n"


def test_a_pipe_gets_no_control_codes_and_a_disabled_backend_is_named() -> None:
    done = _run("backends", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert "\x1b" not in done.stdout
    assert "jax: backend 'jax' is disabled by ANYJAC_DISABLE_PLUGINS=jax,torch" in done.stdout
    assert done.stdout.count("loaded") == 1


def test_a_misspelled_variable_is_a_plain_warning() -> None:
    done = _run("backends", ANYJAC_BAKEND="jax", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert done.stderr.startswith("anyjac: warning: the environment variable ANYJAC_BAKEND means nothing")
    assert done.returncode == 0


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m anyjac info --json | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_ends_quietly_with_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("anyjac.inspection.information", interrupt)
    assert main(["info"]) == 130
