"""Errors of JAX for traced arrays in the wrong place, and their meaning."""

from __future__ import annotations

import re
from typing import Final

import jax

from anyjac_plugins.errors import AnyjacError, ReverseRuleError

_WHILE: Final = "Reverse-mode differentiation does not work for lax.while_loop"
_ELEMENT: Final = "setting an array element with a sequence"
_MEND: Final = "use jax.numpy, or functions of anyjac.array_namespace(x), and make constants arrays of jax.numpy"
_ARGUMENT: Final = re.compile(
    r"not a valid JAX|as a JAX value|as an abstract array|requires ndarray or scalar arguments|ArrayImpl"
    r"|\wTracer\b"  # not the one word, which PyTorch says where it lists what it has operators for
)


def explained(error: Exception) -> str | AnyjacError | None:
    """Return what is meant by an error; None where there is nothing to say."""
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return (
            f"a function or an array of NumPy was given a traced array of JAX, which has no numbers: {_MEND} ({error})"
        )
    if _ELEMENT in str(error) and isinstance(error.__cause__, jax.errors.JAXTypeError):
        return (
            f"an element of a NumPy array cannot be a traced number of JAX: anyjac.at(array)[index].set(value) makes "
            f"the changed array, of jax.numpy ({error})"
        )
    if isinstance(error, ValueError) and _WHILE in str(error):
        return ReverseRuleError(
            "a while_loop without a known number of steps has no derivative in reverse mode on JAX; give "
            f"anyjac.while_loop max_steps, or take derivatives in forward mode, as jacfwd does ({error})"
        )
    if isinstance(error, AttributeError) and "__dlpack" in str(error):
        return f"another framework was given a traced array of JAX, which has no numbers: {_MEND} ({error})"
    return None


def refuses(error: Exception) -> bool:
    """Return whether an error is what JAX says of an argument that is none of its arrays."""
    return _ARGUMENT.search(str(error)) is not None
