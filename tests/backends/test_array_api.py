"""Every function of the array API on every backend's namespace: dtype, shape and values as the standard says.

The reference is array-api-strict, an implementation of the standard that accepts nothing beyond it. Each call is made
on plain arrays, and again with every floating argument traced.
"""

import functools
import inspect
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import array_api_strict as strict
import numpy as np
import optree
import pytest
from array_api_calls import BINARY, CALLS, FLOATING, OPERATORS, REAL, UNARY, Call
from hypothesis import HealthCheck, assume, given, settings

import anyjac
from anyjac import NotSupportedError
from anyjac_conformance.array_api import CONSTANT, TABLE, Body, central_differences

strict.set_array_api_strict_flags(api_version="2024.12")
STRICT_ARRAY, STRICT_DTYPE = type(strict.asarray(0.0)), type(strict.float64)

EXAMPLES = {
    name: settings(
        max_examples=count, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    for name, count in {"autograd": 12, "jax": 5, "torch": 12}.items()
}
"""How many calls of each function; JAX compiles each one for its shapes and dtypes."""

NO_DERIVATIVE = frozenset({"nextafter", "linalg.qr", "linalg.svd"})
"""Functions that a backend may refuse when traced: the whole bases of QR and SVD are not determined."""

TOLERANCES = {"float32": 2e-5, "complex64": 2e-5, "float64": 1e-12, "complex128": 1e-12}

DEVIATIONS = {
    # backend, function, dtypes of the arguments                what it does
    **{
        ("torch", name, "mixed"): "a tensor without axes has no say in the dtype; in xp's functions it has"
        for name in OPERATORS
    },
    ("torch", "cumulative_prod", "uint8"): "int64, since torch does little with uint64",
    ("torch", "cumulative_sum", "uint8"): "int64, since torch does little with uint64",
    ("torch", "linalg.trace", "uint8"): "int64, since torch does little with uint64",
    ("torch", "prod", "uint8"): "int64, since torch does little with uint64",
    ("torch", "sum", "uint8"): "int64, since torch does little with uint64",
}
"""Deviations of frameworks from the standard; such calls are left out."""

WITHOUT_ARRAYS = frozenset(
    {"arange", "empty", "eye", "fft.fftfreq", "fft.rfftfreq", "full", "linspace", "ones", "zeros"}
)
"""Functions that make floats of the framework's default dtype if none is given: float32 for torch."""


# ---- making a call -------------------------------------------------------------------------------------------------

DTYPE_ARGUMENT = {"astype": 1, "can_cast": 1, "isdtype": 0, "result_type": 1}
"""Where an argument is a dtype, given in a `Call` by its name."""


def _function(xp: Any, name: str) -> Any:
    if name in OPERATORS:
        return getattr(operator, name)
    module, _, last = name.rpartition(".")
    return getattr(getattr(xp, module) if module else xp, last)


def _run(xp: Any, name: str, call: Call, make: Any) -> Any:
    """Call a function of a namespace; `make` turns NumPy's arrays into those of the namespace."""
    args = [_argument(arg, make) for arg in call.args]
    if name in DTYPE_ARGUMENT:
        where = DTYPE_ARGUMENT[name]
        args[where] = getattr(xp, args[where])
    kwargs = {key: _argument(value, make) for key, value in call.kwargs.items()}
    if "dtype" in kwargs:
        kwargs["dtype"] = getattr(xp, kwargs["dtype"])
    return _function(xp, name)(*args, **kwargs)


def _argument(value: Any, make: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_argument(item, make) for item in value)
    return make(value) if isinstance(value, np.ndarray) else value


def _traced(backend: anyjac.Backend, name: str, call: Call) -> Any:
    """Make the call inside a differentiation with respect to every floating array in it."""
    arrays = [x for x in _arrays_in((*call.args, *call.kwargs.values())) if x.dtype.name in FLOATING]
    found: list[Any] = []

    def fun(*primals: Any) -> tuple[list[Any], list[Any]]:
        traced = {id(x): primal for x, primal in zip(arrays, primals, strict=True)}
        result = _run(backend.namespace, name, call, lambda x: traced[id(x)] if id(x) in traced else backend.asarray(x))
        leaves, tree = optree.tree_flatten(_opened(result))
        found.append((tree, [None if backend.is_array(leaf) else leaf for leaf in leaves]))
        return [], [leaf for leaf in leaves if backend.is_array(leaf)]

    _, _, untraced = backend.vjp(fun, [backend.asarray(x) for x in arrays])
    tree, leaves = found[0]
    remaining = iter(untraced)
    return optree.tree_unflatten(tree, [next(remaining) if leaf is None else leaf for leaf in leaves])


def _deviates(backend: anyjac.Backend, name: str, call: Call) -> bool:
    dtypes = {x.dtype.name for x in _arrays_in((*call.args, *call.kwargs.values()))}
    kinds = dtypes if len(dtypes) < 2 else {*dtypes, "mixed"}
    return any((backend.name, name, kind) in DEVIATIONS for kind in kinds)


def _arrays_in(values: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    nested = [_arrays_in(value) if isinstance(value, list | tuple) else [value] for value in values]
    return [x for part in nested for x in part if isinstance(x, np.ndarray)]


# ---- comparing results ---------------------------------------------------------------------------------------------


def _opened(result: Any) -> Any:
    """Return named tuples, of whatever type, as tuples."""
    return tuple(map(_opened, result)) if isinstance(result, list | tuple) else result


def _reference(backend: anyjac.Backend, name: str, call: Call) -> Any:
    expected = _run(strict, name, call, strict.asarray)
    if name in WITHOUT_ARRAYS and "dtype" not in call.kwargs:
        defaults = backend.namespace.__array_namespace_info__().default_dtypes()
        for wide, kind in ((strict.float64, "real floating"), (strict.complex128, "complex floating")):
            if expected.dtype == wide:
                return strict.astype(expected, getattr(strict, backend.dtype_name(defaults[kind])))
    return expected


def _compare(backend: anyjac.Backend, name: str, found: Any, expected: Any) -> None:
    found, expected = _opened(found), _opened(expected)
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for position, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
            _compare(backend, f"{name}[{position}]", mine, theirs)
    elif isinstance(expected, STRICT_ARRAY):
        assert backend.is_array(found), f"{type(found)} is no array"
        assert (backend.dtype_name(found.dtype), tuple(found.shape)) == (_name(expected.dtype), expected.shape)
        if name not in ("empty", "empty_like"):
            _compare_values(name, backend.to_numpy(found), np.from_dlpack(expected))
    elif isinstance(expected, STRICT_DTYPE):
        assert backend.dtype_name(found) == _name(expected)
    else:
        assert found == expected


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _compare_values(name: str, found: Any, expected: Any) -> None:
    if name in ("linalg.eigh[1]", "linalg.qr[0]", "linalg.qr[1]", "linalg.svd[0]", "linalg.svd[2]"):
        found, expected = _determined(name, found), _determined(name, expected)
    tolerance = TOLERANCES.get(expected.dtype.name, 0) * max(1.0, np.max(np.abs(expected), initial=0))
    assert np.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True), (found, expected)


def _determined(name: str, basis: Any) -> Any:
    """Return the part of a factor that the standard determines: magnitudes, of the vectors in both factors."""
    rows, columns = basis.shape[-2:]
    count = {"linalg.qr[0]": min(rows, columns, 2), "linalg.svd[0]": min(rows, columns, 2)}.get(name, columns)
    height = {"linalg.svd[2]": min(rows, columns, 2), "linalg.qr[1]": min(rows, 2)}.get(name, rows)
    return np.abs(basis[..., :height, :count])


# ---- every function ------------------------------------------------------------------------------------------------


ELSEWHERE = {"finfo", "from_dlpack", "iinfo"}
"""Functions that are tested by hand, below."""

LATER = {"broadcast_shapes", "isin"}
"""Functions of a later standard than 2024.12."""


def test_every_function_of_the_standard_is_called() -> None:
    def functions(module: Any, prefix: str = "") -> set[str]:
        return {
            prefix + name
            for name in module.__all__
            if inspect.isfunction(getattr(module, name)) and "flags" not in name and not name.startswith("__")
        }

    listed = functions(strict) | functions(strict.linalg, "linalg.") | functions(strict.fft, "fft.")
    assert listed - set(CALLS) - LATER == ELSEWHERE


def test_limits_of_dtypes_and_exchange_are_as_the_standard_says(backend: anyjac.Backend) -> None:
    xp = backend.namespace
    assert float(xp.finfo(xp.float32).eps) == float(np.finfo(np.float32).eps)
    assert int(xp.iinfo(xp.int16).max) == 32767
    made = xp.from_dlpack(np.array([1.0, 2.0]))
    assert backend.is_array(made)
    assert backend.to_numpy(made).tolist() == [1.0, 2.0]


@pytest.mark.exhaustive_on("jax", "torch")
@pytest.mark.filterwarnings("error::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_gives_what_the_standard_says(backend: anyjac.Backend, name: str) -> None:
    @EXAMPLES[backend.name]
    @given(CALLS[name])
    def check(call: Call) -> None:
        assume(not _deviates(backend, name, call))
        expected = _reference(backend, name, call)
        _compare(backend, name, _run(backend.namespace, name, call, backend.asarray), expected)

    check()


@pytest.mark.exhaustive_on("jax", "torch")
@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_traced_call_gives_the_same(backend: anyjac.Backend, name: str) -> None:
    @EXAMPLES[backend.name]
    @given(CALLS[name])
    def check(call: Call) -> None:
        assume(not _deviates(backend, name, call))
        expected = _reference(backend, name, call)
        try:
            found = _traced(backend, name, call)
        except (NotSupportedError, NotImplementedError):
            assert name in NO_DERIVATIVE
        else:
            _compare(backend, name, found, expected)

    check()


# ---- Jacobians of few elements -------------------------------------------------------------------------------------

FEW: tuple[tuple[int, ...], ...] = ((), (1,), (0,), (1, 1), (0, 3), (3, 0), (0, 0), (0, 2, 2))
UNDEFINED = {("cumulative_prod", ()), ("cumulative_sum", ()), ("take", (0, 0))}
"""Calls that the standard leaves open: a missing axis of an array without one, and an index out of bounds."""


def _in_reals(xp: Any, body: Body, parts: Any) -> Any:
    """Run a body with real and imaginary parts beside each other, in its argument and in its result."""
    is_complex = body.point.dtype.kind == "c"
    result = body.function(xp, parts[0, ...] + 1j * parts[1, ...] if is_complex else parts)
    return xp.stack([xp.real(result), xp.imag(result)]) if xp.isdtype(result.dtype, "complex floating") else result


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore")  # of deviations of nothing, and of division by zero
@pytest.mark.parametrize("name", sorted({*TABLE, *CONSTANT}))
def test_jacobians_of_few_elements_have_the_right_shape_and_numbers(backend: anyjac.Backend, name: str) -> None:
    bodies = TABLE[name] if name in TABLE else [CONSTANT[name]]
    for body, shape in itertools.product(bodies, FEW):
        numbers = np.resize(body.point.ravel(), shape) if math.prod(shape) else np.zeros(shape, body.point.dtype)
        point = np.stack([numbers.real, numbers.imag]) if numbers.dtype.kind == "c" else numbers
        try:
            allowed = _in_reals(strict, body, strict.asarray(point))
        except (TypeError, ValueError, IndexError):
            continue  # the standard knows no such call
        if (name, shape) not in UNDEFINED:
            _check_jacobian(backend, name, functools.partial(_in_reals, backend.namespace, body), point, allowed.shape)


def _check_jacobian(backend: anyjac.Backend, name: str, function: Any, point: Any, shape: tuple[int, ...]) -> None:
    try:
        found = backend.to_numpy(anyjac.jacrev(function, backend=backend)(backend.asarray(point)))
    except NotSupportedError:
        assert name in NO_DERIVATIVE
        return
    assert found.shape == (*shape, *point.shape)
    if found.size:
        differences = central_differences(lambda x: backend.to_numpy(function(backend.asarray(x))), point)
        finite = np.isfinite(differences)
        if name == "std":  # of one number: 0, where the square root has no derivative
            finite &= np.isfinite(found)
        np.testing.assert_allclose(found[finite], differences[finite], rtol=1e-7, atol=1e-7)


# ---- mapped and compiled -------------------------------------------------------------------------------------------

BY_VALUES = frozenset({"nonzero", "repeat", "unique_all", "unique_counts", "unique_inverse", "unique_values"})
"""Functions whose results have shapes that depend on values; a backend may refuse to map and to compile them."""

OF_ARRAYS = sorted(set(CALLS) - WITHOUT_ARRAYS - set(DTYPE_ARGUMENT))

WAYS = {"mapped": anyjac.vmap, "compiled": anyjac.jit, "mapped and compiled": lambda f: anyjac.jit(anyjac.vmap(f))}


def _other(name: str, call: Call) -> Call:
    """Return a call with the elements of each array in another order, where the function takes them so."""
    fixed = name.startswith("linalg.") or name in ("searchsorted", "repeat", "take", "take_along_axis")

    def reordered(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(map(reordered, value))
        return np.roll(value, 1) if isinstance(value, np.ndarray) and not fixed else value

    return Call(reordered(call.args), {key: reordered(value) for key, value in call.kwargs.items()})


def _by_way(backend: anyjac.Backend, name: str, calls: list[Call], way: str) -> list[Any]:
    """Make calls with different values in their arrays, together if mapped, and return their results."""
    template = calls[0]
    arrays = [_arrays_in((*call.args, *call.kwargs.values())) for call in calls]
    places = {id(x): index for index, x in enumerate(arrays[0])}
    found: list[Any] = []

    def fun(given: list[Any]) -> list[Any]:
        result = _run(backend.namespace, name, template, lambda x: given[places[id(x)]])
        leaves, tree = optree.tree_flatten(_opened(result))
        found.append(tree)
        return leaves

    if "mapped" in way:
        stacked = [backend.asarray(np.stack(rows)) for rows in zip(*arrays, strict=True)]
        mapped = WAYS[way](fun)(stacked)
        results = [[leaf[row, ...] for leaf in mapped] for row in range(len(calls))]
    else:
        results = [WAYS[way](fun)([backend.asarray(x) for x in row]) for row in arrays]
    return [optree.tree_unflatten(found[0], leaves) for leaves in results]


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore")  # of graphs that PyTorch cannot compile or map at once
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OF_ARRAYS)
def test_a_mapped_or_compiled_call_gives_the_same(backend: anyjac.Backend, name: str, way: str) -> None:
    @settings(EXAMPLES[backend.name], max_examples=12 if way == "mapped" and backend.name != "jax" else 3)
    @given(CALLS[name])
    def check(call: Call) -> None:
        assume(not _deviates(backend, name, call))
        calls = [call, _other(name, call)]
        expected = [_reference(backend, name, one) for one in calls]
        try:
            found = _by_way(backend, name, calls, way)
        except NotSupportedError:
            assert name in BY_VALUES
        else:
            for mine, theirs in zip(found, expected, strict=True):
                _compare(backend, name, mine, theirs)

    check()


# ---- special values ------------------------------------------------------------------------------------------------

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 1e-7, 1e300])
SIGN_OF_ZERO = {"jax": {"floor_divide", "maximum", "minimum", "remainder", "sign"}, "torch": {"remainder"}}
"""Calls whose zero has another sign than in the standard."""

FOR_FLOATS = sorted(name for name, (dtypes, _, _) in {**UNARY, **BINARY}.items() if set(REAL) <= set(dtypes))


@pytest.mark.exhaustive_on("jax", "torch")
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", FOR_FLOATS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_values_give_what_the_standard_says(backend: anyjac.Backend, name: str, traced: bool) -> None:
    pair = (np.repeat(SPECIAL, SPECIAL.size), np.tile(SPECIAL, SPECIAL.size))
    call = Call((SPECIAL,) if name in UNARY else pair)
    if traced and name in NO_DERIVATIVE:
        return
    found = _traced(backend, name, call) if traced else _run(backend.namespace, name, call, backend.asarray)
    mine, theirs = backend.to_numpy(found), np.from_dlpack(_reference(backend, name, call))
    same = np.isclose(mine, theirs, rtol=1e-14, atol=0, equal_nan=True)
    if name not in SIGN_OF_ZERO.get(backend.name, ()):
        same &= np.isnan(theirs) | (np.signbit(mine) == np.signbit(theirs))
    assert same.all(), [(*(x[i] for x in call.args), mine[i], theirs[i]) for i in np.flatnonzero(~same)]
