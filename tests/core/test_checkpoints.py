"""`checkpoint`, and loops with it: derivatives as without, Variables written once, later runs at the values of then."""

import copy
import functools
import pickle

import numpy as np
import optree
import pytest
from tests.helpers.wrapped_backend import WrappedBackend

import anyjac


class Problem:
    """A function of an argument and of a Variable, which counts its calls in another Variable and in Python."""

    def __init__(self, backend, array):
        self.xp = backend.namespace
        self.backend = backend
        self.weight = anyjac.TrainVar(array([0.5, -0.3, 0.9]), name="weight")
        self.count = anyjac.Variable(array(0.0), name="count")
        self.x = array([1.0, 2.0, 3.0])
        self.v = array([0.3, -1.0, 2.0])
        self.runs = 0

    def layer(self, x, scale):
        self.runs += 1
        self.count.value = self.count + 1.0
        y = self.xp.tanh(self.weight * x * scale)
        return {"rows": self.xp.sin(y * self.weight), "sum": self.xp.sum(y * y) * self.count.value}

    def rows(self, layer):
        def twice(x):
            first = layer(x, 2.0)
            second = layer(first["rows"] + x, scale=1.5)
            return second["rows"] * second["sum"]

        return twice

    def loss(self, layer):
        rows = self.rows(layer)
        return lambda x: self.xp.sum(rows(x) ** 2)

    def numbers(self, tree):
        return [self.backend.to_numpy(leaf) for leaf in optree.tree_leaves(tree)]


@pytest.fixture
def problem(backend, array):
    return Problem(backend, array)


TRANSFORMS = {
    "value": lambda p, wrap: wrap(p.rows)(p.x),
    "grad": lambda p, wrap: anyjac.grad(wrap(p.loss), grad_vars=p.weight, argnums=0)(p.x),
    "jacrev": lambda p, wrap: anyjac.jacrev(wrap(p.rows), grad_vars=p.weight, argnums=0)(p.x),
    "jacrev in chunks": lambda p, wrap: anyjac.jacrev(wrap(p.rows), chunk_size=2)(p.x),
    "jacfwd": lambda p, wrap: anyjac.jacfwd(wrap(p.rows), grad_vars=p.weight, argnums=0)(p.x),
    "hessian": lambda p, wrap: anyjac.hessian(wrap(p.loss), grad_vars=p.weight)(p.x),
    "jacrev of jacrev": lambda p, wrap: anyjac.jacrev(anyjac.jacrev(wrap(p.rows), grad_vars=p.weight), argnums=0)(p.x),
    "jacfwd of jacrev": lambda p, wrap: anyjac.jacfwd(anyjac.jacrev(wrap(p.rows), grad_vars=p.weight), argnums=0)(p.x),
    "jacrev of jacfwd": lambda p, wrap: anyjac.jacrev(anyjac.jacfwd(wrap(p.rows), grad_vars=p.weight), argnums=0)(p.x),
    "hvp": lambda p, wrap: anyjac.hvp(wrap(p.loss))(p.x, p.v),
    "jvp": lambda p, wrap: anyjac.jvp(wrap(p.rows))(p.x, p.v),
    "vjp": lambda p, wrap: anyjac.vjp(wrap(p.rows), argnums=0)(p.x)(p.v),
    "linearize": lambda p, wrap: anyjac.linearize(wrap(p.rows), argnums=0)(p.x)(p.v),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_derivatives_and_writes_are_those_of_the_function(problem, transform):
    expected = problem.numbers(transform(problem, lambda make: make(problem.layer)))
    problem.count.value = problem.count * 0.0
    found = problem.numbers(transform(problem, lambda make: make(anyjac.checkpoint(problem.layer))))
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-11, atol=1e-13)
    assert float(problem.backend.to_numpy(problem.count.value)) == 2.0


def test_a_pass_back_runs_the_function_again_and_keeps_nothing_before(problem, backend):
    anyjac.grad(problem.loss(anyjac.checkpoint(problem.layer)))(problem.x)
    assert problem.runs == (2 if backend.name == "jax" else 4)


def test_checkpoints_nest(problem):
    expected = anyjac.grad(problem.loss(problem.layer), grad_vars=problem.weight)(problem.x)
    problem.count.value = problem.count * 0.0
    inner = anyjac.checkpoint(problem.layer)
    outer = anyjac.checkpoint(problem.loss(inner))
    found = anyjac.grad(outer, grad_vars=problem.weight)(problem.x)
    np.testing.assert_allclose(*map(problem.backend.to_numpy, (found, expected)), rtol=1e-12)
    assert float(problem.backend.to_numpy(problem.count.value)) == 2.0


def test_a_transform_within_is_run_again_as_well(problem):
    def slope(x):
        return anyjac.grad(problem.loss(problem.layer), grad_vars=problem.weight)(x) * x

    def energy(slope):
        return lambda x: problem.xp.sum(slope(x) ** 2)

    expected = anyjac.grad(energy(slope), grad_vars=problem.weight, argnums=0)(problem.x)
    problem.count.value = problem.count * 0.0
    found = anyjac.grad(energy(anyjac.checkpoint(slope)), grad_vars=problem.weight, argnums=0)(problem.x)
    for mine, other in zip(problem.numbers(found), problem.numbers(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-11)


def test_a_pullback_that_is_called_later_sees_the_values_of_the_first_run_and_writes_nothing(problem, array):
    pull = anyjac.vjp(problem.rows(anyjac.checkpoint(problem.layer)), argnums=0)(problem.x)
    expected = problem.numbers(pull(problem.v))
    problem.weight.value = array([7.0, 8.0, 9.0])
    problem.count.value = array(50.0)
    for mine, other in zip(problem.numbers(pull(problem.v)), expected, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert float(problem.backend.to_numpy(problem.count.value)) == 50.0
    later = anyjac.grad(lambda x: problem.xp.sum(pull(x)))  # within another call
    later(problem.v)
    assert float(problem.backend.to_numpy(problem.count.value)) == 50.0


def test_what_is_written_after_the_checkpoint_is_not_seen_in_the_pass_back(problem, array):
    def loss(layer):
        def run(x):
            y = layer(x, 2.0)["rows"]
            problem.weight.value = problem.weight.value * 0.0 + 5.0
            return problem.xp.sum(y)

        return run

    expected = anyjac.grad(loss(problem.layer))(problem.x)
    problem.weight.value = array([0.5, -0.3, 0.9])
    found = anyjac.grad(loss(anyjac.checkpoint(problem.layer)))(problem.x)
    np.testing.assert_allclose(*map(problem.backend.to_numpy, (found, expected)), rtol=1e-12)


def test_a_change_in_place_after_the_checkpoint_is_not_seen_or_refused(problem, backend, array):
    if backend.name == "jax":
        pytest.skip("arrays of JAX do not change")
    gain = anyjac.Variable(array([2.0, 2.0, 2.0]))

    def loss(x):
        y = anyjac.checkpoint(lambda x: problem.xp.sin(gain.value * x))(x)
        gain.value[0] = 100.0
        return problem.xp.sum(y)

    found = backend.to_numpy(anyjac.grad(loss)(problem.x))
    np.testing.assert_allclose(found, 2.0 * np.cos(2.0 * backend.to_numpy(problem.x)))
    assert backend.to_numpy(gain.value)[0] == 100.0


def test_an_array_that_the_function_closes_over_has_its_derivative(problem):
    def loss(wrap):
        return lambda x: problem.xp.sum(wrap(lambda y: y * x * problem.weight)(x**2))

    expected = anyjac.grad(loss(lambda f: f), grad_vars=problem.weight, argnums=0)(problem.x)
    found = anyjac.grad(loss(anyjac.checkpoint), grad_vars=problem.weight, argnums=0)(problem.x)
    for mine, other in zip(problem.numbers(found), problem.numbers(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_an_error_leaves_variables_as_they_were(problem):
    @anyjac.checkpoint
    def fails(x):
        problem.count.value = problem.count + 1.0
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        anyjac.grad(fails)(problem.x)
    assert float(problem.backend.to_numpy(problem.count.value)) == 0.0


def test_outside_of_transforms_the_function_runs_and_writes_once(problem):
    found = anyjac.checkpoint(problem.layer)(problem.x, 2.0)
    assert set(found) == {"rows", "sum"}
    assert problem.runs == 1
    assert float(problem.backend.to_numpy(problem.count.value)) == 1.0


def test_what_is_no_array_goes_in_and_comes_out(problem):
    @anyjac.checkpoint
    def f(x, *, kind, parts):
        assert kind == "sum"
        assert parts == (1, None)
        return problem.xp.sum(x), kind, 3

    found, kind, three = f(problem.x, kind="sum", parts=(1, None))
    assert (float(problem.backend.to_numpy(found)), kind, three) == (6.0, "sum", 3)


def test_mapping_over_examples(problem, array):
    xs = array(np.arange(6.0).reshape(2, 3))

    def energy(wrap):
        return lambda x: problem.xp.sum(wrap(lambda y: problem.xp.sin(y * problem.weight) * y)(x))

    def both(wrap):
        each = anyjac.vmap(anyjac.grad(energy(wrap)))(xs)
        return each, anyjac.grad(lambda xs: problem.xp.sum(anyjac.vmap(energy(wrap))(xs)))(xs)

    for mine, other in zip(problem.numbers(both(anyjac.checkpoint)), problem.numbers(both(lambda f: f)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_a_backend_without_a_way_of_its_own_runs_the_function_as_it_is(problem, backend):
    class RequiredOnly(WrappedBackend):
        name = "only-required"
        capabilities = backend.capabilities & {"grad", "nested"}

    bare = RequiredOnly()
    bare.real = backend
    weight = anyjac.Variable(problem.weight.value, backend=bare)
    gradient = anyjac.grad(
        lambda x: problem.xp.sum(anyjac.checkpoint(lambda x: problem.xp.sin(x) * weight.value)(x)), backend=bare
    )
    expected = np.cos(backend.to_numpy(problem.x)) * backend.to_numpy(weight.value)
    np.testing.assert_allclose(backend.to_numpy(gradient(problem.x)), expected)


# ---- loops ----------------------------------------------------------------------------------------------------------


def recurrent(problem, rows, checkpoint, reverse=False):
    """Return a loss that steps a state, and counts the steps in a Variable."""

    def step(carry, row):
        problem.count.value = problem.count + 1.0
        after = problem.xp.tanh(carry * problem.weight + row * problem.count.value * 0.01)
        return after, {"product": problem.xp.sum(after * carry), "state": after}

    def loss(x):
        last, found = anyjac.scan(step, x, rows, reverse=reverse, checkpoint=checkpoint)
        return problem.xp.sum(found["product"] ** 2) + problem.xp.sum(last) + problem.xp.sum(found["state"][2, ...])

    return loss


LOOPS = {
    "grad": lambda loss, p: anyjac.grad(loss, grad_vars=p.weight, argnums=0)(p.x),
    "hessian": lambda loss, p: anyjac.hessian(loss, grad_vars=p.weight)(p.x),
    "jacfwd": lambda loss, p: anyjac.jacfwd(loss, grad_vars=p.weight)(p.x),
    "plain": lambda loss, p: loss(p.x),
}


@pytest.mark.parametrize(
    ("loop", "checkpoint", "reverse"),
    [
        *(("grad", size, reverse) for size in (True, 1, 3, 7, 20) for reverse in (False, True)),
        ("hessian", True, False),
        ("jacfwd", 3, True),
        ("plain", 3, True),
    ],
)
def test_loops_in_stretches_have_the_same_derivatives(problem, array, loop, checkpoint, reverse):
    rows = array(np.random.default_rng(1).normal(size=(7, 3)))
    expected = LOOPS[loop](recurrent(problem, rows, False, reverse), problem)
    problem.count.value = problem.count * 0.0
    found = LOOPS[loop](recurrent(problem, rows, checkpoint, reverse), problem)
    for mine, other in zip(problem.numbers(found), problem.numbers(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-11, atol=1e-13)
    assert float(problem.backend.to_numpy(problem.count.value)) == 7.0


def test_for_loop_and_fori_loop_take_the_option_too(problem, array):
    def loss(checkpoint):
        def run(x):
            def step(row):
                problem.count.value = problem.count + problem.xp.sum(problem.weight * row)
                return problem.count.value

            found = anyjac.for_loop(step, problem.v, checkpoint=checkpoint)
            return problem.xp.sum(
                anyjac.fori_loop(0, 5, lambda i, c: problem.xp.sin(c) * x, x, checkpoint=checkpoint)
            ) + problem.xp.sum(found**2)

        return run

    def gradient(checkpoint):
        problem.count.value = array(0.0)
        return problem.numbers(anyjac.grad(loss(checkpoint), grad_vars=problem.weight, argnums=0)(problem.x))

    for mine, other in zip(gradient(2), gradient(False), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_a_checkpoint_stands_in_the_body_of_a_loop(problem, array):
    rows = array(np.random.default_rng(2).normal(size=(4, 3)))

    def loss(wrap):
        def step(carry, row):
            found = wrap(problem.layer)(carry + row, 0.5)
            return found["rows"], found["sum"]

        def run(x):
            last, sums = anyjac.scan(step, x, rows)
            return problem.xp.sum(last) + problem.xp.sum(sums)

        return run

    expected = anyjac.grad(loss(lambda f: f), grad_vars=problem.weight, argnums=0)(problem.x)
    problem.count.value = problem.count * 0.0
    found = anyjac.grad(loss(anyjac.checkpoint), grad_vars=problem.weight, argnums=0)(problem.x)
    for mine, other in zip(problem.numbers(found), problem.numbers(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    assert float(problem.backend.to_numpy(problem.count.value)) == 4.0


def test_no_steps_in_stretches_write_nothing_and_give_empty_stacks(problem, array):
    last, found = anyjac.scan(lambda c, r: (c + r, c * 2.0), problem.x, array(np.zeros((0, 3))), checkpoint=True)
    assert tuple(found.shape) == (0, 3)
    np.testing.assert_array_equal(problem.backend.to_numpy(last), problem.backend.to_numpy(problem.x))


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (0, anyjac.InputValueError, "checkpoint is 0; give 1 or more"),
        (-2, anyjac.InputValueError, "checkpoint is -2"),
        (2.0, anyjac.InputTypeError, "checkpoint is 2.0, of type float; give True, False or an int"),
        (None, anyjac.InputTypeError, "checkpoint is None"),
        ("all", anyjac.InputTypeError, "checkpoint is 'all'"),
    ],
)
def test_values_that_are_no_option_are_refused_by_name(given, error, text):
    xs = np.ones(3)
    for run in (
        lambda: anyjac.scan(lambda c, x: (c, x), 0.0, xs, checkpoint=given),
        lambda: anyjac.for_loop(lambda x: x, xs, checkpoint=given),
        lambda: anyjac.fori_loop(0, 3, lambda i, c: c, 0.0, checkpoint=given),
    ):
        with pytest.raises(error, match=text):
            run()


# ---- the wrapper ----------------------------------------------------------------------------------------------------


@anyjac.checkpoint
def cube(x):
    """Return the third power."""
    return x**3


class Cell:
    scale = 2.0

    @anyjac.checkpoint
    def step(self, x):
        return self.scale * x


def test_it_passes_for_the_function():
    assert cube.__name__ == "cube"
    assert cube.__doc__ == "Return the third power."
    assert repr(cube) == "checkpoint(cube)"
    assert float(Cell().step(np.array(3.0))) == 6.0
    assert float(copy.deepcopy(cube)(np.array(2.0))) == 8.0
    assert pickle.loads(pickle.dumps(cube)) is cube
    made = pickle.loads(pickle.dumps(anyjac.checkpoint(functools.partial(np.power, 2.0))))
    assert float(made(3.0)) == 8.0


def test_what_is_not_callable_is_refused():
    with pytest.raises(anyjac.InputTypeError, match="checkpoint needs a callable, not 3"):
        anyjac.checkpoint(3)
