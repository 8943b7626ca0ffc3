"""A backend of the required members alone passes all scenarios for its capabilities: the derived members are right."""

from collections.abc import Sequence
from typing import Any

import pytest

import anyjac
from anyjac import Backend
from anyjac_conformance import CLAUSES, check_backend, select

JAX = anyjac.get_backend("jax")
DERIVED = ("rows/", "jit/", "vmap/", "loops/", "jacfwd/", "jvp/", "linearize/", "hessian/", "arrays/")
"""Subjects that are made of derived members for the most part."""


class RequiredOnly(Backend):
    """JAX by way of the seven required members; all other members are the defaults."""

    name = "required-only"
    capabilities = frozenset({"complex", "float16", "bfloat16"})

    namespace = property(lambda self: JAX.namespace)

    def is_array(self, value: object) -> bool:
        return JAX.is_array(value)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return JAX.asarray(value, dtype=dtype, device=device)

    def devices(self) -> Sequence[Any]:
        return JAX.devices()[:1]  # more would need a device_scope

    def device_of(self, array: Any) -> Any:
        return JAX.device_of(array)

    def vjp(self, fun: Any, primals: Any) -> Any:
        return JAX.vjp(fun, primals)


@pytest.mark.parametrize(
    "clause",
    [
        clause if clause.startswith(DERIVED) else pytest.param(clause, marks=pytest.mark.exhaustive)
        for clause in CLAUSES
    ],
)
def test_the_derived_members_are_enough_for_the_whole_suite(clause: str) -> None:
    check_backend(RequiredOnly(), scenarios=select([clause]))
