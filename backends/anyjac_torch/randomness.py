"""Random numbers in a function that is mapped: refused, or the same for all examples.

PyTorch's own map looks after its examples, and knows nothing of those that come in another chunk, or one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from anyjac_plugins import Array, Randomness
from anyjac_plugins.errors import NotSupportedError, RandomnessError

from .modes import is_recording
from .private import OperatorMode
from .random_states import RandomStates

_REFUSAL: Final = re.compile("in randomness error mode")


class Draws(OperatorMode):
    """A mode that follows the operators which draw random numbers, while a function is mapped.

    Parameters
    ----------
    randomness
        ``"error"`` or ``"same"``; of different numbers nothing need be known.
    """

    supports_higher_order_operators = True

    def __init__(self, randomness: Randomness) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.randomness = randomness
        self._at_first = RandomStates()
        self._has_begun = False
        self._has_drawn = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operator, and see whether it has drawn numbers."""
        named = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in getattr(func, "tags", ()):
            return func(*args, **named)
        before = RandomStates()
        self._at_first.take_note_of_accelerators()
        if isinstance(generator := named.get("generator"), torch.Generator):
            self._at_first.take_note(generator)
            before.take_note(generator)
        results = func(*args, **named)
        if before.have_moved():  # attention without dropout is among the operators that may draw
            self._has_drawn = True
            if self.randomness == "error":
                before.restore()
                raise refused(f"{func.overloadpacket} draws random numbers")
        return results

    def begin(self) -> None:
        """Begin a chunk, or an example; the same numbers are drawn in each.

        Raises
        ------
        NotSupportedError
            If the function is recorded: its operators draw anew whenever the graph runs.
        """
        if self._has_begun and self.randomness == "same":
            if self._has_drawn and is_recording():
                raise _unrecordable()
            self._at_first.restore()
        self._has_begun = True

    def begun_for_each(self, fun: Callable[..., Sequence[Array]]) -> Callable[..., Sequence[Array]]:
        """Return a function that begins an example in each call."""

        def of_example(*rows: Array) -> Sequence[Array]:
            self.begin()
            return fun(*rows)

        return of_example


def refused(what: str) -> RandomnessError:
    """Return the error for random numbers where there must be none."""
    return RandomnessError(
        f"{what} in a function that vmap maps with randomness='error'; say randomness='different' for numbers of each "
        f"example's own, 'same' for numbers that all examples share, or draw them before the call and pass them"
    )


def is_refusal(error: Exception) -> bool:
    """Return whether PyTorch's map has refused to draw random numbers."""
    return isinstance(error, RuntimeError) and _REFUSAL.search(str(error)) is not None


def refuse_chunks_of_compiled(randomness: Randomness, count: int) -> None:
    """Refuse several chunks with the same random numbers within `torch.compile`, which follows no states."""
    if randomness == "same" and count > 1:
        raise _unrecordable()


def _unrecordable() -> NotSupportedError:
    return NotSupportedError(
        "backend 'torch' cannot compile a function that vmap maps with randomness='same' in several chunks, or one by "
        "one, for each of them would draw numbers of its own; leave chunk_size out, write the function so that PyTorch "
        "maps it at once, or draw the numbers before the call, and pass them with None in in_axes"
    )
