"""What a call costs besides its computation: ``python -m benchmarks.overhead [--profile]``.

The function returns its argument, and the backend has the Jacobian at hand, so that the rest of the time is anyjac's.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, ClassVar

import anyjac
from anyjac import Backend
from anyjac_plugins import Array, FlatFunction, Jacobian, Pullback

MICROSECOND = 1e-6


class Token:
    """An array as far as anyjac looks at it: a type of one framework, a shape and a dtype."""

    shape: ClassVar[tuple[int, ...]] = ()
    dtype: ClassVar[str] = "float64"


class TrivialBackend(Backend):
    """A framework that computes nothing."""

    name = "trivial"
    array_modules = (__name__.partition(".")[0],)

    @property
    def namespace(self) -> Any:
        return self

    def is_array(self, value: object) -> bool:
        return isinstance(value, Token)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        return value

    def devices(self) -> Sequence[Any]:
        return ("nowhere",)

    def device_of(self, array: Array) -> Any:
        return "nowhere"

    def dtype_kind(self, dtype: Any) -> str:
        return "real floating"

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        outputs, aux = fun(*primals)
        return list(outputs), list, list(aux)

    def jacobian(
        self, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None = None, mode: str = "rev"
    ) -> Jacobian:
        outputs, aux = fun(*primals)
        return Jacobian(list(outputs), [list(primals)] * len(outputs), list(aux))


def cases() -> dict[str, Callable[[], Any]]:
    """Return the calls that are timed, by name; the trivial backend must be registered."""
    x, tree = Token(), {"a": Token(), "b": [Token(), Token()]}
    variable = anyjac.Variable(Token())
    of_array = anyjac.jacrev(_itself)
    named = anyjac.jacrev(_itself, backend="trivial")
    of_variable = anyjac.jacrev(lambda: variable.value, variable)
    return {
        "one array": lambda: of_array(x),
        "one array, backend named": lambda: named(x),
        "one Variable": lambda: of_variable(),
        "dict and list of three arrays": lambda: of_array(tree),
    }


def _itself(x: Any) -> Any:
    return x


@contextmanager
def registered() -> Iterator[None]:
    """Register the trivial backend for a block of code."""
    anyjac.register_backend(TrivialBackend())
    try:
        yield
    finally:
        anyjac.unregister_backend(TrivialBackend.name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the calls that the command line asks for, and print a table in microseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few calls: only that it runs")
    parser.add_argument("--profile", action="store_true", help="show also where the time of one array's call goes")
    options = parser.parse_args(arguments)
    calls, rounds = (10, 3) if options.quick else (2000, 25)
    with registered():
        print("| anyjac's own | best [us] | median [us] |\n| --- | --- | --- |")
        for name, case in cases().items():
            case()
            times = [seconds / calls / MICROSECOND for seconds in timeit.repeat(case, number=calls, repeat=rounds)]
            print(f"| {name} | {min(times):.1f} | {median(times):.1f} |")
        if options.profile:
            _profile(next(iter(cases().values())), calls)


def _profile(case: Callable[[], Any], calls: int) -> None:
    profile = cProfile.Profile()
    with profile:
        for _ in range(calls):
            case()
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
