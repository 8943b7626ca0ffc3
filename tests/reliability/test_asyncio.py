"""Tasks of asyncio: contexts and scopes belong to the task, and coroutine functions are refused."""

import asyncio
from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import Variable, jacrev
from anyjac.scope import current_scope

TASKS, ROUNDS = 24, 6


def test_many_tasks_with_variables_of_their_own_give_right_answers(backend: anyjac.Backend) -> None:
    async def task(number: int) -> None:
        w = Variable(backend.asarray(np.asarray(float(number))))

        def f(x: Any) -> Any:
            w.value = w * 1.0
            return jacrev(lambda y: w * y**3, backend=backend)(x)

        for round_ in range(ROUNDS):
            x = float(round_ + 1)
            of_w, of_x = jacrev(f, w, 0, backend=backend)(backend.asarray(np.asarray(x)))
            await asyncio.sleep(0)
            assert (float(of_w), float(of_x)) == (3 * x**2, 6 * number * x)
        assert float(w) == number

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(TASKS)))

    asyncio.run(main())
    assert current_scope() is None


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


def test_a_context_lasts_across_awaits_for_its_own_task_alone() -> None:
    async def task(name: str) -> None:
        with anyjac.use_backend(name):
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
                assert anyjac.get_backend().name == name
                assert anyjac.get_backend(name).is_array(jacrev(lambda x: x * x)(3.0))
                assert await asyncio.to_thread(lambda: anyjac.get_backend().name) == name

    async def main() -> None:
        await asyncio.gather(*(task(name) for name in ("autograd", "jax", "torch") * 4))

    asyncio.run(main())
    assert anyjac.get_backend().name == "autograd"


def test_a_coroutine_function_is_refused_and_variables_are_as_they_were() -> None:
    v = Variable(1.0)

    async def f(x: Any) -> Any:
        v.value = x
        return x

    with pytest.raises(anyjac.OutputError, match="coroutine"):
        jacrev(f)(2.0)
    assert float(v) == 1.0
