"""An exception at any point leaves every Variable as it was, no scope open and no Variable owned."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import optree
import pytest

import anyjac
from anyjac import Variable, jacrev
from anyjac.ownership import owner_of
from anyjac.scope import current_scope

from .faulty import FaultError, faulty

PATIENCE_S = 20.0
CORE = str(Path(anyjac.__file__).parent)


class Model:
    """Two Variables that are written together, an inner transform with one of its own, aux and value."""

    def __init__(self, backend: anyjac.Backend) -> None:
        self.a = Variable(backend.asarray(np.array([1.0, 2.0])), backend=backend)
        self.b = Variable(backend.asarray(np.asarray(3.0)), backend=backend)
        self.inner = Variable(backend.asarray(np.asarray(4.0)), backend=backend)
        self.host = backend.to_numpy
        self.transform = jacrev(self, {"a": self.a}, 0, has_aux=True, return_value=True, backend=backend)
        self.slope = jacrev(self.square, backend=backend)

    def square(self, x: Any) -> Any:
        self.inner.value = self.inner + 1.0
        return x * x

    def __call__(self, x: Any) -> Any:
        self.a[0] = x
        self.b.value = self.b + 1.0
        slope = self.slope(x)
        local = Variable(slope)
        return {"y": self.a * local, "z": slope}, ("aux", self.b.value)

    def values(self) -> list[float]:
        return [*self.host(self.a.value).tolist(), float(self.b), float(self.inner)]


BEFORE, AFTER = [1.0, 2.0, 3.0, 4.0], [5.0, 2.0, 4.0, 5.0]


def assert_usable(model: Model, x: Any) -> None:
    """Check that nothing is left behind: no scope here, and another thread can use the Variables."""
    assert current_scope() is None
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(model.transform(x)), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert done, "the Variables are still owned by the call that failed"
    (of_a, of_x), value, aux = done[0]
    assert np.allclose(model.host(of_a["y"]["a"]), [[0.0, 0.0], [0.0, 10.0]])
    assert np.allclose(model.host(of_x["y"]), [2 * 5.0 * 2, 2 * 2.0])
    assert np.allclose(model.host(value["z"]), 10.0)
    assert aux[0] == "aux"


def test_an_exception_at_every_call_of_the_backend_leaves_variables_as_they_were(backend: anyjac.Backend) -> None:
    with faulty(backend) as broken:
        x = backend.asarray(np.asarray(5.0))
        model = Model(broken)
        broken.calls = 0
        model.transform(x)
        total = broken.calls
        assert total > 50
        for number in range(total):
            model = Model(broken)
            broken.calls, broken.fail_at = 0, number
            with pytest.raises(FaultError):
                model.transform(x)
            broken.fail_at = None
            assert model.values() == BEFORE, f"call {number} of {total}"
        assert_usable(model, x)
        assert model.values() == AFTER


class _Interrupter:
    """Raises KeyboardInterrupt at the n-th line that is executed inside anyjac."""

    def __init__(self, line: int | None) -> None:
        self.line = line
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(CORE):
            return None
        if event == "line":
            number, self.lines = self.lines, self.lines + 1
            if number == self.line:
                raise KeyboardInterrupt
        return self


def _traced(model: Model, x: Any, line: int | None) -> tuple[int, bool]:
    """Call the transform, interrupted at a line; return how many lines ran and whether it was interrupted."""
    interrupter = _Interrupter(line)
    before = sys.gettrace()
    sys.settrace(interrupter)
    try:
        model.transform(x)
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    finally:
        sys.settrace(before)
    return interrupter.lines, interrupted


def test_an_interrupt_at_any_line_leaves_all_variables_as_they_were_or_all_written(backend: anyjac.Backend) -> None:
    x = backend.asarray(np.asarray(5.0))
    Model(backend).transform(x)
    total, _ = _traced(Model(backend), x, None)
    assert total > 500
    # Every line towards the end, where writes are committed; a sample of those before.
    sample = sorted({*range(0, total, 1 + total // 150), *range(total - 120, total)})
    outcomes = set()
    for line in sample:
        model = Model(backend)
        _, interrupted = _traced(model, x, line)
        assert interrupted
        values = model.values()
        assert values in (BEFORE, AFTER), f"line {line} of {total}: {values}"
        assert current_scope() is None
        outcomes.add(tuple(values))
    assert tuple(BEFORE) in outcomes
    assert_usable(Model(backend), x)


def test_after_an_interrupt_at_any_line_no_variable_stays_owned() -> None:
    backend = anyjac.get_backend("numpy")
    x = backend.asarray(np.asarray(5.0))
    total, _ = _traced(Model(backend), x, None)
    for line in range(0, total, 7):
        model = Model(backend)
        _traced(model, x, line)
        for variable in (model.a, model.b, model.inner):
            assert owner_of(variable) is None, f"line {line} of {total}"


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


def test_an_exception_while_packing_leaves_variables_as_they_were(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))

    def f(x: Any) -> Any:
        v.value = v + x
        return Brittle(x * x)

    with pytest.raises(FaultError):
        jacrev(f)(backend.asarray(np.asarray(2.0)))
    assert float(v) == 1.0


def test_the_stored_array_is_the_very_same_after_an_error(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.array([1.0, 2.0])))
    before = v.value

    def f(x: Any) -> Any:
        v.value = v + x
        v[0] = x
        raise FaultError

    with pytest.raises(FaultError):
        jacrev(f)(backend.asarray(np.asarray(2.0)))
    assert v.value is before


def test_an_exception_in_a_commit_of_several_variables_stores_none(backend: anyjac.Backend) -> None:
    good, bad = Variable(backend.asarray(np.asarray(1.0))), Variable(np.asarray(2), backend="numpy", name="bad")

    def f(x: Any) -> Any:
        good.value = good + 1.0
        bad.value = backend.namespace.asarray(7)
        return x

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise FaultError

    Variable.take_back, real = (
        lambda self, *args, **kwargs: refuse() if self is bad else real(self, *args, **kwargs),
        Variable.take_back,
    )
    try:
        with pytest.raises(FaultError):
            jacrev(f, backend=backend)(backend.asarray(np.asarray(2.0)))
    finally:
        Variable.take_back = real
    assert float(good) == 1.0
    assert int(bad) == 2


def test_errors_of_the_user_come_through_as_they_are(backend: anyjac.Backend) -> None:
    error = FaultError("mine")

    def f(x: Any) -> Any:
        raise error

    with pytest.raises(FaultError) as caught:
        jacrev(jacrev(f))(backend.asarray(np.asarray(2.0)))
    assert caught.value is error
