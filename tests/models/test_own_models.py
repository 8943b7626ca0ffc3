"""Model libraries of third parties: a made-up one, registered for the process or by an entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest
from tests.helpers.interpreters import printed_by

import anyjac
from anyjac_plugins import Holder, ModelLibrary, hookimpl
from anyjac_plugins.loading import models as plugin_models
from anyjac_plugins.loading.models import ModelLibraries


class Reservoir:
    """A made-up model: a level that rises by an inflow, and the rate at which it leaks."""

    def __init__(self):
        self.cells = {"level": np.array([1.0, 2.0]), "rate": np.array(0.5)}

    def step(self, inflow):
        self.cells["level"] = self.cells["level"] * self.cells["rate"] + inflow
        return self.cells["level"].sum()


class Cell(Holder):
    """One entry of a reservoir."""

    backend = "numpy"

    def __init__(self, reservoir, name):
        self.anchor, self.slot = reservoir, name

    @property
    def trainable(self):
        return self.slot == "rate"

    def content(self):
        return self.anchor.cells[self.slot]

    def put(self, content):
        self.anchor.cells[self.slot] = content


class Reservoirs(ModelLibrary):
    """The library of models that knows a reservoir."""

    def holder(self, obj):
        return None

    def holders(self, obj):
        return {name: Cell(obj, name) for name in obj.cells} if isinstance(obj, Reservoir) else None


MODULE = Reservoir.__module__.partition(".")[0]


@pytest.fixture
def reservoir():
    anyjac.register_models(MODULE, Reservoirs())
    yield Reservoir()
    anyjac.unregister_models(MODULE)


def test_a_made_up_model_is_differentiated_and_keeps_its_state(reservoir):
    views = anyjac.variables(reservoir)
    found = anyjac.grad(reservoir.step, grad_vars=views)(np.array([3.0, 3.0]))
    assert found["level"].tolist() == [0.5, 0.5]
    assert found["rate"].tolist() == 3.0
    assert reservoir.cells["level"].tolist() == [3.5, 4.0]
    assert list(anyjac.grad(reservoir.step, grad_vars=reservoir)(np.zeros(2))) == ["rate"]


def test_state_that_is_not_differentiated_takes_part_too(reservoir):
    def fails(inflow):
        reservoir.step(inflow)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        anyjac.grad(fails, grad_vars=reservoir)(np.zeros(2))
    assert reservoir.cells["level"].tolist() == [1.0, 2.0]
    anyjac.hessian(reservoir.step, grad_vars=reservoir)(np.zeros(2))
    assert reservoir.cells["level"].tolist() == [0.5, 1.0]


def test_what_is_no_array_cannot_be_left_in_a_place(reservoir):
    def spoils():
        level = reservoir.cells["level"].sum()
        reservoir.cells["level"] = "empty"
        return level

    with pytest.raises(anyjac.VariableWriteError, match="gave 'level' of a Reservoir is 'empty'"):
        anyjac.grad(spoils, grad_vars=reservoir)()
    assert reservoir.cells["level"].tolist() == [1.0, 2.0]


def test_a_view_reads_and_writes_its_place_and_shows_its_path(reservoir):
    level = anyjac.variables(reservoir)["level"]
    level[0] = 7.0
    assert reservoir.cells["level"].tolist() == [7.0, 2.0]
    assert repr(level) == "BoundVariable(array([7., 2.]), name='level')"
    with pytest.raises(anyjac.VariableWriteError, match=r"'level' of a Reservoir holds float64\[2\]"):
        level.value = np.zeros(3)


def test_a_model_without_a_library_is_refused_as_anything_else():
    with pytest.raises(anyjac.InputTypeError, match="not a Variable"):
        anyjac.grad(lambda: 0.0, grad_vars=Reservoir())


def test_a_library_is_registered_once_unless_it_replaces(reservoir):
    with pytest.raises(anyjac.PluginError, match="pass replace=True"):
        anyjac.register_models(MODULE, Reservoirs())
    anyjac.register_models(MODULE, Reservoirs(), replace=True)
    with pytest.raises(anyjac.PluginError, match="not a ModelLibrary"):
        anyjac.register_models("another", object())
    with pytest.raises(anyjac.PluginError, match="no model library is registered for 'another'"):
        anyjac.unregister_models("another")


class InstalledReservoirs(Reservoirs):
    """The library as a plugin brings it, with the version of the interface."""

    interface_version = 2


@hookimpl
def anyjac_models():
    """Describe the made-up library."""
    return InstalledReservoirs()


class Broken:
    """A module whose hook returns a text in the place of a library."""

    @staticmethod
    @hookimpl
    def anyjac_models():
        """Return a text."""
        return "reservoirs"


def entry_points_are(monkeypatch, *points):
    monkeypatch.setattr(plugin_models, "entry_points", lambda group: points if group == plugin_models.GROUP else ())
    return ModelLibraries()


def test_an_entry_point_is_loaded_when_its_library_is_met(monkeypatch):
    point = EntryPoint(MODULE, __name__, plugin_models.GROUP)
    libraries = entry_points_are(monkeypatch, point, point)
    assert libraries.of(1.0) is None
    assert isinstance(libraries.of(Reservoir()), Reservoirs)
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", MODULE)
    assert entry_points_are(monkeypatch, point).of(Reservoir()) is None


def test_a_broken_plugin_says_so_where_its_models_are_met(monkeypatch):
    missing = EntryPoint(MODULE, "no_such_module", plugin_models.GROUP)
    wrong = EntryPoint(MODULE, f"{__name__}:Broken", plugin_models.GROUP)
    with pytest.raises(anyjac.PluginError, match=r"cannot be imported: ModuleNotFoundError"):
        entry_points_are(monkeypatch, missing).of(Reservoir())
    with pytest.raises(anyjac.PluginError, match="returned 'reservoirs', not a ModelLibrary"):
        entry_points_are(monkeypatch, wrong).of(Reservoir())
    with pytest.raises(anyjac.PluginError, match="declared twice"):
        entry_points_are(monkeypatch, missing, wrong).of(Reservoir())


def test_a_broken_plugin_is_imported_once_and_its_error_stays(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    source = (
        "from pathlib import Path\nwith Path(__file__).with_name('imports').open('a') as f:\n    f.write('x')\n1 / 0\n"
    )
    (tmp_path / "broken_models.py").write_text(source)
    libraries = entry_points_are(monkeypatch, EntryPoint(MODULE, "broken_models", plugin_models.GROUP))
    for reservoir in (Reservoir(), Reservoir(), Reservoir()):
        with pytest.raises(anyjac.PluginError, match="cannot be imported: ZeroDivisionError"):
            libraries.of(reservoir)
        assert libraries.discovering("numpy") == ()
    assert (tmp_path / "imports").read_text() == "x"


class Old:
    """Stands for a module whose library names no interface version."""

    @staticmethod
    @hookimpl
    def anyjac_models():
        """Return a library of version 1."""
        return Reservoirs()


class New:
    """Stands for a module whose library is written for an interface that is to come."""

    @staticmethod
    @hookimpl
    def anyjac_models():
        """Return a library of version 99."""
        return type("Reservoirs99", (Reservoirs,), {"interface_version": 99, "__module__": __name__})()


class Borrowed:
    """Stands for a module whose library inherits from that of another package and names no version itself."""

    @staticmethod
    @hookimpl
    def anyjac_models():
        """Return a library that has the version of another."""
        return type("Borrowing", (InstalledReservoirs,), {"__module__": "another_package.models"})()


def test_a_version_that_is_inherited_from_another_package_is_not_the_plugin_s(monkeypatch):
    borrowed = EntryPoint(MODULE, f"{__name__}:Borrowed", plugin_models.GROUP)
    with pytest.raises(anyjac.PluginError, match=r"written for interface version 1, .*; upgrade the plugin"):
        entry_points_are(monkeypatch, borrowed).of(Reservoir())


def test_a_library_of_another_interface_version_is_refused_with_what_to_do(monkeypatch):
    old, new = (EntryPoint(MODULE, f"{__name__}:{name}", plugin_models.GROUP) for name in ("Old", "New"))
    with pytest.raises(
        anyjac.PluginError, match=r"version 1, .* version 2; upgrade the plugin: .*interface_version = 2"
    ):
        entry_points_are(monkeypatch, old).of(Reservoir())
    with pytest.raises(anyjac.PluginError, match=r"version 99, .* version 2; upgrade anyjac"):
        entry_points_are(monkeypatch, new).of(Reservoir())


def test_no_library_is_imported_before_its_models_are_there():
    code = (
        "import sys, anyjac; anyjac.variables([1.0, object()]); "
        "assert not {'torch', 'jax', 'flax', 'equinox', 'brainstate', 'anyjac_torch.models'} & sys.modules.keys()"
    )
    printed_by(code)


@pytest.mark.parametrize("wrap", [lambda f: f, anyjac.jit], ids=["plain", "compiled"])
def test_a_call_within_a_call_sees_what_the_code_of_the_model_has_written_before(reservoir, wrap):
    def twice(inflow):
        reservoir.step(inflow)  # level 0.5, 1.0 and the inflow
        first = anyjac.grad(reservoir.step, grad_vars=anyjac.variables(reservoir)["rate"])(inflow)
        return first + anyjac.variables(reservoir)["level"].value.sum()

    inflow = np.array([1.0, 2.0])
    found = wrap(lambda x: anyjac.grad(twice, grad_vars=reservoir, return_value=True)(x)[1])(inflow)
    assert float(found) == 4.5 + (0.75 + 1.0 + 1.5 + 2.0)
    np.testing.assert_allclose(reservoir.cells["level"], [1.75, 3.5])
