"""Objects that are arrays by protocol are taken for the arrays that they hold, or refused where more would be lost."""

import array
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anyjac
from anyjac import Variable

VALUES = np.array([1.0, 2.0])

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass")


class ByArray:
    """As a Series of pandas, or a DataArray of xarray."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.values


class ByJax:
    def __init__(self, values: Any) -> None:
        self.values = values

    def __jax_array__(self) -> Any:
        return self.values


class ByInterface:
    @property
    def __array_interface__(self) -> Any:
        return VALUES.__array_interface__


class ByDlpack:
    def __dlpack__(self, **options: Any) -> Any:
        return VALUES.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return VALUES.__dlpack_device__()


class Quantity(np.ndarray):
    @property
    def unit(self) -> str:
        return "mV"


class UnitOfProtocol(ByArray):
    units = "mV"


ARRAYS: dict[str, Callable[[], Any]] = {
    "__array__": lambda: ByArray(VALUES),
    "__array_interface__": ByInterface,
    "__dlpack__": ByDlpack,
    "array.array": lambda: array.array("d", VALUES),
    "a memoryview": lambda: memoryview(VALUES),
    "a matrix": lambda: np.matrix(VALUES),
    "a masked array without a mask": lambda: np.ma.array(VALUES),
    "a masked array that masks nothing": lambda: np.ma.array(VALUES, mask=[False, False]),
    "a subclass of NumPy's": lambda: VALUES.view(type("Named", (np.ndarray,), {})),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_what_is_an_array_by_protocol_is_a_value_and_an_argument(backend: anyjac.Backend, kind: str) -> None:
    given, expected = ARRAYS[kind](), np.atleast_2d(VALUES) if kind == "a matrix" else VALUES
    v = Variable(given, backend=backend)
    assert backend.is_array(v.value)
    np.testing.assert_array_equal(backend.to_numpy(v.value), expected)
    v.value = ARRAYS[kind]()
    gradient = anyjac.grad(lambda x: (x * x).sum(), backend=backend)(given)
    assert backend.is_array(gradient)
    np.testing.assert_array_equal(backend.to_numpy(gradient), 2 * expected)
    np.testing.assert_array_equal(anyjac.jvp(lambda x: 3 * x, backend=backend)(given, given), 3 * expected)


def test_a_constant_of_a_program_of_jax_is_an_array() -> None:
    constants = jax.make_jaxpr(lambda x: x * VALUES)(1.0).consts
    for constant in constants:
        assert isinstance(Variable(constant, backend="jax").value, jax.Array)
    assert constants


@pytest.mark.parametrize("given", [ByJax(jnp.asarray(VALUES)), {"w": ByJax(jnp.asarray(VALUES))}])
def test_what_jax_takes_for_an_array_chooses_jax(given: Any) -> None:
    assert Variable(given).backend.name == "jax"
    found = anyjac.grad(lambda x: ((x["w"] if isinstance(x, dict) else x) ** 2).sum())(given)
    assert isinstance(found["w"] if isinstance(given, dict) else found, jax.Array)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a mask": (lambda: np.ma.array(VALUES, mask=[0, 1]), anyjac.InputTypeError, "1 of 2 elements are masked"),
    "a unit": (lambda: VALUES.view(Quantity), anyjac.InputTypeError, "Quantity, whose units would be lost"),
    "units": (lambda: UnitOfProtocol(VALUES), anyjac.InputTypeError, "UnitOfProtocol, whose units would be lost"),
    "text": (lambda: ByArray(np.array(["a"])), anyjac.DtypeError, "ByArray, which gives an array of dtype <U1"),
    "objects": (lambda: ByArray(np.array([None])), anyjac.DtypeError, "ByArray, which gives an array of dtype object"),
    "no array": (lambda: ByJax("text"), anyjac.InputTypeError, "ByJax, which gives a str and no array"),
    "an error": (lambda: ByArray(3), anyjac.InputTypeError, "ByArray, which should be an array and fails to give one"),
    "bytes": (lambda: b"ab", anyjac.InputTypeError, "bytes"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_would_lose_more_than_its_form_is_refused_by_name(backend: anyjac.Backend, reason: str) -> None:
    make, error, said = REFUSED[reason]
    with pytest.raises(error, match=said) as at_variable:
        Variable(make(), backend=backend)
    assert str(at_variable.value).startswith("value is")
    with pytest.raises(error, match=said) as at_argument:
        anyjac.grad(lambda d: d["w"], backend=backend)({"w": make()})
    assert str(at_argument.value).startswith("argument 0['w'] is")


@pytest.mark.parametrize(
    "kind", ["__array__", "array.array", "a memoryview", "a matrix", "a masked array without a mask"]
)
def test_jit_takes_what_is_an_array_by_protocol_for_the_array_that_it_holds(backend: anyjac.Backend, kind: str) -> None:
    expected = np.atleast_2d(VALUES) if kind == "a matrix" else VALUES
    compiled = anyjac.jit(lambda x: x * x, backend=backend)
    np.testing.assert_array_equal(backend.to_numpy(compiled(ARRAYS[kind]())), expected**2)


def test_jit_sees_that_an_object_holds_other_numbers(backend: anyjac.Backend) -> None:
    held = ByArray(VALUES)
    compiled = anyjac.jit(lambda x: 2.0 * x, backend=backend)
    found = [backend.to_numpy(compiled(held)).tolist()]
    held.values = 10.0 * VALUES
    assert [*found, backend.to_numpy(compiled(held)).tolist()] == [[2.0, 4.0], [20.0, 40.0]]


def test_a_static_memoryview_is_refused_by_name(backend: anyjac.Backend) -> None:
    compiled = anyjac.jit(lambda x, view: x * len(view), static_argnums=1, backend=backend)
    with pytest.raises(anyjac.InputTypeError, match=r"args\[1\] is static and not hashable"):
        compiled(backend.asarray(VALUES), memoryview(array.array("d", VALUES)))
