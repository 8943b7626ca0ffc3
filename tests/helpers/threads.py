"""Work in threads, which has to finish in time."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

PATIENCE_S = 60.0
"""How long a thread may take before it counts as hanging."""


def run_in_threads(works: Sequence[Callable[[], Any]], patience_s: float = PATIENCE_S) -> list[Any]:
    """Run functions in threads, started together, and return their results; the first exception is raised here."""
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
        thread.join(patience_s)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results


def in_another_thread(work: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Run a function in a new thread and return its result."""
    return run_in_threads([work], patience_s)[0]
