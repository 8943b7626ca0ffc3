"""Cubes with a rule for their derivative, right or wrong, in each framework's own terms."""

from collections.abc import Callable
from typing import Any

import anyjac
from anyjac import Backend

Rule = Callable[[Any, Any], Any]
"""From the point and the cotangent of the cube to the cotangent of the point."""


def right_rule(x: Any, cotangent: Any) -> Any:
    """Return the cotangent of the point of a cube."""
    return cotangent * 3 * x**2


def cube_with_rule(backend: Backend, rule: Rule, *, once: bool = False) -> Callable[[Any], Any]:
    """Return ``x**3`` with a rule of its own for reverse mode.

    With ``once``, autograd and PyTorch cannot differentiate the rule again. JAX has no rule for tangents in any case.
    """
    return {"autograd": _of_autograd, "jax": _of_jax, "torch": _of_torch}[backend.name](rule, once)


def _of_autograd(rule: Rule, once: bool) -> Callable[[Any], Any]:
    from autograd.extend import defvjp, primitive

    cube = primitive(lambda x: x**3)

    def pullback(y: Any, x: Any) -> Callable[[Any], Any]:
        pull = lambda cotangent: rule(x, cotangent)  # noqa: E731
        return primitive(pull) if once else pull

    defvjp(cube, pullback)
    return cube


def _of_jax(rule: Rule, once: bool) -> Callable[[Any], Any]:
    import jax

    cube = jax.custom_vjp(lambda x: x**3)
    cube.defvjp(lambda x: (x**3, x), lambda x, cotangent: (rule(x, cotangent),))
    return cube


def _of_torch(rule: Rule, once: bool) -> Callable[[Any], Any]:
    import torch

    def pull(ctx: Any, cotangent: Any) -> Any:
        (x,) = ctx.saved_tensors
        return rule(x, cotangent)

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        backward = staticmethod(torch.autograd.function.once_differentiable(pull) if once else pull)

    return Cube.apply


def cube_with_wrong_second_derivative(x: Any) -> Any:
    """Return ``x**3`` whose first derivative is right, and whose second one is zero."""
    slope, value = (anyjac.stop_gradient(part) for part in (3 * x**2, x**3))
    return value + slope * (x - anyjac.stop_gradient(x))
