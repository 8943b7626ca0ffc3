"""The suite as pytest runs it, and the plugin in other people's projects."""

import xml.etree.ElementTree as ElementTree

import pytest

pytest_plugins = ["pytester"]

SUITE = ("--pyargs", "anyjac_conformance", "-p", "no:cacheprovider")


def _run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*SUITE, *arguments)


def test_the_suite_runs_for_the_backends_that_options_name(pytester: pytest.Pytester) -> None:
    result = _run(pytester, "--backend", "numpy", "--backend", "torch", "--select", "dtypes/scalars", "-v")
    result.stdout.fnmatch_lines(["*autograd: * scenarios ran: * passed", "*torch: * scenarios ran: * passed"])
    result.stdout.fnmatch_lines(["    dtypes/scalars: * passed"])
    assert result.ret == 0


def test_an_expected_failure_is_pytest_s_too(pytester: pytest.Pytester) -> None:
    file = pytester.path / "expected.toml"
    file.write_text("[[expected]]\nscenario = 'dtypes/scalars:*'\nreason = 'an experiment'\n")
    result = _run(pytester, "--backend", "numpy", "--select", "dtypes/scalars", "--xfail", str(file))
    result.stdout.fnmatch_lines(["*it passed, and was expected to fail (an experiment)*"])
    assert result.ret == 1


def test_workers_and_junit_get_what_the_engine_found(pytester: pytest.Pytester) -> None:
    result = _run(pytester, "--backend", "numpy", "--select", "composition/native-jit", "-n", "2", "--junitxml=out.xml")
    result.stdout.fnmatch_lines(["*autograd: * scenarios ran: * not declared"])
    properties = ElementTree.parse(pytester.path / "out.xml").iter("property")
    assert {entry.get("value") for entry in properties} == {"autograd|composition/native-jit|not declared"}
    result.stdout.no_fnmatch_line("*warning*")


def test_a_mistake_in_an_option_is_reported_by_name(pytester: pytest.Pytester) -> None:
    result = _run(pytester, "--backend", "numpy", "--select", "dtypes/emtpy")
    result.stdout.fnmatch_lines(["*no scenario fits 'dtypes/emtpy'*"])
    assert result.ret != 0


def test_a_project_gets_the_fixtures_on_the_backends_it_names(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nanyjac_backends = jax torch\n")
    pytester.makepyfile("def test_it(backend, xp):\n    assert float(xp.sum(backend.asarray([1.0, 2.0]))) == 3\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_a_project_without_a_setting_gets_the_chosen_backend(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYJAC_BACKEND", "torch")
    pytester.makepyfile("def test_it(backend):\n    assert backend.name == 'torch'\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ANYJAC_BACKEND=torch"])


def test_a_project_may_have_options_and_fixtures_of_the_same_names(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_addoption(parser):
            parser.addoption("--backend")
            parser.addoption("--device")

        @pytest.fixture(params=["mine", "yours"])
        def backend(request):
            return request.param
        """
    )
    pytester.makepyfile("def test_it(backend):\n    assert backend in ('mine', 'yours')\n")
    pytester.runpytest_subprocess("--backend", "mine", "-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_plugin_imports_nothing_that_a_project_did_not_ask_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert not {"numpy", "anyjac.state.variable", "jax", "torch", "autograd"} & set(sys.modules)
        """
    )
    # jaxtyping, which other libraries bring along, has a plugin of its own that imports NumPy
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:jaxtyping").assert_outcomes(passed=1)
