"""Many threads: nested, stateful Jacobians are right, shared Variables lose nothing, opposite orders do not hang."""

import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.helpers.interpreters import printed_by
from tests.helpers.open_calls import assert_nothing_open, is_owned, make_impatient
from tests.helpers.threads import PATIENCE_S, in_another_thread, run_in_threads

import anyjac
from anyjac import Variable, jacrev

from .stateful import assert_untraced

THREADS, ROUNDS = 16, 12


@pytest.fixture(autouse=True)
def often_switching() -> Iterator[None]:
    """Let threads alternate as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# ---- each thread with Variables of its own -------------------------------------------------------------------------


class Nested:
    """f(x) = d/dx sum(w x^3) + x^2 in one thread, with Variables that are read and written at both levels.

    `w` is differentiated outside and written inside, `squares` is written inside and read outside, `calls` counts. With
    respect to w the Jacobian is diag(3 x^2), with respect to x diag(6 w x + 2 x).
    """

    def __init__(self, backend: anyjac.Backend, number: int) -> None:
        size = 1 + number % 4
        self.backend = backend
        self.weight = number + 1.0
        self.point = np.arange(1.0, size + 1) + number
        self.w = Variable(backend.asarray(np.full(size, self.weight)))
        self.squares = Variable(backend.asarray(np.zeros(size)))
        self.calls = Variable(backend.asarray(np.asarray(0)))
        self.expected_calls = 0
        self.slope = jacrev(self.inner, backend=backend)
        self.transform = jacrev(self.outer, self.w, 0, backend=backend, return_value=True)

    def inner(self, x: Any) -> Any:
        self.squares.value = x * x
        self.w.value = self.w * 1.0
        self.calls.value += 1
        return self.backend.namespace.sum(self.w * x**3)

    def outer(self, x: Any) -> Any:
        self.calls.value += 1
        self.w.value = self.w * 1.0
        return self.slope(x) + self.squares.value

    def run(self) -> None:
        """Differentiate once and check everything."""
        host, x = self.backend.to_numpy, self.point
        (of_w, of_x), value = self.transform(self.backend.asarray(x))
        self.expected_calls += 2
        assert np.allclose(host(of_w), np.diag(3 * x**2), rtol=1e-13)
        assert np.allclose(host(of_x), np.diag(6 * self.weight * x + 2 * x), rtol=1e-13)
        assert np.allclose(host(value), 3 * self.weight * x**2 + x**2, rtol=1e-13)

    def check_state(self) -> None:
        """Check what the Variables hold after all rounds: exact values, no tracer, nothing owned."""
        host = self.backend.to_numpy
        assert np.array_equal(host(self.squares.value), self.point**2)
        assert np.array_equal(host(self.w.value), np.full(self.point.shape, self.weight))
        assert int(self.calls) == self.expected_calls
        assert_untraced(self.w, self.squares, self.calls)
        assert_nothing_open(self.w, self.squares, self.calls)


def test_sixteen_threads_of_nested_stateful_jacobians_give_only_right_answers(backend: anyjac.Backend) -> None:
    problems = [Nested(backend, number) for number in range(THREADS)]

    def work(problem: Nested) -> Callable[[], None]:
        return lambda: [problem.run() for _ in range(ROUNDS)] and None

    run_in_threads([work(problem) for problem in problems])
    for problem in problems:
        problem.check_state()


def test_threads_that_change_between_backends_give_only_right_answers() -> None:
    backends = [anyjac.get_backend(name) for name in ("autograd", "jax", "torch")]
    problems = [[Nested(backend, number) for backend in backends] for number in range(9)]

    def work(number: int) -> Callable[[], None]:
        order = problems[number][number % 3 :] + problems[number][: number % 3]
        return lambda: [problem.run() for _ in range(ROUNDS // 3) for problem in order] and None

    run_in_threads([work(number) for number in range(len(problems))])
    for problem in (problem for group in problems for problem in group):
        problem.check_state()


def test_calls_that_share_no_variable_run_side_by_side(backend: anyjac.Backend) -> None:
    met = threading.Barrier(2)

    def work() -> float:
        v = Variable(backend.asarray(np.asarray(2.0)))

        def f(x: Any) -> Any:
            v.value = v * x
            met.wait(PATIENCE_S)  # passes only while both calls run
            return v.value

        return float(jacrev(f, backend=backend)(backend.asarray(np.asarray(3.0))))

    assert run_in_threads([work, work]) == [2.0, 2.0]


# ---- threads that share Variables ----------------------------------------------------------------------------------


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
    assert_untraced(count, total)
    assert_nothing_open(count, total)


def test_increments_in_nested_calls_of_threads_are_not_lost(backend: anyjac.Backend) -> None:
    count = Variable(backend.asarray(np.asarray(0)))

    def inner(x: Any) -> Any:
        count.value += 1
        return x**3

    def outer(x: Any) -> Any:
        count.value += 1
        return jacrev(inner)(x)

    transform = jacrev(outer, backend=backend)

    def work() -> None:
        for _ in range(10):
            assert float(transform(backend.asarray(np.asarray(2.0)))) == 12.0

    run_in_threads([work] * 4)
    assert int(count) == 80


def test_a_call_that_fails_in_one_thread_lets_the_waiting_ones_go_on(backend: anyjac.Backend) -> None:
    count = Variable(backend.asarray(np.asarray(0)))
    refused: list[int] = []

    def f(x: Any, number: int) -> Any:
        count.value += 1
        if number % 2:
            raise ZeroDivisionError
        return x * x

    transform = jacrev(f, backend=backend)

    def work() -> None:
        for number in range(20):
            try:
                assert float(transform(backend.asarray(np.asarray(3.0)), number)) == 6.0
            except ZeroDivisionError:
                refused.append(number)

    run_in_threads([work] * 4)
    assert len(refused) == 40
    assert int(count) == 40


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


# ---- orders in which Variables are taken ---------------------------------------------------------------------------


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
                    assert float(transform(first, second)(backend.asarray(np.asarray(1.0)))) == 2.0
                    outcomes.append("right")
                except anyjac.ConcurrencyError:
                    outcomes.append("refused")

        return run

    run_in_threads([work(one, other), work(other, one)])
    assert len(outcomes) == 60
    assert int(one) == int(other) == outcomes.count("right")
    assert_nothing_open(one, other)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_ring_of_calls_is_broken_and_all_but_the_refused_finish(backend: anyjac.Backend, size: int) -> None:
    ring = [Variable(backend.asarray(np.asarray(float(n))), name=f"v{n}") for n in range(size)]
    all_own_one = threading.Barrier(size)

    def work(number: int) -> Callable[[], str]:
        first, second = ring[number], ring[(number + 1) % size]

        def f(x: Any) -> Any:
            first.value = first + x
            all_own_one.wait(PATIENCE_S)
            second.value = second + x
            return x

        def run() -> str:
            try:
                jacrev(f, backend=backend)(backend.asarray(np.asarray(10.0)))
            except anyjac.ConcurrencyError as error:
                return str(error)
            return "finished"

        return run

    outcomes = run_in_threads([work(number) for number in range(size)])
    refused = [number for number, outcome in enumerate(outcomes) if outcome != "finished"]
    assert len(refused) == 1
    assert "different orders" in outcomes[refused[0]]
    assert f"'v{(refused[0] + 1) % size}'" in outcomes[refused[0]]
    for number, variable in enumerate(ring):
        writers = {number, (number - 1) % size} - set(refused)
        assert float(variable) == number + 10.0 * len(writers)
    assert_nothing_open(*ring)


# ---- contexts ------------------------------------------------------------------------------------------------------


def test_a_context_is_for_its_own_thread_alone() -> None:
    inside, checked = threading.Event(), threading.Event()
    seen: list[str] = []

    def hold() -> None:
        with anyjac.use_backend("torch"):
            inside.set()
            assert checked.wait(PATIENCE_S)
            seen.append(anyjac.get_backend().name)
        seen.append(anyjac.get_backend().name)

    def look() -> None:
        assert inside.wait(PATIENCE_S)
        seen.append(anyjac.get_backend().name)
        checked.set()

    run_in_threads([hold, look])
    assert seen == ["autograd", "torch", "autograd"]


def _in_a_thread(work: Callable[[], Any]) -> Any:
    return in_another_thread(work)


def _in_a_pool_made_here(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


POOL = ThreadPoolExecutor(1)


def _in_a_pool_made_before(work: Callable[[], Any]) -> Any:
    return POOL.submit(work).result()


@pytest.fixture(params=[_in_a_thread, _in_a_pool_made_here, _in_a_pool_made_before])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Work in a thread whose end is waited for; anyjac loses its patience at once."""
    make_impatient(monkeypatch)
    run: Callable[[Callable[[], Any]], Any] = request.param
    return run


Elsewhere = Callable[[Callable[[], Any]], Any]


def test_a_differentiated_variable_is_no_constant_in_a_thread_that_the_function_starts(
    backend: anyjac.Backend, elsewhere: Elsewhere
) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)), name="v")
    with pytest.raises(anyjac.ConcurrencyError, match="Variable 'v' is read in a thread"):
        anyjac.grad(lambda: 3 * elsewhere(lambda: v.value), v)()
    assert_nothing_open(v)


def test_a_written_variable_is_not_read_as_it_was_in_a_thread_that_the_function_starts(
    backend: anyjac.Backend, elsewhere: Elsewhere
) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)), name="v")

    def f(x: Any) -> Any:
        v.value = v + x
        return elsewhere(lambda: x * v)

    with pytest.raises(anyjac.ConcurrencyError, match="Variable 'v' is read in a thread"):
        jacrev(f, backend=backend)(backend.asarray(np.asarray(1.0)))
    assert float(v) == 1.0


def test_a_thread_that_the_function_starts_writes_no_variable_of_the_call(
    backend: anyjac.Backend, elsewhere: Elsewhere
) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)), name="v")

    def write() -> None:
        v.value = backend.asarray(np.asarray(9.0))

    def f(x: Any) -> Any:
        product = x * v
        elsewhere(write)
        return product

    with pytest.raises(anyjac.ConcurrencyError, match="Variable 'v' is written in a thread"):
        jacrev(f, backend=backend)(backend.asarray(np.asarray(2.0)))
    assert float(v) == 1.0
    assert float(jacrev(lambda x: x * v, backend=backend)(backend.asarray(np.asarray(2.0)))) == 1.0


CALLS: dict[str, Callable[[Variable, Any], Any]] = {
    "grad": lambda v, x: anyjac.grad(lambda: v * v, v)(),
    "jacrev of an argument": lambda v, x: jacrev(lambda x: v * x)(x),
    "jit": lambda v, x: anyjac.jit(lambda x: v * x)(x),
    "vmap": lambda v, x: anyjac.vmap(lambda x: v * x)(x[None]),
    "vjp": lambda v, x: anyjac.vjp(lambda x: v * x)(x),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_in_a_thread_that_the_function_starts_is_refused_and_does_not_hang(
    backend: anyjac.Backend, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    make_impatient(monkeypatch)
    v, x = (Variable(backend.asarray(np.asarray(2.0)), name="v"), backend.asarray(np.asarray(3.0)))
    with pytest.raises(anyjac.ConcurrencyError, match=r"uses Variable 'v', .* been waiting for 1 s, perhaps for this"):
        anyjac.grad(lambda: v * _in_a_pool_made_before(lambda: CALLS[call](v, x)), v)()
    assert_nothing_open(v)
    assert float(v) == 2.0


def test_a_thread_waited_for_by_a_bare_lock_is_refused_too(
    backend: anyjac.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch)
    v, ended = Variable(backend.asarray(np.asarray(2.0)), name="v"), threading.Lock()
    errors: list[Exception] = []

    def read() -> None:
        try:
            v.value  # noqa: B018
        except anyjac.ConcurrencyError as error:
            errors.append(error)
        ended.release()

    def f() -> Any:
        ended.acquire()
        threading.Thread(target=read).start()
        ended.acquire()
        return v * v

    anyjac.grad(f, v)()
    assert "Variable 'v' is read in a thread" in str(errors[0])


def test_a_reader_waits_for_a_call_that_works_for_long(
    backend: anyjac.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch)
    v, running = Variable(backend.asarray(np.asarray(2.0))), threading.Event()

    def f(x: Any) -> Any:
        v.value = v * 2.0
        running.set()
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pass
        return x * v

    def read() -> float:
        running.wait(PATIENCE_S)
        return float(v.value)

    call = partial(jacrev(f, backend=backend), backend.asarray(np.asarray(1.0)))
    assert run_in_threads([call, read])[1] == 4.0


def test_a_thread_that_the_function_starts_reads_what_the_call_does_not_change(
    backend: anyjac.Backend, elsewhere: Elsewhere
) -> None:
    v, w = (Variable(backend.asarray(np.asarray(value))) for value in (2.0, 3.0))
    found = anyjac.grad(lambda: v * float(w) * elsewhere(lambda: float(w.value)), v)()
    assert float(found) == 9.0


def test_a_thread_that_the_function_starts_sees_what_was_before_by_committed(
    backend: anyjac.Backend, elsewhere: Elsewhere
) -> None:
    v = Variable(backend.asarray(np.asarray(2.0)))
    assert float(anyjac.grad(lambda: v * float(elsewhere(v.committed)), v)()) == 2.0


def test_a_reader_outside_waits_for_what_a_call_writes(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    running, seen = threading.Event(), threading.Event()

    def f(x: Any) -> Any:
        v.value = v + x
        running.set()
        assert not seen.wait(0.2), "the reader has not waited"
        return x

    def read() -> float:
        running.wait(PATIENCE_S)
        value = float(v.value)
        seen.set()
        return value

    call = partial(jacrev(f, backend=backend), backend.asarray(np.asarray(1.0)))
    assert run_in_threads([call, read])[1] == 2.0


def test_a_reader_is_not_kept_out_by_many_short_calls(backend: anyjac.Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    make_impatient(monkeypatch, 1.0)
    v, done = Variable(backend.asarray(np.asarray(1.0))), threading.Event()

    def f(x: Any) -> Any:
        v.value = v * 1.0
        time.sleep(0.01)
        return x * v

    def call() -> None:
        transform = jacrev(f, backend=backend)
        until = time.monotonic() + 3.0
        while not done.is_set() and time.monotonic() < until:
            transform(backend.asarray(np.asarray(1.0)))

    def read() -> list[float]:
        try:
            return [float(v.value) for _ in range(5)]
        finally:
            done.set()

    assert run_in_threads([call, call, call, read])[3] == [1.0] * 5


def test_a_writer_outside_waits_for_the_call_that_uses_the_variable(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    running, written = threading.Event(), threading.Event()

    def f(x: Any) -> Any:
        v.value = v + x
        running.set()
        assert not written.wait(0.2), "the writer has not waited"
        return x

    def write() -> None:
        running.wait(PATIENCE_S)
        v.value = backend.asarray(np.asarray(7.0))
        written.set()

    run_in_threads([partial(jacrev(f, backend=backend), backend.asarray(np.asarray(1.0))), write])
    assert float(v) == 7.0


FORK = """
import os, threading
import numpy as np
import anyjac

v = anyjac.Variable(np.array(2.0))
running, end = threading.Event(), threading.Event()

def square():
    running.set()
    end.wait(30)
    return v * v

thread = threading.Thread(target=anyjac.grad(square, v))
thread.start()
running.wait(30)
child = os.fork()
if not child:
    os._exit(0 if anyjac.grad(lambda: v * v, v)() == 4.0 and v.value == 2.0 else 1)
_, status = os.waitpid(child, 0)
end.set()
thread.join()
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork")
def test_a_forked_child_does_not_wait_for_the_calls_of_threads_that_it_lacks() -> None:
    assert printed_by(FORK) == "0\n"


def _context_of_a_finished_call(v: Variable, backend: anyjac.Backend, *, fails: bool) -> contextvars.Context:
    kept: list[contextvars.Context] = []

    def f(x: Any) -> Any:
        v.value = v + x
        kept.append(contextvars.copy_context())
        if fails:
            raise ZeroDivisionError
        return x * v.value

    try:
        jacrev(f, backend=backend)(backend.asarray(np.asarray(1.0)))
    except ZeroDivisionError:
        assert fails
    return kept[0]


@pytest.mark.parametrize("fails", [False, True])
def test_what_runs_later_in_a_context_copied_in_a_call_is_outside_of_it(backend: anyjac.Backend, fails: bool) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    context = _context_of_a_finished_call(v, backend, fails=fails)
    after = 1.0 if fails else 2.0

    def later() -> float:
        read = float(v.value)
        v.value = read + 10.0
        return read

    assert in_another_thread(lambda: context.run(later)) == after
    assert float(v) == after + 10.0
    assert not is_owned(v)


def test_a_call_in_a_context_copied_in_a_finished_call_commits_and_hinders_no_other(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    context = _context_of_a_finished_call(v, backend, fails=False)

    def f(x: Any) -> Any:
        v.value = v * x
        return v.value

    transform = jacrev(f, backend=backend)
    x = backend.asarray(np.asarray(3.0))
    assert float(in_another_thread(lambda: context.run(transform, x))) == 2.0
    assert float(v) == 6.0
    assert float(in_another_thread(lambda: transform(x), patience_s=5.0)) == 6.0
    assert float(v) == 18.0


def test_a_call_in_a_backward_pass_does_not_wait_for_the_call_around_it() -> None:
    torch = pytest.importorskip("torch")
    v = anyjac.Variable(torch.tensor(2.0), name="v")
    product = anyjac.grad(lambda y: y * v.value)

    class Square(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            (x,) = ctx.saved_tensors
            return gradient * product(x) * x

    def f(x: Any) -> Any:
        v.value = v.value + 1.0
        return Square.apply(x) * v.value

    with pytest.raises(anyjac.ConcurrencyError, match=r"Variable 'v', which a call around it in the same thread"):
        anyjac.grad(f)(torch.tensor(3.0))
    assert float(v.value) == 2.0
    assert_nothing_open(v)
