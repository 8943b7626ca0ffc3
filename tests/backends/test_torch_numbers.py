"""Numbers of Python among the arguments of compiled functions on PyTorch: no digit is lost, and no dtype changed."""

from typing import Any

import numpy as np
import pytest
import torch

import anyjac
from anyjac import jacrev

X64, X32 = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 2.0])

NUMBERS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "an integer's inverse": (lambda x, n: x * (1 / n), (X64, 3)),
    "a quotient of integers": (lambda x, n, m: x * (n / m), (X64, 1, 3)),
    "an integer's root": (lambda x, n: x * n**0.5, (X64, 3)),
    "an exponent": (lambda x, n: x ** (1 / n), (X64, 3)),
    "in a choice": (lambda x, n: torch.where(x > 1, x, 1 / n), (X64, 3)),
    "a float's inverse": (lambda x, c: x * (1 / c), (X64, 3.0)),
    "a complex number's inverse": (lambda x, c: x * (1 / c), (X64, 3.0 + 1j)),
    "of NumPy": (lambda x, c: x * (1 / c), (X64, np.float64(3.0))),
    "beside an array that is found elsewhere": (lambda c: X64 * c, (1 / 3,)),
    "an inverse beside it": (lambda n: X64 * (1 / n), (3,)),
    "a complex number beside it": (lambda c: X64 * c, (1 / 3 + 1j / 7,)),
    "captured": (lambda x: x * (1 / 3), (X64,)),
    "in a gradient": (anyjac.grad(lambda x, n: (x * (1 / n)).sum()), (X64, 3)),
    "in a Jacobian": (jacrev(lambda x, n: x * (1 / n)), (X64, 3)),
    "of single precision": (lambda x, n: x * (1 / n), (X32, 3)),
    "of single precision without axes": (lambda x, c: x[0] * c, (X32, 1 / 3)),
    "of single precision, found elsewhere": (lambda c: X32[0] * c, (1 / 3,)),
    "of integers": (lambda c: torch.arange(3) * c, (0.5,)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_python_has_all_its_digits_in_a_compiled_function(name: str) -> None:
    function, arguments = NUMBERS[name]
    found, expected = anyjac.jit(function, backend="torch")(*arguments), function(*arguments)
    double = expected.dtype in (torch.float64, torch.complex128)
    torch.testing.assert_close(found, expected, rtol=1e-15 if double else 1e-6, atol=0)


def test_a_number_that_is_differentiated_in_a_compiled_function_has_a_derivative() -> None:
    slope = anyjac.grad(lambda x, c: (x * c + X64 * c).sum(), argnums=1)
    for x in (X32, X64):
        assert float(anyjac.jit(slope)(x, 0.25)) == 6.0


def test_a_number_and_an_array_of_its_dtype_are_two_kinds_of_arguments() -> None:
    product = anyjac.jit(lambda c: X32[0] * c, backend="torch")
    assert product(0.5).dtype == torch.float32
    assert product(torch.tensor(0.5, dtype=torch.float64)).dtype == torch.float64
