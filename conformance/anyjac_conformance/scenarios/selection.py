"""Scenarios: how the backend is chosen.

The backend under test is set against "numpy", which is always installed; the namespace in the function tells which of
the two runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import anyjac
from anyjac import UnknownBackendError, Variable, jacrev

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()

NUMPY = "numpy"


def _runner(lab: Lab, argument: Any, **settings: Any) -> str:
    """Return the name of the backend on which a Jacobian runs: NumPy's, or the one under test."""
    seen: list[Any] = []

    def square(x: Any) -> Any:
        seen.append(anyjac.array_namespace())
        return x * x

    jacrev(square, **settings)(argument)
    candidates = (lab.backend, anyjac.get_backend(NUMPY))
    return next((backend.name for backend in candidates if backend.namespace is seen[0]), "another")


def _maker(lab: Lab, value: Any) -> str:
    """Return the name of the backend whose array `value` is: NumPy's, or the one under test."""
    candidates = (anyjac.get_backend(NUMPY), lab.backend)
    return next((backend.name for backend in candidates if backend.is_array(value)), "another")


def _square(x: Any) -> Any:
    return x * x


@scenario("selection/argument", answer=lambda lab: (lab.backend.name, lab.backend.name))
def by_name_and_by_object_before_context_and_environment(lab: Lab) -> Any:
    with anyjac.use_backend(NUMPY), lab.environment(ANYJAC_BACKEND=NUMPY):
        by_name = _runner(lab, 3.0, backend=lab.backend.name)
        by_object = _runner(lab, np.array(3.0), backend=lab.backend)
    return by_name, by_object


@scenario("selection/argument", answer=lambda lab: lab.backend.name)
def of_a_variable(lab: Lab) -> Any:
    with anyjac.use_backend(NUMPY):
        return Variable(3.0, backend=lab.backend.name).backend.name


@scenario("selection/context", answer=lambda lab: (lab.backend.name, "autograd"))
def before_the_environment_and_only_for_the_block(lab: Lab) -> Any:
    def choose() -> Any:
        with lab.environment(ANYJAC_BACKEND=NUMPY):
            with anyjac.use_backend(lab.backend.name):
                inside = _runner(lab, 3.0)
            return inside, _runner(lab, 3.0)

    return lab.unnamed(choose)


@scenario("selection/environment", answer=lambda lab: (lab.backend.name, lab.backend.name))
def before_the_arrays(lab: Lab) -> Any:
    def choose() -> Any:
        with lab.environment(ANYJAC_BACKEND=lab.backend.name):
            return _runner(lab, np.array(3.0)), anyjac.get_backend().name

    return lab.unnamed(choose)


def _by_its_arrays(lab: Lab) -> tuple[str, ...]:
    """A backend whose arrays are NumPy's own is never inferred: they mean NumPy's backend."""
    return ("autograd" if isinstance(lab.array(0.0), np.ndarray) else lab.backend.name,) * 4


@scenario("selection/inferred", answer=_by_its_arrays)
def by_arguments_keywords_and_variables(lab: Lab) -> Any:
    x = lab.array(3.0)
    v = Variable(x)

    def choose() -> Any:
        with lab.environment(ANYJAC_BACKEND=""):
            return (
                _maker(lab, jacrev(_square)(x)),
                _maker(lab, jacrev(lambda x, *, scale: x * scale)(3.0, scale=x)),
                _maker(lab, jacrev(_square)({"x": [x]}["x"][0])),
                _maker(lab, jacrev(lambda: v * v, v)()),
            )

    return lab.unnamed(choose)


@scenario("selection/default", answer=("autograd", "autograd"))
def numbers_and_numpy_arrays_mean_numpy(lab: Lab) -> Any:
    def choose() -> Any:
        with lab.environment(ANYJAC_BACKEND=""):
            return _runner(lab, 3.0), _runner(lab, np.array([3.0]))

    return lab.unnamed(choose)


@scenario("selection/default", answer=lambda lab: lab.backend.name)
def the_default_can_be_configured(lab: Lab) -> Any:
    def choose() -> Any:
        with lab.environment(ANYJAC_BACKEND=""):
            anyjac.set_default_backend(lab.backend.name)
            try:
                return _runner(lab, 3.0)
            finally:
                anyjac.set_default_backend(NUMPY)

    return lab.unnamed(choose)


@scenario("selection/unknown", answer=lambda lab: Raises(UnknownBackendError, "'nonesuch'", lab.backend.name))
def it_lists_what_is_installed(lab: Lab) -> Any:
    return jacrev(_square, backend="nonesuch")(3.0)


@scenario("selection/unknown", answer=lambda lab: Raises(UnknownBackendError, f"did you mean {lab.backend.name!r}"))
def a_misspelled_name_is_mended(lab: Lab) -> Any:
    return anyjac.get_backend(lab.backend.name + "x")


@scenario("selection/listed", answer=lambda lab: ("loaded", None, tuple(sorted(lab.backend.capabilities))))
def state_error_and_capabilities(lab: Lab) -> Any:
    info = next(info for info in anyjac.backends() if info.name == lab.backend.name)
    return info.state, info.error, info.capabilities
