"""A third-party backend with the required members alone is a complete backend."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyjac_minimal.backend import MinimalBackend, Traced
from fakes import Site, printed, run_anyjac, run_python

import anyjac
from anyjac import Backend, NotSupportedError, Variable, jacrev
from anyjac_conformance import all_scenarios, check_backend
from anyjac_plugins import lost_derivatives


@pytest.fixture(autouse=True)
def _registered(register: Callable[..., None], minimal: MinimalBackend) -> None:
    register(minimal)


def test_it_has_the_required_members_alone_and_needs_only_what_plugins_are_given() -> None:
    members = {name for name in vars(MinimalBackend) if not name.startswith("_")}
    assert members == {"name", *Backend.__abstractmethods__}
    folder = Path(__file__).parent / "anyjac_minimal"
    lines = [line for file in folder.glob("*.py") for line in file.read_text().splitlines()]
    ours = [line for line in lines if "import" in line and "anyjac" in line]
    assert len(ours) == 2
    assert all(line.startswith("from anyjac_plugins import ") for line in ours)


def test_the_jacobian_of_a_function() -> None:
    x = np.array([1.0, 2.0, 3.0])
    jacobian = jacrev(lambda x: np.array([[2.0], [3.0]]) * x**2, backend="minimal")(x)
    expected = np.zeros((2, 3, 3))
    for i, factor in enumerate((2.0, 3.0)):
        expected[i] = np.diag(2 * factor * x)
    assert jacobian.dtype == np.float64
    np.testing.assert_allclose(jacobian, expected, rtol=1e-15)


@pytest.mark.parametrize("reports", [None, False, True], ids=["refuses", "loses in silence", "reports"])
def test_the_suite_rejects_a_backend_whose_arrays_hand_out_numbers_in_silence(
    reports: bool | None, minimal: MinimalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def element(traced: Traced, index: Any) -> Any:
        if reports and lost_derivatives.is_watching():
            lost_derivatives.report(
                "x[0]", "compute with x itself", packages=["anyjac_minimal", "test_minimal_backend"]
            )
        return traced.value[index]

    if reports is not None:
        monkeypatch.setattr(Traced, "__getitem__", element, raising=False)
    meant = [each for each in all_scenarios() if each.id.startswith("trust/lost-derivative:float-of-an-element")]
    results = check_backend(minimal, scenarios=meant, on_fail="collect")
    assert len(results) == 3
    assert all(result.bad == (reports is False) for result in results), [result.faults for result in results]


def test_arguments_and_variables_with_value_aux_and_a_write() -> None:
    gain = Variable(np.array([2.0, 3.0]), backend="minimal")
    bias = Variable(1.0, backend="minimal")
    calls = Variable(0, backend="minimal")

    @jacrev(grad_vars={"gain": gain, "bias": bias}, argnums=0, has_aux=True, return_value=True, backend="minimal")
    def response(x: np.ndarray) -> tuple[np.ndarray, str]:
        calls.value += 1
        return gain * x**2 + bias, "aux"

    (var_grads, arg_grads), value, aux = response(np.array([1.0, 2.0]))
    np.testing.assert_allclose(var_grads["gain"], np.diag([1.0, 4.0]))
    np.testing.assert_allclose(var_grads["bias"], np.ones(2))
    np.testing.assert_allclose(arg_grads, np.diag([4.0, 12.0]))
    np.testing.assert_allclose(value, [3.0, 13.0])
    assert aux == "aux"
    assert int(calls) == 1


def test_a_write_is_differentiated_through_and_undone_after_an_exception() -> None:
    v = Variable(np.array([1.0, 2.0]), backend="minimal")

    def square() -> np.ndarray:
        v.value = v.value**2
        return v.value * 3.0

    np.testing.assert_allclose(jacrev(square, grad_vars=v)(), np.diag([6.0, 12.0]))
    np.testing.assert_array_equal(v.value, [1.0, 4.0])
    assert type(v.value) is np.ndarray

    def fail() -> np.ndarray:
        square()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(fail, grad_vars=v)()
    np.testing.assert_array_equal(v.value, [1.0, 4.0])


@pytest.mark.parametrize("chunk_size", [1, 2, 5, None])
def test_rows_come_in_chunks_of_any_size(chunk_size: int | None) -> None:
    x = np.arange(1.0, 6.0)
    jacobian = jacrev(lambda x: x**3, backend="minimal", chunk_size=chunk_size)(x)
    np.testing.assert_allclose(jacobian, np.diag(3 * x**2))


def test_trees_constants_and_unread_variables() -> None:
    unread = Variable(np.ones(2), backend="minimal")
    out = jacrev(lambda tree: {"sum": tree["a"] + tree["b"][0], "constant": 7.0}, [unread], 0, backend="minimal")(
        {"a": 1.0, "b": [2.0]}
    )
    (of_sum,), of_argument = out[0]["sum"], out[1]["sum"]
    np.testing.assert_array_equal(of_sum, np.zeros(2))
    assert {"a": float(of_argument["a"]), "b": [float(of_argument["b"][0])]} == {"a": 1.0, "b": [1.0]}
    assert float(out[1]["constant"]["a"]) == 0.0


def test_what_it_does_not_declare_is_refused_before_any_number() -> None:
    with pytest.raises(NotSupportedError, match="'minimal' does not support 'complex'"):
        jacrev(lambda z: z, holomorphic=True, backend="minimal")(1 + 2j)
    with pytest.raises(NotSupportedError, match="'minimal' does not support 'float16'"):
        jacrev(lambda x: x, backend="minimal")(np.float16(2.0))


def test_a_derivative_of_a_derivative_is_refused_where_it_is_not_declared() -> None:
    with pytest.raises(NotSupportedError, match="'minimal' does not support 'nested'"):
        jacrev(jacrev(lambda x: x**3, backend="minimal"), backend="minimal")(2.0)


def test_every_operand_of_every_rule() -> None:
    x, y = np.array([0.5, 2.0]), np.array(3.0)
    of_x, of_y = jacrev(lambda x, y: np.sin(x * y) + x**y, argnums=(0, 1), backend="minimal")(x, y)
    np.testing.assert_allclose(of_x, np.diag(y * np.cos(x * y) + y * x ** (y - 1)), rtol=1e-14)
    np.testing.assert_allclose(of_y, x * np.cos(x * y) + x**y * np.log(x), rtol=1e-14)


@pytest.mark.parametrize("order", [lambda v, x: v * x, lambda v, x: x * v])
def test_a_variable_stands_on_either_side_of_a_traced_array(order: Callable[..., Any]) -> None:
    v = Variable(np.array([2.0, 3.0]), backend="minimal")
    of_v, of_x = jacrev(lambda x: order(v, x), v, 0, backend="minimal")(5.0)
    np.testing.assert_array_equal(of_v, np.diag([5.0, 5.0]))
    np.testing.assert_array_equal(of_x, [2.0, 3.0])


def test_threads_do_not_disturb_each_other() -> None:
    transform = jacrev(lambda x: x**2, backend="minimal")
    found: dict[int, float] = {}

    def work(i: int) -> None:
        found[i] = float(transform(float(i)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: 2.0 * i for i in range(8)}


def test_its_own_devices_are_the_ones_that_are_listed() -> None:
    assert anyjac.devices("minimal") == ["cpu"]
    with pytest.raises(anyjac.DeviceError, match="'minimal' has no device 'cuda:0'; present: cpu"):
        jacrev(lambda x: x, backend="minimal", device="cuda:0")(1.0)


def test_installed_it_is_found_by_its_entry_point(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.add_minimal()
    code = """
        import anyjac, numpy as np
        info = {info.name: info for info in anyjac.backends()}["minimal"]
        print(info.state, info.distribution, info.version)
        v = anyjac.Variable(np.array([1.0, 2.0]), backend="minimal")
        print(anyjac.jacrev(lambda x: v * x, grad_vars=v, argnums=0, backend="minimal")(3.0))
        print({info.name: info.state for info in anyjac.backends()}["minimal"])
    """
    assert printed(run_python(code, path=site.path)).splitlines() == [
        "ready anyjac-minimal 1.5",
        "(array([[3., 0.],",
        "       [0., 3.]]), array([1., 2.]))",
        "loaded",
    ]
    assert "minimal" in printed(run_anyjac("backends", path=site.path))


def test_a_traced_array_of_a_type_that_no_module_claims_is_not_let_through() -> None:
    with pytest.raises(NotSupportedError, match="'minimal' does not support 'stop_gradient'"):
        jacrev(lambda x: x * anyjac.stop_gradient(x), backend="minimal")(2.0)
    assert jacrev(lambda x: anyjac.size(x) * x, backend="minimal")(2.0) == 1.0


class TrueShape(tuple):
    """A shape that is true for a scalar too, as that of TensorFlow."""

    def __bool__(self) -> bool:
        return True


class Scalar(np.ndarray):
    """An array whose shape is always true."""

    shape = property(lambda self: TrueShape(np.shape(np.asarray(self))))  # type: ignore[assignment]


def test_the_derivative_by_a_scalar_whose_shape_counts_as_true(minimal: MinimalBackend) -> None:
    x = np.asarray(3.0).view(Scalar)
    assert x.shape
    assert float(anyjac.derivative(lambda x: x * x, backend=minimal)(x)) == 6.0


class Ragged:
    """A type of the backend's framework that has a dtype, and is no array of the backend."""

    dtype = np.dtype("float64")
    __module__ = "framework_of_ragged.arrays"


def test_a_type_of_the_framework_that_is_no_array_of_its_backend_is_called_so(
    register: Callable[..., None], minimal: MinimalBackend
) -> None:
    class OfRagged(type(minimal)):  # type: ignore[misc]
        name = "ragged"
        array_modules = ("framework_of_ragged",)

    register(OfRagged())
    with pytest.raises(anyjac.InputTypeError, match=r"argument 0 is .*, of type Ragged, which cannot"):
        anyjac.grad(lambda x: x)(Ragged())


def test_each_call_enters_the_context_of_a_device_whether_somebody_asked_for_one_or_not(
    minimal: MinimalBackend,
) -> None:
    entered: list[Any] = []

    class Watching(type(minimal)):  # type: ignore[misc]
        name = "watching"

        def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
            entered.append(device)
            return contextlib.nullcontext()

    backend = Watching()
    transforms = {
        "grad": lambda device: anyjac.grad(np.sin, backend=backend, device=device)(0.0),
        "jit": lambda device: anyjac.jit(np.sin, backend=backend, device=device)(0.0),
        "vmap": lambda device: anyjac.vmap(np.sin, backend=backend, device=device)(np.zeros(2)),
        "check_derivative": lambda device: anyjac.check_derivative(
            np.sin, 0.0, backend=backend, device=device, order=1
        ),
    }
    for transform in transforms.values():
        for device in (None, "cpu"):
            entered.clear()
            transform(device)
            assert entered == [device]
