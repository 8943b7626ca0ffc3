"""``python -m tests.fuzz``: random programs on all backends, for as long as one likes.

Stops at the first wrong result, with the smallest program that gives it. ``--compiled`` compiles what is
differentiated, on the backends that compile.
"""

from __future__ import annotations

import argparse
import time

import jax
from hypothesis import HealthCheck, Phase, given, seed, settings

import anyjac

from .runs import Problem, check, problems

EXAMPLES_AT_ONCE = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="where the random numbers begin (default: 0)")
    parser.add_argument("--backend", action="append", help="only this backend; may be repeated")
    parser.add_argument("--compiled", action="store_true", help="under anyjac.jit")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    backends = [anyjac.get_backend(name) for name in options.backend or ("autograd", "torch", "jax")]
    end, number, count = time.monotonic() + options.seconds, options.seed, 0
    while time.monotonic() < end:
        for backend in backends:
            ran = _run(backend, number, compiled=options.compiled)
            count += ran
        number += 1
    print(f"{count} programs on {', '.join(backend.name for backend in backends)}: no wrong result")


def _run(backend: anyjac.Backend, number: int, *, compiled: bool) -> int:
    """Run some programs on a backend, and return how many."""
    ran = 0

    @seed(number)
    @settings(
        max_examples=EXAMPLES_AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(problems(compiled=compiled))
    def some(problem: Problem) -> None:
        nonlocal ran
        ran += 1
        check(problem, backend)

    some()
    return ran


if __name__ == "__main__":
    main()
