"""Tasks of asyncio: contexts and scopes belong to the task, and coroutine functions are refused."""

import asyncio
import functools
import gc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.helpers.open_calls import assert_nothing_open, is_open, is_owned
from tests.helpers.threads import in_another_thread

import anyjac
from anyjac import Variable, jacrev

from .stateful import Snapshot, assert_untraced

TASKS, ROUNDS = 24, 6
NAMES = ("autograd", "jax", "torch")


# ---- tasks that take turns -----------------------------------------------------------------------------------------


def test_many_tasks_with_variables_of_their_own_give_right_answers(backend: anyjac.Backend) -> None:
    async def task(number: int) -> None:
        size = 1 + number % 3
        w = Variable(backend.asarray(np.full(size, float(number))))
        calls = Variable(backend.asarray(np.asarray(0)))

        def inner(y: Any) -> Any:
            calls.value += 1
            return backend.namespace.sum(w * y**3)

        def f(x: Any) -> Any:
            w.value = w * 1.0
            calls.value += 1
            return jacrev(inner, backend=backend)(x)

        transform = jacrev(f, w, 0, backend=backend)
        for round_ in range(ROUNDS):
            x = np.arange(1.0, size + 1) + round_
            of_w, of_x = transform(backend.asarray(x))
            await asyncio.sleep(0)
            assert np.allclose(backend.to_numpy(of_w), np.diag(3 * x**2), rtol=1e-13)
            assert np.allclose(backend.to_numpy(of_x), np.diag(6 * number * x), rtol=1e-13)
            assert int(calls) == 2 * (round_ + 1)
            await asyncio.sleep(0)
        assert backend.to_numpy(w.value).tolist() == [float(number)] * size
        assert_untraced(w, calls)
        assert_nothing_open(w, calls)

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(TASKS)))

    asyncio.run(main())
    assert not is_open()


def test_tasks_that_change_between_backends_give_right_answers() -> None:
    async def task(number: int) -> None:
        for round_ in range(ROUNDS):
            backend = anyjac.get_backend(NAMES[(number + round_) % 3])
            v = Variable(backend.asarray(np.asarray(float(number))))
            await asyncio.sleep(0)
            slope = jacrev(lambda x, v=v: v * x * x, backend=backend)(backend.asarray(np.asarray(2.0)))
            await asyncio.sleep(0)
            assert backend.is_array(slope)
            assert float(slope) == 4.0 * number

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(TASKS)))

    asyncio.run(main())


def test_a_shared_counter_loses_nothing_in_tasks_and_their_threads(backend: anyjac.Backend) -> None:
    count = Variable(backend.asarray(np.asarray(0)))

    def f(x: Any) -> Any:
        count.value += 1
        return x * x

    transform = jacrev(f, backend=backend)

    async def task() -> None:
        for _ in range(ROUNDS):
            assert float(await asyncio.to_thread(transform, backend.asarray(np.asarray(2.0)))) == 4.0
            assert float(transform(backend.asarray(np.asarray(2.0)))) == 4.0

    async def main() -> None:
        await asyncio.gather(*(task() for _ in range(8)))

    asyncio.run(main())
    assert int(count) == 8 * ROUNDS * 2
    assert_nothing_open(count)


def test_a_task_that_fails_or_is_cancelled_leaves_the_others_right(backend: anyjac.Backend) -> None:
    count = Variable(backend.asarray(np.asarray(0)))

    def f(x: Any, error: type[BaseException] | None) -> Any:
        count.value += 1
        if error is not None:
            raise error
        return x * x

    transform = jacrev(f, backend=backend)
    errors = (None, ZeroDivisionError, asyncio.CancelledError)

    async def task(number: int) -> float:
        await asyncio.sleep(0)
        return float(transform(backend.asarray(np.asarray(2.0)), errors[number % 3]))

    async def main() -> list[Any]:
        return await asyncio.gather(*(task(number) for number in range(TASKS)), return_exceptions=True)

    results = asyncio.run(main())
    assert results[::3] == [4.0] * (TASKS // 3)
    assert [type(result) for result in results[1:3]] == [ZeroDivisionError, asyncio.CancelledError]
    assert int(count) == TASKS // 3
    assert_nothing_open(count)


def test_a_context_lasts_across_awaits_for_its_own_task_alone() -> None:
    async def task(name: str) -> None:
        with anyjac.use_backend(name):
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
                assert anyjac.get_backend().name == name
                assert anyjac.get_backend(name).is_array(jacrev(lambda x: x * x)(3.0))
                assert await asyncio.to_thread(lambda: anyjac.get_backend().name) == name
        assert anyjac.get_backend().name == "autograd"

    async def main() -> None:
        await asyncio.gather(*(task(name) for name in NAMES * 4))

    asyncio.run(main())
    assert anyjac.get_backend().name == "autograd"


# ---- tasks and calls inside one another ----------------------------------------------------------------------------


def test_a_function_may_run_an_event_loop_of_its_own(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(2.0)))

    async def part(x: Any) -> Any:
        v.value = v + 1.0
        await asyncio.sleep(0)
        return jacrev(lambda y: v * y * y)(x)

    async def body(x: Any) -> Any:
        first, second = await asyncio.gather(part(x), part(x * 2.0))
        return first + second

    # Both parts have written when the first one reads, so that f = 2 (v + 2) x + 2 (v + 2) 2 x = 6 (v + 2) x.
    of_v, of_x = jacrev(lambda x: asyncio.run(body(x)), v, 0, backend=backend)(backend.asarray(np.asarray(3.0)))
    assert (float(of_v), float(of_x)) == (18.0, 24.0)
    assert float(v) == 4.0
    assert_untraced(v)
    assert_nothing_open(v)


def test_a_task_that_a_function_starts_runs_outside_of_the_finished_call(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    seen: list[float] = []

    async def later() -> None:
        seen.append(float(v.value))
        v.value = 10.0
        await asyncio.sleep(0)
        seen.append(float(v.value))

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []

        def f(x: Any) -> Any:
            tasks.append(asyncio.get_running_loop().create_task(later()))
            v.value = v + x
            return x * v.value

        assert float(jacrev(f, backend=backend)(backend.asarray(np.asarray(1.0)))) == 3.0
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert seen == [2.0, 10.0]
    assert float(v) == 10.0
    assert not is_owned(v)


def test_a_variable_that_a_task_of_a_function_has_read_can_be_used_by_later_calls(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(5.0)))

    async def main() -> None:
        tasks: list[asyncio.Task[Any]] = []

        async def later() -> Any:
            return jacrev(lambda x: v * x, backend=backend)(backend.asarray(np.asarray(1.0)))

        def f(x: Any) -> Any:
            tasks.append(asyncio.get_running_loop().create_task(later()))
            return x * x

        jacrev(f, backend=backend)(backend.asarray(np.asarray(1.0)))
        assert [float(slope) for slope in await asyncio.gather(*tasks)] == [5.0]

    asyncio.run(main())
    transform = jacrev(lambda x: v * x * x, backend=backend)
    slope = in_another_thread(lambda: transform(backend.asarray(np.asarray(3.0))), patience_s=5.0)
    assert float(slope) == 30.0


# ---- coroutine functions -------------------------------------------------------------------------------------------


def _refusal(call: Callable[[], Any]) -> str:
    """Return the message of the refusal; its traceback, which holds the coroutine, is let go."""
    with pytest.raises(TypeError) as caught:
        call()
    assert isinstance(caught.value, anyjac.OutputError)
    return str(caught.value)


class CoroutineObject:
    """A callable object whose call is a coroutine."""

    def __init__(self, v: Variable) -> None:
        self.v = v

    async def __call__(self, x: Any) -> Any:
        self.v.value = x
        return x

    async def method(self, x: Any) -> Any:
        self.v.value = x
        return x


def _coroutine_functions(v: Variable) -> dict[str, Any]:
    thing = CoroutineObject(v)

    async def function(x: Any) -> Any:
        v.value = x
        return x

    def plain_that_returns_a_coroutine(x: Any) -> Any:
        v.value = x
        return function(x)

    def nested(x: Any) -> Any:
        v.value = x
        return jacrev(function)(x)

    return {
        "function": function,
        "method": thing.method,
        "object": thing,
        "partial": functools.partial(function),
        "plain": plain_that_returns_a_coroutine,
        "nested": nested,
    }


FORMS = tuple(_coroutine_functions(Variable(0.0)))


@pytest.mark.parametrize("has_aux", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_coroutine_function_is_refused_and_variables_are_as_they_were(
    backend: anyjac.Backend, form: str, has_aux: bool
) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    snapshot = Snapshot(v)
    transform = jacrev(_coroutine_functions(v)[form], has_aux=has_aux, backend=backend)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        message = _refusal(lambda: transform(backend.asarray(np.asarray(2.0))))
        gc.collect()
    assert [str(warning.message) for warning in caught if "never awaited" in str(warning.message)] == []
    assert "coroutine function" in message
    snapshot.assert_unchanged()


def test_an_asynchronous_generator_is_refused_and_variables_are_as_they_were(backend: anyjac.Backend) -> None:
    v = Variable(backend.asarray(np.asarray(1.0)))
    snapshot = Snapshot(v)

    async def f(x: Any) -> Any:
        v.value = x
        yield x

    with pytest.raises(anyjac.OutputError, match="async_generator"):
        jacrev(f, backend=backend)(backend.asarray(np.asarray(2.0)))
    snapshot.assert_unchanged()


def test_a_coroutine_may_await_around_a_transform(backend: anyjac.Backend) -> None:
    async def main() -> float:
        transform = jacrev(lambda x: x**3, backend=backend)
        await asyncio.sleep(0)
        return float(transform(backend.asarray(np.asarray(2.0))))

    assert asyncio.run(main()) == 12.0
