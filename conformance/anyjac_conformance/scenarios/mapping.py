"""Scenarios: `vmap`, on backends with a vectorising map, and on backends that take the examples in turn."""

from __future__ import annotations

from typing import Any

import numpy as np

from anyjac import InputValueError, OutputError, Variable, VariableWriteError, float0, grad, hessian, jacrev, vmap

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()

BATCH = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


# ---- results -------------------------------------------------------------------------------------------------------


@scenario("vmap/results", answer=(BATCH**2, {"sum": BATCH.sum(axis=1)}, (3,)))
def trees_get_one_more_axis(lab: Lab) -> Any:
    one: Any = 1.0  # a number, of which an array of numbers is made
    squares, sums, ones = vmap(lambda x: (x * x, {"sum": lab.xp.sum(x)}, one))(lab.array(BATCH))
    return squares, sums, tuple(ones.shape)


@scenario("vmap/results", answer=[3 * BATCH] * 4)
def any_number_of_examples_at_once(lab: Lab) -> Any:
    return [vmap(lambda x: 3 * x, chunk_size=size)(lab.array(BATCH)) for size in (None, 1, 2, 7)]


@scenario("vmap/results", answer=np.array([np.diag(2 * row) for row in BATCH]))
def jacobians_of_each_example(lab: Lab) -> Any:
    return vmap(jacrev(lambda x: x * x))(lab.array(BATCH))


@scenario("vmap/results", answer=(np.array([2.0, 3.0]), np.zeros(2, float0)))
def derivatives_by_integers_of_each_example(lab: Lab) -> Any:
    both = jacrev(lambda x, n: n * x, argnums=(0, 1), allow_int=True)
    return vmap(both)(lab.array([5.0, 7.0]), lab.array([2, 3], "int64"))


@scenario("vmap/results", answer=np.array([np.diag(6 * row) for row in BATCH]), requires=("nested",))
def hessians_of_each_example(lab: Lab) -> Any:
    return vmap(hessian(lambda x: lab.xp.sum(x**3)))(lab.array(BATCH))


# d/dX of sum over examples of (sum x)^2 is 2 (sum x) for each element
@scenario("vmap/results", answer=np.repeat(2 * BATCH.sum(axis=1), 2).reshape(3, 2))
def a_gradient_through_the_map(lab: Lab) -> Any:
    mapped = vmap(lambda x: lab.xp.sum(x) ** 2)
    return grad(lambda batch: lab.xp.sum(mapped(batch)))(lab.array(BATCH))


@scenario("vmap/results", answer=np.multiply.outer(BATCH[0], BATCH[1]))
def a_map_in_a_map(lab: Lab) -> Any:
    outer = vmap(vmap(lambda x, y: x * y, in_axes=(None, 0)), in_axes=(0, None))
    return outer(lab.array(BATCH[0]), lab.array(BATCH[1]))


# ---- axes ----------------------------------------------------------------------------------------------------------


@scenario("vmap/axes", answer=(10 * BATCH.T, BATCH.T))
def axes_of_arguments_and_outputs(lab: Lab) -> Any:
    f = lambda d, factor: (d["x"] * factor, d["x"])  # noqa: E731
    by_column = vmap(f, in_axes=({"x": 1}, None), out_axes=(0, -2))
    return by_column({"x": lab.array(BATCH)}, 10.0)


@scenario("vmap/axes", answer={"product": BATCH[:2] @ BATCH[:2], "x": BATCH[:2].T})
def axes_in_a_dict_belong_to_its_keys(lab: Lab) -> Any:
    f = lambda d: {"product": d["x"] @ d["y"], "x": d["x"]}  # noqa: E731
    mapped = vmap(f, in_axes=({"y": None, "x": 0},), out_axes={"x": 1, "product": 0})
    return mapped({"x": lab.array(BATCH[:2]), "y": lab.array(BATCH[:2])})


@scenario("vmap/axes", answer=[np.array([2.0, 6.0]), np.array([2.0, 6.0])])
def an_unmapped_argument_and_a_keyword_are_as_they_are(lab: Lab) -> Any:
    f = lambda x, how: 2 * x if how == "twice" else x  # noqa: E731
    x = lab.array([1.0, 3.0])
    return [vmap(f, in_axes=(0, None))(x, "twice"), vmap(f)(x, how="twice")]


@scenario("vmap/axes", answer=BATCH * BATCH[:, :1])
def a_keyword_argument_is_mapped_over_where_kwarg_axes_says_so(lab: Lab) -> Any:
    batch = lab.array(BATCH)
    return vmap(lambda x, *, y: x * y, kwarg_axes={"y": 0})(batch, y=batch[:, 0])


@scenario("vmap/axes", answer=(np.array(6.0), BATCH))
def what_is_the_same_for_all_examples_comes_back_once(lab: Lab) -> Any:
    v = Variable(lab.array(3.0))
    return vmap(lambda x: (v * 2.0, x), out_axes=(None, 0))(lab.array(BATCH))


@scenario("vmap/axes", answer=Raises(OutputError, "output", "different for each example", "out_axes"))
def what_differs_between_examples_does_not_come_back_once(lab: Lab) -> Any:
    return vmap(lambda x: x, out_axes=None)(lab.array(BATCH))


@scenario("vmap/axes", answer=np.zeros((2, 0)))
def an_axis_of_no_elements_gives_empty_results(lab: Lab) -> Any:
    return vmap(lambda x: 2 * x, out_axes=1)(lab.array(np.zeros((0, 2))))


@scenario("vmap/axes", answer=Raises(InputValueError, "argument 1", "3", "2"))
def sizes_that_differ_are_refused(lab: Lab) -> Any:
    return vmap(lambda x, y: x)(lab.array(BATCH), lab.array([1.0, 2.0]))


@scenario("vmap/axes", answer=Raises(InputValueError, "argument 0", "(3, 2)", "2"))
def an_axis_that_is_not_there_is_refused(lab: Lab) -> Any:
    return vmap(lambda x: x, in_axes=2)(lab.array(BATCH))


@scenario("vmap/axes", answer=Raises(OutputError, "output['name']", "text"))
def an_output_that_is_no_array_is_refused(lab: Lab) -> Any:
    return vmap(lambda x: {"name": "text"})(lab.array(BATCH))


# ---- Variables -----------------------------------------------------------------------------------------------------


@scenario("vmap/variables", answer=({"w": BATCH}, np.array([[3.0, 4.0]] * 3)))
def gradients_of_each_example_for_variables(lab: Lab) -> Any:
    w = Variable(lab.array([3.0, 4.0]))
    return vmap(grad(lambda x: lab.xp.sum(w * x), {"w": w}, 0))(lab.array(BATCH))


@scenario("vmap/variables", answer=np.array([2.0, 6.0]))
def what_a_variable_holds_is_mapped_over_as_an_argument(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 3.0]))
    return vmap(lambda x: 2 * x)(v)


@scenario("vmap/writes", answer=Raises(VariableWriteError, "'count'", "vmap"))
def a_write_is_refused(lab: Lab) -> Any:
    count = Variable(lab.array(0.0), name="count")

    def f(x: Any) -> Any:
        count.value = count + 1.0
        return x

    return vmap(f)(lab.array(BATCH))


WAYS_TO_WRITE = ("at an index", "in place", "in a transform", "of what is mapped")


@scenario(
    "vmap/writes", answer=(dict.fromkeys(WAYS_TO_WRITE, "VariableWriteError"), np.array([1.0, 2.0]), np.array(0.0))
)
def nothing_of_a_refused_write_remains(lab: Lab) -> Any:
    w, count = Variable(lab.array([1.0, 2.0])), Variable(lab.array(0.0))

    def at_an_index(x: Any) -> Any:
        w[0] = 7.0
        return w * x

    def in_place(x: Any) -> Any:
        array = w.value
        try:
            array[0] = 7.0
        except TypeError:  # the framework's arrays are immutable
            w[0] = 7.0
        return array * x

    def in_a_transform(x: Any) -> Any:
        return jacrev(counted)(x)

    def counted(x: Any) -> Any:
        count.value = count + 1.0
        return x

    def of_what_is_mapped(x: Any) -> Any:
        w.value = x
        return x

    raised = {}
    for way, f in zip(WAYS_TO_WRITE, (at_an_index, in_place, in_a_transform, of_what_is_mapped), strict=True):
        try:
            raised[way] = vmap(f)(lab.array(BATCH))
        except VariableWriteError as error:
            raised[way] = type(error).__name__
    return raised, w.value, count.value


@scenario("vmap/writes", answer=BATCH + 1)
def a_variable_that_is_made_for_an_example_may_be_written(lab: Lab) -> Any:
    def f(x: Any) -> Any:
        own = Variable(x)
        own.value = own + 1.0
        return own.value

    return vmap(f)(lab.array(BATCH))
