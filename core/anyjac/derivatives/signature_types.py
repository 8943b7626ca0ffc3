"""The types that `signatures` is written in, for type checkers alone: nothing imports this module when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypedDict, TypeVar, overload

from anyjac_plugins import Backend

from .transform import GradientTransform

P = ParamSpec("P")
Q = ParamSpec("Q")
Y = TypeVar("Y")
"""What the function returns, without aux data."""
A = TypeVar("A")
"""Aux data."""
R = TypeVar("R", covariant=True)
T = TypeVar("T")
G = TypeVar("G", covariant=True)
"""The derivative; Any for arrays, since anyjac knows the array type of no framework."""
F = TypeVar("F")
C = TypeVar("C")
M = TypeVar("M")
"""Types of ``allow_int``, ``chunk_size`` and ``mode``, and below the same ones for a Protocol."""
Flag = TypeVar("Flag", contravariant=True)
Chunk = TypeVar("Chunk", contravariant=True)
Mode = TypeVar("Mode", contravariant=True)

Argnums = int | Sequence[int] | None

Typed = Callable[[Callable[..., Any]], T]
"""A decorator after which type checkers take a function for a `T`."""


class Placement(TypedDict, Generic[C], total=False):
    """The options on where and how to compute; `Never` is the type of ``chunk_size`` for a function without it."""

    backend: str | Backend | None
    device: Any
    debug_nan: bool
    strict: bool
    chunk_size: C


class Options(Placement[C], Generic[F, C, M], total=False):
    """The options that change no type; `Never` is the type of an option for a function without it."""

    holomorphic: bool
    allow_int: F
    mode: M


if TYPE_CHECKING:

    class Directional(GradientTransform[..., R], Generic[P, R]):
        """A transform that takes a direction, then the arguments; bound to an object, it loses the first argument."""

        def __call__(self, direction: Any, /, *args: P.args, **kwargs: P.kwargs) -> R: ...

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Directional[P, R]: ...
        @overload
        def __get__(
            self: Directional[Concatenate[Any, Q], R], instance: object, owner: type | None = None
        ) -> Directional[Q, R]: ...
        def __get__(self, instance: object | None, owner: type | None = None) -> Directional[..., R]: ...


class Named(Protocol):
    """The name of a function, and a call that stands for whichever member of the family is chosen at run time."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
