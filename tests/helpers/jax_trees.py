"""Trees of arrays of JAX."""

from typing import Any

import jax
import numpy as np


def assert_close(found: Any, expected: Any, *, rtol: float = 1e-5, atol: float = 1e-7) -> None:
    """Check that two trees have the same structure, and about the same numbers."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=rtol, atol=atol)
