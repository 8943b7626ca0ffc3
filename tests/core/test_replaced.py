"""A function that puts an array where an attribute held a Variable is refused, and the Variable stays."""

import types
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Variable, jacrev


class Neuron:
    def __init__(self, backend: anyjac.Backend) -> None:
        self.v = Variable(backend.asarray(np.asarray(2.0)), name="v")

    def step(self, x: Any) -> Any:
        self.v = self.v + x
        return self.v * x

    def __call__(self, x: Any) -> Any:
        return self.step(x)


@pytest.fixture
def neuron(backend: anyjac.Backend) -> Neuron:
    return Neuron(backend)


@pytest.fixture
def x(backend: anyjac.Backend) -> Any:
    return backend.asarray(np.asarray(3.0))


def of_a_closure(neuron: Neuron) -> Callable[[Any], Any]:
    return lambda x: neuron.step(x)


def of_globals(neuron: Neuron) -> Callable[[Any], Any]:
    globals()["GLOBAL"] = neuron
    return lambda x: GLOBAL.step(x)  # type: ignore[name-defined]  # noqa: F821


REACHED: dict[str, Callable[[Neuron], Callable[[Any], Any]]] = {
    "self": lambda neuron: neuron.step,
    "the Neuron": lambda neuron: neuron,
    "neuron": of_a_closure,
    "GLOBAL": of_globals,
    "self, in a partial": lambda neuron: partial(neuron.step),
}
"""Functions that reach a neuron, by the name that messages have for it."""


@pytest.mark.parametrize("name", REACHED)
def test_a_replaced_variable_is_refused_by_its_name_and_put_back(neuron: Neuron, x: Any, name: str) -> None:
    v = neuron.v
    where = name.partition(",")[0]
    with pytest.raises(
        anyjac.VariableWriteError, match=rf"^{where}\.v was Variable 'v' .* {where}\.v\.value = \.\.\.$"
    ):
        jacrev(REACHED[name](neuron))(x)
    assert neuron.v is v
    assert float(v) == 2.0


TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda f, x: anyjac.grad(f)(x),
    "jacfwd": lambda f, x: anyjac.jacfwd(f)(x),
    "hessian": lambda f, x: anyjac.hessian(f)(x),
    "vjp": lambda f, x: anyjac.vjp(f)(x),
    "jvp": lambda f, x: anyjac.jvp(f)(x, x),
    "jit": lambda f, x: anyjac.jit(f)(x),
    "vmap": lambda f, x: anyjac.vmap(f)(anyjac.array_namespace(x).stack([x, x])),
    "check_derivative": lambda f, x: anyjac.check_derivative(f, x, order=1),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_whatever_runs_the_function_refuses_a_replaced_variable(neuron: Neuron, x: Any, transform: str) -> None:
    v = neuron.v
    with pytest.raises(anyjac.VariableWriteError, match=r"self\.v was Variable 'v'"):
        TRANSFORMS[transform](neuron.step, x)
    assert neuron.v is v
    assert float(v) == 2.0


@pytest.mark.parametrize("value", [0.0, 1, np.zeros(2), np.float64(1.0)])
def test_a_number_or_a_constant_in_its_place_is_refused_too(neuron: Neuron, x: Any, value: Any) -> None:
    v = neuron.v

    def reset(x: Any) -> Any:
        neuron.v = value
        return x

    with pytest.raises(anyjac.VariableWriteError, match=r"neuron\.v was Variable 'v'"):
        jacrev(reset)(x)
    assert neuron.v is v


def test_after_an_error_the_variable_is_where_it_was(neuron: Neuron, x: Any) -> None:
    v = neuron.v

    def fail(x: Any) -> Any:
        neuron.step(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(fail)(x)
    assert neuron.v is v


def test_another_variable_or_no_array_may_stand_there(neuron: Neuron, x: Any) -> None:
    other = Variable(x)

    def exchange(x: Any) -> Any:
        neuron.v = other
        return x

    def take_away(x: Any) -> Any:
        neuron.v = None  # type: ignore[assignment]
        return x

    jacrev(exchange)(x)
    assert neuron.v is other
    jacrev(take_away)(x)
    assert neuron.v is None


class Unbound:
    """A proxy that stands for nothing, and says so whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"asked for {name}")


class Lazy(types.ModuleType):
    """A module that is imported when somebody asks for an attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"imported for {name}")


@pytest.mark.parametrize("make", [Unbound, lambda: Lazy("lazy")], ids=["proxy", "module"])
def test_proxies_and_lazy_modules_that_a_function_knows_are_left_alone(x: Any, make: Callable[[], Any]) -> None:
    thing = make()

    class Holder:
        def __init__(self) -> None:
            self.thing = thing

        def step(self, x: Any) -> Any:
            return x * 2

    def f(x: Any) -> Any:
        return x * 3 if thing is not None else x

    assert float(jacrev(f)(x)) == 3.0
    assert float(jacrev(Holder().step)(x)) == 2.0


def test_what_is_written_to_the_value_is_stored(neuron: Neuron, x: Any) -> None:
    def step(x: Any) -> Any:
        neuron.v.value = neuron.v + x
        return neuron.v * x

    assert float(jacrev(step)(x)) == 8.0
    assert float(neuron.v) == 5.0
