"""Common features of the callables that anyjac makes of functions."""

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


class Decorated:
    """Methods of each kind, each with a wrapper in its place."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    @anyjac.grad
    def cubed(self, x: Any) -> Any:
        return self.factor * x**3

    @anyjac.jit
    @anyjac.grad
    def compiled(self, x: Any) -> Any:
        return self.factor * x**3

    @anyjac.vmap
    def mapped(self, x: Any) -> Any:
        return self.factor * x**3

    @anyjac.grad
    @classmethod
    def of_class(cls, x: Any) -> Any:
        return x**3

    @classmethod
    @anyjac.grad
    def of_class_inside(cls, x: Any) -> Any:
        return x**3

    @anyjac.grad
    @staticmethod
    def static(x: Any) -> Any:
        return x**3

    @staticmethod
    @anyjac.grad
    def static_inside(x: Any) -> Any:
        return x**3


METHODS = [name for name in vars(Decorated) if not name.startswith("__")]


@pytest.mark.parametrize("name", METHODS)
def test_a_decorated_method_comes_back_from_a_pickle_as_it_was(name: str) -> None:
    method = getattr(Decorated(2.0), name)
    twin = pickle.loads(pickle.dumps(method))
    x = np.array([2.0]) if name == "mapped" else 2.0
    assert repr(twin) == repr(method)
    np.testing.assert_array_equal(twin(x), method(x))


@pytest.mark.parametrize("name", METHODS)
def test_a_decorated_method_of_a_class_comes_back_from_a_pickle_as_it_was(name: str) -> None:
    method = getattr(Decorated, name)
    assert repr(pickle.loads(pickle.dumps(method))) == repr(method)


def test_a_pickled_decorated_method_keeps_its_object() -> None:
    assert float(pickle.loads(pickle.dumps(Decorated(5.0).cubed))(1.0)) == 15.0


def test_another_transform_of_a_decorated_method_is_not_pickled_as_what_it_is_not() -> None:
    plain = Decorated(2.0).cubed.__wrapped__
    with pytest.raises(pickle.PicklingError, match=r"cannot pickle jacrev.*'cubed' of Decorated is another one, grad"):
        pickle.dumps(anyjac.jacrev(plain))
    assert float(anyjac.jacrev(plain)(1.0)) == 6.0


DEFERRED: dict[str, Callable[[], Any]] = {
    "grad(argnums=1, has_aux=True)": lambda: anyjac.grad(argnums=1, has_aux=True),
    "jacobian(mode='rev')": lambda: anyjac.jacobian(mode="rev"),
    "value_and_grad()": lambda: anyjac.value_and_grad(),
    "jit(backend='jax')": lambda: anyjac.jit(backend="jax"),
    "vmap(in_axes=1)": lambda: anyjac.vmap(in_axes=1),
}


@pytest.mark.parametrize("text", DEFERRED)
def test_a_decorator_says_what_it_is_and_takes_a_function_alone(text: str) -> None:
    decorator = DEFERRED[text]()
    assert repr(decorator) == text
    with pytest.raises(anyjac.InputTypeError) as caught:
        decorator(doubled, 1.0)
    assert str(caught.value).startswith(f"{text} is a decorator: it takes the function alone")
    name, _, options = text.partition("(")
    assert repr(decorator(doubled)) == f"{name}(doubled{', ' if len(options) > 1 else ''}{options}"
