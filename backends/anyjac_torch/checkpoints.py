"""Functions that run again in the pass back, by `torch.utils.checkpoint`.

Saved tensors of the first run are dropped, and those of a later run take their places. A later run happens outside of
maps over rows of cotangents, at the depth of differentiations that the first had.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.utils.checkpoint

from anyjac_plugins import Array
from anyjac_plugins.backend.loops import RepeatableFunction
from anyjac_plugins.errors import RepetitionError

from . import private
from .linear_maps import at_depth, depth_here
from .modes import copied, is_recording
from .torch_func import is_transformed


def checkpoint(function: RepeatableFunction, arrays: Sequence[Array], in_loop: bool) -> list[Array]:
    """Run a function now, and again when its saved tensors are asked for; as it is, where PyTorch saves none."""
    if not torch.is_grad_enabled() or is_recording() or torch.compiler.is_compiling() or is_transformed():
        return function.first(arrays)
    repeated = _Repeated(function, in_loop)
    return list(torch.utils.checkpoint.checkpoint(repeated, *arrays, use_reentrant=False, preserve_rng_state=True))


class _Repeated:
    """A function whose first call is its first run, and all others repeat it."""

    def __init__(self, function: RepeatableFunction, in_loop: bool):
        self._function = function
        self._in_loop = in_loop
        self._depth = depth_here()
        self._state: list[Array] | None = None
        self._versions: list[int | None] = []

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        if self._state is None:
            found = self._function.first(arrays)
            self._keep(self._function.state())
            return tuple(found)
        with private.outside_transforms(), at_depth(self._depth):
            return tuple(self._function.again(arrays, self._unchanged()))

    def _keep(self, state: Sequence[Array]) -> None:
        """Keep the state, and copies of arrays without a gradient, which somebody may change in place."""
        self._state = [array if self._in_loop or array.requires_grad else copied(array) for array in state]
        self._versions = [private.version_of(array) for array in self._state]

    def _unchanged(self) -> Sequence[Array]:
        assert self._state is not None
        if any(
            private.version_of(array) != version for array, version in zip(self._state, self._versions, strict=True)
        ):
            raise RepetitionError(
                "a Variable that a checkpointed function has read was changed in place afterwards, so that it "
                "cannot run again for its derivative; write another array to the Variable, by its value"
            )
        return self._state
