"""Scenarios: what goes in, which arguments are differentiated, and what is refused."""

from __future__ import annotations

import array
import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import anyjac
from anyjac import (
    BackendSpec,
    DeviceError,
    InputTypeError,
    InputValueError,
    MixedBackendsError,
    Variable,
    grad,
    jacrev,
    jit,
    jvp,
    vmap,
)

from ..answers import Either, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()


# ---- pytrees -------------------------------------------------------------------------------------------------------


@scenario("arguments/pytrees", answer={"a": [np.array(2.0), (np.array(3.0), None)], "b": np.array([4.0, 4.0])})
def a_tree_of_arrays(lab: Lab) -> Any:
    f = lambda tree: 2 * tree["a"][0] + 3 * tree["a"][1][0] + 4 * lab.xp.sum(tree["b"])  # noqa: E731
    return jacrev(f)({"a": [lab.array(1.0), (lab.array(1.0), None)], "b": lab.array([1.0, 1.0])})


@scenario("arguments/pytrees", answer=[[6.0, 8.0], 10.0])
def python_floats_and_nested_lists_of_them(lab: Lab) -> Any:
    f = lambda x: x[0][0] ** 2 + x[0][1] ** 2 + x[1] ** 2  # noqa: E731
    blocks = jacrev(f)([[3.0, 4.0], 5.0])
    assert all(lab.backend.is_array(block) for block in (*blocks[0], blocks[1]))
    return [[float(block) for block in blocks[0]], float(blocks[1])]


@scenario("arguments/pytrees", answer=np.array([[2.0, 0.0], [0.0, 4.0]]))
def a_numpy_array_goes_to_the_chosen_backend(lab: Lab) -> Any:
    return jacrev(lambda x: x**2)(np.array([1.0, 2.0]))


@scenario("arguments/pytrees", answer=(6 + 8j), requires=("complex",))
def a_python_complex(lab: Lab) -> Any:
    return complex(jacrev(lambda z: z**2, holomorphic=True)(3.0 + 4.0j))


@scenario("arguments/pytrees", answer=(np.array(6.0), {"v": [np.array(6.0)]}))
def a_variable_counts_as_its_value(lab: Lab) -> Any:
    v = Variable(lab.array(3.0))
    return jacrev(lambda x: x**2)(v), jacrev(lambda tree: tree["v"][0] ** 2)({"v": [v]})


@scenario("arguments/pytrees", answer=Raises(InputTypeError, "argument 0['name']", "'neuron'"))
def text_in_a_differentiated_argument_is_refused_with_its_path(lab: Lab) -> Any:
    return jacrev(lambda tree: tree["x"])({"x": lab.array(1.0), "name": "neuron"})


# ---- the others ----------------------------------------------------------------------------------------------------


GIVEN = {"text": "text", "None": None, "function": len, "int": 2, "bool": True, "object": object()}


@scenario("arguments/untouched", answer=(np.eye(2), dict.fromkeys(GIVEN, True)))
def positional_ones_are_the_very_objects(lab: Lab) -> Any:
    given = tuple(GIVEN.values())
    seen: dict[str, bool] = {}

    def f(x: Any, *others: Any) -> Any:
        seen.update({name: mine is theirs for (name, theirs), mine in zip(GIVEN.items(), others, strict=True)})
        return lab.xp.reshape(x, (others[3],)) if others[4] else x

    return jacrev(f)(lab.array([1.0, 2.0]), *given), seen


@scenario("arguments/untouched", answer={"jacobian": np.array(3.0), "the very array": True})
def keywords_are_not_differentiated(lab: Lab) -> Any:
    scale = lab.array(3.0)
    seen: list[Any] = []

    def f(x: Any, *, scale: Any, mode: str, on: bool) -> Any:
        seen.append(scale)
        return x * scale if on and mode == "linear" else x

    jacobian = jacrev(f)(lab.array(1.0), scale=scale, mode="linear", on=True)
    return {"jacobian": jacobian, "the very array": seen[0] is scale}


# the sum of w * x for x = (1, 2), wherever x stands; of w and 2 w as a mask says; of the first element of w twice
@scenario("arguments/numpy", answer=[np.array([1.0, 2.0])] * 4 + [np.array([2.0, 0.0])])
def numpy_arrays_of_numbers_become_the_backends(lab: Lab) -> Any:
    w, x = lab.array([3.0, 4.0]), np.array([1.0, 2.0])
    xp = lab.xp
    return [
        grad(lambda w, x: xp.sum(w * x), backend=lab.backend)(np.array([3.0, 4.0]), x),
        grad(lambda w, x: xp.sum(w * x))(w, x),
        grad(lambda w, *, batch: xp.sum(w * batch["x"][0]))(w, batch={"x": [x], "name": "first"}),
        grad(lambda w, mask: xp.sum(xp.where(mask, w, w * 2.0)))(w, np.array([True, False])),
        grad(lambda w, i: xp.sum(xp.take(w, i)))(w, np.array([0, 0])),
    ]


OF_NUMPY: dict[str, Any] = {
    "number": np.float64(2.0),
    "texts": np.array(["a", "b"]),
    "objects": np.array([None, {}]),
    "date": np.array("2026-01-01", "datetime64[D]"),
    "generator": np.random.default_rng(0),
    "dict": {"rng": np.random.default_rng(0), "names": np.array(["a"])},
    "list": [1.0, "text"],
}


@scenario("arguments/numpy", answer=(np.array([1.0, 1.0]), dict.fromkeys(OF_NUMPY, True)))
def others_of_numpy_stay_the_very_objects(lab: Lab) -> Any:
    seen: dict[str, bool] = {}

    def f(x: Any, *others: Any) -> Any:
        seen.update({name: mine is theirs for (name, theirs), mine in zip(OF_NUMPY.items(), others, strict=True)})
        return lab.xp.sum(x)

    return grad(f)(lab.array([1.0, 2.0]), *OF_NUMPY.values()), seen


@scenario("arguments/numpy", answer=np.array([[2.0, 6.0], [4.0, 12.0]]))
def numpy_arrays_that_are_not_mapped_over_become_the_backends(lab: Lab) -> Any:
    return vmap(lambda x, w: x * w, in_axes=(0, None))(lab.array([[1.0, 2.0], [2.0, 4.0]]), np.array([2.0, 3.0]))


@scenario("arguments/untouched", answer=np.array([1.0, 1.0, 1.0]))
def an_int_is_good_for_a_shape(lab: Lab) -> Any:
    return jacrev(lambda x, n: lab.xp.broadcast_to(x, (n,)))(lab.array(1.0), 3)


# ---- arrays by protocol --------------------------------------------------------------------------------------------


class Holder:
    """An object that holds an array, and gives it by NumPy's protocol."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._values, dtype)


NUMBERS = np.array([1.0, 2.0])

BY_PROTOCOL: dict[str, tuple[Callable[[], Any], Any]] = {
    # what stands for an array                  and the array
    "an object with __array__": (lambda: Holder([1.0, 2.0]), NUMBERS),
    "an array of Python": (lambda: array.array("d", [1.0, 2.0]), NUMBERS),
    "a memoryview": (lambda: memoryview(array.array("d", [1.0, 2.0])), NUMBERS),
    "a view of bytes that is read only": (lambda: memoryview(NUMBERS.tobytes()).cast("d"), NUMBERS),
    "a matrix": (lambda: np.matrix([[1.0, 2.0]]), NUMBERS[None]),
    "a masked array without a mask": (lambda: np.ma.array([1.0, 2.0]), NUMBERS),
    "a masked array that masks nothing": (lambda: np.ma.array([1.0, 2.0], mask=[False, False]), NUMBERS),
}

# the sum of x^2 and of 3 x, and x^2 mapped over
USES: dict[str, tuple[Callable[[Lab, Any], Any], Callable[[Any], Any]]] = {
    "in a tree": (lambda lab, x: grad(lambda t: lab.xp.sum(t["x"] * t["x"]))({"x": x})["x"], lambda x: 2 * x),
    "as the value of a Variable": (lambda lab, x: Variable(x).value, lambda x: x),
    "as a tangent": (lambda lab, x: jvp(lambda x: x * x)(x, x), lambda x: 2 * x * x),
    "mapped over": (lambda lab, x: vmap(lambda row: row * row)(x), lambda x: x * x),
}


def _by_protocol(lab: Lab, use: Callable[[Lab, Any], Any], make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matrices
        return use(lab, make())


for _name, (_make, _array) in BY_PROTOCOL.items():
    for _where, (_use, _result) in USES.items():
        scenario.add(
            Scenario(
                f"{_name} {_where}",
                "arguments/protocols",
                lambda lab, use=_use, make=_make: _by_protocol(lab, use, make),  # type: ignore[misc]
                _result(_array),
                frozenset({"forward"} if _where == "as a tangent" else ()),
            )
        )
    scenario.add(
        Scenario(
            f"{_name} compiled or refused by name",
            "arguments/protocols",
            lambda lab, make=_make: _by_protocol(lab, lambda lab, x: jit(lambda y: y * y)(x), make),  # type: ignore[misc]
            Either(Raises(InputTypeError, "args[0]"), _array * _array),
        )
    )

for _where in ("in a tree", "as the value of a Variable", "mapped over"):
    scenario.add(
        Scenario(
            f"a masked array with a mask {_where} is refused",
            "arguments/protocols",
            lambda lab, use=USES[_where][0]: use(lab, np.ma.array([1.0, 2.0], mask=[False, True])),  # type: ignore[misc]
            Raises(InputTypeError, "1 of 2 elements are masked"),
        )
    )


# ---- argnums -------------------------------------------------------------------------------------------------------

# f(x, y, z) = x + 2 y + 3 z
ARGNUMS: dict[str, tuple[Any, Any]] = {
    "an int": (1, 2.0),
    "a negative int": (-1, 3.0),
    "a NumPy integer": (np.int64(2), 3.0),
    "a tuple": ((2, 0), (3.0, 1.0)),
    "a list": ([0, 1, 2], (1.0, 2.0, 3.0)),
    "a range": (range(2), (1.0, 2.0)),
    "a NumPy array": (np.array([1, 2]), (2.0, 3.0)),
    "negative and positive": ((-3, 1), (1.0, 2.0)),
    "NumPy integers in a list": ([np.int32(1)], (2.0,)),
}

REFUSED: dict[str, tuple[Any, type[Exception], tuple[str, ...]]] = {
    "a bool": (True, InputTypeError, ("argnums", "True")),
    "a float": (1.0, InputTypeError, ("argnums", "1.0")),
    "a str": ("x", InputTypeError, ("argnums", "'x'")),
    "a bool in a sequence": ((0, False), InputTypeError, ("argnums[1]", "False")),
    "a float in a sequence": ([0.0], InputTypeError, ("argnums[0]", "0.0")),
    "out of range": (3, InputValueError, ("3", "3 positional arguments")),
    "out of range below": (-4, InputValueError, ("-4", "3 positional arguments")),
    "one of a sequence out of range": ((0, 7), InputValueError, ("7", "3 positional arguments")),
    "a duplicate": ((0, 0), InputValueError, ("(0, 0)", "twice")),
    "a duplicate by way of a negative": ((2, -1), InputValueError, ("(2, -1)", "twice")),
    "an empty sequence": ((), InputValueError, ("empty",)),
}


def _with_argnums(argnums: Any, lab: Lab) -> Any:
    return jacrev(lambda x, y, z: x + 2 * y + 3 * z, argnums=argnums)(*map(lab.array, (1.0, 1.0, 1.0)))


def _blocks(slopes: Any) -> Any:
    return tuple(map(_blocks, slopes)) if isinstance(slopes, tuple) else np.array(slopes)


for _name, (_argnums, _slopes) in ARGNUMS.items():
    scenario.add(
        Scenario(_name, "arguments/argnums", lambda lab, a=_argnums: _with_argnums(a, lab), _blocks(_slopes))  # type: ignore[misc]
    )
for _name, (_argnums, _kind, _fragments) in REFUSED.items():
    scenario.add(
        Scenario(
            _name,
            "arguments/argnums-refused",
            lambda lab, a=_argnums: _with_argnums(a, lab),  # type: ignore[misc]
            Raises(_kind, *_fragments),
        )
    )


@scenario("arguments/argnums-refused", answer=Raises(InputValueError, "0 positional arguments", "keyword"))
def a_keyword_does_not_count_as_a_position(lab: Lab) -> Any:
    return jacrev(lambda x: x)(x=lab.array(1.0))


# ---- the border ----------------------------------------------------------------------------------------------------


@scenario("arguments/border", answer=np.array([[2.0, 0.0], [0.0, 4.0]]))
def a_numpy_constant_in_a_named_backend(lab: Lab) -> Any:
    return jacrev(lambda x: x**2, backend=lab.backend)(np.array([1.0, 2.0]))


@scenario("arguments/border", answer=np.diag([2.0, 4.0]))
def a_foreign_variable_is_converted_where_the_backend_is_named(lab: Lab) -> Any:
    v = Variable(np.array([2.0, 4.0]), backend="numpy")
    return jacrev(lambda x: lab.xp.asarray(v.value) * x, backend=lab.backend)(lab.array([1.0, 1.0]))


class Foreign:
    """An array of an invented framework, which follows NumPy's protocol."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)
        self.dtype = self._values.dtype
        self.shape = self._values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._values.astype(self.dtype if dtype is None else dtype)


class Alien(Foreign):
    """An array of another invented framework."""


class Remote(Foreign):
    """An array that lies on an accelerator, out of the host's reach."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)  # DLPack's code of CUDA

    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("the memory is on the accelerator")


Foreign.__module__, Alien.__module__, Remote.__module__ = "foreign.arrays", "alien", "foreign.remote"


@contextlib.contextmanager
def _strange_frameworks() -> Iterator[None]:
    """Register the backends "foreign" and "alien" for a block of code, known by the types of their arrays alone."""
    names = "foreign", "alien"
    for name in names:
        anyjac.register_backend(BackendSpec(name=name, factory=_no_such_framework, array_modules=(name,)))
    try:
        yield
    finally:
        for name in names:
            anyjac.unregister_backend(name)


def _no_such_framework() -> Any:
    raise ImportError("this framework only has a name")


@scenario("arguments/border", answer=np.diag([2.0, 4.0]))
def a_foreign_array_is_converted_where_the_backend_is_named(lab: Lab) -> Any:
    with _strange_frameworks():
        return jacrev(lambda x: x**2, backend=lab.backend)(Foreign([1.0, 2.0]))


@scenario("arguments/border", answer=lambda lab: Raises(DeviceError, "Remote", lab.backend.name, "move it to the host"))
def a_foreign_array_never_changes_device_in_silence(lab: Lab) -> Any:
    with _strange_frameworks():
        return jacrev(lambda x: x**2, backend=lab.backend)(Remote([1.0, 2.0]))


@scenario("arguments/border", answer=Raises(MixedBackendsError, "foreign", "alien", "backend="))
def mixed_frameworks_are_refused_where_nobody_named_one(lab: Lab) -> Any:
    with _strange_frameworks(), lab.environment(ANYJAC_BACKEND=""):
        return lab.unnamed(lambda: jacrev(lambda x, y, z: x)(lab.array([1.0]), Foreign([1.0]), Alien([1.0])))


@scenario("arguments/border", answer=Raises(MixedBackendsError, "foreign", "alien"))
def a_foreign_keyword_is_refused_too(lab: Lab) -> Any:
    with _strange_frameworks(), lab.environment(ANYJAC_BACKEND=""):
        return lab.unnamed(lambda: jacrev(lambda x, y: x)(Foreign([1.0]), y={"y": [Alien([1.0])]}))


@scenario("arguments/border", answer=np.diag([2.0, 4.0]))
def numpy_constants_go_with_any_framework(lab: Lab) -> Any:
    constant = np.array([1.0, 2.0])
    with lab.environment(ANYJAC_BACKEND=""):
        return lab.unnamed(lambda: jacrev(lambda x, y: lab.xp.asarray(y) * x**2)(lab.array([1.0, 1.0]), constant))
