"""Derivatives on meshes of JAX: arrays that are sharded, and functions that `jax.shard_map` maps over devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from tests.helpers.forced_paths import forced

import anyjac
from anyjac import Variable

EXPLICIT = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Explicit,))
AUTO = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Auto,))
SQUARE = jax.make_mesh((2, 2), ("i", "j"), axis_types=(AxisType.Explicit,) * 2)
JaxBackend = type(anyjac.get_backend("jax"))
MESHES = pytest.mark.parametrize("mesh", [EXPLICIT, AUTO], ids=["explicit", "auto"])
PATHS = pytest.mark.parametrize("path", ["compiled", "native", None])

JACOBIANS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "jacrev": (anyjac.jacrev, jax.jacrev),
    "jacfwd": (anyjac.jacfwd, jax.jacfwd),
    "jacobian": (anyjac.jacobian, jax.jacrev),
    "hessian": (anyjac.hessian, jax.hessian),
    "chunked rows": (lambda f, **options: anyjac.jacrev(f, chunk_size=3, **options), jax.jacrev),
    "chunked columns": (lambda f, **options: anyjac.jacfwd(f, chunk_size=3, **options), jax.jacfwd),
}

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "elements": jnp.sin,
    "sum": lambda x: jnp.sum(x**2),
    "tree": lambda x: {"a": jnp.sin(x), "s": jnp.sum(x)},
    "beside a constant": lambda x: (x * 2, jnp.ones(3)),
    "constant": lambda x: jnp.zeros(2),
}

PRODUCTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "vjp": (lambda x: anyjac.vjp(jnp.sin)(x)(x), lambda x: jax.vjp(jnp.sin, x)[1](x)[0]),
    "vjp of a vector on one device": (lambda x: anyjac.vjp(jnp.sin)(x)(np.ones(8)), jnp.cos),
    "jvp": (lambda x: anyjac.jvp(jnp.sin)(x, x), lambda x: jax.jvp(jnp.sin, (x,), (x,))[1]),
    "jvp of a vector on one device": (lambda x: anyjac.jvp(jnp.sin)(np.ones(8), x), jnp.cos),
    "linearize": (lambda x: anyjac.linearize(jnp.sin)(x)(x), lambda x: jax.linearize(jnp.sin, x)[1](x)),
    "grad": (anyjac.grad(lambda x: jnp.sum(x**2)), lambda x: 2 * x),
    "vector_grad": (anyjac.vector_grad(jnp.sin), jnp.cos),
    "hvp": (lambda x: anyjac.hvp(lambda x: jnp.sum(x**3))(x, x), lambda x: 6 * x * x),
    "value": (lambda x: anyjac.jacrev(jnp.sin, return_value=True)(x)[1], jnp.sin),
    "rows": (
        lambda x: jnp.concatenate([rows.block for rows in anyjac.jacrev(jnp.sin, chunk_size=1).rows(x)]),
        jax.jacrev(jnp.sin),
    ),
    "linear operator": (lambda x: anyjac.jacrev(jnp.sin).as_linear_operator(x) @ np.ones(8), jnp.cos),
    "its transpose": (lambda x: anyjac.jacrev(jnp.sin).as_linear_operator(x).T @ np.ones(8), jnp.cos),
    "within jit": (lambda x: jax.jit(anyjac.jacrev(jnp.sin))(x), jax.jacrev(jnp.sin)),
    "jit": (lambda x: anyjac.jit(anyjac.jacfwd(jnp.sin))(x), jax.jacrev(jnp.sin)),
    "vmap": (lambda x: anyjac.vmap(anyjac.jacrev(jnp.sin))(x), jnp.cos),
    "of a Variable": (lambda x: _of_variable(Variable(x)), jax.jacrev(jnp.sin)),
    "complex columns": (
        lambda x: anyjac.jacfwd(lambda z: jnp.abs(z) ** 2)(x + 1j),
        lambda x: jax.jacrev(lambda z: jnp.abs(z) ** 2)(x + 1j),
    ),
}


def _of_variable(v: Variable) -> Any:
    return anyjac.jacrev(lambda: jnp.sin(v), v)()


def _sharded(mesh: Any, shape: tuple[int, ...] = (8,), *axes: Any) -> Any:
    x = jnp.arange(1.0, 9.0).reshape(shape)
    return jax.device_put(x, NamedSharding(mesh, PartitionSpec(*(axes or mesh.axis_names))))


def _equal(found: Any, wanted: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12), found, wanted)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)


@pytest.mark.parametrize("path", ["compiled", "native"])
@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_rows_and_columns_of_a_sharded_array(name: str, path: str) -> None:
    with jax.sharding.set_mesh(EXPLICIT):
        found = JACOBIANS[name][0](jnp.sin, backend=forced(JaxBackend, path))(_sharded(EXPLICIT))
        np.testing.assert_allclose(found, np.diag(np.cos(np.arange(1.0, 9.0))))


@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_rows_and_columns_on_each_device_by_itself(name: str) -> None:
    spec = PartitionSpec("i")
    body = lambda x: JACOBIANS[name][0](jnp.sin)(x)  # noqa: E731
    found = jax.shard_map(body, mesh=AUTO, in_specs=spec, out_specs=spec)(_sharded(AUTO))
    blocks = [np.diag(np.cos([x, x + 1])) for x in (1.0, 3.0, 5.0, 7.0)]
    np.testing.assert_allclose(found, np.concatenate(blocks))


@pytest.mark.sweep
@MESHES
@PATHS
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", JACOBIANS)
def test_of_a_sharded_array_on_the_mesh_that_is_set(name: str, function: str, path: str | None, mesh: Any) -> None:
    ours, theirs = JACOBIANS[name]
    options = {} if path is None else {"backend": forced(JaxBackend, path)}
    with jax.sharding.set_mesh(mesh):
        x = _sharded(mesh)
        _equal(ours(FUNCTIONS[function], **options)(x), theirs(FUNCTIONS[function])(x))


@pytest.mark.sweep
@MESHES
@pytest.mark.parametrize("name", JACOBIANS)
def test_of_a_sharded_array_where_no_mesh_is_set(name: str, mesh: Any) -> None:
    ours, theirs = JACOBIANS[name]
    _equal(ours(jnp.sin)(_sharded(mesh)), theirs(jnp.sin)(_sharded(mesh)))


@pytest.mark.sweep
@pytest.mark.parametrize("axes", [("i", "j"), ("i", None), (None, "j"), (("i", "j"), None)], ids=str)
@pytest.mark.parametrize("name", JACOBIANS)
def test_of_a_matrix_on_a_mesh_of_two_axes(name: str, axes: tuple[Any, ...]) -> None:
    ours, theirs = JACOBIANS[name]
    with jax.sharding.set_mesh(SQUARE):
        x = _sharded(SQUARE, (4, 2), *axes)
        for f in (jnp.sin, lambda x: jnp.sum(x**2, axis=1), jnp.transpose):
            _equal(ours(f)(x), theirs(f)(x))


@pytest.mark.sweep
@MESHES
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_on_a_mesh(name: str, mesh: Any) -> None:
    ours, theirs = PRODUCTS[name]
    with jax.sharding.set_mesh(mesh):
        _equal(ours(_sharded(mesh)), theirs(_sharded(mesh)))


BODIES: dict[str, Callable[[Callable[..., Any], Any, Any], Any]] = {
    "elements": lambda take, x, y: take(jnp.sin)(x),
    "sum": lambda take, x, y: take(lambda x: jnp.sum(x**2) * jnp.ones(2))(x),
    "sum over devices": lambda take, x, y: take(lambda x: jax.lax.psum(jnp.sum(x**2), "i") * jnp.ones(2))(x),
    "constant": lambda take, x, y: take(lambda x: y)(x) + x[0] * 0,
    "an array that is equal everywhere": lambda take, x, y: take(lambda y: jnp.sin(y) * x[0])(y),
    "jit within": lambda take, x, y: take(jax.jit(lambda x: jnp.sin(x) * y))(x),
}


@pytest.mark.sweep
@MESHES
@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", JACOBIANS)
def test_within_a_function_that_is_mapped_over_devices(name: str, body: str, checks: bool, mesh: Any) -> None:
    def mapped(take: Callable[..., Any]) -> Any:
        specs = PartitionSpec("i"), PartitionSpec()
        mapped = jax.shard_map(
            lambda x, y: BODIES[body](take, x, y), mesh=mesh, in_specs=specs, out_specs=specs[0], check_vma=checks
        )
        return mapped(_sharded(mesh), jax.device_put(jnp.asarray([1.0, 2.0]), NamedSharding(mesh, specs[1])))

    ours, theirs = map(mapped, JACOBIANS[name])
    _equal(ours, theirs)


def test_by_an_equal_input_of_unequal_outputs_a_jacobian_is_one_by_rows_whatever_its_shape() -> None:
    def mapped(take: Callable[..., Any], columns: int) -> Any:
        body = lambda x, y: take(lambda y: jnp.stack([jnp.sum(y) * x[0]] * 3))(y)  # noqa: E731
        specs = PartitionSpec("i"), PartitionSpec()
        return jax.shard_map(body, mesh=AUTO, in_specs=specs, out_specs=specs[0])(_sharded(AUTO), jnp.ones(columns))

    for columns in (1, 5):
        _equal(mapped(anyjac.jacobian, columns), mapped(jax.jacrev, columns))


@pytest.mark.sweep
@pytest.mark.parametrize("name", JACOBIANS)
def test_around_a_function_that_is_mapped_over_devices(name: str) -> None:
    ours, theirs = JACOBIANS[name]
    spec = PartitionSpec("i")
    f = jax.shard_map(lambda x: jnp.sin(x) * jax.lax.psum(x, "i")[0], mesh=AUTO, in_specs=spec, out_specs=spec)
    _equal(ours(f)(_sharded(AUTO)), theirs(f)(_sharded(AUTO)))
