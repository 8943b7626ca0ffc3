"""What type checkers know of the family: which return belongs to which options, for calls and for decorators.

Nothing here does anything when it runs: the functions stay what they are to help(), to inspect and to pickle. A flag
whose value is not known gives Any. In each Protocol all overloads that take the same function say so by the same type,
since mypy otherwise takes them for ambiguous where the function is not annotated; and the fewer flags one needs, the
earlier it comes, since mypy takes the first one for a partial that names none. NumPy's ufuncs come before all others,
since of the overloads of an overloaded function type checkers know the first one only, which is for numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    Never,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

if TYPE_CHECKING:
    import numpy as np

    from anyjac_plugins import Backend

    from .linear_maps import Pullback, Pushforward
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
"""What stands in the place of the derivative; Any for arrays, of which no framework's are known here."""
F = TypeVar("F")
C = TypeVar("C")
M = TypeVar("M")
"""Types of ``allow_int``, ``chunk_size`` and ``mode``, and below the same ones for a Protocol."""
Flag = TypeVar("Flag", contravariant=True)
Chunk = TypeVar("Chunk", contravariant=True)
Mode = TypeVar("Mode", contravariant=True)

Argnums = int | Sequence[int] | None


class Placement(TypedDict, Generic[C], total=False):
    """Where and how to compute; `Never` for the type of an option that a function does not have."""

    backend: str | Backend | None
    device: Any
    debug_nan: bool
    chunk_size: C


class Options(Placement[C], Generic[F, C, M], total=False):
    """The options that change no type; `Never` for the type of one that a function does not have."""

    holomorphic: bool
    allow_int: F
    mode: M


if TYPE_CHECKING:

    class Directional(GradientTransform[..., R], Generic[P, R]):
        """A transform that takes a direction and then the arguments; bound to an object, it loses the first of them."""

        def __call__(self, direction: Any, /, *args: P.args, **kwargs: P.kwargs) -> R: ...

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Directional[P, R]: ...
        @overload
        def __get__(
            self: Directional[Concatenate[Any, Q], R], instance: object, owner: type | None = None
        ) -> Directional[Q, R]: ...
        def __get__(self, instance: object | None, owner: type | None = None) -> Directional[..., R]: ...


class Named(Protocol):
    """What functions have besides a call."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Stand for whichever of them was chosen at run time."""


class Positional(Named, Protocol):
    """`jacrev`, whose flags have places of their own too."""

    @overload
    def __call__(
        self, func: np.ufunc, grad_vars: Any = None, argnums: Argnums = None, *flags: bool, **options: Any
    ) -> GradientTransform[..., Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        has_aux: Literal[False] | None = None,
        return_value: Literal[False] = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> GradientTransform[P, tuple[Any, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any,
        argnums: Argnums,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, tuple[Any, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        has_aux: Literal[False] | None = None,
        *,
        return_value: Literal[True],
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> GradientTransform[P, tuple[Any, Y]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any,
        argnums: Argnums,
        has_aux: Literal[False] | None,
        return_value: Literal[True],
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, tuple[Any, Y]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[True],
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> GradientTransform[P, tuple[Any, Y, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any,
        argnums: Argnums,
        has_aux: Literal[True],
        return_value: Literal[True],
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, tuple[Any, Y, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        has_aux: Literal[False] | None = None,
        return_value: bool = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any,
        argnums: Argnums,
        has_aux: bool | None,
        return_value: bool = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, list[Any]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, list[Any]],
        grad_vars: Any,
        argnums: Argnums,
        has_aux: bool | None,
        return_value: bool = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        has_aux: Literal[False] | None = None,
        return_value: Literal[False] = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> Callable[[Callable[P, Y]], GradientTransform[P, Any]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[Any, A]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[True],
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> Callable[[Callable[P, Y]], GradientTransform[P, tuple[Any, Y]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[True],
        **options: Unpack[Options[bool, int | None, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[Any, Y, A]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        has_aux: bool | None = None,
        return_value: bool = False,
        holomorphic: bool = False,
        allow_int: bool = False,
        **options: Unpack[Placement[int | None]],
    ) -> Callable[[Callable[P, Any]], GradientTransform[P, Any]]: ...


class Packed(Named, Protocol[G, Flag, Chunk, Mode]):
    """What is packed as `jacrev` is."""

    @overload
    def __call__(
        self, func: np.ufunc, grad_vars: Any = None, argnums: Argnums = None, *flags: bool, **options: Any
    ) -> GradientTransform[..., Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[False] = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, G]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, tuple[G, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[True],
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, tuple[G, Y]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[True],
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, tuple[G, Y, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: bool = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, list[Any]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[False] = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> Callable[[Callable[P, Y]], GradientTransform[P, G]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[G, A]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[True],
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> Callable[[Callable[P, Y]], GradientTransform[P, tuple[G, Y]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[True],
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[G, Y, A]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: bool = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> Callable[[Callable[P, Y]], GradientTransform[P, Any]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[Flag, Chunk, Mode]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, Any]]: ...


class ValueFirst(Named, Protocol):
    """`value_and_grad`, which always returns the value, and first."""

    @overload
    def __call__(
        self, func: np.ufunc, grad_vars: Any = None, argnums: Argnums = None, *flags: bool, **options: Any
    ) -> GradientTransform[..., tuple[Any, Any]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> GradientTransform[P, tuple[Y, Any]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        **options: Unpack[Options[bool, Never, Never]],
    ) -> GradientTransform[P, tuple[tuple[Y, A], Any]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, list[Any]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> GradientTransform[P, Any]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, Y]], GradientTransform[P, tuple[Y, Any]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[tuple[Y, A], Any]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, Any]]: ...


class Along(Named, Protocol):
    """`jvp` and `hvp`, whose transforms take a direction and then the arguments."""

    @overload
    def __call__(
        self, func: np.ufunc, grad_vars: Any = None, argnums: Argnums = None, *flags: bool, **options: Any
    ) -> Directional[..., Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[False] = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, tuple[Any, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[True],
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, tuple[Any, Y]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[True],
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, tuple[Any, Y, A]]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, Y],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: bool = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, tuple[Y, A]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, Any]: ...
    @overload
    def __call__(
        self,
        func: Callable[P, list[Any]],
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Directional[P, Any]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[False] = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, Y]], Directional[P, Any]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[False] = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], Directional[P, tuple[Any, A]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: Literal[True],
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, Y]], Directional[P, tuple[Any, Y]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[True],
        return_value: Literal[True],
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], Directional[P, tuple[Any, Y, A]]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: Literal[False] | None = None,
        return_value: bool = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, Y]], Directional[P, Any]]: ...
    @overload
    def __call__(
        self,
        func: None = None,
        grad_vars: Any = None,
        argnums: Argnums = None,
        *,
        has_aux: bool | None,
        return_value: bool = False,
        **options: Unpack[Options[bool, Never, Never]],
    ) -> Callable[[Callable[P, tuple[Y, A]]], Directional[P, Any]]: ...


def unchanged(func: Any) -> Any:
    """Return a function as it is, whatever type checkers are told that it becomes."""
    return func


Typed = Callable[[Callable[..., Any]], T]

like_jacrev: Final = cast("Typed[Positional]", unchanged)
like_value_and_grad: Final = cast("Typed[ValueFirst]", unchanged)
like_jvp: Final = cast("Typed[Along]", unchanged)
#                                        returns      allow_int chunk_size mode
like_jacfwd: Final = cast("Typed[Packed[Any, bool, int | None, Never]]", unchanged)
like_jacobian: Final = cast("Typed[Packed[Any, bool, int | None, Literal['rev', 'fwd', 'auto']]]", unchanged)
like_grad: Final = cast("Typed[Packed[Any, bool, Never, Never]]", unchanged)
like_derivative: Final = cast("Typed[Packed[Any, Never, Never, Never]]", unchanged)
like_vjp: Final = cast("Typed[Packed[Pullback, bool, Never, Never]]", unchanged)
like_linearize: Final = cast("Typed[Packed[Pushforward, bool, Never, Never]]", unchanged)
