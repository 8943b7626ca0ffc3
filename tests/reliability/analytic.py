"""Generated calls of `jacrev` and their answers, put together in NumPy from analytic blocks.

The function has one output leaf for each generated shape, y_k = sum_j A_kj h_j(x_j) over the differentiated leaves x_j,
where A_kj is a constant matrix on flattened leaves and h_j one of `PIECES`, elementwise; so the block of y_k and x_j is
A_kj diag(h_j'(x_j)). Trees are taken apart and put together by `leaves_of` and `mapped` alone: what is generated, and
what is expected, depends on no tree library.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from anyjac import float0
from anyjac_conformance import Array

Pair = namedtuple("Pair", ["first", "second"])

#          in the backend's namespace    in NumPy      derivative in NumPy
PIECES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "x": (lambda xp, x: x * 1.0, lambda x: x, np.ones_like),
    "x^3": (lambda xp, x: x * x * x, lambda x: x**3, lambda x: 3 * x**2),
    "sin": (lambda xp, x: xp.sin(x), np.sin, np.cos),
    "exp": (lambda xp, x: xp.exp(x), np.exp, np.exp),
    "tanh": (lambda xp, x: xp.tanh(x), np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "1/(2+x)": (lambda xp, x: 1.0 / (2.0 + x), lambda x: 1 / (2 + x), lambda x: -1 / (2 + x) ** 2),
}


@dataclass(frozen=True, eq=False)
class Leaf:
    """A generated input: values, the name of a dtype, and the piece of the function to apply."""

    values: np.ndarray
    dtype: str
    piece: str


@dataclass(frozen=True)
class Shape:
    """The shape of one generated output."""

    shape: tuple[int, ...]


def leaves_of(tree: Any) -> Iterator[Any]:
    """Yield the leaves of a tree of the generated kinds, in insertion order; None is no leaf."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from leaves_of(item)
    elif tree is not None:
        yield tree


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a tree of the same types and orders with `function` applied to its leaves, each one once, in order."""
    if isinstance(tree, dict):
        return type(tree)((key, mapped(function, item)) for key, item in tree.items())
    if isinstance(tree, Pair):
        return Pair(*(mapped(function, item) for item in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(function, item) for item in tree)
    return None if tree is None else function(tree)


@dataclass
class Problem:
    """One generated call.

    Attributes
    ----------
    grad_vars, arguments
        Trees of `Leaf`; `grad_vars` is None for none. A `Leaf` that stands in `grad_vars` twice is one Variable.
    argnums
        As passed to the transform.
    outputs
        A tree of `Shape`.
    holomorphic
        Whether all leaves and outputs are complex.
    unread
        Leaves of `grad_vars` that the function does not read.
    """

    grad_vars: Any
    arguments: list[Any]
    argnums: Any
    outputs: Any
    has_aux: bool
    return_value: bool
    chunk_size: int | None
    holomorphic: bool
    unread: tuple[Leaf, ...] = ()

    def positions(self) -> list[int]:
        """Return which arguments are differentiated, as the contract says."""
        if self.argnums is None:
            return [0] if self.grad_vars is None else []
        given = [self.argnums] if isinstance(self.argnums, int) else list(self.argnums)
        return [position % len(self.arguments) for position in given]

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the outputs in order."""
        return [shape.shape for shape in leaves_of(self.outputs)]

    def read_leaves(self) -> list[Leaf]:
        """Return the leaves x_j of the sum, each once: those of Variables that are read, then those of arguments."""
        of_variables = list(dict.fromkeys(leaves_of(self.grad_vars)))
        of_arguments = [leaf for position in self.positions() for leaf in leaves_of(self.arguments[position])]
        return [leaf for leaf in of_variables if leaf not in self.unread] + of_arguments


def wide(problem: Problem) -> type:
    """Return the dtype that the function computes in."""
    return np.complex128 if problem.holomorphic else np.float64


def matrix(problem: Problem, output: int, leaf: Leaf) -> np.ndarray:
    """Return A_kj, different for every output and for every size of the leaf."""
    rows, columns = int(np.prod(problem.shapes()[output])), leaf.values.size
    angles = np.arange(rows * columns) + output + 0.1 * columns + 0.3 * len(leaf.piece)
    real = np.cos(angles).reshape(rows, columns)
    return real + 1j * np.sin(2 * real) if problem.holomorphic else real


class Reference:
    """The right results of a call."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def _through(self, leaf: Leaf) -> tuple[np.ndarray, complex]:
        """Return the argument of a leaf's piece, flattened, and its derivative with respect to the leaf."""
        x = leaf.values.ravel()
        if x.dtype.kind == "c" and not self.problem.holomorphic:
            x = x.astype(np.complex128)
            return x.real + x.imag / 2, 1 - 0.5j  # df/dx - i df/dy of a real function
        return x.astype(wide(self.problem)), 1.0

    def _block(self, output: int, leaf: Leaf) -> Any:
        problem = self.problem
        shape = (*problem.shapes()[output], *leaf.values.shape)
        if np.dtype(leaf.dtype).kind == "i":
            return np.zeros(shape, float0)
        if leaf in problem.unread:
            return Array(np.zeros(shape, leaf.dtype), leaf.dtype)
        x, factor = self._through(leaf)
        return Array((matrix(problem, output, leaf) * PIECES[leaf.piece][2](x) * factor).reshape(shape), leaf.dtype)

    def _term(self, output: int, leaf: Leaf) -> np.ndarray:
        value = matrix(self.problem, output, leaf) @ PIECES[leaf.piece][1](self._through(leaf)[0])
        return value.reshape(self.problem.shapes()[output])

    def value(self) -> Any:
        """Return the output."""
        problem, numbers, dtype = self.problem, iter(range(len(self.problem.shapes()))), wide(self.problem)

        def total(shape: Shape) -> Any:
            output = next(numbers)
            terms = [self._term(output, leaf) for leaf in problem.read_leaves()]
            return Array(np.sum([np.zeros(shape.shape, dtype), *terms], axis=0), np.dtype(dtype).name)

        return mapped(total, problem.outputs)

    def _outside(self, inside: Callable[[int], Any]) -> Any:
        numbers = iter(range(len(self.problem.shapes())))
        return mapped(lambda shape: inside(next(numbers)), self.problem.outputs)

    def derivative(self) -> Any:
        """Return ``var_grads``, ``arg_grads`` or both, the output's tree outside and the input's inside."""
        problem, positions = self.problem, self.problem.positions()

        def of_variables(output: int) -> Any:
            return mapped(lambda leaf: self._block(output, leaf), problem.grad_vars)

        def of_arguments(output: int) -> Any:
            trees = [mapped(lambda leaf: self._block(output, leaf), problem.arguments[p]) for p in positions]
            return trees[0] if problem.argnums is None or isinstance(problem.argnums, int) else tuple(trees)

        if problem.grad_vars is None:
            return self._outside(of_arguments)
        if not positions:
            return self._outside(of_variables)
        return self._outside(of_variables), self._outside(of_arguments)

    def packed(self, aux: Any) -> Any:
        """Return the right result of the whole call."""
        rest: tuple[Any, ...] = (self.value(),) if self.problem.return_value else ()
        rest += (aux,) if self.problem.has_aux else ()
        return (self.derivative(), *rest) if rest else self.derivative()
