"""A backend with the required members alone; its framework is NumPy and a tape that records four functions."""

from collections import defaultdict
from functools import partial

import numpy as np

from anyjac_plugins import Backend

RULES = {
    # function: its cotangent with respect to each operand, from the operands and the cotangent of the result
    np.add: (lambda a, b, g: g, lambda a, b, g: g),
    np.multiply: (lambda a, b, g: g * b, lambda a, b, g: g * a),
    np.power: (lambda a, n, g: g * n * a ** (n - 1), lambda a, n, g: g * a**n * np.log(a)),
    np.sin: (lambda a, g: g * np.cos(a),),
}


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, value, tape, parents=()):
        self.value, self.shape, self.dtype, self.tape, self.parents = value, value.shape, value.dtype, tape, parents
        tape.append(self)

    def __array_ufunc__(self, ufunc, method, *inputs):
        if not all(isinstance(x, Traced | np.ndarray | np.generic | float | int) for x in inputs):
            return NotImplemented  # a Variable: it is asked next, and puts its value in its place
        values = [x.value if isinstance(x, Traced) else x for x in inputs]
        pairs = zip(inputs, RULES[ufunc], strict=True)
        parents = [(x, partial(rule, *values)) for x, rule in pairs if isinstance(x, Traced)]
        return Traced(ufunc(*values), self.tape, parents)


class MinimalBackend(Backend):
    name = "minimal"
    namespace = np

    def is_array(self, value):
        return isinstance(value, Traced | np.ndarray | np.generic)

    def asarray(self, value, *, dtype=None, device=None):
        return value if isinstance(value, Traced) else np.asarray(value, dtype)

    def devices(self):
        return ["cpu"]

    def device_of(self, array):
        return "cpu"

    def vjp(self, fun, primals):
        tape = []
        roots = [Traced(primal, tape) for primal in primals]
        outputs, aux = fun(*roots)

        def pullback(cotangents):
            arrived = defaultdict(float)
            for output, cotangent in zip(outputs, cotangents, strict=True):
                arrived[id(output)] += 0.0 if cotangent is None else cotangent
            for node in reversed(tape):
                for parent, rule in node.parents:
                    arrived[id(parent)] = arrived[id(parent)] + sum_to(parent.shape, rule(arrived[id(node)]))
            return [np.broadcast_to(arrived[id(root)], root.shape).astype(root.dtype) for root in roots]

        return [untraced(output) for output in outputs], pullback, [untraced(array) for array in aux]


def untraced(array):
    return array.value if isinstance(array, Traced) else array


def sum_to(shape, cotangent):
    """Sum a cotangent over the axes along which an operand of this shape was repeated."""
    extra = np.ndim(cotangent) - len(shape)
    summed = np.sum(cotangent, axis=tuple(range(extra))) if extra > 0 else cotangent
    repeated = [axis for axis, size in enumerate(shape) if size == 1 and np.ndim(summed) == len(shape)]
    return np.sum(summed, axis=tuple(repeated), keepdims=True) if repeated else summed
