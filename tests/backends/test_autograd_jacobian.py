"""`anyjac_autograd.jacobian` does what `autograd.jacobian` does."""

from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from tests.helpers.interpreters import printed_by

from anyjac_autograd import jacobian

FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "vector": (lambda x: anp.tanh(x) * x[::-1], np.linspace(-1, 1, 7)),
    "matrix": (lambda x: x @ x.T, np.arange(6.0).reshape(2, 3)),
    "number": (lambda x: x**2, 3.0),
    "number of a vector": (lambda x: anp.sum(x**2), np.arange(3.0)),
    "vector of a number": (lambda x: x * np.arange(1.0, 8.0), 2.0),
    "single precision": (lambda x: anp.sin(x) * 2, np.linspace(0, 1, 6, dtype=np.float32)),
    "large": (lambda x: anp.roll(x, 1) * x, np.linspace(0, 1, 150)),
    "integers": (lambda x: x * 2.5, np.arange(6)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_gives_what_autograd_gives(name: str) -> None:
    f, x = FUNCTIONS[name]
    expected, found = autograd.jacobian(f)(x), jacobian(f)(x)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_it_takes_the_position_of_an_argument_and_passes_on_the_others() -> None:
    found = jacobian(lambda x, y, *, scale: scale * x * y, 1)(np.array([1.0, 2.0]), np.ones(2), scale=3.0)
    assert np.array_equal(found, np.diag([3.0, 6.0]))


def test_it_nests_with_itself_and_with_autograds_transforms() -> None:
    x = np.linspace(0.1, 1, 5)
    f = lambda x: anp.sum(x**3)  # noqa: E731
    for second in (jacobian(jacobian(f)), jacobian(autograd.grad(f)), autograd.jacobian(jacobian(f))):
        np.testing.assert_allclose(second(x), np.diag(6 * x))


def test_a_result_that_does_not_depend_on_the_argument_has_a_jacobian_of_zeros() -> None:
    assert np.array_equal(jacobian(lambda x: np.ones(3))(np.ones(2)), np.zeros((3, 2)))


def test_a_complex_result_is_refused() -> None:
    with pytest.raises(ValueError, match="real and imaginary part apart"):
        jacobian(lambda x: x * 1j)(np.ones(2))


def test_importing_the_package_imports_no_framework() -> None:
    code = "import sys, anyjac_autograd; assert not {'autograd', 'anyjac'} & set(sys.modules), sorted(sys.modules)"
    assert printed_by(code) == ""
