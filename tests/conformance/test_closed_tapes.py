"""A framework with tapes: once a tape is closed its arrays are plain ones, and may stay in a Variable."""

from collections.abc import Callable
from typing import Any

import torch
from test_broken_backends import Broken

import anyjac
from anyjac_conformance import PASSED, check_backend, select
from anyjac_plugins import FrameworkTransforms


def gradient_by_tape(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a gradient whose tape is closed when it returns; a function that is constant has a gradient of zeros."""

    def gradient(x: Any) -> Any:
        watched = x if x.requires_grad else x.detach().requires_grad_()
        y = fun(watched)
        return torch.autograd.grad(y, watched, create_graph=True)[0] if y.requires_grad else torch.zeros_like(x)

    return gradient


class Taped(Broken):
    """PyTorch as a framework of tapes, which asks no array whether it belongs to one, and stores plain copies."""

    framework_transforms = FrameworkTransforms(grad=gradient_by_tape)

    def __init__(self) -> None:
        super().__init__(anyjac.get_backend("torch"))
        self.capabilities = frozenset({"complex", "nested", "grad"})

    def supports(self, capability: str) -> bool:
        return capability in self.capabilities

    def is_traced(self, value: Any) -> bool:
        return False


def test_a_backend_whose_closed_tape_leaks_nothing_is_not_rejected() -> None:
    results = check_backend(Taped(), scenarios=select(["variables/no-tracer"]), on_fail="collect")
    assert [(result.scenario.id, result.faults) for result in results if result.bad] == []
    assert [result.status for result in results].count(PASSED) == 4
