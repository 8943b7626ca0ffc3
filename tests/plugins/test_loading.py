"""When plugins are loaded: never by listing, once by use, not at all when they are disabled."""

import os
import threading
import time
import warnings
from collections.abc import Callable

import pytest
from anyjac_minimal.backend import MinimalBackend
from fakes import Site, printed, run_python

import anyjac
from anyjac import BackendSpec, BackendUnavailableError, UnknownBackendError, UnknownEnvironmentVariableWarning
from anyjac_plugins import BackendRegistry, environment

FRAMEWORKS = "{'autograd', 'jax', 'jaxlib', 'torch'}"


def test_listing_imports_no_framework() -> None:
    code = f"""
        import sys, anyjac
        before = [info.state for info in anyjac.backends()]
        print(before, sorted({FRAMEWORKS} & set(sys.modules)))
    """
    assert printed(run_python(code)) == "['ready', 'ready', 'ready'] []\n"


def test_listing_names_imports_no_plugin(site: Site) -> None:
    site.add("explosive", "raise SystemExit(3)")
    assert BackendRegistry().names() == ["autograd", "explosive", "jax", "torch"]


def test_using_one_backend_imports_its_framework_alone() -> None:
    code = f"""
        import sys, anyjac
        anyjac.jacrev(lambda x: x**2, backend={{name!r}})(3.0)
        print(sorted({FRAMEWORKS} & set(sys.modules)))
    """
    assert printed(run_python(code.replace("{name!r}", "'numpy'"))) == "['autograd']\n"
    assert printed(run_python(code.replace("{name!r}", "'torch'"))) == "['torch']\n"
    assert printed(run_python(code.replace("{name!r}", "'jax'"))) == "['jax', 'jaxlib']\n"


def test_sixteen_threads_load_a_backend_once(register: Callable[..., None]) -> None:
    made = []

    def make() -> MinimalBackend:
        time.sleep(0.05)
        made.append(MinimalBackend())
        return made[-1]

    register(BackendSpec(name="minimal", factory=make))
    barrier = threading.Barrier(16)
    found = []

    def use() -> None:
        barrier.wait()
        found.append(anyjac.get_backend("minimal"))

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 16


def test_sixteen_threads_find_the_plugins_once(site: Site) -> None:
    site.add(
        "slow",
        """
        import time
        time.sleep(0.05)
        @hookimpl
        def anyjac_backend():
            return BackendSpec(name='slow', factory=int, interface_version=2)
        """,
    )
    registry = BackendRegistry()
    barrier = threading.Barrier(16)
    states = []

    def look() -> None:
        barrier.wait()
        states.append([registry.info(name).state for name in registry.names()])

    threads = [threading.Thread(target=look) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == [["ready"] * 4] * 16


# ---- disabled ------------------------------------------------------------------------------------------------------


def test_a_disabled_plugin_is_listed_as_such_and_not_imported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("explosive", "raise SystemExit(3)")
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", " explosive , jax")
    registry = BackendRegistry()
    states = {name: registry.info(name).state for name in registry.names()}
    assert states == {"autograd": "ready", "explosive": "disabled", "jax": "disabled", "torch": "ready"}
    assert registry.info("jax").error == "backend 'jax' is disabled by ANYJAC_DISABLE_PLUGINS=explosive , jax"
    with pytest.raises(BackendUnavailableError, match="'explosive' is disabled by ANYJAC_DISABLE_PLUGINS"):
        registry.get("explosive")


def test_a_backend_can_be_disabled_after_it_was_loaded_and_enabled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = anyjac.get_backend("torch")
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", "torch")
    with pytest.raises(BackendUnavailableError, match="disabled"):
        anyjac.get_backend("torch")
    monkeypatch.delenv("ANYJAC_DISABLE_PLUGINS")
    assert anyjac.get_backend("torch") is loaded


def test_an_alias_disables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", "numpy")
    registry = BackendRegistry()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.info("autograd").state == "disabled"
    assert registry.info("jax").state == "ready"
    for name in ("autograd", "numpy"):
        with pytest.raises(BackendUnavailableError, match="'autograd' is disabled by ANYJAC_DISABLE_PLUGINS=numpy"):
            registry.get(name)
        with pytest.raises(BackendUnavailableError, match="'autograd' is disabled by ANYJAC_DISABLE_PLUGINS=numpy"):
            anyjac.jacrev(lambda x: x, backend=name)(1.0)


def test_an_alias_of_a_disabled_backend_says_that_it_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", "autograd")
    with pytest.raises(BackendUnavailableError, match="'autograd' is disabled by ANYJAC_DISABLE_PLUGINS=autograd"):
        anyjac.get_backend("numpy")


def test_a_default_that_cannot_be_used_is_told_as_such() -> None:
    code = "import anyjac\ntry:\n    anyjac.jacrev(lambda x: x)(1.0)\nexcept ImportError as error:\n    print(error)"
    told = printed(run_python(code, ANYJAC_DISABLE_PLUGINS="autograd"))
    assert told.startswith("nothing says which backend is meant, and the default one, 'numpy', cannot be used: ")
    assert told.endswith("Name one with backend=, anyjac.use_backend or ANYJAC_BACKEND\n")


# ---- misspelled variables of the environment -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ANYJAC_BACKND", "did you mean ANYJAC_BACKEND?"),
        ("ANYJAC_DEVICES", "did you mean ANYJAC_DEVICE?"),
        ("ANYJAC_DISABLE_PLUGIN", "did you mean ANYJAC_DISABLE_PLUGINS?"),
        ("ANYJAC_backend", "did you mean ANYJAC_BACKEND?"),
        *(
            (
                name,
                "known are ANYJAC_BACKEND, ANYJAC_DEVICE, ANYJAC_COMPILE, ANYJAC_DISABLE_PLUGINS, ANYJAC_STRICT, "
                "ANYJAC_FORCE_PATH",
            )
            for name in ("ANYJAC_QQQQ", "ANYJAC_FOO")
        ),
    ],
)
def test_a_misspelled_variable_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "jax")
    with pytest.warns(UnknownEnvironmentVariableWarning) as caught:
        BackendRegistry().names()
    assert [str(warning.message) for warning in caught] == [
        f"the environment variable {name} means nothing to anyjac; {hint}"
    ]


def test_it_is_told_once_and_known_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_BACKEND", "jax")
    monkeypatch.setenv("ANYJAC_BACKND", "jax")
    registry = BackendRegistry()
    with pytest.warns(UnknownEnvironmentVariableWarning) as caught:
        registry.names()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "jax" in registry.names()


def test_users_see_it_when_they_first_use_anyjac() -> None:
    result = run_python("import anyjac; anyjac.jacrev(lambda x: x)(1.0)", ANYJAC_BACKND="jax")
    assert printed(result) == ""
    assert "ANYJAC_BACKND means nothing to anyjac; did you mean ANYJAC_BACKEND?" in result.stderr


def test_a_name_to_disable_that_is_no_plugin_s_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_DISABLE_PLUGINS", "jaxx,torch")
    with pytest.warns(UnknownEnvironmentVariableWarning, match="names 'jaxx', and no plugin of that name is installed"):
        BackendRegistry().names()


def test_the_environment_is_read_from_whatever_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.read(environment.DEVICE) is None
    monkeypatch.setattr(os, "environ", {environment.DEVICE: " cpu "})
    assert environment.read(environment.DEVICE) == "cpu"
    assert environment.read(environment.BACKEND) is None
    monkeypatch.undo()
    assert environment.read(environment.DEVICE) is None
    monkeypatch.setenv(environment.DEVICE, "cuda:1")
    assert environment.read(environment.DEVICE) == "cuda:1"


# ---- missing frameworks --------------------------------------------------------------------------------------------

HIDDEN = """
import sys
sys.modules["jax"] = None
"""

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jax", "jaxlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""

USE = """
import anyjac
info = {info.name: info for info in anyjac.backends()}["jax"]
print(info.state)
print(info.error)
try:
    anyjac.jacrev(lambda x: x, backend="jax")(1.0)
except ImportError as error:
    print(type(error).__name__, error)
print(anyjac.jacrev(lambda x: x**2)(3.0))
"""


JAX = '".[jax]" in the folder of a clone of anyjac'


@pytest.mark.parametrize(("hide", "modules"), [(HIDDEN, "jax"), (BLOCKED, "jax, jaxlib")])
def test_without_its_framework_a_backend_says_which_extra_to_install(hide: str, modules: str) -> None:
    error = f"backend 'jax' needs {modules}, which is not installed: pip install {JAX}"
    assert printed(run_python(hide + USE)).splitlines() == [
        "missing",
        error,
        f"BackendUnavailableError {error}",
        "6.0",
    ]


@pytest.mark.parametrize("hide", [HIDDEN, BLOCKED])
def test_an_unknown_name_lists_what_is_installed_and_what_could_be(hide: str) -> None:
    code = hide + "import anyjac\ntry:\n    anyjac.get_backend('torhc')\nexcept ValueError as error:\n    print(error)"
    assert printed(run_python(code)) == (
        "there is no backend 'torhc'; did you mean 'torch'? Installed: autograd, torch. "
        f"To be installed: jax (pip install {JAX}).\n"
    )


def test_an_unknown_name_is_refused_wherever_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"there is no backend 'nonesuch'\. Installed: autograd, jax, torch\."
    with pytest.raises(UnknownBackendError, match=message):
        anyjac.get_backend("nonesuch")
    with pytest.raises(UnknownBackendError, match=message):
        anyjac.jacrev(lambda x: x, backend="nonesuch")(1.0)
    with pytest.raises(UnknownBackendError, match=message):
        anyjac.Variable(1.0, backend="nonesuch")
    with pytest.raises(UnknownBackendError, match=message), anyjac.use_backend("nonesuch"):
        raise AssertionError("entered")
    with pytest.raises(UnknownBackendError, match=message):
        anyjac.set_default_backend("nonesuch")
    with pytest.raises(UnknownBackendError, match=message):
        anyjac.devices("nonesuch")
    monkeypatch.setenv("ANYJAC_BACKEND", "nonesuch")
    with pytest.raises(UnknownBackendError, match=message):
        anyjac.jacrev(lambda x: x)(1.0)
