"""The framework's own transforms, inside and around which those of anyjac work: for the conformance suite alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .types import Array


@dataclass(frozen=True, slots=True)
class FrameworkTransforms:
    """The framework's own gradient, compiler and vectorising map, as functions of a function.

    A backend that declares the capability ``grad``, ``jit`` or ``vmap`` offers the transform that it means. The
    conformance suite puts transforms of anyjac inside and around it; anyjac itself never calls it.

    Parameters
    ----------
    grad
        Takes a scalar function of one array and returns its gradient. It goes with the capability ``grad``.
    compile
        Takes a function and returns the compiled one. It goes with the capability ``jit``.
    vmap
        Takes a function and returns the one that is mapped over the leading axes of its arguments. It goes with the
        capability ``vmap``.

    Examples
    --------
    >>> import autograd
    >>> from anyjac_plugins import FrameworkTransforms
    >>> own = FrameworkTransforms(grad=autograd.grad)
    >>> float(own.grad(lambda x: x**2)(3.0)), own.vmap
    (6.0, None)
    """

    grad: Callable[[Callable[[Array], Array]], Callable[[Array], Array]] | None = None
    compile: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    vmap: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
