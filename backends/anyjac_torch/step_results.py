"""What the steps of a loop return, kept as it was returned, though later steps may write to the same memory.

To copy each result would cost a tenth of a small step. So the results of the first step are copied, and if the second
step has written to them, all that follow are. Whoever writes to results later is told so: what they were is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from anyjac_plugins import Array
from anyjac_plugins.errors import OutputError

from .modes import is_recording
from .private import version_of


class StepResults:
    """The results of the steps so far.

    Parameters
    ----------
    length
        How many steps there are.
    """

    def __init__(self, length: int):
        self._steps: list[Sequence[Array]] = [()] * length
        self._first: tuple[Sequence[Array], list[int]] | None = None
        self._versions: list[tuple[Sequence[Array], list[int]]] = []
        self._copies = is_recording() or torch.is_inference_mode_enabled()  # where nothing counts writes

    def keep(self, index: int, results: Sequence[Array]) -> None:
        """Keep the results of the step with an index; steps come in any order."""
        if self._first is None:
            self._first = results, [] if self._copies else _versions_of(results)
            results = _copies_of(results)
        elif not self._copies:
            if not self._versions and _versions_of(self._first[0]) != self._first[1]:
                self._copies = True
            else:
                self._versions.append((results, _versions_of(results)))
        self._steps[index] = _copies_of(results) if self._copies else results

    def columns(self) -> list[tuple[Array, ...]]:
        """Return for each result what all steps have returned.

        Raises
        ------
        OutputError
            If a step has written to what another one has returned, and it is lost.
        """
        for results, versions in self._versions:
            if _versions_of(results) != versions:
                raise OutputError(
                    "a step of the loop has returned an array to which a later step wrote in place, and the array is "
                    "not what was returned any more; return a copy, as array.clone() makes it"
                )
        return list(zip(*self._steps, strict=True))


def _versions_of(arrays: Sequence[Array]) -> list[int]:
    return [version_of(array) for array in arrays]


def _copies_of(arrays: Sequence[Array]) -> list[Array]:
    return [array.clone() for array in arrays]
