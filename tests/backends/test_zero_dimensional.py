"""Second derivatives through an index of an array without axes, on every backend and in every order of modes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anyjac

INDICES: dict[str, Callable[[Any], Any]] = {
    "None": lambda x: x[None],
    "...": lambda x: x[...],
    "()": lambda x: x[()],
    "None, ...": lambda x: x[None, ...],
    "two axes": lambda x: x[None, None],
    "twice": lambda x: x[None][0],
}

TWICE: dict[str, Callable[[Any], Any]] = {
    "hessian": anyjac.hessian,
    "rev over rev": lambda f: anyjac.jacrev(anyjac.jacrev(f)),
    "fwd over rev": lambda f: anyjac.jacfwd(anyjac.grad(f)),
    "rev over fwd": lambda f: anyjac.jacrev(anyjac.jacfwd(f)),
}


@pytest.mark.parametrize("mode", TWICE)
@pytest.mark.parametrize("index", INDICES)
def test_an_index_of_an_array_without_axes_is_differentiated_twice(
    backend: anyjac.Backend, index: str, mode: str
) -> None:
    xp = backend.namespace
    x = backend.asarray(np.asarray(2.0))
    # (x^2 + x)^3 and x (x^2): the first uses the index in a sum of several gradients, the second in a product.
    cubed = TWICE[mode](lambda x: (x * x + xp.sum(INDICES[index](x))) ** 3)(x)
    product = TWICE[mode](lambda x: xp.sum(INDICES[index](x)) * xp.sum(INDICES[index](x)) * x)(x)
    assert (float(cubed), float(product)) == (1116.0, 12.0)
