"""The command line, in this process and as users start it."""

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

import anyjac
from anyjac.cli.demo.rest import Rest, analyse_rest
from anyjac.cli.main import main

BACKEND_KEYS = {
    "name": str,
    "state": str,
    "aliases": list,
    "distribution": str,
    "version": str,
    "framework_version": str,
    "capabilities": list,
    "summary": str,
    "error": type(None),
    "requires": list,
    "array_modules": list,
    "devices": list,
    "jit": str,
}
"""The entries of ``info --json`` for a backend that is loaded."""

ANYJAC = f"{shlex.quote(sys.executable)} -m anyjac"


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run_in_shell(f"{ANYJAC} {shlex.join(arguments)}", **environment)


def _run_in_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f"set -o pipefail; {command}"
    known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "JAX_ENABLE_X64")}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=300, env={**known, **environment}
    )


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
    assert re.search(r"^ +per V +per m +per h +per n *\n +\[mV\] +\[1\] +\[1\] +\[1\]", text, re.MULTILINE)
    conductances = r"^ +per I +per g_Na +per g_K +per g_L *\n +\[uA/cm\^2\]( +\[mS/cm\^2\]){3}"
    assert re.search(conductances, text, re.MULTILINE)
    for row in ("dV/dt  [mV/ms]", "dm/dt  [1/ms]", "dh/dt  [1/ms]", "dn/dt  [1/ms]"):
        assert text.count(row) == 2
    for number in ("-0.677521", "69.190109", "-55.444601", "-4.675027", "-0.202639+0.383225i", "10.609379"):
        assert number in text
    assert "the rest is stable" in text
    assert all(name in text for name in ("autograd", "jax", "torch"))


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_no_number_is_cut_on_a_narrow_terminal(printed: Any, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = printed("demo", "--backend", "numpy").splitlines()
    rows = [line.split()[2:] for line in lines if re.match(" d[Vmhn]/dt", line)]
    assert len(rows) == 8
    assert all(re.fullmatch(r"-?\d+\.\d{6}", number) for row in rows for number in row)
    assert {len(row) for row in rows} == {4}
    assert max(map(len, lines)) <= 80


def test_demo_is_in_double_precision_without_any_setting() -> None:
    done = _run("demo", "--backend", "jax")
    assert "by jax in float64" in done.stdout
    assert "float32" not in done.stdout


def test_demo_is_in_single_precision_where_the_user_wants_it_and_says_so() -> None:
    done = _run("demo", JAX_ENABLE_X64="0")
    assert done.returncode == 0, done.stderr
    (difference,) = re.findall(r"^ jax +float32 +0\.0036\d+ +(\S+)", done.stdout, re.MULTILINE)
    assert 1e-8 < float(difference) < 1e-4
    assert "jax ran in float32, with about 6 digits." in done.stdout


def test_demo_goes_on_where_another_backend_lacks_the_device(printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_DEVICE", "cpu:3")  # one of the four devices that conftest.py gives JAX
    text = printed("demo", "--backend", "jax")
    assert "by jax in float64" in text
    assert "not run: autograd: backend 'autograd' has no device 'cpu:3'" in text


def test_demo_goes_on_where_another_backend_does_not_settle(printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def analyse(backend: str) -> Rest:
        if backend == "torch":
            raise ArithmeticError("Newton's method has not settled")
        return analyse_rest(backend)

    monkeypatch.setattr("anyjac.cli.demo.rest.analyse_rest", analyse)
    text = printed("demo", "--backend", "numpy")
    assert "\n jax " in text
    assert "\nnot run: torch: Newton's method has not settled\n" in text


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


def test_a_broken_backend_is_one_line_and_harms_nobody(printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")  # fewer columns than the line has

    def fail() -> Any:
        raise RuntimeError("the driver is too old")

    anyjac.register_backend(anyjac.BackendSpec(name="doomed", factory=fail))
    try:
        text = printed("backends")
    finally:
        anyjac.unregister_backend("doomed")
    message = "doomed: backend 'doomed' failed to start: RuntimeError: the driver is too old"
    assert any(line.startswith(message) for line in text.splitlines())
    assert text.count("loaded") == 3


def test_info_as_json_has_the_documented_keys(printed: Any) -> None:
    found = json.loads(printed("info", "--json"))
    assert sorted(found) == ["anyjac", "backends", "environment", "platform", "python"]
    assert found["anyjac"] == anyjac.__version__
    assert [info["name"] for info in found["backends"]] == ["autograd", "jax", "torch"]
    for info in found["backends"]:
        assert {name: type(value) for name, value in info.items()} == BACKEND_KEYS
        assert info["devices"]


def test_info_as_json_keeps_warnings_out_and_has_the_keys_of_each_variable() -> None:
    done = _run("info", "--json", ANYJAC_BAKEND="jax", ANYJAC_DISABLE_PLUGINS="jax,torch")
    found = json.loads(done.stdout)
    assert found["environment"] == {
        "ANYJAC_BAKEND": {"value": "jax", "known": False, "meant": "ANYJAC_BACKEND"},
        "ANYJAC_DISABLE_PLUGINS": {"value": "jax,torch", "known": True, "meant": None},
    }
    (jax,) = (info for info in found["backends"] if info["name"] == "jax")
    assert (jax["state"], jax["devices"]) == ("disabled", [])
    assert "ANYJAC_DISABLE_PLUGINS" in jax["error"]
    assert "ANYJAC_BAKEND" in done.stderr


def test_info_says_of_each_backend_what_jit_does(printed: Any) -> None:
    text = printed("info")
    for name, does in (("autograd", "runs functions as they are"), ("jax", "compiles"), ("torch", "compiles")):
        assert re.search(rf"^  {name} +loaded: .*; jit {does} \(from ", text, re.MULTILINE)
    assert [info["jit"] for info in json.loads(printed("info", "--json"))["backends"]] == [
        "runs functions as they are",
        "compiles",
        "compiles",
    ]


def test_info_says_nothing_of_jit_for_a_backend_that_cannot_be_used() -> None:
    done = _run("info", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert done.stdout.count("; jit ") == 1
    jax = json.loads(_run("info", "--json", ANYJAC_DISABLE_PLUGINS="jax,torch").stdout)["backends"][1]
    assert (jax["name"], jax["jit"]) == ("jax", None)


def test_info_marks_unknown_variables_of_the_environment(printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_BAKEND", "jax")
    monkeypatch.setenv("ANYJAC_DEVICE", "cpu")
    text = printed("info")
    assert "ANYJAC_BAKEND=jax  (unknown; did you mean ANYJAC_BACKEND?)" in text
    assert "ANYJAC_DEVICE=cpu\n" in text


def test_without_a_command_the_help_is_shown_and_the_status_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("usage: anyjac")
    assert all(f"\n    {command} " in error for command in ("demo", "backends", "info"))


def test_an_unknown_command_has_status_2_and_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["dmeo"])
    assert left.value.code == 2
    assert "choose from" in capsys.readouterr().err


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


@pytest.mark.parametrize("arguments", ["demo", "backends", "info", "info --json"])
def test_a_reader_that_leaves_early_is_no_error(arguments: str) -> None:
    # `true` has left before anything is written, whatever the two processes' luck.
    done = _run_in_shell(f"{ANYJAC} {arguments} | true", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["backends", "info --json"])
def test_a_full_disk_is_one_line_and_status_1(arguments: str) -> None:
    done = _run_in_shell(f"{ANYJAC} {arguments} > /dev/full", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert done.returncode == 1
    assert done.stderr == f"anyjac: {OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))}\n"


def test_a_closed_output_is_no_error() -> None:
    done = _run_in_shell(f"{ANYJAC} info --json >&-", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_without_box_characters_gets_ascii() -> None:
    done = _run("demo", PYTHONIOENCODING="ascii", ANYJAC_DISABLE_PLUGINS="jax,torch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_an_interrupt_ends_quietly_with_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("anyjac.cli.inspection.information", interrupt)
    assert main(["info"]) == 130
