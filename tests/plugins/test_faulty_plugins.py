"""Plugins with every fault there is: each fault is one clear line, and stops no other backend."""

import re
import warnings

import pytest
from fakes import Site, printed, run_anyjac, run_python

import anyjac
from anyjac_plugins import BackendRegistry, BackendUnavailableError, PluginError

DESCRIBED = """
@hookimpl
def anyjac_backend():
    return BackendSpec(name={name!r}, factory={factory}, interface_version={version}, {rest})
"""


def describing(
    name: str, factory: str = "lambda: 1", rest: str = "", before: str = "", version: str = "INTERFACE_VERSION"
) -> str:
    return before + DESCRIBED.format(name=name, factory=factory, rest=rest, version=version)


RAISES = """
def make():
    raise OSError('the licence server is down')
"""

UNFINISHED = """
class Unfinished(Backend):
    name = 'unfinished'
"""

COMPLETE = """
class Complete(Backend):
    name = {name}
    capabilities = frozenset({capabilities})
    namespace = is_array = asarray = devices = device_of = vjp = None
"""

FAULTS_OF_DESCRIPTIONS = {
    # name: (source of the module, what its error says)
    "import-error": ("import no_such_module_of_mine", "cannot be imported.*no_such_module_of_mine"),
    "import-raises": ("raise OSError('shared library missing')", "cannot be imported: OSError: shared library missing"),
    "import-exits": ("raise SystemExit('no licence')", "cannot be imported: SystemExit: no licence"),
    "import-lines": ("raise ImportError('first line\\nsecond line')", "cannot be imported.*first line.*second line"),
    "syntax-error": ("def", "cannot be imported: SyntaxError"),
    "wrong-hook-name": (
        "@hookimpl\ndef anyjac_backed(): return BackendSpec(name='wrong-hook-name', factory=int)",
        "unknown hook 'anyjac_backed'",
    ),
    "wrong-signature": (
        "@hookimpl\ndef anyjac_backend(registry): return BackendSpec(name='wrong-signature', factory=int)",
        r"is declared wrongly.*registry",
    ),
    "no-hook": ("x = 1", "hook 'anyjac_backend'"),
    "hook-not-marked": (
        "def anyjac_backend(): return BackendSpec(name='hook-not-marked', factory=int)",
        "hook 'anyjac_backend'",
    ),
    "hook-raises": ("@hookimpl\ndef anyjac_backend(): raise KeyError('home')", "describe itself: KeyError: 'home'"),
    "hook-returns-text": ("@hookimpl\ndef anyjac_backend(): return 'me'", "returned 'me', not a BackendSpec"),
    "other-name": (describing("another"), "describes a backend called 'another'.*must be the same"),
    "older-interface": (describing("older-interface", version="1"), "version 1, .*version 2; upgrade the plugin"),
    "newer-interface": (describing("newer-interface", version="99"), "version 99.*upgrade anyjac"),
    "interface-as-text": (describing("interface-as-text", version="'1'"), "interface version"),
}
"""Found when the backends are listed."""

FAULTS_OF_FACTORIES = {
    "factory-raises": (
        describing("factory-raises", "make", before=RAISES),
        "failed to start: OSError: the licence server is down",
    ),
    "factory-exits": (
        describing("factory-exits", "make", before="def make(): raise SystemExit('no licence')"),
        "failed to start: SystemExit: no licence",
    ),
    "no-backend": (describing("no-backend", "lambda: 42"), "42.*not a Backend.*derive from anyjac_plugins.Backend"),
    "nothing": (describing("nothing", "lambda: None"), "None.*not a Backend"),
    "unfinished": (describing("unfinished", "Unfinished", before=UNFINISHED), "failed to start: TypeError.*Unfinished"),
    "boasting": (
        describing(
            "boasting", "Complete", before=COMPLETE.format(name="'boasting'", capabilities="{'complex', 'fly'}")
        ),
        r"unknown capabilities \['fly'\].*known are.*complex",
    ),
    "nameless": (
        describing("nameless", "Complete", before=COMPLETE.format(name="7", capabilities="()")),
        "'name'.*string",
    ),
    "masked": (
        describing("masked", "Complete", before=COMPLETE.format(name="'unmasked'", capabilities="()")),
        "'unmasked'.*must be the same",
    ),
}
"""Found when the backend is used."""

FAULTS = {**FAULTS_OF_DESCRIPTIONS, **FAULTS_OF_FACTORIES}


def assert_clear(error: str | None, name: str, pattern: str) -> None:
    assert error is not None
    assert repr(name) in error, f"names no plugin: {error}"
    assert "\n" not in error, f"more than a line: {error}"
    assert re.search(pattern, error, re.DOTALL), error


@pytest.mark.parametrize("name", FAULTS_OF_DESCRIPTIONS)
def test_a_plugin_that_cannot_describe_itself_is_listed_as_broken(site: Site, name: str) -> None:
    source, pattern = FAULTS_OF_DESCRIPTIONS[name]
    site.add(name, source)
    registry = BackendRegistry()
    info = registry.info(name)
    assert info.state == "broken"
    assert (info.distribution, info.version) == (f"dist-of-{name}", "1.5")
    assert_clear(info.error, name, pattern)
    with pytest.raises(PluginError) as raised:
        registry.get(name)
    assert str(raised.value) == info.error


@pytest.mark.parametrize("name", FAULTS_OF_FACTORIES)
def test_a_backend_that_cannot_be_made_is_an_error_when_used_and_listed_as_broken_from_then_on(
    site: Site, name: str
) -> None:
    source, pattern = FAULTS_OF_FACTORIES[name]
    site.add(name, source)
    registry = BackendRegistry()
    assert registry.info(name).state == "ready"
    with pytest.raises(PluginError) as raised:
        registry.get(name)
    assert_clear(str(raised.value), name, pattern)
    assert (registry.info(name).state, registry.info(name).error) == ("broken", str(raised.value))


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_plugin_stops_no_other_backend(site: Site, name: str) -> None:
    site.add(name, FAULTS[name][0])
    registry = BackendRegistry()
    with pytest.raises(PluginError):
        registry.get(name)
    states = {other: registry.info(other).state for other in registry.names() if other != name}
    assert states == {"autograd": "ready", "jax": "ready", "torch": "ready"}
    assert registry.get("numpy").name == "autograd"


def test_a_factory_that_failed_is_not_called_again(site: Site) -> None:
    before = "calls = []\ndef make():\n    calls.append(1)\n    raise OSError(f'call {len(calls)}')\n"
    site.add("once", describing("once", "make", before=before))
    registry = BackendRegistry()
    for _ in range(3):
        with pytest.raises(PluginError, match="call 1"):
            registry.get("once")


def test_an_error_while_variables_are_adopted_is_the_plugins_and_is_kept(site: Site) -> None:
    before = COMPLETE.format(name="'unwilling'", capabilities="()") + (
        "    def adopt_variable_type(self, cls, view): raise OSError('not today')\n"
    )
    site.add("unwilling", describing("unwilling", "Complete", before=before))
    registry = BackendRegistry(on_load=lambda backend: backend.adopt_variable_type(object, object))
    with pytest.raises(PluginError) as raised:
        registry.get("unwilling")
    assert_clear(str(raised.value), "unwilling", "not today")
    assert registry.info("unwilling").state == "broken"


def test_a_plugin_that_is_loaded_before_variables_are_known_is_broken_when_it_does_not_take_them(site: Site) -> None:
    before = COMPLETE.format(name="'unwilling'", capabilities="()") + (
        "    def adopt_variable_type(self, cls, view): raise OSError('not today')\n"
    )
    site.add("unwilling", describing("unwilling", "Complete", before=before))
    registry = BackendRegistry()
    registry.get("unwilling")
    registry.subscribe(lambda backend: backend.adopt_variable_type(object, object))
    with pytest.raises(PluginError, match="failed to take Variables: OSError: not today"):
        registry.get("unwilling")
    assert registry.info("unwilling").state == "broken"


def test_a_name_declared_by_two_distributions_is_refused_and_both_are_named(site: Site) -> None:
    site.add("twin", describing("twin"), module="first_twin", distribution="one")
    site.add("twin", describing("twin"), module="second_twin", distribution="two")
    info = BackendRegistry().info("twin")
    assert info.state == "broken"
    assert_clear(info.error, "twin", "declared twice.*uninstall all but one")
    assert "first_twin (of one 1.5)" in info.error
    assert "second_twin (of two 1.5)" in info.error


@pytest.mark.parametrize("name", ["jax", "autograd"])
def test_a_name_of_anyjac_s_own_is_anyjac_s_and_the_other_distribution_is_told(site: Site, name: str) -> None:
    site.add(name, "raise SystemExit(3)", module="impostor", distribution="impostor-of-anyjac")
    registry = BackendRegistry()
    with pytest.warns(
        anyjac.PluginWarning, match=f"plugin '{name}' of impostor-of-anyjac 1.5 is not used, since anyjac"
    ):
        assert name in registry.names()
    info = registry.info(name)
    assert (info.state, info.distribution) == ("ready", "anyjac")
    assert registry.get(name).name == name


@pytest.mark.parametrize("name", ["a-grabber", "z-grabber"])
@pytest.mark.parametrize("alias", ["numpy", "torch"])
def test_an_alias_that_another_plugin_has_is_refused_and_the_other_keeps_it(site: Site, name: str, alias: str) -> None:
    site.add(name, describing(name, rest=f"aliases=({alias!r},)"))
    registry = BackendRegistry()
    infos = {name: registry.info(name) for name in registry.names()}
    assert infos[name].state == "broken"
    owner = "autograd" if alias == "numpy" else alias
    assert infos[owner].state == "ready"
    assert_clear(infos[name].error, name, f"claims the alias {alias!r}, which is taken by {owner!r}")
    assert registry.get(alias).name == owner


@pytest.mark.parametrize(
    ("requires", "missing"),
    [
        ("('no_such_framework',)", "no_such_framework"),
        ("('numpy', 'no_such_framework')", "no_such_framework"),
        ("('no_such_framework.core',)", "no_such_framework.core"),
    ],
)
def test_a_missing_framework_is_told_with_what_to_install(site: Site, requires: str, missing: str) -> None:
    site.add("absent", describing("absent", rest=f"requires={requires}, install='anyjac-absent[gpu]'"))
    registry = BackendRegistry()
    info = registry.info("absent")
    assert info.state == "missing"
    assert_clear(info.error, "absent", rf"needs {missing}, which is not installed: pip install anyjac-absent\[gpu\]")
    with pytest.raises(BackendUnavailableError, match=re.escape(info.error)):
        registry.get("absent")


def test_metadata_without_a_name_or_version_are_no_obstacle(site: Site) -> None:
    site.add("bare", describing("bare"))
    (site.path / "dist_of_bare-1.5.dist-info" / "METADATA").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # from Python 3.13 on of asking for what metadata lack
        info = BackendRegistry().info("bare")
    assert (info.state, info.distribution, info.version) == ("ready", "", "")


def test_all_faults_at_once_leave_the_other_backends_usable(site: Site) -> None:
    for name, (source, _) in FAULTS.items():
        site.add(name, source)
    code = """
        import anyjac
        for _ in range(2):
            for info in anyjac.backends():
                print(info.name, info.state, sep="|")
            for info in anyjac.backends():
                try:
                    anyjac.get_backend(info.name)
                except anyjac.PluginError:
                    pass
        print(float(anyjac.jacrev(lambda x: x**2)(3.0)), float(anyjac.jacrev(lambda x: x**2, backend="torch")(3.0)))
    """
    lines = printed(run_python(code, path=site.path)).splitlines()
    assert lines[-1] == "6.0 6.0"
    half = len(lines) // 2
    own = {"autograd", "jax", "torch"}
    first = dict(line.split("|") for line in lines[:half])
    second = dict(line.split("|") for line in lines[half:-1])
    assert first == {
        **dict.fromkeys([*own, *FAULTS_OF_FACTORIES], "ready"),
        **dict.fromkeys(FAULTS_OF_DESCRIPTIONS, "broken"),
    }
    assert second == {**dict.fromkeys(own, "loaded"), **dict.fromkeys(FAULTS, "broken")}


def test_the_command_line_shows_each_fault_and_its_reason(site: Site) -> None:
    for name, (source, _) in FAULTS.items():
        site.add(name, source)
    shown = printed(run_anyjac("backends", path=site.path))
    for name, (_, pattern) in FAULTS.items():
        told = [line for line in shown.splitlines() if name in line]
        assert any(re.search(pattern, line) for line in told), f"{name}: {told}"
        assert any("broken" in line for line in told), told
    assert len([line for line in shown.splitlines() if " loaded " in line]) == 3


def test_the_library_lists_what_the_registry_finds() -> None:
    assert [info.name for info in anyjac.backends()] == ["autograd", "jax", "torch"]
    assert {info.distribution for info in anyjac.backends()} == {"anyjac"}
    assert {info.version for info in anyjac.backends()} == {anyjac.__version__}
