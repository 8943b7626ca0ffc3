"""Class methods whose ``classmethod`` holds a wrapper, called with the class from Python 3.13 on, unbound."""

import dataclasses
import functools
import inspect
import pickle
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac


def as_attribute(owner: Any, name: str) -> Callable[..., Any]:
    """Reach a class method as this Python does."""
    found: Callable[..., Any] = getattr(owner, name)
    return found


def as_method_object(owner: Any, name: str) -> Callable[..., Any]:
    """Reach a class method as Python 3.13 and later do."""
    cls = owner if isinstance(owner, type) else type(owner)
    return types.MethodType(inspect.getattr_static(cls, name).__func__, cls)


@pytest.fixture(params=[as_attribute, as_method_object])
def reach(request: pytest.FixtureRequest) -> Callable[[Any, str], Callable[..., Any]]:
    way: Callable[[Any, str], Callable[..., Any]] = request.param
    return way


Reach = Callable[[Any, str], Callable[..., Any]]


class Law(type):
    """A metaclass with a class method of its own."""

    @classmethod
    @anyjac.grad
    def of_metaclass(cls, x: Any) -> Any:
        return len(cls.__mro__) * x**3

    @anyjac.grad
    def of_instances(cls, x: Any) -> Any:
        return cls.factor * x**3


def power(cls: Any, x: Any) -> Any:
    return cls.factor * x**3


class Spring(metaclass=Law):
    factor = 2.0
    stiffness = anyjac.Variable(4.0)

    @classmethod
    @anyjac.grad
    def slope(cls, x: Any) -> Any:
        return cls.factor * x**3

    @classmethod
    @anyjac.jit
    @anyjac.grad
    def compiled(cls, x: Any) -> Any:
        return cls.factor * x**3

    @classmethod
    @anyjac.grad
    @anyjac.jit
    def of_compiled(cls, x: Any) -> Any:
        return cls.factor * x**3

    @classmethod
    @anyjac.vmap
    @anyjac.grad
    def mapped(cls, x: Any) -> Any:
        return cls.factor * x**3

    @anyjac.jit
    @classmethod
    @anyjac.grad
    def between(cls, x: Any) -> Any:
        return cls.factor * x**3

    @classmethod
    @anyjac.jvp
    def along(cls, x: Any, power: int = 3) -> Any:
        return cls.factor * x**power

    @classmethod
    @anyjac.grad(argnums=1)
    def by_the_second(cls, x: Any, y: Any) -> Any:
        return cls.factor * x * y**3

    @classmethod
    @anyjac.grad(argnums=1)
    def with_a_class(cls, other: Any, x: Any = 2.0) -> Any:
        return cls.factor * other.factor * x**3

    @classmethod
    @anyjac.grad(grad_vars=stiffness)
    def by_stiffness(cls, x: Any = 1.0) -> Any:
        return cls.stiffness * x

    @classmethod
    @anyjac.grad(backend="torch")
    def on_torch(cls, x: Any) -> Any:
        return cls.factor * x**3

    @classmethod
    @anyjac.grad
    def __hidden(cls, x: Any) -> Any:
        return cls.factor * x**3

    renamed = classmethod(anyjac.grad(power))

    @staticmethod
    @anyjac.grad
    def static(cls: Any) -> Any:
        return cls**3

    @anyjac.grad
    def of_objects(self, x: Any) -> Any:
        return self.factor * x**3

    def plain(self, x: Any) -> Any:
        return self.factor * x**3


class Stiff(Spring):
    factor = 3.0


SLOPES = ["slope", "compiled", "of_compiled", "mapped", "_Spring__hidden", "renamed", "between"]


def argument_of(name: str) -> Any:
    return np.array([2.0]) if name == "mapped" else 2.0


@pytest.mark.parametrize("name", SLOPES)
def test_a_class_method_is_bound_to_the_class_that_it_is_asked_of(name: str, reach: Reach) -> None:
    reach = as_attribute if name == "between" else reach  # classmethod hands out nothing where it is not outermost
    for owner, slope in ((Spring, 24.0), (Stiff, 36.0), (Spring(), 24.0), (Stiff(), 36.0)):
        assert float(np.ravel(reach(owner, name)(argument_of(name)))[0]) == slope


def test_arguments_are_counted_behind_the_class(reach: Reach) -> None:
    assert float(reach(Spring, "by_the_second")(1.0, 2.0)) == 24.0
    assert float(reach(Stiff, "with_a_class")(Spring, 2.0)) == 72.0
    assert float(reach(Spring, "with_a_class")(Spring, 2.0)) == 48.0
    assert float(reach(Spring, "by_stiffness")(x=5.0)) == 5.0
    assert float(reach(Spring, "along")(1.0, 2.0)) == 24.0


def test_the_class_method_of_a_parent_is_bound_to_the_child() -> None:
    class Child(Stiff):
        factor = 5.0

        @classmethod
        def slope(cls, x: Any) -> Any:
            return super().slope(x)

    assert float(Child.slope(2.0)) == 60.0


def test_a_metaclass_has_class_methods_too(reach: Reach) -> None:
    assert float(reach(Law, "of_metaclass")(2.0)) == 36.0
    assert float(Spring.of_metaclass(2.0)) == 36.0
    assert float(Stiff.of_instances(2.0)) == 36.0


def test_a_dataclass_that_is_made_anew_with_slots_has_its_class_methods() -> None:
    @dataclasses.dataclass(slots=True)
    class Point:
        x: float

        @classmethod
        @anyjac.grad
        def of_field(cls, x: Any) -> Any:
            return cls(x**3).x

    assert float(Point.of_field(2.0)) == 12.0


def test_a_class_method_is_found_within_other_decorators() -> None:
    class Shape:
        @functools.singledispatchmethod
        @classmethod
        @anyjac.grad(argnums=1)
        def volume(cls, x: Any, y: Any) -> Any:
            return x * y**3

    assert float(Shape.volume(1.0, 2.0)) == 12.0


def test_a_class_that_is_no_more_than_an_argument_stays_one() -> None:
    assert float(anyjac.grad(power, argnums=1)(Spring, 2.0)) == 24.0
    assert float(anyjac.jit(anyjac.grad(power, argnums=1))(Stiff, 2.0)) == 36.0
    np.testing.assert_array_equal(anyjac.vmap(power, in_axes=(None, 0))(Stiff, np.array([1.0])), [3.0])
    with pytest.raises(anyjac.InputTypeError, match=r"argument 0 is <class.*decorate outside of classmethod"):
        anyjac.grad(power)(Spring, 2.0)


def test_a_class_method_is_compiled_once_for_each_class(reach: Reach) -> None:
    runs = []

    class Counted:
        @classmethod
        @anyjac.jit(backend="jax")
        def doubled(cls, x: Any) -> Any:
            runs.append(cls)
            return 2.0 * x

    class Other(Counted):
        pass

    for _ in range(3):
        for cls in (Counted, Other):
            assert float(reach(cls, "doubled")(np.asarray(2.0))) == 4.0
    assert runs == [Counted, Other]


# ---- what is made of one -------------------------------------------------------------------------------------------


def test_what_is_made_of_a_class_method_is_made_of_its_wrapper(reach: Reach) -> None:
    assert repr(anyjac.jit(reach(Stiff, "slope"))) == "jit(grad(Spring.slope))"
    assert float(anyjac.jit(reach(Stiff, "slope"))(2.0)) == 36.0
    assert float(anyjac.grad(reach(Stiff, "slope"))(2.0)) == 36.0
    assert type(anyjac.jit(reach(Spring, "on_torch"))(2.0)).__module__ == "torch"
    assert float(anyjac.jacrev(reach(Stiff, "renamed")).rows(2.0).value) == 36.0


def test_the_variables_of_a_class_method_have_the_same_paths_however_it_is_reached(reach: Reach) -> None:
    gain = anyjac.Variable(2.0)

    class Amplifier:
        @classmethod
        @anyjac.grad
        def amplified(cls, x: Any) -> Any:
            return gain * x

    assert anyjac.variables(reach(Amplifier, "amplified")) == {"__wrapped__.__func__.gain": gain}


@pytest.mark.parametrize("name", [name for name in SLOPES if name not in ("renamed", "_Spring__hidden")])
def test_a_class_method_comes_back_from_a_pickle(name: str, reach: Reach) -> None:
    reach = as_attribute if name == "between" else reach
    twin = pickle.loads(pickle.dumps(reach(Stiff, name)))
    assert float(np.ravel(twin(argument_of(name)))[0]) == 36.0


def test_a_wrapper_that_is_bound_to_its_class_comes_back_from_a_pickle() -> None:
    bound = inspect.getattr_static(Stiff, "slope").__func__.__get__(Stiff, Stiff)
    twin = pickle.loads(pickle.dumps(bound))
    assert float(twin(2.0)) == 36.0


# ---- what takes the arguments, and is no call ------------------------------------------------------------------------


def local_spring() -> type[Any]:
    class Local:
        @classmethod
        @anyjac.grad
        def slope(cls, x: Any = 1.0) -> Any:
            return x**3

        @staticmethod
        @anyjac.grad
        def static(cls: Any) -> Any:
            return cls**3

        @anyjac.grad
        def of_objects(self, x: Any) -> Any:
            return 2.0 * x**3

        def plain(self, x: Any) -> Any:
            return 2.0 * x**3

    return Local


@pytest.mark.parametrize("args", [(), (2.0,), (Spring, 2.0)])
@pytest.mark.parametrize("asked", ["rows", "as_linear_operator"])
@pytest.mark.parametrize("cls", [Spring, Stiff, local_spring()])
def test_rows_of_a_class_method_within_classmethod_are_refused_by_name(
    cls: type[Any], asked: str, args: tuple[Any, ...]
) -> None:
    method = as_method_object(cls, "slope")
    with pytest.raises(anyjac.InputTypeError, match=rf"{asked} of grad\(.*slope\) .* decorate outside of classmethod"):
        getattr(method, asked)(*args)


def test_rows_are_refused_of_what_the_wrapper_in_a_class_method_wraps_and_of_one_that_was_given_another_name() -> None:
    with pytest.raises(anyjac.InputTypeError, match="decorate outside of classmethod"):
        as_method_object(Spring, "compiled").__wrapped__.rows(2.0)
    with pytest.raises(anyjac.InputTypeError, match="decorate outside of classmethod"):
        as_method_object(Spring, "renamed").rows(2.0)


@pytest.mark.parametrize("cls", [Spring, Stiff, local_spring()])
def test_static_methods_and_methods_of_objects_have_rows_as_ever(cls: type[Any]) -> None:
    factor = getattr(cls, "factor", 2.0)
    assert float(cls.static.rows(2.0).value) == 8.0
    assert float(cls().of_objects.rows(2.0).value) == 8.0 * factor
    assert float(anyjac.jacrev(cls.plain, argnums=1).rows(cls(), 2.0).value) == 8.0 * factor


def test_a_transform_outside_of_classmethod_has_rows() -> None:
    class Outside:
        @anyjac.grad
        @classmethod
        def slope(cls, x: Any) -> Any:
            return x**3

    assert float(Outside.slope.rows(2.0).value) == 8.0


def test_the_signature_of_a_class_method_has_no_class(reach: Reach) -> None:
    assert str(inspect.signature(reach(Spring, "slope"))) == "(x: Any) -> Any"
    assert str(inspect.signature(reach(Spring, "along"))) == "(tangents, /, x: Any, power: int = 3) -> Any"
