"""Trees x dtypes x packing x Variables, generated, against a reference that is put together from analytic blocks.

The function under test has one output leaf for each generated one, y_k = sum_j A_kj tanh(x_j) over all differentiated
leaves x_j, with A_kj constant matrices on the flattened leaves; its blocks are A_kj / cosh(x_j)^2.
"""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, assume, given, settings

import anyjac
from anyjac import Variable, float0, jacrev
from anyjac.trees import flatten
from anyjac_conformance.answers import Array, faults

Pair = namedtuple("Pair", ["first", "second"])

CHECKS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

SHAPES = ((), (2,), (3,), (2, 2), (0,))
REALS = ("float64", "float32")


@dataclass(frozen=True)
class Leaf:
    """One generated input: its values, and its dtype by name."""

    values: np.ndarray
    dtype: str


@dataclass
class Problem:
    """One generated call.

    Attributes
    ----------
    grad_vars, arguments
        Trees of `Leaf`; `grad_vars` is None for none.
    argnums
        As passed to the transform.
    outputs
        A tree of shapes, as `Shape`.
    """

    grad_vars: Any
    arguments: list[Any]
    argnums: Any
    outputs: Any
    has_aux: bool
    return_value: bool
    chunk_size: int | None
    twice: bool


@dataclass(frozen=True)
class Shape:
    """The shape of one generated output; a leaf to the tree library."""

    shape: tuple[int, ...]


def _trees(leaves: st.SearchStrategy[Any], max_leaves: int) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["b", "a", 1, (0, "x")])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(st.one_of(inner, st.none()), min_size=1, max_size=2),
            st.tuples(inner, st.none()),
            st.dictionaries(keys, inner, min_size=1, max_size=2),
            st.dictionaries(keys, inner, min_size=1, max_size=2).map(OrderedDict),
            st.tuples(inner, inner).map(lambda items: Pair(*items)),
        ),
        max_leaves=max_leaves,
    )


@st.composite
def _leaf(draw: Any, dtypes: tuple[str, ...]) -> Leaf:
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(dtypes))
    size = int(np.prod(shape))
    if dtype == "int64":
        return Leaf(np.arange(size).reshape(shape), dtype)
    values = np.linspace(-0.8, 0.9, size).reshape(shape) + draw(st.sampled_from([0.0, 0.25]))
    return Leaf(np.asarray(values, dtype=dtype), dtype)


def _has_leaves(tree: Any) -> bool:
    return bool(flatten(tree)[0])


@st.composite
def _problems(draw: Any, dtypes: tuple[str, ...] = (*REALS, "int64")) -> Problem:
    trees = _trees(_leaf(dtypes), 3).filter(_has_leaves)
    grad_vars = draw(st.one_of(st.none(), trees))
    arguments = draw(st.lists(trees, min_size=1, max_size=2))
    count = len(arguments)
    positions = st.integers(-count, count - 1)
    sequences = st.lists(positions, min_size=1, max_size=2, unique_by=lambda p: p % count)
    argnums = draw(st.one_of(st.none(), positions, sequences, sequences.map(tuple)))
    return Problem(
        grad_vars=grad_vars,
        arguments=arguments,
        argnums=argnums,
        outputs=draw(_trees(st.sampled_from([(), (2,), (1, 2), (0,)]).map(Shape), 2).filter(_has_leaves)),
        has_aux=draw(st.booleans()),
        return_value=draw(st.booleans()),
        chunk_size=draw(st.sampled_from([None, 1, 2])),
        twice=draw(st.booleans()),
    )


class Reference:
    """The problem's answer in NumPy, from analytic blocks."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        count = len(problem.arguments)
        if problem.argnums is None:
            self.positions = [] if problem.grad_vars is not None else [0]
        elif isinstance(problem.argnums, int):
            self.positions = [problem.argnums % count]
        else:
            self.positions = [position % count for position in problem.argnums]
        self.single = problem.argnums is None or isinstance(problem.argnums, int)
        self.variable_leaves = flatten(problem.grad_vars)[0]
        self.argument_leaves = {p: flatten(problem.arguments[p])[0] for p in self.positions}
        self.outputs, self.output_tree = flatten(problem.outputs)

    def matrix(self, output: int, leaf: Leaf) -> np.ndarray:
        """Return A_kj as a matrix from the flattened leaf to the flattened output."""
        rows, columns = int(np.prod(self.outputs[output].shape)), leaf.values.size
        return np.cos(np.arange(rows * columns) + output + 0.1 * columns).reshape(rows, columns)

    def term(self, output: int, leaf: Leaf) -> np.ndarray:
        values = np.tanh(leaf.values.ravel().astype(np.float64))
        return (self.matrix(output, leaf) @ values).reshape(self.outputs[output].shape)

    def block(self, output: int, leaf: Leaf) -> Any:
        shape = (*self.outputs[output].shape, *leaf.values.shape)
        if leaf.dtype == "int64":
            return np.zeros(shape, float0)
        slope = 1 / np.cosh(leaf.values.ravel().astype(np.float64)) ** 2
        factor = 2.0 if self.problem.twice and any(leaf is other for other in self.variable_leaves) else 1.0
        return Array((factor * self.matrix(output, leaf) * slope).reshape(shape), leaf.dtype)

    def value(self) -> Any:
        leaves = [*self.variable_leaves, *(x for p in self.positions for x in self.argument_leaves[p])]
        extra = self.variable_leaves if self.problem.twice else []
        totals = [np.sum([self.term(k, leaf) for leaf in (*leaves, *extra)], axis=0) for k in range(len(self.outputs))]
        return self.output_tree.unflatten([np.asarray(total, dtype=np.float64) for total in totals])

    def _blocks_of(self, output: int, tree: Any) -> Any:
        leaves, treedef = flatten(tree)
        return treedef.unflatten([self.block(output, leaf) for leaf in leaves])

    def derivative(self) -> Any:
        problem, count = self.problem, len(self.outputs)
        var_grads = self.output_tree.unflatten([self._blocks_of(k, problem.grad_vars) for k in range(count)])
        rows = [tuple(self._blocks_of(k, problem.arguments[p]) for p in self.positions) for k in range(count)]
        arg_grads = self.output_tree.unflatten([row[0] for row in rows] if self.single and self.positions else rows)
        if problem.grad_vars is None:
            return arg_grads
        return (var_grads, arg_grads) if self.positions else var_grads

    def packed(self) -> Any:
        g = self.derivative()
        rest = (self.value(),) if self.problem.return_value else ()
        rest += ("aux",) if self.problem.has_aux else ()
        return (g, *rest) if rest else g


def _observe(backend: anyjac.Backend, problem: Problem, reference: Reference, **changes: Any) -> Any:
    xp = backend.namespace

    def array(leaf: Leaf) -> Any:
        return backend.asarray(leaf.values, dtype=getattr(xp, leaf.dtype))

    def mapped(function: Any, tree: Any) -> Any:
        leaves, treedef = flatten(tree)
        return treedef.unflatten([function(leaf) for leaf in leaves])

    grad_vars = mapped(lambda leaf: Variable(array(leaf)), problem.grad_vars)
    variables = flatten(grad_vars)[0]

    def f(*arguments: Any) -> Any:
        read = [variable.value for variable in variables]
        pairs = list(zip(read, reference.variable_leaves, strict=True)) * (2 if problem.twice else 1)
        for position in reference.positions:
            pairs += zip(flatten(arguments[position])[0], reference.argument_leaves[position], strict=True)
        outputs = []
        for k, shape in enumerate(reference.outputs):
            total = xp.zeros(shape.shape, dtype=xp.float64)
            for x, leaf in pairs:
                flat = xp.reshape(xp.tanh(xp.astype(x, xp.float64)), (-1,)) if leaf.values.size else None
                if flat is not None:
                    total = total + xp.reshape(backend.asarray(reference.matrix(k, leaf)) @ flat, shape.shape)
            outputs.append(total)
        value = reference.output_tree.unflatten(outputs)
        return (value, "aux") if problem.has_aux else value

    options = {
        "grad_vars": grad_vars,
        "argnums": problem.argnums,
        "has_aux": problem.has_aux,
        "return_value": problem.return_value,
        "chunk_size": problem.chunk_size,
        **changes,
    }
    return jacrev(f, allow_int=True, backend=backend, **options)(*(mapped(array, tree) for tree in problem.arguments))


@CHECKS
@given(problem=_problems())
def test_every_packing_of_every_tree_is_as_the_reference_says(backend: anyjac.Backend, problem: Problem) -> None:
    reference = Reference(problem)
    found = list(faults(backend, _observe(backend, problem, reference), reference.packed()))
    assert found == []


@CHECKS
@given(problem=_problems(dtypes=REALS))
def test_the_pair_of_both_kinds_equals_the_two_single_results(backend: anyjac.Backend, problem: Problem) -> None:
    assume(problem.grad_vars is not None and problem.argnums is not None)
    problem.has_aux = problem.return_value = False
    reference = Reference(problem)
    of_variables, of_arguments = _observe(backend, problem, reference)
    alone = _observe(backend, problem, reference, argnums=None)
    other = _observe(backend, problem, reference, grad_vars=None)
    assert list(faults(backend, alone, _exactly(backend, of_variables))) == []
    assert list(faults(backend, other, _exactly(backend, of_arguments))) == []


def _exactly(backend: anyjac.Backend, tree: Any) -> Any:
    leaves, treedef = flatten(tree)
    return treedef.unflatten([Array(backend.to_numpy(leaf), backend.dtype_name(leaf.dtype)) for leaf in leaves])
