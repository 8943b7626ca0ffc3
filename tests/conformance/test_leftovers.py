"""Lines of the skeleton in a new backend are seen, and truth values in reports have names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from tests.helpers.wrapped_backend import WrappedBackend

import anyjac
from anyjac import Backend, BackendSpec
from anyjac.cli.main import main
from anyjac_conformance import all_scenarios, check_backend, select
from anyjac_conformance.leftovers import leftovers


class Kept(WrappedBackend):
    """PyTorch's arrays, and NumPy's version."""

    name = "kept"
    version = np.__version__

    def __init__(self) -> None:
        self.real = anyjac.get_backend("torch")


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Iterator[Backend]:
    anyjac.register_backend(BackendSpec(name="kept", factory=Kept, **request.param))
    yield anyjac.get_backend("kept")
    anyjac.unregister_backend("kept")


@pytest.mark.parametrize("kept", [{"requires": ("numpy",)}], indirect=True)
def test_the_lines_of_the_skeleton_are_seen(kept: Backend) -> None:
    version, requires, modules = leftovers(kept)
    assert version == f"version is that of NumPy, {np.__version__}; give the version of torch"
    assert "give requires=('torch',)" in requires
    assert "give array_modules=('torch',)" in modules


@pytest.mark.parametrize("kept", [{"requires": ("torch",), "array_modules": ("kept_arrays",)}], indirect=True)
def test_what_was_changed_is_not(kept: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kept, "version", "2.0")
    assert list(leftovers(kept)) == []


def test_a_backend_that_is_not_finished_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Backend, value: Any, **options: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(Kept, "asarray", missing)
    assert list(leftovers(Kept())) == []


def test_backends_of_anyjac_have_none(backend: Backend) -> None:
    assert list(leftovers(backend)) == []


@pytest.mark.parametrize("kept", [{"requires": ("numpy",)}], indirect=True)
def test_a_run_prints_them(kept: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    assert not main(["conformance", "run", "--backend", "kept", "--select", "dtypes/scalars"])
    printed = " ".join(capsys.readouterr().out.split())
    assert len(re.findall("left over from the skeleton of kept: ", printed)) == 3


# ---- truth values in reports ---------------------------------------------------------------------------------------

DATA = {"packing/aux-untouched:plain-objects-keep-type-and-value", "transform/signature:names-order-and-defaults"}
"""Scenarios whose answers are objects of users, or defaults, in their order."""


def nameless(answer: Any) -> bool:
    """Return whether a truth value stands in a list or a tuple, so that a report can give its number alone."""
    if isinstance(answer, Mapping):
        return any(map(nameless, answer.values()))
    if isinstance(answer, list | tuple):
        return any(isinstance(item, bool) or nameless(item) for item in answer)
    return False


def test_every_truth_value_in_an_answer_has_a_name() -> None:
    answers = {scenario.id: scenario.answer for scenario in all_scenarios()}
    assert {id for id, answer in answers.items() if nameless(answer)} <= DATA


class NewDevices(Kept):
    """Makes a new object for each question after a device."""

    name = "new-devices"

    def device_of(self, array: Any) -> Any:
        return object()


def test_a_report_says_what_is_false() -> None:
    chosen = select(["variables/as-array:shape-ndim-size-dtype-device-and-len"])
    (result,) = check_backend(NewDevices(), scenarios=chosen, on_fail="collect")
    assert result.faults == ('result["device is the array\'s, by =="] is False, not True',)
