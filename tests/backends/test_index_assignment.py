"""``v[index] = value``: NumPy's result and the derivatives in the array and in the value, for every kind of index."""

from typing import Any

import numpy as np
import pytest
from element_indices import INDICES, SHAPE, own_index

import anyjac
from anyjac import Variable, jacrev


def _expected(index: Any, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the array after the assignment, and its derivatives, one element at a time."""
    array = np.arange(12.0).reshape(SHAPE)
    after = array.copy()
    after[index] = value
    of_array, of_value = np.zeros(SHAPE * 2), np.zeros((*SHAPE, *value.shape))
    for where in np.ndindex(SHAPE):
        moved = array.copy()
        moved[where] += 1
        moved[index] = value
        of_array[(..., *where)] = moved - after
    for where in np.ndindex(value.shape):
        moved, changed = array.copy(), value.copy()
        changed[where] += 1
        moved[index] = changed
        of_value[(..., *where)] = moved - after
    return after, of_array, of_value


@pytest.mark.parametrize("kind", ["scalar", "full"])
@pytest.mark.parametrize("name", INDICES)
def test_an_assignment_is_numpy_s_and_is_differentiated(backend: anyjac.Backend, name: str, kind: str) -> None:
    index = INDICES[name]
    selected = np.arange(12.0).reshape(SHAPE)[index]
    value = np.asarray(7.5 if kind == "scalar" else 10 * selected + 1)
    where = own_index(backend, index)
    v = Variable(backend.asarray(np.arange(12.0).reshape(SHAPE)))

    def f(new: Any) -> Any:
        v[where] = new
        return v.value

    (of_array, of_value), result = jacrev(f, v, 0, return_value=True)(backend.asarray(value))
    for found, expected in zip((result, of_array, of_value, v.value), (*_expected(index, value), None), strict=True):
        wanted = _expected(index, value)[0] if expected is None else expected
        assert np.array_equal(backend.to_numpy(found), wanted)


def test_of_two_values_for_one_place_the_later_stays_and_has_the_derivative() -> None:
    v = Variable(np.zeros(3))

    def f(new: Any) -> Any:
        v[np.array([1, 1, 0])] = new
        return v.value

    jacobian = jacrev(f)(np.array([1.0, 2.0, 3.0]))
    assert v.value.tolist() == [3.0, 2.0, 0.0]
    assert jacobian.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_second_derivatives_go_through_an_assignment(backend: anyjac.Backend) -> None:
    def f(x: Any) -> Any:
        local = Variable(x * x)
        local[0] = x[1] ** 3
        return backend.namespace.sum(local.value)

    hessian = jacrev(jacrev(f))(backend.asarray(np.array([5.0, 2.0])))
    assert np.allclose(backend.to_numpy(hessian), [[0.0, 0.0], [0.0, 2.0 + 12.0]])


def test_a_number_is_assigned_in_the_dtype_of_the_array(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.array([1, 2], dtype=np.int32)))
    v[0] = 5
    assert backend.dtype_name(v.dtype) == "int32"
    assert backend.to_numpy(v.value).tolist() == [5, 2]


def test_an_index_out_of_range_is_an_index_error_and_changes_nothing() -> None:
    for name in ("autograd", "torch"):  # JAX clips and drops, as its documentation says
        v = Variable(np.array([1.0, 2.0]), backend=name)
        with pytest.raises(IndexError):
            v[5] = 1.0
        assert np.asarray(v).tolist() == [1.0, 2.0]
