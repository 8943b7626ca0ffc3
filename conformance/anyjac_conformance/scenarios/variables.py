"""Scenarios: a Variable as a value, with its content and the behaviour of its array; and how Variables are found."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import anyjac
from anyjac import TrainVar, Variable, VariableWriteError, jacrev, jit

from ..answers import Array, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()


# ---- what it holds -------------------------------------------------------------------------------------------------


@scenario("variables/pytree", answer={"w": np.diag([2.0, 2.0]), "b": [np.array([3.0, 3.0])]})
def a_dict_of_arrays(lab: Lab) -> Any:
    v = Variable({"w": lab.array([1.0, 1.0]), "b": [lab.array(1.0)]})
    return jacrev(lambda: 2 * v["w"] + 3 * v["b"][0], v)()


@scenario("variables/pytree", answer=({"w": np.array(5.0)}, {"w": np.array(3.0)}))
def it_is_written_as_a_whole(lab: Lab) -> Any:
    v = Variable({"w": lab.array(1.0)})
    before = Variable(v).value
    v.value = {"w": lab.array(5.0)}
    assert float(before["w"]) == 1.0

    def f() -> Any:
        v.value = {"w": v["w"] - 2.0}
        return v["w"]

    committed = v.value
    jacrev(f, v)()
    return committed, v.value


def _put_in(lab: Lab, transform: Any) -> Any:
    v = Variable({"w": lab.array([1.0, 1.0]), "b": [lab.array(1.0)]})

    def f(x: Any) -> Any:
        v.value["w"] = v.value["w"] + x
        v.value["b"][0] = v.value["b"][0] * 3.0
        return v.value["w"] * v.value["b"][0]

    return transform(jacrev(f))(lab.array([2.0, 3.0])), v.value


PUT = (np.diag([3.0, 3.0]), {"w": np.array([3.0, 4.0]), "b": [np.array(3.0)]})


@scenario("variables/pytree", answer=PUT)
def what_is_put_into_its_containers_is_stored(lab: Lab) -> Any:
    return _put_in(lab, lambda f: f)


@scenario("variables/pytree", answer=PUT)
def what_is_put_into_its_containers_is_stored_under_jit(lab: Lab) -> Any:
    return _put_in(lab, jit)


@scenario("variables/pytree", answer=Raises(VariableWriteError, "'v'"))
def what_does_not_fit_into_its_containers_is_refused(lab: Lab) -> Any:
    v = Variable([lab.array(1.0)], name="v")

    def f(x: Any) -> Any:
        v.value.append(x)
        return x * 2.0

    return jacrev(f)(lab.array(1.0))


@scenario("variables/pytree", answer=(np.array(2.5), np.array([1.0, 2.0])))
def numbers_and_lists_become_arrays(lab: Lab) -> Any:
    listed = Variable([1.0, 2.0]).value
    xp = lab.xp
    number = xp.astype(Variable(2.5).value, xp.float64)
    return number, xp.astype(xp.stack(list(listed)) if isinstance(listed, list) else listed, xp.float64)


@scenario("variables/pytree", answer=np.array([1.0, 2.0]))
def the_array_it_was_made_of_is_copied(lab: Lab) -> Any:
    given = np.array([1.0, 2.0])
    v = Variable(given)
    given[0] = 7.0
    return v.value


# ---- as an array ---------------------------------------------------------------------------------------------------

BINARY: dict[str, Any] = {
    # name: operator on (v, x) with v = (2, 5), x = (3, 4); dtype follows
    "addition": operator.add,
    "subtraction": operator.sub,
    "multiplication": operator.mul,
    "division": operator.truediv,
    "power": operator.pow,
    "matrix product": operator.matmul,
}

COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


def _binary(op: Any, lab: Lab) -> Any:
    v, x = Variable(lab.array([2.0, 5.0])), lab.array([3.0, 4.0])
    return op(v, x), op(x, v), op(v, v)


for _name, _op in BINARY.items():
    _left, _right = np.array([2.0, 5.0]), np.array([3.0, 4.0])
    _answer = tuple(np.asarray(_op(a, b)) for a, b in ((_left, _right), (_right, _left), (_left, _left)))
    scenario.add(Scenario(_name, "variables/as-array", functools.partial(_binary, _op), _answer))


@scenario("variables/as-array", answer=[np.array([op(2.0, 3.0), op(5.0, 4.0)]) for op in COMPARISONS])
def comparisons(lab: Lab) -> Any:
    v, x = Variable(lab.array([2.0, 5.0])), lab.array([3.0, 4.0])
    return [op(v, x) for op in COMPARISONS]


@scenario("variables/as-array", answer=[np.array([8.0, 125.0]), np.array([1.5, 0.6]), np.array([-1.0, -4.0])])
def numbers_on_the_left_and_on_the_right(lab: Lab) -> Any:
    v = Variable(lab.array([2.0, 5.0]))
    return [v**3, 3.0 / v, 1 - v]


@scenario("variables/as-array", answer=[np.array([-2.0, 5.0]), np.array([2.0, 5.0]), np.array([2.0, -5.0])])
def unary_operators(lab: Lab) -> Any:
    v = Variable(lab.array([2.0, -5.0]))
    return [-v, abs(v), +v]


@scenario(
    "variables/as-array",
    answer={
        "shape": (2, 3),
        "ndim": 2,
        "size": 6,
        "dtype is the array's": True,
        "device is the array's, by ==": True,
        "len": 2,
    },
)
def shape_ndim_size_dtype_device_and_len(lab: Lab) -> Any:
    v = Variable(lab.array(np.ones((2, 3))))
    return {
        "shape": tuple(v.shape),
        "ndim": v.ndim,
        "size": math.prod(v.shape),
        "dtype is the array's": bool(v.dtype == v.value.dtype),
        "device is the array's, by ==": bool(v.device == anyjac.device(v.value)),
        "len": len(v),
    }


@scenario(
    "variables/as-array",
    answer={"[1]": np.array(5.0), "[:1]": np.array([2.0]), "iteration": [np.array(2.0), np.array(5.0)], "in": True},
)
def indexing_slicing_iteration_and_membership(lab: Lab) -> Any:
    v = Variable(lab.array([2.0, 5.0]))
    scalar = lab.xp.asarray(v[1])
    items = [lab.xp.asarray(item) for item in v]
    return {"[1]": scalar, "[:1]": v[:1], "iteration": items, "in": 5.0 in v}


@scenario(
    "variables/as-array", answer={"float": 2.5, "int": 2, "complex": 2.5 + 0j, "bool": True, "index": 8, "text": "2.50"}
)
def conversion_to_numbers(lab: Lab) -> Any:
    v, index = Variable(lab.array(2.5)), Variable(lab.array(1, "int64"))
    numbers = {"float": float(v), "int": int(v), "complex": complex(v), "bool": bool(v)}
    return {**numbers, "index": [7, 8][index], "text": f"{float(v):.2f}"}


@scenario("variables/as-array", answer=True)
def it_is_a_place_and_can_be_a_key(lab: Lab) -> Any:
    v, w = Variable(lab.array(1.0)), Variable(lab.array(1.0))
    return {v: "v", w: "w"}[v] == "v" and len({v, w}) == 2


# ---- protocols -----------------------------------------------------------------------------------------------------


@scenario("variables/protocols", answer=np.diag(np.cos([1.0, 2.0])))
def the_namespace_takes_its_value(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))
    return jacrev(lambda: lab.xp.sin(v.value), v)()


@scenario("variables/protocols", answer=(np.sin([1.0, 2.0]), np.diag(np.cos([1.0, 2.0]))))
def the_namespace_takes_the_variable_itself(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))
    return lab.xp.sin(v), jacrev(lambda: lab.xp.sin(v), v)()


# f = x v with x = (1, 2), v = (3, 4), written in each way that puts the Variable beside a traced array
BESIDE: dict[str, Any] = {
    "x * v": lambda xp, x, v: x * v,
    "v * x": lambda xp, x, v: v * x,
    "multiply(x, v)": lambda xp, x, v: xp.multiply(x, v),
    "multiply(v, x)": lambda xp, x, v: xp.multiply(v, x),
    "stack([x, v])": lambda xp, x, v: xp.prod(xp.stack([x, v]), axis=0),
    "concat((v, x))": lambda xp, x, v: xp.concat((v, x))[:2] * xp.concat((v, x))[2:],
    "where(c, x, v)": lambda xp, x, v: xp.where(x > 0, x, v) * v,
    "matmul": lambda xp, x, v: xp.matmul(xp.eye(2, dtype=xp.float64) * x, v),
}


def _beside(form: Any, lab: Lab) -> Any:
    v = Variable(lab.array([3.0, 4.0]))
    f = lambda x: form(lab.xp, x, v)  # noqa: E731
    x = lab.array([1.0, 2.0])
    return jacrev(f, v, 0)(x), jacrev(f)(x), jacrev(f, v)(x)


for _name, _form in BESIDE.items():
    _of_v, _of_x = np.diag([1.0, 2.0]), np.diag([3.0, 4.0])
    scenario.add(
        Scenario(
            f"beside a traced array in {_name}",
            "variables/protocols",
            functools.partial(_beside, _form),
            ((_of_v, _of_x), _of_x, _of_v),
        )
    )


# The constant Variable is overwritten after it was used; the derivative is with the value that was used.
@scenario("variables/protocols", answer=(np.array(3.0), np.array(3.0), np.array(3.0)))
def its_value_is_taken_when_it_is_used(lab: Lab) -> Any:
    results = []
    for form in (lambda x, v: x * v, lambda x, v: lab.xp.multiply(x, v), lambda x, v: v * x):
        v = Variable(lab.array(3.0))

        def f(x: Any, form: Any = form, v: Variable = v) -> Any:
            y = form(x, v)
            v.value = lab.array(100.0)
            return y

        results.append(jacrev(f)(lab.array(1.0)))
    return tuple(results)


@scenario("variables/protocols", answer=(np.array([0.0, 1.0]), np.array([[0.0, 1.0]])))
def as_an_index_of_a_traced_array(lab: Lab) -> Any:
    index, indices = Variable(lab.array(1, "int64")), Variable(lab.array([1], "int64"))
    x = lab.array([1.0, 2.0])
    return jacrev(lambda x: x[index.value] * 1.0)(x), jacrev(lambda x: x[indices.value])(x)


@scenario("variables/protocols", answer={"__array_namespace__": True, "array_namespace": True})
def it_tells_its_namespace(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))
    found = {"__array_namespace__": v.__array_namespace__(), "array_namespace": anyjac.array_namespace(v)}
    return {how: namespace is lab.xp for how, namespace in found.items()}


@scenario("variables/protocols", answer=[1.0, 2.0])
def numpy_reads_it(lab: Lab) -> Any:
    host: list[float] = np.asarray(Variable(lab.array([1.0, 2.0]))).tolist()
    return host


# ---- in place ------------------------------------------------------------------------------------------------------


@scenario(
    "variables/in-place", answer=(np.array([1.0, 9.0, 3.0]), np.array([0.0, 0.0, 3.0]), np.array([0.0, 0.0, 6.0]))
)
def index_and_operator_outside_a_call(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0, 3.0]))
    v[1] = 9.0
    first = lab.xp.asarray(v.value) + 0.0
    v[:2] = lab.array([0.0, 0.0])
    second = v.value + 0.0
    v *= 2
    return first, second, v.value


# y = (x0, w1 + x0, 3 w2): dy/dw, dy/dx
@scenario(
    "variables/in-place",
    answer=((np.diag([0.0, 1.0, 3.0]), np.array([1.0, 1.0, 0.0])), np.array([5.0, 7.0, 9.0])),
)
def index_and_operator_are_differentiated_through(lab: Lab) -> Any:
    w = Variable(lab.array([1.0, 2.0, 3.0]))

    def f(x: Any) -> Any:
        w[0] = x
        w[1] += x
        w[2] *= 3
        return w.value

    (of_w, of_x) = jacrev(f, w, 0)(lab.array(5.0))
    return (of_w, of_x), w.value


# v - x is halved three times: dv/dv, dv/dx, v
@scenario(
    "variables/in-place",
    answer=((np.diag([0.125, 0.125]), np.diag([0.875, 0.875])), np.array([1.875, 5.5])),
)
def a_step_of_a_model_is_added_to_its_value(lab: Lab) -> Any:
    class Model:
        def __init__(self) -> None:
            self.v = Variable(lab.array([1.0, 2.0]))

        def __call__(self, x: Any) -> Any:
            for _ in range(3):
                self.v.value += 0.5 * (x - self.v.value)
            return self.v.value

    model = Model()
    return jacrev(model, model.v, 0)(lab.array([2.0, 6.0])), model.v.value


# (v + x) x: dv/dx, v
@scenario("variables/in-place", answer=(np.diag([5.0, 14.0]), np.array([6.0, 48.0])))
def a_state_that_is_not_differentiated_takes_traced_numbers(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        v.value += x
        v.value *= x
        return v.value

    return jacrev(f)(lab.array([2.0, 6.0])), v.value


# Either the Variable has it, where arrays can be written, or it has not; everything that shows the Variable agrees.
@scenario("variables/in-place", answer=dict.fromkeys(("derivatives", "the next read", "the next call"), True))
def an_array_that_was_read_is_written_as_the_framework_does_it(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        held = v.value
        held += lab.array([1.0, 1.0])
        return (v.value * x, held * x), v.value + 0.0

    def numbers(array: Any) -> Any:
        return np.array(lab.backend.to_numpy(array))  # a copy, which later writes do not reach

    (read, held), then = jacrev(f, has_aux=True)(lab.array([1.0, 1.0]))
    after = numbers(v.value)
    outside = v.value
    outside += lab.array([1.0, 1.0])
    next_call = numbers(jacrev(lambda x: v * x)(lab.array([1.0, 1.0])))
    of_both = np.diag(numbers(read)), np.diag(numbers(held))
    return {
        "derivatives": np.array_equal(of_both[0], after) and np.array_equal(of_both[1], [2.0, 3.0]),
        "the next read": np.array_equal(numbers(then), after),
        "the next call": np.array_equal(next_call, np.diag(numbers(v.value))),
    }


INPLACE: dict[str, tuple[Any, float]] = {
    # operator          4 op 2
    "iadd": (operator.iadd, 6.0),
    "isub": (operator.isub, 2.0),
    "imul": (operator.imul, 8.0),
    "itruediv": (operator.itruediv, 2.0),
    "ipow": (operator.ipow, 16.0),
}


def _in_place(op: Any, lab: Lab) -> Any:
    v = Variable(lab.array(4.0))
    same = op(v, 2.0)
    return {"the same Variable": same is v, "value": v.value}


for _name, (_op, _result) in INPLACE.items():
    _after = {"the same Variable": True, "value": np.array(_result)}
    scenario.add(Scenario(_name, "variables/in-place", functools.partial(_in_place, _op), _after))


# ---- kinds and types -----------------------------------------------------------------------------------------------


@scenario("variables/train-var", answer=(np.sin([1.0, 2.0]), np.diag(np.cos([1.0, 2.0]))))
def types_of_users_are_taken_by_the_namespace_too(lab: Lab) -> Any:
    class Weight(TrainVar):
        pass

    w = Weight(lab.array([1.0, 2.0]))
    return lab.xp.sin(TrainVar(w)), jacrev(lambda: lab.xp.sin(w), w)()


@scenario("variables/train-var", answer={"trainable": True, "a Variable": True, "w": np.array(2.0)})
def it_is_a_variable_that_is_trainable(lab: Lab) -> Any:
    w = TrainVar(lab.array(3.0))
    grads = jacrev(lambda x: w * x, {"w": w})(lab.array(2.0))
    trainable = w.trainable and not Variable(lab.array(1.0)).trainable
    return {"trainable": trainable, "a Variable": isinstance(w, Variable), **grads}


FIXED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "another shape": (lambda lab: lab.array([1.0, 2.0, 3.0]), ("'rate'", "float64[2]", "float64[3]")),
    "another dtype": (lambda lab: lab.array([1.0, 2.0], "float32"), ("'rate'", "float64[2]", "float32[2]")),
    "a scalar": (lambda lab: 1.0, ("'rate'", "float64[2]", "1.0")),
    "integers": (lambda lab: lab.array([1, 2], "int64"), ("'rate'", "float64[2]", "int64[2]")),
    "another tree": (lambda lab: {"a": lab.array([1.0, 2.0])}, ("'rate'", "tree")),
    "text": (lambda lab: "fast", ("'rate'", "'fast'")),
}


def _write_outside(make: Any, lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]), name="rate")
    v.value = make(lab)


def _write_inside(make: Any, lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]), name="rate")

    def f() -> Any:
        v.value = make(lab)
        return v.value

    return jacrev(f, v)()


for _name, (_make, _fragments) in FIXED.items():
    for _where, _write in (("outside a call", _write_outside), ("inside one", _write_inside)):
        scenario.add(
            Scenario(
                f"{_name} {_where}",
                "variables/fixed",
                functools.partial(_write, _make),
                Raises(VariableWriteError, *_fragments),
            )
        )


@scenario("variables/fixed", answer=(np.array(3.0), Array(np.array(3.0), "float32"), np.array(4)))
def a_python_number_takes_the_dtype(lab: Lab) -> Any:
    wide, narrow, count = (Variable(lab.array(1, dtype)) for dtype in ("float64", "float32", "int64"))
    wide.value, narrow.value, count.value = 3, 3.0, 4
    return wide.value, narrow.value, count.value


@scenario("variables/fixed", answer=({"w": np.array(3.0), "b": np.array(4.0)}, ["w", "b"]))
def a_dict_in_another_order_is_written_by_its_keys(lab: Lab) -> Any:
    v = Variable({"w": lab.array(1.0), "b": lab.array(2.0)})
    v.value = {"b": lab.array(4.0), "w": lab.array(3.0)}
    return v.value, list(v.value)


@scenario("variables/fixed", answer=Raises(VariableWriteError, "int64", "2.5"))
def a_float_does_not_go_into_an_integer(lab: Lab) -> Any:
    Variable(lab.array(1, "int64")).value = 2.5


@scenario(
    "variables/allow-reshape", answer=(np.array([1.0, 2.0, 3.0]), Array(np.array(1.0), "float32"), {"a": np.array(2.0)})
)
def shape_dtype_and_tree_may_change(lab: Lab) -> Any:
    v = Variable(lab.array(1.0), allow_reshape=True)
    seen = []
    for new in (lab.array([1.0, 2.0, 3.0]), lab.array(1.0, "float32"), {"a": lab.array(2.0)}):
        v.value = new
        seen.append(v.value)
    return tuple(seen)


@scenario("variables/allow-reshape", answer=(np.array([1.0, 1.0]), np.array([3.0, 3.0])))
def inside_a_call_too(lab: Lab) -> Any:
    v = Variable(lab.array(3.0), allow_reshape=True)

    def f() -> Any:
        v.value = lab.xp.stack([v.value, v.value])
        return v.value

    return jacrev(f, v)(), v.value


# ---- finding Variables ---------------------------------------------------------------------------------------------


class Cell:
    """A functor with Variables in attributes, containers, nested objects and a cycle."""

    def __init__(self, lab: Lab) -> None:
        self.gate = TrainVar(lab.array(2.0))
        self.states = [Variable(lab.array(3.0)), {"c": Variable(lab.array(5.0))}]
        self.alias = self.gate
        self.label = "cell"
        self.parent = self

    def __call__(self, x: Any) -> Any:
        """Return a number that depends on all three."""
        return self.gate * self.states[0] * x + self.states[1]["c"]  # type: ignore[index]


@scenario("variables/collect", answer=(["gate", "states[0]", "states[1]['c']"], ["gate"]))
def each_once_by_path(lab: Lab) -> Any:
    cell = Cell(lab)
    return list(anyjac.variables(cell)), list(anyjac.train_vars(cell))


@scenario(
    "variables/collect", answer={"gate": np.array(21.0), "states[0]": np.array(14.0), "states[1]['c']": np.array(1.0)}
)
def ready_for_grad_vars(lab: Lab) -> Any:
    cell = Cell(lab)
    return jacrev(cell, anyjac.variables(cell))(lab.array(7.0))


@scenario("variables/collect", answer=dict.fromkeys(("a method", "a partial", "a closure", "a container"), 3))
def through_methods_partials_closures_and_containers(lab: Lab) -> Any:
    cell = Cell(lab)
    ways = {
        "a method": cell.__call__,
        "a partial": functools.partial(cell, 1.0),
        "a closure": lambda x: cell(x),
        "a container": {"models": [cell]},
    }
    return {way: len(anyjac.variables(each)) for way, each in ways.items()}


@scenario("variables/any-callable", answer=[np.array(6.0)] * 5)
def functions_lambdas_partials_methods_and_instances(lab: Lab) -> Any:
    cell = Cell(lab)

    def function(x: Any) -> Any:
        return cell(x)

    callables: list[Callable[..., Any]] = [function, lambda x: cell(x), functools.partial(cell), cell.__call__, cell]
    return [jacrev(each)(lab.array(1.0)) for each in callables]
