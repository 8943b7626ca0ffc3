"""Functions of the array API under `vmap` and `jit`, where frameworks refuse or mistake the mapped axis.

`test_array_api` has all functions, in the long lane.
"""

from typing import Any

import numpy as np
import pytest

import anyjac
from anyjac import NotSupportedError

ROWS = np.array([[1.5, -2.0, 0.0], [0.5, 3.0, -1.0]])
SPECTRA = ROWS + 1j * ROWS[::-1]
MATRICES = np.array([[[4.0, 1.0], [2.0, 5.0]], [[3.0, -1.0], [0.0, 6.0]]])

MAPPED: dict[str, tuple[Any, Any]] = {
    # what         a function of one element, and the elements
    "sign": (lambda xp, x: xp.sign(x), ROWS),
    "sign of a number": (lambda xp, x: xp.sign(x), ROWS[0]),
    "sign of complex numbers": (lambda xp, x: xp.sign(x), SPECTRA),
    "imaginary part of a conjugate": (lambda xp, x: xp.imag(xp.conj(x)), SPECTRA),
    "unstack": (lambda xp, x: xp.unstack(x)[1], ROWS),
    "vecdot": (lambda xp, x: xp.vecdot(x, x), ROWS),
    "vecdot of integers": (lambda xp, x: xp.linalg.vecdot(x, x), np.arange(6).reshape(2, 3)),
    "roll of a number": (lambda xp, x: xp.roll(x, 1), ROWS[0]),
    "argmax that keeps axes": (lambda xp, x: xp.argmax(x, keepdims=True), MATRICES),
    "solve for a vector": (lambda xp, x: xp.linalg.solve(xp.stack([x, x.mT]), x[0, ...]), MATRICES),
    "ihfft": (lambda xp, x: xp.imag(xp.fft.ihfft(x)), ROWS),
}


@pytest.mark.parametrize("what", MAPPED)
def test_a_mapped_function_gives_the_results_of_the_elements(backend: anyjac.Backend, what: str) -> None:
    function, elements = MAPPED[what]
    expected = np.stack([np.asarray(function(anyjac.get_backend("numpy").namespace, x)) for x in elements])
    found = anyjac.vmap(lambda x: function(backend.namespace, x))(backend.asarray(elements))
    np.testing.assert_allclose(backend.to_numpy(found), expected, atol=1e-14)


def test_sign_of_a_number_is_compiled(backend: anyjac.Backend) -> None:
    sign = anyjac.jit(backend.namespace.sign)
    assert [float(sign(backend.asarray(np.asarray(x)))) for x in (-2.0, 0.0, 3.0)] == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["tril", "triu", "unstack"])
def test_the_mapped_axis_is_not_taken_for_one_that_is_missing(name: str) -> None:
    backend = anyjac.get_backend("torch")
    function = getattr(backend.namespace, name)
    with pytest.raises(ValueError, match=rf"^{name} needs an array of [12] axes or more, and got one of shape "):
        anyjac.vmap(function)(backend.asarray(ROWS[0] if name == "unstack" else ROWS))


@pytest.mark.parametrize("name", ["nonzero", "unique_all", "unique_values"])
@pytest.mark.parametrize("on", ["jax", "torch"])
def test_results_of_unknown_shape_are_refused_by_name(on: str, name: str) -> None:
    backend = anyjac.get_backend(on)
    function = getattr(backend.namespace, name)
    expected = name if on == "jax" or name == "nonzero" else "unique_all"
    with pytest.raises(
        NotSupportedError, match=rf"^{expected} on backend '{on}' cannot be .*mapped over an axis, since"
    ):
        anyjac.vmap(lambda x: function(x)[0])(backend.asarray(ROWS))


TRANSFORMS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn", "rfftn", "irfftn")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_stack_of_no_arrays_is_transformed_and_differentiated(backend: anyjac.Backend, name: str) -> None:
    options = {"axes": (1,)} if name.endswith("n") else {}

    def transform(xp: Any, x: Any) -> Any:
        y = getattr(xp.fft, name)(x if name in ("rfft", "ihfft", "rfftn") else x * (1 + 0j), **options)
        return xp.real(y)

    nothing = np.zeros((0, 3))
    expected = transform(anyjac.get_backend("numpy").namespace, nothing).shape
    x = backend.asarray(nothing)
    assert tuple(transform(backend.namespace, x).shape) == expected
    jacobian = anyjac.jacrev(lambda x: transform(backend.namespace, x), backend=backend)(x)
    assert tuple(jacobian.shape) == (*expected, 0, 3)


@pytest.mark.parametrize("name", ["vector_norm", "matrix_norm"])
def test_the_greatest_magnitude_of_nothing_is_zero_when_traced_too(name: str) -> None:
    xp = anyjac.get_backend("autograd").namespace
    nothing = np.zeros((3, 0))
    norm = anyjac.jacrev(lambda x: getattr(xp.linalg, name)(x, ord=np.inf), return_value=True)
    jacobian, value = norm(nothing)
    assert (float(value), jacobian.shape) == (0.0, (3, 0))
