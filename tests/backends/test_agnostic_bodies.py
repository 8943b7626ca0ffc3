"""One file of forty bodies gives the same Jacobians on all backends, equal to finite differences."""

from typing import Any

import numpy as np
import pytest
from agnostic_bodies import BODIES

import anyjac
from anyjac import jacrev


def _jacobian(name: str, backend: anyjac.Backend) -> Any:
    function, point = BODIES[name]
    transform = jacrev(lambda x: function(anyjac.array_namespace(x), x))
    if backend.name == "jax":
        # JAX compiles the whole once, and not each operation.
        transform = backend.framework_transforms.compile(transform)
    return backend.to_numpy(transform(backend.asarray(point)))


def test_there_are_forty() -> None:
    assert len(BODIES) == 40


@pytest.mark.parametrize("name", BODIES)
def test_all_backends_give_one_jacobian(name: str) -> None:
    autograd, jax, torch = (_jacobian(name, anyjac.get_backend(own)) for own in ("autograd", "jax", "torch"))
    assert np.abs(autograd - jax).max() < 1e-10
    assert np.abs(autograd - torch).max() < 1e-10


@pytest.mark.parametrize("name", BODIES)
def test_the_jacobian_is_that_of_differences(name: str) -> None:
    """Differences of sixth order, on plain NumPy arrays."""
    function, point = BODIES[name]
    backend = anyjac.get_backend("numpy")
    xp, step = backend.namespace, 1e-3
    columns = []
    for place in range(point.size):
        away = np.zeros(point.size)
        away[place] = step
        ahead = [
            function(xp, point + k * away.reshape(point.shape)) - function(xp, point - k * away.reshape(point.shape))
            for k in (1, 2, 3)
        ]
        columns.append((45 * ahead[0] - 9 * ahead[1] + ahead[2]) / (60 * step))
    found = _jacobian(name, backend)
    assert np.allclose(found, np.stack(columns, axis=-1).reshape(found.shape), rtol=1e-7, atol=1e-8)
