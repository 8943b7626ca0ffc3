"""The examples reach their certified and reference results on each backend."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import anyjac

EXAMPLES = Path(__file__).parent.parent / "examples"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_thurber_s_parameters_are_certified_to_six_digits(backend: anyjac.Backend) -> None:
    thurber = _load("thurber_regression")
    for fit in thurber.main(backend.name):
        certified, deviations = np.array(thurber.CERTIFIED).T
        assert np.all(np.abs(fit.parameters / certified - 1) < 5e-7)
        assert np.all(np.abs(fit.deviations / deviations - 1) < 5e-6)
        assert abs(fit.sum_of_squares / thurber.CERTIFIED_SUM_OF_SQUARES - 1) < 1e-10


def test_thurber_s_data_give_the_certified_sum_of_squares() -> None:
    thurber = _load("thurber_regression")
    certified = np.array([value for value, _ in thurber.CERTIFIED])
    residuals = thurber.residuals(certified, thurber.DENSITY, thurber.MOBILITY)
    assert abs(np.sum(residuals**2) / thurber.CERTIFIED_SUM_OF_SQUARES - 1) < 1e-10


@pytest.mark.exhaustive_on("jax", "torch")
def test_robertson_s_concentrations_are_the_reference_ones(backend: anyjac.Backend) -> None:
    robertson = _load("robertson")
    exact, differenced = robertson.main(backend.name)
    for solution in (exact, differenced):
        for time, reference in robertson.REFERENCES.items():
            assert np.allclose(solution.at(time), reference, rtol=1e-6, atol=0)
        assert solution.concentrations.shape == (len(robertson.TIMES), 3)
        assert np.all(np.abs(solution.concentrations.sum(axis=1) - 1) < 1e-12)
    # Finite differences in three concentrations cost three evaluations for each Jacobian, and anyjac's none.
    assert differenced.evaluations - exact.evaluations > 2 * exact.jacobians > 0


def test_the_jacobian_of_robertson_s_reaction_is_the_one_derived_by_hand(backend: anyjac.Backend) -> None:
    a, b, c = 0.7, 1e-5, 0.3
    jacobian = anyjac.jacrev(_load("robertson").Reaction(backend.name))(backend.asarray(np.array([a, b, c])))
    expected = [[-0.04, 1e4 * c, 1e4 * b], [0.04, -1e4 * c - 6e7 * b, -1e4 * b], [0.0, 6e7 * b, 0.0]]
    assert np.allclose(backend.to_numpy(jacobian), expected, rtol=1e-14)


@pytest.mark.exhaustive_on("jax", "torch")
def test_the_membrane_begins_to_fire_where_the_literature_says(backend: anyjac.Backend) -> None:
    onset = _load("hodgkin_huxley").find_onset(backend.name)
    assert abs(onset.current - 9.78) < 0.01
    assert abs(onset.rest.eigenvalues[np.argmax(onset.rest.eigenvalues.real)].real) < 1e-9


def test_a_jacobian_streams_to_a_file_through_less_memory_than_it_has(backend: anyjac.Backend, tmp_path: Path) -> None:
    stream_to_disk = _load("stream_to_disk")
    path = tmp_path / "jacobian"
    report = stream_to_disk.main(40, 30, backend.name, path)
    assert (report.written, path.stat().st_size) == (8 * 40 * 30, 8 * 40 * 30)
    assert report.error < 1e-15
    sensor, x = stream_to_disk.Sensor(40, 30), np.linspace(-1.0, 1.0, 30)
    written = np.fromfile(path).reshape(40, 30)
    assert np.allclose(written, [sensor.row(x, index) for index in range(40)], rtol=1e-12, atol=1e-15)


def test_newton_s_method_comes_to_the_minimum_by_products_alone(backend: anyjac.Backend) -> None:
    newton_cg = _load("newton_cg")
    model, report = newton_cg.main(backend.name, points=100, features=6)
    assert report.norms[-1] < 1e-10
    assert report.losses == sorted(report.losses, reverse=True)
    assert int(model.runs) > report.products[-1] > 0
    points, labels = newton_cg.make_data(100, 6, backend)
    weights = anyjac.train_vars(model)
    blocks = anyjac.hessian(model, weights)(points, labels)
    (curvature, mixed), (also_mixed, second) = ([blocks[i][j] for j in weights] for i in weights)
    whole = np.block(
        [
            [backend.to_numpy(curvature), backend.to_numpy(mixed)[:, None]],
            [backend.to_numpy(also_mixed)[None, :], backend.to_numpy(second)[None, None]],
        ]
    )
    assert np.allclose(whole, whole.T, rtol=1e-12)
    assert np.linalg.eigvalsh(whole)[0] > newton_cg.PENALTY / 2


@pytest.mark.exhaustive
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no other system tells the peak")
def test_no_more_of_the_file_than_is_flushed_at_once_stays_in_memory() -> None:
    done = _run("stream_to_disk", "numpy", "--rows", "8000", "--columns", "5000")
    assert done.returncode == 0, done.stderr
    assert "320 MB in" in done.stdout
    found = re.search(r"VmHWM\): (\d+) MB, (\d+) MB of them before", done.stdout)
    assert found is not None
    assert int(found[1]) - int(found[2]) < 250


def _run(name: str, backend: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--backend", backend, *arguments]
    known = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**known, **environment})


SCRIPTS = {
    "hodgkin_huxley": ((), "The rest loses its stability at 9.775"),
    "newton_cg": (("--small",), "21 weights: 40 products"),
    "robertson": ((), "\nanyjac "),
    "stream_to_disk": (("--rows", "300", "--columns", "200"), "largest error of 20 rows: "),
    "thurber_regression": ((), "  b7   4.972729"),
}
"""Each script with its arguments, and its output."""


@pytest.mark.exhaustive_on("jax", "torch")
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_runs_as_a_script_in_double_precision(backend: anyjac.Backend, name: str) -> None:
    arguments, expected = SCRIPTS[name]
    done = _run(name, backend.name, *arguments)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_every_example_is_run_as_a_script() -> None:
    assert sorted(SCRIPTS) == sorted(path.stem for path in EXAMPLES.glob("*.py"))


def test_robertson_s_reaction_is_refused_in_single_precision() -> None:
    done = _run("robertson", "jax", JAX_ENABLE_X64="0")
    assert done.returncode == 1
    assert "jax computes in single precision here" in done.stderr
