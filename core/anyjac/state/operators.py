"""Array operators and protocols in terms of one property, ``value``. Holds no state and knows no framework."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np


def unwrap(value: Any) -> Any:
    """Return what a Variable holds, or the value itself, also within lists and tuples."""
    if isinstance(value, ArrayOperators):
        return value.value
    if type(value) in (list, tuple):
        return type(value)(map(unwrap, value))
    return value


class ArrayOperators:
    """Forwards all that is done with an array to ``self.value``; in-place operators write the value."""

    __slots__ = ()

    value: Any

    # ---- binary ----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return self.value + unwrap(other)

    def __radd__(self, other: Any) -> Any:
        return other + self.value

    def __sub__(self, other: Any) -> Any:
        return self.value - unwrap(other)

    def __rsub__(self, other: Any) -> Any:
        return other - self.value

    def __mul__(self, other: Any) -> Any:
        return self.value * unwrap(other)

    def __rmul__(self, other: Any) -> Any:
        return other * self.value

    def __truediv__(self, other: Any) -> Any:
        return self.value / unwrap(other)

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.value

    def __floordiv__(self, other: Any) -> Any:
        return self.value // unwrap(other)

    def __rfloordiv__(self, other: Any) -> Any:
        return other // self.value

    def __mod__(self, other: Any) -> Any:
        return self.value % unwrap(other)

    def __rmod__(self, other: Any) -> Any:
        return other % self.value

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self.value, other % self.value

    def __pow__(self, other: Any) -> Any:
        return self.value ** unwrap(other)

    def __rpow__(self, other: Any) -> Any:
        return other**self.value

    def __matmul__(self, other: Any) -> Any:
        return self.value @ unwrap(other)

    def __rmatmul__(self, other: Any) -> Any:
        return other @ self.value

    def __and__(self, other: Any) -> Any:
        return self.value & unwrap(other)

    def __rand__(self, other: Any) -> Any:
        return other & self.value

    def __or__(self, other: Any) -> Any:
        return self.value | unwrap(other)

    def __ror__(self, other: Any) -> Any:
        return other | self.value

    def __xor__(self, other: Any) -> Any:
        return self.value ^ unwrap(other)

    def __rxor__(self, other: Any) -> Any:
        return other ^ self.value

    def __lshift__(self, other: Any) -> Any:
        return self.value << unwrap(other)

    def __rlshift__(self, other: Any) -> Any:
        return other << self.value

    def __rshift__(self, other: Any) -> Any:
        return self.value >> unwrap(other)

    def __rrshift__(self, other: Any) -> Any:
        return other >> self.value

    # ---- comparison ------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return self.value == unwrap(other)

    def __ne__(self, other: object) -> Any:
        return self.value != unwrap(other)

    def __lt__(self, other: Any) -> Any:
        return self.value < unwrap(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= unwrap(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > unwrap(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= unwrap(other)

    __hash__ = object.__hash__  # a Variable is a place: two with equal values are still two

    # ---- unary and conversion --------------------------------------------------------------------------------------

    def __neg__(self) -> Any:
        return -self.value

    def __pos__(self) -> Any:
        return +self.value

    def __abs__(self) -> Any:
        return abs(self.value)

    def __invert__(self) -> Any:
        return ~self.value

    def __round__(self, ndigits: int | None = None) -> Any:
        return round(self.value) if ndigits is None else round(self.value, ndigits)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __complex__(self) -> complex:
        return complex(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    # ---- containers ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __contains__(self, item: Any) -> bool:
        return unwrap(item) in self.value

    def __getitem__(self, index: Any) -> Any:
        return self.value[unwrap(index)]

    # ---- in place: all of them write the Variable ------------------------------------------------------------------

    def __iadd__(self, other: Any) -> Any:
        self.value = self + other
        return self

    def __isub__(self, other: Any) -> Any:
        self.value = self - other
        return self

    def __imul__(self, other: Any) -> Any:
        self.value = self * other
        return self

    def __itruediv__(self, other: Any) -> Any:
        self.value = self / other
        return self

    def __ifloordiv__(self, other: Any) -> Any:
        self.value = self // other
        return self

    def __imod__(self, other: Any) -> Any:
        self.value = self % other
        return self

    def __ipow__(self, other: Any) -> Any:
        self.value = self**other
        return self

    def __imatmul__(self, other: Any) -> Any:
        self.value = self @ other
        return self

    def __iand__(self, other: Any) -> Any:
        self.value = self & other
        return self

    def __ior__(self, other: Any) -> Any:
        self.value = self | other
        return self

    def __ixor__(self, other: Any) -> Any:
        self.value = self ^ other
        return self

    # ---- protocols -------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        values = [unwrap(item) for item in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(unwrap(item) for item in kwargs["out"])
        return getattr(ufunc, method)(*values, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return func(*map(unwrap, args), **{key: unwrap(item) for key, item in kwargs.items()})

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = {key: unwrap(item) for key, item in (kwargs or {}).items()}
        return func(*map(unwrap, args), **named)

    def __jax_array__(self) -> Any:
        return self.value
