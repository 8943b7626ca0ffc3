"""Trees x dtypes x packing x Variables, generated, against answers that are put together from analytic blocks."""

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings
from tests.helpers.open_calls import assert_nothing_open

import anyjac
from anyjac import Variable, jacrev
from anyjac_conformance import Array
from anyjac_conformance.answers import faults

from .analytic import PIECES, Leaf, Pair, Problem, Reference, Shape, leaves_of, mapped, matrix
from .stateful import assert_untraced

settings.register_profile(
    "anyjac-reliability",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
CHECKS = settings.get_profile("anyjac-reliability")

SHAPES = ((), (2,), (2, 2), (0,))  # few, since JAX compiles its operations anew for each
OUTPUT_SHAPES = ((), (2,), (1, 2), (0,))
REALS = ("float64", "float32")
MIXED = (*REALS, "int64", "complex128")
COMPLEX = ("complex128", "complex64")


# ---- strategies ----------------------------------------------------------------------------------------------------


def _trees(leaves: st.SearchStrategy[Any], max_leaves: int) -> st.SearchStrategy[Any]:
    """Generate bare leaves and containers, nested, with None in them, keys of mixed types in any order."""
    keys = st.sampled_from(["b", "a", 1, (0, "x"), None])

    def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        item = st.one_of(inner, inner, st.none())
        return st.one_of(
            st.lists(item, min_size=1, max_size=2),
            st.tuples(inner, item),
            st.dictionaries(keys, item, min_size=1, max_size=3),
            st.dictionaries(keys, item, min_size=1, max_size=2).map(OrderedDict),
            st.tuples(item, inner).map(lambda items: Pair(*items)),
        )

    return st.recursive(leaves, containers, max_leaves=max_leaves).filter(lambda tree: any(leaves_of(tree)))


@st.composite
def _leaf(draw: Any, dtypes: tuple[str, ...]) -> Leaf:
    shape, dtype, piece = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(dtypes)), draw(st.sampled_from([*PIECES]))
    size = int(np.prod(shape))
    if dtype == "int64":
        return Leaf(np.arange(size).reshape(shape), dtype, piece)
    values = np.linspace(-0.8, 0.9, size) + draw(st.sampled_from([0.0, 0.25, -0.5]))
    if dtype in COMPLEX:
        values = values + 1j * np.linspace(0.3, -0.4, size)
    return Leaf(np.asarray(values.reshape(shape), dtype=dtype), dtype, piece)


@st.composite
def _grad_vars(draw: Any, dtypes: tuple[str, ...]) -> Any:
    """Generate a tree of Variables in which one may stand in several places."""
    pool = draw(st.lists(_leaf(dtypes), min_size=1, max_size=3))
    return draw(_trees(st.sampled_from(pool), 4))


@st.composite
def _argnums(draw: Any, count: int) -> Any:
    position = st.integers(-count, count - 1)
    sequence = st.lists(position, min_size=1, max_size=2, unique_by=lambda p: p % count)
    return draw(st.one_of(position, sequence, sequence.map(tuple)))


@st.composite
def _problems(draw: Any, dtypes: tuple[str, ...], *, holomorphic: bool = False, both_kinds: bool = False) -> Problem:
    with_variables = both_kinds or draw(st.booleans())
    arguments = draw(st.lists(_trees(_leaf(dtypes), 3), min_size=1, max_size=3))
    grad_vars = draw(_grad_vars(dtypes)) if with_variables else None
    variables = list(dict.fromkeys(leaves_of(grad_vars)))
    return Problem(
        grad_vars=grad_vars,
        arguments=arguments,
        argnums=draw(_argnums(len(arguments)) if both_kinds or draw(st.booleans()) else st.none()),
        outputs=draw(_trees(st.sampled_from(OUTPUT_SHAPES).map(Shape), 2)),
        has_aux=draw(st.booleans()),
        return_value=draw(st.booleans()),
        chunk_size=draw(st.sampled_from([None, 1, 2])),
        holomorphic=holomorphic,
        unread=tuple(variables[:1]) if draw(st.integers(0, 3)) == 0 else (),
    )


# ---- the call ------------------------------------------------------------------------------------------------------

AUX = {"text": "aux", "none": None, "number": 3}


class Call:
    """A generated problem as a call on one backend."""

    def __init__(self, backend: anyjac.Backend, problem: Problem) -> None:
        self.backend = backend
        self.problem = problem
        self.xp = backend.namespace
        self.by_leaf = {leaf: Variable(self._array(leaf)) for leaf in dict.fromkeys(leaves_of(problem.grad_vars))}
        self.grad_vars = mapped(self.by_leaf.__getitem__, problem.grad_vars)
        self.arguments = [mapped(self._array, tree) for tree in problem.arguments]
        self.count = Variable(backend.asarray(np.asarray(0)))

    def _array(self, leaf: Leaf) -> Any:
        return self.backend.asarray(leaf.values, dtype=getattr(self.xp, leaf.dtype))

    def _term(self, output: int, leaf: Leaf, x: Any) -> Any:
        xp, shape = self.xp, self.problem.shapes()[output]
        if leaf.dtype in COMPLEX and not self.problem.holomorphic:
            x = xp.real(x) + xp.imag(x) / 2.0
        x = xp.astype(x, xp.complex128 if self.problem.holomorphic else xp.float64)
        flat = xp.reshape(PIECES[leaf.piece][0](xp, x), (-1,))
        return xp.reshape(self.backend.asarray(matrix(self.problem, output, leaf)) @ flat, shape)

    def function(self, *arguments: Any) -> Any:
        """Compute the outputs, count the call, and check that undifferentiated arguments came through untouched."""
        problem, xp = self.problem, self.xp
        self.count.value += 1
        positions = problem.positions()
        for position, (given_tree, argument) in enumerate(zip(self.arguments, arguments, strict=True)):
            assert position in positions or argument is given_tree
        read = [(leaf, v.value) for leaf, v in self.by_leaf.items() if leaf not in problem.unread]
        for position in positions:
            read += zip(leaves_of(problem.arguments[position]), leaves_of(arguments[position]), strict=True)
        dtype = xp.complex128 if problem.holomorphic else xp.float64
        numbers = iter(range(len(problem.shapes())))

        def total(shape: Shape) -> Any:
            output, value = next(numbers), xp.zeros(shape.shape, dtype=dtype)
            for leaf, x in read:
                if leaf.values.size:
                    value = value + self._term(output, leaf, x)
            return value

        value = mapped(total, problem.outputs)
        return (value, AUX) if problem.has_aux else value

    def __call__(self) -> Any:
        """Differentiate and check the state."""
        problem = self.problem
        transform = jacrev(
            self.function,
            self.grad_vars,
            problem.argnums,
            problem.has_aux,
            problem.return_value,
            problem.holomorphic,
            allow_int=not problem.holomorphic,
            backend=self.backend,
            chunk_size=problem.chunk_size,
        )
        result = transform(*self.arguments)
        assert int(self.count) == 1
        assert_untraced(self.count, *self.by_leaf.values())
        assert_nothing_open(self.count, *self.by_leaf.values())
        for leaf, variable in self.by_leaf.items():
            assert np.array_equal(self.backend.to_numpy(variable.value), leaf.values)
        return result


def _faults(backend: anyjac.Backend, problem: Problem) -> list[str]:
    return list(faults(backend, Call(backend, problem)(), Reference(problem).packed(AUX)))


def _exactly(backend: anyjac.Backend, tree: Any) -> Any:
    """Return an observed result in the form of an answer."""
    return mapped(lambda leaf: Array(backend.to_numpy(leaf), backend.dtype_name(leaf.dtype)), tree)


# ---- the properties ------------------------------------------------------------------------------------------------


@CHECKS
@given(problem=_problems(MIXED))
def test_every_packing_of_every_tree_is_as_the_reference_says(backend: anyjac.Backend, problem: Problem) -> None:
    assert _faults(backend, problem) == []


@settings(CHECKS, max_examples=30)
@given(problem=_problems(COMPLEX, holomorphic=True))
def test_every_holomorphic_function_has_its_complex_derivative(backend: anyjac.Backend, problem: Problem) -> None:
    assert _faults(backend, problem) == []


@settings(CHECKS, max_examples=40)
@given(problem=_problems(REALS, both_kinds=True))
def test_the_pair_of_both_kinds_equals_the_two_single_results(backend: anyjac.Backend, problem: Problem) -> None:
    problem = replace(problem, has_aux=False, return_value=False)
    of_variables, of_arguments = Call(backend, problem)()
    alone = _Reading(backend, problem, argnums=None)()
    other = _Reading(backend, problem, grad_vars=None)()
    assert list(faults(backend, alone, _exactly(backend, of_variables))) == []
    assert list(faults(backend, other, _exactly(backend, of_arguments))) == []


class _Reading(Call):
    """The call of a problem with fewer inputs differentiated, where the function goes on reading all of them."""

    def __init__(self, backend: anyjac.Backend, problem: Problem, **fewer: Any) -> None:
        super().__init__(backend, problem)
        self.fewer = fewer

    def __call__(self) -> Any:
        chosen = {"grad_vars": self.grad_vars, "argnums": self.problem.argnums, **self.fewer}
        transform = jacrev(self.function, backend=self.backend, chunk_size=self.problem.chunk_size, **chosen)
        return transform(*self.arguments)
