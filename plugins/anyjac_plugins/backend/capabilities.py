"""The capabilities that a backend may declare, as one table.

A capability that is not declared is refused with `NotSupportedError` before any number is computed. This module
holds names and sentences only.
"""

from __future__ import annotations

from typing import Final

COMPLEX: Final = "complex"
FLOAT16: Final = "float16"
BFLOAT16: Final = "bfloat16"
NESTED: Final = "nested"
FORWARD: Final = "forward"
GRAD: Final = "grad"
JIT: Final = "jit"
VMAP: Final = "vmap"
STOP_GRADIENT: Final = "stop_gradient"

CAPABILITIES: Final[dict[str, str]] = {
    COMPLEX: "complex inputs, holomorphic functions, and real functions of complex inputs",
    FLOAT16: "inputs of half precision",
    BFLOAT16: "inputs of bfloat16",
    NESTED: "derivatives of derivatives",
    FORWARD: "derivatives in forward mode",
    GRAD: "transforms inside and around the framework's own gradient",
    JIT: "transforms inside and around the framework's own compiler",
    VMAP: "transforms inside and around the framework's own vectorising map",
    STOP_GRADIENT: "constants made of what is being differentiated",
}
