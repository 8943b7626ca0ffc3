"""The reference: numbers that carry their derivatives along, in NumPy and nothing else.

A `Dual` has a value and one tangent for each direction; the functions here are those that a random program calls, under
the names of the array API, each with its rule of differentiation. Values may be complex, with the real part for every
decision: a tiny imaginary part then gives second derivatives without cancellation.

References
----------
J. R. R. A. Martins, P. Sturdza, J. J. Alonso, "The complex-step derivative approximation", ACM Transactions on
Mathematical Software 29 (2003).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]


NEAR: Final = 1e-9
"""Numbers that are as close as this count as equal: rounding says which of them is the greater one."""


class KinkError(Exception):
    """A function has no derivative where it was asked for one, as the maximum of two equal numbers has none."""


class Dual:
    """An array with its derivatives along some directions.

    Attributes
    ----------
    value
        The array.
    tangent
        Of shape ``(directions, *value.shape)``.
    """

    __slots__ = ("tangent", "value")

    def __init__(self, value: Array, tangent: Array):
        self.value = value
        self.tangent = tangent

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def linear(self, function: Callable[[Array], Array]) -> Dual:
        """Apply a function that is linear to the value and to each tangent."""
        return Dual(function(self.value), np.stack([function(tangent) for tangent in self.tangent]))

    def __add__(self, other: Any) -> Dual:
        other = dual(other, self)
        return Dual(self.value + other.value, _raised(self, other) + _raised(other, self))

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.tangent)

    def __sub__(self, other: Any) -> Dual:
        return self + -dual(other, self)

    def __mul__(self, other: Any) -> Dual:
        other = dual(other, self)
        tangent = _raised(self, other) * other.value + _raised(other, self) * self.value
        return Dual(self.value * other.value, tangent)

    def __truediv__(self, other: Any) -> Dual:
        other = dual(other, self)
        inverse = Dual(1 / other.value, -other.tangent / other.value**2)
        return self * inverse

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __getitem__(self, index: Any) -> Dual:
        return self.linear(lambda array: np.asarray(array[index]))

    def __matmul__(self, other: Any) -> Dual:
        other = dual(other, self)
        value = np.asarray(self.value @ other.value)
        tangents = [a @ other.value + self.value @ b for a, b in zip(self.tangent, other.tangent, strict=True)]
        return Dual(value, np.stack(tangents))


def dual(value: Any, like: Dual) -> Dual:
    """Return a constant as a dual of no derivatives."""
    if isinstance(value, Dual):
        return value
    array = np.asarray(value)
    return Dual(array, np.zeros((len(like.tangent), *array.shape), like.tangent.dtype))


def _raised(a: Dual, other: Dual) -> Array:
    """Return tangents with as many axes as the result of two arrays that are broadcast together has."""
    missing = max(other.value.ndim - a.value.ndim, 0)
    return a.tangent.reshape((len(a.tangent), *(1,) * missing, *a.shape))


# name:           value                                derivative
ELEMENTWISE: Final[dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]]] = {
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "exp": (np.exp, np.exp),
    "atan": (np.arctan, lambda x: 1 / (1 + x**2)),
    "square": (np.square, lambda x: 2 * x),
    "abs": (lambda x: np.where(x.real < 0, -x, x), lambda x: np.where(x.real < 0, -1.0, 1.0)),
}


def refuse_ties(a: Dual, b: Dual) -> None:
    """Refuse numbers between which a choice would be made, where they are equal and their derivatives are not."""
    gaps = _raised(a, b) - _raised(b, a)
    if np.any((np.abs((a.value - b.value).real) < NEAR) & np.any(np.abs(gaps) > NEAR, axis=0)):
        raise KinkError


class Namespace:
    """The functions of the array API that random programs call, on duals."""

    def __getattr__(self, name: str) -> Callable[[Dual], Dual]:
        function, slope = ELEMENTWISE[name]

        def apply(x: Dual) -> Dual:
            if name == "abs":
                refuse_ties(x, -x)
            return Dual(function(x.value), x.tangent * slope(x.value))

        return apply

    def where(self, condition: Array, a: Any, b: Any) -> Dual:
        """`condition` is an array of NumPy, made by `greater`."""
        like = a if isinstance(a, Dual) else b
        a, b = dual(a, like), dual(b, like)
        return Dual(np.where(condition, a.value, b.value), np.where(condition, a.tangent, b.tangent))

    def greater(self, a: Dual, b: float) -> Array:
        if np.any(np.abs(a.value.real - b) < NEAR):
            raise KinkError
        return np.asarray(a.value.real > b)

    def maximum(self, a: Dual, b: Dual) -> Dual:
        refuse_ties(a, b)
        return self.where(a.value.real > b.value.real, a, b)

    def sum(self, x: Dual, axis: int | None = None) -> Dual:
        return x.linear(lambda array: np.asarray(np.sum(array, axis=axis)))

    def mean(self, x: Dual) -> Dual:
        return x.linear(lambda array: np.asarray(np.mean(array)))

    def max(self, x: Dual) -> Dual:
        greatest = x[int(np.argmax(x.value.real))]
        refuse_ties(x, greatest)
        return greatest

    def sort(self, x: Dual) -> Dual:
        ordered = x[np.argsort(x.value.real)]
        refuse_ties(ordered[1:], ordered[:-1])
        return ordered

    def cumulative_sum(self, x: Dual) -> Dual:
        return x.linear(np.cumsum)

    def flip(self, x: Dual) -> Dual:
        return x.linear(np.flip)

    def roll(self, x: Dual, shift: int) -> Dual:
        return x.linear(lambda array: np.roll(array, shift))

    def reshape(self, x: Dual, shape: tuple[int, ...]) -> Dual:
        return x.linear(lambda array: np.reshape(array, shape))

    def matrix_transpose(self, x: Dual) -> Dual:
        return x.linear(np.transpose)

    def take(self, x: Dual, indices: Any) -> Dual:
        return x.linear(lambda array: np.take(array, np.asarray(indices)))

    def concat(self, arrays: Sequence[Dual]) -> Dual:
        tangent = np.concatenate([array.tangent for array in arrays], axis=1)
        return Dual(np.concatenate([array.value for array in arrays]), tangent)

    def stack(self, arrays: Sequence[Dual]) -> Dual:
        tangent = np.stack([array.tangent for array in arrays], axis=1)
        return Dual(np.stack([array.value for array in arrays]), tangent)


def with_element(x: Dual, index: int, value: Dual, *, added: bool) -> Dual:
    """Return a vector with one element written, or increased."""
    result, tangent = x.value.copy(), x.tangent.copy()
    result[index] = value.value + (x.value[index] if added else 0)
    tangent[:, index] = value.tangent + (x.tangent[:, index] if added else 0)
    return Dual(result, tangent)
