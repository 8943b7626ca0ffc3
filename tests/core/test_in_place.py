"""In-place operators with traced numbers: they write Variables, and no array in silence that others look at."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Variable

START = np.array([[1.5, 2.0], [0.5, 3.0]])
X = np.array([[0.4, 1.2], [2.0, 0.7]])

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
}


# As users write them: Python reads, changes in place and stores.


def add_to_value(v: Any, x: Any) -> None:
    v.value += x


def add_to_variable(v: Any, x: Any) -> None:
    v += x


def add_to_element(v: Any, x: Any) -> None:
    v[0, 1] += x[0, 1]


def add_to_row(v: Any, x: Any) -> None:
    v[0] += x[0]


def add_to_column(v: Any, x: Any) -> None:
    v[:, 1] += x[0]


def add_to_some(v: Any, x: Any) -> None:
    v[np.array([1, 0])] += x


def add_to_masked(v: Any, x: Any) -> None:
    v[START > 1.0] += x.reshape(-1)[:3]


def add_twice(v: Any, x: Any) -> None:
    v.value += x
    v.value *= x


def add_a_plain_number_first(v: Any, x: Any) -> None:
    v.value += 1.0
    v.value -= x
    v.value += 2.0


def add_through_a_name(v: Any, x: Any) -> None:
    value = v.value + 0 * x
    value += x
    v.value = value


WRITTEN: dict[str, tuple[Callable[[Any, Any], None], Callable[[Any, Any], Any]]] = {
    "value": (add_to_value, lambda v, x: v + x),
    "variable": (add_to_variable, lambda v, x: v + x),
    "element": (add_to_element, lambda v, x: anyjac.at(v)[0, 1].add(x[0, 1])),
    "row": (add_to_row, lambda v, x: anyjac.at(v)[0].add(x[0])),
    "column": (add_to_column, lambda v, x: anyjac.at(v)[:, 1].add(x[0])),
    "chosen rows": (add_to_some, lambda v, x: anyjac.at(v)[np.array([1, 0])].add(x)),
    "masked": (add_to_masked, lambda v, x: anyjac.at(v)[START > 1.0].add(x.reshape(-1)[:3])),
    "twice": (add_twice, lambda v, x: (v + x) * x),
    "after a plain number": (add_a_plain_number_first, lambda v, x: v + 3.0 - x),
    "through a name": (add_through_a_name, lambda v, x: v + x),
}
"""What users write, and the value that it means."""


@pytest.mark.parametrize("name", WRITTEN)
def test_what_users_write_in_place_is_the_variable_with_its_derivative(name: str, backend: anyjac.Backend) -> None:
    write, meant = WRITTEN[name]
    v = Variable(backend.asarray(START))
    x = backend.asarray(X)

    def f(x: Any) -> Any:
        write(v, x)
        return v.value * v.value

    jacobian, value = anyjac.jacrev(f, return_value=True)(x)
    expected = anyjac.jacrev(lambda x: meant(backend.asarray(START), x) ** 2)(x)
    np.testing.assert_allclose(backend.to_numpy(jacobian), backend.to_numpy(expected), rtol=1e-12)
    np.testing.assert_allclose(backend.to_numpy(v.value) ** 2, backend.to_numpy(value), rtol=1e-12)
    assert not backend.is_traced(v.value)


# ---- the NumPy backend ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", OPERATORS)
def test_every_operator_writes_the_value_of_a_variable(symbol: str) -> None:
    plain, v = OPERATORS[symbol], Variable(START)

    def f(x: Any) -> Any:
        exec(f"v.value {symbol}= x", {"v": v, "x": x})
        return v.value

    np.testing.assert_allclose(anyjac.jacrev(f)(X), anyjac.jacrev(lambda x: plain(START, x))(X), rtol=1e-12)
    np.testing.assert_allclose(v.value, plain(START, X))


@pytest.mark.parametrize("symbol", ["&", "|", "^", "<<", ">>"])
def test_operators_of_integers_are_refused_for_traced_numbers_as_for_plain_floats(symbol: str) -> None:
    v = Variable(START)

    def f(x: Any) -> Any:
        exec(f"v.value {symbol}= x", {"v": v, "x": x})
        return v.value

    with pytest.raises(TypeError):
        anyjac.jacrev(f)(X)
    assert np.array_equal(v.value, START)


def an_array_of_ones(v: Any, x: Any) -> Any:
    c = np.ones((2, 2))
    c += x
    return c


def a_view_of_it(v: Any, x: Any) -> Any:
    c = np.ones((2, 2))
    c[0] += x[0]
    return c


def the_value_under_another_name(v: Any, x: Any) -> Any:
    kept = v.value
    v.value += x
    return kept


def the_value_by_a_name(v: Any, x: Any) -> Any:
    value = v.value
    value += x
    return v.value


def a_view_of_the_value(v: Any, x: Any) -> Any:
    row = v.value[0]
    v.value += x
    return row


def a_view_by_a_name(v: Any, x: Any) -> Any:
    row = v[0]
    row += x[0]
    return v.value


def a_global_array(v: Any, x: Any) -> Any:
    global _shared
    _shared += x
    return _shared


def the_array_of_an_attribute(v: Any, x: Any) -> Any:
    class Plain:
        value = np.ones((2, 2))

    Plain.value += x
    return Plain.value


def an_element_of_a_list(v: Any, x: Any) -> Any:
    arrays = [np.ones((2, 2))]
    arrays[0] += x
    return arrays[0]


def out_of_a_function(v: Any, x: Any) -> Any:
    c = np.ones((2, 2))
    np.add(c, x, out=c)
    return c


def out_of_the_value(v: Any, x: Any) -> Any:
    np.add(1.0, x, out=v.value)
    return v.value


_shared = np.ones((2, 2))

REFUSED = (
    *(an_array_of_ones, a_view_of_it, the_value_under_another_name, the_value_by_a_name, a_view_of_the_value),
    *(a_view_by_a_name, a_global_array, the_array_of_an_attribute, an_element_of_a_list, out_of_a_function),
)


@pytest.mark.parametrize("body", REFUSED)
def test_traced_numbers_for_an_array_that_others_look_at_are_refused_by_name(body: Callable[[Any, Any], Any]) -> None:
    v = Variable(START)
    with pytest.raises(
        anyjac.InputTypeError, match=r"cannot hold them, .*anyjac\.at\(a\)\[index\]\.add\(b\).*v\.value \+= b"
    ):
        anyjac.jacrev(lambda x: body(v, x))(X)
    assert np.array_equal(v.value, START)
    assert np.array_equal(_shared, np.ones((2, 2)))


def test_an_element_of_the_value_of_a_variable_names_the_mend() -> None:
    v = Variable(START)

    def f(x: Any) -> Any:
        v.value[0] += x[0]
        return v.value

    with pytest.raises(anyjac.InputTypeError, match=r"anyjac\.at\(a\)\[index\]\.add\(b\)"):
        anyjac.jacrev(f)(X)
    assert np.array_equal(v.value, START)


def test_a_result_for_the_value_of_a_variable_is_written_to_it() -> None:
    v = Variable(START)
    jacobian = anyjac.jacrev(lambda x: out_of_the_value(v, x))(X)
    assert np.array_equal(jacobian, np.eye(4).reshape(2, 2, 2, 2))
    assert np.array_equal(v.value, 1.0 + X)


def test_an_array_in_the_tree_of_a_variable_is_changed_in_place() -> None:
    v = Variable({"a": START, "b": np.ones(2)})

    def f(x: Any) -> Any:
        v.value["a"] += x
        return v.value["a"] ** 2

    expected = anyjac.jacrev(lambda x: (START + x) ** 2)(X)
    np.testing.assert_allclose(anyjac.jacrev(f)(X), expected)
    assert np.array_equal(v.value["a"], START + X)


def test_the_dtype_of_the_variable_stays_and_a_wrong_shape_is_refused() -> None:
    v = Variable(START.astype(np.float32))

    def f(x: Any) -> Any:
        v.value += x
        return v.value

    assert anyjac.jacrev(f, return_value=True)(X)[1].dtype == np.float32
    assert v.value.dtype == np.float32
    w = Variable(np.ones(2))

    def g(x: Any) -> Any:
        w.value += x
        return w.value

    with pytest.raises(ValueError, match="and is to write one of"):
        anyjac.jacrev(g)(X)


def test_inner_and_outer_calls_each_write_their_own_value() -> None:
    v = Variable(2.0)

    def inner(x: Any) -> Any:
        v.value += x
        return v.value * x

    def outer(x: Any) -> Any:
        v.value *= x
        return anyjac.grad(inner)(x) + v.value

    # v = 2x, then 2x + y; the inner derivative of (2x + y) y by y is 2x + 2y = 4x, and v = 3x stays
    assert anyjac.grad(outer)(5.0) == pytest.approx(7.0)
    assert v.value == 15.0


def test_a_step_of_a_model_is_differentiated_through_its_state() -> None:
    class Neuron:
        def __init__(self) -> None:
            self.V = Variable(np.array([0.1, 0.2]))

        def __call__(self, current: Any) -> Any:
            for _ in range(3):
                self.V.value += 0.1 * (current - self.V.value)
            return self.V.value

    neuron = Neuron()
    np.testing.assert_allclose(anyjac.jacrev(neuron)(np.ones(2)), np.eye(2) * (1 - 0.9**3))
    np.testing.assert_allclose(anyjac.jacrev(neuron, neuron.V)(np.ones(2)), np.eye(2) * 0.9**3)


# Containers that a Variable's value is made of, on every backend.


def set_in_a_dict(v: Any, x: Any) -> None:
    v.value["a"] = v.value["a"] + x


def set_in_a_list_in_it(v: Any, x: Any) -> None:
    v.value["more"][0] = v.value["more"][0] + x


def update_the_dict(v: Any, x: Any) -> None:
    v.value.update(a=v.value["a"] + x)


def set_after_an_assignment(v: Any, x: Any) -> None:
    v.value = {"a": v.value["a"], "more": [v.value["more"][0]]}
    v.value["a"] = v.value["a"] + x


CONTAINER_WRITES = [set_in_a_dict, set_in_a_list_in_it, update_the_dict, set_after_an_assignment]


def tree_variable(backend: anyjac.Backend) -> Variable:
    return Variable({"a": backend.asarray(np.ones(2)), "more": [backend.asarray(np.ones(2))]}, backend=backend)


def in_numpy(backend: anyjac.Backend, v: Variable) -> list[list[float]]:
    return [backend.to_numpy(array).tolist() for array in (v.value["a"], v.value["more"][0])]


@pytest.mark.parametrize("write", CONTAINER_WRITES)
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "jit"])
def test_what_is_put_into_a_container_of_a_variable_is_seen_and_stored(
    backend: anyjac.Backend, write: Callable[[Any, Any], None], compiled: bool
) -> None:
    v = tree_variable(backend)
    x = backend.asarray(np.array([2.0, 3.0]))

    def f(x: Any) -> Any:
        write(v, x)
        return (v.value["a"] + v.value["more"][0]) * x

    expected = np.diag(2.0 + 2.0 * np.array([2.0, 3.0]))
    jacobian = anyjac.jit(anyjac.jacrev(f)) if compiled else anyjac.jacrev(f)
    np.testing.assert_allclose(backend.to_numpy(jacobian(x)), expected, rtol=1e-6)
    changed, same = (1, 0) if write is set_in_a_list_in_it else (0, 1)
    assert in_numpy(backend, v)[changed] == [3.0, 4.0]
    assert in_numpy(backend, v)[same] == [1.0, 1.0]
    jacobian(x)
    assert in_numpy(backend, v)[changed] == [5.0, 7.0]


@pytest.mark.parametrize("write", CONTAINER_WRITES)
def test_what_is_put_into_a_container_under_vmap_is_refused(
    backend: anyjac.Backend, write: Callable[[Any, Any], None]
) -> None:
    v = tree_variable(backend)

    def f(x: Any) -> Any:
        write(v, x)
        return v.value["a"] * x

    with pytest.raises(anyjac.VariableWriteError, match="vmap maps"):
        anyjac.vmap(f)(backend.asarray(np.ones((3, 2))))
    assert in_numpy(backend, v) == [[1.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value, x: value["more"].append(x),
        lambda value, x: value.pop("a"),
        lambda value, x: value.update(b=x),
        lambda value, x: value.update(a=x[0]),
        lambda value, x: value.update(a="text"),
    ],
    ids=["longer", "shorter", "another key", "another shape", "text"],
)
def test_a_container_that_does_not_fit_any_more_is_refused(
    backend: anyjac.Backend, spoil: Callable[[Any, Any], Any]
) -> None:
    v = tree_variable(backend)

    def f(x: Any) -> Any:
        spoil(v.value, x)
        return x * 2.0

    with pytest.raises(anyjac.VariableWriteError, match="unnamed Variable"):
        anyjac.jacrev(f)(backend.asarray(np.ones(2)))
    assert in_numpy(backend, v) == [[1.0, 1.0], [1.0, 1.0]]


# Values of Variables that are differentiated, on NumPy, while something else refers to them.


def read_and_add(v: Any) -> Any:
    before = v.value
    v.value += 1.0
    return v.value * before


def add_to_what_was_read(v: Any) -> Any:
    read = v.value
    read += 1.0
    return v.value * read


@pytest.mark.parametrize("function", [read_and_add, add_to_what_was_read])
@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd])
def test_a_traced_value_that_somebody_else_refers_to_is_not_written_in_place(
    function: Callable[[Any], Any], transform: Any
) -> None:
    v = Variable(np.array([1.0, 2.0]))
    with pytest.raises(anyjac.InputTypeError, match="something else refers to it"):
        transform(lambda: function(v), v)()
    assert np.array_equal(v.value, [1.0, 2.0])


def test_a_traced_value_that_nobody_else_refers_to_is_written_in_place() -> None:
    v = Variable(np.array([1.0, 2.0]))

    def f() -> Any:
        before = v.value + 0.0
        v.value += 1.0
        v.value *= 2.0
        before -= 0.5
        return v.value * before

    jacobian, value = anyjac.jacrev(f, v, return_value=True)()
    np.testing.assert_allclose(value, [2.0, 9.0])
    np.testing.assert_allclose(jacobian, np.diag([5.0, 9.0]))
    assert np.array_equal(v.value, [4.0, 6.0])
