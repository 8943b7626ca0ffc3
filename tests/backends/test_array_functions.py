"""`array_namespace`, `device`, `to_device` and `stop_gradient` in the places where frameworks differ."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import MixedBackendsError, Variable, jacrev


def test_the_arrays_go_before_the_chosen_backend() -> None:
    x = anyjac.get_backend("torch").asarray(1.0)
    with anyjac.use_backend("jax"):
        assert anyjac.array_namespace(x) is anyjac.get_backend("torch").namespace
        assert anyjac.array_namespace(np.ones(2)) is anyjac.get_backend("jax").namespace
        assert anyjac.array_namespace() is anyjac.get_backend("jax").namespace
    assert anyjac.array_namespace(np.ones(2), 1.0) is anyjac.get_backend("numpy").namespace


@pytest.mark.parametrize("inside", [False, True])
def test_arrays_of_two_frameworks_are_refused(inside: bool) -> None:
    x, y = (anyjac.get_backend(name).asarray(1.0) for name in ("torch", "jax"))

    def ask(_: Any) -> Any:
        with pytest.raises(MixedBackendsError, match="jax, torch"):
            anyjac.array_namespace(x, y)
        return _

    if inside:
        jacrev(ask)(x)
    else:
        ask(x)


def test_an_array_without_a_backend_gets_the_namespace_that_it_names() -> None:
    class Strange:
        def __array_namespace__(self, api_version: str | None = None) -> Any:
            return ModuleType("strange")

    assert anyjac.array_namespace(Strange()).__name__ == "strange"


def test_a_constant_of_numpy_belongs_to_the_running_call(backend: anyjac.Backend) -> None:
    def f(x: Any) -> Any:
        assert anyjac.array_namespace(np.ones(3)) is backend.namespace
        assert anyjac.device(np.ones(3)) == anyjac.device(backend.asarray(1.0))
        return x

    jacrev(f)(backend.asarray(1.0))


def test_the_device_of_a_jax_tracer_is_known_outside_the_compiler() -> None:
    jax = anyjac.get_backend("jax")
    last = list(jax.devices())[-1]
    seen = []

    def f(x: Any) -> Any:
        seen.append(anyjac.device(x))
        return x * x

    x = jax.asarray(2.0, device=last)
    jacrev(f)(x)
    jacrev(jacrev(f))(x)
    jax.framework_transforms.grad(f)(x)
    jax.framework_transforms.compile(f)(x)
    assert seen == [last, last, last, None]


def test_a_move_is_differentiated_on_its_way_back_too() -> None:
    jax = anyjac.get_backend("jax")
    first, last = jax.devices()[0], list(jax.devices())[-1]
    jacobian = jacrev(lambda x: anyjac.to_device(anyjac.to_device(x, last) ** 2, first))(jax.asarray(3.0, device=first))
    assert (float(jacobian), jacobian.device) == (6.0, first)


@pytest.mark.parametrize("name", ["autograd", "jax", "torch"])
def test_the_framework_s_own_gradient_takes_a_stopped_value_for_a_constant(name: str) -> None:
    own = anyjac.get_backend(name)
    w = Variable(own.asarray(3.0))
    gradient = own.framework_transforms.grad(lambda x: anyjac.stop_gradient(x) * x * anyjac.stop_gradient(w))
    assert float(own.to_numpy(gradient(own.asarray(2.0)))) == 6.0


def test_leaves_that_are_no_arrays_are_left_as_they_are() -> None:
    assert anyjac.stop_gradient({"a": 1, "b": ["text", None, 2.5]}) == {"a": 1, "b": ["text", None, 2.5]}
