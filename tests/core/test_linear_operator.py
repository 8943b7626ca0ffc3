"""`GradientTransform.as_linear_operator`: the Jacobian as SciPy's operator, on every backend, against the matrix."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator, gmres, lsqr, svds
from tests.helpers.interpreters import printed_by
from tests.helpers.open_calls import is_owned
from tests.helpers.threads import run_in_threads

import anyjac
from anyjac import Backend, Variable, jacrev

GENERATOR = np.random.default_rng(20)
MATRIX = GENERATOR.normal(size=(7, 5))
POINT = GENERATOR.normal(size=5)

# f(x) = tanh(A x) has the Jacobian diag(1 - tanh(A x)^2) A
JACOBIAN = (1 - np.tanh(MATRIX @ POINT)[:, None] ** 2) * MATRIX


def operator_of_tanh(backend: Backend, **settings: Any) -> Any:
    matrix = backend.asarray(MATRIX)
    transform = jacrev(lambda x: backend.namespace.tanh(matrix @ x), **settings)
    return transform.as_linear_operator(backend.asarray(POINT))


def close(found: Any, expected: Any, tolerance: float = 1e-12) -> bool:
    return np.shape(found) == np.shape(expected) and np.allclose(found, expected, rtol=tolerance, atol=tolerance)


def assert_is(operator: Any, matrix: np.ndarray[Any, Any], tolerance: float = 1e-12) -> None:
    """Compare all products of an operator with those of a matrix, real and complex, one by one and many at once."""
    generator = np.random.default_rng(3)
    rows, columns = matrix.shape
    assert operator.shape == (rows, columns)
    assert operator.dtype == matrix.dtype
    for factor in (1.0, 1.0 - 2.0j):
        v, u = generator.normal(size=(columns, 3)) * factor, generator.normal(size=(rows, 3)) * factor
        if factor != 1.0:
            v, u = v + 0.5j * generator.normal(size=v.shape), u - 0.5j * generator.normal(size=u.shape)
        adjoint = matrix.conj().T
        assert close(operator.matvec(v[:, 0]), matrix @ v[:, 0], tolerance)
        assert close(operator.matvec(v[:, :1]), matrix @ v[:, :1], tolerance)
        assert close(operator.matmat(v), matrix @ v, tolerance)
        assert close(operator.rmatvec(u[:, 0]), adjoint @ u[:, 0], tolerance)
        assert close(operator.rmatmat(u), adjoint @ u, tolerance)
        assert close(operator.T @ u, matrix.T @ u, tolerance)
        # <u, J v> = <J^H u, v>
        left, right = np.vdot(u[:, 0], operator @ v[:, 0]), np.vdot(operator.H @ u[:, 0], v[:, 0])
        assert close(left, right, 10 * tolerance)


# ---- products ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_products_are_those_of_the_jacobian(backend: Backend, chunk_size: int | None) -> None:
    operator = operator_of_tanh(backend, chunk_size=chunk_size)
    assert isinstance(operator, LinearOperator)
    assert aslinearoperator(operator) is operator
    assert_is(operator, JACOBIAN)


def test_products_are_new_arrays_of_numpy(backend: Backend, array: Any) -> None:
    operator = jacrev(lambda x: x * 1.0).as_linear_operator(array([1.0, 2.0]))
    v = np.ones(2)
    for product in (operator @ v, operator.H @ v):
        assert type(product) is np.ndarray
        product[:] = 5.0
    assert v.tolist() == [1.0, 1.0]
    assert (operator @ v).tolist() == [1.0, 1.0]


def test_vectors_may_be_views_strided_and_read_only(backend: Backend) -> None:
    operator = operator_of_tanh(backend)
    v = np.arange(10.0)[::-2]
    v.flags.writeable = False
    assert close(operator @ v, JACOBIAN @ v)
    assert close(operator @ np.arange(5), JACOBIAN @ np.arange(5))


def test_the_function_runs_once(array: Any) -> None:
    runs = []
    operator = jacrev(lambda x: runs.append(1) or x**2).as_linear_operator(array(POINT))
    operator @ POINT
    operator.H @ np.eye(5)
    assert runs == [1]


def test_an_output_that_does_not_depend_on_an_input_gives_zeros(backend: Backend, array: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        return x * 2.0, array([1.0, 1.0, 1.0]), 4.5

    operator = jacrev(f, argnums=(0, 1)).as_linear_operator(array([1.0, 2.0]), array([3.0]))
    expected = np.zeros((6, 3))
    expected[0, 0] = expected[1, 1] = 2.0
    assert_is(operator, expected)
    assert_is(jacrev(lambda x: 1.5).as_linear_operator(array([1.0, 2.0])), np.zeros((1, 2)))


def test_single_precision_stays_single(backend: Backend) -> None:
    operator = jacrev(lambda x: x**3).as_linear_operator(backend.asarray(POINT.astype(np.float32)))
    assert_is(operator, np.diag(3 * POINT.astype(np.float32) ** 2), 1e-5)
    assert (operator @ POINT.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_handed_out_in_single(backend: Backend, dtype: str) -> None:
    if not backend.supports(dtype):
        pytest.skip(f"{backend.name} has no {dtype}")
    x = backend.asarray(np.array([1.0, 2.0, 3.0], np.float32), dtype=getattr(backend.namespace, dtype))
    operator = jacrev(lambda x: x * x).as_linear_operator(x)
    assert operator.dtype == np.float32
    assert (operator @ np.ones(3)).tolist() == (operator.H @ np.ones(3)).tolist() == [2.0, 4.0, 6.0]
    assert operator.unravel_input(np.ones(3)).dtype == x.dtype


def test_mixed_precision_takes_the_widest_input(backend: Backend, array: Any) -> None:
    single = backend.asarray(np.array([1.0, 2.0], np.float32))
    operator = jacrev(lambda x, y: y * y, argnums=(0, 1)).as_linear_operator(single, array([3.0]))
    assert_is(operator, np.array([[0.0, 0.0, 6.0]]))


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_empty_inputs_and_outputs_give_empty_products(backend: Backend, array: Any, shape: tuple[int, ...]) -> None:
    columns = jacrev(lambda x: x.sum() + array([1.0, 2.0])).as_linear_operator(array(np.zeros(shape)))
    assert columns.shape == (2, 0)
    assert (columns @ np.zeros(0)).tolist() == [0.0, 0.0]
    assert (columns.H @ np.ones(2)).shape == (0,)
    rows = jacrev(lambda x: x[:0] * 2.0).as_linear_operator(array(POINT))
    assert rows.shape == (0, 5)
    assert (rows @ POINT).shape == (0,)
    assert (rows.H @ np.zeros(0)).tolist() == [0.0] * 5


# ---- complex numbers -----------------------------------------------------------------------------------------------

POINT_Z = POINT + 1j * GENERATOR.normal(size=5)
MATRIX_Z = MATRIX + 1j * GENERATOR.normal(size=(7, 5))


def test_holomorphic_functions_have_the_complex_derivative_and_its_adjoint(backend: Backend) -> None:
    matrix = backend.asarray(MATRIX_Z)
    operator = jacrev(lambda z: (matrix @ z) ** 2, holomorphic=True).as_linear_operator(backend.asarray(POINT_Z))
    assert_is(operator, 2 * (MATRIX_Z @ POINT_Z)[:, None] * MATRIX_Z, 1e-11)


def test_real_functions_of_complex_inputs_have_the_matrix_of_the_contract(backend: Backend, array: Any) -> None:
    def f(z: Any, x: Any) -> Any:
        return abs(z) ** 2 * x

    z, x = POINT_Z[:2], np.array([2.0, 3.0])
    operator = jacrev(f, argnums=(0, 1)).as_linear_operator(backend.asarray(z), array(x))
    of_z, of_x = jacrev(f, argnums=(0, 1))(backend.asarray(z), array(x))
    dense = np.concatenate([backend.to_numpy(of_z), backend.to_numpy(of_x)], axis=1)
    assert close(dense, np.concatenate([np.diag(2 * x * z.conj()), np.diag(abs(z) ** 2)], axis=1))
    assert_is(operator, dense)


# ---- trees ---------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """A container of two."""

    a: Any
    b: Any


def test_leaves_are_concatenated_in_the_order_of_the_trees(backend: Backend, array: Any) -> None:
    p = {"z": array([[1.0, 2.0], [3.0, 4.0]]), "a": (array(5.0), None)}

    def f(p: Any) -> Any:
        return Pair(p["a"][0] * p["z"][0], [p["z"].sum() ** 2])

    operator = jacrev(f).as_linear_operator(p)
    assert_is(operator, np.array([[5.0, 0, 0, 0, 1], [0, 5, 0, 0, 2], [20, 20, 20, 20, 0]]))
    assert isinstance(operator.value, Pair)
    assert operator.ravel_output(operator.value).tolist() == [5.0, 10.0, 100.0]
    tree = operator.unravel_input(np.arange(5.0))
    assert backend.to_numpy(tree["z"]).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert tree["a"][1] is None
    assert list(tree) == ["z", "a"]
    assert operator.ravel_input(tree).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    image = operator.unravel_output(operator @ np.ones(5))
    assert type(image) is Pair
    assert backend.to_numpy(image.a).tolist() == [6.0, 7.0]
    assert backend.to_numpy(image.b[0]).tolist() == 80.0
    assert all(backend.is_array(leaf) for leaf in (tree["z"], image.a))


def test_variables_come_first_then_arguments_in_the_order_of_argnums(backend: Backend, array: Any) -> None:
    v, w = Variable(array([2.0, 3.0])), Variable(array(4.0))

    def f(x: Any, y: Any) -> Any:
        w.value = w + 1.0
        return v * x * y * (w - 1.0), "aux"

    transform = jacrev(f, {"w": w, "v": v, "again": w}, argnums=(1, 0), has_aux=True)
    operator = transform.as_linear_operator(array([1.0, 2.0]), array(5.0))
    #                    w    v     y    x
    assert_is(operator, np.array([[10.0, 20, 0, 8, 40, 0], [30.0, 0, 40, 24, 0, 60]]))
    assert operator.aux == "aux"
    assert float(w) == 5.0
    assert not is_owned(w)
    variables, (y, x) = operator.unravel_input(np.arange(6.0))
    host = backend.to_numpy
    assert [host(variables[key]).tolist() for key in ("w", "v", "again")] == [0.0, [1.0, 2.0], 0.0]
    assert (host(y).tolist(), host(x).tolist()) == (3.0, [4.0, 5.0])
    assert operator.ravel_input((variables, (y, x))).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_integers_that_are_let_through_have_no_columns(backend: Backend, array: Any) -> None:
    operator = jacrev(lambda p: p["x"] * 2.0, allow_int=True).as_linear_operator({"n": np.arange(3), "x": array([1.0])})
    assert_is(operator, np.array([[2.0]]))
    tree = operator.unravel_input([7.0])
    assert (tree["n"].dtype, tree["n"].shape) == (anyjac.float0, (3,))
    assert operator.ravel_input(tree).tolist() == [7.0]


def test_dicts_in_another_order_are_the_same_trees(array: Any) -> None:
    operator = jacrev(lambda p: {"y": p["b"] * p["a"], "x": p["b"]}).as_linear_operator(
        {"b": array([1.0, 2.0]), "a": array([3.0, 4.0])}
    )
    vector = operator.ravel_input({"a": array([3.0, 4.0]), "b": array([1.0, 2.0])})
    assert vector.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert operator.ravel_output({"x": array([3.0, 4.0]), "y": array([1.0, 2.0])}).tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(anyjac.InputValueError, match="the tree is"):
        operator.ravel_input({"a": array([3.0, 4.0]), "c": array([1.0, 2.0])})


def test_trees_and_vectors_that_do_not_fit_are_refused(backend: Backend, array: Any) -> None:
    operator = jacrev(lambda p: {"y": p["a"] * 2.0}).as_linear_operator({"a": array([1.0, 2.0])})
    with pytest.raises(anyjac.InputValueError, match=r"the tree is \{'b': \*\}, and the input of the function is"):
        operator.ravel_input({"b": np.ones(2)})
    with pytest.raises(anyjac.InputValueError, match=r"leaf \['y'\] has shape \(3,\), and should have \(2,\)"):
        operator.ravel_output({"y": np.ones(3)})
    with pytest.raises(anyjac.InputValueError, match=r"vector has shape \(3,\), and should have \(2,\)"):
        operator.unravel_input(np.ones(3))
    with pytest.raises(anyjac.DtypeError, match=r"vector is complex128.* are float64; take its real part"):
        operator.unravel_output(np.ones(2) * 1j)


# ---- solvers -------------------------------------------------------------------------------------------------------


def test_newton_krylov_finds_the_root_of_a_boundary_value_problem(backend: Backend) -> None:
    """Bratu's problem u'' + e^u = 0 on (0, 1), u = 0 at the ends: u = -2 ln(cosh(t (s - 1/2) / 2) / cosh(t / 4))."""
    xp, intervals = backend.namespace, 64
    h = 1.0 / intervals
    zero = backend.asarray(np.zeros(1))

    def residual(u: Any) -> Any:
        padded = xp.concat([zero, u, zero])
        return (padded[2:] - 2.0 * u + padded[:-2]) / h**2 + xp.exp(u)

    u = backend.asarray(np.zeros(intervals - 1))
    transform = jacrev(residual)
    for _ in range(6):
        operator = transform.as_linear_operator(u)
        step, failed = gmres(operator, -operator.ravel_output(operator.value), rtol=1e-10, restart=intervals)
        assert failed == 0
        u = u + operator.unravel_input(step)
    theta = 1.5171645990507543705218444212962  # theta = sqrt(2) cosh(theta / 4)
    s = np.linspace(0, 1, intervals + 1)[1:-1]
    exact = -2 * np.log(np.cosh((s - 0.5) * theta / 2) / np.cosh(theta / 4))
    assert np.max(np.abs(backend.to_numpy(u) - exact)) < 1e-5  # the error of the differences, of order h^2


def test_lsqr_solves_the_least_squares_problem_of_the_matrix(backend: Backend) -> None:
    b = np.arange(7.0)
    found = lsqr(operator_of_tanh(backend), b, atol=1e-14, btol=1e-14)[0]
    assert close(found, np.linalg.lstsq(JACOBIAN, b, rcond=None)[0], 1e-9)


def test_svds_finds_the_singular_values_of_the_matrix(backend: Backend) -> None:
    u, values, vh = svds(operator_of_tanh(backend), k=3, random_state=0)
    assert close(np.sort(values), np.sort(np.linalg.svd(JACOBIAN)[1])[-3:], 1e-9)
    assert close(JACOBIAN @ vh.T, u * values, 1e-9)


def test_svds_of_a_holomorphic_function(backend: Backend) -> None:
    operator = jacrev(lambda z: backend.asarray(MATRIX_Z) @ z, holomorphic=True).as_linear_operator(
        backend.asarray(POINT_Z)
    )
    values = svds(operator, k=2, return_singular_vectors=False, random_state=0)
    assert close(np.sort(values), np.sort(np.linalg.svd(MATRIX_Z)[1])[-2:], 1e-9)


# ---- where it is made and used -------------------------------------------------------------------------------------


def test_what_is_changed_in_place_later_does_not_reach_the_products(backend: Backend) -> None:
    x = POINT.copy()
    operator = jacrev(lambda x: x * x, backend="autograd").as_linear_operator(x)
    x[:] = operator.value[:] = 0.0
    assert close(operator @ np.ones(5), 2 * POINT)


def test_products_are_computed_on_the_device_of_the_point() -> None:
    backend = anyjac.get_backend("jax")
    last = backend.devices()[-1]
    places = []

    def f(x: Any) -> Any:
        places.append(backend.device_of(x))
        return x * x

    operator = jacrev(f, backend="jax", device=last).as_linear_operator(POINT)
    assert places == [last]
    assert_is(operator, np.diag(2 * POINT))
    for tree in (operator.unravel_input(POINT), operator.unravel_output(POINT), operator.value):
        assert backend.device_of(tree) == last


def test_threads_may_share_an_operator(backend: Backend) -> None:
    operator = operator_of_tanh(backend)
    vectors = GENERATOR.normal(size=(12, 5))
    found: dict[int, Any] = {}

    def work(start: int) -> None:
        for index in range(start, 12, 4):
            found[index] = operator @ vectors[index], operator.H @ (operator @ vectors[index])

    run_in_threads([partial(work, start) for start in range(4)])
    for index in range(12):
        product = JACOBIAN @ vectors[index]
        assert close(found[index][0], product)
        assert close(found[index][1], JACOBIAN.T @ product)


def test_an_operator_serves_within_another_differentiated_function(backend: Backend, array: Any) -> None:
    operator = operator_of_tanh(backend)

    def f(x: Any) -> Any:
        return x * float((operator @ POINT).sum()) + float((operator.H @ np.ones(7)).sum())

    slope = jacrev(f)(array(2.0))
    assert close(backend.to_numpy(slope), (JACOBIAN @ POINT).sum())


def test_an_operator_of_constants_can_be_made_within_another_function(backend: Backend, array: Any) -> None:
    slope = jacrev(lambda x: x * float((operator_of_tanh(backend) @ POINT).sum()))(array(2.0))
    assert close(backend.to_numpy(slope), (JACOBIAN @ POINT).sum())


def test_an_operator_of_traced_arrays_is_refused_and_nothing_is_written(backend: Backend, array: Any) -> None:
    v = Variable(array(1.0))

    def inner(x: Any) -> Any:
        v.value = v + 1.0
        return x**2

    def outer(x: Any) -> Any:
        with pytest.raises(anyjac.TracerLeakError, match=f"belongs to a trace of {backend.name}"):
            jacrev(inner).as_linear_operator(x)
        return x

    jacrev(outer)(array(POINT))
    assert float(v) == 1.0


def test_a_torch_point_that_is_attached_to_a_graph_is_refused() -> None:
    import torch

    with pytest.raises(anyjac.TracerLeakError, match="detach the arguments"):
        jacrev(lambda x: x * x).as_linear_operator(torch.ones(2, requires_grad=True))


def test_a_backend_that_does_not_nest_is_refused_before_anything_is_written(
    backend: Backend, array: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    v = Variable(array(1.0))

    def f(x: Any) -> Any:
        v.value = v + 1.0
        return x * x

    if "transpose" in type(backend).__dict__:
        pytest.skip(f"{backend.name} needs no nesting")
    monkeypatch.setattr(type(backend), "capabilities", backend.capabilities - {"nested"})
    with pytest.raises(anyjac.NotSupportedError, match="does not support 'nested'"):
        jacrev(f).as_linear_operator(array(POINT))
    assert float(v) == 1.0


def test_without_scipy_the_extra_is_named() -> None:
    printed = printed_by(
        """
        import sys
        sys.modules["scipy"] = None
        import anyjac
        transform = anyjac.jacrev(lambda x: x)
        assert float(transform(1.0)) == 1.0
        try:
            transform.as_linear_operator(1.0)
        except ModuleNotFoundError as error:
            print(type(error).__name__, error.name, error)
        """
    )
    assert printed.startswith("MissingExtraError scipy as_linear_operator needs SciPy")
    assert 'pip install ".[scipy]" in the folder of a clone' in printed
