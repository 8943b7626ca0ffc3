"""Many threads: nested, stateful Jacobians are right, shared Variables lose nothing, opposite orders do not hang."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Variable, jacrev
from anyjac.scope import current_scope

THREADS, ROUNDS, PATIENCE_S = 16, 12, 120.0


@pytest.fixture(autouse=True)
def often_switching() -> Iterator[None]:
    """Let threads alternate as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_in_threads(works: list[Callable[[], Any]]) -> list[Any]:
    """Start all works together and return their results; the first exception is raised here."""
    start = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        start.wait()
        try:
            results[index] = works[index]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def _stateful_hessian(backend: anyjac.Backend, number: int) -> Callable[[], None]:
    """Return a work: f = sum(w x^3), twice differentiated, with Variables that are read and written at both levels."""
    size = 1 + number % 3
    point = np.arange(1.0, size + 1) + number

    def work() -> None:
        w = Variable(backend.asarray(np.full(size, number + 1.0)))
        inner_state, outer_state = Variable(backend.asarray(0.0 * point)), Variable(backend.asarray(np.asarray(0)))
        xp = backend.namespace

        def inner(x: Any) -> Any:
            inner_state.value = x * x
            return xp.sum(w * x**3)

        def outer(x: Any) -> Any:
            outer_state.value += 1
            return jacrev(inner, backend=backend)(x) + inner_state.value

        transform = jacrev(outer, w, 0, backend=backend, return_value=True)
        for _ in range(ROUNDS):
            (of_w, of_x), value = transform(backend.asarray(point))
            host = backend.to_numpy
            assert np.allclose(host(of_w), np.diag(3 * point**2), rtol=1e-13)
            assert np.allclose(host(of_x), np.diag(6 * (number + 1.0) * point + 2 * point), rtol=1e-13)
            assert np.allclose(host(value), 3 * (number + 1.0) * point**2 + point**2, rtol=1e-13)
        assert np.array_equal(backend.to_numpy(inner_state.value), point**2)
        assert int(outer_state) == ROUNDS
        assert not backend.is_traced(inner_state.value)

    return work


def test_sixteen_threads_of_nested_stateful_jacobians_give_only_right_answers(backend: anyjac.Backend) -> None:
    run_in_threads([_stateful_hessian(backend, number) for number in range(THREADS)])
    assert current_scope() is None


def test_threads_on_different_backends_do_not_disturb_each_other() -> None:
    backends = [anyjac.get_backend(name) for name in ("autograd", "jax", "torch")]
    run_in_threads([_stateful_hessian(backends[number % 3], number) for number in range(9)])


def test_four_threads_that_share_a_transform_and_a_counter_lose_no_increment(backend: anyjac.Backend) -> None:
    count, total = Variable(backend.asarray(np.asarray(0))), Variable(backend.asarray(np.asarray(0.0)))

    def f(x: Any) -> Any:
        count.value += 1
        total.value = total + x
        return x * x

    transform = jacrev(f, backend=backend)

    def work() -> None:
        for _ in range(20):
            assert float(transform(backend.asarray(np.asarray(3.0)))) == 6.0

    run_in_threads([work] * 4)
    assert int(count) == 80
    assert float(total) == 240.0


def test_readers_outside_see_only_committed_values(backend: anyjac.Backend) -> None:
    pair = Variable({"a": backend.asarray(np.asarray(0.0)), "b": backend.asarray(np.asarray(0.0))})
    seen: list[tuple[float, float]] = []
    done = threading.Event()

    def f(x: Any) -> Any:
        pair.value = {"a": pair["a"] + x, "b": pair["b"]}
        pair.value = {"a": pair["a"], "b": pair["b"] + x}
        return x

    def write() -> None:
        transform = jacrev(f, backend=backend)
        for _ in range(30):
            transform(backend.asarray(np.asarray(1.0)))
        done.set()

    def read() -> None:
        while not done.is_set():
            value = pair.value
            seen.append((float(value["a"]), float(value["b"])))

    run_in_threads([write, read])
    assert all(a == b for a, b in seen)
    assert float(pair["a"]) == 30.0


def test_two_orders_of_the_same_variables_are_right_or_refused_and_never_hang(backend: anyjac.Backend) -> None:
    one, other = Variable(backend.asarray(np.asarray(0))), Variable(backend.asarray(np.asarray(0)))
    outcomes: list[str] = []

    def transform(first: Variable, second: Variable) -> Any:
        def f(x: Any) -> Any:
            first.value += 1
            second.value += 1
            return x * x

        return jacrev(f, backend=backend)

    def work(first: Variable, second: Variable) -> Callable[[], None]:
        def run() -> None:
            for _ in range(30):
                try:
                    transform(first, second)(backend.asarray(np.asarray(1.0)))
                    outcomes.append("right")
                except anyjac.ConcurrencyError:
                    outcomes.append("refused")

        return run

    run_in_threads([work(one, other), work(other, one)])
    assert len(outcomes) == 60
    assert int(one) == int(other) == outcomes.count("right")


def test_a_deadlock_is_refused_in_one_call_and_the_other_finishes() -> None:
    one, other = Variable(1.0, name="one"), Variable(2.0, name="other")
    both_own = threading.Barrier(2)
    outcomes: list[Any] = []

    def work(first: Variable, second: Variable) -> Callable[[], None]:
        def f(x: Any) -> Any:
            first.value = first + x
            both_own.wait(PATIENCE_S)
            second.value = second + x
            return x

        def run() -> None:
            try:
                jacrev(f)(1.0)
                outcomes.append("finished")
            except anyjac.ConcurrencyError as error:
                outcomes.append(str(error))

        return run

    run_in_threads([work(one, other), work(other, one)])
    refused = [text for text in outcomes if text != "finished"]
    assert len(outcomes) == 2
    assert len(refused) == 1
    assert "different orders" in refused[0]
    assert (float(one), float(other)) == (2.0, 3.0)


def test_a_context_is_for_its_own_thread_alone() -> None:
    inside, checked = threading.Event(), threading.Event()
    seen: list[str] = []

    def hold() -> None:
        with anyjac.use_backend("torch"):
            inside.set()
            checked.wait(PATIENCE_S)
            seen.append(anyjac.get_backend().name)

    def look() -> None:
        inside.wait(PATIENCE_S)
        seen.append(anyjac.get_backend().name)
        checked.set()

    run_in_threads([hold, look])
    assert seen == ["autograd", "torch"]


def test_a_thread_started_in_a_call_that_needs_the_call_s_variable_does_not_break_it() -> None:
    v = Variable(1.0)
    read: list[float] = []

    def f(x: Any) -> Any:
        v.value = v + x
        thread = threading.Thread(target=lambda: read.append(float(v.value)))
        thread.start()
        thread.join(PATIENCE_S)
        return x * v.value

    jacrev(f)(1.0)
    assert read == [1.0]
    assert float(v) == 2.0
