"""States of random number generators, so that a run can be repeated with the same numbers."""

from __future__ import annotations

import torch

from . import private


class RandomStates:
    """The states of PyTorch's own generators, and of those of a user that are shown before they are used."""

    def __init__(self) -> None:
        self._host = torch.get_rng_state()
        self._accelerators = torch.cuda.get_rng_state_all() if private.cuda_is_in_use() else None
        self._given: dict[torch.Generator, torch.Tensor] = {}

    def take_note(self, generator: torch.Generator) -> None:
        """Keep the state of a generator, unless it is known."""
        if generator not in self._given:
            self._given[generator] = generator.get_state()

    def now(self) -> RandomStates:
        """Return the present states of the same generators."""
        states = RandomStates()
        for generator in self._given:
            states.take_note(generator)
        return states

    def restore(self) -> None:
        """Put the generators back into these states; those that have not moved are left alone."""
        if not torch.equal(self._host, torch.get_rng_state()):
            torch.set_rng_state(self._host)
        if self._accelerators is not None:
            torch.cuda.set_rng_state_all(self._accelerators)
        for generator, state in self._given.items():
            generator.set_state(state)
