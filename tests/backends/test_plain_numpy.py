"""Functions of plain NumPy on the NumPy backend: right, or refused by name."""

import copy
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.sparse
import scipy.special
from tests.backends.plain_numpy_calls import CALLS

import anyjac
from anyjac_autograd.plain_numpy.table import CONSTANT, DIFFERENTIABLE, WRITING
from anyjac_autograd.plain_numpy.ufuncs import ALMOST_CONSTANT, UFUNCS

X = np.array([0.41, 0.23, 0.72, 0.58])
STEP = 1e-6


def differences(f: Callable[[Any], Any]) -> np.ndarray[Any, Any]:
    """Return the Jacobian at X by central differences of the function, which sees plain arrays."""

    def value(x: Any) -> Any:
        return np.asarray(f(x), dtype=float)

    columns = [(value(X + STEP * e) - value(X - STEP * e)) / (2 * STEP) for e in np.eye(4)]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", CALLS)
def test_a_function_of_numpy_has_the_value_and_the_derivatives_that_its_differences_say(name: str) -> None:
    f = CALLS[name]
    expected = differences(f)
    jacobian, value = anyjac.jacrev(f, return_value=True)(X)
    plain = np.asarray(f(X), dtype=float)
    assert type(value) is type(f(X)) or np.ndim(value) == 0 or name.startswith("objects") or plain.dtype == value.dtype
    np.testing.assert_allclose(value, plain, rtol=1e-12)
    np.testing.assert_allclose(jacobian, expected, rtol=2e-7, atol=2e-7)
    np.testing.assert_allclose(anyjac.jacfwd(f)(X), expected, rtol=2e-7, atol=2e-7)


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("objects")])
def test_a_function_of_numpy_keeps_the_dtype_that_it_gives_plain_arrays(name: str) -> None:
    x = X.astype(np.float32)
    jacobian, value = anyjac.jacrev(CALLS[name], return_value=True)(x)
    assert np.asarray(value).dtype == np.asarray(CALLS[name](x)).dtype
    assert jacobian.dtype == np.float32


@pytest.mark.sweep
@pytest.mark.parametrize("name", CALLS)
def test_a_function_of_numpy_is_differentiated_twice(name: str) -> None:
    jacobian = anyjac.jacrev(CALLS[name])
    steps = [(jacobian(X + 10 * STEP * e) - jacobian(X - 10 * STEP * e)) / (20 * STEP) for e in np.eye(4)]
    for twice in (anyjac.jacrev(jacobian), anyjac.jacfwd(jacobian)):
        np.testing.assert_allclose(twice(X), np.stack(steps, axis=-1), rtol=1e-4, atol=1e-4)


V = anyjac.Variable(X, name="V")

OF_VARIABLES: dict[str, Callable[[], Any]] = {
    "dot": lambda: np.dot(np.ones((2, 4)), V),
    "stack": lambda: np.stack([V, 2.0 * V]),
    "concatenate": lambda: np.concatenate([V, X]),
    "where": lambda: np.where(X > 0.5, V, 0.0),
    "sin": lambda: np.sin(V),
    "maximum": lambda: np.maximum(V, 0.5),
    "norm": lambda: np.linalg.norm(V),
    "rfft": lambda: np.real(np.fft.rfft(V)),
    "array": lambda: np.array([V[0], V[1]]),
    "beside its own value": lambda: np.outer(V, V.value),
    "einsum": lambda: np.einsum("i,j->ij", V, V),
    "clip by one": lambda: np.clip(V.value, 0.0, V),
    "mean": lambda: np.mean(V),
}


@pytest.mark.parametrize("name", OF_VARIABLES)
def test_a_function_of_numpy_takes_variables(name: str) -> None:
    f = OF_VARIABLES[name]
    columns = []
    for e in np.eye(4):
        V.value = X + STEP * e
        above = np.asarray(f())
        V.value = X - STEP * e
        columns.append((above - np.asarray(f())) / (2 * STEP))
    V.value = X
    np.testing.assert_allclose(anyjac.jacrev(f, V)(), np.stack(columns, -1), rtol=1e-6, atol=1e-7)


def test_a_traced_number_is_printed_and_formatted() -> None:
    seen: list[str] = []
    anyjac.grad(lambda x: seen.append(f"{x[0]:.1f} {x}") or x.sum())(X)  # type: ignore[func-returns-value]
    assert seen == ["0.4 Autograd ArrayBox with value [0.41 0.23 0.72 0.58]"]


def test_every_function_of_numpy_that_is_differentiated_is_called_here() -> None:
    source = (Path(__file__).parent / "plain_numpy_calls.py").read_text()
    called = set(re.findall(r'[".](\w+)', source))
    functions = [*DIFFERENTIABLE, *UFUNCS]
    assert {function.__name__ for function in functions} - called == set()


# ---- constants -------------------------------------------------------------------------------------------------------

M = np.array([[1.2, 0.3], [0.3, -0.8]])

CONSTANTS: dict[str, Callable[[Any], Any]] = {
    **{
        name: (lambda x, name=name: getattr(np, name)(x))
        for name in (
            *(
                "all",
                "any",
                "argmax",
                "argmin",
                "argsort",
                "argwhere",
                "around",
                "array2string",
                "array_repr",
                "array_str",
            ),
            *(
                "common_type",
                "count_nonzero",
                "fix",
                "flatnonzero",
                "iscomplex",
                "iscomplexobj",
                "isneginf",
                "isposinf",
            ),
            *("isreal", "isrealobj", "min_scalar_type", "nanargmax", "nanargmin", "ndim", "nonzero", "ones_like"),
            *("result_type", "round", "shape", "size", "zeros_like", "isfinite", "isinf", "isnan", "signbit"),
            *("logical_not", "floor", "ceil", "rint", "trunc", "tril_indices_from", "triu_indices_from"),
            "diag_indices_from",
        )
    },
    **{
        name: (lambda x, name=name: getattr(np, name)(x, M[::-1]))
        for name in (
            *("allclose", "array_equal", "array_equiv", "equal", "greater", "greater_equal", "isclose", "isin", "less"),
            *(
                "less_equal",
                "logical_and",
                "logical_or",
                "logical_xor",
                "not_equal",
                "may_share_memory",
                "shares_memory",
            ),
            "floor_divide",
        )
    },
    "argpartition": lambda x: np.argpartition(x, 1),
    "can_cast": lambda x: np.can_cast(x.dtype, np.float32),
    "digitize": lambda x: np.digitize(x, [0.0, 1.0]),
    "empty_like": lambda x: np.empty_like(x).shape,
    "lexsort": lambda x: np.lexsort(x),
    "matrix_rank": lambda x: np.linalg.matrix_rank(x),
    "searchsorted": lambda x: np.searchsorted([0.0, 1.0], x),
    "format": lambda x: f"{np.array2string(x, precision=2)}",
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_function_of_numpy_that_is_constant_almost_everywhere_gives_what_plain_arrays_give(name: str) -> None:
    seen: list[Any] = []
    anyjac.grad(lambda x: seen.append(CONSTANTS[name](x)) or (x**2).sum())(M)  # type: ignore[func-returns-value]
    assert repr(seen[0]) == repr(CONSTANTS[name](M))


# ---- refusals --------------------------------------------------------------------------------------------------------

AT = r"anyjac\.at\("

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    **{
        name: ((lambda x, name=name: getattr(np, name)(x)), rf"numpy\.{name}")
        for name in (
            *("histogram", "histogram_bin_edges", "nanmedian", "poly", "polyder", "polyint", "roots"),
            *("sort_complex", "trim_zeros", "real_if_close", "i0", "ix_"),
        )
    },
    **{
        name: ((lambda x, name=name: getattr(np, name)(x, X)), rf"numpy\.{name}")
        for name in (
            *("histogram2d", "intersect1d", "nanpercentile", "nanquantile", "polyadd", "polydiv", "polymul", "polysub"),
            *("setdiff1d", "setxor1d", "union1d"),
        )
    },
    "frexp": (np.frexp, "'frexp'"),
    "nextafter": (lambda x: np.nextafter(x, 1.0), "'nextafter'"),
    "spacing": (np.spacing, "'spacing'"),
    "polyfit": (lambda x: np.polyfit(X, x, 1), r"numpy\.polyfit"),
    "apply_over_axes": (lambda x: np.apply_over_axes(np.sum, x, [0]), r"numpy\.apply_over_axes"),
    "lstsq": (lambda x: np.linalg.lstsq(np.ones((4, 1)), x), "lstsq"),
    "tensorinv": (lambda x: np.linalg.tensorinv(np.reshape(x, (2, 2)), 1), "tensorinv"),
    "tensorsolve": (lambda x: np.linalg.tensorsolve(np.eye(4), x), "tensorsolve"),
    "svd of a tall matrix": (lambda x: np.linalg.svd(np.reshape(x, (4, 1))), "full_matrices"),
    "pad by a mode": (lambda x: np.pad(x, 1, mode="linear_ramp"), r"numpy\.pad"),
    "an unknown keyword": (lambda x: np.cov(x, fweights=[1, 2, 3, 4]), r"numpy\.cov takes"),
    "save": (lambda x: np.save("nowhere.npy", x), r"numpy\.save"),
    "out=": (lambda x: np.sum(x, out=np.zeros(())), r"numpy\.sum takes no out="),
    "out= of a ufunc": (lambda x: [out := np.zeros(4), np.sin(x, out=out)], "numpy's sin"),
    "out= that is traced": (lambda x: np.sin(X, out=x), "numpy's sin"),
    "where= without out=": (lambda x: np.sqrt(x, where=X > 0.5), "with where= needs out="),
    "signature=": (lambda x: np.add(x, 1.0, signature="dd->d"), "signature"),
    "add.at": (lambda x: np.add.at(x, [0], 1.0), rf"add\.at.*{AT}"),
    "add.reduceat": (lambda x: np.add.reduceat(x, [0, 2]), r"add\.reduceat"),
    "arctan2.reduce": (lambda x: np.arctan2.reduce(x), r"arctan2\.reduce"),
    "frompyfunc": (lambda x: np.frompyfunc(lambda v: v, 1, 1)(x), "no derivative for numpy's function"),
    "put": (lambda x: np.put(np.zeros(4), [0], x[:1]), rf"numpy\.put .*{AT}"),
    "putmask": (lambda x: np.putmask(x, X > 0.5, 0.0), rf"numpy\.putmask .*{AT}"),
    "place": (lambda x: np.place(x, X > 0.5, [0.0]), rf"numpy\.place .*{AT}"),
    "copyto": (lambda x: np.copyto(np.zeros(4), x), rf"numpy\.copyto .*{AT}"),
    "fill_diagonal": (lambda x: np.fill_diagonal(np.outer(x, x), 0.0), rf"numpy\.fill_diagonal .*{AT}"),
    "put_along_axis": (lambda x: np.put_along_axis(x, np.array([0]), 0.0, 0), rf"numpy\.put_along_axis .*{AT}"),
    "full_like of another": (lambda x: np.full_like(X, x[0]), r"numpy\.copyto"),
    "full of a dtype": (lambda x: np.full(2, x[0], dtype=float), AT),
    "a[i] = box": (lambda x: np.zeros(2).__setitem__(0, x[0]), AT),
    "a[:] = box": (lambda x: np.zeros(4).__setitem__(slice(None), x), AT),
    "box[i] = number": (lambda x: x.__setitem__(0, 1.0), AT),
    "array of a dtype": (lambda x: np.array([x[0], 1.0], dtype=float), AT),
    "asarray of a dtype": (lambda x: np.asarray(x, dtype=float), AT),
    "float64": (lambda x: np.float64(x[0]), "traced number"),
    "float": (lambda x: float(x[0]), "stop_gradient"),
    "int": (lambda x: int(x[0]), "stop_gradient"),
    "complex": (lambda x: complex(x[0]), "stop_gradient"),
    "math": (lambda x: math.sin(x[0]), "not of math"),
    "item": (lambda x: x[0].item(), "traced number"),
    "tolist": (lambda x: x.tolist(), "traced number"),
    "sort in place": (lambda x: x.sort(), "cannot be written"),
    "astype of objects": (lambda x: np.array([x[0], x[1]]).astype(float), "traced number"),
    "mean of objects": (lambda x: np.array([x[0], x[1]]).mean(), "traced number"),
    "a list for elements": (lambda x: np.zeros(2).__setitem__(slice(None), [x[0], x[1]]), AT),
    "fromiter": (lambda x: np.fromiter((each for each in x), float), "traced number"),
    "random numbers": (lambda x: np.random.default_rng(0).normal(x), "traced number|objects"),
    "SciPy": (lambda x: scipy.linalg.solve(np.eye(4), x), r"autograd\.scipy"),
    "SciPy's filters": (lambda x: scipy.ndimage.gaussian_filter(x, 1.0), r"autograd\.scipy"),
    "SciPy's sparse matrices": (lambda x: scipy.sparse.csr_array(np.eye(4)) @ x, r"autograd\.scipy"),
    "SciPy's special functions": (lambda x: scipy.special.zeta(x, 2.0), "no derivative for"),
    "a subclass": (lambda x: np.matrix(np.eye(4)) @ x, "subclass"),
    "pickle": (lambda x: pickle.loads(pickle.dumps(x)), "cannot be pickled"),
    "objects that are no numbers": (lambda x: x[:2] * np.array([None, "text"]), "which are no numbers"),
    "objects beside text": (lambda x: np.array([x[0], "text"], dtype=object) * x[:2], "'text' of type str"),
    "solve of objects": (lambda x: np.linalg.solve(np.eye(2), np.array([x[0], x[1]])), "array of objects"),
    "fft of objects": (lambda x: np.fft.fft(np.array([x[0], x[1]])), "array of objects"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_has_and_the_backend_has_not_is_refused_by_name(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(anyjac.AnyjacError, match=words):
        anyjac.jacrev(call)(X)


NOT_FOR_FLOATS = {
    *("busday_count", "busday_offset", "datetime_as_string", "is_busday", "packbits", "unpackbits", "einsum_path"),
    *("ravel_multi_index", "unravel_index", "savetxt", "savez", "savez_compressed", "histogramdd"),
}


@pytest.mark.parametrize("module", [np, np.linalg, np.fft])
def test_nothing_of_numpy_is_forgotten(module: Any) -> None:
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    ufuncs = {name for name, function in found.items() if isinstance(function, np.ufunc)}
    others = {name for name, function in found.items() if isinstance(function, type(np.sum))}
    known = {name for name in ufuncs if found[name] in UFUNCS or found[name] in ALMOST_CONSTANT}
    known |= {name for name in others if found[name] in {*DIFFERENTIABLE, *CONSTANT, *WRITING}}
    assert (ufuncs | others) - known - set(REFUSED) - NOT_FOR_FLOATS == set()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: copy.deepcopy([x, {"a": x}])[1]["a"]])
def test_a_copy_of_a_traced_array_keeps_its_derivative(copied: Callable[[Any], Any]) -> None:
    assert np.array_equal(anyjac.jacrev(lambda x: copied(x) * 2.0)(X), 2.0 * np.eye(4))


SPECIAL: dict[str, Callable[[Any], Any]] = {
    **{
        name: (lambda x, name=name: getattr(scipy.special, name)(x))
        for name in ("erf", "erfc", "expit", "gamma", "gammaln", "i0", "i1", "j0", "j1", "logit", "psi", "y0")
    },
    "beta": lambda x: scipy.special.beta(x, x[0]),
    "jn": lambda x: scipy.special.jn(2, x),
    "softmax": lambda x: scipy.special.softmax(x),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_of_scipy_are_differentiated(name: str) -> None:
    np.testing.assert_allclose(anyjac.jacrev(SPECIAL[name])(X), differences(SPECIAL[name]), rtol=1e-6, atol=1e-7)


WRITTEN: dict[str, Callable[[Any, Any], Any]] = {
    "the value": lambda v, x: setattr(v, "value", np.array([x[0], x[1] ** 2])),
    "elements": lambda v, x: v.__setitem__(slice(0, 2), np.array([x[0], x[1] ** 2])),
    "an element": lambda v, x: [v.__setitem__(0, np.array(x[0])), v.__setitem__(1, x[1] ** 2)],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_an_array_of_traced_numbers_is_written_to_a_variable(name: str) -> None:
    v = anyjac.Variable(np.zeros(2))

    def f(x: Any) -> Any:
        WRITTEN[name](v, x)
        return v.value * 3.0

    assert np.allclose(anyjac.jacrev(f)(X), [[3.0, 0, 0, 0], [0, 6.0 * X[1], 0, 0]])
    assert np.array_equal(v.value, [X[0], X[1] ** 2])


BROADCAST: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "new axes": (lambda x: x, (2, 3, 4)),
    "a new axis and a stretched one": (lambda x: anp.reshape(x, (4, 1)), (2, 4, 3)),
    "a stretched axis": (lambda x: anp.reshape(x, (1, 4)), (3, 4)),
    "a number": (lambda x: x[0], (2, 2)),
    "a list": (lambda x: x, [3, 4]),
    "the same shape": (lambda x: x, (4,)),
    "to no elements": (lambda x: anp.reshape(x, (4, 1)), (2, 4, 0)),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_broadcast_to_of_autograd_takes_new_axes(name: str) -> None:
    before, shape = BROADCAST[name]
    f = lambda x: anp.broadcast_to(before(x), shape) * 2.0  # noqa: E731
    for transform in (anyjac.jacrev, anyjac.jacfwd, autograd.jacobian if "no elements" not in name else anyjac.jacrev):
        np.testing.assert_allclose(transform(f)(X), differences(f), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(anyjac.hessian(lambda x: anp.sum(f(x) ** 2))(X).shape, (4, 4))


MASKED = np.ma.array([1.0, 2.0, 3.0, 4.0], mask=[False, True, False, False])
UNMASKED = np.ma.array([1.0, 2.0, 3.0, 4.0])

OF_MA: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "a product": (lambda x: UNMASKED * x, np.diag(UNMASKED.data)),
    "a sum": (lambda x: UNMASKED + x * x, np.diag(2 * X)),
    "multiply": (lambda x: np.ma.multiply(x, x), np.diag(2 * X)),
    "array": (lambda x: np.ma.array(x) * x, np.diag(2 * X)),
    "where": (lambda x: np.ma.where(x > 0.5, x * x, x), np.diag(np.where(X > 0.5, 2 * X, 1.0))),
    "a matrix": (lambda x: np.matrix([[x[0], x[1] * x[1]]]), np.array([[[1.0, 0, 0, 0], [0, 2 * X[1], 0, 0]]])),
}


@pytest.mark.parametrize("name", OF_MA)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arrays_that_mask_nothing_and_matrices_are_differentiated(name: str) -> None:
    f, expected = OF_MA[name]
    jacobian, aux = anyjac.jacrev(lambda x: (f(x), {"aux": f(x)}), has_aux=True)(X)
    np.testing.assert_allclose(jacobian, expected)
    np.testing.assert_allclose(aux["aux"], np.asarray(f(X)))
    assert aux["aux"].dtype == float


@pytest.mark.parametrize("place", ["output", "aux", "write"])
@pytest.mark.parametrize("masked", [lambda x: MASKED * x, lambda x: np.ma.masked_where(X > 0.5, x)])
def test_masked_arrays_of_traced_numbers_are_refused(masked: Callable[[Any], Any], place: str) -> None:
    v = anyjac.Variable(X)

    def f(x: Any) -> Any:
        if place == "write":
            v.value = masked(x)
        return (masked(x), 0) if place == "output" else (x, masked(x))

    with pytest.raises(anyjac.InputTypeError, match="mask"):
        anyjac.jacrev(f, has_aux=True)(X)
    assert np.array_equal(v.value, X)


COMPLEX_OBJECTS: dict[str, Callable[[Any], Any]] = {
    "imag": lambda x: x + np.array([x[0] * (1 + 2j), x[1] * (1 + 2j)]).imag,
    "np.imag": lambda x: np.imag(np.array([x[0] * (1 + 2j), x[1]])) + x,
    "real": lambda x: np.abs(np.array([x[0] * (1 + 2j), x[1]]).real),
    "norm": lambda x: abs(np.linalg.norm(np.array([x[0], x[1] * 1j]))),
    "asarray": lambda x: np.asarray(x * 1j).imag,
    "array of an array": lambda x: np.array(np.fft.fft(x)).real,
    "array of arrays": lambda x: np.array([x * 1j, x]).imag,
    "lists in concatenate": lambda x: np.abs(np.concatenate([[x[0] * 1j], [x[1]]])),
    "imag of a product with a complex number": lambda x: (1j * np.array([x[0], x[1]])).imag + x,
    "real of a product with a complex number": lambda x: np.abs((1j * np.array([x[0], x[1]])).real + x),
}
"""What NumPy would give with no imaginary part, for arrays of objects answer ``.imag`` and ``.real`` by themselves."""


@pytest.mark.parametrize("name", COMPLEX_OBJECTS)
def test_an_array_of_traced_complex_numbers_is_refused_by_name(name: str) -> None:
    with pytest.raises(anyjac.InputTypeError, match=r"np\.stack or np\.concatenate"):
        anyjac.jacrev(COMPLEX_OBJECTS[name])(np.array([1.0, 2.0]))


REAL_OBJECTS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "real": (lambda x: np.array([x[0], x[1] * 2.0]).real, np.diag([1.0, 2.0])),
    "stacked": (lambda x: np.imag(np.stack([x[0] * 3j, x[1]])), np.diag([3.0, 0.0])),
    "zeros like": (lambda x: np.zeros_like(np.array([x[0], x[1]])) + x, np.eye(2)),
    "broadcast": (lambda x: np.broadcast_to(np.array([x[0], x[1]]), (3, 2)).sum(axis=0), 3.0 * np.eye(2)),
    "complex number": (lambda x: (np.array([1j, 2.0]) * x).imag, np.diag([1.0, 0.0])),
}


@pytest.mark.parametrize("name", REAL_OBJECTS)
def test_an_array_of_traced_real_numbers_computes_as_an_array_does(name: str) -> None:
    function, expected = REAL_OBJECTS[name]
    np.testing.assert_allclose(anyjac.jacrev(function)(np.array([1.0, 2.0])), expected)
