"""Collecting Variables: through attributes, slots, containers, closures, bound objects and cycles."""

import functools
import types
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import TrainVar, Variable, jacrev, train_vars, variables

Pair = namedtuple("Pair", ["first", "second"])
SHARED = Variable(1.0, name="global")


def test_attributes_containers_and_nested_objects() -> None:
    @dataclass
    class Layer:
        w: Variable = field(default_factory=lambda: Variable(1.0))
        rest: Any = None

    model = Layer(rest={"list": [Layer(), 3, "text"], "pair": Pair(Variable(2.0), None), "set": {Variable(3.0)}})
    assert list(variables(model)) == [
        "w",
        "rest['list'][0].w",
        "rest['pair'].first",
        "rest['set'][0]",
    ]


def test_slots_and_inherited_slots() -> None:
    class Base:
        __slots__ = ("a",)

    class Derived(Base):
        __slots__ = "b"

    model = Derived()
    model.a, model.b = Variable(1.0), Variable(2.0)
    assert sorted(variables(model)) == ["a", "b"]


def test_cycles_and_shared_variables_are_listed_once() -> None:
    class Node:
        pass

    one, other = Node(), Node()
    one.next, other.next = other, one
    one.v = other.v = Variable(1.0)
    assert list(variables(one)) == ["next.v"]


def test_closures_globals_and_defaults() -> None:
    inner = Variable(1.0)

    def f(x: Any, default: Variable = Variable(2.0)) -> Any:  # noqa: B008
        return x * inner * SHARED * default

    assert list(variables(f)) == ["inner", "SHARED", "default"]


def test_bound_methods_partials_and_transforms() -> None:
    class Model:
        def __init__(self) -> None:
            self.w = TrainVar(1.0)

        def run(self, x: Any) -> Any:
            return self.w * x

    model = Model()
    assert list(variables(model.run)) == ["__self__.w"]
    assert list(variables(functools.partial(model.run, 1.0))) == ["func.__self__.w"]
    assert list(variables(jacrev(model.run))) == ["__wrapped__.__self__.w"]


def test_a_variable_alone_and_nothing_at_all() -> None:
    v = Variable(1.0)
    assert variables(v) == {"value": v}
    assert variables(np) == {}
    assert variables(3) == {}
    assert variables("text") == {}
    assert variables(None) == {}


def test_train_vars_are_those_that_are_trainable() -> None:
    model = {"w": TrainVar(1.0), "state": Variable(2.0)}
    assert list(train_vars(model)) == ["['w']"]


def test_what_is_collected_is_ready_for_grad_vars() -> None:
    model = {"w": TrainVar(2.0), "b": TrainVar(1.0)}
    grads = jacrev(lambda x: model["w"] * x + model["b"], variables(model))(5.0)
    assert {path: float(block) for path, block in grads.items()} == {"['w']": 5.0, "['b']": 1.0}


def test_a_recursive_function_and_a_cell_that_is_not_filled_yet() -> None:
    def recursive(n: int) -> Any:
        return later * recursive(n - 1)

    assert variables(recursive) == {}
    later = anyjac.Variable(1.0)
    assert list(variables(recursive)) == ["later"]


def test_a_mapping_that_is_no_dict_stands_for_one_in_grad_vars() -> None:
    weights = {"w": anyjac.TrainVar(2.0), "rest": types.MappingProxyType({"b": anyjac.TrainVar(1.0)})}
    found = anyjac.grad(lambda x: weights["w"] * x + weights["rest"]["b"], types.MappingProxyType(weights))(3.0)
    assert found == {"w": 3.0, "rest": {"b": 1.0}}


def test_what_is_no_variable_in_a_mapping_is_named_by_its_path() -> None:
    inner = types.MappingProxyType({"b": [anyjac.TrainVar(1.0), 2.0]})
    with pytest.raises(anyjac.InputTypeError, match=r"^grad_vars\['rest'\]\['b'\]\[1\] is 2.0 .* wrap it"):
        anyjac.grad(lambda x: x, {"rest": inner})


def test_a_position_in_the_place_of_grad_vars_is_to_be_named() -> None:
    with pytest.raises(anyjac.InputTypeError, match=r"^grad_vars is 1 .*, not a Variable; .* write argnums=1$"):
        anyjac.grad(lambda x: x, 1)


def test_an_iterator_in_grad_vars_is_to_be_a_list() -> None:
    with pytest.raises(anyjac.InputTypeError, match=r"^grad_vars is .*, not a Variable; make it a list, or"):
        anyjac.grad(lambda x: x, iter([anyjac.TrainVar(1.0)]))


class Trained:
    def __init__(self) -> None:
        self.weight = anyjac.TrainVar(1.0)
        self.state = anyjac.Variable(0.0)


class Untrained:
    def __init__(self) -> None:
        self.state = anyjac.Variable(0.0)


@pytest.mark.parametrize(("kind", "function"), [(Trained, "train_vars"), (Untrained, "variables")])
@pytest.mark.parametrize("around", [lambda model: model, lambda model: {"w": [model]}])
def test_an_object_in_grad_vars_is_told_what_collects_its_variables(kind: Any, function: str, around: Any) -> None:
    with pytest.raises(anyjac.InputTypeError, match=rf"not a Variable; .* which anyjac\.{function} collects, or"):
        anyjac.grad(lambda: 1.0, grad_vars=around(kind()))
    model = kind()
    assert anyjac.grad(lambda: model.state * 2.0, grad_vars=getattr(anyjac, function)(model))() != {}
