"""A backend with the required members alone: NumPy arrays, differentiated by `autograd.make_vjp`."""

from collections.abc import Sequence
from typing import Any

import autograd
import autograd.numpy
import numpy as np
from autograd.builtins import tuple as traced_tuple
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import getval

from anyjac_plugins import Array, Backend, FlatFunction, Pullback


class MinimalBackend(Backend):
    name = "minimal"
    namespace = autograd.numpy

    def is_array(self, value: object) -> bool:
        return isinstance(value, np.ndarray | np.generic | ArrayBox)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        return value if isinstance(value, ArrayBox) else np.asarray(value, dtype=dtype)

    def devices(self) -> Sequence[Any]:
        return ["cpu"]

    def device_of(self, array: Array) -> Any:
        return "cpu"

    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        aux: list[Array] = []

        def outputs_of(traced: Sequence[Array]) -> Any:
            outputs, beside = fun(*traced)
            aux.extend(getval(array) for array in beside)
            return traced_tuple(outputs)

        pull, outputs = autograd.make_vjp(outputs_of)(tuple(primals))

        def pullback(cotangents: Sequence[Array | None]) -> list[Array]:
            pairs = zip(cotangents, outputs, strict=True)
            pulled = pull(tuple(np.zeros_like(y) if c is None else c for c, y in pairs))
            return [np.asarray(gradient, x.dtype) for gradient, x in zip(pulled, primals, strict=True)]

        return list(outputs), pullback, aux
