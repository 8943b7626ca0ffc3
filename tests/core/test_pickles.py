"""Pickles: the names in them, and the reading of pickles from before the modules were arranged in rooms.

`pickles/before_rooms.pickle` holds a dict: for each thing below the bytes that ``pickle.dumps(thing, protocol=4)`` gave
at commit e414446, when NumPy was the backend. Nothing is ever taken out of it.
"""

import collections
import copy
import functools
import operator
import pickle
import pickletools
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickled_model import Box, Layer, Layers, Spring, cube, shares, slope

import anyjac

BEFORE: dict[str, bytes] = pickle.loads((Path(__file__).parent / "pickles" / "before_rooms.pickle").read_bytes())

X = np.array([1.0, 2.0])
MEMBERS = ("jacrev", "jacfwd", "jacobian", "vector_grad", "hessian", "vjp", "linearize", "jit", "vmap")
OF_A_SCALAR = ("grad", "value_and_grad", "derivative")
ALONG = ("jvp", "hvp")


@pytest.fixture(autouse=True)
def models() -> Iterator[None]:
    anyjac.register_models("pickled_model", Layers())
    yield
    anyjac.unregister_models("pickled_model")


def things() -> dict[str, Any]:
    """Return one of everything that can be pickled."""
    state = anyjac.Variable(np.array([1.0, 2.0]), name="state")
    free = anyjac.Variable(1, allow_reshape=True)
    free.note = "said"
    spring, layer = Spring(), Layer()
    kinds = ("force", "compiled", "mapped", "of_class")
    return {
        "variable": state,
        "train_var": anyjac.TrainVar(0.5, name="gain"),
        "tree": anyjac.Variable({"a": np.ones(2), "b": (1.0, 2.0)}),
        "free": free,
        "weights": spring.rest[0],
        **{name: getattr(anyjac, name)(cube) for name in (*MEMBERS, *OF_A_SCALAR, *ALONG)},
        "jacobian_rev": anyjac.jacobian(cube, mode="rev"),
        "jacobian_fwd": anyjac.jacobian(cube, mode="fwd", chunk_size=1),
        "options": anyjac.jacrev(
            shares,
            argnums=(0, -1),
            has_aux=True,
            return_value=True,
            backend="numpy",
            device="cpu",
            debug_nan=True,
            chunk_size=1,
        ),
        "one_of_several": anyjac.jacrev(shares, argnums=(1,), has_aux=True),
        "holomorphic": anyjac.grad(cube, holomorphic=True),
        "integers": anyjac.grad(operator.mul, argnums=(0, 1), allow_int=True),
        "of_variables": anyjac.jacrev(
            spring.energy, {"stiffness": spring.stiffness, "rest": spring.rest}, 0, return_value=True
        ),
        "of_one_variable": anyjac.hessian(spring.energy, spring.stiffness),
        "named": anyjac.grad(spring.energy, collections.UserDict(stiffness=spring.stiffness)),
        "of_a_model": anyjac.grad(layer.loss, [layer]),
        "of_a_model_and_an_argument": anyjac.jvp(functools.partial(operator.call, layer.loss), [layer]),
        "bound_variable_alone": anyjac.variables(Box())["value"],
        "bound_variable": anyjac.variables(layer)["weight"],
        "jit_options": anyjac.jit(anyjac.grad(cube), backend="numpy", device="cpu"),
        "vmap_options": anyjac.vmap(
            operator.mul, in_axes=(0, None), out_axes=1, backend="numpy", device="cpu", chunk_size=2
        ),
        "nested": anyjac.vmap(anyjac.jit(anyjac.grad(cube)), in_axes=0),
        "function": slope,
        "spring": spring,
        **{f"method_{name}": getattr(spring, name) for name in kinds},
        **{f"class_{name}": getattr(Spring, name) for name in kinds},
        "transform_of_a_method": anyjac.jacfwd(spring.energy),
        "rows": next(iter(anyjac.jacrev(cube).rows(X))),
        "check": anyjac.check_derivative(np.square, X, order=1),
        "cache_info": anyjac.cache_info("numpy"),
        "error": anyjac.InputTypeError("said"),
        "partial": functools.partial(anyjac.jacrev, argnums=0),
    }


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(OF_A_SCALAR, (2.0,)),
    "holomorphic": (2.0 + 1j,),
    "jit_options": (2.0,),
    **dict.fromkeys(("method_of_class", "class_of_class"), (2.0,)),
    "jvp": (X, X),
    "hvp": (2.0, 3.0),
    "options": (X, X),
    "one_of_several": (X, X),
    "integers": (2.0, 3),
    "of_a_model": (),
    "of_a_model_and_an_argument": ([{"weight": X}],),
    "vmap_options": (np.ones((3, 2)), X),
    "function": (2.0, 3.0),
    "partial": (cube,),
}


def shown(name: str, thing: Any) -> Any:
    """Return the content of a thing and the results of its calls, to be compared."""
    if isinstance(thing, anyjac.Variable):
        return repr(thing), type(thing), thing.name, thing.allow_reshape, thing.backend.name, vars(thing)
    if isinstance(thing, Spring):
        return repr(vars(thing)), shown("transform_of_a_method", anyjac.jacfwd(thing.energy))
    if not callable(thing):
        return repr(thing), type(thing)
    bound = thing.__get__(Spring(), Spring) if name.startswith("class_") else thing
    result = bound(*ARGUMENTS.get(name, (X,)))
    if isinstance(result, (anyjac.Pullback, anyjac.Pushforward)):
        result = result(X)
    return repr(thing), type(thing), repr(result)


NAMES = list(BEFORE)
THINGS = [name for name in NAMES if not name.startswith("public_") and name != "backend_info"]


@pytest.mark.parametrize("name", THINGS)
def test_a_pickle_from_before_the_rooms_is_what_it_was(name: str) -> None:
    assert shown(name, pickle.loads(BEFORE[name])) == shown(name, things()[name])


def test_what_is_known_of_a_backend_is_read_from_before_the_rooms() -> None:
    info = pickle.loads(BEFORE["backend_info"])
    assert (type(info), info.name) == (anyjac.BackendInfo, "autograd")


MADE_BY_NO_HAND = ("GradientTransform", "Mapped")
"""Classes whose names in older pickles now lead to a function that makes an object, as those pickles need."""
PUBLIC = {name.removeprefix("public_") for name in NAMES if name.startswith("public_")}.difference(MADE_BY_NO_HAND)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_is_found_from_before_the_rooms(name: str) -> None:
    assert pickle.loads(BEFORE[f"public_{name}"]) == getattr(anyjac, name)


@pytest.mark.parametrize("name", {**dict.fromkeys(THINGS), "value_and_grad": None})
def test_what_is_pickled_comes_back(name: str) -> None:
    thing = things()[name]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert shown(name, pickle.loads(pickle.dumps(thing, protocol))) == shown(name, thing)


DECORATORS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "grad": (lambda: anyjac.grad(argnums=1, allow_int=True), (2.0, 3)),
    "value_and_grad": (lambda: anyjac.value_and_grad(has_aux=False), (2.0, 3.0)),
    "jacobian": (lambda: anyjac.jacobian(mode="fwd", chunk_size=2), (2.0, 3.0)),
    "jit": (lambda: anyjac.jit(backend="numpy"), (2.0, 3.0)),
    "vmap": (lambda: anyjac.vmap(in_axes=(0, None)), (X, 3.0)),
}


@pytest.mark.parametrize("name", DECORATORS)
def test_a_decorator_that_waits_for_its_function_comes_back(name: str) -> None:
    make, args = DECORATORS[name]
    decorator = make()
    twin = pickle.loads(pickle.dumps(decorator))
    assert repr(twin) == repr(decorator)
    assert repr(twin(operator.mul)(*args)) == repr(decorator(operator.mul)(*args))


def test_a_decorator_is_its_own_copy() -> None:
    decorator = anyjac.grad(grad_vars=anyjac.Variable(1.0))
    assert copy.copy(decorator) is copy.deepcopy(decorator) is decorator


def test_a_pickle_names_a_backend_that_was_given_as_an_object() -> None:
    backend = anyjac.get_backend("numpy")
    for make in (anyjac.grad, anyjac.jit, anyjac.vmap):
        assert repr(pickle.loads(pickle.dumps(make(cube, backend=backend)))) == repr(make(cube, backend=backend.name))


def test_the_settings_are_checked_when_a_pickle_is_loaded() -> None:
    wrong = pickle.dumps(anyjac.jacrev(cube, chunk_size=77)).replace(b"K\x4d", b"K\x00")
    with pytest.raises(anyjac.InputValueError, match="chunk_size must be a positive int or None, not 0"):
        pickle.loads(wrong)


@pytest.mark.parametrize("name", {**dict.fromkeys(THINGS), "value_and_grad": None})
def test_a_pickle_names_none_of_our_modules_but_the_one_that_stays(name: str) -> None:
    if name == "partial":
        return
    allowed = {"anyjac.pickles", "anyjac_plugins", "anyjac_plugins.errors"}
    assert modules_in(pickle.dumps(things()[name], 4)) & OURS <= allowed


OURS = {module for module in sys.modules if module.partition(".")[0] in ("anyjac", "anyjac_plugins")}


def modules_in(pickled: bytes) -> set[str]:
    """Return the texts in a pickle, the names of modules among them."""
    return {text for _, text, _ in pickletools.genops(pickled) if isinstance(text, str)}


def test_no_name_that_old_pickles_need_is_hidden_by_a_module_of_the_same_name() -> None:
    from anyjac import old_pickles

    modules = [path.stem for path in Path(old_pickles.__file__).parent.glob("[a-z]*.py")]
    found = [getattr(old_pickles, name, None) for name in modules]
    assert len(found) > 10
    assert all(value is None or isinstance(value, types.ModuleType) for value in found)


def test_zero_among_old_settings_is_an_option_and_false_is_none() -> None:
    from anyjac.old_pickles import Settings

    settings = Settings()
    settings.__setstate__([(), None, (0,), True, False, True, False, False, None, 0, None, False, None, None])
    assert settings.options() == {"return_value": True, "device": 0, "argnums": 0}
