"""Backends registered at run time: as objects and as specs, under names that are free or taken."""

from collections.abc import Callable

import pytest
from anyjac_minimal import anyjac_backend
from anyjac_minimal.backend import MinimalBackend

import anyjac
from anyjac import Backend, BackendInfo, BackendSpec, PluginError, UnknownBackendError


def info_of(name: str) -> BackendInfo:
    return next(info for info in anyjac.backends() if info.name == name)


def test_an_object_is_loaded_from_the_start(register: Callable[..., None], minimal: MinimalBackend) -> None:
    register(minimal)
    info = info_of("minimal")
    assert (info.state, info.distribution, info.version, info.error) == ("loaded", "run time", "", None)
    assert anyjac.get_backend("minimal") is minimal


def test_a_spec_is_ready_and_loaded_on_first_use(register: Callable[..., None]) -> None:
    register(anyjac_backend())
    assert info_of("minimal").state == "ready"
    found = anyjac.get_backend("minimal")
    assert isinstance(found, MinimalBackend)
    assert info_of("minimal").state == "loaded"
    assert anyjac.get_backend("minimal") is found


def test_an_alias_of_a_spec_names_it(register: Callable[..., None], minimal: MinimalBackend) -> None:
    register(BackendSpec(name="minimal", factory=lambda: minimal, aliases=("tiny", "least")))
    assert anyjac.get_backend("tiny") is anyjac.get_backend("least") is minimal
    assert info_of("minimal").aliases == ("tiny", "least")


def test_arrays_of_a_registered_framework_are_recognised(register: Callable[..., None]) -> None:
    class Array:
        shape = ()

    class Other(MinimalBackend):
        name = "other"
        array_modules = (__name__,)

        def is_array(self, value: object) -> bool:
            return isinstance(value, Array) or super().is_array(value)

    before = anyjac.array_namespace(1.0)
    register(Other())
    assert anyjac.array_namespace(Array()) is Other.namespace
    assert anyjac.array_namespace(1.0) is before


def test_what_is_recognised_is_forgotten_with_the_backend(minimal: MinimalBackend) -> None:
    class Array:
        shape = ()

    class Other(MinimalBackend):
        array_modules = (__name__,)

    anyjac.register_backend(Other())
    assert anyjac.array_namespace(Array()) is Other.namespace
    anyjac.unregister_backend("minimal")
    assert anyjac.array_namespace(Array()) is anyjac.get_backend("numpy").namespace


@pytest.mark.parametrize("name", ["jax", "autograd", "numpy"])
def test_a_name_or_alias_that_is_taken_is_refused(name: str, minimal: MinimalBackend) -> None:
    minimal.name = name
    with pytest.raises(PluginError, match=rf"{name!r} is taken by .*replace=True"):
        anyjac.register_backend(minimal)
    assert anyjac.get_backend(name) is not minimal


@pytest.mark.parametrize("alias", ["jax", "autograd", "numpy"])
def test_an_alias_that_is_taken_is_refused(alias: str, minimal: MinimalBackend) -> None:
    with pytest.raises(PluginError, match=rf"{alias!r} is taken by"):
        anyjac.register_backend(BackendSpec(name="minimal", factory=lambda: minimal, aliases=("tiny", alias)))
    assert "minimal" not in [info.name for info in anyjac.backends()]


def test_the_alias_of_another_backend_cannot_be_replaced(minimal: MinimalBackend) -> None:
    with pytest.raises(PluginError, match="'numpy' is taken by 'autograd'"):
        anyjac.register_backend(BackendSpec(name="minimal", factory=lambda: minimal, aliases=("numpy",)), replace=True)


def test_replace_takes_the_place_of_a_backend_of_the_same_name(
    register: Callable[..., None], minimal: MinimalBackend
) -> None:
    register(minimal)
    second = MinimalBackend()
    with pytest.raises(PluginError, match="replace=True"):
        anyjac.register_backend(second)
    assert anyjac.get_backend("minimal") is minimal
    anyjac.register_backend(second, replace=True)
    assert anyjac.get_backend("minimal") is second


def test_an_installed_plugin_that_was_replaced_shows_again_when_its_replacement_goes(minimal: MinimalBackend) -> None:
    minimal.name = "jax"
    anyjac.register_backend(minimal, replace=True)
    assert anyjac.get_backend("jax") is minimal
    anyjac.unregister_backend("jax")
    assert type(anyjac.get_backend("jax")).__module__ == "anyjac_jax.backend"


def test_after_unregistering_the_name_is_unknown(minimal: MinimalBackend) -> None:
    anyjac.register_backend(minimal)
    anyjac.unregister_backend("minimal")
    with pytest.raises(UnknownBackendError, match="'minimal'"):
        anyjac.get_backend("minimal")
    with pytest.raises(UnknownBackendError, match="'minimal'"):
        anyjac.unregister_backend("minimal")


def test_an_installed_plugin_is_not_unregistered_but_disabled() -> None:
    with pytest.raises(PluginError, match="ANYJAC_DISABLE_PLUGINS=jax"):
        anyjac.unregister_backend("jax")
    assert anyjac.get_backend("jax").name == "jax"


@pytest.mark.parametrize("thing", [None, "minimal", 42, MinimalBackend])
def test_what_is_neither_backend_nor_spec_is_refused(thing: object) -> None:
    with pytest.raises(PluginError, match="is not a Backend"):
        anyjac.register_backend(thing)


def test_an_object_with_an_unknown_capability_is_refused_and_not_listed(minimal: MinimalBackend) -> None:
    minimal.capabilities = frozenset({"nested", "fly"})
    with pytest.raises(PluginError, match=r"'minimal' declares unknown capabilities \['fly'\]"):
        anyjac.register_backend(minimal)
    assert "minimal" not in [info.name for info in anyjac.backends()]


def test_a_spec_of_another_interface_version_is_refused(minimal: MinimalBackend) -> None:
    with pytest.raises(PluginError, match=r"'minimal'.*version 99.*upgrade anyjac"):
        anyjac.register_backend(BackendSpec(name="minimal", factory=lambda: minimal, interface_version=99))


def test_a_backend_that_cannot_take_variables_is_refused_and_not_listed() -> None:
    class Unwilling(MinimalBackend):
        def adopt_variable_type(self, cls: type, view: type) -> None:
            raise OSError("not today")

    with pytest.raises(PluginError, match=r"'minimal'.*not today"):
        anyjac.register_backend(Unwilling())
    assert "minimal" not in [info.name for info in anyjac.backends()]


def test_a_class_without_the_required_members_cannot_be_made() -> None:
    class Empty(Backend):
        name = "empty"

    with pytest.raises(TypeError, match=r"abstract methods .*asarray.*device_of.*devices.*is_array.*namespace.*vjp"):
        Empty()
