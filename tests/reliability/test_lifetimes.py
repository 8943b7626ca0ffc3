"""Nothing keeps a tracer, an argument, a result or a model alive after a call."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Variable, jacrev


class Thing:
    """An object that a weak reference can point to."""


@pytest.fixture
def gone() -> Iterator[Callable[..., None]]:
    """Watch objects; at the end of the test none may be alive, without the garbage collector's help."""
    references: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    yield lambda *objects: references.extend(map(weakref.ref, objects))
    alive = [reference() for reference in references if reference() is not None]
    del alive[:]
    if any(reference() is not None for reference in references):
        gc.collect()
    gc.enable()
    assert [reference() for reference in references if reference() is not None] == []


def test_arguments_and_results_are_let_go(backend: anyjac.Backend, gone: Any) -> None:
    x, thing, keyword = backend.asarray(np.array([1.0, 2.0])), Thing(), Thing()
    result, value, aux = jacrev(lambda x, t, *, k: (x * x, Thing()), has_aux=True, return_value=True)(
        x, thing, k=keyword
    )
    gone(thing, keyword, aux, x, result, value)


def test_traced_values_are_let_go(backend: anyjac.Backend, gone: Any) -> None:
    v = Variable(backend.asarray(np.array([1.0, 2.0])))

    def f(x: Any) -> Any:
        y = x * v
        if backend.name != "autograd":  # its boxes have no room for weak references
            gone(x, y, v.value)
        v.value = y * 1.0
        return y

    jacrev(jacrev(f, v), argnums=0)(backend.asarray(np.array([3.0, 4.0])))
    assert not backend.is_traced(v.value)


def test_the_trace_of_autograd_is_let_go(gone: Any) -> None:
    from autograd.tracer import Node

    gc.collect()
    before = sum(issubclass(type(each), Node) for each in gc.get_objects())
    v = Variable(np.array([1.0, 2.0]))

    def f(x: Any) -> Any:
        v.value = v * x
        return v.value

    jacrev(jacrev(f, v), argnums=0)(np.array([3.0, 4.0]))
    gc.collect()
    assert sum(issubclass(type(each), Node) for each in gc.get_objects()) == before


def test_a_model_and_its_transform_are_let_go(backend: anyjac.Backend, gone: Any) -> None:
    class Model:
        def __init__(self) -> None:
            self.w = Variable(backend.asarray(np.asarray(2.0)))

        def run(self, x: Any) -> Any:
            self.w.value = self.w + x
            return self.w * x

    model = Model()
    transform = jacrev(model.run, model.w, 0)
    transform(backend.asarray(np.asarray(1.0)))
    gone(model, model.w, transform)


def test_variables_made_in_a_call_are_let_go(backend: anyjac.Backend, gone: Any) -> None:
    def f(x: Any) -> Any:
        local = Variable(x)
        gone(local)
        return local * x

    jacrev(jacrev(f))(backend.asarray(np.asarray(1.0)))


def test_after_an_exception_that_was_dropped_nothing_is_left(backend: anyjac.Backend, gone: Any) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    thing = Thing()

    def f(x: Any, t: Any) -> Any:
        v.value = x
        local = Thing()
        gone(local)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(f)(backend.asarray(np.asarray(1.0)), thing)
    gone(v, thing)


def test_reading_a_variable_after_a_call_never_gives_a_tracer(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    kept: list[Any] = []

    def f(x: Any) -> Any:
        v.value = v * x
        kept.append(v)
        kept.append(x)  # the user's own leak
        return v.value

    jacrev(f, v, 0)(backend.asarray(np.asarray(2.0)))
    assert not backend.is_traced(kept[0].value)
    assert float(v) == 2.0


def test_many_calls_do_not_grow_what_the_library_remembers(backend: anyjac.Backend) -> None:
    from anyjac import ownership

    transform = jacrev(lambda x, v: x * v)
    for number in range(20):
        transform(backend.asarray(np.asarray(1.0)), Variable(backend.asarray(np.asarray(float(number)))))
    assert ownership._owners == {}
