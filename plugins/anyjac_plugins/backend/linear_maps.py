"""Linear maps: pushforwards, transposes, products with one tangent, and where in them a number went wrong.

==================  ===============================================================================================
member              override it where
==================  ===============================================================================================
``linearize``       the framework has a forward mode, whose tangents need no sweep back; by default the transpose of
                    a pullback
``jvp``             the framework has dual numbers, which save the memory of a record; by default `linearize`
``transpose``       there is another way than the pullback of a pullback
``find_nonfinite``  the framework can be asked which operator made a NaN; by default nothing is known
==================  ===============================================================================================

The first two are asked only of a backend that declares ``forward``. One that declares ``nested`` may declare it at
once, for the defaults need nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .arrays import ArrayMembers
from .capabilities import FORWARD, NESTED
from .types import Array, FlatFunction, FunctionRun, LinearMapCall, Pullback, Pushforward


class LinearMapMembers(ArrayMembers):
    """The part of a backend that makes linear maps of functions."""

    def linearize(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pushforward, list[Array]]:
        """Run `fun` once at `primals` and return how to push tangents forward through it.

        Outputs, pushforward and aux are as in `vjp`; the pushforward may be handed to `pullback_rows`. The default is
        the transpose of `vjp`, for which a backend needs ``nested``.

        Raises
        ------
        NotSupportedError
            If the backend does not declare ``forward``.
        """
        if not self.supports(FORWARD):
            raise self.unsupported(FORWARD)
        outputs, pullback, aux = self.vjp(fun, primals)
        return outputs, self.transpose(pullback, outputs, primals), aux

    def jvp(
        self, fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
    ) -> tuple[list[Array], list[Array | None], list[Array]]:
        """Run `fun` once at `primals` and return outputs, their tangents, and aux; None stands for zero in tangents.

        A backend that overrides it may run `fun` again from its beginning if it must.

        Raises
        ------
        ForwardRuleError
            If a function within has a rule for its pullback alone. `anyjac.hvp` goes by rows then.
        """
        outputs, pushforward, aux = self.linearize(fun, primals)
        return outputs, list(pushforward(tangents)), aux

    def transpose(self, pullback: Pullback, outputs: Sequence[Array], primals: Sequence[Array]) -> Pushforward:
        """Return the pushforward that belongs to a pullback which `vjp` returned at `primals`.

        It may be handed to `pullback_rows`, as the pullback may; where outputs are real and primals complex, it gives
        real parts, as the pullback of a pullback does. The default is the double-VJP trick [1]_: a pullback is linear
        in its cotangents, so that its own pullback is its transpose, at whatever point.

        Raises
        ------
        NotSupportedError
            If the backend does not declare ``nested``.

        References
        ----------
        .. [1] J. Townsend, "A new trick for calculating Jacobian vector products", 2017,
           https://j-towns.github.io/2017/06/12/A-new-trick.html
        """
        if not self.supports(NESTED):
            raise self.unsupported(NESTED)

        def pulled_back(*cotangents: Array) -> tuple[list[Array], list[Array]]:
            return filled(pullback(cotangents), primals, self.zeros), []

        # Not at zeros, for which a rule may return without a look at the cotangent.
        somewhere = [self.zeros(output.shape, output) + 1 for output in outputs]
        return self.vjp(pulled_back, somewhere)[1]

    def find_nonfinite(
        self, computation: FunctionRun | LinearMapCall, *, number: int, index: tuple[int, ...], nan: bool
    ) -> str | None:
        """Return the operator in which NaN or infinity first appears, as words for a message; None where unknown.

        ``debug_nan=True`` asks this of a computation with finite primals and vectors. The answer must be right: an
        operator with finite inputs and a result that is not finite, on which the number that was found depends. The
        default returns None.

        Parameters
        ----------
        computation
            A run of a function, or a call of a linear map.
        number, index
            Which element of which of its results it is.
        nan
            Whether it is NaN, and not infinity.
        """
        return None


def filled(
    vectors: Sequence[Array | None],
    like: Sequence[Array],
    zeros: Callable[[tuple[int, ...], Any], Array],
    leading: tuple[int, ...] = (),
) -> list[Array]:
    """Return arrays with zeros in the place of None.

    Parameters
    ----------
    vectors
        What a linear map returned, or is to be given.
    like
        For each of them an array with its dtype, and its shape but for `leading`.
    zeros
        Makes zeros of a shape like an array, as `Backend.zeros` does.
    leading
        Axes of the vectors before those of `like`, such as one that counts rows.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> from anyjac_plugins.backend.linear_maps import filled
    >>> filled([None, np.ones(1)], [np.ones(2), np.ones(1)], anyjac.get_backend("numpy").zeros)
    [array([0., 0.]), array([1.])]
    """
    pairs = zip(vectors, like, strict=True)
    return [zeros((*leading, *array.shape), array) if vector is None else vector for vector, array in pairs]
