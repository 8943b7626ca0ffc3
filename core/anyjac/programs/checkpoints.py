"""`checkpoint`: functions that are computed again in the pass back, and keep their arguments alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from ..callables.wrapper import Wrapper, name_of
from ..calls.constants import Constants
from ..calls.containers import opener_of
from ..calls.outputs import take_apart
from ..pickles import Recipe
from ..state.entries import Write
from ..state.scope import Scope
from .looping import open_loop
from .repeating import run_repeatable

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)


def checkpoint(func: Callable[P, R]) -> Checkpointed[P, R]:
    """Make a function keep its arguments alone for the derivative, and compute the rest again when needed.

    Values and derivatives are those of `func`. Reverse mode keeps the arrays that a function computes on the way until
    the pass back has used them; around a checkpointed function it keeps what goes in, for one more run in each pass.

    Parameters
    ----------
    func
        Any callable, which may read and write Variables. It returns the same in each run of the same arguments and
        Variables.

    Returns
    -------
    Checkpointed
        Takes the arguments of `func` and returns what it returns.

    Raises
    ------
    InputTypeError
        If `func` is not callable.
    RepetitionError
        In a pass back, if the function reads, returns or writes something else than in its first run.

    Notes
    -----
    What the function writes to Variables is written once. A later run reads the values that Variables had when the
    first began, whatever was written since, and writes none. What it does besides, such as printing, happens in later
    runs too on PyTorch and autograd; JAX records the function once, by `jax.checkpoint`, so that it sees no values.
    PyTorch runs it by `torch.utils.checkpoint`, with the random numbers of the first run. Where no memory can be saved
    the function runs as it is: in forward mode, within transforms of `torch.func` and in what `jit` compiles on
    PyTorch, around arrays that an autograd function closes over, and on backends without a way of their own.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> @anyjac.checkpoint
    ... def layer(x):
    ...     return np.tanh(np.sin(x) * x)
    >>> float(anyjac.grad(lambda x: layer(layer(x)))(np.array(0.0)))
    0.0
    """
    return Checkpointed(func)


class Checkpointed(Wrapper, Generic[P, R]):
    """A function that `checkpoint` has made.

    It has the function's name, docstring and signature, keeps it as ``__wrapped__``, and binds ``self`` where it is an
    attribute of a class. It can be copied and pickled when its function can.

    Made by `checkpoint`, not by hand.

    Examples
    --------
    >>> import math
    >>> import anyjac
    >>> anyjac.checkpoint(math.sin)
    checkpoint(sin)
    """

    def __init__(self, func: Callable[..., Any]):
        super().__init__(func, "checkpoint")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        func = self.__wrapped__

        def work(scope: Scope) -> tuple[R, list[Write]]:
            constants = Constants(scope.backend, scope.device)
            given = constants.among(args, ()), constants.by_name(kwargs)
            parts = take_apart(scope.backend, (tuple(given[0]), dict(given[1])), opener_of(scope.backend))
            return run_repeatable(scope, func, parts.skeleton(), parts.arrays)

        result: R = open_loop(work, func, (*args, *kwargs.values()))
        return result

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Checkpointed[P, R]: ...
    @overload
    def __get__(
        self: Checkpointed[Concatenate[Any, Q], R], instance: object, owner: type | None = None
    ) -> Checkpointed[Q, R]: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Checkpointed[..., R]:
        bound: Checkpointed[..., R] = super().__get__(instance, owner)
        return bound

    def __repr__(self) -> str:
        return f"checkpoint({name_of(self.__wrapped__)})"

    def _options(self) -> tuple[Any, ...]:
        return ()

    def _recipe(self) -> Recipe:
        return "checkpoint", {}
