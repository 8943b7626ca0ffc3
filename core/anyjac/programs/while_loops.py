"""`while_loop`: a loop that goes on as long as a condition on its carry holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from anyjac_plugins.backend.types import Array
from anyjac_plugins.errors import StepLimitError

from ..calls.run import run_in_scope
from ..state.entries import Write
from ..state.scope import Scope
from .carried import Carried
from .carried_variables import CarriedVariables, with_all_written, with_value
from .flags import flag_of
from .loop_arguments import check_count, check_function
from .looping import open_loop

Carry = TypeVar("Carry")


def while_loop(
    cond: Callable[[Carry], Any], body: Callable[[Carry], Carry], init: Carry, *, max_steps: int | None = None
) -> Carry:
    """Run a function again and again, as long as a condition on what it carries holds.

    Parameters
    ----------
    cond
        Takes the carry, and returns a boolean without axes. It may read Variables, and write none.
    body
        Takes the carry, and returns the next one, of the same structure, shapes and dtypes. It may read and write
        Variables.
    init
        The first carry, a tree of arrays and numbers, as in `scan`.
    max_steps
        The greatest number of steps. JAX needs to know one for derivatives in reverse mode.

    Returns
    -------
    carry
        The first carry for which the condition does not hold.

    Raises
    ------
    InputTypeError, InputValueError
        For arguments of which no loop can be made, naming them.
    OutputError
        If `cond` returns no boolean without axes, or `body` changes structure, shape or dtype of the carry.
    StepLimitError
        If the condition still holds after `max_steps`.
    VariableWriteError
        If `cond` writes a Variable.

    Notes
    -----
    The number of steps counts as a constant in all derivatives. With `max_steps` a recorded loop on JAX is a
    `jax.lax.scan` of as many steps, of which those after the end do nothing, so that a much greater number than needed
    costs time and memory. Such a loop cannot raise an error: where the condition still holds, all that is returned or
    written is NaN, and the least of all numbers in integers.

    Examples
    --------
    A square root by Newton's method, with its derivative:

    >>> import anyjac
    >>> def root(x):
    ...     def improve(r):
    ...         return 0.5 * (r + x / r)
    ...     return anyjac.while_loop(lambda r: abs(r * r - x) > 1e-12, improve, x, max_steps=50)
    >>> round(float(anyjac.grad(root)(4.0)), 6)
    0.25
    """
    for name, function in (("cond", cond), ("body", body)):
        check_function(function, "while_loop", name)
    if max_steps is not None:
        check_count("max_steps", max_steps, 0, "give an int or None")

    def work(scope: Scope) -> tuple[Carry, list[Write]]:
        carry = Carried(scope, init, lambda: "init")

        def run() -> tuple[Carry, list[Write]]:
            loop = _WhileLoop(scope, cond, body, carry, max_steps)
            return loop.recorded() if scope.backend.records_loops() else loop.at_once()

        return carry.widened(run)

    result: Carry = open_loop(work, body, (init,))
    return result


class _WhileLoop:
    """One run of a loop."""

    def __init__(
        self,
        scope: Scope,
        condition: Callable[[Any], Any],
        body: Callable[[Any], Any],
        carry: Carried,
        max_steps: int | None,
    ):
        self._scope = scope
        self._condition = condition
        self._body = body
        self._carry = carry
        self._max_steps = max_steps

    def _holds(self, arrays: Sequence[Array]) -> Array:
        with self._scope.reading_only("the condition of while_loop"):
            flag = self._condition(self._carry.tree_of(arrays))
        return flag_of(self._scope.backend, flag, "the condition of while_loop")

    def _step(self, arrays: Sequence[Array]) -> list[Array]:
        return self._carry.taken(self._body(self._carry.tree_of(arrays)), "what the function returned")

    def at_once(self) -> tuple[Any, list[Write]]:
        """Run the body for each step, with Variables in the scope."""

        def steps() -> list[Array]:
            run = self._scope.backend.while_loop
            return self._completed(*run(self._holds, self._step, self._carry.arrays, self._max_steps))

        functions = (self._condition,)  # in which Variables may be replaced too
        arrays, writes = run_in_scope(self._scope, self._body, functions, {}, lambda found: found, work=steps)
        return self._finished(arrays), [with_value(write, content) for write, content in writes]

    def _completed(self, arrays: list[Array], is_complete: bool) -> list[Array]:
        if not is_complete:
            raise StepLimitError(
                f"while_loop has taken max_steps={self._max_steps} steps, and its condition still holds; give a "
                f"greater number, or a condition that ends"
            )
        return arrays

    def recorded(self) -> tuple[Any, list[Write]]:
        """Record condition and body, with the Variables that the body writes in the carry."""
        return with_all_written(self._scope, self._recorded_with, repeats=True)

    def _recorded_with(self, state: CarriedVariables) -> tuple[Any, list[Write]]:
        own = len(self._carry.arrays)

        def holds(arrays: Sequence[Array]) -> Array:
            return state.run(self._condition, partial(self._holds, arrays[:own]), arrays[own:])[0]

        def step(arrays: Sequence[Array]) -> list[Array]:
            after, written = state.run(self._body, partial(self._step, arrays[:own]), arrays[own:])
            return [*after, *written]

        begin = [*self._carry.arrays, *state.arrays]
        last = self._completed(*self._scope.backend.while_loop(holds, step, begin, self._max_steps))
        return self._finished(last[:own]), state.writes(last[own:])

    def _finished(self, arrays: Sequence[Array]) -> Any:
        return self._carry.tree_of(self._scope.backend.unshared(arrays, self._carry.arrays))
