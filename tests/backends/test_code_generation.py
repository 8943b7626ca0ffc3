"""Where PyTorch cannot generate code, compiled functions run as they are, and one warning says what to install."""

import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import anyjac
from anyjac_conformance import check_backend, select
from anyjac_torch import code_generation

IS_POSSIBLE = code_generation.is_possible
POINT = [1.0, 2.0]


def forget() -> None:
    code_generation._said.clear()


@pytest.fixture(autouse=True)
def looked_for_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look for the compiler as outside of the tests, and anew in each test."""
    monkeypatch.setattr(code_generation, "is_possible", IS_POSSIBLE)
    forget()
    yield
    forget()


def gradient() -> list[float]:
    compiled = anyjac.jit(anyjac.grad(lambda x: (x**3).sum()))
    return [float(x) for x in compiled(torch.tensor(POINT))]


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path on which there is no program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CXX", "TORCH_INDUCTOR_INSTALL_GXX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_a_compiler_the_result_is_the_same_and_one_warning_says_what_to_install(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    expected = r"uncompiled on PyTorch.* the C\+\+ compiler 'g\+\+' is not installed.*apt-get install g\+\+"
    with pytest.warns(anyjac.UncompiledWarning, match=expected):
        assert gradient() == [3.0, 12.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradient() == [3.0, 12.0]


def test_a_compiler_that_the_environment_names_wrongly_is_named(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/usr/bin/no-such-compiler")
    with pytest.warns(anyjac.UncompiledWarning, match="'/usr/bin/no-such-compiler', which the env.* names in CXX"):
        assert gradient() == [3.0, 12.0]


def test_missing_headers_of_python_are_named_with_their_package(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nothing_installed / "g++").touch(mode=0o755)
    monkeypatch.setenv("CXX", str(nothing_installed / "g++"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(nothing_installed))
    with pytest.warns(anyjac.UncompiledWarning, match=r"Python\.h is not installed.*apt-get install python3\.\d+-dev"):
        assert gradient() == [3.0, 12.0]


def test_a_compiler_that_is_installed_later_is_found(nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.warns(anyjac.UncompiledWarning):
        assert not IS_POSSIBLE()
    (nothing_installed / "bin").mkdir()
    (nothing_installed / "bin" / "g++").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(nothing_installed / "bin"))
    (header := nothing_installed / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(header.parent))
    assert IS_POSSIBLE()


COMPILED = ("jit", "composition/native-jit")
"""Subjects and clauses of compiled functions."""


@pytest.mark.exhaustive
@pytest.mark.needs("compiler")
@pytest.mark.parametrize("name", COMPILED)
def test_what_is_documented_holds_in_code_that_pytorch_generates(name: str) -> None:
    assert IS_POSSIBLE()
    check_backend("torch", scenarios=select([name]))


@pytest.mark.needs("compiler")
def test_with_a_compiler_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", anyjac.UncompiledWarning)
        assert gradient() == [3.0, 12.0]
