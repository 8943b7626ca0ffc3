"""`jit`: a compiled function gives the results of the function, on every backend, and reads and writes Variables."""

import copy
import functools
import gc
import inspect
import pickle
import re
import threading
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from tests.helpers.arrays import made
from tests.helpers.memory import Thing, collector_off
from tests.helpers.open_calls import assert_nothing_open
from tests.helpers.threads import run_in_threads

import anyjac
from anyjac import Backend, Variable, jacrev, jit

POINT = np.array([1.0, 2.0, 3.0])


@pytest.fixture(params=["jax", "torch"])
def compiling(request: pytest.FixtureRequest) -> Backend:
    """A backend that compiles."""
    return anyjac.get_backend(request.param)


def host(tree: Any) -> Any:
    """Return a tree with its arrays, of any framework, as nested lists."""
    if isinstance(tree, dict):
        return {key: host(value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(host(value) for value in tree)
    if isinstance(tree, Variable):
        return host(tree.value)
    if isinstance(tree, (jax.Array, torch.Tensor, np.ndarray)):
        return np.asarray(tree.detach() if isinstance(tree, torch.Tensor) else tree).tolist()
    return tree


class Counted:
    """A function that counts how often it runs."""

    def __init__(self, func: Any) -> None:
        self.func = func
        self.runs = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.runs += 1
        return self.func(*args, **kwargs)


# ---- results -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [1, 3])
def test_a_transform_gives_its_jacobian(backend: Backend, array: Any, calls: int) -> None:
    compiled = jit(jacrev(lambda x: x**3))
    for _ in range(calls):
        jacobian = compiled(array(POINT))
        assert backend.is_array(jacobian)
        assert host(jacobian) == np.diag(3 * POINT**2).tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 12.0),
        ({"return_value": True}, (12.0, 8.0)),
        ({"has_aux": True}, (12.0, {"text": "aux", "twice": 4.0, "none": None})),
        ({"has_aux": True, "return_value": True}, (12.0, 8.0, {"text": "aux", "twice": 4.0, "none": None})),
        ({"argnums": (0,)}, (12.0,)),
        ({"argnums": (1, 0)}, (1.0, 12.0)),
        ({"argnums": -1}, 1.0),
    ],
)
def test_what_a_transform_packs_comes_packed(array: Any, settings: dict[str, Any], expected: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        value = x**3 + y * 1.0 - y
        return (value + y, {"text": "aux", "twice": 2 * x, "none": None}) if settings.get("has_aux") else value + y

    if settings.get("return_value"):
        expected = (expected[0], 8.5, *expected[2:])
    found = jit(jacrev(f, **settings))
    for _ in range(2):
        assert host(found(array(2.0), array(0.5))) == expected


def test_gradients_of_variables_mirror_grad_vars(array: Any) -> None:
    w, b = Variable(array(3.0)), Variable(array(1.0))
    compiled = jit(jacrev(lambda x: w * x + b, {"w": w, "b": [b]}, 0, return_value=True))
    for _ in range(2):
        assert host(compiled(array(2.0))) == (({"w": 2.0, "b": [1.0]}, 3.0), 7.0)
    w.value = array(4.0)
    assert host(compiled(array(2.0))) == (({"w": 2.0, "b": [1.0]}, 4.0), 9.0)


def test_outputs_of_any_kind_come_back(array: Any) -> None:
    compiled = jit(lambda x: {"tree": (x * 2, [None, "text", 7]), "number": 1.5, "x": x + 0})
    for _ in range(3):
        assert host(compiled(array(2.0))) == {"tree": (4.0, [None, "text", 7]), "number": 1.5, "x": 2.0}


@pytest.mark.parametrize("output", [None, "text", 3, {"a": [1, None]}, ()])
def test_an_output_without_arrays_is_new_in_every_call(array: Any, output: Any) -> None:
    compiled = jit(lambda x: copy.deepcopy(output))
    found = compiled(array(1.0))
    assert found == output
    if isinstance(found, dict):
        found["b"] = 1
        found["a"].append(2)
    assert compiled(array(1.0)) == output


def test_a_variable_that_is_returned_gives_its_value(backend: Backend, array: Any) -> None:
    v = Variable(array(2.0))
    compiled = jit(lambda: (v, v.value))
    assert host(compiled()) == (2.0, 2.0)
    assert not any(isinstance(leaf, Variable) for leaf in compiled())


def test_numbers_are_as_precise_as_the_arrays_beside_them(array: Any) -> None:
    assert host(jit(lambda x, a: x * a)(array(1.0), 0.1)) == 0.1
    assert host(jit(lambda x, a: x * a)(array(1.0), 0.1 + 0.3j)) == 0.1 + 0.3j


def test_single_precision_stays_single_beside_a_number(backend: Backend) -> None:
    x = backend.asarray(np.asarray(2.0, np.float32))
    assert backend.dtype_name(jit(lambda x, a: x * a)(x, 0.5).dtype) == "float32"


# ---- Variables -----------------------------------------------------------------------------------------------------


def test_a_variable_is_read_and_written_in_every_call(array: Any) -> None:
    v = Variable(array(1.0))

    @jit
    def step(x: Any) -> Any:
        before = v.value
        v.value = v + x
        return before * 1.0

    assert [host(step(array(x))) for x in (1.0, 2.0, 3.0)] == [1.0, 2.0, 4.0]
    assert host(v) == 7.0
    v.value = array(10.0)
    assert (host(step(array(5.0))), host(v)) == (10.0, 15.0)


def test_a_variable_that_is_only_written_is_written(array: Any) -> None:
    v = Variable(array(0.0))

    @jit
    def store(x: Any) -> Any:
        v.value = 2 * x

    for x in (1.0, 2.0, 3.0, 4.0):
        assert store(array(x)) is None
        assert host(v) == 2 * x


def test_a_call_that_only_writes_computes_once(compiling: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    v, calls = Variable(made(compiling, 0.0)), []
    real = type(compiling).stage

    def stage(self: Any, fun: Any) -> Any:
        staged = real(self, fun)
        return lambda *arrays: (calls.append(1), staged(*arrays))[1]

    monkeypatch.setattr(type(compiling), "stage", stage)

    @jit
    def store(x: Any) -> Any:
        v.value = 2 * x
        return x

    for x in (1.0, 2.0, 3.0, 4.0):
        store(made(compiling, x))
    assert len(calls) == 4
    assert host(v) == 8.0


def test_writes_in_place_are_writes(backend: Backend, array: Any) -> None:
    v = Variable(array([1.0, 2.0]))

    @jit
    def f(x: Any) -> Any:
        target = v
        target[0] = x
        target += 1.0
        if backend.name == "torch":
            v.value.add_(10.0)
        else:
            v[:] = v + 10.0
        return v.value * 1.0

    for x, second in ((5.0, 13.0), (6.0, 24.0), (7.0, 35.0)):
        assert host(f(array(x))) == [x + 11.0, second]
        assert host(v) == [x + 11.0, second]


def test_a_pytree_in_a_variable(array: Any) -> None:
    v = Variable({"a": array(1.0), "b": [array([2.0, 3.0])]})

    @jit
    def f(x: Any) -> Any:
        tree = v.value
        v.value = {"a": tree["a"] * x, "b": [tree["b"][0] + x]}
        return tree["a"] + 0.0

    assert [host(f(array(2.0))) for _ in range(3)] == [1.0, 2.0, 4.0]
    assert host(v) == {"a": 8.0, "b": [[8.0, 9.0]]}


def test_a_variable_that_may_change_its_shape_does(backend: Backend, array: Any) -> None:
    v = Variable(array([1.0]), allow_reshape=True)
    xp = backend.namespace

    @jit
    def grow(x: Any) -> Any:
        v.value = xp.concat([v.value, x])
        return v.value * 1.0

    for n in range(1, 4):
        assert host(grow(array([float(n)]))) == [1.0, *map(float, range(1, n + 1))]
        assert v.shape == (n + 1,)


def test_a_variable_that_may_change_its_tree_does(array: Any) -> None:
    v = Variable(array(1.0), allow_reshape=True)

    @jit
    def wrap(x: Any) -> Any:
        v.value = [v.value, x]

    wrap(array(2.0))
    assert host(v) == [1.0, 2.0]
    v.value = array(5.0)
    wrap(array(2.0))
    assert host(v) == [5.0, 2.0]


def test_variables_come_as_arguments_and_in_containers(array: Any) -> None:
    v, w = Variable(array(1.0)), Variable(array(2.0))

    @jit
    def move(target: Any, others: Any) -> Any:
        target.value = target + others["one"]
        return target.value * 1.0

    assert [host(move(v, {"one": w})) for _ in range(3)] == [3.0, 5.0, 7.0]
    assert host(move(w, {"one": v})) == 9.0
    assert (host(v), host(w)) == (7.0, 9.0)


def test_which_variables_are_read_and_written_differs_by_kind(array: Any) -> None:
    a, b = Variable(array(1.0)), Variable(array(10.0))

    @jit
    def f(x: Any, which: str) -> Any:
        if which == "a":
            a.value = a + x
        elif which == "b":
            b.value = b + a
        return x

    for which, expected in [("a", (2, 10)), ("b", (2, 12)), ("none", (2, 12)), ("a", (3, 12)), ("b", (3, 15))]:
        f(array(1.0), which)
        assert (host(a), host(b)) == expected


def test_a_variable_made_inside_is_of_use_there(array: Any) -> None:
    kept = []

    @jit
    def f(x: Any) -> Any:
        local = Variable(x * 2.0)
        local.value = local + 1.0
        kept.append(local)
        return local.value * 1.0

    assert [host(f(array(x))) for x in (1.0, 2.0)] == [3.0, 5.0]
    with pytest.raises(anyjac.TracerLeakError, match="outside that call"):
        _ = kept[0].value


# ---- when the function runs ----------------------------------------------------------------------------------------


def test_the_function_runs_for_a_new_kind_of_arguments_alone(compiling: Backend) -> None:
    counted = Counted(lambda x, flag=False: -x if flag else x * 2)
    compiled = jit(counted)
    for _ in range(3):
        assert host(compiled(made(compiling, 1.0))) == 2.0
    assert counted.runs == 1
    assert host(compiled(made(compiling, [1.0, 3.0]))) == [2.0, 6.0]
    assert counted.runs == 2
    assert compiled(compiling.asarray(np.asarray(3, np.int32))).dtype != made(compiling, 1.0).dtype
    assert counted.runs == 3
    assert host(compiled(made(compiling, 1.0), flag=True)) == -1.0
    assert host(compiled(made(compiling, 1.0), True)) == -1.0
    assert counted.runs == 5
    for _ in range(2):
        compiled(made(compiling, 4.0))
        compiled(made(compiling, [1.0, 3.0]))
        compiled(made(compiling, 4.0), flag=True)
    assert counted.runs == 5


def test_without_a_compiler_the_function_runs_once_in_every_call() -> None:
    v = Variable(np.array(1.0))

    def f(x: Any) -> Any:
        v.value = v + x
        return x

    counted = Counted(f)
    compiled = jit(counted)
    for number in range(1, 4):
        compiled(np.array(1.0))
        assert (counted.runs, host(v)) == (number, 1.0 + number)


def test_without_a_compiler_values_are_there_to_branch_on() -> None:
    assert jit(lambda x: x if x > 0 else -x)(np.array(-2.0)) == 2.0


def test_other_numbers_compile_nothing(compiling: Backend) -> None:
    counted = Counted(lambda x, n: x * n)
    compiled = jit(counted)
    x = made(compiling, [1.0, 2.0])
    assert [host(compiled(x, float(n))) for n in range(5)] == [[n, 2.0 * n] for n in range(5)]
    assert [host(compiled(x, n=float(n))) for n in range(5)] == [[n, 2.0 * n] for n in range(5)]
    assert counted.runs == 2


def test_true_and_one_and_text_are_three_kinds(array: Any) -> None:
    compiled = jit(lambda x, how: x if how is True else -x if isinstance(how, str) else x * how)
    for _ in range(2):
        assert [host(compiled(array(3.0), how)) for how in (True, 1.0, "1")] == [3.0, 3.0, -3.0]


def test_keywords_and_defaults_are_those_of_the_function(array: Any) -> None:
    compiled = jit(lambda x, *rest, scale=2.0, **more: x * scale + sum(rest) + sum(more.values()))
    assert host(compiled(array(1.0))) == 2.0
    assert host(compiled(array(1.0), array(5.0), scale=array(3.0), other=array(10.0))) == 18.0
    assert host(compiled(array(1.0), other=array(10.0))) == 12.0


class Unhashable:
    """An argument that equals every other of its kind."""

    __hash__ = None


@pytest.mark.parametrize(
    ("args", "kwargs", "where"),
    [
        ((Unhashable(),), {}, r"args\[1\]"),
        (({"a": [1.0, Unhashable()]},), {}, r"args\[1\]\['a'\]\[1\]"),
        ((), {"how": Unhashable()}, r"kwargs\['how'\]"),
    ],
)
def test_what_is_neither_array_nor_hashable_is_refused_by_its_path(
    array: Any, args: Any, kwargs: Any, where: str
) -> None:
    v = Variable(array(1.0))

    @jit
    def f(x: Any, *rest: Any, **more: Any) -> Any:
        v.value = v + x
        return x

    f(array(1.0))
    for _ in range(2):
        with pytest.raises(anyjac.InputTypeError, match=where):
            f(array(1.0), *args, **kwargs)
        assert host(v) == 2.0
    assert_nothing_open(v)


def test_what_is_not_callable_is_refused() -> None:
    with pytest.raises(anyjac.InputTypeError, match="jit needs a callable, not 3"):
        jit(3)
    with pytest.raises(anyjac.InputTypeError, match="backend"):
        jit(lambda x: x, backend=3)


# ---- methods and other callables -----------------------------------------------------------------------------------


class Counter:
    """A model with one Variable and a compiled method."""

    def __init__(self, start: Any) -> None:
        self.count = Variable(start)

    @jit
    def step(self, x: Any) -> Any:
        """Add to the count."""
        self.count.value = self.count + x
        return self.count.value * 1.0

    @jit
    def bump(self) -> None:
        self.count.value = self.count + 1.0

    @jit
    @jacrev
    def slope(self, x: Any) -> Any:
        return self.count * x * x

    @jacrev
    @jit
    def slope_of_compiled(self, x: Any) -> Any:
        return self.count * x * x

    @staticmethod
    @jit
    def double(x: Any) -> Any:
        return 2 * x

    @jit
    @staticmethod
    def treble(x: Any) -> Any:
        return 3 * x

    @jit
    @classmethod
    def named(cls, x: Any) -> Any:
        return {"name": cls.__name__, "x": x * 1.0}


def test_each_object_has_its_own_variables(array: Any) -> None:
    one, two = Counter(array(0.0)), Counter(array(10.0))
    for n in range(1, 4):
        assert host(one.step(array(1.0))) == n
        assert host(two.step(array(2.0))) == 10 + 2 * n
        one.bump()
        one.count.value = one.count - 1.0
    assert host(Counter.step(one, array(1.0))) == 4.0
    assert (host(one.count), host(two.count)) == (4.0, 16.0)


def test_decorators_stack_on_methods(array: Any) -> None:
    model = Counter(array(2.0))
    for _ in range(2):
        assert host(model.slope(array(3.0))) == 12.0
        assert host(model.slope_of_compiled(array(3.0))) == 12.0
        assert host(Counter.double(array(3.0))) == host(model.double(array(3.0))) == 6.0
        assert host(Counter.treble(array(3.0))) == host(model.treble(array(3.0))) == 9.0
        assert host(Counter.named(array(3.0))) == host(model.named(array(3.0))) == {"name": "Counter", "x": 3.0}
    model.count.value = array(5.0)
    assert host(model.slope(array(3.0))) == 30.0


def test_a_static_method_that_is_asked_of_its_class_is_compiled_once(compiling: Backend) -> None:
    counted = Counted(lambda x: 3 * x)

    class Model:
        static = jit(staticmethod(lambda x: counted(x)))

    for _ in range(3):
        assert host(Model.static(made(compiling, 2.0))) == 6.0
    assert counted.runs == 1


def test_a_method_is_compiled_once_for_each_object(compiling: Backend) -> None:
    runs = []

    class Model:
        @jit
        def step(self, x: Any) -> Any:
            runs.append(self)
            return x * 2

    one, two = Model(), Model()
    for _ in range(3):
        one.step(made(compiling, 1.0))
        two.step(made(compiling, 1.0))
    assert runs == [one, two]


def test_a_compiled_method_keeps_no_object_alive(backend: Backend, array: Any) -> None:
    gc.collect()
    before = len(Counter.__dict__["step"]._of_instances)
    model = Counter(array(0.0))
    for _ in range(3):
        model.step(array(1.0))
        model.slope(array(1.0))
        model.bump()
    reference, gone = weakref.ref(model), weakref.ref(model.count)
    gc.collect()
    gc.disable()
    try:
        del model
        assert reference() is None
    finally:
        gc.enable()
    gc.collect()
    assert gone() is None
    assert len(Counter.__dict__["step"]._of_instances) <= before


@dataclass
class Equal:
    """An object that equals others and has no hash."""

    factor: float

    @jit
    def scaled(self, x: Any) -> Any:
        return self.factor * x


def test_objects_that_are_equal_or_unhashable_are_told_apart_by_identity(array: Any) -> None:
    one, two = Equal(2.0), Equal(2.0)
    assert host(one.scaled(array(1.0))) == 2.0
    two.factor = 3.0
    assert host(two.scaled(array(1.0))) == 3.0
    assert host(one.scaled(array(1.0))) == 2.0


class Slotted:
    """An object to which no weak reference can point."""

    __slots__ = ("v",)

    def __init__(self, v: Variable) -> None:
        self.v = v

    @jit
    def step(self, x: Any) -> Any:
        self.v.value = self.v + x
        return self.v.value * 1.0


def test_an_object_without_weak_references_works(array: Any) -> None:
    one, two = Slotted(Variable(array(0.0))), Slotted(Variable(array(5.0)))
    for n in range(1, 4):
        assert host(one.step(array(1.0))) == n
        assert host(two.step(array(1.0))) == 5.0 + n


def test_partials_and_callable_objects(array: Any) -> None:
    class Scale:
        def __init__(self) -> None:
            self.factor = Variable(array(2.0))

        def __call__(self, x: Any) -> Any:
            return self.factor * x

    scale = Scale()
    compiled, part = jit(scale), jit(functools.partial(lambda n, x: x * n, 3))
    for _ in range(2):
        assert host(compiled(array(2.0))) == 4.0
        assert host(part(array(2.0))) == 6.0
        assert host(functools.partial(part)(array(2.0))) == 6.0
    scale.factor.value = array(7.0)
    assert host(compiled(array(2.0))) == 14.0


# ---- the object ----------------------------------------------------------------------------------------------------

state = Variable(1.0)


@jit
def of_module(x: Any, *, scale: Any = 2.0) -> Any:
    """Multiply."""
    return state.value * scale * x


@jit
@jacrev
def slope_of_module(x: Any) -> Any:
    """Square."""
    return x * x


def plain(x: Any) -> Any:
    return x * x


def test_it_looks_like_the_function() -> None:
    assert (of_module.__name__, of_module.__doc__, of_module.__module__) == ("of_module", "Multiply.", __name__)
    assert list(inspect.signature(of_module).parameters) == ["x", "scale"]
    assert of_module.__wrapped__.__name__ == "of_module"
    assert jit(plain).__wrapped__ is plain
    assert jit()(plain).__wrapped__ is plain


def test_its_repr_says_what_it_is() -> None:
    assert repr(jit(plain)) == "jit(plain)"
    assert repr(jit(plain, backend="jax", device="cpu")) == "jit(plain, backend='jax', device='cpu')"
    assert repr(jit(jacrev(plain, has_aux=True))) == "jit(jacrev(plain, has_aux=True))"
    assert repr(Counter(0.0).step) == "jit(Counter.step)"


def test_it_is_copied_and_pickled_without_what_was_compiled(array: Any) -> None:
    for each in (of_module, slope_of_module):
        each(array(3.0))
        assert pickle.loads(pickle.dumps(each)) is each
    for other in (jit(plain), jit(jacrev(plain)), jit(functools.partial(plain), device="cpu")):
        before = host(other(array(3.0)))
        for twin in (copy.copy(other), copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
            assert twin is not other
            assert repr(twin) == repr(other) or "partial" in repr(other)
            assert host(twin(array(3.0))) == before


def test_a_deep_copy_of_a_model_has_variables_of_its_own(array: Any) -> None:
    model = Counter(array(0.0))
    model.step(array(1.0))
    twin, method = copy.deepcopy(model), copy.deepcopy(model.step)
    assert host(twin.step(array(5.0))) == 6.0
    assert host(method(array(7.0))) == 8.0
    assert host(model.count) == 1.0


# ---- beside other transformations ----------------------------------------------------------------------------------


def test_it_nests_with_transforms_in_every_order(array: Any) -> None:
    cube = lambda x: x**3  # noqa: E731
    for _ in range(2):
        assert host(jacrev(jit(cube))(array(2.0))) == 12.0
        assert host(jit(jacrev(jit(cube)))(array(2.0))) == 12.0
        assert host(jit(jit(cube))(array(2.0))) == 8.0
        assert host(jacrev(jit(jacrev(cube)))(array(2.0))) == 12.0
        assert host(jit(jacrev(jacrev(jit(cube))))(array(2.0))) == 12.0


def test_variables_pass_through_all_levels(array: Any) -> None:
    v = Variable(array(1.0))

    @jit
    def inner(x: Any) -> Any:
        v.value = v * x
        return v.value * x

    @jit
    def outer(x: Any) -> Any:
        return inner(x) + inner(x)

    # v x^2 + (v x) x^2 at v = 1, x = 2 is 12; its derivative is 2 v x + 3 v x^2 = 16, and x^2 + x^3 = 12 for v
    assert host(outer(array(2.0))) == 12.0
    assert host(v) == 4.0
    v.value = array(1.0)
    of_v, of_x = jacrev(outer, v, 0)(array(2.0))
    assert (host(of_v), host(of_x), host(v)) == (12.0, 16.0, 4.0)
    v.value = array(1.0)
    compiled = jit(jacrev(outer, v, 0))
    for _ in range(2):
        v.value = array(1.0)
        of_v, of_x = compiled(array(2.0))
        assert (host(of_v), host(of_x), host(v)) == (12.0, 16.0, 4.0)


def test_transformations_of_jax_around_it() -> None:
    w = Variable(jnp.asarray(3.0))
    compiled = jit(lambda x: w * x**2)
    assert jax.grad(compiled)(2.0) == 12.0
    assert jax.jit(compiled)(2.0) == 12.0
    assert jax.vmap(compiled)(jnp.asarray([1.0, 2.0])).tolist() == [3.0, 12.0]
    assert jit(jax.grad(compiled))(2.0) == 12.0
    assert jit(jax.vmap(jacrev(compiled)))(jnp.asarray([1.0, 2.0])).tolist() == [6.0, 12.0]
    assert_nothing_open(w)


def test_a_write_within_a_trace_of_jax_is_refused_and_the_next_call_is_right() -> None:
    w = Variable(jnp.asarray(3.0), name="w")

    @jit
    def f(x: Any) -> Any:
        w.value = w * x
        return w.value * 1.0

    with pytest.raises(anyjac.TracerLeakError, match="'w'"):
        jax.jit(f)(2.0)
    assert_nothing_open(w)
    assert float(w) == 3.0
    assert (float(f(jnp.asarray(2.0))), float(w)) == (6.0, 6.0)


def test_transformations_of_torch_around_it() -> None:
    w = Variable(torch.tensor(3.0, dtype=torch.float64))
    compiled = jit(lambda x: w * x**2)
    x = torch.tensor(2.0, dtype=torch.float64)
    for _ in range(2):
        assert host(compiled(x)) == 12.0
        assert host(torch.func.grad(compiled)(x)) == 12.0
        assert host(torch.func.vmap(compiled)(torch.stack([x, x + 1]))) == [12.0, 27.0]
    leaf = x.clone().requires_grad_()
    compiled(leaf).backward()
    assert host(leaf.grad) == 12.0
    assert_nothing_open(w)


def test_an_argument_of_torch_is_changed_in_place_once_in_every_call() -> None:
    compiled = jit(lambda x: x.add_(1.0))
    for start in (torch.zeros(2, 3), torch.zeros(3, 2).T, torch.zeros(4, 4)[::2, ::2]):
        compiled(start)
        assert host(start) == np.ones(start.shape).tolist()
        compiled(start)
        assert host(start) == np.full(start.shape, 2.0).tolist()


def _by_norm(found: Any, x: Any) -> None:
    torch.nn.functional.batch_norm(torch.stack([x, 2.0 * x]), found, torch.ones(3), training=True)


def _by_observer(found: Any, x: Any) -> None:
    on = torch.ones(1, dtype=torch.int64)
    scale, zero_point = torch.ones(1), torch.zeros(1, dtype=torch.int32)
    torch.fused_moving_avg_obs_fake_quant(x, on, on, found[:1], found[1:2], scale, zero_point, 0.5, 0, 255, 0)


def _by_assigned_data(found: Any, x: Any) -> None:
    found.data = found.data + x


WRITES = {
    "whole": lambda found, x: found.add_(x),
    "view": lambda found, x: found[1:].unsqueeze(0).add_(1.0),
    "list": lambda found, x: torch._foreach_addcmul_([found], [x], [x], value=0.5),
    "out": lambda found, x: torch.add(found, x, out=found),
    "data": lambda found, x: found.data.add_(x),
    "view of data": lambda found, x: found.data[1:].mul_(0.5).add_(1.0),
    "assigned data": _by_assigned_data,
    "norm": _by_norm,
    "observer": _by_observer,
}
"""Ways to write a tensor of three elements in place; some leave its version unchanged."""


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_tensor_of_torch_that_the_function_found_elsewhere_is_changed_once_in_every_call(write: Any) -> None:
    found = torch.zeros(3)

    def counts(x: Any) -> Any:
        x.mul_(2.0)
        write(found, x)
        return x.sum() + found.sum()

    compiled, plain = torch.ones(3), torch.ones(3)
    function = jit(counts)
    expected = []
    for _ in range(3):
        expected.append((counts(plain).item(), found.tolist(), plain.tolist()))
    found.zero_()
    for total, elsewhere, argument in expected:
        assert function(compiled).item() == pytest.approx(total)
        assert found.tolist() == pytest.approx(elsewhere)
        assert compiled.tolist() == argument


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_whatever_writes_a_tensor_of_torch_in_place_writes_the_variable_that_gave_it(write: Any) -> None:
    compiled, expected = Variable(torch.zeros(3)), torch.zeros(3)

    @jit
    def step(x: Any) -> Any:
        slopes = anyjac.grad(lambda y: (write(compiled.value, x), (compiled.value * y).sum())[1])(x)
        return slopes + compiled.value

    for _ in range(3):
        x = torch.tensor([1.0, 2.0, 3.0])
        write(expected, x)
        assert host(step(x)) == pytest.approx((2.0 * expected).tolist())
        assert host(compiled) == pytest.approx(expected.tolist())


def test_other_data_of_a_tensor_of_torch_is_shared_as_without_a_compiler() -> None:
    def shares(x: Any) -> Any:
        given, y, view = 3.0 * x, x.clone(), x.clone()[:1]
        y.data = given
        given.add_(1.0)
        y[0] = 7.0
        view.data = torch.zeros(2)
        return y, given, view

    x = torch.ones(3)
    compiled = jit(shares)
    for _ in range(2):
        assert host(compiled(x)) == host(shares(x)) == ([7.0, 4.0, 4.0], [7.0, 4.0, 4.0], [0.0, 0.0])


def test_a_tensor_of_torch_elsewhere_that_is_given_data_of_another_shape_is_refused_by_what_compiles() -> None:
    found = torch.ones(3)
    row = found[:2]

    def grows(x: Any) -> Any:
        found.data = torch.ones(4)
        return x

    def rebinds(x: Any) -> Any:
        row.data = x[:2]
        return x

    for function, message in ((grows, r"a tensor of torch.float32\[3\]"), (rebinds, "a view")):
        with pytest.raises(anyjac.NotSupportedError, match=message):
            jit(function)(torch.ones(3))
    assert host(found) == [1.0, 1.0, 1.0]


def _given_out(x: Any, how: str) -> Any:
    ways = {
        "numpy": lambda: torch.as_tensor(2.0 * x.numpy()),
        "array": lambda: torch.as_tensor(np.asarray(x)),
        "list": lambda: torch.tensor(x.tolist()),
        "dlpack": lambda: torch.from_dlpack(x),
    }
    return ways[how]()


@pytest.mark.parametrize("how", ["numpy", "array", "list", "dlpack"])
def test_numbers_of_torch_that_differ_from_call_to_call_are_not_handed_out_while_compiling(how: str) -> None:
    v, layer = Variable(torch.ones(2)), torch.nn.Linear(2, 2)

    def written(x: Any) -> Any:
        y = torch.zeros(2)
        torch._foreach_add_([y], [x])
        return y

    differing = {
        "argument": lambda x: x,
        "result": lambda x: (x[None] * 2.0)[0],
        "written": written,
        "variable": lambda x: v.value,
        "random": lambda x: torch.rand(2),
        "gradient": lambda x: anyjac.grad(lambda: layer(torch.ones(2)).sum(), grad_vars=layer)()["bias"] * x[0],
    }
    x = torch.ones(2)
    for tensor in differing.values():
        with pytest.raises(anyjac.TracerLeakError, match="asks a tensor for its numbers"):
            jit(lambda x, tensor=tensor: _given_out(tensor(x), how) * x)(x)
    elsewhere = torch.full((2,), 3.0)
    assert host(jit(lambda x: x * _given_out(elsewhere, how))(x)) == host(_given_out(elsewhere, how))
    assert host(jit(lambda x: x * sum(torch.arange(4).tolist()))(x)) == [6.0, 6.0]


@pytest.mark.parametrize("foreach", [False, True])
def test_an_optimizer_of_torch_steps_in_a_compiled_function(foreach: bool) -> None:
    layers = [torch.nn.Linear(2, 1) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.1, foreach=foreach) for layer in layers]

    def step(x: Any, layer: Any = layers[0], optimizer: Any = optimizers[0]) -> Any:
        gradients, value = anyjac.grad(lambda x: (layer(x) ** 2).sum(), grad_vars=layer, return_value=True)(x)
        for name, parameter in layer.named_parameters():
            parameter.grad = gradients[name]
        optimizer.step()
        return value

    compiled = jit(lambda x: step(x, layers[1], optimizers[1]))
    for _ in range(3):
        x = torch.randn(4, 2)
        torch.testing.assert_close(compiled(x), step(x))
        torch.testing.assert_close(layers[1].state_dict(), layers[0].state_dict())


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_comes_to_nothing_leaves_tensors_of_torch_elsewhere_alone(write: Any, fails: bool) -> None:
    found, expected, v = torch.zeros(3), torch.zeros(3), Variable(torch.ones(3))

    @jit
    def step(x: Any) -> Any:
        write(found, x)
        write(found, x)
        if fails:
            raise ZeroDivisionError
        return v.value * found  # the function runs again, with the Variable as an input

    x = torch.tensor([1.0, 2.0, 3.0])
    for _ in range(2):
        if fails:
            with pytest.raises(ZeroDivisionError):
                step(x)
        else:
            write(expected, x), write(expected, x)
            assert host(step(x)) == pytest.approx(expected.tolist())
        assert found.tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("around", ["graph", "vmap", "jit"])
def test_where_nothing_is_compiled_a_function_that_reads_a_new_variable_runs_once(around: str) -> None:
    found, v = torch.zeros(3), Variable(torch.ones(3))

    @jit
    def inner(x: Any) -> Any:
        found.add_(1.0)
        return v.value * x

    x = torch.ones(3)
    for count in (1.0, 2.0):
        if around == "graph":
            inner(x.clone().requires_grad_()).sum().backward()
        elif around == "vmap":
            torch.func.vmap(inner)(x[None])
        else:
            outer = jit(lambda x: v.value + inner(x))
            outer(x)
        assert found.tolist() == [count] * 3


def test_strides_and_lazy_conjugates_of_torch_make_no_difference() -> None:
    compiled = jit(lambda z: (2 * z).reshape(-1))
    z = torch.tensor([[1 + 2j, 3 - 1j], [0 + 1j, 2 + 0j]])
    for _ in range(2):
        for each in (z, z.conj(), z.T, z.mH, z[:, :1].expand(2, 2), z[::2]):
            assert host(compiled(each)) == host((2 * each).reshape(-1))


def test_the_precision_of_torch_is_that_of_the_call() -> None:
    compiled = jit(lambda x: torch.ones(2) * x)
    x = torch.tensor(2.0)
    assert compiled(x).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert compiled(x).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert compiled(x).dtype == torch.float32


@pytest.mark.parametrize("first", [True, False])
def test_what_is_compiled_under_autocast_of_torch_is_for_calls_under_autocast(first: bool) -> None:
    layer = torch.nn.Linear(64, 64)
    x = torch.randn(8, 64)

    def loss(x: Any) -> tuple[Any, Any]:
        y = layer(x)
        return (torch.softmax(y, -1).float() ** 2).sum(), y

    plain = anyjac.grad(loss, grad_vars=layer, has_aux=True)
    compiled = jit(plain)
    for on in (first, not first, first, not first):
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            (expected, y), (found, of_compiled) = plain(x), compiled(x)
        assert y.dtype == of_compiled.dtype == (torch.bfloat16 if on else torch.float32)
        error = (found["weight"] - expected["weight"]).norm() / expected["weight"].norm()
        assert error < (0.01 if on else 1e-6)


@pytest.mark.needs("compiler")
def test_code_that_torch_has_written_gives_the_same() -> None:
    v = Variable(torch.ones(3, dtype=torch.float64))

    def f(x: Any) -> Any:
        v.value = v + 1.0
        return torch.sin(v.value * x)

    x = torch.tensor(POINT)
    compiled, count = jit(jacrev(f)), 1.0
    for _ in range(3):
        count += 1.0
        assert np.allclose(compiled(x), np.diag(count * np.cos(count * POINT)), rtol=1e-12)
        assert host(v) == [count] * 3


# ---- errors --------------------------------------------------------------------------------------------------------


def test_an_error_leaves_every_variable_as_it_was_and_the_next_call_is_right(array: Any) -> None:
    a, b = Variable(array(1.0)), Variable(array([1.0, 2.0]))

    @jit
    def f(x: Any, fails: bool) -> Any:
        a.value = a + x
        b[0] = x
        if fails:
            raise ValueError("no")
        return a.value * 1.0

    for before in (1.0, 2.0, 3.0):
        b.value = array([1.0, 2.0])
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                f(array(1.0), True)
            assert (host(a), host(b)) == (before, [1.0, 2.0])
            assert_nothing_open(a, b)
        assert host(f(array(1.0), False)) == before + 1.0
        assert (host(a), host(b)) == (before + 1.0, [1.0, 2.0])


def test_an_error_for_a_new_shape_leaves_a_known_call_right(array: Any) -> None:
    v = Variable(array(1.0))

    @jit
    def f(x: Any) -> Any:
        v.value = v + 1.0
        if x.ndim:
            raise ValueError("no")
        return x

    for count in (2.0, 3.0, 4.0):
        f(array(1.0))
        with pytest.raises(ValueError, match="no"):
            f(array([1.0]))
        assert host(v) == count
        assert_nothing_open(v)


def test_a_branch_on_values_is_an_error_of_the_framework_and_changes_nothing(compiling: Backend) -> None:
    v = Variable(made(compiling, 1.0))

    @jit
    def f(x: Any, branch: bool) -> Any:
        v.value = v + x
        if branch:
            return x if x > 0 else -x
        return x

    for count in range(1, 4):
        with pytest.raises((jax.errors.TracerBoolConversionError, RuntimeError)):
            f(made(compiling, 1.0), True)
        assert host(v) == count
        assert_nothing_open(v)
        f(made(compiling, 1.0), False)


def test_a_branch_on_a_variable_changes_nothing_either(compiling: Backend) -> None:
    v = Variable(made(compiling, 1.0))

    @jit
    def f(x: Any) -> Any:
        v.value = v + x if v.value > 0 else v - x

    for _ in range(2):
        with pytest.raises((jax.errors.TracerBoolConversionError, RuntimeError)):
            f(made(compiling, 1.0))
        assert host(v) == 1.0
        assert_nothing_open(v)


def test_a_write_of_another_shape_is_refused_by_name(array: Any) -> None:
    v = Variable(array([1.0]), name="v")

    @jit
    def f(x: Any) -> Any:
        v.value = x

    f(array([2.0]))
    with pytest.raises(anyjac.VariableWriteError, match="'v'"):
        f(array([2.0, 3.0]))
    f(array([4.0]))
    assert host(v) == [4.0]


def test_a_coroutine_function_is_refused(array: Any) -> None:
    async def f(x: Any) -> Any:
        return x

    with pytest.raises(anyjac.OutputError, match="coroutine"):
        jit(f)(array(1.0))


# ---- which framework and which device ------------------------------------------------------------------------------


def test_one_function_serves_all_frameworks_in_turn() -> None:
    compiled = jit(jacrev(lambda x: x * x))
    for _ in range(3):
        for value in (jnp.asarray(3.0), np.array(3.0), torch.tensor(3.0)):
            found = compiled(value)
            assert float(found) == 6.0
            assert type(found) is type(value)


def test_the_context_goes_before_the_arrays_each_time() -> None:
    compiled = jit(lambda x: x * x)
    x = jnp.asarray(3.0)
    for _ in range(2):
        assert isinstance(compiled(x), jax.Array)
        with anyjac.use_backend("torch"):
            for _ in range(2):
                assert isinstance(compiled(x), torch.Tensor)
        with anyjac.use_backend("numpy"):
            assert isinstance(compiled(x), (np.ndarray, np.generic))


def test_a_named_backend_goes_before_the_context() -> None:
    compiled, of_transform = jit(lambda x: x * x, backend="jax"), jit(jacrev(lambda x: x * x, backend="jax"))
    for each, expected in ((compiled, 9.0), (of_transform, 6.0)):
        for _ in range(2):
            with anyjac.use_backend("torch"):
                assert isinstance(each(3.0), jax.Array)
                assert float(each(jnp.asarray(3.0))) == float(each(np.array(3.0))) == expected


def test_the_default_decides_where_nothing_else_does() -> None:
    compiled, of_transform = jit(lambda x: x + 1), jit(jacrev(lambda x: x * x))
    try:
        for name in ("jax", "torch", "jax"):
            anyjac.set_default_backend(name)
            backend = anyjac.get_backend(name)
            for _ in range(2):
                assert backend.is_array(compiled(3.0))
                assert backend.is_array(of_transform(3.0))
    finally:
        anyjac.set_default_backend("numpy")
    assert isinstance(of_transform(3.0), (np.ndarray, np.generic))


def test_the_environment_is_looked_at_when_something_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(lambda x: x * x)
    compiled = jit(counted)
    x = jnp.asarray(3.0)
    assert isinstance(compiled(x), jax.Array)
    monkeypatch.setenv("ANYJAC_BACKEND", "torch")
    assert isinstance(compiled(x), jax.Array), "a call like the one before"
    assert isinstance(compiled(np.array(3.0)), torch.Tensor)
    assert isinstance(compiled(x), torch.Tensor)
    monkeypatch.delenv("ANYJAC_BACKEND")
    monkeypatch.setenv("ANYJAC_DEVICE", "cpu:2")
    other = jit(lambda x: x * x)
    for _ in range(2):
        assert other(x).devices() == {jax.devices()[2]}


def test_a_device_is_where_the_work_is_done_and_results_stay() -> None:
    here, there = jax.devices()[0], jax.devices()[3]
    v = Variable(jax.device_put(jnp.asarray(1.0), here))

    @jit(device="cpu:3")
    def f(x: Any) -> Any:
        v.value = v + x
        return {"x": x * 2.0, "new": jnp.zeros(2)}

    for count in (2.0, 3.0, 4.0):
        found = f(jax.device_put(jnp.asarray(1.0), here))
        assert found["x"].devices() == found["new"].devices() == {there}
        assert v.value.devices() == {here}
        assert float(v) == count
    assert jit(jacrev(lambda x: x * x, device="cpu:2"))(jnp.ones(2)).devices() == {jax.devices()[2]}


def test_arrays_stay_on_their_device() -> None:
    compiled = jit(jacrev(lambda x: x * x))
    for _ in range(2):
        for device in jax.devices()[:3]:
            assert compiled(jax.device_put(jnp.ones(2), device)).devices() == {device}


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(anyjac.DeviceError, match="nowhere"):
        jit(lambda x: x, device="nowhere")(jnp.ones(2))


def test_a_variable_tells_the_framework_where_nothing_else_does(compiling: Backend) -> None:
    v = Variable(made(compiling, 1.0))

    @jit
    def step(n: Any = 1.0) -> Any:
        v.value = v * 2.0 + 0.0 * n
        return v.value * 1.0

    for n in (2.0, 4.0, 8.0):
        found = step()
        assert compiling.is_array(found)
        assert host(found) == n
    assert host(step(np.array(1.0))) == 16.0
    assert host(v) == 16.0


def test_a_method_without_arguments_learns_it_once_for_each_object(compiling: Backend) -> None:
    runs = []

    class Model:
        def __init__(self) -> None:
            self.v = Variable(made(compiling, 0.0))

        @jit
        def step(self, how: str = "up") -> None:
            runs.append(how)
            self.v.value = self.v + (1.0 if how == "up" else -1.0)

    model = Model()
    model.step()
    first = len(runs)
    for _ in range(4):
        model.step()
    assert len(runs) == first
    assert host(model.v) == 5.0
    model.step("down")
    count = len(runs)
    for _ in range(4):
        model.step("down")
    assert len(runs) == count
    assert host(model.v) == 0.0


def test_what_was_learned_does_not_stand_against_other_arrays() -> None:
    v = Variable(jnp.asarray(2.0))
    compiled = jit(lambda x, reads: x * v.value if reads else x * 1.0)
    assert isinstance(compiled(np.array(3.0), True), jax.Array)
    assert isinstance(compiled(torch.tensor(3.0), False), torch.Tensor)
    with pytest.raises(anyjac.MixedBackendsError):
        compiled(torch.tensor(3.0), True)
    assert float(compiled(np.array(3.0), True)) == 6.0
    assert_nothing_open(v)


def test_arrays_of_two_frameworks_are_refused_unless_one_is_named() -> None:
    v = Variable(jnp.asarray(2.0), name="v")
    compiled = jit(lambda x: x * v.value)
    for _ in range(2):
        with pytest.raises(anyjac.MixedBackendsError, match="'v'"):
            compiled(torch.tensor(3.0))
        assert_nothing_open(v)
    assert float(compiled(jnp.asarray(3.0))) == 6.0
    with anyjac.use_backend("torch"):
        for _ in range(2):
            assert float(compiled(torch.tensor(3.0))) == 6.0
    with pytest.raises(anyjac.MixedBackendsError):
        compiled(torch.tensor(3.0))
    both = [jnp.asarray(1.0), torch.tensor(1.0)]
    with pytest.raises(anyjac.MixedBackendsError, match="several frameworks"):
        jit(lambda xs: xs[0])(both)
    assert isinstance(jit(lambda xs: xs[0] + xs[1], backend="jax")(both), jax.Array)


def test_a_variable_of_another_framework_is_written_back_in_its_own() -> None:
    v = Variable(np.array(1.0))

    @jit
    def f(x: Any) -> Any:
        v.value = v + x
        return v.value * 1.0

    for n in (2.0, 3.0, 4.0):
        assert isinstance(f(jnp.asarray(1.0)), jax.Array)
        assert isinstance(v.value, np.ndarray)
        assert float(v) == n


# ---- threads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [True, False])
def test_concurrent_calls_lose_no_write(backend: Backend, array: Any, warm: bool) -> None:
    v = Variable(array(0.0))

    def add(x: Any) -> Any:
        v.value = v + x
        return x * x

    compiled, plainly = jit(add), jacrev(add)
    if warm:
        compiled(array(0.0))

    def many(each: Any) -> None:
        for _ in range(20):
            each(array(1.0))

    run_in_threads([functools.partial(many, each) for each in (compiled, compiled, compiled, plainly)])
    assert host(v) == 80.0
    assert_nothing_open(v)


def test_functions_are_compiled_in_many_threads_at_once_while_others_run(compiling: Backend) -> None:
    v, known = Variable(made(compiling, 0.0)), jit(lambda x: x * 2.0)
    known(made(compiling, 1.0))

    def compile_new() -> None:
        for n in range(1, 5):

            @jit
            def fresh(x: Any, n: int = n) -> Any:
                v.value = v + x
                return (x * n) ** 2

            assert host(fresh(made(compiling, 1.0))) == n**2
            assert host(jacrev(fresh)(made(compiling, 1.0))) == 2 * n**2

    def run_known() -> None:
        for _ in range(100):
            assert host(known(made(compiling, 3.0))) == 6.0

    run_in_threads([compile_new, compile_new, compile_new, run_known])
    assert host(v) == 24.0
    assert_nothing_open(v)
    run_known()


@pytest.mark.parametrize("swallows", [False, True])
def test_a_call_that_is_compiled_waits_for_no_variable_of_a_call_that_waits_for_it(
    compiling: Backend, swallows: bool
) -> None:
    shared, entered, owned = Variable(made(compiling, 1.0)), threading.Event(), threading.Event()

    @jit
    def inner(x: Any) -> Any:
        entered.set()
        assert owned.wait(60)
        try:
            shared.value = shared + x
        except Exception:
            if not swallows:
                raise
        return x * x

    def outer(x: Any) -> Any:
        shared.value = shared * 1.0
        owned.set()
        assert entered.wait(60)
        return inner(made(compiling, 2.0)) * x

    run_in_threads([lambda: inner(made(compiling, 2.0)), lambda: jacrev(outer)(made(compiling, 1.0))])
    assert host(shared) == 5.0
    assert_nothing_open(shared)


# ---- what is kept --------------------------------------------------------------------------------------------------


def test_neither_arguments_nor_results_nor_tracers_are_kept(compiling: Backend) -> None:
    references: dict[str, weakref.ref[Any]] = {}

    def f(x: Any) -> Any:
        y, thing = x * 2, Thing()
        references.update(inside=weakref.ref(y), x=weakref.ref(x), thing=weakref.ref(thing))
        v.value = v + y
        return {"y": y, "none": None}

    v = Variable(made(compiling, [1.0, 2.0]))
    compiled = jit(f)
    for _ in range(2):
        x, before = made(compiling, [1.0, 2.0]), v.value
        found = compiled(x)
        references.update(given=weakref.ref(x), found=weakref.ref(found["y"]), before=weakref.ref(before))
        del x, found, before
    gc.collect()  # the compilers' own cycles
    assert [name for name, reference in references.items() if reference() is not None] == []


KEYED: dict[str, Callable[[Any, Any], Any]] = {
    "a dict": lambda key, x: {key: x},
    "a dict in a list": lambda key, x: [{key: x}],
    "a dict in dicts": lambda key, x: {"w": {"w": {key: (x, x)}}},
    "a dict without arrays": lambda key, x: {key: {}},
    "a dict of dicts that are ordered": lambda key, x: OrderedDict(w=OrderedDict([(key, x)])),
    "a tuple that is a key": lambda key, x: {("a", (key,)): x},
    "a frozen set that is a key": lambda key, x: {frozenset([key]): x},
    "a dict in a deque": lambda key, x: deque([{key: x}]),
    "a frozen set": lambda key, x: frozenset([key]),
    "a frozen dataclass": lambda key, x: Frozen(key),
    "a frozen dataclass in a frozen dataclass": lambda key, x: Frozen(Frozen(key)),
}


@dataclass(frozen=True)
class Frozen:
    inner: Any


def first_key(tree: Any) -> Any:
    """Return what stands innermost, by first keys and items."""
    if isinstance(tree, Frozen):
        return first_key(tree.inner)
    if isinstance(tree, Mapping):
        key = next(iter(tree))
        return first_key(tree["w"] if key == "w" else key)
    if isinstance(tree, tuple):
        return first_key(tree[-1])
    if isinstance(tree, (list, frozenset, deque)):
        return first_key(next(iter(tree)))
    return tree


EQUAL_KEYS = (
    1,
    True,
    1.0,
    np.int64(1),
    np.float32(1.0),
    Fraction(1),
    0.0,
    -0.0,
    0,
    False,
    Decimal("0"),
    Decimal("0.0"),
)


@pytest.mark.parametrize("where", KEYED)
def test_equal_keys_of_other_types_are_other_kinds_of_arguments(compiling: Backend, where: str) -> None:
    number_of = {f"{type(key)} {key}": float(number) for number, key in enumerate(EQUAL_KEYS)}

    @jit
    def f(tree: Any, x: Any) -> Any:
        key = first_key(tree)
        return x * number_of[f"{type(key)} {key}"]

    x = made(compiling, 1.0)
    for _ in range(2):
        assert [host(f(KEYED[where](key, x), x)) for key in EQUAL_KEYS] == list(number_of.values())


@pytest.fixture
def without_collector() -> Iterator[None]:
    with collector_off():
        yield


def test_a_call_that_was_compiled_makes_no_cycle(compiling: Backend, without_collector: None) -> None:
    v = Variable(made(compiling, [1.0, 2.0]))

    @jit
    def f(x: Any) -> Any:
        v.value = v + x
        return {"y": x * 2, "text": "a"}

    f(made(compiling, [1.0, 2.0]))
    gc.collect()
    x, before = made(compiling, [1.0, 2.0]), v.value
    found = f(x)
    references = [weakref.ref(each) for each in (x, before, found["y"])]
    del x, before, found
    assert [reference() for reference in references] == [None] * 3


@pytest.mark.parametrize("member", [anyjac.vjp, anyjac.linearize])
def test_a_linear_map_is_no_result_of_a_compiled_function_but_on_jax(array: Any, member: Any) -> None:
    if array.args[0].name == "jax":  # where it is a container of arrays
        assert anyjac.jit(member(lambda x: x * x))(array([1.0, 2.0]))(array([1.0, 1.0])).tolist() == [2.0, 4.0]
        return
    with pytest.raises(anyjac.OutputError, match="which holds what one run of it has computed"):
        anyjac.jit(member(lambda x: x * x))(array([1.0, 2.0]))


def test_an_object_around_arrays_is_a_result_of_a_compiled_function(array: Any) -> None:
    compiled = anyjac.jit(lambda x: types.SimpleNamespace(y=[x * x], name="a"))
    for factor in (1.0, 2.0):
        found = compiled(array([factor, 2.0]))
        assert (found.name, np.asarray(found.y[0]).tolist()) == ("a", [factor**2, 4.0])


# ---- PyTorch: numbers on the host, complex numbers, what cannot be compiled ------------------------------------------

INDEX = anyjac.Variable(torch.tensor([0]))
TO_HOST: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda x: torch.as_tensor(np.sin(x.numpy())),
    "tolist": lambda x: x * x.tolist()[0],
    "asarray": lambda x: torch.as_tensor(np.asarray(x)),
    "asarray of a Variable": lambda x: x * torch.as_tensor(np.asarray(INDEX)),
    "random numbers": lambda x: x * torch.as_tensor(torch.rand(2).numpy()),
    "a product with an operator": lambda x: anyjac.jacrev(lambda z: z**2).as_linear_operator(x) @ np.ones(2),
    "an index for a product": lambda x: anyjac.at(x)[x.to(torch.int64) % 2].multiply(2.0),
}


@pytest.mark.parametrize("name", TO_HOST)
def test_numbers_that_a_compiled_call_has_not_computed_are_no_constants_on_pytorch(name: str) -> None:
    with pytest.raises(anyjac.TracerLeakError, match=r"a compiled function asks a tensor for its numbers"):
        anyjac.jit(TO_HOST[name])(torch.tensor([1.0, 2.0]))


def test_numbers_of_what_is_constant_can_be_had_in_a_compiled_function() -> None:
    compiled = anyjac.jit(lambda x: x * float(np.asarray(torch.ones(3)).sum()))
    for value in (1.0, 2.0):
        assert compiled(torch.tensor(value)) == 3.0 * value


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_adding_at_an_index_that_is_computed_is_compiled(array: Any, sign: float) -> None:
    def add(x: Any, numbers: Any) -> Any:
        places = anyjac.at(x)[numbers]
        return places.add(x[:1]) if sign > 0 else places.subtract(x[:1])

    xp = anyjac.array_namespace(array([1.0]))
    compiled = anyjac.jit(add)
    x = np.array([1.0, 2.0, 3.0])
    for values in ((0, 2, 2), (1, 1, 1)):
        expected = x.copy()
        np.add.at(expected, list(values), sign)
        np.testing.assert_array_equal(np.asarray(compiled(array(x), xp.asarray(values))), expected)


def test_complex_numbers_are_those_of_the_uncompiled_call_on_pytorch() -> None:
    z = torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128)
    function = anyjac.jacfwd(lambda z: torch.cat([z.real, z.imag]))
    for _ in range(2):
        torch.testing.assert_close(anyjac.jit(function)(z), function(z))


@pytest.mark.needs("compiler")
def test_what_pytorch_fails_to_compile_runs_as_it_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(torch._inductor, "compile", fails)
    compiled = anyjac.jit(anyjac.grad(lambda x: (x**3).sum()))
    with pytest.warns(anyjac.UncompiledWarning, match="PyTorch fails to compile .* RuntimeError: no kernel"):
        compiled(torch.tensor([1.0, 2.0]))
    np.testing.assert_array_equal(compiled(torch.tensor([3.0, 4.0])), [27.0, 48.0])


# ---- static arguments ------------------------------------------------------------------------------------------------


def power(x: Any, times: Any = 2, *, sign: Any = 1) -> Any:
    """Branch on what has to be static."""
    for _ in range(times):
        x = x * sign * 2.0
    return x


@pytest.mark.parametrize(
    "options",
    [
        {"static_argnums": (1,), "static_argnames": "sign"},
        {"static_argnums": -1, "static_argnames": ["sign"]},
        {"static_argnames": ("times", "sign")},
    ],
)
def test_static_arguments_are_seen_as_they_are(compiling: Backend, options: dict[str, Any]) -> None:
    counted = Counted(power)
    counted.__signature__ = inspect.signature(power)  # type: ignore[attr-defined]
    compiled, x = jit(counted, **options), made(compiling, 1.0)
    for _ in range(2):
        assert [host(compiled(x, times)) for times in (1, 2, 3)] == [2.0, 4.0, 8.0]
        assert host(compiled(x, 2, sign=-1)) == 4.0
        if options["static_argnums" if "static_argnums" in options else "static_argnames"] != -1:
            assert host(compiled(x, times=3, sign=-1)) == -8.0
    assert counted.runs <= 10


def test_equal_static_arguments_of_other_types_are_other_kinds(compiling: Backend) -> None:
    compiled = jit(lambda x, key: x * {bool: 2.0, int: 3.0, float: 5.0}[type(key[0])], static_argnums=1)
    x = made(compiling, 1.0)
    assert [host(compiled(x, (key,))) for key in (1, True, 1.0, 1)] == [3.0, 2.0, 5.0, 3.0]


class Powers:
    @functools.partial(jit, static_argnums=1)
    def raised(self, x: Any, times: int) -> Any:
        return x**times if times > 1 else x * 1.0


def test_self_is_not_counted_among_static_arguments(compiling: Backend) -> None:
    assert host(Powers().raised(made(compiling, 3.0), 2)) == 9.0


def test_static_arguments_survive_copies_and_pickles_and_are_shown() -> None:
    compiled = jit(power, static_argnums=1, static_argnames=("sign",))
    assert repr(compiled) == "jit(power, static_argnums=1, static_argnames='sign')"
    for other in (copy.copy(compiled), copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert repr(other) == repr(compiled)
        assert float(other(np.array(1.0), 2)) == 4.0
    assert repr(jit(static_argnames=["a", "b"])) == "jit(static_argnames=('a', 'b'))"


STATIC_REFUSED: dict[str, tuple[dict[str, Any], tuple[Any, ...], type[Exception], str]] = {
    "a float": ({"static_argnums": 1.0}, (), anyjac.InputTypeError, "static_argnums must be an int or a sequence of i"),
    "a bool": (
        {"static_argnums": (True,)},
        (),
        anyjac.InputTypeError,
        "static_argnums must be an int or a sequence",
    ),
    "a number for a name": (
        {"static_argnames": 1},
        (),
        anyjac.InputTypeError,
        "static_argnames must be a name or a",
    ),
    "twice": ({"static_argnums": (1, 1)}, (), anyjac.InputValueError, "static_argnums=(1, 1) names an argument twice"),
    "out of range": ({"static_argnums": 5}, (1.0, 2), anyjac.InputValueError, "static_argnums has 5, and the function"),
    "no such name": ({"static_argnames": "n"}, (1.0, 2), anyjac.InputValueError, "static_argnames has 'n', and the fu"),
    "a list": ({"static_argnums": 1}, (1.0, [1]), anyjac.InputTypeError, "args[1] is static and not hashable, [1] (of"),
    "an array": ({"static_argnums": 1}, (1.0, np.ones(2)), anyjac.InputTypeError, "args[1] is static and an array, of"),
}


@pytest.mark.parametrize("case", STATIC_REFUSED)
def test_what_cannot_be_static_is_refused_by_name(case: str) -> None:
    options, args, error, said = STATIC_REFUSED[case]
    with pytest.raises(error, match=re.escape(said)):
        jit(power, **options)(*args)


VARYING: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "unique": lambda x: x.sum() * torch.unique(x).shape[0],
    "nonzero": lambda x: x.sum() * torch.nonzero(x).shape[0],
    "where of one": lambda x: x.sum() * len(torch.where(x > 1)[0]),
    "a mask": lambda x: x[x > 1].sum() * len(x[x > 1]),
    "masked_select": lambda x: torch.masked_select(x, x > 1).sum() * len(torch.masked_select(x, x > 1)),
    "repeat_interleave": lambda x: x.sum() * len(torch.repeat_interleave(x, x.long())),
    "bincount": lambda x: x.sum() * len(torch.bincount(x.long())),
    "unique_consecutive": lambda x: x.sum() * len(torch.unique_consecutive(x)),
}
"""Functions that use shapes which depend on values."""


@pytest.mark.parametrize("name", VARYING)
def test_a_function_of_torch_with_shapes_that_depend_on_values_runs_uncompiled(name: str) -> None:
    points = [torch.tensor(values) for values in ([1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [3.0, 3.0, 0.0])]
    for transform in (lambda f: f, jacrev):
        compiled = jit(transform(VARYING[name]))
        with pytest.warns(anyjac.UncompiledWarning, match="depends on values"):
            found = [compiled(point).tolist() for point in points]
        assert found == [transform(VARYING[name])(point).tolist() for point in points]


@pytest.mark.parametrize("keys", [(1, True), (1, 1.0), (0.0, -0.0)], ids=str)
def test_equal_keys_in_the_value_of_a_variable_are_told_apart(backend: Backend, keys: tuple[Any, Any]) -> None:
    v = Variable({keys[0]: backend.asarray(POINT)}, allow_reshape=True, backend=backend)
    compiled = jit(lambda: [repr(key) for key in v.value], backend=backend)
    seen = []
    for key in (*keys, keys[0]):
        v.value = {key: backend.asarray(POINT)}
        seen += compiled()
    assert seen == [repr(keys[0]), repr(keys[1]), repr(keys[0])]
