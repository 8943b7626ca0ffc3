"""What a transform returns, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Packer = Callable[[Any, Any, Any], Any]

#        has_aux return_value           g, loss value, aux data
PACKING: Final[dict[tuple[bool, bool], Packer]] = {
    (False, False): lambda g, value, aux: g,
    (True, False): lambda g, value, aux: (g, aux),
    (False, True): lambda g, value, aux: (g, value),
    (True, True): lambda g, value, aux: (g, value, aux),
}

#        Variables arguments            var_grads, arg_grads
DERIVATIVES: Final[dict[tuple[bool, bool], Callable[[Any, Any], Any]]] = {
    (False, True): lambda var_grads, arg_grads: arg_grads,
    (True, False): lambda var_grads, arg_grads: var_grads,
    (True, True): lambda var_grads, arg_grads: (var_grads, arg_grads),
}
