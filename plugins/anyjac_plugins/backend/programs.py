"""Programs: what `anyjac.jit` and `anyjac.vmap` are made of.

==============  ====================================================================================================
member          override it where
==============  ====================================================================================================
``stage``       the framework compiles; by default the function runs as it is
``map_rows``    the framework vectorises; by default a loop runs the function for each row
``map_chunks``  the framework can hold random numbers to be the same for all rows, or see that none are drawn
``is_mapped``   the framework tells which results depend on the rows; by default the results themselves are compared
==============  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import NotSupportedError
from .required import RequiredMembers
from .types import Array, Randomness, StageableFunction, StagedFunction


class ProgramMembers(RequiredMembers):
    """The part of a backend that compiles and maps functions."""

    def stage(self, fun: StageableFunction) -> StagedFunction:
        """Return `fun` compiled.

        `fun` need only run where the shapes or dtypes of the arrays are new; its note is kept with them. Numbers
        may stand among the arrays. The default returns `fun`, to be run as it is.
        """
        return fun

    def map_rows(self, fun: Callable[..., Sequence[Array]], arrays: Sequence[Array]) -> list[Array]:
        """Map a flat function over the leading axis of arrays.

        All arrays have the same number of rows, one or more. The default runs `fun` for each row.
        """
        count = arrays[0].shape[0]
        rows = [fun(*(array[index, ...] for array in arrays)) for index in range(count)]
        return [self.namespace.stack(column) for column in zip(*rows, strict=True)]

    def map_chunks(
        self, fun: Callable[..., Sequence[Array]], chunks: Sequence[Sequence[Array]], randomness: Randomness
    ) -> list[list[Array]]:
        """Map a flat function over the leading axis of arrays, chunk by chunk, by `map_rows`.

        The default sees no random numbers: each run of the function draws what it draws.

        Parameters
        ----------
        chunks
            The arrays of each chunk.
        randomness
            ``"different"`` leaves random numbers as they come, ``"same"`` gives all rows of all chunks the same ones,
            and leaves generators as one row would, ``"error"`` refuses with `anyjac_plugins.errors.RandomnessError`.
            A framework whose random numbers come from keys alone, which are arguments, may take all three for one.

        Raises
        ------
        NotSupportedError
            From the default, for ``"same"`` and ``"error"``, which it could not keep.
        """
        if randomness != "different":
            raise NotSupportedError(
                f"backend {self.name!r} cannot see the random numbers that a function draws, which randomness="
                f"{randomness!r} needs; leave it out, draw numbers before the call of vmap, and pass them as an "
                f"argument, with None in in_axes where all examples share them"
            )
        return [self.map_rows(fun, arrays) for arrays in chunks]

    def is_mapped(self, array: Array, rows: Sequence[Array]) -> bool | None:
        """Return whether an array in a function that is mapped depends on the rows; None where nothing tells.

        Parameters
        ----------
        array
            A result of the function.
        rows
            The arrays that the function was called with by `map_rows`.
        """
        return None
