"""Scenarios: the results of a transform, and the form in which they come back."""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import optree

from anyjac import OutputError, Variable, jacrev

from ..answers import Array, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()


# ---- the table, for each kind of derivative ------------------------------------------------------------------------
#
# f(x) = w x, with w = (3, 4) a Variable and x = (1, 2): df/dw = diag(x), df/dx = diag(w), f = (3, 8).

VAR_GRADS, ARG_GRADS, VALUE, AUX = np.diag([1.0, 2.0]), np.diag([3.0, 4.0]), np.array([3.0, 8.0]), "as it was"

KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    # of              settings                          g
    "arguments": ({"grad_vars": False, "argnums": None}, ARG_GRADS),
    "Variables": ({"grad_vars": True, "argnums": None}, VAR_GRADS),
    "both": ({"grad_vars": True, "argnums": 0}, (VAR_GRADS, ARG_GRADS)),
}

RETURNS: dict[tuple[bool, bool], Any] = {
    # has_aux return_value
    (False, False): lambda g: g,
    (True, False): lambda g: (g, AUX),
    (False, True): lambda g: (g, VALUE),
    (True, True): lambda g: (g, VALUE, AUX),
}


def _observe_return(settings: dict[str, Any], lab: Lab) -> Any:
    w = Variable(lab.array([3.0, 4.0]))

    def f(x: Any) -> Any:
        return (w * x, AUX) if settings["has_aux"] else w * x

    return jacrev(f, **{**settings, "grad_vars": w if settings["grad_vars"] else None})(lab.array([1.0, 2.0]))


for _kind, (_settings, _g) in KINDS.items():
    for (_has_aux, _return_value), _packed in RETURNS.items():
        scenario.add(
            Scenario(
                name=f"of {_kind} with has_aux={_has_aux} and return_value={_return_value}",
                clause="packing/returns",
                observe=functools.partial(
                    _observe_return, {**_settings, "has_aux": _has_aux, "return_value": _return_value}
                ),
                answer=_packed(_g),
            )
        )


# ---- kinds and forms -----------------------------------------------------------------------------------------------


@scenario("packing/kinds", answer=((np.array(2.0), np.array(5.0)), (np.array(3.0), np.array(7.0))))
def several_variables_and_several_arguments(lab: Lab) -> Any:
    a, b = Variable(lab.array(3.0)), Variable(lab.array(7.0))
    return jacrev(lambda x, y: a * x + b * y, (a, b), argnums=(0, 1))(lab.array(2.0), lab.array(5.0))


@scenario("packing/argnums-default", answer=np.array(5.0))
def without_variables_it_is_the_first_argument(lab: Lab) -> Any:
    return jacrev(lambda x, y: x * y)(lab.array(2.0), lab.array(5.0))


@scenario("packing/argnums-default", answer=[np.array(5.0)] * 4)
def empty_grad_vars_count_as_none(lab: Lab) -> Any:
    empty: list[Any] = [[], (), {}, [None]]
    transforms = [jacrev(lambda x: 5 * x, grad_vars=none) for none in empty]
    return [transform(lab.array(2.0)) for transform in transforms]


@scenario("packing/argnums-default", answer={"w": np.array(2.0)})
def with_variables_it_is_no_argument(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    return jacrev(lambda x: w * x, {"w": w})(lab.array(2.0))


@scenario("packing/arg-grads", answer=(np.array(5.0), (np.array(5.0),), (np.array(2.0), np.array(5.0))))
def an_int_is_bare_and_a_sequence_a_tuple_in_its_order(lab: Lab) -> Any:
    x, y = lab.array(2.0), lab.array(5.0)
    return tuple(jacrev(lambda x, y: x * y, argnums=argnums)(x, y) for argnums in (0, [0], (1, 0)))


@scenario(
    "packing/var-grads",
    answer=(np.array(2.0), [np.array(2.0)], (np.array(2.0),), {"w": np.array(2.0)}, {"a": [(np.array(2.0), None)]}),
)
def bare_list_tuple_dict_and_nested(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    forms: list[Any] = [w, [w], (w,), {"w": w}, {"a": [(w, None)]}]
    return tuple(jacrev(lambda x: w * x, form)(lab.array(2.0)) for form in forms)


@scenario("packing/same-variable-twice", answer=[np.array(6.0), {"again": np.array(6.0)}])
def it_appears_twice(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    return jacrev(lambda: w**2, [w, {"again": w}])()


@scenario("packing/unread-variable", answer=[np.diag([1.0, 1.0]), np.zeros((2, 3))])
def an_unread_variable_gives_zeros(lab: Lab) -> Any:
    w, unread = Variable(lab.array([1.0, 2.0])), Variable(lab.array([1.0, 2.0, 3.0]))
    return jacrev(lambda: w * 1.0, [w, unread])()


@scenario("packing/unread-variable", answer=(np.zeros((2, 2)), np.array([1.0, 1.0])))
def an_argument_that_is_not_used_gives_zeros_too(lab: Lab) -> Any:
    constant = lab.array([1.0, 1.0])
    return jacrev(lambda x: constant, return_value=True)(lab.array([1.0, 2.0]))


@scenario("packing/block", answer=np.arange(24.0).reshape(2, 1, 3, 4))
def the_output_shape_comes_before_the_input_shape(lab: Lab) -> Any:
    weights = lab.array(np.arange(24.0).reshape(2, 12))
    reshape = lab.xp.reshape
    return jacrev(lambda x: reshape(weights @ reshape(x, (12,)), (2, 1)))(lab.array(np.ones((3, 4))))


@scenario("packing/block", answer=np.array([[1.0, 2.0], [3.0, 4.0]]))
def a_row_for_each_output_a_column_for_each_input(lab: Lab) -> Any:
    return jacrev(lambda x: lab.xp.stack([x[0] + 2 * x[1], 3 * x[0] + 4 * x[1]]))(lab.array([1.0, 1.0]))


@scenario("packing/block", answer=(Array([[2.0]], "float32"), Array([[3.0]], "float64")))
def each_block_has_the_dtype_of_its_input(lab: Lab) -> Any:
    x, y = lab.array([3.0], "float32"), lab.array([2.0], "float64")
    return jacrev(lambda x, y: x * y, argnums=(0, 1))(x, y)


@scenario("packing/block", answer=lambda lab: Array(np.array(6.0), "float64", lab.last_device_name))
def a_block_is_on_the_device_of_its_input(lab: Lab) -> Any:
    x = lab.backend.asarray(lab.array(3.0), device=lab.last_device)
    return jacrev(lambda x: x * x)(x)


# ---- trees ---------------------------------------------------------------------------------------------------------


@scenario(
    "packing/nesting",
    answer=(
        {"sum": {"w": np.array(1.0)}, "product": {"w": np.array(2.0)}},
        {"sum": [np.array(1.0)], "product": [np.array(3.0)]},
    ),
)
def outputs_outside_inputs_inside_the_pair_outermost(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    f = lambda x: {"sum": w + x[0], "product": w * x[0]}  # noqa: E731
    return jacrev(f, {"w": w}, argnums=0)([lab.array(2.0)])


@scenario("packing/nesting", answer=[(np.array(2.0), np.array(1.0)), (np.array(1.0), np.array(1.0))])
def a_sequence_of_arguments_is_the_inner_tree(lab: Lab) -> Any:
    return jacrev(lambda x, y: [x * y, x + y], argnums=(0, 1))(lab.array(1.0), lab.array(2.0))


class Pair(NamedTuple):
    """A namedtuple, which has to come back as one."""

    first: Any
    second: Any


@optree.dataclasses.dataclass(namespace="anyjac")  # type: ignore[call-overload]
class Point:
    """A dataclass that the tree library knows."""

    x: Any
    y: Any


CONTAINERS: dict[str, Any] = {
    "a dict in insertion order": lambda a, b: {"b": a, "a": b},
    "an OrderedDict": lambda a, b: OrderedDict([("z", a), ("a", b)]),
    "a namedtuple": lambda a, b: Pair(a, b),
    "a registered dataclass": lambda a, b: Point(a, b),
    "keys of mixed types": lambda a, b: {"one": a, 1: b, (2, "x"): None},
    "None in place": lambda a, b: [None, a, {"n": None, "b": b}, (None,)],
    "deep nesting": lambda a, b: {"k": [(a, {"deeper": [b]})]},
}


def _containers_of_variables(container: Any, lab: Lab) -> Any:
    a, b = Variable(lab.array(3.0)), Variable(lab.array(4.0))
    return jacrev(lambda: a * b, container(a, b))()


def _containers_of_inputs(container: Any, lab: Lab) -> Any:
    flatten = optree.tree_leaves

    def f(tree: Any) -> Any:
        a, b = flatten(tree, namespace="anyjac")
        return a * b

    return jacrev(f)(container(lab.array(3.0), lab.array(4.0)))


def _containers_of_outputs(container: Any, lab: Lab) -> Any:
    return jacrev(lambda x: container(4 * x, 3 * x), return_value=True)(lab.array(1.0))


def _add_containers() -> None:
    four, three = np.array(4.0), np.array(3.0)
    for name, container in CONTAINERS.items():
        blocks = container(four, three)
        for where, observe, answer in (
            ("grad_vars", _containers_of_variables, blocks),
            ("an argument", _containers_of_inputs, blocks),
            ("the output", _containers_of_outputs, (blocks, blocks)),
        ):
            observed = functools.partial(observe, container)
            scenario.add(Scenario(f"{name} in {where}", "packing/containers", observed, answer))


_add_containers()


@scenario("packing/grad-vars-frozen", answer=[np.array(4.0)])
def a_list_that_changes_later_changes_nothing(lab: Lab) -> Any:
    a, b = Variable(lab.array(3.0)), Variable(lab.array(4.0))
    listed = [a]
    transform = jacrev(lambda: a * b, listed)
    listed.append(b)
    return transform()


PAIR = ({"w": [np.array([[2.0]])]}, {"x": [np.array([[3.0]])]})


@scenario("packing/pair", answer=(PAIR, PAIR))
def the_pair_equals_the_single_results(lab: Lab) -> Any:
    w = Variable(lab.array([3.0]))
    f = lambda tree: w * tree["x"][0]  # noqa: E731
    x = {"x": [lab.array([2.0])]}
    grad_vars = {"w": [w]}
    return jacrev(f, grad_vars, 0)(x), (jacrev(f, grad_vars)(x), jacrev(f, argnums=0)(x))


# ---- aux and value -------------------------------------------------------------------------------------------------


@scenario("packing/aux-pair", answer=(np.array(2.0), "aux"))
def a_list_of_two_is_a_pair(lab: Lab) -> Any:
    return jacrev(lambda x: [2 * x, "aux"], has_aux=True)(lab.array(1.0))


for _name, _returned in {
    "a bare value": lambda x: x,
    "a tuple of one": lambda x: (x,),
    "a tuple of three": lambda x: (x, x, x),
    "a dict of two": lambda x: {"a": x, "b": x},
    "None": lambda x: None,
}.items():
    scenario.add(
        Scenario(
            f"{_name} is refused",
            "packing/aux-pair",
            lambda lab, f=_returned: jacrev(f, has_aux=True)(lab.array([1.0, 2.0])),  # type: ignore[misc]
            Raises(OutputError, "has_aux=True", "pair"),
        )
    )


@scenario("packing/aux-untouched", answer=["text", None, 1, True, 2.5, {"b": (3,), "a": [None]}])
def plain_objects_keep_type_and_value(lab: Lab) -> Any:
    aux = ["text", None, 1, True, 2.5, {"b": (3,), "a": [None]}]
    return jacrev(lambda x: (x, aux), has_aux=True)(lab.array(1.0))[1]


@scenario("packing/aux-untouched", answer={"object": True, "list": True})
def an_object_of_any_class_is_the_very_same(lab: Lab) -> Any:
    thing, tree = object(), [object(), "x"]
    transform = jacrev(lambda x, aux: (x, aux), has_aux=True)
    auxes = {"object": thing, "list": tree}
    return {kind: transform(lab.array(1.0), aux)[1] is aux for kind, aux in auxes.items()}


@scenario("packing/aux-untouched", answer={"traced": np.array(3.0), "constant": np.array([1, 2]), "name": "x"})
def arrays_in_aux_come_back_untraced(lab: Lab) -> Any:
    counts = lab.array([1, 2], "int64")
    f = lambda x: (x, {"traced": 3 * x, "constant": counts, "name": "x"})  # noqa: E731
    return jacrev(f, has_aux=True)(lab.array(1.0))[1]


@scenario("packing/loss-value", answer=([np.array(3.0), {"y": np.array([2.0])}], 5.0))
def the_value_has_its_own_tree(lab: Lab) -> Any:
    f = lambda x: [3 * x, {"y": lab.xp.reshape(2 * x, (1,))}]  # noqa: E731
    number = jacrev(lambda x: 5.0, return_value=True)(lab.array(1.0))[1]
    return jacrev(f, return_value=True)(lab.array(1.0))[1], number
