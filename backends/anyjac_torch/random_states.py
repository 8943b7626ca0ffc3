"""States of random number generators, so that a run can be repeated with the same numbers."""

from __future__ import annotations

import torch

from . import private


class RandomStates:
    """The states of PyTorch's own generators, and of those of a user that are shown before they are used."""

    def __init__(self) -> None:
        self._host = torch.get_rng_state()
        self._accelerators: list[torch.Tensor] | None = None
        self._metal = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
        self._given: dict[torch.Generator, torch.Tensor] = {}
        self.take_note_of_accelerators()

    def take_note(self, generator: torch.Generator) -> None:
        """Keep the state of a generator, unless it is known."""
        if generator not in self._given:
            self._given[generator] = generator.get_state()

    def take_note_of_accelerators(self) -> None:
        """Keep the states of CUDA's own generators, unless they are known, or CUDA has not been begun."""
        if self._accelerators is None and private.cuda_is_in_use():
            self._accelerators = torch.cuda.get_rng_state_all()

    def now(self) -> RandomStates:
        """Return the present states of the same generators."""
        states = RandomStates()
        for generator in self._given:
            states.take_note(generator)
        return states

    def restore(self) -> None:
        """Put the generators back into these states; those that have not moved are left alone."""
        with private.outside_transforms(), private.without_dispatch_modes():
            if not torch.equal(self._host, torch.get_rng_state()):
                torch.set_rng_state(self._host)
            if self._accelerators is not None:
                torch.cuda.set_rng_state_all(self._accelerators)
            if self._metal is not None:
                torch.mps.set_rng_state(self._metal)
            for generator, state in self._given.items():
                generator.set_state(state)

    def have_moved(self) -> bool:
        """Return whether any of these generators has another state now."""
        now = self.now()
        with private.outside_transforms(), private.without_dispatch_modes():
            pairs = [*zip(self._all(), now._all(), strict=False)]
            return any(not torch.equal(before, after) for before, after in pairs)

    def _all(self) -> list[torch.Tensor]:
        metal = [] if self._metal is None else [self._metal]
        return [self._host, *metal, *self._given.values(), *(self._accelerators or ())]
