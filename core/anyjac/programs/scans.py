"""`scan`, `for_loop` and `fori_loop`: loops over rows and numbers, which may write Variables on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from anyjac_plugins.backend.types import Array
from anyjac_plugins.errors import InputTypeError, InputValueError, OutputError

from ..calls.outputs import in_words
from ..selection.choice import is_array_of_any
from ..state.entries import Write
from ..state.scope import Scope
from .carried import Carried
from .loop_arguments import check_bool, check_count, check_function, check_int
from .looping import Body, LoopOptions, Rows, open_loop, run_loop

Carry = TypeVar("Carry")


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Carry,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
    checkpoint: bool | int = False,
) -> tuple[Carry, Any]:
    """Run a function along the first axis of arrays, with a carry from step to step.

    ``carry, ys = scan(f, init, xs)`` is ``carry, y = f(carry, x)`` for each ``x`` of ``xs``, beginning with `init`,
    and all ``y``, stacked. `f` may read and write Variables, which keep their values from step to step.

    Parameters
    ----------
    f
        Takes the carry and one element of `xs`, and returns a pair: the next carry, of the same structure, shapes and
        dtypes, and the result of the step, a tree of arrays and numbers.
    init
        The first carry, a tree of arrays and numbers. A number of Python takes the dtype that the first step gives it.
    xs
        What to go along, a tree of arrays with the same number of elements along their first axes; None for nothing.
    length
        The number of steps. Left out, `xs` tells.
    reverse
        Whether to begin with the last element. Results stand in the order of `xs` all the same.
    unroll
        How many steps a compiler is to write one after the other; other backends have no use for it.
    checkpoint
        How many steps are computed again together in the pass back, of which the carry and the Variables at their
        beginning alone are kept: as in `checkpoint`. True stands for the root of the number of steps, with which the
        most memory is saved; False keeps what all steps compute.

    Returns
    -------
    carry, ys
        The last carry, and the results of all steps, stacked along a new first axis.

    Raises
    ------
    InputTypeError, InputValueError
        For arguments of which no loop can be made, naming them.
    OutputError
        If `f` returns no pair, or changes structure, shape or dtype of the carry, naming where and both sides.

    Notes
    -----
    A loop can be differentiated, compiled and mapped by every transform around it, and can contain any. Outside of all
    of them what it has written to Variables is stored when it has ended, and nothing is stored after an error. JAX
    records `f` once for all steps, by `jax.lax.scan`, so that `f` sees no values, and printing in it shows once; other
    backends run `f` for each step. With no steps results have the right shapes and dtypes, no elements, and nothing is
    written; other backends than JAX run `f` once, on ones, to find them.

    The first step may write Variables that `f` has not written before; one made in `f` lives for one step on JAX.

    Examples
    --------
    A sum that decays, and what it was after each step:

    >>> import numpy as np
    >>> import anyjac
    >>> last, sums = anyjac.scan(lambda s, x: (0.5 * s + x, s), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> float(last), sums
    (4.25, array([0. , 1. , 2.5]))
    """
    check_function(f, "scan")
    options = _checked_options(length, reverse, unroll, checkpoint)

    def call(carry: Any, row: Any) -> tuple[Any, Any]:
        return _pair(f(carry, row), "scan")

    def work(scope: Scope) -> tuple[Any, list[Write]]:
        rows = Rows(scope, xs, lambda: "xs", length, "xs or length")
        body = Body(f, call, "the carry that the function returned")
        return run_loop(scope, body, Carried(scope, init, lambda: "init"), rows, options)

    result: tuple[Carry, Any] = open_loop(work, f, (init, xs))
    return result


def for_loop(
    f: Callable[..., Any],
    *xs: Any,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
    checkpoint: bool | int = False,
) -> Any:
    """Run a function for each element of arrays, and stack what it returns.

    All that goes on from step to step is in the Variables that `f` reads and writes.

    Parameters
    ----------
    f
        Takes one element of each of `xs`, and returns a tree of arrays and numbers, or None.
    *xs
        What to go along: arrays, or trees of them, with the same number of elements along their first axes.
    length, reverse, unroll, checkpoint
        As in `scan`.

    Returns
    -------
    ys
        The results of all steps, stacked along a new first axis.

    Raises
    ------
    InputTypeError, InputValueError, OutputError
        As in `scan`.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> v = anyjac.Variable(np.array(0.0))
    >>> def step(current):
    ...     v.value = 0.5 * v + current
    ...     return v.value
    >>> anyjac.for_loop(step, np.array([1.0, 2.0, 3.0]))
    array([1.  , 2.5 , 4.25])
    >>> v
    Variable(array(4.25))
    """
    check_function(f, "for_loop")
    options = _checked_options(length, reverse, unroll, checkpoint)

    def call(carry: Any, row: tuple[Any, ...]) -> tuple[Any, Any]:
        return carry, f(*row)

    def work(scope: Scope) -> tuple[Any, list[Write]]:
        rows = _PositionalRows(scope, xs, length)
        body = Body(f, call, "the carry")
        (_, results), writes = run_loop(scope, body, Carried(scope, None, lambda: "the carry"), rows, options)
        return results, writes

    return open_loop(work, f, xs)


class _PositionalRows(Rows):
    """What a loop goes along, given as arguments by position."""

    def __init__(self, scope: Scope, xs: tuple[Any, ...], length: int | None):
        super().__init__(scope, xs, lambda: "xs", length, "arrays to go along, or length")


def fori_loop(
    lower: int, upper: int, body: Callable[[Array, Carry], Carry], init: Carry, *, checkpoint: bool | int = False
) -> Carry:
    """Run a function for each number from `lower` up to and without `upper`.

    Parameters
    ----------
    lower, upper
        Integers of Python.
    body
        Takes the number, as an integer array without axes, and the carry, and returns the next carry, as in `scan`. It
        may read and write Variables.
    init
        The first carry, as in `scan`.
    checkpoint
        As in `scan`.

    Returns
    -------
    carry
        The last carry: `init`, where there is no number.

    Raises
    ------
    InputTypeError, OutputError
        As in `scan`.

    Notes
    -----
    The numbers are known, so that the loop has derivatives in both modes on all backends. Where they are computed, use
    `while_loop`.

    Examples
    --------
    >>> import anyjac
    >>> float(anyjac.fori_loop(1, 6, lambda i, product: product * i, 1.0))
    120.0
    """
    check_function(body, "fori_loop")
    options = _checked_options(None, False, 1, checkpoint)
    for name, bound in (("lower", lower), ("upper", upper)):
        counts = "give an int, or count in the carry of while_loop" if is_array_of_any(bound) else "give an int"
        check_int(name, bound, counts)

    def call(carry: Any, number: Array) -> tuple[Any, Any]:
        return body(number, carry), None

    def work(scope: Scope) -> tuple[Any, list[Write]]:
        numbers = scope.backend.namespace.arange(lower, max(lower, upper), device=scope.device)
        rows = Rows(scope, numbers, lambda: "the numbers", None, "numbers")
        step = Body(body, call, "what the function returned")
        (carry, _), writes = run_loop(scope, step, Carried(scope, init, lambda: "init"), rows, options)
        return carry, writes

    result: Carry = open_loop(work, body, (init,))
    return result


def _pair(result: Any, member: str) -> tuple[Any, Any]:
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise OutputError(
        f"the function of {member} returned {in_words(result)}; it must return a pair, the next carry and the result "
        f"of the step, of which either may be None"
    )


def _checked_options(length: Any, reverse: Any, unroll: Any, checkpoint: Any) -> LoopOptions:
    """Return the options of a loop.

    Raises
    ------
    InputTypeError, InputValueError
        Naming one that is none.
    """
    if length is not None:
        check_count("length", length, 0)
    check_count("unroll", unroll, 1)
    check_bool("reverse", reverse)
    if not isinstance(checkpoint, int):
        raise InputTypeError(
            f"checkpoint is {checkpoint!r}, of type {type(checkpoint).__qualname__}; give True, False or an int, the "
            f"number of steps that are computed again together"
        )
    if checkpoint is not False and checkpoint < 1:
        raise InputValueError(f"checkpoint is {checkpoint}; give 1 or more, or False")
    return LoopOptions(reverse, unroll, checkpoint)
