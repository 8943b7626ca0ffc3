"""What the callables that anyjac makes of functions have in common."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac

MAKERS: dict[str, Callable[..., Any]] = {
    "jacrev": anyjac.jacrev,
    "jit": anyjac.jit,
    "vmap": anyjac.vmap,
}


def doubled(x: Any) -> Any:
    """Twice as much."""
    return 2.0 * x


class Scaled:
    def __init__(self) -> None:
        self.factor = anyjac.Variable(2.0)

    def scale(self, x: Any) -> Any:
        return self.factor * x

    def rescale(self, factor: float) -> None:
        self.factor.value = factor


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    maker: Callable[..., Any] = request.param
    return maker


def test_it_passes_for_its_function(make: Callable[..., Any]) -> None:
    made = make(doubled)
    assert (made.__name__, made.__doc__, made.__wrapped__) == ("doubled", "Twice as much.", doubled)


def test_what_is_no_callable_is_refused_by_name(make: Callable[..., Any]) -> None:
    with pytest.raises(anyjac.InputTypeError, match=rf"{make.__name__} needs a callable, not 3 \(of type int\)"):
        make(3)


def test_its_copies_and_pickles_have_its_options(make: Callable[..., Any]) -> None:
    made = make(doubled, backend="jax")
    for twin in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(twin) is type(made)
        assert repr(twin) == repr(made)
        assert twin.__wrapped__ is doubled


def test_a_deep_copy_of_a_method_has_variables_of_its_own(make: Callable[..., Any]) -> None:
    scaled = Scaled()
    twin = copy.deepcopy(make(scaled.scale))
    scaled.rescale(5.0)
    np.testing.assert_array_equal(np.ravel(twin(np.array([1.0]))), [2.0])


def test_a_deep_copy_shares_the_device(make: Callable[..., Any]) -> None:
    jax = pytest.importorskip("jax")
    made = make(Scaled().scale, device=jax.devices()[0])  # a device of JAX cannot be copied
    np.testing.assert_array_equal(np.ravel(copy.deepcopy(made)(jax.numpy.ones(1))), [2.0])


def test_the_repr_names_all_that_is_wrapped_in_one_another() -> None:
    wrapped = anyjac.vmap(anyjac.jit(anyjac.jacrev(anyjac.grad(doubled), argnums=0, return_value=True)), in_axes=1)
    assert repr(wrapped) == "vmap(jit(jacrev(grad(doubled), return_value=True)), in_axes=1)"
