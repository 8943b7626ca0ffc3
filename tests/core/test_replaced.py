"""A function that puts an array where an attribute held a Variable is refused, and the Variable stays."""

import re
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


def helped(neuron: Neuron) -> Callable[[Any], Any]:
    globals()["GLOBAL"] = neuron
    return lambda x: step_of_the_global(x)


def step_of_the_global(x: Any) -> Any:
    return GLOBAL.step(x)  # type: ignore[name-defined]  # noqa: F821


def defaulted(neuron: Neuron) -> Callable[[Any], Any]:
    def step(x: Any, n: Neuron = neuron) -> Any:
        return n.step(x)

    return step


def named_default(neuron: Neuron) -> Callable[[Any], Any]:
    def step(x: Any, *, n: Neuron = neuron) -> Any:
        return n.step(x)

    return step


def stepped(x: Any, neuron: Neuron) -> Any:
    return neuron.step(x)


class Network:
    """Neurons one deeper: in an attribute, a list, a dict."""

    def __init__(self, neuron: Neuron, where: str) -> None:
        self.where = where
        self.neuron = neuron if where == "attribute" else None
        self.layers = [[neuron]] if where == "list" else []
        self.named = {"first": neuron} if where == "dict" else {}

    def __call__(self, x: Any) -> Any:
        neuron = {"attribute": self.neuron, "list": self.layers and self.layers[0][0], "dict": self.named.get("first")}
        return neuron[self.where].step(x)  # type: ignore[union-attr]


REACHED: dict[str, Callable[[Neuron], Callable[[Any], Any]]] = {
    "self": lambda neuron: neuron.step,
    "the Neuron": lambda neuron: neuron,
    "neuron": of_a_closure,
    "GLOBAL": of_globals,
    "GLOBAL, in a function of the same module": helped,
    "self, in a partial": lambda neuron: partial(neuron.step),
    "argument 0 of the partial": lambda neuron: partial(lambda n, x: n.step(x), neuron),
    "argument neuron of the partial": lambda neuron: partial(stepped, neuron=neuron),
    "a default of step": defaulted,
    "the default of n": named_default,
    "the Network.neuron": lambda neuron: Network(neuron, "attribute"),
    "the Network.layers[0][0]": lambda neuron: Network(neuron, "list"),
    "the Network.named['first']": lambda neuron: Network(neuron, "dict"),
}
"""Functions that reach a neuron, by the path that messages have for it."""


@pytest.mark.parametrize("name", REACHED)
def test_a_replaced_variable_is_refused_by_its_name_and_put_back(neuron: Neuron, x: Any, name: str) -> None:
    v = neuron.v
    where = name.partition(",")[0]
    with pytest.raises(
        anyjac.VariableWriteError,
        match=rf"^{re.escape(where)}\.v was Variable 'v' .* {re.escape(where)}\.v\.value = \.\.\.$",
    ):
        jacrev(REACHED[name](neuron))(x)
    assert neuron.v is v
    assert float(v) == 2.0


def test_a_neuron_that_is_an_argument_is_refused_by_its_position_or_its_name(neuron: Neuron, x: Any) -> None:
    v = neuron.v
    with pytest.raises(anyjac.VariableWriteError, match=r"^argument 1\.v was Variable 'v'"):
        jacrev(stepped)(x, neuron)
    with pytest.raises(anyjac.VariableWriteError, match=r"^argument neuron\.v was Variable 'v'"):
        jacrev(stepped)(x, neuron=neuron)
    with pytest.raises(anyjac.VariableWriteError, match=r"^argument 1\[0\]\.v was Variable 'v'"):
        jacrev(lambda x, neurons: neurons[0].step(x))(x, [neuron])
    assert neuron.v is v
    assert float(v) == 2.0


class Slotted:
    __slots__ = ("v",)

    def __init__(self, v: Variable) -> None:
        self.v = v

    def step(self, x: Any) -> Any:
        self.v = self.v + x
        return self.v * x


class Shared:
    v: Any = None

    def step(self, x: Any) -> Any:
        self.v = self.v + x
        return self.v * x

    @classmethod
    def step_for_all(cls, x: Any) -> Any:
        cls.v = cls.v + x
        return cls.v * x


def test_a_variable_in_a_slot_is_refused_and_put_back(neuron: Neuron, x: Any) -> None:
    slotted = Slotted(neuron.v)
    with pytest.raises(anyjac.VariableWriteError, match=r"^self\.v was Variable 'v'"):
        jacrev(slotted.step)(x)
    assert slotted.v is neuron.v


def test_a_variable_of_a_class_is_refused_and_neither_shadowed_nor_replaced(neuron: Neuron, x: Any) -> None:
    shared, Shared.v = Shared(), neuron.v
    for step in (shared.step, Shared.step_for_all, Shared().step):
        with pytest.raises(anyjac.VariableWriteError, match=r"self\.v was Variable 'v'"):
            jacrev(step)(x)
        assert shared.v is Shared.v is neuron.v
        assert not vars(shared)


def test_a_variable_by_a_name_of_the_closure_or_the_module_is_refused_and_put_back(neuron: Neuron, x: Any) -> None:
    v, w = neuron.v, neuron.v
    globals()["NAMED"] = v

    def rebind(x: Any) -> Any:
        nonlocal w
        w = w + x
        return w * x

    def rebind_global(x: Any) -> Any:
        global NAMED
        NAMED = NAMED + x  # type: ignore[name-defined]
        return NAMED * x

    with pytest.raises(anyjac.VariableWriteError, match=r"^w was Variable 'v' .* w\.value = \.\.\.$"):
        jacrev(rebind)(x)
    with pytest.raises(anyjac.VariableWriteError, match=r"^NAMED was Variable 'v'"):
        jacrev(rebind_global)(x)
    assert w is v
    assert globals()["NAMED"] is v


def test_items_of_lists_and_dicts_that_were_variables_are_refused_and_put_back(neuron: Neuron, x: Any) -> None:
    state: dict[str, Any] = {"v": neuron.v}
    states: list[Any] = [neuron.v]

    def step(x: Any) -> Any:
        state["v"] = state["v"] + x
        return state["v"] * x

    def step_in_list(x: Any) -> Any:
        states[0] = states[0] + x
        return states[0] * x

    with pytest.raises(anyjac.VariableWriteError, match=r"^state\['v'\] was Variable 'v'"):
        jacrev(step)(x)
    with pytest.raises(anyjac.VariableWriteError, match=r"^states\[0\] was Variable 'v'"):
        jacrev(step_in_list)(x)
    assert state["v"] is states[0] is neuron.v


def test_a_variable_that_only_moves_is_not_refused(neuron: Neuron, x: Any) -> None:
    v = neuron.v
    memory: list[Any] = []

    def move(x: Any) -> Any:
        memory.append(neuron.v)
        neuron.v = 0.0  # type: ignore[assignment]
        return x * 2

    def rename(x: Any) -> Any:
        neuron.old, neuron.v = neuron.v, x  # type: ignore[attr-defined]
        return x * 2

    assert float(jacrev(move)(x)) == 2.0
    assert memory == [v]
    neuron.v = v
    jacrev(rename)(x)
    assert neuron.old is v  # type: ignore[attr-defined]


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


class Counting:
    """An object that counts how often such objects are asked for their attributes."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            Counting.looks += 1
        return object.__getattribute__(self, name)


def test_of_a_large_model_only_the_nearest_objects_are_looked_at(x: Any) -> None:
    many = [Counting() for _ in range(300)]
    Counting.looks = 0
    assert float(jacrev(lambda x: x * len(many))(x)) == 300.0
    assert 0 < Counting.looks < 50
