"""Calls of every function of the array API (2024.12) with arguments as the standard allows them, for hypothesis.

One strategy for each function, by its name in the standard; each gives a `Call` of NumPy arrays and Python values. The
arguments are drawn as the signatures of the standard say: dtypes by category, shapes that broadcast, axes by position
and from the end, Python scalars beside arrays, and every keyword.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

REAL = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
FLOATING = REAL + COMPLEX
INTEGER = ("int8", "int16", "int32", "int64", "uint8")
BOOL = ("bool",)
NUMERIC = INTEGER + FLOATING
REAL_NUMERIC = INTEGER + REAL
ALL = BOOL + NUMERIC

SHAPES = ((), (1,), (3,), (2, 3), (0,), (2, 0), (2, 1, 3))
"""Few shapes, since some frameworks compile for each."""
MATRICES = ((2, 2), (3, 3), (2, 3, 3))
PAIRS = (
    *((shape, shape) for shape in SHAPES),
    ((3,), (2, 3)),
    ((2, 1, 3), (2, 3)),
    ((), (3,)),
    ((1,), (2, 0)),
)
"""Shapes that broadcast."""

Draw = Callable[..., Any]


@dataclass
class Call:
    """The arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


# ---- arguments -----------------------------------------------------------------------------------------------------


def values(draw: Draw, shape: tuple[int, ...], dtype: str, low: float = -3.0, high: float = 3.0) -> Any:
    """Draw an array by way of a seed, which is drawn in the place of many numbers; some elements are whole."""
    random = np.random.default_rng(draw(st.integers(0, 999)))
    if dtype == "bool":
        return np.asarray(random.integers(0, 2, shape), dtype=bool)
    if dtype in INTEGER:
        least = max(round(low), 0 if dtype[0] == "u" else -9)
        return np.asarray(random.integers(least, round(high) + 1, shape), dtype=dtype)

    def part() -> Any:
        numbers = random.uniform(low, high, shape)
        whole = np.clip(np.round(numbers), np.ceil(low + 1e-9), np.floor(high - 1e-9))
        return np.where(random.integers(0, 4, shape) == 0, whole, numbers)

    return np.asarray(part() + 1j * part() if dtype in COMPLEX else part(), dtype=dtype)


def axis_of(draw: Draw, x: Any) -> int:
    """Draw one axis, counted from either end."""
    return int(draw(st.integers(-x.ndim, x.ndim - 1)))


def axes_of(draw: Draw, x: Any) -> Any:
    """Draw None, an axis or several."""
    kinds: list[Any] = [st.none()]
    if x.ndim:
        kinds.append(st.integers(-x.ndim, x.ndim - 1))
        kinds.append(st.lists(st.integers(0, x.ndim - 1), unique=True, min_size=1).map(tuple))
    return draw(st.one_of(*kinds))


def options(draw: Draw, **choices: Any) -> dict[str, Any]:
    """Draw the keywords that are given, and their values."""
    return {name: draw(strategy) for name, strategy in choices.items() if draw(st.booleans())}


def one(draw: Draw, dtypes: tuple[str, ...], shapes: Any = SHAPES, low: float = -3.0, high: float = 3.0) -> Any:
    """Draw an array of one of some dtypes and shapes."""
    return values(draw, draw(st.sampled_from(shapes)), draw(st.sampled_from(dtypes)), low, high)


def vectors(draw: Draw, dtypes: tuple[str, ...] = FLOATING) -> Any:
    """Draw an array of one axis or more, none of them empty."""
    return one(draw, dtypes, ((3,), (2, 3), (2, 1, 3)))


CALLS: dict[str, st.SearchStrategy[Call]] = {}


def call(*names: str) -> Callable[[Callable[..., Call]], Callable[..., Call]]:
    """Enter a function that draws a `Call` under names of the standard."""

    def enter(draw_call: Callable[..., Call]) -> Callable[..., Call]:
        for name in names:
            CALLS[name] = st.composite(draw_call)()
        return draw_call

    return enter


# ---- elementwise ---------------------------------------------------------------------------------------------------

UNARY: dict[str, tuple[tuple[str, ...], float, float]] = {
    # name            dtypes        from   to
    "abs": (NUMERIC, -3, 3),
    "acos": (FLOATING, -1, 1),
    "acosh": (FLOATING, 1, 4),
    "asin": (FLOATING, -1, 1),
    "asinh": (FLOATING, -3, 3),
    "atan": (FLOATING, -0.9, 0.9),
    "atanh": (FLOATING, -0.9, 0.9),
    "bitwise_invert": (BOOL + INTEGER, -3, 3),
    "ceil": (REAL_NUMERIC, -3, 3),
    "conj": (NUMERIC, -3, 3),
    "cos": (FLOATING, -3, 3),
    "cosh": (FLOATING, -3, 3),
    "exp": (FLOATING, -3, 3),
    "expm1": (FLOATING, -3, 3),
    "floor": (REAL_NUMERIC, -3, 3),
    "imag": (COMPLEX, -3, 3),
    "isfinite": (NUMERIC, -3, 3),
    "isinf": (NUMERIC, -3, 3),
    "isnan": (NUMERIC, -3, 3),
    "log": (FLOATING, 0.1, 3),
    "log10": (FLOATING, 0.1, 3),
    "log1p": (FLOATING, -0.9, 3),
    "log2": (FLOATING, 0.1, 3),
    "logical_not": (BOOL, -3, 3),
    "negative": (NUMERIC, -3, 3),
    "positive": (NUMERIC, -3, 3),
    "real": (NUMERIC, -3, 3),
    "reciprocal": (FLOATING, 0.2, 3),
    "round": (NUMERIC, -3, 3),
    "sign": (NUMERIC, -3, 3),
    "signbit": (REAL, -3, 3),
    "sin": (FLOATING, -3, 3),
    "sinh": (FLOATING, -3, 3),
    "sqrt": (FLOATING, 0, 3),
    "square": (NUMERIC, -3, 3),
    "tan": (FLOATING, -1.4, 1.4),
    "tanh": (FLOATING, -3, 3),
    "trunc": (REAL_NUMERIC, -3, 3),
}

BINARY: dict[str, tuple[tuple[str, ...], float, float]] = {
    # name            dtypes        from   to
    "add": (NUMERIC, -3, 3),
    "atan2": (REAL, -3, 3),
    "bitwise_and": (BOOL + INTEGER, -3, 3),
    "bitwise_left_shift": (INTEGER, 0, 3),
    "bitwise_or": (BOOL + INTEGER, -3, 3),
    "bitwise_right_shift": (INTEGER, 0, 3),
    "bitwise_xor": (BOOL + INTEGER, -3, 3),
    "copysign": (REAL, -3, 3),
    "divide": (FLOATING, 0.2, 3),
    "equal": (ALL, -3, 3),
    "floor_divide": (REAL_NUMERIC, 1, 3),
    "greater": (REAL_NUMERIC, -3, 3),
    "greater_equal": (REAL_NUMERIC, -3, 3),
    "hypot": (REAL, -3, 3),
    "less": (REAL_NUMERIC, -3, 3),
    "less_equal": (REAL_NUMERIC, -3, 3),
    "logaddexp": (REAL, -3, 3),
    "logical_and": (BOOL, -3, 3),
    "logical_or": (BOOL, -3, 3),
    "logical_xor": (BOOL, -3, 3),
    "maximum": (REAL_NUMERIC, -3, 3),
    "minimum": (REAL_NUMERIC, -3, 3),
    "multiply": (NUMERIC, -3, 3),
    "nextafter": (REAL, -3, 3),
    "not_equal": (ALL, -3, 3),
    "pow": (NUMERIC, 0.5, 3),
    "remainder": (REAL_NUMERIC, 1, 3),
    "subtract": (NUMERIC, -3, 3),
}

OPERATORS: dict[str, str] = {
    "__add__": "add",
    "__sub__": "subtract",
    "__mul__": "multiply",
    "__truediv__": "divide",
    "__floordiv__": "floor_divide",
    "__mod__": "remainder",
    "__pow__": "pow",
    "__and__": "bitwise_and",
    "__or__": "bitwise_or",
    "__xor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift",
    "__eq__": "equal",
    "__ne__": "not_equal",
    "__lt__": "less",
    "__le__": "less_equal",
    "__gt__": "greater",
    "__ge__": "greater_equal",
    "__abs__": "abs",
    "__neg__": "negative",
    "__pos__": "positive",
    "__invert__": "bitwise_invert",
    "__matmul__": "matmul",
}
"""The operators, and the functions that they stand for."""


def _unary(dtypes: tuple[str, ...], low: float, high: float) -> st.SearchStrategy[Call]:
    return st.composite(lambda draw: Call((one(draw, dtypes, SHAPES, low, high),)))()


def _binary(dtypes: tuple[str, ...], low: float, high: float) -> st.SearchStrategy[Call]:
    def draw_call(draw: Draw) -> Call:
        dtype = draw(st.sampled_from(dtypes))
        left, right = draw(st.permutations(draw(st.sampled_from(PAIRS))))
        x = values(draw, left, dtype, low, high)
        scalar = draw(st.booleans()) and dtype not in BOOL
        if not scalar:
            return Call((x, values(draw, right, _compatible(draw, dtype, dtypes), low, high)))
        whole = draw(st.integers(1, 3))
        number = whole if dtype in INTEGER else float(whole) if dtype in REAL else complex(whole)
        return Call(tuple(draw(st.permutations([x, number]))))

    return st.composite(draw_call)()


def _compatible(draw: Draw, dtype: str, dtypes: tuple[str, ...]) -> str:
    """Draw a dtype of the same kind, with which the standard promotes `dtype`."""
    kinds = (BOOL, INTEGER, FLOATING)
    kind = next(kind for kind in kinds if dtype in kind)
    return str(draw(st.sampled_from([other for other in kind if other in dtypes])))


CALLS.update({name: _unary(*row) for name, row in UNARY.items()})
CALLS.update({name: _binary(*row) for name, row in BINARY.items()})


@call("clip")
def _(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(REAL_NUMERIC))
    x = values(draw, draw(st.sampled_from(((3,), (2, 3), ()))), dtype)
    number = float if dtype in REAL else int
    low = st.one_of(st.none(), st.just(number(0)), st.just(values(draw, (), dtype, 0, 1)))
    high = st.one_of(st.none(), st.just(number(2)), st.just(values(draw, x.shape, dtype, 2, 3)))
    return Call((x,), options(draw, min=low, max=high))


@call("where")
def _(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(NUMERIC))
    left, right = draw(st.sampled_from(PAIRS))
    shape = np.broadcast_shapes(left, right)
    other = values(draw, right, _compatible(draw, dtype, NUMERIC))
    return Call((values(draw, shape, "bool"), values(draw, left, dtype), other))


# ---- creation and dtypes -------------------------------------------------------------------------------------------


@call("asarray")
def _(draw: Draw) -> Call:
    x = one(draw, ALL)
    return Call((x,), options(draw, copy=st.sampled_from([True, None]), dtype=st.just(x.dtype.name)))


@call("astype")
def _(draw: Draw) -> Call:
    x = one(draw, ALL, low=0)
    targets = COMPLEX if x.dtype.kind == "c" else ALL
    return Call((x, draw(st.sampled_from(targets))), options(draw, copy=st.booleans()))


@call("empty_like", "ones_like", "zeros_like")
def _(draw: Draw) -> Call:
    return Call((one(draw, ALL),), options(draw, dtype=st.sampled_from(ALL)))


@call("full_like")
def _(draw: Draw) -> Call:
    return Call((one(draw, NUMERIC), draw(st.integers(0, 3))), options(draw, dtype=st.sampled_from(NUMERIC)))


@call("empty", "ones", "zeros")
def _(draw: Draw) -> Call:
    return Call((draw(st.sampled_from((*SHAPES, 4))),), options(draw, dtype=st.sampled_from(ALL)))


@call("full")
def _(draw: Draw) -> Call:
    fill, dtypes = draw(st.sampled_from(((True, BOOL), (2, INTEGER), (1.5, REAL), (1.5 + 2j, COMPLEX))))
    return Call((draw(st.sampled_from((*SHAPES, 4))), fill), options(draw, dtype=st.sampled_from(dtypes)))


@call("arange")
def _(draw: Draw) -> Call:
    bounds = draw(st.sampled_from(((4,), (1, 4), (1, 9, 3), (4, 0, -1), (0.0, 1.0, 0.25), (0,))))
    return Call(bounds, options(draw, dtype=st.sampled_from(("int32", "int64", *REAL))) if bounds[-1] != 0.25 else {})


@call("eye")
def _(draw: Draw) -> Call:
    columns = draw(st.sampled_from(((3,), (2, 4), (3, None))))
    return Call(columns, options(draw, k=st.integers(-4, 4), dtype=st.sampled_from(NUMERIC)))


@call("linspace")
def _(draw: Draw) -> Call:
    start, stop = draw(st.sampled_from(((0.0, 1.0), (-1, 3), (2.5, -2.5))))
    given = options(draw, endpoint=st.booleans(), dtype=st.sampled_from(REAL))
    return Call((start, stop, draw(st.integers(0, 5))), given)


@call("meshgrid")
def _(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(NUMERIC))
    lengths = draw(st.sampled_from(((2,), (2, 3), (3, 1, 2))))
    arrays = tuple(values(draw, (n,), dtype) for n in lengths)
    return Call(arrays, options(draw, indexing=st.sampled_from(("xy", "ij"))))


@call("tril", "triu")
def _(draw: Draw) -> Call:
    return Call((one(draw, NUMERIC, ((2, 3), (3, 3), (2, 1, 3))),), options(draw, k=st.integers(-3, 3)))


@call("can_cast", "result_type")
def _(draw: Draw) -> Call:
    kind = draw(st.sampled_from((INTEGER, FLOATING)))
    return Call((one(draw, kind), draw(st.sampled_from(kind))))


@call("isdtype")
def _(draw: Draw) -> Call:
    kinds = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")
    kind = draw(st.one_of(st.sampled_from(kinds), st.lists(st.sampled_from(kinds), min_size=1).map(tuple)))
    return Call((draw(st.sampled_from(ALL)), kind))


# ---- shapes --------------------------------------------------------------------------------------------------------


@call("broadcast_to")
def _(draw: Draw) -> Call:
    shape, target = draw(st.sampled_from((((3,), (2, 3)), ((), (0,)), ((2, 1, 3), (2, 4, 3)), ((1,), (1,)))))
    return Call((values(draw, shape, draw(st.sampled_from(ALL))), target))


@call("broadcast_arrays")
def _(draw: Draw) -> Call:
    return Call(tuple(values(draw, shape, draw(st.sampled_from(ALL))) for shape in draw(st.sampled_from(PAIRS))))


@call("concat")
def _(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(NUMERIC))
    shapes, axis = draw(
        st.sampled_from(
            ((((3,), (2,)), 0), (((2, 3), (1, 3)), 0), (((2, 3), (2, 0)), -1), (((), (3,)), None), (((2, 3),), 1))
        )
    )
    arrays = [values(draw, shape, _compatible(draw, dtype, NUMERIC)) for shape in shapes]
    return Call((draw(st.sampled_from((list, tuple)))(arrays),), {"axis": axis})


@call("stack")
def _(draw: Draw) -> Call:
    x = one(draw, NUMERIC)
    axis = draw(st.integers(-x.ndim - 1, x.ndim))
    others = [values(draw, x.shape, x.dtype.name) for _ in range(draw(st.integers(0, 2)))]
    return Call(([x, *others],), options(draw, axis=st.just(axis)))


@call("unstack")
def _(draw: Draw) -> Call:
    x = vectors(draw, ALL)
    return Call((x,), options(draw, axis=st.just(axis_of(draw, x))))


@call("expand_dims")
def _(draw: Draw) -> Call:
    x = one(draw, ALL)
    return Call((x,), {"axis": draw(st.integers(-x.ndim - 1, x.ndim))})


@call("squeeze")
def _(draw: Draw) -> Call:
    shape, axis = draw(st.sampled_from((((1,), 0), ((2, 1, 3), 1), ((1, 3, 1), (0, -1)), ((2, 3), ()))))
    return Call((values(draw, shape, draw(st.sampled_from(ALL))), axis))


@call("flip")
def _(draw: Draw) -> Call:
    x = one(draw, ALL)
    return Call((x,), {"axis": axes_of(draw, x)})


@call("roll")
def _(draw: Draw) -> Call:
    x = vectors(draw, ALL)
    axis = axes_of(draw, x)
    several = st.tuples(*[st.integers(-4, 4) for _ in axis]) if isinstance(axis, tuple) else st.integers(-4, 4)
    return Call((x, draw(several)), {"axis": axis})


@call("moveaxis")
def _(draw: Draw) -> Call:
    x = one(draw, ALL, ((2, 3), (2, 1, 3)))
    single = draw(st.booleans())
    if single:
        return Call((x, axis_of(draw, x), axis_of(draw, x)))
    orders = [tuple(draw(st.permutations(range(x.ndim)))) for _ in range(2)]
    return Call((x, *orders))


@call("permute_dims")
def _(draw: Draw) -> Call:
    x = one(draw, ALL)
    return Call((x, tuple(draw(st.permutations(range(x.ndim))))))


@call("reshape")
def _(draw: Draw) -> Call:
    shape, target = draw(
        st.sampled_from((((2, 3), (3, 2)), ((2, 3), (-1,)), ((), (1, 1)), ((2, 0), (0, 5)), ((2, 1, 3), (-1, 2))))
    )
    x = values(draw, shape, draw(st.sampled_from(ALL)))
    return Call((x, target), options(draw, copy=st.sampled_from([True, None])))


@call("repeat")
def _(draw: Draw) -> Call:
    x = vectors(draw, ALL)
    axis = draw(st.one_of(st.none(), st.just(axis_of(draw, x))))
    length = x.size if axis is None else x.shape[axis]
    counts = st.one_of(st.integers(1, 3), st.just(values(draw, (length,), "int64", 0, 2)))
    return Call((x, draw(counts)), {"axis": axis})


@call("tile")
def _(draw: Draw) -> Call:
    return Call((one(draw, ALL), draw(st.sampled_from(((2,), (2, 1), (1, 2, 2), ())))))


# ---- selection, order, sets ----------------------------------------------------------------------------------------


@call("take")
def _(draw: Draw) -> Call:
    x = vectors(draw, ALL)
    axis = axis_of(draw, x)
    places = values(draw, (draw(st.integers(0, 4)),), "int64", 0, x.shape[axis] - 1)
    return Call((x, places), {} if x.ndim == 1 and draw(st.booleans()) else {"axis": axis})


@call("take_along_axis")
def _(draw: Draw) -> Call:
    x = vectors(draw, ALL)
    axis = axis_of(draw, x)
    shape = list(x.shape)
    shape[axis] = draw(st.integers(1, 4))
    places = values(draw, tuple(shape), "int64", 0, x.shape[axis] - 1)
    return Call((x, places), {"axis": axis})


@call("argmax", "argmin")
def _(draw: Draw) -> Call:
    x = vectors(draw, REAL_NUMERIC)
    axis = st.one_of(st.none(), st.just(axis_of(draw, x)))
    return Call((x,), options(draw, axis=axis, keepdims=st.booleans()))


@call("count_nonzero")
def _(draw: Draw) -> Call:
    x = one(draw, ALL)
    return Call((x,), options(draw, axis=st.just(axes_of(draw, x)), keepdims=st.booleans()))


@call("nonzero")
def _(draw: Draw) -> Call:
    return Call((vectors(draw, ALL),))


@call("searchsorted")
def _(draw: Draw) -> Call:
    x = np.unique(values(draw, (5,), draw(st.sampled_from(REAL))))
    sought = values(draw, draw(st.sampled_from(((2,), (2, 3), ()))), x.dtype.name)
    return Call((x, sought), options(draw, side=st.sampled_from(("left", "right"))))


@call("argsort", "sort")
def _(draw: Draw) -> Call:
    x = vectors(draw, REAL_NUMERIC)
    given = options(draw, axis=st.just(axis_of(draw, x)), descending=st.booleans())
    return Call((x,), {**given, "stable": True})


@call("unique_all", "unique_counts", "unique_inverse", "unique_values")
def _(draw: Draw) -> Call:
    return Call((one(draw, NUMERIC),))


# ---- reductions ----------------------------------------------------------------------------------------------------


@call("all", "any")
def _(draw: Draw) -> Call:
    x = one(draw, ALL)
    return Call((x,), options(draw, axis=st.just(axes_of(draw, x)), keepdims=st.booleans()))


@call("max", "min")
def _(draw: Draw) -> Call:
    x = one(draw, REAL_NUMERIC, ((), (1,), (3,), (2, 3), (2, 1, 3)))
    return Call((x,), options(draw, axis=st.just(axes_of(draw, x)), keepdims=st.booleans()))


@call("mean")
def _(draw: Draw) -> Call:
    x = one(draw, FLOATING, ((), (1,), (3,), (2, 3), (2, 1, 3)))
    return Call((x,), options(draw, axis=st.just(axes_of(draw, x)), keepdims=st.booleans()))


@call("sum", "prod")
def _(draw: Draw) -> Call:
    x = one(draw, NUMERIC)
    kind = next(kind for kind in (INTEGER, REAL, COMPLEX) if x.dtype.name in kind)
    wide = st.sampled_from([kind[-1] if kind is not INTEGER else "int64"])
    return Call((x,), options(draw, axis=st.just(axes_of(draw, x)), keepdims=st.booleans(), dtype=wide))


@call("std", "var")
def _(draw: Draw) -> Call:
    x = vectors(draw, REAL)
    axis = draw(st.sampled_from([None, -1]))
    given = options(draw, correction=st.sampled_from((0.0, 1.0, 0.5)), keepdims=st.booleans())
    return Call((x,), {**given, "axis": axis})


@call("cumulative_sum", "cumulative_prod")
def _(draw: Draw) -> Call:
    x = vectors(draw, NUMERIC)
    given = options(draw, include_initial=st.booleans())
    return Call((x,), given if x.ndim == 1 and draw(st.booleans()) else {**given, "axis": axis_of(draw, x)})


@call("diff")
def _(draw: Draw) -> Call:
    x = vectors(draw, REAL_NUMERIC)
    axis = axis_of(draw, x)
    shape = list(x.shape)
    shape[axis] = 2
    more = st.just(values(draw, tuple(shape), x.dtype.name))
    return Call((x,), {**options(draw, n=st.integers(0, 2), prepend=more, append=more), "axis": axis})


# ---- products and linear algebra -----------------------------------------------------------------------------------


@call("matmul", "linalg.matmul")
def _(draw: Draw) -> Call:
    left, right = draw(st.sampled_from((((3,), (3,)), ((2, 3), (3, 2)), ((2, 3, 3), (3,)), ((3, 3), (2, 3, 1)))))
    dtype = draw(st.sampled_from(FLOATING))
    return Call((values(draw, left, dtype), values(draw, right, _compatible(draw, dtype, FLOATING))))


@call("matrix_transpose", "linalg.matrix_transpose")
def _(draw: Draw) -> Call:
    return Call((one(draw, ALL, ((2, 3), (2, 1, 3))),))


@call("tensordot", "linalg.tensordot")
def _(draw: Draw) -> Call:
    left, right, axes = draw(
        st.sampled_from(
            (
                ((2, 3), (3, 2), 1),
                ((2, 3), (2, 3), 2),
                ((3,), (2,), 0),
                ((2, 3), (2, 3), ((0, 1), (0, 1))),
                ((2, 1, 3), (3, 2), ((2,), (0,))),
            )
        )
    )
    dtype = draw(st.sampled_from(FLOATING))
    return Call((values(draw, left, dtype), values(draw, right, dtype)), {"axes": axes})


@call("vecdot", "linalg.vecdot")
def _(draw: Draw) -> Call:
    left, right = draw(st.sampled_from((((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (2, 3)))))
    dtype = draw(st.sampled_from(FLOATING))
    return Call((values(draw, left, dtype), values(draw, right, dtype)), options(draw, axis=st.just(-1)))


def square(draw: Draw, dtypes: tuple[str, ...] = FLOATING) -> Any:
    """Draw matrices that are well-conditioned."""
    x = one(draw, dtypes, MATRICES, -1, 1)
    return (x + 4 * np.eye(x.shape[-1])).astype(x.dtype)


def hermitian(draw: Draw) -> Any:
    """Draw matrices that are their own conjugate transpose, positive definite."""
    x = square(draw)
    return (x @ np.conj(np.swapaxes(x, -1, -2))).astype(x.dtype)


def rectangular(draw: Draw) -> Any:
    """Draw matrices of full rank, wide, tall or square."""
    x = one(draw, FLOATING, ((3, 2), (2, 3), (3, 3), (2, 3, 2)), -1, 1)
    return (x + 3 * np.eye(*x.shape[-2:])).astype(x.dtype)


@call("linalg.cholesky")
def _(draw: Draw) -> Call:
    return Call((hermitian(draw),), options(draw, upper=st.booleans()))


@call("linalg.eigh", "linalg.eigvalsh")
def _(draw: Draw) -> Call:
    return Call((hermitian(draw),))


@call("linalg.det", "linalg.inv", "linalg.slogdet")
def _(draw: Draw) -> Call:
    return Call((square(draw),))


@call("linalg.matrix_power")
def _(draw: Draw) -> Call:
    return Call((square(draw), draw(st.integers(-2, 3))))


@call("linalg.cross")
def _(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(FLOATING))
    return Call((values(draw, (2, 3), dtype), values(draw, (2, 3), dtype)), options(draw, axis=st.just(-1)))


@call("linalg.diagonal", "linalg.trace")
def _(draw: Draw) -> Call:
    return Call((one(draw, NUMERIC, ((2, 3), (3, 3), (2, 3, 3))),), options(draw, offset=st.integers(-1, 1)))


@call("linalg.matrix_norm")
def _(draw: Draw) -> Call:
    orders = st.sampled_from((None, "fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")))
    return Call((rectangular(draw),), options(draw, ord=orders.filter(bool), keepdims=st.booleans()))


@call("linalg.vector_norm")
def _(draw: Draw) -> Call:
    x = vectors(draw)
    orders = st.sampled_from((1, 2, 3, 2.5, 0, float("inf"), -float("inf")))
    return Call((x,), options(draw, axis=st.just(axes_of(draw, x)), ord=orders, keepdims=st.booleans()))


@call("linalg.matrix_rank", "linalg.pinv", "linalg.svdvals")
def _(draw: Draw) -> Call:
    return Call((rectangular(draw),))


@call("linalg.qr")
def _(draw: Draw) -> Call:
    return Call((rectangular(draw),), options(draw, mode=st.sampled_from(("reduced", "complete"))))


@call("linalg.svd")
def _(draw: Draw) -> Call:
    return Call((rectangular(draw),), options(draw, full_matrices=st.booleans()))


@call("linalg.outer")
def _(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(NUMERIC))
    return Call((values(draw, (3,), dtype), values(draw, (2,), _compatible(draw, dtype, NUMERIC))))


@call("linalg.solve")
def _(draw: Draw) -> Call:
    x = square(draw)
    column = (x.shape[-1],) if draw(st.booleans()) else (*x.shape[:-1], 2)
    return Call((x, values(draw, column, x.dtype.name)))


# ---- Fourier transforms --------------------------------------------------------------------------------------------

NORMS = st.sampled_from(("backward", "ortho", "forward"))


@call("fft.fft", "fft.ifft", "fft.irfft", "fft.hfft")
def _(draw: Draw) -> Call:
    x = vectors(draw, COMPLEX)
    lengths = st.integers(2, 6) if x.shape[-1] > 1 else st.just(2)
    return Call((x,), options(draw, n=lengths, axis=st.just(-1), norm=NORMS))


@call("fft.rfft", "fft.ihfft")
def _(draw: Draw) -> Call:
    x = vectors(draw, REAL)
    return Call((x,), options(draw, n=st.integers(2, 6), axis=st.just(axis_of(draw, x)), norm=NORMS))


@call("fft.fftn", "fft.ifftn", "fft.irfftn")
def _(draw: Draw) -> Call:
    x = one(draw, COMPLEX, ((2, 3), (2, 3, 3)))
    return Call((x,), {**options(draw, norm=NORMS), **_sizes(draw, x)})


@call("fft.rfftn")
def _(draw: Draw) -> Call:
    x = one(draw, REAL, ((2, 3), (2, 3, 3)))
    return Call((x,), {**options(draw, norm=NORMS), **_sizes(draw, x)})


def _sizes(draw: Draw, x: Any) -> dict[str, Any]:
    axes = draw(st.sampled_from((None, (-1,), (0, 1))))
    if axes is None:
        return {}
    sizes = draw(st.tuples(*[st.integers(2, 5) for _ in axes]))
    return {"axes": axes, **options(draw, s=st.just(sizes))}


@call("fft.fftfreq", "fft.rfftfreq")
def _(draw: Draw) -> Call:
    return Call((draw(st.integers(1, 6)),), options(draw, d=st.sampled_from((0.5, 2.0)), dtype=st.sampled_from(REAL)))


@call("fft.fftshift", "fft.ifftshift")
def _(draw: Draw) -> Call:
    x = vectors(draw)
    return Call((x,), options(draw, axes=st.just(axes_of(draw, x))))


CALLS.update({operator: CALLS[function] for operator, function in OPERATORS.items()})
