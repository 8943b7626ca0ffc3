"""autograd's array-API namespace: constants, refusals, and calls with plain arrays and boxes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac_autograd.backend import AutogradBackend
from anyjac_autograd.functions import elementwise

XP = anyjac.get_backend("autograd").namespace
LINALG = XP.linalg

VECTOR = np.array([0.31, -0.72, 0.55, 1.27])
OTHER = np.array([1.3, 0.4, -0.9, 0.2])
MATRIX = np.array([[2.1, 0.3, -0.4], [0.2, 1.7, 0.5], [-0.3, 0.6, 1.9]])
BITWISE = {name for name in elementwise.CONSTANT if name.startswith("bitwise")}

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "can_cast": (XP.float64,),
    "equal": (OTHER,),
    "floor_divide": (OTHER,),
    "greater": (OTHER,),
    "greater_equal": (OTHER,),
    "less": (OTHER,),
    "less_equal": (OTHER,),
    "logical_and": (True,),
    "logical_or": (True,),
    "logical_xor": (True,),
    "not_equal": (OTHER,),
    "searchsorted": (OTHER,),
    "isin": (OTHER,),
}


@pytest.mark.parametrize("name", sorted(elementwise.CONSTANT - {"isdtype", "finfo", "iinfo", "matrix_rank"} - BITWISE))
def test_a_function_that_is_constant_almost_everywhere_gives_what_it_gives_for_plain_arrays(name: str) -> None:
    function = getattr(XP, name)
    rest = ARGUMENTS.get(name, ())
    point = np.sort(VECTOR) if name == "searchsorted" else VECTOR
    seen: list[Any] = []

    def body(x: Any) -> Any:
        seen.append(function(x > 0 if name.startswith("logical") else x, *rest))
        return x

    anyjac.jacrev(body)(point)
    plain = function(point > 0 if name.startswith("logical") else point, *rest)
    if name != "empty_like":
        assert str(seen[0]) == str(plain)


@pytest.mark.parametrize("name", sorted(BITWISE))
def test_a_function_of_integers_refuses_floats_traced_or_not(name: str) -> None:
    arguments = () if name == "bitwise_invert" else (1,)
    with pytest.raises(TypeError):
        anyjac.jacrev(lambda x: getattr(XP, name)(x, *arguments))(VECTOR)


def test_the_rank_of_a_traced_matrix_is_a_plain_integer() -> None:
    jacobian = anyjac.jacrev(lambda x: x[0, 0] * int(LINALG.matrix_rank(x)))(MATRIX)
    assert jacobian[0, 0] == 3.0


def test_floor_division_of_traced_arrays_is_constant() -> None:
    assert np.array_equal(anyjac.jacrev(lambda x: x // 0.4)(VECTOR), np.zeros((4, 4)))
    assert np.array_equal(anyjac.jacrev(lambda x: 2.0 // x)(VECTOR), np.zeros((4, 4)))


UNSUPPORTED: dict[str, Callable[[Any], Any]] = {
    "nextafter": lambda x: XP.nextafter(x, OTHER),
    "arange": lambda x: XP.arange(x[0]),
    "svd": lambda x: LINALG.svd(XP.reshape(x, (4, 1))),
    "qr": lambda x: LINALG.qr(XP.reshape(x, (4, 1)), mode="complete"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_function_without_a_derivative_here_is_refused_by_name(name: str) -> None:
    with pytest.raises(anyjac.NotSupportedError, match=name):
        anyjac.jacrev(UNSUPPORTED[name])(VECTOR)


def test_plain_arrays_get_what_array_api_compat_gives() -> None:
    assert np.array_equal(XP.linalg.svdvals(MATRIX), np.linalg.svd(MATRIX, compute_uv=False))
    assert np.array_equal(XP.fft.fft(VECTOR), np.fft.fft(VECTOR))
    assert np.array_equal(XP.cumulative_prod(VECTOR), np.cumprod(VECTOR))


def test_all_backends_of_autograd_share_one_namespace_since_boxes_name_one() -> None:
    backend = anyjac.get_backend("autograd")
    assert type(backend)().namespace is backend.namespace is XP


def test_boxes_have_the_attributes_of_an_array_of_the_standard() -> None:
    def body(x: Any) -> Any:
        assert x.__array_namespace__() is XP
        assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((3, 3), 2, 9, np.dtype(float), "cpu")
        assert x.to_device("cpu") is x
        return (+x).mT

    anyjac.jacrev(body)(MATRIX)


def test_making_the_backend_twice_changes_nothing() -> None:
    AutogradBackend()
    assert anyjac.jacrev(lambda x: XP.sin(x))(0.0) == 1.0
