"""A model whose one call touches every part of a transform, and checks of the state after a failed call."""

from typing import Any

import numpy as np
from tests.helpers.open_calls import assert_nothing_open
from tests.helpers.threads import in_another_thread

import anyjac
from anyjac import Variable, jacrev

BEFORE, AFTER = [1.0, 2.0, 3.0, 4.0], [5.0, 2.0, 4.0, 5.0]
"""The values in the Variables of a `Model`, before and after a call at 5."""


class Model:
    """Two Variables that are written together, an inner transform with one of its own, aux and value."""

    def __init__(self, backend: anyjac.Backend) -> None:
        self.a = Variable(backend.asarray(np.array([1.0, 2.0])), backend=backend)
        self.b = Variable(backend.asarray(np.asarray(3.0)), backend=backend)
        self.inner = Variable(backend.asarray(np.asarray(4.0)), backend=backend)
        self.host = backend.to_numpy
        self.transform = jacrev(self, {"a": self.a}, 0, has_aux=True, return_value=True, backend=backend)
        self.slope = jacrev(self.square, backend=backend)

    def square(self, x: Any) -> Any:
        self.inner.value = self.inner + 1.0
        return x * x

    def __call__(self, x: Any) -> Any:
        self.a[0] = x
        self.b.value = self.b + 1.0
        slope = self.slope(x)
        local = Variable(slope)
        return {"y": self.a * local, "z": slope}, ("aux", self.b.value)

    def variables(self) -> tuple[Variable, ...]:
        return self.a, self.b, self.inner

    def values(self) -> list[float]:
        return [*self.host(self.a.value).tolist(), float(self.b), float(self.inner)]


def assert_right(model: Model, x: Any) -> None:
    """Check that a call at 5 in another thread is right: nothing is left open, nothing is owned."""
    before = model.values()
    (of_a, of_x), value, aux = in_another_thread(lambda: model.transform(x))
    assert np.allclose(model.host(of_a["y"]["a"]), [[0.0, 0.0], [0.0, 10.0]], rtol=1e-13)
    assert np.allclose(model.host(of_a["z"]["a"]), [0.0, 0.0], rtol=1e-13)
    assert np.allclose(model.host(of_x["y"]), [2 * 5.0 * 2, 2 * 2.0], rtol=1e-13)
    assert np.allclose(model.host(of_x["z"]), 2.0, rtol=1e-13)
    assert np.allclose(model.host(value["z"]), 10.0, rtol=1e-13)
    assert aux[0] == "aux"
    assert model.values() == [5.0, 2.0, before[2] + 1, before[3] + 1]
    assert_untraced(*model.variables())


def is_tracked(backend: anyjac.Backend, array: Any) -> bool:
    """Return whether an array takes part in a differentiation; a leaf of PyTorch's graph has no trace."""
    return backend.is_traced(array) or getattr(array, "requires_grad", False)


def assert_untraced(*variables: Variable) -> None:
    """Check that no Variable holds a tracer."""
    for variable in variables:
        assert not is_tracked(variable.backend, variable.value)


class Snapshot:
    """The very objects that Variables hold, and their bits."""

    def __init__(self, *variables: Variable) -> None:
        self._variables = variables
        self._objects = [variable.value for variable in variables]
        self._bits = self._read()

    def _read(self) -> list[bytes]:
        return [variable.backend.to_numpy(variable.value).tobytes() for variable in self._variables]

    def assert_unchanged(self) -> None:
        assert_nothing_open(*self._variables)
        for variable, before in zip(self._variables, self._objects, strict=True):
            assert variable.value is before
        assert self._read() == self._bits
        assert_untraced(*self._variables)
