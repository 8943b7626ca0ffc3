"""Variables as Python objects: copies, pickles, repr, completion, attributes, arrays given in and out."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import InputTypeError, TrainVar, Variable, jacrev


def test_copies_and_pickles_keep_value_backend_name_and_kind(array: Any) -> None:
    v = TrainVar(array([1.0, 2.0]), name="rate", allow_reshape=True)
    for twin in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert type(twin) is TrainVar
        assert (twin.backend, twin.name, twin.allow_reshape) == (v.backend, "rate", True)
        assert np.array_equal(np.asarray(twin), [1.0, 2.0])


def test_a_copy_is_another_place(array: Any) -> None:
    v = Variable(array([1.0, 2.0]))
    twin = copy.deepcopy(v)
    v[0] = 7.0
    assert np.array_equal(np.asarray(twin), [1.0, 2.0])


def test_attributes_of_a_subclass_are_copied_too(array: Any) -> None:
    class Noted(Variable):
        pass

    v = Noted(array(1.0))
    v.note = "measured"
    assert copy.deepcopy(v).note == "measured"


def test_a_variable_is_an_attribute_of_models_that_are_deep_copied(array: Any) -> None:
    class Model:
        def __init__(self) -> None:
            self.w = Variable(array(2.0))
            self.alias = self.w

        def __call__(self, x: Any) -> Any:
            return self.w * x

    twin = copy.deepcopy(Model())
    assert twin.w is twin.alias
    assert float(jacrev(twin, twin.w)(array(5.0))) == 5.0


def test_the_repr_shows_kind_value_and_name() -> None:
    assert repr(Variable(np.array([1.0, 2.0]), name="v")) == "Variable(array([1., 2.]), name='v')"
    assert repr(TrainVar(np.array(1.0))) == "TrainVar(array(1.))"


def test_completion_offers_its_own_names_and_those_of_the_array(array: Any) -> None:
    names = dir(Variable(array([1.0])))
    assert {"value", "allow_reshape", "shape", "dtype", "sum"} <= set(names)


def test_an_unknown_attribute_is_an_attribute_error(array: Any) -> None:
    with pytest.raises(AttributeError, match="'nonesuch'"):
        _ = Variable(array(1.0)).nonesuch
    assert not hasattr(Variable(array(1.0)), "_repr_html_")


@pytest.mark.parametrize("bad", ["text", object(), lambda: 1, {"a": "text"}, b"bytes"])
def test_what_is_no_number_or_array_is_refused(bad: Any) -> None:
    with pytest.raises(InputTypeError, match="a Variable holds numbers and arrays"):
        Variable(bad)


def test_a_numpy_array_of_text_is_refused() -> None:
    with pytest.raises(anyjac.DtypeError, match="not a numeric dtype"):
        Variable(np.array(["a"]))


def test_in_place_changes_outside_a_call_are_plain_numpy() -> None:
    v = Variable(np.array([1.0, 2.0]))
    v.value[0] = 5.0
    assert v.value[0] == 5.0
    assert jacrev(lambda: v * v, v)()[0, 0] == 10.0


def test_in_place_changes_of_a_numpy_variable_in_a_call_are_committed() -> None:
    v = Variable(np.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        v.value[0] = 5.0
        return x * v.value[0]

    assert jacrev(f)(np.array(1.0)) == 5.0
    assert v.value.tolist() == [5.0, 2.0]


def test_in_place_changes_of_a_numpy_variable_are_discarded_after_an_error() -> None:
    v = Variable(np.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        v.value[0] = 5.0
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(f)(np.array(1.0))
    assert v.value.tolist() == [1.0, 2.0]


def test_a_value_that_was_read_before_does_not_change_with_the_variable() -> None:
    v = Variable(np.array([1.0, 2.0]))
    before = v.value
    v.value = np.array([3.0, 4.0])
    assert before.tolist() == [1.0, 2.0]


def test_a_written_array_is_copied() -> None:
    v, given = Variable(np.array([1.0, 2.0])), np.array([3.0, 4.0])
    v.value = given
    given[0] = 9.0
    assert v.value.tolist() == [3.0, 4.0]


def test_math_and_builtins_take_a_scalar_variable(array: Any) -> None:
    v = Variable(array(0.25))
    assert math.sqrt(v) == 0.5
    assert max(v, 0.1) is v
    assert divmod(Variable(array(7.0)), 2.0)[0] == 3.0


def test_a_variable_that_is_traced_cannot_become_a_numpy_array(array: Any) -> None:
    v = Variable(array([1.0, 2.0]), name="v")
    with pytest.raises(anyjac.TracerLeakError, match="'v'"):
        jacrev(lambda: np.asarray(v) * 1.0, v)()


def test_a_variable_made_in_a_call_that_failed_says_so(array: Any) -> None:
    kept: list[Variable] = []

    def f(x: Any) -> Any:
        kept.append(Variable(x, name="local"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(f)(array(1.0))
    with pytest.raises(anyjac.TracerLeakError, match=r"'local' was made inside a call that failed"):
        _ = kept[0].value
    assert "expired" in repr(kept[0])


def test_a_dict_in_a_variable_can_be_written_by_key(array: Any) -> None:
    v = Variable({"a": array(1.0), "b": array(2.0)})
    v["a"] = array(5.0)
    assert float(v["a"]) == 5.0
    with pytest.raises(anyjac.VariableWriteError, match="tree"):
        v["c"] = array(1.0)
    assert set(v.value) == {"a", "b"}


def test_a_dict_in_another_order_is_written_in_the_order_of_the_variable(array: Any) -> None:
    v = Variable({"w": array([1.0, 2.0]), "b": array(3.0)})
    v.value = {"b": array(30.0), "w": array([10.0, 20.0])}
    assert list(v.value) == ["w", "b"]
    assert (float(v.value["w"][1]), float(v.value["b"])) == (20.0, 30.0)
    with pytest.raises(anyjac.VariableWriteError, match=r"\['b'\] holds .* and was given"):
        v.value = {"b": array([1.0, 2.0]), "w": array([10.0, 20.0])}
    with pytest.raises(anyjac.VariableWriteError, match="holds the tree"):
        v.value = {"c": array(30.0), "w": array([10.0, 20.0])}


def test_a_variable_of_another_backend_keeps_its_own_array_and_dtype() -> None:
    v = Variable(np.array([1.0, 2.0], dtype=np.float32))

    def f(x: Any) -> Any:
        v.value = v.value * 2
        return x * v.value.sum()

    for name in ("jax", "torch"):
        before = v.value.sum()
        jacobian = jacrev(f, backend=name)(3.0)
        assert float(jacobian) == 2 * before
        assert isinstance(v.value, np.ndarray)
        assert v.value.dtype == np.float32


def test_without_naming_a_backend_a_variable_of_another_framework_is_refused() -> None:
    v = Variable(1.0, backend="torch", name="v")
    x = anyjac.get_backend("jax").asarray(1.0)
    with pytest.raises(anyjac.MixedBackendsError, match=r"'v' is an array of torch.* with backend='jax'"):
        jacrev(lambda x: x * v.value)(x)
    with pytest.raises(anyjac.MixedBackendsError, match="jax, torch"):
        jacrev(lambda x: x * v.value, v)(x)


@pytest.mark.parametrize("view", [lambda array: array, lambda array: array[:1]], ids=["itself", "a view of it"])
@pytest.mark.parametrize("name", ["autograd", "jax", "torch"])
def test_what_a_transform_returns_is_not_the_array_of_a_variable(name: str, view: Any) -> None:
    backend = anyjac.get_backend(name)
    xp = backend.namespace

    def array(values: list[float]) -> Any:
        return backend.asarray(np.array(values))

    v = Variable(array([1.0, 2.0]), backend=name)
    transforms = [
        jacrev(lambda: view(v.value), v, return_value=True),
        anyjac.grad(lambda: (xp.sum(v.value**2), view(v.value)), v, has_aux=True),
        lambda: anyjac.jvp(lambda: view(v.value), v, return_value=True)(array([1.0, 1.0])),
        lambda: anyjac.jvp(lambda: (xp.sum(v.value), view(v.value)), v, has_aux=True)(array([1.0, 1.0])),
        lambda: anyjac.linearize(lambda: view(v.value), v, return_value=True)(),
    ]
    for transform in transforms:
        _, returned = transform()
        if name != "jax":  # whose arrays cannot be changed
            returned *= 0.0
        np.testing.assert_array_equal(np.asarray(v), [1.0, 2.0])
