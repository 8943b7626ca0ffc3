"""What type checkers must find in the family of derivatives; checked by mypy, never run.

A line that says ``type: ignore`` is wrong on purpose: mypy reports it as unused where it is right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, assert_type

import numpy as np

import anyjac


def energy(x: float, scale: str = "a") -> float:
    return x * len(scale)


def with_aux(x: float) -> tuple[float, str]:
    return x, "aux"


def loose(x: Any) -> tuple[float, str]:
    return x, "aux"


def untyped(x, y):  # type: ignore[no-untyped-def]
    return x, y


def doubled(x: np.ndarray) -> np.ndarray:
    return 2 * x


class Cell:
    gain: anyjac.Variable

    @anyjac.grad
    def slope(self, x: float) -> float:
        return x

    @anyjac.grad(argnums=0, has_aux=True, return_value=True)
    def everything(self, x: float) -> tuple[float, str]:
        return x, "aux"

    @anyjac.jvp(return_value=True)
    def along(self, x: float, y: int) -> float:
        return x

    @anyjac.value_and_grad
    def valued(self, x: float) -> float:
        return x

    @anyjac.vjp
    def pulled(self, x: float) -> float:
        return x

    def plain(self, x: float) -> float:
        return x

    def __call__(self, x: float) -> float:
        return x


cell = Cell()
flag: bool = bool(cell.gain)

# ---- packing, of a function that is given ----------------------------------------------------------------------------

assert_type(anyjac.grad(energy)(1.0, scale="b"), Any)
assert_type(anyjac.grad(energy, return_value=True)(1.0, "b"), tuple[Any, float])
assert_type(anyjac.grad(with_aux, has_aux=True)(1.0), tuple[Any, str])
assert_type(anyjac.grad(with_aux, has_aux=True, return_value=True)(1.0), tuple[Any, float, str])
assert_type(anyjac.grad(energy, cell.gain, (0, 1), has_aux=False, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.grad(energy, has_aux=None, return_value=False)(1.0), Any)

for maker in (anyjac.jacfwd, anyjac.hessian):
    assert_type(maker(energy, chunk_size=2, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.jacobian(energy, mode="fwd", chunk_size=None, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.vector_grad(energy, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.derivative(energy, holomorphic=True, return_value=True)(1.0), tuple[Any, float])

assert_type(anyjac.vjp(energy)(1.0), anyjac.Pullback)
assert_type(anyjac.vjp(energy, return_value=True)(1.0), tuple[anyjac.Pullback, float])
assert_type(anyjac.vjp(with_aux, has_aux=True)(1.0), tuple[anyjac.Pullback, str])
assert_type(anyjac.linearize(energy)(1.0), anyjac.Pushforward)
assert_type(anyjac.linearize(with_aux, has_aux=True, return_value=True)(1.0), tuple[anyjac.Pushforward, float, str])

assert_type(anyjac.value_and_grad(energy)(1.0), tuple[float, Any])
assert_type(anyjac.value_and_grad(with_aux, has_aux=True)(1.0), tuple[tuple[float, str], Any])
assert_type(anyjac.value_and_grad(with_aux, has_aux=flag)(1.0), Any)

for product in (anyjac.jvp, anyjac.hvp):
    assert_type(product(energy)((1.0, None), 1.0, scale="b"), Any)
    assert_type(product(energy, return_value=True)(1.0, 1.0), tuple[Any, float])
    assert_type(product(with_aux, has_aux=True)(1.0, 1.0), tuple[Any, str])
    assert_type(product(with_aux, has_aux=True, return_value=True)(1.0, 1.0), tuple[Any, float, str])

# ---- the flags of jacrev, by name and by place -----------------------------------------------------------------------

assert_type(anyjac.jacrev(energy, return_value=True, holomorphic=True)(1.0), tuple[Any, float])
assert_type(anyjac.jacrev(with_aux, has_aux=True)(1.0), tuple[Any, str])
assert_type(anyjac.jacrev(with_aux, has_aux=True, return_value=True)(1.0), tuple[Any, float, str])
assert_type(anyjac.jacrev(energy, None, 0, False, True)(1.0), tuple[Any, float])
assert_type(anyjac.jacrev(energy, None, 0, None, True, False, True, chunk_size=3)(1.0), tuple[Any, float])
assert_type(anyjac.jacrev(energy, None, 0, False, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.jacrev(with_aux, None, 0, True)(1.0), tuple[Any, str])
assert_type(anyjac.jacrev(with_aux, None, 0, True, True)(1.0), tuple[Any, float, str])
assert_type(anyjac.jacrev(with_aux, None, 0, True, return_value=True, backend="jax")(1.0), tuple[Any, float, str])
assert_type(anyjac.jacrev(energy, None, 0, False, False, True)(1.0), Any)

# ---- decorators ------------------------------------------------------------------------------------------------------


@anyjac.jacrev(None, None, 0, return_value=True, chunk_size=4)
def rowwise(x: float) -> str:
    return str(x)


@anyjac.jacrev(None, None, 0, True, True)
def by_place(x: float) -> tuple[float, int]:
    return x, 1


@anyjac.hessian(has_aux=True)
def second(x: float) -> tuple[float, int]:
    return x, 1


@anyjac.value_and_grad(has_aux=True)
def valued(x: float) -> tuple[float, int]:
    return x, 1


@anyjac.linearize(return_value=True, backend="torch")
def pushed(x: float, /, *, y: int) -> str:
    return str(x)


@partial(anyjac.grad, argnums=0)
def through_a_partial(x: float) -> float:
    return x


@anyjac.hvp(return_value=flag)
def unknown(x: float) -> str:
    return str(x)


assert_type(rowwise(1.0), tuple[Any, str])
assert_type(by_place(1.0), tuple[Any, float, int])
assert_type(second(x=1.0), tuple[Any, int])
assert_type(valued(1.0), tuple[tuple[float, int], Any])
assert_type(pushed(1.0, y=2), tuple[anyjac.Pushforward, str])
assert_type(unknown(1.0, 1.0), Any)
assert_type(through_a_partial(1.0), Any)

assert_type(cell.slope(1.0), Any)
assert_type(cell.everything(1.0), tuple[Any, float, str])
assert_type(cell.along(1.0, 2.0, y=3), tuple[Any, float])
assert_type(cell.valued(1.0), tuple[float, Any])
assert_type(cell.pulled(1.0), anyjac.Pullback)
assert_type(Cell.everything(cell, 1.0), tuple[Any, float, str])

# ---- any callable ----------------------------------------------------------------------------------------------------

assert_type(anyjac.grad(cell.plain, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.grad(cell, return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.grad(partial(energy, scale="b"), return_value=True)(1.0), tuple[Any, float])
assert_type(anyjac.grad(lambda x: str(x), return_value=True)(1.0), tuple[Any, str])
assert_type(anyjac.grad(lambda x: (x**2, "aux"), has_aux=True)(1.0), tuple[Any, str])
assert_type(anyjac.grad(lambda x: [x**2, "aux"], has_aux=True)(1.0), Any)
assert_type(anyjac.grad(loose, has_aux=True, return_value=True)(1.0), tuple[Any, float, str])
assert_type(anyjac.jacrev(loose, has_aux=True)(1.0), tuple[Any, str])
assert_type(anyjac.jacrev(loose, None, 0, False, True)(1.0), tuple[Any, tuple[float, str]])
assert_type(anyjac.value_and_grad(loose)(1.0), tuple[tuple[float, str], Any])
anyjac.grad(untyped, has_aux=True, return_value=True)(1.0, 2)  # some checkers infer what it returns
assert_type(anyjac.grad(anyjac.grad(energy))(1.0), Any)
assert_type(anyjac.jacrev(anyjac.jit(energy), return_value=True)(1.0), tuple[Any, float])

assert_type(anyjac.vector_grad(np.square)(np.array([1.0, 2.0])), Any)
assert_type(anyjac.jacrev(np.sin, return_value=True)(np.array([1.0, 2.0])), Any)
assert_type(anyjac.value_and_grad(np.sin)(np.array(1.0)), tuple[Any, Any])
assert_type(anyjac.jvp(np.sin)(1.0, np.array(1.0)), Any)

# ---- compiled, and mapped --------------------------------------------------------------------------------------------


class Compiled:
    @anyjac.jit
    def energy(self, x: float) -> float:
        return x**2

    @anyjac.jit(backend="jax")
    @anyjac.value_and_grad
    def valued(self, x: float) -> float:
        return x**2

    @anyjac.vmap(in_axes=1)
    @anyjac.grad(return_value=True)
    def each(self, x: float) -> float:
        return x**2


compiled = Compiled()
assert_type(anyjac.jit(energy)(1.0, scale="b"), float)
assert_type(anyjac.jit(anyjac.grad(energy, return_value=True))(1.0), tuple[Any, float])
assert_type(compiled.energy(1.0), float)
assert_type(compiled.valued(1.0), tuple[float, Any])
assert_type(Compiled.valued(compiled, 1.0), tuple[float, Any])
assert_type(anyjac.vmap(energy)([1.0, 2.0]), Any)
assert_type(anyjac.vmap(anyjac.grad(energy, return_value=True))([1.0, 2.0]), tuple[Any, float])
assert_type(anyjac.vmap(doubled)([1.0, 2.0]), np.ndarray)
assert_type(anyjac.vmap(untyped)([1.0, 2.0]), Any)
assert_type(compiled.each([1.0, 2.0]), tuple[Any, float])

# ---- flags that are not known, and what there is besides calls -------------------------------------------------------

assert_type(anyjac.grad(energy, return_value=flag)(1.0), Any)
assert_type(anyjac.jacrev(with_aux, None, 0, flag, flag)(1.0), Any)
assert_type(anyjac.vjp(energy, return_value=flag)(1.0), Any)

assert_type(anyjac.jacrev(energy, chunk_size=2).rows(1.0), anyjac.Rows)
assert_type(anyjac.hessian(energy).as_linear_operator(1.0, scale="b").aux, Any)
assert_type(anyjac.grad(energy).__name__, str)
assert_type(anyjac.grad.__name__, str)

chosen = {"grad": anyjac.grad, "jacrev": anyjac.jacrev}[str(flag)]
assert_type(chosen(energy, argnums=0)(1.0), Any)

one_for_all: anyjac.GradientTransform[..., Any] = anyjac.jvp(energy)
same_arguments: Callable[[float], tuple[Any, float]] = anyjac.grad(energy, return_value=True)

# ---- what is wrong ---------------------------------------------------------------------------------------------------

assert_type(anyjac.grad(energy, return_value=True)(1.0), tuple[float, Any])  # type: ignore[assert-type]
assert_type(anyjac.value_and_grad(energy)(1.0), tuple[Any, float])  # type: ignore[assert-type]
assert_type(anyjac.vjp(energy)(1.0), anyjac.Pushforward)  # type: ignore[assert-type]
assert_type(cell.along(1.0, 2.0, y=3), tuple[float, Any])  # type: ignore[assert-type]
anyjac.grad(energy)("text")  # type: ignore[arg-type]
anyjac.jacrev(energy).rows("text")  # type: ignore[arg-type]
_ = anyjac.jacfwd_of_nothing  # type: ignore[attr-defined]
cell.slope(cell, 1.0)  # type: ignore[call-arg, arg-type]
cell.along(1.0, y=3)  # type: ignore[call-arg]
anyjac.jit(energy)("text")  # type: ignore[arg-type]
compiled.energy(compiled, 1.0)  # type: ignore[call-arg, arg-type]
anyjac.vmap(energy, axes=1)  # type: ignore[call-overload]
anyjac.grad(energy, chunk_size=2)  # type: ignore[call-overload]
anyjac.jacfwd(energy, mode="rev")  # type: ignore[call-overload]
anyjac.jacobian(energy, mode="reverse")  # type: ignore[call-overload]
anyjac.derivative(energy, allow_int=True)  # type: ignore[call-overload]
anyjac.value_and_grad(energy, return_value=True)  # type: ignore[call-overload]
anyjac.grad(energy, None, 0, True)  # type: ignore[call-overload]
anyjac.grad(energy, has_aux=True)  # type: ignore[arg-type]
anyjac.grad(energy, argnum=0)  # type: ignore[call-overload]
