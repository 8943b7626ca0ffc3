"""``at(x)[index]`` for every kind of index, dtype, and the frameworks' own transforms; NumPy says what is right."""

import numpy as np
import pytest
from element_indices import INDICES, SHAPE, own_index

import anyjac
from anyjac import DtypeError, InputTypeError, NotSupportedError, jacrev

METHODS = {"add": np.add, "multiply": np.multiply, "subtract": np.subtract, "min": np.minimum, "max": np.maximum}
REPEATS = {
    "rows that repeat": np.array([2, 0, 2, 2, 1]),
    "places that repeat": (np.array([1, 1, 1]), np.array([2, 2, 0])),
    "negative ones that repeat": np.array([-1, 2]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*INDICES, *REPEATS])
def test_an_update_gives_what_the_ufunc_at_the_index_gives(backend: anyjac.Backend, name: str, method: str) -> None:
    index = {**INDICES, **REPEATS}[name]
    x = np.arange(12.0).reshape(SHAPE)
    value = 1.3 * np.cos(np.arange(x[index].size, dtype=float)).reshape(x[index].shape) + 5
    expected = x.copy()
    METHODS[method].at(expected, index, value)
    found = getattr(anyjac.at(backend.asarray(x))[own_index(backend, index)], method)(backend.asarray(value))
    assert np.allclose(backend.to_numpy(found), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", [*INDICES, *REPEATS])
def test_the_derivative_of_a_sum_at_an_index_is_one_where_it_goes(backend: anyjac.Backend, name: str) -> None:
    index = {**INDICES, **REPEATS}[name]
    places = np.arange(12).reshape(SHAPE)[index]
    expected = (np.arange(12)[:, None] == places.ravel()).astype(float).reshape(*SHAPE, *places.shape)
    x = backend.asarray(np.arange(12.0).reshape(SHAPE))
    own = own_index(backend, index)
    found = jacrev(lambda v: anyjac.at(x)[own].add(v))(backend.asarray(np.ones(places.shape)))
    assert np.array_equal(backend.to_numpy(found), expected)


@pytest.mark.parametrize("dtype", ["float32", "int64", "complex64"])
def test_the_dtype_of_the_array_stays(backend: anyjac.Backend, dtype: str) -> None:
    x = backend.asarray(np.array([1, 2, 3], dtype=dtype))
    for changed in (anyjac.at(x)[0].set(True), anyjac.at(x)[x == 2].multiply(3), anyjac.at(x)[1:].add(x[:2])):
        assert backend.dtype_name(changed.dtype) == dtype


def test_what_the_dtype_cannot_hold_is_refused_by_name(backend: anyjac.Backend) -> None:
    whole = backend.asarray(np.array([1, 2]))
    with pytest.raises(DtypeError, match=r"at\(x\)\[\.\.\.\]\.add was given .*'real floating' .* int64"):
        anyjac.at(whole)[0].add(0.5)
    with pytest.raises(DtypeError, match=r"divide makes floats, and x has the dtype int64"):
        anyjac.at(whole)[0].divide(2)
    with pytest.raises(InputTypeError, match=r"the argument of anyjac\.at is \[1, 2\], of type list, and no array"):
        anyjac.at([1, 2])


def test_a_constant_of_numpy_goes_with_traced_values(backend: anyjac.Backend) -> None:
    jacobian = jacrev(lambda v: anyjac.at(np.zeros(3))[1].set(v))(backend.asarray(2.0))
    assert backend.is_array(jacobian)
    assert backend.to_numpy(jacobian).tolist() == [0.0, 1.0, 0.0]


def test_many_repeats_of_one_place_are_added_up_once_each(backend: anyjac.Backend) -> None:
    bins = np.random.default_rng(0).integers(0, 7, 10_000)
    counted = anyjac.at(backend.asarray(np.zeros(7)))[backend.asarray(bins)].add(1.0)
    assert np.array_equal(backend.to_numpy(counted), np.bincount(bins, minlength=7))


# ---- under the frameworks' own transforms --------------------------------------------------------------------------


@pytest.fixture(params=["jax", "torch"])
def framework(request: pytest.FixtureRequest) -> anyjac.Backend:
    return anyjac.get_backend(request.param)


def test_a_mask_may_be_traced_by_the_compiler(framework: anyjac.Backend) -> None:
    compiled = framework.framework_transforms.compile(
        lambda x: anyjac.at(anyjac.at(x)[x > 1].add(10.0))[x < 0].set(0.0)
    )
    assert framework.to_numpy(compiled(framework.asarray(np.array([-1.0, 1.0, 2.0])))).tolist() == [0.0, 1.0, 12.0]


def test_a_mask_may_be_mapped_over(framework: anyjac.Backend) -> None:
    mapped = framework.framework_transforms.vmap(lambda x: anyjac.at(x)[x > 1].multiply(2.0))
    assert framework.to_numpy(mapped(framework.asarray(np.array([[1.0, 2.0], [3.0, 0.0]])))).tolist() == [
        [1, 4],
        [6, 0],
    ]


def test_an_index_may_come_from_what_the_framework_differentiates(framework: anyjac.Backend) -> None:
    xp = framework.namespace
    gradient = framework.framework_transforms.grad(lambda x: xp.sum(anyjac.at(x)[xp.argsort(x)[:2]].multiply(x[2])))
    assert framework.to_numpy(gradient(framework.asarray(np.array([5.0, 1.0, 2.0])))).tolist() == [1.0, 2.0, 5.0]


def test_a_traced_index_of_jax_is_left_to_jax() -> None:
    jax = anyjac.get_backend("jax")
    compiled = jax.framework_transforms.compile(lambda x, i: anyjac.at(anyjac.at(x)[i].add(1.0))[i[0]].power(2.0))
    found = compiled(jax.asarray(np.array([1.0, 2.0])), jax.asarray(np.array([1, 1, 0])))
    assert jax.to_numpy(found).tolist() == [2.0, 16.0]


def test_an_index_that_torch_maps_over_is_refused_by_name() -> None:
    torch = anyjac.get_backend("torch")
    mapped = torch.framework_transforms.vmap(lambda i: anyjac.at(torch.asarray(np.zeros(2)))[i].add(1.0))
    with pytest.raises(NotSupportedError, match=r"torch\.func\.vmap maps over; use a mask"):
        mapped(torch.asarray(np.array([0, 1])))
