"""Embeddings with dense gradients, as the contract has them.

Neither transforms of `torch.func` nor compilers of graphs take sparse ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.nn import functional

WHERE_SPARSE: Final[dict[Any, int]] = {
    functional.embedding: 6,
    functional.embedding_bag: 7,
    torch.embedding: 4,
    torch.embedding_bag: 5,
}
"""Operators whose gradient may be sparse, and the position of the argument that says so."""


def with_dense_gradient(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call an operator of `WHERE_SPARSE`, with a dense gradient."""
    index = WHERE_SPARSE[func]
    if len(args) > index:
        return func(*args[:index], False, *args[index + 1 :], **kwargs)
    return func(*args, **{**kwargs, "sparse": False})
