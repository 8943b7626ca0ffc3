"""What type checkers know of the family; generated anew by ``python tools/generate_signatures.py``, not by hand.

Each member has a decorator that tells type checkers its type, and that leaves the function as it is. A flag whose value
is not known gives Any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, Never, Protocol, Unpack, overload

    import numpy as np

    from .linear_maps import Pullback, Pushforward
    from .signature_types import (
        A,
        Argnums,
        Chunk,
        Directional,
        Flag,
        G,
        Mode,
        Named,
        Options,
        P,
        Placement,
        Typed,
        Y,
    )
    from .transform import GradientTransform

    class Positional(Named, Protocol):
        """`jacrev`, whose flags have places of their own too."""

        @overload
        def __call__(
            self,
            func: np.ufunc,
            grad_vars: Any = None,
            argnums: Argnums = None,
            *flags: bool,
            **options: Any,
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
            func: None,
            grad_vars: Any,
            argnums: Argnums,
            has_aux: Literal[True],
            return_value: Literal[False] = False,
            holomorphic: bool = False,
            allow_int: bool = False,
            **options: Unpack[Placement[int | None]],
        ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[Any, A]]]: ...
        @overload
        def __call__(
            self,
            func: None = None,
            grad_vars: Any = None,
            argnums: Argnums = None,
            has_aux: Literal[False] | None = None,
            *,
            return_value: Literal[True],
            **options: Unpack[Options[bool, int | None, Never]],
        ) -> Callable[[Callable[P, Y]], GradientTransform[P, tuple[Any, Y]]]: ...
        @overload
        def __call__(
            self,
            func: None,
            grad_vars: Any,
            argnums: Argnums,
            has_aux: Literal[False] | None,
            return_value: Literal[True],
            holomorphic: bool = False,
            allow_int: bool = False,
            **options: Unpack[Placement[int | None]],
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
            func: None,
            grad_vars: Any,
            argnums: Argnums,
            has_aux: Literal[True],
            return_value: Literal[True],
            holomorphic: bool = False,
            allow_int: bool = False,
            **options: Unpack[Placement[int | None]],
        ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, tuple[Any, Y, A]]]: ...
        @overload
        def __call__(
            self,
            func: None = None,
            grad_vars: Any = None,
            argnums: Argnums = None,
            has_aux: Literal[False] | None = None,
            return_value: bool = False,
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
            has_aux: bool | None,
            return_value: bool = False,
            **options: Unpack[Options[bool, int | None, Never]],
        ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, Any]]: ...
        @overload
        def __call__(
            self,
            func: None,
            grad_vars: Any,
            argnums: Argnums,
            has_aux: bool | None,
            return_value: bool = False,
            holomorphic: bool = False,
            allow_int: bool = False,
            **options: Unpack[Placement[int | None]],
        ) -> Callable[[Callable[P, tuple[Y, A]]], GradientTransform[P, Any]]: ...

    class Packed(Named, Protocol[G, Flag, Chunk, Mode]):
        """The members that pack their results as `jacrev` does."""

        @overload
        def __call__(
            self,
            func: np.ufunc,
            grad_vars: Any = None,
            argnums: Argnums = None,
            *flags: bool,
            **options: Any,
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
        """`value_and_grad`, which returns the value before the gradient."""

        @overload
        def __call__(
            self,
            func: np.ufunc,
            grad_vars: Any = None,
            argnums: Argnums = None,
            *flags: bool,
            **options: Any,
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
            self,
            func: np.ufunc,
            grad_vars: Any = None,
            argnums: Argnums = None,
            *flags: bool,
            **options: Any,
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
    """Return the function itself; type checkers are told another type for it."""
    return func


like_jacrev: Final = cast("Typed[Positional]", unchanged)
like_jacfwd: Final = cast("Typed[Packed[Any, bool, int | None, Never]]", unchanged)
like_jacobian: Final = cast("Typed[Packed[Any, bool, int | None, Literal['rev', 'fwd', 'auto']]]", unchanged)
like_grad: Final = cast("Typed[Packed[Any, bool, Never, Never]]", unchanged)
like_vector_grad: Final = cast("Typed[Packed[Any, bool, Never, Never]]", unchanged)
like_value_and_grad: Final = cast("Typed[ValueFirst]", unchanged)
like_derivative: Final = cast("Typed[Packed[Any, Never, Never, Never]]", unchanged)
like_hessian: Final = cast("Typed[Packed[Any, bool, int | None, Never]]", unchanged)
like_hvp: Final = cast("Typed[Along]", unchanged)
like_jvp: Final = cast("Typed[Along]", unchanged)
like_vjp: Final = cast("Typed[Packed[Pullback, bool, Never, Never]]", unchanged)
like_linearize: Final = cast("Typed[Packed[Pushforward, bool, Never, Never]]", unchanged)
