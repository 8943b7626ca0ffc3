"""An exception at any point of a call leaves every Variable as it was, and the next call is right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optree
import pytest
from tests.helpers.threads import in_another_thread

import anyjac
from anyjac import Variable, jacrev

from .faulty import FaultError, FaultyBackend, faulty
from .stateful import AFTER, Model, Snapshot, assert_right

# ---- in the user's function, and in what is made of its result ------------------------------------------------------


@optree.register_pytree_node_class(namespace="anyjac")
class Brittle:
    """A container that cannot be put together again."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def tree_flatten(self) -> Any:
        return (self.item,), None, None

    @classmethod
    def tree_unflatten(cls, metadata: Any, children: Any) -> Any:
        raise FaultError("unflatten")


class Case:
    """Two Variables, a good function that writes both, and the helpers that faulty ones are made of."""

    def __init__(self, backend: anyjac.Backend) -> None:
        self.backend = backend
        self.xp = backend.namespace
        self.v = Variable(backend.asarray(np.array([1.0, -0.0])), name="v")
        self.w = Variable(backend.asarray(np.asarray(3.0)), name="w")
        self.x = backend.asarray(np.asarray(2.0))

    def write_first(self, x: Any) -> None:
        self.v.value = self.v * x
        self.v[1] = x

    def write_second(self, x: Any) -> None:
        self.w.value = self.w + x

    def good(self, x: Any) -> Any:
        self.write_first(x)
        self.write_second(x)
        return self.v * self.w

    def assert_next_call_is_right(self) -> None:
        """Check the good function at 2: v = (x, x) and w = 3 + x, so that y = x (3 + x) twice."""
        derivative = in_another_thread(lambda: jacrev(self.good, backend=self.backend)(self.x))
        assert np.allclose(self.backend.to_numpy(derivative), [7.0, 7.0], rtol=1e-13)
        assert self.backend.to_numpy(self.v.value).tolist() == [2.0, 2.0]
        assert float(self.w) == 5.0


Faulty = Callable[[Case, Any], Any]


def _before_all_writes(case: Case, x: Any) -> Any:
    raise FaultError


def _between_two_writes(case: Case, x: Any) -> Any:
    case.write_first(x)
    raise FaultError


def _after_all_writes(case: Case, x: Any) -> Any:
    case.good(x)
    raise FaultError


def _in_a_nested_function(case: Case, x: Any) -> Any:
    case.write_first(x)
    return jacrev(lambda y: _between_two_writes(case, y))(x)


def _after_a_nested_call_has_written(case: Case, x: Any) -> Any:
    jacrev(case.good)(x)
    raise FaultError


def _three_levels_deep(case: Case, x: Any) -> Any:
    case.write_second(x)
    return jacrev(jacrev(lambda y: _after_all_writes(case, y)))(x)


def _write_of_another_shape(case: Case, x: Any) -> Any:
    case.write_first(x)
    case.w.value = case.xp.stack([x, x])
    return x


def _write_of_another_dtype(case: Case, x: Any) -> Any:
    case.write_first(x)
    case.w.value = case.xp.astype(x, case.xp.float32)
    return x


def _write_of_another_tree(case: Case, x: Any) -> Any:
    case.write_first(x)
    case.w.value = {"w": x}
    return x


def _write_of_text(case: Case, x: Any) -> Any:
    case.write_first(x)
    case.w.value = "text"
    return x


def _returning(make: Callable[[Case, Any], Any]) -> Faulty:
    def func(case: Case, x: Any) -> Any:
        case.good(x)
        return make(case, x)

    return func


IN_FUNC = {
    "before_all_writes": (_before_all_writes, FaultError),
    "between_two_writes": (_between_two_writes, FaultError),
    "after_all_writes": (_after_all_writes, FaultError),
    "in_a_nested_function": (_in_a_nested_function, FaultError),
    "after_a_nested_call_has_written": (_after_a_nested_call_has_written, FaultError),
    "three_levels_deep": (_three_levels_deep, FaultError),
    "write_of_another_shape": (_write_of_another_shape, anyjac.VariableWriteError),
    "write_of_another_dtype": (_write_of_another_dtype, anyjac.VariableWriteError),
    "write_of_another_tree": (_write_of_another_tree, anyjac.VariableWriteError),
    "write_of_text": (_write_of_text, anyjac.VariableWriteError),
}

IN_OUTPUT = {
    "an_integer_array": (_returning(lambda case, x: case.xp.asarray(3)), anyjac.DtypeError),
    "a_complex_array": (_returning(lambda case, x: case.xp.astype(x, case.xp.complex128)), anyjac.DtypeError),
    "nothing": (_returning(lambda case, x: None), anyjac.OutputError),
    "text": (_returning(lambda case, x: "text"), anyjac.OutputError),
    "a_bool": (_returning(lambda case, x: True), anyjac.DtypeError | anyjac.OutputError),
    "one_bad_leaf_of_two": (_returning(lambda case, x: [x, "text"]), anyjac.OutputError),
    "a_container_that_cannot_be_rebuilt": (_returning(lambda case, x: Brittle(x * x)), FaultError),
}

IN_AUX = {
    "a_bare_value": (_returning(lambda case, x: x), anyjac.OutputError),
    "one_item": (_returning(lambda case, x: (x,)), anyjac.OutputError),
    "three_items": (_returning(lambda case, x: (x, 1, 2)), anyjac.OutputError),
    "a_dict_of_two": (_returning(lambda case, x: {"y": x, "aux": 1}), anyjac.OutputError),
    "aux_that_cannot_be_rebuilt": (_returning(lambda case, x: (x, Brittle(x))), FaultError),
}


def _check(case: Case, error: Any, **options: Any) -> None:
    snapshot = Snapshot(case.v, case.w)
    func, kinds = error
    with pytest.raises(kinds if isinstance(kinds, type) else kinds.__args__):
        jacrev(lambda x: func(case, x), backend=case.backend, **options)(case.x)
    snapshot.assert_unchanged()
    case.assert_next_call_is_right()


@pytest.mark.parametrize("point", IN_FUNC)
def test_an_exception_in_the_function_changes_nothing(backend: anyjac.Backend, point: str) -> None:
    _check(Case(backend), IN_FUNC[point])


@pytest.mark.parametrize("point", IN_FUNC)
def test_an_exception_in_a_function_of_its_variables_changes_nothing(backend: anyjac.Backend, point: str) -> None:
    case = Case(backend)
    _check(case, IN_FUNC[point], grad_vars=[case.v, case.w], argnums=0)


@pytest.mark.parametrize("output", IN_OUTPUT)
def test_an_output_that_is_refused_changes_nothing(backend: anyjac.Backend, output: str) -> None:
    _check(Case(backend), IN_OUTPUT[output], return_value=True)


@pytest.mark.parametrize("result", IN_AUX)
def test_a_result_that_is_no_pair_with_aux_changes_nothing(backend: anyjac.Backend, result: str) -> None:
    _check(Case(backend), IN_AUX[result], has_aux=True)


def test_argnums_out_of_range_change_nothing(backend: anyjac.Backend) -> None:
    case = Case(backend)
    snapshot = Snapshot(case.v, case.w)
    with pytest.raises(anyjac.InputValueError):
        jacrev(case.good, case.v, argnums=1)(case.x)
    snapshot.assert_unchanged()
    case.assert_next_call_is_right()


def test_an_argument_that_is_refused_after_variables_were_read_changes_nothing(backend: anyjac.Backend) -> None:
    case = Case(backend)
    snapshot = Snapshot(case.v, case.w)
    with pytest.raises(anyjac.InputTypeError):
        jacrev(case.good, [case.v, case.w], argnums=0)("text")
    snapshot.assert_unchanged()
    case.assert_next_call_is_right()


def test_a_function_that_does_not_take_the_arguments_changes_nothing(backend: anyjac.Backend) -> None:
    case = Case(backend)
    snapshot = Snapshot(case.v, case.w)
    with pytest.raises(TypeError):
        jacrev(case.good)(case.x, case.x)
    snapshot.assert_unchanged()
    case.assert_next_call_is_right()


def test_errors_of_the_user_come_through_as_they_are(backend: anyjac.Backend) -> None:
    error = FaultError("mine")

    def f(x: Any) -> Any:
        raise error

    with pytest.raises(FaultError) as caught:
        jacrev(jacrev(f))(backend.asarray(np.asarray(2.0)))
    assert caught.value is error


def test_a_function_that_catches_the_error_of_a_nested_call_keeps_its_own_writes(backend: anyjac.Backend) -> None:
    case = Case(backend)

    def f(x: Any) -> Any:
        case.write_second(x)
        with pytest.raises(FaultError):
            jacrev(lambda y: _after_all_writes(case, y))(x)
        return case.w * x + case.v[0]

    derivative = jacrev(f, backend=backend)(case.x)
    assert float(derivative) == 3.0 + 2 * 2.0
    assert backend.to_numpy(case.v.value).tolist() == [1.0, 0.0]
    assert float(case.w) == 5.0
    assert Snapshot(case.v, case.w).assert_unchanged() is None


# ---- in the commit -------------------------------------------------------------------------------------------------


def test_a_write_that_would_commit_a_tracer_stores_none_of_the_writes(backend: anyjac.Backend) -> None:
    case = Case(backend)
    snapshot = Snapshot(case.v, case.w)
    outside: list[Any] = []

    def f(x: Any) -> Any:
        case.v[0] = 7.0
        case.w.value = outside[0] * 2.0  # this belongs to the trace around the call, which goes on
        return x * x

    def around(y: Any) -> Any:
        outside[:] = [y]
        return jacrev(f, backend=backend)(y)

    with pytest.raises(anyjac.TracerLeakError, match=r"Variable '[vw]' belongs to a trace"):
        backend.grad(around)(case.x)
    snapshot.assert_unchanged()
    case.assert_next_call_is_right()


def test_a_variable_of_another_framework_that_cannot_take_its_value_stores_none_of_the_writes(
    backend: anyjac.Backend,
) -> None:
    with faulty(anyjac.get_backend("numpy")) as other:
        case = Case(backend)
        foreign = Variable(np.asarray(2.0), backend=other)
        snapshot = Snapshot(case.v, case.w)
        stored = foreign.value

        def f(x: Any) -> Any:
            case.good(x)
            foreign.value = foreign + x
            other.calls, other.fail_at = 0, 0  # whichever member the commit uses first
            return x

        with pytest.raises(FaultError):
            jacrev(f, backend=backend)(case.x)
        other.fail_at = None
        snapshot.assert_unchanged()
        assert foreign.value is stored
        case.assert_next_call_is_right()


# ---- in the backend ------------------------------------------------------------------------------------------------


NEEDED = {"vjp", "pullback_rows", "the pullback", "identity_rows", "copy", "constant", "set_index", "xp.stack"}
"""What a call of a `Model` asks of the backend, among other things: each of it must have had its fault."""


class FaultInterrupt(BaseException):
    """A fault that is no `Exception`, like an interrupt."""


def _call_failing_at(number: int, model: Model, broken: FaultyBackend, x: Any) -> bool:
    """Call the model with a fault at one call of its backend; return whether the backend was called so often."""
    snapshot = Snapshot(*model.variables())
    broken.calls, broken.fail_at = 0, number
    try:
        model.transform(x)
        failed = False
    except broken.error:
        failed = True
    broken.fail_at = None
    assert failed == (broken.calls > number)
    if failed:
        snapshot.assert_unchanged()
    return failed


@pytest.mark.parametrize("kind", [FaultError, FaultInterrupt])
def test_an_exception_at_every_call_of_the_backend_changes_nothing(
    backend: anyjac.Backend, kind: type[BaseException]
) -> None:
    with faulty(backend) as broken:
        broken.error = kind
        x = backend.asarray(np.asarray(5.0))
        model, number = Model(broken), 0
        while _call_failing_at(number, model, broken, x):
            number += 1
            if number % 10 == 0:
                assert_right(model, x)
                model = Model(broken)
        assert broken.called >= NEEDED
        assert model.values() == AFTER
        assert_right(model, x)
