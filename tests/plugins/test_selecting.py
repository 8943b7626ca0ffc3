"""Which backend and which device a call gets: the order of the sources, inference, threads, tasks, devices."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from anyjac_minimal.backend import MinimalBackend
from fakes import printed, run_python

import anyjac
from anyjac import DeviceError, InputTypeError, MixedBackendsError, Variable, jacrev
from anyjac_plugins import environment

NAMES = ("autograd", "jax", "torch")


@pytest.fixture(autouse=True)
def _default_restored() -> Iterator[None]:
    yield
    anyjac.set_default_backend("numpy")


def square(x: Any) -> Any:
    return x * x


def maker(array: Any) -> str:
    """Return the name of the backend whose array this is."""
    (name,) = [name for name in NAMES if anyjac.get_backend(name).is_array(array)]
    return name


# ---- the order of the sources --------------------------------------------------------------------------------------

SOURCES = (
    # source, the backend that it asks for; neighbours differ, so that each is seen to win over the next
    ("argument", "torch"),
    ("context", "jax"),
    ("environment", "autograd"),
    ("inferred", "torch"),
    ("default", "jax"),
)


@pytest.mark.parametrize("first", range(len(SOURCES)), ids=[source for source, _ in SOURCES])
def test_each_source_wins_over_the_ones_after_it(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = dict(SOURCES[first:])
    anyjac.set_default_backend(asked["default"])
    if "environment" in asked:
        monkeypatch.setenv("ANYJAC_BACKEND", asked["environment"])
    x = torch.tensor(3.0) if "inferred" in asked else 3.0
    with anyjac.use_backend(asked["context"]) if "context" in asked else contextlib.nullcontext():
        slope = jacrev(square, backend=asked.get("argument"))(x)
        v = Variable(x, backend=asked.get("argument"))
    assert maker(slope) == v.backend.name == SOURCES[first][1]
    assert float(slope) == 6.0


def test_without_any_source_it_is_numpy() -> None:
    assert maker(jacrev(square)(3.0)) == "autograd"
    assert anyjac.get_backend().name == "autograd"


def test_an_empty_environment_variable_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_BACKEND", "  ")
    assert maker(jacrev(square)(torch.tensor(3.0))) == "torch"


@pytest.mark.parametrize("backend", [7, ["jax"], jax])
def test_what_is_no_name_and_no_backend_is_refused(backend: Any) -> None:
    with pytest.raises(InputTypeError, match="backend must be a name or a Backend"):
        jacrev(square, backend=backend)
    with pytest.raises(InputTypeError, match="backend must be a name or a Backend"):
        anyjac.get_backend(backend)


# ---- inference -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((np.ones(2),), "autograd"),
        ((torch.ones(2),), "torch"),
        ((jnp.ones(2),), "jax"),
        ((np.ones(2), torch.ones(2)), "torch"),
        (([{"deep": (1.0, jnp.ones(2))}], np.float32(1.0)), "jax"),
    ],
)
def test_arrays_tell_and_numpy_goes_with_any_framework(values: tuple[Any, ...], expected: str) -> None:
    jacobian = jacrev(lambda *values: 2 * anyjac.array_namespace(*values).asarray(1.0), argnums=0)(*values)
    leaf = jacobian[0]["deep"][0] if isinstance(jacobian, list) else jacobian
    assert maker(leaf) == expected


def test_a_variable_tells_where_no_argument_does() -> None:
    v = Variable(torch.tensor(2.0))
    assert maker(jacrev(lambda x: v * x, argnums=0, grad_vars=v)(3.0)[1]) == "torch"


def test_inference_imports_no_framework() -> None:
    code = """
        import sys, numpy as np, anyjac
        class Strange:
            pass
        anyjac.jacrev(lambda x, *rest: x**2)(np.ones(2), Strange(), "text", None, {1: 2})
        print(sorted({"jax", "jaxlib", "torch"} & set(sys.modules)))
    """
    assert printed(run_python(code)) == "[]\n"


def test_several_frameworks_are_refused_and_named() -> None:
    with pytest.raises(MixedBackendsError, match=r"jax, torch; say which one .*backend=.*use_backend") as raised:
        jacrev(lambda x, y: x)(torch.tensor(1.0), jnp.ones(2))
    assert isinstance(raised.value, TypeError)


def test_a_variable_and_an_argument_of_two_frameworks_are_refused_and_named() -> None:
    v = Variable(jnp.ones(2))
    with pytest.raises(MixedBackendsError, match="jax, torch"):
        jacrev(lambda x: x, v, 0)(torch.tensor(1.0))


def test_a_named_backend_converts_them() -> None:
    v = Variable(jnp.full(2, 3.0))
    var_grads, arg_grads = jacrev(lambda x: v * x, v, 0, backend="torch")(np.array(2.0))
    assert maker(var_grads) == maker(arg_grads) == "torch"
    np.testing.assert_array_equal(arg_grads.numpy(), [3.0, 3.0])
    np.testing.assert_array_equal(var_grads.numpy(), 2 * np.eye(2))
    assert maker(v.value) == "jax"


# ---- use_backend ---------------------------------------------------------------------------------------------------


def test_contexts_nest_and_end() -> None:
    names = []
    with anyjac.use_backend("torch") as outer:
        names.append(anyjac.get_backend().name)
        with anyjac.use_backend("jax"):
            names.append(anyjac.get_backend().name)
        names.append(anyjac.get_backend().name)
        with pytest.raises(ZeroDivisionError), anyjac.use_backend(outer), anyjac.use_backend("jax"):
            raise ZeroDivisionError
        names.append(anyjac.get_backend().name)
    names.append(anyjac.get_backend().name)
    assert names == ["torch", "jax", "torch", "torch", "autograd"]


def test_it_decorates_a_function() -> None:
    @anyjac.use_backend("torch")
    def slope() -> Any:
        return jacrev(square)(3.0)

    assert [maker(slope()), maker(slope()), anyjac.get_backend().name] == ["torch", "torch", "autograd"]


def test_other_threads_do_not_see_it() -> None:
    barrier = threading.Barrier(3)
    seen: dict[str, list[str]] = {}

    def work(name: str) -> None:
        with anyjac.use_backend(name):
            barrier.wait()
            seen[name] = [maker(jacrev(square)(3.0)) for _ in range(5)]
            barrier.wait()

    def bare() -> None:
        barrier.wait()
        seen["bare"] = [maker(jacrev(square)(3.0)) for _ in range(5)]
        barrier.wait()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("jax", "torch")]
    threads.append(threading.Thread(target=bare))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"jax": ["jax"] * 5, "torch": ["torch"] * 5, "bare": ["autograd"] * 5}


def test_other_tasks_do_not_see_it() -> None:
    async def work(name: str) -> list[str]:
        seen = []
        with anyjac.use_backend(name):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(maker(jacrev(square)(3.0)))
        return seen

    async def both() -> list[list[str]]:
        return await asyncio.gather(work("jax"), work("torch"))

    assert asyncio.run(both()) == [["jax"] * 3, ["torch"] * 3]
    assert anyjac.get_backend().name == "autograd"


def test_the_default_is_the_same_for_all_threads() -> None:
    anyjac.set_default_backend("torch")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(anyjac.get_backend().name))
    thread.start()
    thread.join()
    assert seen == ["torch"]


# ---- devices -------------------------------------------------------------------------------------------------------


def test_devices_are_listed_the_default_first() -> None:
    assert anyjac.devices("jax") == ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]
    assert anyjac.devices("torch")[0] == "cpu"
    assert anyjac.devices("numpy") == ["cpu"]
    assert anyjac.devices() == ["cpu"]
    with anyjac.use_backend("jax"):
        assert anyjac.devices()[0] == "cpu:0"


@pytest.mark.parametrize("device", ["cpu:2", " CPU:2 ", jax.devices("cpu")[2]])
def test_a_device_is_named_by_text_or_by_the_frameworks_object(device: Any) -> None:
    jacobian = jacrev(square, backend="jax", device=device)(3.0)
    assert jacobian.device == jax.devices("cpu")[2]
    assert Variable(3.0, backend="jax", device=device).device == jax.devices("cpu")[2]


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")])
def test_a_platform_alone_is_its_first_device(device: Any) -> None:
    assert jacrev(square, backend="torch", device=device)(3.0).device == torch.device("cpu")


class TwoCards(MinimalBackend):
    """A backend that has two accelerators, for the spelling of their names."""

    def devices(self) -> list[str]:
        return ["cuda:0", "cuda:1", "cpu"]


@pytest.mark.parametrize(
    ("spelling", "device"),
    [("gpu:1", "cuda:1"), ("cuda:1", "cuda:1"), ("gpu", "cuda:0"), ("CUDA", "cuda:0"), ("cpu:0", "cpu")],
)
def test_gpu_and_cuda_are_the_same(spelling: str, device: str) -> None:
    assert TwoCards().resolve_device(spelling) == device


@pytest.mark.parametrize("device", ["cuda:2", "gpu:7", "tpu", "", "cpu:x", 3, object()])
def test_an_absent_device_is_refused_with_those_that_are_present(device: Any) -> None:
    with pytest.raises(DeviceError, match="present: cuda:0, cuda:1, cpu"):
        TwoCards().resolve_device(device)


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_device_is_refused_by_every_backend(name: str) -> None:
    present = ", ".join(anyjac.devices(name))
    with pytest.raises(DeviceError, match=f"{name!r} has no device 'tpu:9'; present: {present}"):
        jacrev(square, backend=name, device="tpu:9")(3.0)
    with pytest.raises(DeviceError, match=f"{name!r} has no device 'tpu:9'; present: {present}"):
        Variable(3.0, backend=name, device="tpu:9")


def test_the_environment_names_the_device_where_no_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_DEVICE", "cpu:1")
    assert jacrev(square, backend="jax")(3.0).device == jax.devices("cpu")[1]
    assert Variable(3.0, backend="jax").device == jax.devices("cpu")[1]
    assert jacrev(square, backend="jax", device="cpu:3")(3.0).device == jax.devices("cpu")[3]
    monkeypatch.setenv("ANYJAC_DEVICE", "tpu:9")
    with pytest.raises(DeviceError, match=r"'jax' has no device 'tpu:9'; present: cpu:0"):
        jacrev(square, backend="jax")(3.0)


def test_nothing_is_cached_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    transform: Callable[..., Any] = jacrev(square)
    seen = []
    for name in ("jax", "torch", "numpy"):
        monkeypatch.setenv("ANYJAC_BACKEND", name)
        seen.append(maker(transform(3.0)))
    assert seen == ["jax", "torch", "autograd"]


def test_the_environment_is_read_where_it_is_not_kept_as_cpython_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"ANYJAC_BACKEND": " torch "})
    assert environment.read("ANYJAC_BACKEND") == "torch"
    assert environment.read("ANYJAC_DEVICE") is None


@pytest.mark.parametrize(("variable", "value"), [("ANYJAC_BACKEND", "tourch"), ("ANYJAC_DEVICE", "cpu:77")])
def test_an_error_about_what_the_environment_says_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(anyjac.AnyjacError, match=value) as caught:
        anyjac.grad(lambda x: x)(1.0)
    assert caught.value.__notes__ == [f"it is the environment variable {variable} that asks for it"]


def test_a_forced_path_has_to_name_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_FORCE_PATH", "loop")
    with pytest.raises(anyjac.InputValueError, match=r"ANYJAC_FORCE_PATH is 'loop'; it has to be like 'jax=native"):
        environment.forced_path("autograd", ["loop"])
    monkeypatch.setenv("ANYJAC_FORCE_PATH", "jax=native, autograd=loop")
    assert environment.forced_path("autograd", ["loop"]) == "loop"
